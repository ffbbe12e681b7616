"""The records in a real PostgreSQL: each reading once, in its tenant's rows, and nothing dropped silently."""

# ruff: noqa: F811  (fixtures are imported, and then named by arguments)

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice

import psycopg
import pytest
from psycopg.rows import dict_row

from cloud_sync.db import registry
from cloud_sync.db.connection import OPERATOR, RECEIVER, Scope, connect, transaction
from cloud_sync.db.records import Outcome, Records, Refused, Verified
from edge_codecs.batch import Lane, RowRange, link
from edge_codecs.clipr import Event, EventKind, History, HistoryInterval, ResetCause, Status, Undecoded
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality
from edge_codecs.rows import encode_rows
from tests.rig.batches import EPOCH, Gateway, dev_eui, gateway_id, register, report, steady, uplink, verified
from tests.rig.postgres import database, postgres  # noqa: F401

pytestmark = pytest.mark.slow


@pytest.fixture
def gateway() -> Gateway:
    return Gateway(1)


@pytest.fixture
def records(database: str, gateway: Gateway) -> Iterator[Records]:
    """Tenant a with gateway 1, devices 1 to 9."""
    register(database, "a", [gateway], range(1, 10))
    door = Records.connect(database)
    yield door
    door.close()


@pytest.fixture
def look(database: str) -> Iterator[Look]:
    with connect(database) as connection:
        yield Look(connection)


