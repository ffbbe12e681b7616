"""Two cryptographic libraries against each other: what one sealed or signed, the other opens and verifies."""

from __future__ import annotations

import secrets
from hashlib import sha256

import cbor2
import pytest
from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from Crypto.Signature import eddsa

from edge_codecs.batch import parse_header, seal
from edge_codecs.receipt import verify_receipt
from tests.unit.edge_codecs.batch_vectors import (
    GATEWAY_KEY,
    KEYS,
    RECEIPT_KEY,
    SEALING_KEY,
    VECTORS,
    manifest_of,
    named,
    receive,
)

BATCHES = VECTORS["batches"]
SEAL_TAG = b"clipr batch seal 1\0"
SIGN_TAG = b"clipr batch signature 1\0"
HASH_TAG = b"clipr batch hash 1\0"
RECEIPT_TAG = b"clipr receipt signature 1\0"


def _open(wire: bytes) -> tuple[bytes, bytes]:
    """(header, signature and rows), by pycryptodome alone."""
    header = parse_header(wire).encoded
    key = import_x25519_private_key(bytes.fromhex(KEYS["receiver_sealing_private"]))
    sealed = wire[len(header) :]
    cipher = HPKE.new(receiver_key=key, aead_id=HPKE.AEAD.AES256_GCM, enc=sealed[:32], info=SEAL_TAG + header)
    return header, cipher.unseal(sealed[32:])


def _seal(header: bytes, clear: bytes) -> bytes:
    key = import_x25519_public_key(bytes.fromhex(KEYS["receiver_sealing_public"]))
    cipher = HPKE.new(receiver_key=key, aead_id=HPKE.AEAD.AES256_GCM, info=SEAL_TAG + header)
    return header + cipher.enc + cipher.seal(clear)


def _signed(header: bytes, rows: bytes) -> bytes:
    return SIGN_TAG + header + sha256(bytes.fromhex(KEYS["receiver_sealing_public"])).digest() + rows


@pytest.mark.parametrize("vector", BATCHES, ids=named)
def test_pycryptodome_opens_and_verifies_the_golden_batch(vector: dict[str, object]) -> None:
    header, clear = _open(bytes.fromhex(str(vector["wire"])))
    assert header.hex() == vector["header"]
    assert clear[:64].hex() == vector["signature"]
    assert clear[64:].hex() == vector["rows"]
    public = eddsa.import_public_key(bytes.fromhex(KEYS["gateway_signing_public"]))
    eddsa.new(public, "rfc8032").verify(_signed(header, clear[64:]), clear[:64])


@pytest.mark.parametrize("vector", BATCHES, ids=named)
def test_the_hash_is_what_the_document_says(vector: dict[str, object]) -> None:
    header = cbor2.loads(bytes.fromhex(str(vector["header"])))
    version, _suite, gateway, _key, stream, number, lane, previous, ranges = header
    rows_hash = sha256(bytes.fromhex(str(vector["rows"]))).digest()
    fields = cbor2.dumps(
        [version, gateway, stream, number, lane, previous, ranges, rows_hash], canonical=True
    )
    assert sha256(HASH_TAG + fields).hexdigest() == vector["hash"]


@pytest.mark.parametrize("size", [1, 63, 1000, 100_000])
def test_what_one_seals_the_other_opens(size: int) -> None:
    manifest = manifest_of(VECTORS["batches"][0] | {"rows": secrets.token_hex(size)})
    header, clear = _open(seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key))
    assert clear[64:] == manifest.rows
    public = eddsa.import_public_key(GATEWAY_KEY.verify_key.raw)
    eddsa.new(public, "rfc8032").verify(_signed(header, clear[64:]), clear[:64])


@pytest.mark.parametrize("vector", BATCHES, ids=named)
def test_what_the_other_signs_and_seals_we_receive(vector: dict[str, object]) -> None:
    header, rows = bytes.fromhex(str(vector["header"])), bytes.fromhex(str(vector["rows"]))
    private = eddsa.import_private_key(bytes.fromhex(KEYS["gateway_signing_private"]))
    signature = eddsa.new(private, "rfc8032").sign(_signed(header, rows))
    manifest, _ = receive(_seal(header, signature + rows))
    assert manifest == manifest_of(dict(vector))


@pytest.mark.parametrize("vector", VECTORS["receipts"], ids=named)
def test_receipts_are_signed_alike(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["receipt"])
    private = eddsa.import_private_key(bytes.fromhex(KEYS["receiver_signing_private"]))
    signature = eddsa.new(private, "rfc8032").sign(RECEIPT_TAG + data[:-64])
    assert signature == data[-64:]
    verify_receipt(data[:-64] + signature, RECEIPT_KEY.verify_key)
