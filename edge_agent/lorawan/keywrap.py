"""AES key wrap: how join servers hand over session keys (RFC 3394; Backend Interfaces 1.1)."""

from __future__ import annotations

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap


class KeyWrapError(ValueError):
    """The key-encrypting key is not the one that was wrapped with, or the bytes were altered."""


def wrap(kek: bytes, key: bytes) -> bytes:
    """Wrap `key` (16, 24, 32 … bytes) under `kek` (16, 24 or 32 bytes): 8 bytes longer. Raises ValueError."""
    return aes_key_wrap(kek, key)


def unwrap(kek: bytes, wrapped: bytes) -> bytes:
    """Unwrap what `wrap` made. Raises KeyWrapError, which does not repeat a key."""
    try:
        return aes_key_unwrap(kek, wrapped)
    except InvalidUnwrap:
        raise KeyWrapError("not wrapped with this key-encrypting key, or altered since") from None