class Look:
    """What is in the tables, seen by the superuser."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def __call__(self, query: str) -> list[dict]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query).fetchall()

    def count(self, table: str) -> int:
        return self(f"SELECT count(*) FROM {table}")[0]["count"]

    def reasons(self) -> list[str]:
        return [row["reason"] for row in self("SELECT reason FROM quarantine ORDER BY id")]


def outcomes(records: Records, *batches: Verified) -> list[Outcome]:
    return [outcome.outcome for outcome in records.process(batches)]


# Exactly once by counting --------------------------------------------------------


def test_what_a_gateway_sent_is_in_the_records(records: Records, gateway: Gateway, look: Look) -> None:
    sent = uplink(1, 7, report((0, 5800, 6000, 5890), (2, -40, 25, 0)), EPOCH)
    (outcome,) = records.process([gateway.batch([sent])])

    assert (outcome.outcome, outcome.up_to, outcome.up_to_hash) == (Outcome.STORED, 1, gateway.hash)
    first, second = look("SELECT * FROM readings ORDER BY channel")
    assert (first["tenant"], first["dev_eui"], first["channel"]) == ("a", bytes(dev_eui(1)), 0)
    assert [str(first[name]) for name in ("minimum", "maximum", "last")] == ["58.00", "60.00", "58.90"]
    assert [str(second[name]) for name in ("minimum", "maximum", "last")] == ["-0.40", "0.25", "0.00"]
    assert (first["quantity"], first["unit"], first["interval_s"]) == ("temperature", "°C", 900)
    assert first["interval_end"] == EPOCH
    assert (first["historical"], first["from_history"]) == (False, False)
    (kept,) = look("SELECT * FROM uplinks")
    assert kept["payload"].hex() == "15006e038416a817701702ffd800190000"
    assert (kept["gateway"], kept["batch"], kept["row"]) == (bytes(gateway.id), 1, 1)
    assert (kept["rssi_dbm"], kept["snr_db"], kept["frequency_hz"]) == (-97, 7.5, 868_100_000)
    assert (kept["data_rate"], kept["codec"], kept["codec_version"]) == ("SF7BW125", "clipr", 1)
    (evidence,) = look("SELECT * FROM evidence")
    assert (evidence["tenant"], evidence["rows"]) == ("a", encode_rows([sent]))


def test_a_batch_sent_again_is_acknowledged_and_not_stored(
    records: Records, gateway: Gateway, look: Look
) -> None:
    batch = gateway.batch([uplink(1, 1)])
    assert outcomes(records, batch) == [Outcome.STORED]
    (again,) = records.process([batch])
    assert (again.outcome, again.up_to, again.up_to_hash) == (Outcome.DUPLICATE, 1, batch.hash)
    assert (look.count("uplinks"), look.count("readings"), look.count("batches")) == (1, 1, 1)


def test_the_same_batch_twice_in_one_transaction(records: Records, gateway: Gateway, look: Look) -> None:
    batch = gateway.batch([uplink(1, 1)])
    assert outcomes(records, batch, batch) == [Outcome.STORED, Outcome.DUPLICATE]
    assert look.count("uplinks") == 1


def test_early_batches_wait_for_the_missing_one(records: Records, gateway: Gateway, look: Look) -> None:
    first, second, third = (gateway.batch([uplink(1, n, at=EPOCH + n * QUARTER)]) for n in range(3))
    late = records.process([third, second])
    assert [o.outcome for o in late] == [Outcome.GAP, Outcome.GAP]
    assert {(o.up_to, o.up_to_hash, o.expected) for o in late} == {(0, b"", 1)}
    assert look.count("uplinks") == 0
    assert look.count("early_batches") == 2
    (outcome,) = records.process([first])
    assert (outcome.outcome, outcome.up_to, outcome.up_to_hash) == (Outcome.STORED, 3, third.hash)
    assert (look.count("uplinks"), look.count("early_batches")) == (3, 0)
    assert [(gap["first"], gap["closed_at"] is None) for gap in look("SELECT * FROM gaps")] == [(1, False)]
    assert look("SELECT rows_stored::text FROM streams") == [{"rows_stored": "{[1,4)}"}]
    assert outcomes(records, second, third) == [Outcome.DUPLICATE, Outcome.DUPLICATE]


def test_batches_out_of_order_in_one_transaction(records: Records, gateway: Gateway, look: Look) -> None:
    batches = [gateway.batch([uplink(1, n, at=EPOCH + n * QUARTER)]) for n in range(5)]
    assert outcomes(records, *reversed(batches)) == [Outcome.STORED] * 5
    assert look.count("readings") == 5


def test_early_batches_are_bounded(records: Records, gateway: Gateway, look: Look) -> None:
    first, *others = (gateway.batch([uplink(1, n, at=EPOCH + n * QUARTER)]) for n in range(70))
    assert outcomes(records, *others) == [Outcome.GAP] * 69
    assert look.count("early_batches") == 64
    (outcome,) = records.process([first])
    assert outcome.up_to == 65
    assert outcomes(records, *others[64:]) == [Outcome.STORED] * 5
    assert look.count("uplinks") == 70


def test_another_batch_of_a_stored_number_is_refused(records: Records, gateway: Gateway, look: Look) -> None:
    batch = gateway.batch([uplink(1, 1)])
    records.process([batch])
    other = verified(
        dataclasses.replace(batch.manifest, rows=encode_rows([uplink(1, 2)])), gateway.signing_key
    )
    (outcome,) = records.process([other])
    assert (outcome.outcome, outcome.reason, outcome.up_to) == (Outcome.REFUSED, "batch_conflict", 1)
    assert look.reasons() == ["batch_conflict"]
    records.process([other])
    assert look.reasons() == ["batch_conflict"], "the same content is kept once"
    assert look.count("uplinks") == 1


def test_a_broken_chain_is_refused(records: Records, gateway: Gateway, look: Look) -> None:
    records.process([gateway.batch([uplink(1, 1)])])
    batch = gateway.batch([uplink(1, 2)])
    forged = verified(dataclasses.replace(batch.manifest, previous=link(b"x" * 32)), gateway.signing_key)
    (outcome,) = records.process([forged])
    assert (outcome.outcome, outcome.reason) == (Outcome.REFUSED, "chain_broken")
    (entry,) = look("SELECT * FROM quarantine")
    assert entry["tenant"] is None
    assert entry["wire"] == forged.header + forged.signature + forged.manifest.rows
    assert outcomes(records, batch) == [Outcome.STORED]


def test_streams_of_one_gateway_are_apart(records: Records, gateway: Gateway, look: Look) -> None:
    second = Gateway(1)
    assert outcomes(records, gateway.batch([uplink(1, 1)]), second.batch([uplink(1, 2)])) == [
        Outcome.STORED,
        Outcome.STORED,
    ]
    assert look.count("streams") == 2


def test_rows_of_a_restored_store_are_not_doubled(records: Records, gateway: Gateway, look: Look) -> None:
    uplinks = [uplink(1, n, at=EPOCH + n * QUARTER) for n in range(3)]
    records.process([gateway.batch(uplinks)])
    restored = Gateway(1)  # a new stream of the same gateway
    assert outcomes(records, restored.batch([*uplinks, uplink(1, 3, at=EPOCH + 3 * QUARTER)])) == [
        Outcome.STORED
    ]
    assert (look.count("uplinks"), look.count("readings"), look.count("receptions")) == (4, 4, 0)
    assert look.reasons() == []


def test_an_unknown_and_a_revoked_gateway_are_refused(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
) -> None:
    (outcome,) = records.process([Gateway(77).batch([uplink(1, 1)])])
    assert (outcome.outcome, outcome.reason) == (Outcome.REFUSED, "gateway_unknown")
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.revoke_gateway(connection, gateway.id, datetime.now(UTC))
    (outcome,) = records.process([gateway.batch([uplink(1, 1)])])
    assert (outcome.outcome, outcome.reason) == (Outcome.REFUSED, "gateway_revoked")
    assert look.reasons() == ["gateway_unknown", "gateway_revoked"]


# Whose rows ----------------------------------------------------------------------


def test_rows_go_to_the_tenant_at_the_time_of_measuring(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
) -> None:
    change = EPOCH + timedelta(days=1)
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_tenant(connection, "b", "B")
        registry.assign(connection, gateway.id, "b", None, change)
        registry.assign(connection, dev_eui(1), "b", None, change)
    moment = timedelta(milliseconds=1)
    batch = gateway.batch(
        [
            uplink(1, 1, at=change - moment),
            uplink(1, 2, at=change),
            uplink(2, 1, at=change - moment),
            uplink(2, 2, at=change),  # device 2 still belongs to a, the gateway does not
        ]
    )
    assert outcomes(records, batch) == [Outcome.STORED]
    kept = [(r["tenant"], r["dev_eui"], r["f_cnt"]) for r in look("SELECT * FROM uplinks ORDER BY 1, 2, 4")]
    assert kept == [("a", bytes(dev_eui(1)), 1), ("a", bytes(dev_eui(2)), 1), ("b", bytes(dev_eui(1)), 2)]
    (refused,) = look("SELECT * FROM quarantine")
    assert (refused["reason"], refused["tenant"], refused["f_cnt"]) == ("tenant_mismatch", None, 2)
    assert (refused["row"], refused["payload"].hex()) == (4, "11006e038416a817701702")
    assert [e["tenant"] for e in look("SELECT tenant FROM evidence")] == [None]
    assert look("SELECT tenant, count(*) FROM readings GROUP BY 1 ORDER BY 1") == [
        {"tenant": "a", "count": 2},
        {"tenant": "b", "count": 1},
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (uplink(99, 1), "device_unassigned"),
        (uplink(1, 1, at=EPOCH - timedelta(days=400)), "gateway_unassigned"),
        (uplink(1, 1, quality=TimeQuality.UNKNOWN), "time_unknown"),
        (uplink(1, 1, at=datetime(1999, 1, 1, tzinfo=UTC)), "time_implausible"),
        (uplink(1, 1, at=datetime(2199, 1, 1, tzinfo=UTC)), "time_implausible"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_nobodys_goes_to_quarantine(
    records: Records, gateway: Gateway, look: Look, row: object, reason: str
) -> None:
    assert outcomes(records, gateway.batch([row, uplink(2, 1)])) == [Outcome.STORED]
    assert look.reasons() == [reason]
    assert look.count("uplinks") == 1


def test_an_assignment_counts_at_once(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
) -> None:
    records.process([gateway.batch([uplink(99, 1)])])
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_device(connection, dev_eui(99))
        registry.assign(connection, dev_eui(99), "a", None, EPOCH - timedelta(days=1))
    records.process([gateway.batch([uplink(99, 2)])])
    assert [row["f_cnt"] for row in look("SELECT f_cnt FROM uplinks")] == [2]


def test_many_tenants_in_one_transaction(records: Records, look: Look, database: str) -> None:
    batches, sent = [], {}
    for number in range(12):
        other = Gateway(100 + number)
        devices = range(1000 + 10 * number, 1010 + 10 * number)
        register(database, f"t{number}", [other], devices)
        batches.append(other.batch(list(islice(steady(devices, channels=1 + number % 3), 40))))
        sent[f"t{number}"] = 40 * (1 + number % 3)
    assert set(outcomes(records, *batches)) == {Outcome.STORED}
    kept = look("SELECT tenant, count(*) FROM readings GROUP BY tenant")
    assert {row["tenant"]: row["count"] for row in kept} == sent


# The same frame by several gateways ----------------------------------------------


@pytest.mark.parametrize("together", [True, False])
def test_a_frame_heard_twice_is_one_reading_and_two_receptions(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
    together: bool,
) -> None:
    second = Gateway(2)
    register_gateway(database, "a", second)
    later = timedelta(milliseconds=3)
    ours = gateway.batch([uplink(1, 1), uplink(2, 1)])
    theirs = second.batch([uplink(1, 1, at=EPOCH + later, rssi_dbm=-120), uplink(3, 1)])
    if together:
        assert outcomes(records, ours, theirs) == [Outcome.STORED, Outcome.STORED]
    else:
        assert outcomes(records, ours) + outcomes(records, theirs) == [Outcome.STORED, Outcome.STORED]
    assert (look.count("uplinks"), look.count("readings")) == (3, 3)
    (reception,) = look("SELECT * FROM receptions")
    (first,) = look("SELECT gateway FROM uplinks WHERE dev_eui = '\\x70b3d57ed0000001'")
    assert {bytes(reception["gateway"]), bytes(first["gateway"])} == {bytes(gateway.id), bytes(second.id)}
    assert look.reasons() == []


def test_another_payload_under_the_same_counter_is_a_conflict(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
) -> None:
    second = Gateway(2)
    register_gateway(database, "a", second)
    records.process([gateway.batch([uplink(1, 1)])])
    other = report((0, 100, 200, 150))
    assert outcomes(records, second.batch([uplink(1, 1, other, EPOCH + QUARTER)])) == [Outcome.STORED]
    (entry,) = look("SELECT * FROM quarantine")
    assert (entry["reason"], entry["tenant"], entry["f_cnt"]) == ("conflict", "a", 1)
    assert "11006e038416a817701702" in entry["detail"]
    assert look("SELECT last::text FROM readings") == [{"last": "58.90"}]
    assert look.count("receptions") == 0


def test_a_device_that_lost_its_counter_is_told_apart_by_session(
    records: Records, gateway: Gateway, look: Look
) -> None:
    records.process([gateway.batch([uplink(1, 1), uplink(1, 1, at=EPOCH + QUARTER, session=1)])])
    assert look.count("readings") == 2


# The same frame, or another life of the counter -----------------------------------

DAY = timedelta(days=1)


def lives(look: Look) -> list[tuple[int, int, datetime]]:
    """(session, counter, reception) of the uplinks."""
    rows = look("SELECT session, f_cnt, received_at FROM uplinks ORDER BY received_at, session, f_cnt")
    return [(row["session"], row["f_cnt"], row["received_at"]) for row in rows]


def told(look: Look) -> list[tuple[int, int, datetime]]:
    """(session, counter, end) of the readings."""
    rows = look("SELECT session, f_cnt, interval_end FROM readings ORDER BY interval_end, session, f_cnt")
    return [(row["session"], row["f_cnt"], row["interval_end"]) for row in rows]


@pytest.mark.parametrize("together", [True, False])
def test_a_counter_that_began_again_days_later_loses_nothing(
    records: Records, look: Look, together: bool
) -> None:
    """The gateway's card died, the device was added again: session 0 once more, same counter and payload."""
    before, after, last = (Gateway(1, bytes([n]) * 8) for n in (1, 2, 3))  # taken in this order
    first = before.batch([uplink(1, 1), uplink(1, 2, at=EPOCH + QUARTER)])
    second = after.batch([uplink(1, 1, at=EPOCH + DAY), uplink(1, 2, at=EPOCH + DAY + QUARTER)])
    third = last.batch([uplink(1, 1, report((0, 1, 2, 1)), at=EPOCH + 2 * DAY)])
    for batches in [[first, second, third]] if together else [[first], [second], [third]]:
        assert set(outcomes(records, *batches)) == {Outcome.STORED}
    expected = [
        (0, 1, EPOCH),
        (0, 2, EPOCH + QUARTER),
        (1, 1, EPOCH + DAY),
        (1, 2, EPOCH + DAY + QUARTER),
        (2, 1, EPOCH + 2 * DAY),
    ]
    assert lives(look) == told(look) == expected
    assert (look.count("receptions"), look.reasons()) == (0, [])


