"""Batch: numbered, chained, signed and sealed rows, as they travel from gateway to receiver.

    wire   = header ‖ body
    header = canonical CBOR array: version, suite, gateway id, receiver key number, stream id, batch number,
             lane, link to the batch before, row ranges [first, count, …]
    body   = HPKE base mode (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM), info = tag ‖ header, fresh at each
             sending: 32 bytes encapsulated key ‖ ciphertext of (64 bytes Ed25519 signature ‖ rows)
    signed = tag ‖ header ‖ SHA-256(receiver's public key) ‖ rows

The receiver's key is part of what is signed, so that nobody who can open a batch may seal it anew to somebody
else as if the gateway had sent it there. The header is part of the seal and of the signature: altered,
neither opens nor verifies.

A batch's *hash* leaves out signature, seal and receiver key, so it is known when the batch is formed and does
not change when it is sent again or to another key:

    hash = SHA-256(tag ‖ canonical CBOR array: version, gateway id, stream id, batch number, lane, link,
                   ranges, SHA-256(rows))

The *link* is the first 16 bytes of the hash of the batch before in the stream, empty for the first. Half of
the hash is enough: to put other rows below a given link is a second preimage of 128 bits, and the bytes are
paid for on each batch.

Order of checks: size, header, (who it is: the caller), open, signature, rows. Everything is bounded before it
is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from pydantic_core import ValidationError, core_schema

from edge_codecs import canonical
from edge_codecs.faults import BatchError, BatchFault
from edge_codecs.identifiers import GatewayId
from edge_codecs.keys import SealingPrivateKey, SealingPublicKey, SigningKey, VerifyKey
from edge_codecs.manifest import (
    LINK_BYTES,
    MAX_NUMBER,
    MAX_RANGES,
    VERSION,
    Lane,
    Manifest,
    RowRange,
    StreamId,
    link,
)
from edge_codecs.strict_fields import strict_fields

__all__ = [
    "BatchError",
    "BatchFault",
    "Header",
    "Lane",
    "Manifest",
    "Opened",
    "RowRange",
    "SealingPrivateKey",
    "SealingPublicKey",
    "SigningKey",
    "StreamId",
    "VerifyKey",
    "header_bytes",
    "link",
    "open_batch",
    "parse_header",
    "reopen",
    "seal",
    "verify",
]

SUITE: Final = 1
MAX_WIRE_BYTES: Final = 256 * 1024
MAX_HEADER_BYTES: Final = 1024
SIGNATURE_BYTES: Final = 64

_SEAL_TAG: Final = b"clipr batch seal 1\x00"
_SIGN_TAG: Final = b"clipr batch signature 1\x00"
_HPKE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


_FIELDS: Final = {
    "version": core_schema.int_schema(ge=VERSION, le=VERSION),
    "suite": core_schema.int_schema(ge=SUITE, le=SUITE),
    "gateway_id": core_schema.bytes_schema(min_length=8, max_length=8),
    "key_number": core_schema.int_schema(ge=1, le=0xFFFF),
    "stream_id": core_schema.bytes_schema(min_length=8, max_length=8),
    "number": core_schema.int_schema(ge=1, le=MAX_NUMBER),
    "lane": core_schema.int_schema(ge=0, le=1),
    "previous": core_schema.bytes_schema(max_length=LINK_BYTES),
    "flat_ranges": core_schema.list_schema(core_schema.int_schema(), min_length=2, max_length=2 * MAX_RANGES),
}
_VALIDATOR: Final = strict_fields(_FIELDS)


@dataclass(frozen=True, slots=True)
class Header:
    """The clear part of a batch, checked as strictly as it can be before anything is trusted."""

    version: int
    suite: int
    gateway_id: bytes
    key_number: int
    stream_id: bytes
    number: int
    lane: int
    previous: bytes
    flat_ranges: list[int]

    @property
    def gateway(self) -> GatewayId:
        """Who claims to have sent it."""
        return GatewayId(self.gateway_id)

    @property
    def stream(self) -> StreamId:
        """The life of the store that it comes from."""
        return StreamId(self.stream_id)

    @property
    def ranges(self) -> tuple[RowRange, ...]:
        """The rows that it carries. Raises ValueError."""
        pairs = zip(self.flat_ranges[::2], self.flat_ranges[1::2], strict=True)
        return tuple(RowRange(first, count) for first, count in pairs)

    @property
    def encoded(self) -> bytes:
        """The bytes that it was read from: there is one canonical form."""
        return canonical.dumps([getattr(self, name) for name in _FIELDS])

    def manifest(self, rows: bytes) -> Manifest:
        """The batch, with its rows. Raises ValueError."""
        return Manifest(
            self.gateway, self.stream, self.number, Lane(self.lane), self.ranges, self.previous, rows
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch out of its seal. Nothing in it is to be trusted before `verify`."""

    header: Header
    header_bytes: bytes
    signature: bytes
    rows: bytes = field(repr=False)
    receiver_key_hash: bytes


