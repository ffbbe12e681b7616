from __future__ import annotations

import os
from dataclasses import dataclass, replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.admission import FOREIGN_TOPIC, Admitted, NotAdmitted, admit
from edge_codecs.batch import MAX_WIRE_BYTES, SealingPrivateKey, SigningKey, parse_header
from edge_codecs.faults import BatchFault
from edge_codecs.identifiers import GatewayId
from edge_codecs.topics import receipt_topic, uplink_topic
from tests.fakes.uplinks import uplink
from tests.rig.gateway import WireGateway

NOW_MS = 1_790_000_000_000
SEALING = SealingPrivateKey.generate(7)
KEYS = {7: SEALING}


@dataclass(frozen=True)
class Known:
    verify_key_raw: bytes
    revoked_at_ms: int | None = None


def gateway(number: int = 1) -> WireGateway:
    return WireGateway(GatewayId(number.to_bytes(8, "big")), SEALING.public_key)


def judge(
    sender: WireGateway,
    wire: bytes,
    topic: str | None = None,
    keys=KEYS,
    revoked_at_ms: int | None = None,
    known: bool = True,
):
    raw = sender.signing_key.verify_key.raw
    gateways = {sender.id: Known(raw, revoked_at_ms)} if known else {}
    return admit(topic or uplink_topic(sender.id), wire, gateways, keys, NOW_MS)


def test_a_right_batch_is_admitted_with_its_evidence():
    sender = gateway()
    uplinks = [uplink(n) for n in range(50)]
    manifest = sender.batch(uplinks)
    wire = sender.sealed(manifest)
    outcome = judge(sender, wire)
    assert isinstance(outcome, Admitted)
    assert outcome.manifest == manifest
    assert outcome.columns.uplinks() == uplinks
    assert wire.startswith(outcome.header)
    assert len(outcome.signature) == 64


def refused(outcome, fault: BatchFault) -> NotAdmitted:
    assert isinstance(outcome, NotAdmitted)
    assert outcome.reason == fault.value
    assert outcome.fault is fault
    assert outcome.detail
    return outcome


def test_size_comes_first():
    sender = gateway()
    outcome = judge(sender, bytes(MAX_WIRE_BYTES + 1), topic="somewhere/else")
    refused(outcome, BatchFault.TOO_LARGE)


@pytest.mark.parametrize(
    "topic",
    ["", "clipr/v1/0000000000000001/up/x", "clipr/v1/000000000000000A/up", "clipr/v2/0000000000000001/up"],
)
def test_a_topic_that_is_no_gateways_is_foreign(topic):
    sender = gateway()
    outcome = admit(topic, sender.sealed(sender.batch([uplink(1)])), {}, KEYS, NOW_MS)
    assert isinstance(outcome, NotAdmitted)
    assert (outcome.gateway, outcome.reason, outcome.fault) == (None, FOREIGN_TOPIC, None)


def test_another_topic_of_the_gateway_is_foreign_too():
    sender = gateway()
    wire = sender.sealed(sender.batch([uplink(1)]))
    outcome = judge(sender, wire, topic=receipt_topic(sender.id))
    assert isinstance(outcome, NotAdmitted)
    assert outcome.reason == FOREIGN_TOPIC


def test_who_it_is_is_the_topic_never_the_header():
    sender, other = gateway(1), gateway(2)
    wire = sender.sealed(sender.batch([uplink(1)]))
    outcome = refused(judge(sender, wire, topic=uplink_topic(other.id)), BatchFault.WRONG_GATEWAY)
    assert outcome.gateway == other.id
    assert outcome.header is None  # nobody is answered