def test_a_renumbered_life_is_heard_by_a_further_gateway_and_brings_its_messages(
    records: Records, look: Look, database: str
) -> None:
    second = Gateway(2)
    register_gateway(database, "a", second)
    opened = Event(EventKind.CLIP_OPENED, 1, 5, None)
    base = EPOCH.replace(microsecond=0) + DAY
    again = [uplink(1, 1, opened, base), history(2, base, (1, 2), (3, 4))]
    records.process([Gateway(1).batch([uplink(1, 1), uplink(1, 2, at=EPOCH + QUARTER)])])
    records.process([Gateway(1).batch(again)])
    records.process([second.batch(again)])
    assert [(row["session"], row["f_cnt"]) for row in look("SELECT * FROM events")] == [(1, 1)]
    assert [(s, f) for s, f, _ in told(look)] == [(0, 1), (0, 2), (1, 2), (1, 2)]
    rows = look("SELECT session, f_cnt, gateway FROM receptions ORDER BY f_cnt")
    assert [(row["session"], row["f_cnt"], row["gateway"]) for row in rows] == [
        (1, 1, bytes(second.id)),
        (1, 2, bytes(second.id)),
    ]
    assert look.reasons() == []


@pytest.mark.parametrize("together", [True, False])
def test_two_gateways_that_number_sessions_otherwise_hear_one_frame(
    records: Records, gateway: Gateway, look: Look, database: str, together: bool
) -> None:
    second = Gateway(2)
    register_gateway(database, "a", second)
    slip = timedelta(seconds=2)
    ours = gateway.batch([uplink(1, 1), uplink(1, 2, at=EPOCH + QUARTER)])
    theirs = second.batch(
        [uplink(1, 1, at=EPOCH + slip, session=7), uplink(1, 2, at=EPOCH + QUARTER + slip, session=7)]
    )
    for batches in [[ours, theirs]] if together else [[ours], [theirs]]:
        assert set(outcomes(records, *batches)) == {Outcome.STORED}
    assert lives(look) == told(look) == [(0, 1, EPOCH), (0, 2, EPOCH + QUARTER)]
    rows = look("SELECT session, f_cnt, gateway FROM receptions ORDER BY f_cnt")
    assert [(row["session"], row["f_cnt"], row["gateway"]) for row in rows] == [
        (0, 1, bytes(second.id)),
        (0, 2, bytes(second.id)),
    ]
    assert look.reasons() == []


