"""Batches against the golden vectors; what must be refused, and with which fault."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from edge_codecs.batch import (
    MAX_WIRE_BYTES,
    BatchError,
    BatchFault,
    Lane,
    Manifest,
    RowRange,
    SealingPrivateKey,
    SigningKey,
    StreamId,
    link,
    open_batch,
    parse_header,
    reopen,
    seal,
    verify,
)
from tests.unit.edge_codecs.batch_vectors import (
    GATEWAY_KEY,
    KEYS,
    SEALING_KEY,
    VECTORS,
    manifest_of,
    named,
    receive,
)

BATCHES: list[dict[str, Any]] = VECTORS["batches"]


@pytest.mark.parametrize("vector", BATCHES, ids=named)
def test_sealed_batch_opens_for_ever(vector: dict[str, Any]) -> None:
    wire = bytes.fromhex(vector["wire"])
    opened = open_batch(wire, parse_header(wire), SEALING_KEY)
    assert opened.header_bytes.hex() == vector["header"]
    assert opened.signature.hex() == vector["signature"]
    assert opened.rows.hex() == vector["rows"]
    assert verify(opened, GATEWAY_KEY.verify_key) == manifest_of(vector)


@pytest.mark.parametrize("vector", BATCHES, ids=named)
def test_header_hash_and_signature_are_byte_for_byte(vector: dict[str, Any]) -> None:
    manifest = manifest_of(vector)
    wire = seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key)
    opened = open_batch(wire, parse_header(wire), SEALING_KEY)
    assert manifest.hash.hex() == vector["hash"]
    assert opened.header_bytes.hex() == vector["header"]
    assert opened.signature.hex() == vector["signature"]
    assert len(wire) == len(bytes.fromhex(vector["wire"]))


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=named)
def test_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(BatchError) as caught:
        receive(bytes.fromhex(vector["wire"]))
    assert caught.value.reason is BatchFault(vector["fault"]), caught.value


@pytest.fixture
def manifest() -> Manifest:
    return manifest_of(BATCHES[1])


def test_vectors_are_a_chain() -> None:
    chain = list(map(manifest_of, BATCHES))
    assert chain[0].follows(b"")
    for before, after in pairwise(chain):
        assert after.follows(before.hash)
        assert not after.follows(after.hash)
    assert not chain[1].follows(b"")


def test_each_seal_is_fresh_and_the_hash_is_not(manifest: Manifest) -> None:
    first, second = (seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key) for _ in range(2))
    assert first != second
    assert receive(first)[0].hash == receive(second)[0].hash == manifest.hash


def test_hash_covers_every_field(manifest: Manifest) -> None:
    others = [
        replace(manifest, gateway=type(manifest.gateway)(bytes(8))),
        replace(manifest, stream=StreamId(bytes(8))),
        replace(manifest, number=3),
        replace(manifest, lane=Lane.LIVE),
        replace(manifest, ranges=(RowRange(2, 3), RowRange(70_001, 4))),
        replace(manifest, ranges=(RowRange(2, 7),)),
        replace(manifest, previous=bytes(16)),
        replace(manifest, rows=manifest.rows[:-1]),
    ]
    assert len({manifest.hash, *(other.hash for other in others)}) == len(others) + 1


def test_hash_does_not_depend_on_the_receiver(manifest: Manifest) -> None:
    other_key = SealingPrivateKey.generate(8)
    wire = seal(manifest, GATEWAY_KEY, other_key.public_key)
    opened = open_batch(wire, parse_header(wire), other_key)
    assert verify(opened, GATEWAY_KEY.verify_key).hash == manifest.hash


def test_who_opens_a_batch_cannot_pass_it_on_as_sent_to_another(manifest: Manifest) -> None:
    """Surreptitious forwarding: the signature names the receiver's key."""
    other = SealingPrivateKey(SEALING_KEY.number, bytes([3]) * 32)
    wire = seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key)
    opened = open_batch(wire, parse_header(wire), SEALING_KEY)
    forwarded = reopen(opened.header_bytes, opened.signature, opened.rows, other.public_key)
    with pytest.raises(BatchError) as caught:
        verify(forwarded, GATEWAY_KEY.verify_key)
    assert caught.value.reason is BatchFault.BAD_SIGNATURE


def test_kept_evidence_verifies_again(manifest: Manifest) -> None:
    wire = seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key)
    opened = open_batch(wire, parse_header(wire), SEALING_KEY)
    again = reopen(opened.header_bytes, opened.signature, opened.rows, SEALING_KEY.public_key)
    assert verify(again, GATEWAY_KEY.verify_key) == manifest


def test_evidence_with_bytes_after_the_header_is_refused(manifest: Manifest) -> None:
    wire = seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key)
    opened = open_batch(wire, parse_header(wire), SEALING_KEY)
    with pytest.raises(BatchError) as caught:
        reopen(opened.header_bytes + b"\0", opened.signature, opened.rows, SEALING_KEY.public_key)
    assert caught.value.reason is BatchFault.BAD_HEADER


def test_another_private_key_does_not_open(manifest: Manifest) -> None:
    wire = seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key)
    with pytest.raises(BatchError) as caught:
        open_batch(wire, parse_header(wire), SealingPrivateKey(SEALING_KEY.number, bytes([3]) * 32))
    assert caught.value.reason is BatchFault.CANNOT_OPEN


def test_header_of_another_batch_is_refused(manifest: Manifest) -> None:
    wire = seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key)
    other = parse_header(bytes.fromhex(BATCHES[0]["wire"]))
    with pytest.raises(BatchError) as caught:
        open_batch(wire, other, SEALING_KEY)
    assert caught.value.reason is BatchFault.BAD_HEADER


def test_too_large_is_refused_before_anything_is_read() -> None:
    with pytest.raises(BatchError) as caught:
        parse_header(bytes(MAX_WIRE_BYTES + 1))
    assert caught.value.reason is BatchFault.TOO_LARGE


def test_too_large_is_not_sealed(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="at most"):
        seal(replace(manifest, rows=bytes(MAX_WIRE_BYTES)), GATEWAY_KEY, SEALING_KEY.public_key)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0},
        {"number": 1 << 63},
        {"number": 1},
        {"previous": b""},
        {"previous": bytes(32)},
        {"ranges": ()},
        {"ranges": (RowRange(0, 1),)},
        {"ranges": (RowRange(1, 0),)},
        {"ranges": (RowRange(1, 2), RowRange(2, 1))},
        {"ranges": (RowRange(1, 8193),)},
        {"ranges": tuple(RowRange(2 * number + 1, 1) for number in range(65))},
        {"ranges": ((RowRange((1 << 63) - 1, 2)),)},
    ],
)
def test_manifest_refuses(manifest: Manifest, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(manifest, **change)


def test_link_is_half_a_hash() -> None:
    assert link(b"") == b""
    assert link(bytes(range(32))) == bytes(range(16))
    with pytest.raises(ValueError, match="32 bytes"):
        link(bytes(16))


def test_every_fault_has_a_sentence() -> None:
    assert all(fault.sentence.endswith(".") for fault in BatchFault)


def test_errors_do_not_tell_what_was_sealed(manifest: Manifest) -> None:
    wire = seal(manifest, SigningKey.generate(), SEALING_KEY.public_key)
    opened = open_batch(wire, parse_header(wire), SEALING_KEY)
    with pytest.raises(BatchError) as caught:
        verify(opened, GATEWAY_KEY.verify_key)
    text = f"{caught.value} {opened!r} {manifest!r}"
    assert manifest.rows.hex() not in text
    assert repr(manifest.rows) not in text
    assert KEYS["gateway_signing_private"] not in text
