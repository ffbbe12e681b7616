from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg
import pytest

from cloud_sync.errors import ServiceUnavailable
from cloud_sync.ingest import MAX_REFUSALS_PER_MINUTE, POISON, Ingest
from edge_codecs.batch import SealingPrivateKey, SigningKey
from edge_codecs.identifiers import GatewayId
from edge_codecs.receipt import Detail, Receipt, Verdict, verify_receipt
from edge_codecs.topics import uplink_topic
from tests.fakes.records import FakeRecords
from tests.fakes.uplinks import uplink
from tests.rig.gateway import WireGateway

SEALING, RECEIPTS = SealingPrivateKey.generate(1), SigningKey.generate()
NOW_MS = 1_790_000_000_000


@dataclass(frozen=True)
class Came:
    topic: str
    payload: bytes


@pytest.fixture
def records() -> FakeRecords:
    return FakeRecords()


@pytest.fixture
def ingest(records) -> Ingest:
    return Ingest(records, {1: SEALING}, RECEIPTS, lambda: NOW_MS)


def gateway(records: FakeRecords, number: int = 1) -> WireGateway:
    made = WireGateway(GatewayId(number.to_bytes(8, "big")), SEALING.public_key)
    records.register(made)
    return made


def came(sender: WireGateway, manifest=None) -> Came:
    return Came(uplink_topic(sender.id), sender.sealed(manifest or sender.batch([uplink(1)])))


def take(ingest: Ingest, *messages: Came) -> dict[GatewayId, Receipt]:
    receipts = [(r.gateway, verify_receipt(r.data, RECEIPTS.verify_key)) for r in ingest.take(messages)]
    assert all(gateway == receipt.gateway for gateway, receipt in receipts)
    assert len({(g, r.stream) for g, r in receipts}) == len(receipts), "one receipt a stream"
    return dict(receipts)


def test_many_batches_of_many_gateways_are_one_transaction_and_one_receipt_each(ingest, records):
    senders = [gateway(records, n) for n in range(1, 6)]
    messages = [came(sender) for _ in range(4) for sender in senders]
    receipts = take(ingest, *messages)
    assert records.transactions == 1
    assert len(records.stored) == 20
    for sender in senders:
        receipt = receipts[sender.id]
        assert (receipt.up_to, receipt.batch_hash) == (4, sender.hash)
        assert (receipt.verdict, receipt.stream) == (Verdict.STORED, sender.stream)
        assert receipt.receiver_time_ms == NOW_MS
    assert (ingest.tally.batches, ingest.tally.rows) == (20, 20)


def test_a_duplicate_is_confirmed_again_and_not_stored(ingest, records):
    sender = gateway(records)
    manifest = sender.batch([uplink(1)])
    take(ingest, came(sender, manifest))
    receipt = take(ingest, came(sender, manifest))[sender.id]
    assert (receipt.up_to, receipt.verdict, receipt.detail) == (1, Verdict.STORED, Detail.DUPLICATE)
    assert len(records.stored) == 1


def test_a_gap_asks_for_the_first_missing(ingest, records):
    sender = gateway(records)
    first, second = sender.batch([uplink(1)]), sender.batch([uplink(2)])
    receipt = take(ingest, came(sender, second))[sender.id]
    assert (receipt.up_to, receipt.verdict, receipt.batch) == (0, Verdict.RESEND, 2)
    receipt = take(ingest, came(sender, first))[sender.id]
    assert (receipt.up_to, receipt.verdict) == (2, Verdict.STORED)


def test_a_gap_that_the_same_micro_batch_closes_is_no_gap(ingest, records):
    sender = gateway(records)
    first, second = sender.batch([uplink(1)]), sender.batch([uplink(2)])
    receipt = take(ingest, came(sender, second), came(sender, first))[sender.id]
    assert (receipt.up_to, receipt.verdict) == (2, Verdict.STORED)


def test_a_refusal_goes_with_what_was_stored(ingest, records):
    sender = gateway(records)
    first = sender.batch([uplink(1)])
    forged = replace(sender.batch([uplink(2)]), previous=bytes(16))
    receipt = take(ingest, came(sender, first), came(sender, forged))[sender.id]
    assert (receipt.up_to, receipt.batch_hash) == (1, first.hash)
    assert (receipt.verdict, receipt.detail, receipt.batch) == (
        Verdict.REFUSED,
        Detail.CHAIN_BROKEN,
        2,
    )