def test_lives_that_differ_in_payload_are_kept_however_near(
    records: Records, gateway: Gateway, look: Look
) -> None:
    """A device that joins twice within the hour sends its first counters twice."""
    records.process([gateway.batch([uplink(1, 0)])])
    records.process([gateway.batch([uplink(1, 0, report((0, 1, 2, 1)), EPOCH + QUARTER, session=1)])])
    assert lives(look) == [(0, 0, EPOCH), (1, 0, EPOCH + QUARTER)]
    assert look.reasons() == []


def test_sessions_are_remembered_by_tenant_and_device(records: Records, gateway: Gateway, look: Look) -> None:
    records.process([gateway.batch([uplink(1, 1), uplink(2, 1, session=4)])])
    records.process([gateway.batch([uplink(1, 9, at=EPOCH + DAY, session=1), uplink(1, 8, at=EPOCH + DAY)])])
    rows = look("SELECT tenant, dev_eui, session FROM device_sessions ORDER BY dev_eui, session")
    assert [tuple(row.values()) for row in rows] == [
        ("a", bytes(dev_eui(1)), 0),
        ("a", bytes(dev_eui(1)), 1),
        ("a", bytes(dev_eui(2)), 4),
    ]


def test_two_uplinks_of_one_interval_end_are_a_conflict(
    records: Records, gateway: Gateway, look: Look
) -> None:
    records.process([gateway.batch([uplink(1, 1), uplink(1, 2)])])
    assert (look.count("uplinks"), look.count("readings")) == (2, 1)
    assert look.reasons() == ["reading_conflict"]