def _signed(header: bytes, receiver_key_hash: bytes, rows: bytes) -> bytes:
    return _SIGN_TAG + header + receiver_key_hash + rows


def _key_hash(key: SealingPublicKey) -> bytes:
    return sha256(key.raw).digest()


def header_bytes(manifest: Manifest, receiver_key: SealingPublicKey) -> bytes:
    """The canonical header of a batch that is sealed to this key."""
    return canonical.dumps(
        [
            VERSION,
            SUITE,
            bytes(manifest.gateway),
            receiver_key.number,
            bytes(manifest.stream),
            manifest.number,
            int(manifest.lane),
            manifest.previous,
            manifest.flat_ranges,
        ]
    )


def seal(manifest: Manifest, signing_key: SigningKey, receiver_key: SealingPublicKey) -> bytes:
    """Sign and seal: the bytes to publish; each call gives others. Raises ValueError beyond 256 KiB."""
    header = header_bytes(manifest, receiver_key)
    signature = signing_key.sign(_signed(header, _key_hash(receiver_key), manifest.rows))
    wire = header + _HPKE.encrypt(signature + manifest.rows, receiver_key.key, _SEAL_TAG + header)
    if len(wire) > MAX_WIRE_BYTES:
        raise ValueError(f"a batch of {len(wire)} bytes; at most {MAX_WIRE_BYTES} travel")
    return wire


def parse_header(wire: bytes) -> Header:
    """Read the clear header, strictly. Raises BatchError (too_large, bad_header, unsupported_version)."""
    return _parse(wire)[0]


def open_batch(wire: bytes, header: Header, private_key: SealingPrivateKey) -> Opened:
    """Open the seal. `header` is what `parse_header` gave for the same bytes. Raises BatchError."""
    head = header.encoded
    if not wire.startswith(head):
        raise BatchError(BatchFault.BAD_HEADER, "not the header of this batch")
    if header.key_number != private_key.number:
        raise BatchError(
            BatchFault.UNKNOWN_KEY, f"sealed to key {header.key_number}, not {private_key.number}"
        )
    try:
        clear = _HPKE.decrypt(wire[len(head) :], private_key.key, _SEAL_TAG + head)
    except (InvalidTag, ValueError):
        raise BatchError(BatchFault.CANNOT_OPEN) from None
    if len(clear) < SIGNATURE_BYTES:
        raise BatchError(BatchFault.BAD_SIGNATURE, "no room for a signature")
    signature, rows = clear[:SIGNATURE_BYTES], clear[SIGNATURE_BYTES:]
    return Opened(header, head, signature, rows, _key_hash(private_key.public_key))


def reopen(header: bytes, signature: bytes, rows: bytes, receiver_key: SealingPublicKey) -> Opened:
    """A batch out of kept evidence: header, signature and rows as they came. Raises BatchError."""
    parsed, end = _parse(header)
    if end != len(header):
        raise BatchError(BatchFault.BAD_HEADER, "bytes after the header")
    return Opened(parsed, header, signature, rows, _key_hash(receiver_key))


def verify(opened: Opened, verify_key: VerifyKey) -> Manifest:
    """The batch, if this key signed it for this receiver. Raises BatchError (bad_signature)."""
    message = _signed(opened.header_bytes, opened.receiver_key_hash, opened.rows)
    if not verify_key.verifies(opened.signature, message):
        raise BatchError(BatchFault.BAD_SIGNATURE)
    return opened.header.manifest(opened.rows)


def _parse(wire: bytes) -> tuple[Header, int]:
    if len(wire) > MAX_WIRE_BYTES:
        raise BatchError(BatchFault.TOO_LARGE, f"{len(wire)} bytes, at most {MAX_WIRE_BYTES}")
    try:
        fields, end = canonical.loads_prefix(wire, MAX_HEADER_BYTES)
    except canonical.NotCanonical as error:
        raise BatchError(BatchFault.BAD_HEADER, str(error)) from None
    _check_version(fields)
    if len(fields) != len(_FIELDS):
        raise BatchError(BatchFault.BAD_HEADER, f"{len(fields)} fields, expected {len(_FIELDS)}")
    try:
        header = Header(**_VALIDATOR.validate_python(dict(zip(_FIELDS, fields, strict=True))))
        header.manifest(b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BatchError(BatchFault.BAD_HEADER, f"{first['loc'][0]}: {first['msg']}") from None
    except (ValueError, TypeError) as error:
        raise BatchError(BatchFault.BAD_HEADER, str(error)) from None
    return header, end


def _check_version(fields: list[Any]) -> None:
    """The first two fields, version and suite, mean the same in every version to come."""
    known = [VERSION, SUITE]
    if len(fields) < len(known) or not all(isinstance(field, int) for field in fields[:2]):
        raise BatchError(BatchFault.BAD_HEADER, "does not begin with version and suite")
    if fields[:2] != known:
        raise BatchError(BatchFault.UNSUPPORTED_VERSION, f"version {fields[0]}, suite {fields[1]}")
