"""Keys of batch and receipt. Private ones show a fingerprint of their public half, never themselves."""

from __future__ import annotations

from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)


def _fingerprint(public: bytes) -> str:
    return sha256(public).hexdigest()[:16]


class VerifyKey:
    """Ed25519 public key: a gateway's for batches, the receiver's for receipts."""

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        """Take the 32 bytes of RFC 8032. Raises ValueError."""
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        self.raw = bytes(raw)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read SubjectPublicKeyInfo. Raises ValueError."""
        key = load_pem_public_key(pem)
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("not an Ed25519 public key")
        return cls(key.public_bytes_raw())

    def to_pem(self) -> bytes:
        """SubjectPublicKeyInfo as PEM."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature (64 bytes) is this key's over the message."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of the 32 bytes."""
        return _fingerprint(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifyKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"<verify key {self.fingerprint}>"


class SigningKey:
    """Ed25519 private key."""

    __slots__ = ("_key", "verify_key")

    def __init__(self, raw: bytes) -> None:
        """Take the 32-byte seed of RFC 8032. Raises ValueError."""
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.verify_key = VerifyKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read unencrypted PKCS #8. Raises ValueError, which does not quote the file."""
        key = _load_private(pem)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an Ed25519 private key")
        return cls(key.private_bytes_raw())

    def to_pem(self) -> bytes:
        """Unencrypted PKCS #8 as PEM: a secret."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def to_raw(self) -> bytes:
        """The 32-byte seed: a secret."""
        return self._key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature; the same message gives the same signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"<signing key {self.verify_key.fingerprint}>"


class SealingPublicKey:
    """X25519 public key that gateways seal batches to. `number` (1 … 65535) names it in the header."""

    __slots__ = ("key", "number", "raw")

    def __init__(self, number: int, raw: bytes) -> None:
        """Take the 32 bytes of RFC 7748. Raises ValueError."""
        self.number = _key_number(number)
        self.key = X25519PublicKey.from_public_bytes(raw)
        self.raw = bytes(raw)

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of the 32 bytes."""
        return _fingerprint(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SealingPublicKey) and (self.number, self.raw) == (other.number, other.raw)

    def __hash__(self) -> int:
        return hash((self.number, self.raw))

    def __repr__(self) -> str:
        return f"<sealing key {self.number} {self.fingerprint}>"


class SealingPrivateKey:
    """X25519 private key of the receiver, by the same number as its public half."""

    __slots__ = ("key", "number", "public_key")

    def __init__(self, number: int, raw: bytes) -> None:
        """Take the 32 bytes of RFC 7748. Raises ValueError."""
        self.number = _key_number(number)
        self.key = X25519PrivateKey.from_private_bytes(raw)
        self.public_key = SealingPublicKey(number, self.key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, number: int) -> Self:
        """A new random key."""
        return cls(number, X25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_pem(cls, number: int, pem: bytes) -> Self:
        """Read unencrypted PKCS #8. Raises ValueError, which does not quote the file."""
        key = _load_private(pem)
        if not isinstance(key, X25519PrivateKey):
            raise ValueError("not an X25519 private key")
        return cls(number, key.private_bytes_raw())

    def to_pem(self) -> bytes:
        """Unencrypted PKCS #8 as PEM: a secret."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def to_raw(self) -> bytes:
        """The 32 bytes: a secret."""
        return self.key.private_bytes_raw()

    def __repr__(self) -> str:
        return f"<private sealing key {self.number} {self.public_key.fingerprint}>"


def _key_number(number: int) -> int:
    if not 1 <= number <= 0xFFFF:
        raise ValueError(f"a sealing key's number is 1 … 65535, not {number}")
    return number


def _load_private(pem: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not an unencrypted private key in PEM form") from None