def test_two_receivers_may_share_the_gateways(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
) -> None:
    """Overlapping radio cells, two receivers at once, everything sent twice: still each reading once."""
    gateways = [gateway, Gateway(2), Gateway(3)]
    for other in gateways[1:]:
        register_gateway(database, "a", other)
    uplinks = list(islice(steady(range(1, 10), channels=2), 900))
    batches = [g.batch(uplinks[n : n + 100]) for n in range(0, 900, 100) for g in gateways]
    doors = [records, Records.connect(database)]

    def receive(door: Records) -> None:
        for n in range(0, len(batches), 3):
            done = door.process(batches[n : n + 3])
            assert {o.outcome for o in done} <= {Outcome.STORED, Outcome.DUPLICATE, Outcome.GAP}

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(receive, doors))
    receive(doors[0])
    doors[1].close()
    assert (look.count("uplinks"), look.count("readings"), look.count("receptions")) == (900, 1800, 1800)
    assert look.reasons() == []
    assert {row["rows_stored"] for row in look("SELECT rows_stored::text FROM streams")} == {"{[1,901)}"}


# Events and history --------------------------------------------------------------


def test_events_and_other_messages(records: Records, gateway: Gateway, look: Look) -> None:
    flush = Event(EventKind.FLUSH_END, 0, 60, 5700, 180, 6000)
    opened = Event(EventKind.CLIP_OPENED, 1, 5, None)
    status = Status(ResetCause.POWER_ON, 2, (1, 4, 7), 110, 86_400, 900, 10, 0)
    riddle = Undecoded(99, b"\x10")
    rows = [
        uplink(1, n, m, EPOCH) for n, m in enumerate([flush, opened, status, riddle, report((0, 1, 2, 1))])
    ]
    assert outcomes(records, gateway.batch(rows, Lane.BACKLOG)) == [Outcome.STORED]
    first, second = look("SELECT * FROM events ORDER BY f_cnt")
    assert (first["kind"], first["duration_s"], str(first["extreme"])) == ("flush_end", 180, "60.00")
    assert first["occurred_at"] == EPOCH - timedelta(seconds=60)
    assert (second["kind"], second["temperature"], second["historical"]) == ("clip_opened", None, True)
    kept = look("SELECT f_port, encode(payload, 'hex') AS payload FROM uplinks ORDER BY f_cnt")
    assert [(row["f_port"], row["payload"]) for row in kept] == [
        (11, "1200003c164400b41770"),
        (11, "150100058000"),
        (12, "10020104076e000151800384000a00"),
        (99, "10"),
        (10, "11006e0384000100020001"),
    ]
    assert look("SELECT historical FROM readings") == [{"historical": True}]