def test_what_fails_a_check_is_quarantined_with_its_reason_and_others_go_on(ingest, records):
    good, bad = gateway(records, 1), gateway(records, 2)
    thief = replace(bad, signing_key=SigningKey.generate())
    unknown = WireGateway(GatewayId(bytes(8)), SEALING.public_key)
    receipts = take(
        ingest,
        came(thief),
        came(good),
        came(unknown),
        Came("clipr/v1/nobody/up", b"x"),
        Came(uplink_topic(bad.id), b"x"),
    )
    assert [batch.manifest.gateway for batch in records.stored] == [good.id]
    assert [(r.gateway, r.reason) for r in records.quarantine] == [
        (bad.id, "bad_signature"),
        (unknown.id, "unknown_gateway"),
        (None, "foreign_topic"),
        (bad.id, "bad_header"),
    ]
    assert receipts[good.id].verdict is Verdict.STORED
    for refused, detail in ((bad, Detail.BAD_SIGNATURE), (unknown, Detail.UNKNOWN_GATEWAY)):
        receipt = receipts[refused.id]
        assert (receipt.verdict, receipt.detail, receipt.up_to) == (Verdict.REFUSED, detail, 0)
    assert records.transactions == 1


def test_a_flood_of_refusals_is_counted_and_kept_in_part(ingest, records):
    bad, other = gateway(records, 1), gateway(records, 2)
    flood = [Came(uplink_topic(bad.id), bytes([n % 256, n // 256])) for n in range(500)]
    take(ingest, *flood, Came(uplink_topic(other.id), b"x"))
    assert [r.gateway for r in records.quarantine].count(bad.id) == MAX_REFUSALS_PER_MINUTE
    assert [r.gateway for r in records.quarantine].count(other.id) == 1
    assert (ingest.tally.refused, ingest.tally.refused_not_kept) == (501, 500 - MAX_REFUSALS_PER_MINUTE)


def test_a_database_that_is_away_keeps_everything_unanswered(ingest, records):
    sender = gateway(records)
    message = came(sender)
    records.away = 1
    with pytest.raises(ServiceUnavailable):
        ingest.take([message])
    assert records.stored == []
    assert take(ingest, message)[sender.id].up_to == 1


def test_a_batch_that_breaks_the_transaction_does_not_hold_up_the_others(ingest, records):
    senders = [gateway(records, n) for n in range(1, 9)]
    culprit = senders[5]
    culprit.number, culprit.hash = 98, bytes(32)  # its batch is number 99
    records.poison = {99}
    receipts = take(ingest, *[came(sender) for sender in senders])
    assert {batch.manifest.gateway for batch in records.stored} == {s.id for s in senders} - {culprit.id}
    assert [(r.gateway, r.reason) for r in records.quarantine] == [(culprit.id, POISON)]
    assert "batch 99" in records.quarantine[0].detail
    assert "OverflowError" in records.quarantine[0].detail
    receipt = receipts[culprit.id]
    assert (receipt.verdict, receipt.detail, receipt.batch) == (Verdict.REFUSED, Detail.OTHER, 99)
    assert all(receipts[s.id].verdict is Verdict.STORED for s in senders if s is not culprit)


@pytest.mark.parametrize("failure", [psycopg.errors.UndefinedFunction(), psycopg.errors.InternalError_()])
def test_a_broken_database_is_nobodys_poison(ingest, records, failure):
    """A missing table would else put every batch of every gateway into quarantine, one by one."""
    sender = gateway(records)
    records.poison, records.failure = {1}, failure
    with pytest.raises(type(failure)):
        ingest.take([came(sender)])
    assert records.quarantine == []


def test_a_newly_registered_gateway_is_known_at_once(ingest, records):
    sender = WireGateway(GatewayId(bytes(8)), SEALING.public_key)
    manifest = sender.batch([uplink(1)])
    assert take(ingest, came(sender, manifest))[sender.id].verdict is Verdict.REFUSED
    records.register(sender)
    assert take(ingest, came(sender, manifest))[sender.id].verdict is Verdict.STORED
    records.register(sender, revoked_at_ms=NOW_MS)
    receipt = take(ingest, came(sender))[sender.id]
    assert (receipt.verdict, receipt.detail) == (Verdict.REFUSED, Detail.REVOKED_GATEWAY)