def test_unknown_and_revoked_gateways_are_refused_before_their_seal_is_opened():
    sender = gateway()
    wire = sender.sealed(sender.batch([uplink(1)]))
    spoilt = wire[:-1] + bytes([wire[-1] ^ 1])  # would not open
    refused(judge(sender, spoilt, known=False), BatchFault.UNKNOWN_GATEWAY)
    refused(judge(sender, spoilt, revoked_at_ms=NOW_MS), BatchFault.REVOKED_GATEWAY)
    assert isinstance(judge(sender, wire, revoked_at_ms=NOW_MS + 1), Admitted)


def test_a_key_that_is_not_at_hand():
    sender = gateway()
    wire = sender.sealed(sender.batch([uplink(1)]))
    outcome = refused(judge(sender, wire, keys={}), BatchFault.UNKNOWN_KEY)
    assert outcome.header == parse_header(wire)


def test_another_key_under_the_same_number_does_not_open():
    sender = gateway()
    wire = sender.sealed(sender.batch([uplink(1)]))
    refused(judge(sender, wire, keys={7: SealingPrivateKey.generate(7)}), BatchFault.CANNOT_OPEN)


def test_a_signature_by_another_key():
    sender = gateway()
    manifest = sender.batch([uplink(1)])
    thief = replace(sender, signing_key=SigningKey.generate())
    refused(judge(sender, thief.sealed(manifest)), BatchFault.BAD_SIGNATURE)


def test_rows_that_are_no_rows():
    sender = gateway()
    refused(judge(sender, sender.sealed(sender.raw_batch(b"\x00garbage", 3))), BatchFault.BAD_ROWS)


def test_a_signed_bomb_is_not_unpacked():
    sender = gateway()
    packed = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))
    for head in (b"\x00", b"\x01", b"\x02", b"\x03"):  # whichever means "compressed"
        outcome = judge(sender, sender.sealed(sender.raw_batch(head + packed, 10)))
        assert isinstance(outcome, NotAdmitted)
        assert outcome.fault in (BatchFault.BOMB, BatchFault.BAD_ROWS)


def test_every_altered_byte_of_the_header_is_noticed():
    sender = gateway()
    wire = sender.sealed(sender.batch([uplink(1)]))
    outcome = judge(sender, wire)
    assert isinstance(outcome, Admitted)
    for place in range(len(outcome.header)):
        for bit in range(8):
            altered = bytearray(wire)
            altered[place] ^= 1 << bit
            assert isinstance(judge(sender, bytes(altered)), NotAdmitted)


@given(st.binary(max_size=400), st.sampled_from(["", "clipr/v1/0000000000000001/up"]))
def test_whatever_comes_it_is_a_verdict(wire, topic):
    assert isinstance(admit(topic, wire, {}, KEYS, NOW_MS), NotAdmitted)


@given(st.data())
def test_whatever_is_done_to_a_batch_it_is_a_verdict(data):
    sender = gateway()
    wire = bytearray(sender.sealed(sender.batch([uplink(1), uplink(2)])))
    start = data.draw(st.integers(0, len(wire)))
    end = data.draw(st.integers(start, len(wire)))
    wire[start:end] = data.draw(st.binary(max_size=40))
    assert isinstance(judge(sender, bytes(wire)), Admitted | NotAdmitted)


def test_a_hole_in_our_own_checks_is_quarantined_not_raised():
    class Broken(dict):
        def get(self, *_):
            raise RuntimeError("boom")

    sender = gateway()
    wire = sender.sealed(sender.batch([uplink(1)]))
    outcome = admit(uplink_topic(sender.id), wire, Broken(), KEYS, NOW_MS)
    assert isinstance(outcome, NotAdmitted)
    assert (outcome.reason, outcome.fault) == ("broken", None)
    assert outcome.detail.startswith("RuntimeError in get, line ")
    assert "boom" not in outcome.detail  # it could be part of a payload, and this is logged


def test_random_bytes_on_a_known_topic_have_no_header_to_answer():
    sender = gateway()
    outcome = refused(judge(sender, os.urandom(300)), BatchFault.BAD_HEADER)
    assert outcome.header is None