def history(f_cnt: int, newest: datetime, *pairs: tuple[int, int], channel: int = 0) -> object:
    intervals = tuple(HistoryInterval(low, high) for low, high in pairs)
    message = History(channel, round(newest.timestamp()), 900, intervals)
    return uplink(1, f_cnt, message, newest + timedelta(minutes=1))


def test_history_fills_holes_and_doubles_nothing(records: Records, gateway: Gateway, look: Look) -> None:
    base = EPOCH.replace(microsecond=0)
    reports = [uplink(1, n, at=base + n * QUARTER) for n in (0, 1, 3)]  # 2 was lost on the air
    records.process([gateway.batch(reports)])
    slip = timedelta(seconds=4)  # the sensor's clock is not the gateway's
    told = history(4, base + 3 * QUARTER + slip, (1, 2), (3, 4), (5, 6), (7, 8), (9, 10))
    assert outcomes(records, gateway.batch([told])) == [Outcome.STORED]
    rows = look("SELECT * FROM readings ORDER BY interval_end")
    assert [(row["from_history"], row["interval_end"]) for row in rows] == [
        (True, base - QUARTER + slip),
        (False, base),
        (False, base + QUARTER),
        (True, base + 2 * QUARTER + slip),
        (False, base + 3 * QUARTER),
    ]
    assert [(str(r["minimum"]), r["last"], r["historical"]) for r in rows if r["from_history"]] == [
        ("0.09", None, True),
        ("0.03", None, True),
    ]


def test_a_report_that_comes_after_the_history_is_not_doubled(
    records: Records, gateway: Gateway, look: Look
) -> None:
    base = EPOCH.replace(microsecond=0)
    same = (5800, 6000)  # what our reports say
    records.process([gateway.batch([history(9, base + 2 * QUARTER, same, same, (5800, 6001))])])
    slip = timedelta(seconds=7)
    late = [uplink(1, n, at=base + n * QUARTER + slip) for n in range(5)]
    assert outcomes(records, gateway.batch(late, Lane.BACKLOG)) == [Outcome.STORED]
    rows = look("""SELECT from_history, f_cnt, last::text, interval_end, historical
                   FROM readings ORDER BY interval_end""")
    assert [tuple(row.values()) for row in rows] == [
        (True, 9, None, base, True),
        (False, 1, "58.90", base + QUARTER, True),
        (False, 2, "58.90", base + 2 * QUARTER, True),
        (False, 3, "58.90", base + 3 * QUARTER + slip, True),
        (False, 4, "58.90", base + 4 * QUARTER + slip, True),
    ]
    assert look.count("uplinks") == 6
    (entry,) = look("SELECT * FROM quarantine")
    assert (entry["reason"], entry["tenant"], entry["f_cnt"]) == ("reading_conflict", "a", 0)
    assert entry["detail"] == (
        "channel 0: stored with counter 9 (out of the sensor's memory), interval of 900 s, "
        "minimum 58.00, maximum 60.01, last ; this one of 900 s, minimum 58.00, maximum 60.00, last 58.90"
    )


def test_the_nearer_of_two_reports_completes_an_interval_and_none_is_lost(
    records: Records, gateway: Gateway, look: Look
) -> None:
    base = EPOCH.replace(microsecond=0)
    records.process([gateway.batch([history(9, base, (5800, 6000))])])
    near = timedelta(seconds=100)
    other = report((0, 5800, 6000, 5950))
    records.process([gateway.batch([uplink(1, 10, at=base + near), uplink(1, 11, other, base - 2 * near)])])
    rows = look("SELECT f_cnt, historical, from_history, interval_end FROM readings ORDER BY interval_end")
    assert [tuple(row.values()) for row in rows] == [
        (11, False, False, base - 2 * near),
        (10, False, False, base),
    ]
    assert look.reasons() == []


def test_a_report_that_says_otherwise_at_the_same_moment_is_kept_for_a_person(
    records: Records, gateway: Gateway, look: Look
) -> None:
    base = EPOCH.replace(microsecond=0)
    records.process([gateway.batch([history(9, base, (5700, 6000)), uplink(1, 10, at=base - DAY)])])
    records.process([gateway.batch([uplink(1, 11, at=base), uplink(1, 12, at=base - DAY)])])
    rows = look("SELECT f_cnt, from_history FROM readings ORDER BY interval_end")
    assert [tuple(row.values()) for row in rows] == [(10, False), (9, True)]
    kept = look("SELECT reason, f_cnt FROM quarantine ORDER BY f_cnt")
    assert [tuple(row.values()) for row in kept] == [("reading_conflict", 11), ("reading_conflict", 12)]


def test_a_report_in_the_records_is_not_changed_even_by_the_receiver(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    records.process([gateway.batch([uplink(1, 1)])])
    with connect(database, RECEIVER) as connection:
        with transaction(connection, tenant="a"):
            assert connection.execute("UPDATE readings SET last = 0").rowcount == 0
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            connection.transaction(),
        ):
            connection.execute("UPDATE readings SET minimum = 0")
    assert look("SELECT last::text FROM readings") == [{"last": "58.90"}]


def test_history_twice_in_one_transaction_and_by_two_gateways(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
) -> None:
    second = Gateway(2)
    register_gateway(database, "a", second)
    first = history(1, EPOCH, (1, 2), (3, 4))
    again = history(2, EPOCH + QUARTER, (8, 9), (1, 2), (3, 4))
    records.process([gateway.batch([first, again]), second.batch([first])])
    assert look.count("readings") == 3
    assert look.count("receptions") == 1


@pytest.fixture
def moved(records: Records, database: str) -> datetime:
    """When device 1 and gateway 1 went from a to b."""
    change = EPOCH.replace(microsecond=0)
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_tenant(connection, "b", "B")
        registry.assign(connection, gateway_id(1), "b", None, change)
        registry.assign(connection, dev_eui(1), "b", None, change)
    return change


def test_a_sensors_memory_never_shows_one_tenants_time_to_another(
    records: Records, gateway: Gateway, look: Look, moved: datetime
) -> None:
    straddling = history(1, moved + QUARTER, (1, 2), (3, 4), (5, 6))
    own = history(2, moved + 3 * QUARTER, (7, 8), (9, 10), (11, 12), (13, 14))
    late = Event(EventKind.ABOVE_UPPER_LIMIT, 0, 3600, 6100)
    batch = gateway.batch([straddling, own, uplink(1, 3, late, moved + QUARTER)])
    assert outcomes(records, batch) == [Outcome.STORED]
    assert look("SELECT tenant, f_cnt FROM uplinks") == [{"tenant": "b", "f_cnt": 2}]
    rows = look("SELECT tenant, interval_end FROM readings ORDER BY interval_end")
    assert [(row["tenant"], row["interval_end"]) for row in rows] == [
        ("b", moved + n * QUARTER) for n in range(4)
    ]
    assert look.count("events") == 0
    kept = look("SELECT tenant, reason, f_cnt, payload IS NOT NULL AS whole FROM quarantine ORDER BY f_cnt")
    assert [tuple(row.values()) for row in kept] == [
        (None, "other_tenancy", 1, True),
        (None, "other_tenancy", 3, True),
    ]
    assert look("SELECT tenant FROM evidence") == [{"tenant": None}]


def test_what_a_sensor_measured_before_it_was_anybodys_is_left_out(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    base = EPOCH.replace(microsecond=0)
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_device(connection, dev_eui(99))
        registry.assign(connection, dev_eui(99), "a", None, base)
    told = History(0, round(base.timestamp()), 900, (HistoryInterval(1, 2), HistoryInterval(3, 4)))
    early = Event(EventKind.CLIP_OPENED, 1, 3600, None)
    later = base + QUARTER
    records.process([gateway.batch([uplink(99, 1, told, later), uplink(99, 2, early, later)])])
    assert [row["interval_end"] for row in look("SELECT interval_end FROM readings")] == [base]
    assert (look.count("uplinks"), look.count("events")) == (2, 0)
    kept = look("SELECT tenant, reason, f_cnt FROM quarantine ORDER BY f_cnt")
    assert [tuple(row.values()) for row in kept] == [("a", "part_unassigned", 1), ("a", "part_unassigned", 2)]


def test_implausible_history_is_kept_as_an_uplink_only(
    records: Records, gateway: Gateway, look: Look
) -> None:
    message = History(0, 100, 900, (HistoryInterval(1, 2),))
    records.process([gateway.batch([uplink(1, 1, message)])])
    assert (look.count("uplinks"), look.count("readings")) == (1, 0)
    (entry,) = look("SELECT * FROM quarantine")
    assert (entry["reason"], entry["tenant"]) == ("history_implausible", "a")


# What goes wrong -----------------------------------------------------------------


def test_refused_messages_are_kept_once_each(records: Records, gateway: Gateway, look: Look) -> None:
    forged = Refused(gateway.id, "bad_signature", "nobody we know \0", b"wire", 1_760_000_000_000)
    nobody = Refused(None, "foreign_topic", "x/y", b"wire", 1_760_000_000_000)
    assert records.process([gateway.batch([uplink(1, 1)])], [forged, nobody, forged])[0].up_to == 1
    records.process([], [forged])
    assert look.reasons() == ["bad_signature", "foreign_topic"]
    assert look.count("uplinks") == 1


def test_a_batch_that_no_table_can_hold_does_not_stop_the_others(
    records: Records, gateway: Gateway, look: Look
) -> None:
    good, bad, next_one = (gateway.batch([uplink(1, n, at=EPOCH + n * QUARTER)]) for n in range(3))
    columns = dataclasses.replace(bad.columns, rssi_dbm=[1 << 20])
    poison = Verified(bad.manifest, bad.header, bad.signature, columns, bad.received_ms)
    assert outcomes(records, good, poison, next_one) == [Outcome.STORED] * 3
    assert look.count("uplinks") == 2
    assert look.reasons() == ["cannot_store"]
    assert look.count("evidence") == 3


def test_a_value_that_only_the_database_refuses(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
) -> None:
    """It is found by taking the batches one by one, and keeps nobody waiting."""
    with connect(database) as connection:
        connection.execute("ALTER TABLE uplinks ADD CHECK (rssi_dbm <> -101)")
    rows = [uplink(1, n, at=EPOCH + n * QUARTER, rssi_dbm=-100 - n) for n in range(3)]
    batches = [gateway.batch([row]) for row in rows]
    assert outcomes(records, *batches) == [Outcome.STORED] * 3
    assert [row["f_cnt"] for row in look("SELECT f_cnt FROM uplinks ORDER BY 1")] == [0, 2]
    assert look.reasons() == ["cannot_store"]
    assert (look.count("evidence"), look.count("batches")) == (3, 3)


def test_submitted_transactions_follow_each_other(records: Records, gateway: Gateway, look: Look) -> None:
    batches = [gateway.batch([uplink(1, n, at=EPOCH + n * QUARTER)]) for n in range(20)]
    futures = [records.submit([batch]) for batch in batches]
    assert [future.result()[0].up_to for future in futures] == list(range(1, 21))
    assert look.count("uplinks") == 20


QUARTER = timedelta(minutes=15)


def register_gateway(dsn: str, tenant: str, gateway: Gateway) -> None:
    with connect(dsn, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_gateway(connection, gateway.id, gateway.signing_key.verify_key.raw)
        registry.assign(connection, gateway.id, tenant, None, EPOCH - timedelta(days=365))


def test_rows_keep_their_ranges(records: Records, gateway: Gateway, look: Look) -> None:
    """Live rows go ahead of the backlog: what is missing in between shows until it comes."""
    rows = [uplink(1, n, at=EPOCH + n * QUARTER) for n in range(30)]
    gateway.row = 21
    records.process([gateway.batch(rows[20:])])
    assert look("SELECT rows_stored::text FROM streams") == [{"rows_stored": "{[21,31)}"}]
    gateway.row = 1
    records.process([gateway.batch(rows[:20], Lane.BACKLOG)])
    assert look("SELECT rows_stored::text FROM streams") == [{"rows_stored": "{[1,31)}"}]
    assert RowRange(1, 20).last == 20
    assert look("SELECT historical, count(*) FROM uplinks GROUP BY 1 ORDER BY 1") == [
        {"historical": False, "count": 10},
        {"historical": True, "count": 20},
    ]
    assert DevEUI(bytes(look("SELECT dev_eui FROM uplinks LIMIT 1")[0]["dev_eui"])) == dev_eui(1)
