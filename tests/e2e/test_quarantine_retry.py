"""Rows of nobody, placed again in a real PostgreSQL once the assignments are right."""

# ruff: noqa: F811  (fixtures are imported, and then named by arguments)

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from cloud_sync.db import registry, tenant_rows
from cloud_sync.db import retry as retrying
from cloud_sync.db.connection import OPERATOR, RECEIVER, Scope, connect, transaction
from cloud_sync.db.placement import Refusal
from cloud_sync.db.records import Records
from cloud_sync.db.retry import Retried, retry
from cloud_sync.db.tenant_rows import NotNew
from cloud_sync.errors import ConfigurationError
from edge_codecs.batch import Lane
from edge_codecs.clipr import Event, EventKind, History, HistoryInterval
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.reading import TimeQuality
from tests.rig.batches import EPOCH, NOW_MS, Gateway, dev_eui, register, report, uplink
from tests.rig.postgres import database, postgres  # noqa: F401

pytestmark = pytest.mark.slow

YEAR = timedelta(days=365)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
Look = Callable[[str], list[dict[str, Any]]]
STATE = ("uplinks", "receptions", "readings", "events", "evidence", "quarantine", "batches", "history_spans")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway(1)


@pytest.fixture
def records(database: str, gateway: Gateway) -> Iterator[Records]:
    """Tenant a with gateway 1 and device 1; devices 50 to 59 are nobody's."""
    register(database, "a", [gateway], [1])
    with connect(database, RECEIVER) as connection:
        door = Records(connection, lambda: NOW_MS)
        yield door
        door.close()


@pytest.fixture
def look(database: str) -> Iterator[Look]:
    """What is in the tables, seen by the superuser."""
    with connect(database) as connection:

        def ask(query: str) -> list[dict[str, Any]]:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(query.encode()).fetchall()

        yield ask


def assign(
    dsn: str, thing: DevEUI | GatewayId, tenant: str = "a", since: datetime = EPOCH - YEAR, new: bool = True
) -> None:
    with connect(dsn, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        if new and isinstance(thing, DevEUI):
            registry.add_device(connection, thing)
        registry.assign(connection, thing, tenant, None, since)


def state(look: Look) -> dict[str, list[dict[str, Any]]]:
    """Everything but when it was stored."""
    return {
        table: sorted(
            ({k: v for k, v in row.items() if k not in ("stored_at", "settled_at", "id")} for row in rows),
            key=repr,
        )
        for table in STATE
        for rows in [look(f"SELECT * FROM {table}")]
    }


def messages(device: int) -> list[Any]:
    """One of each kind, with radio data of their own."""
    end_s = round(EPOCH.timestamp()) - 7200
    history = History(1, end_s, 3600, (HistoryInterval(5000, 5500), HistoryInterval(4900, 5400)))
    event = Event(EventKind.FLUSH_END, 0, 60, 6000, 300, 6100)
    return [
        uplink(device, 1, report((0, 5800, 6000, 5890), (2, -40, 25, 0)), EPOCH, rssi_dbm=-71),
        uplink(device, 2, history, EPOCH + MINUTE, rssi_dbm=-72),
        uplink(device, 3, event, EPOCH + 2 * MINUTE, rssi_dbm=-73),
    ]


def test_rows_of_a_device_that_was_assigned_late_become_what_they_would_have_been(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    """Compared with the same rows of a device that was assigned in time, in every column."""
    batch = [row for pair in zip(messages(1), messages(50), strict=True) for row in pair]
    records.process([gateway.batch(batch, Lane.BACKLOG)])
    assert len(look("SELECT FROM quarantine")) == 3
    assign(database, dev_eui(50))

    assert retry(database, NOW_MS) == Retried(3)

    for table in ("uplinks", "readings", "events"):
        by_device: dict[bytes, list[dict[str, Any]]] = {}
        for row in look(f"SELECT * FROM {table} ORDER BY f_cnt, 1, 2, 3, 4, 5"):
            row.pop("stored_at", None)
            if "row" in row:
                row["row"] = (row["row"] + 1) // 2
            by_device.setdefault(row.pop("dev_eui"), []).append(row)
        assert by_device[bytes(dev_eui(50))] == by_device[bytes(dev_eui(1))], table
    assert {row["settled_at"] is None for row in look("SELECT settled_at FROM quarantine")} == {False}
    assert len(look("SELECT FROM evidence")) == 1


def test_twice_is_once(records: Records, gateway: Gateway, look: Look, database: str) -> None:
    records.process([gateway.batch(messages(50))])
    assign(database, dev_eui(50))
    assert retry(database, NOW_MS).placed == 3
    before = state(look)
    assert retry(database, NOW_MS) == Retried()
    assert state(look) == before


def test_what_was_settled_by_hand_into_open_again_doubles_nothing(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    records.process([gateway.batch(messages(50))])
    assign(database, dev_eui(50))
    retry(database, NOW_MS)
    before = state(look)
    look("UPDATE quarantine SET settled_at = NULL RETURNING id")
    assert retry(database, NOW_MS).placed == 3
    assert state(look) == before


def test_what_is_still_nobodys_stays_open(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    records.process(
        [gateway.batch([uplink(50, 1), uplink(51, 1), uplink(1, 1, quality=TimeQuality.UNKNOWN)])]
    )
    assign(database, dev_eui(50), since=EPOCH + DAY)  # later than the row
    before = state(look)
    done = retry(database, NOW_MS)
    assert (done.placed, done.open) == (0, {"device_unassigned": 2, "time_unknown": 1})
    assert state(look) == before
    assert {row["settled_at"] for row in look("SELECT settled_at FROM quarantine")} == {None}

    assign(database, dev_eui(50), since=EPOCH - DAY, new=False)  # the same assignment, but from earlier on
    assert retry(database, NOW_MS).placed == 1


def test_an_assignment_begins_earlier_only_where_nobody_had_the_device(
    records: Records, database: str, look: Look
) -> None:
    register(database, "b", [], [])
    assign(database, dev_eui(50), "b", EPOCH)
    assign(database, dev_eui(50), "a", EPOCH + DAY)
    with pytest.raises(ConfigurationError, match="later"):
        assign(database, dev_eui(50), "a", EPOCH + DAY / 2)  # b has it then
    assign(database, dev_eui(50), "b", EPOCH - DAY)
    kept = look("SELECT tenant, lower(during) AS since, upper(during) AS until FROM device_assignments")
    assert [(r["tenant"], r["since"], r["until"]) for r in kept if r["since"] >= EPOCH - DAY] == [
        ("a", EPOCH + DAY, None),
        ("b", EPOCH - DAY, EPOCH + DAY),
    ]


def test_of_one_reason_and_one_device(records: Records, gateway: Gateway, look: Look, database: str) -> None:
    stranger = Gateway(2)
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_gateway(connection, stranger.id, stranger.signing_key.verify_key.raw)
    records.process([gateway.batch([uplink(50, 1), uplink(51, 1)]), stranger.batch([uplink(1, 1)])])
    for thing in (dev_eui(50), dev_eui(51), stranger.id):
        assign(database, thing)
    assert retry(database, NOW_MS, device=dev_eui(50)) == Retried(1)
    assert retry(database, NOW_MS, reason=Refusal.GATEWAY_UNASSIGNED) == Retried(1)
    assert retry(database, NOW_MS, reason=Refusal.GATEWAY_UNASSIGNED) == Retried()
    assert retry(database, NOW_MS) == Retried(1)


def test_a_row_that_is_refused_for_another_reason_is_a_new_entry(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    register(database, "b", [], [])
    records.process([gateway.batch([uplink(50, 1)])])
    assign(database, dev_eui(50), "b")
    for _ in range(2):
        done = retry(database, NOW_MS)
        assert (done.placed, done.open) == (0, {"tenant_mismatch": 1})
        entries = look("SELECT * FROM quarantine ORDER BY id")
        assert [(e["reason"], e["settled_at"] is None) for e in entries] == [
            ("device_unassigned", False),
            ("tenant_mismatch", True),
        ]
        same = ("gateway", "stream", "batch", "row", "dev_eui", "f_cnt", "received_at", "payload", "tenant")
        assert len({tuple(e[name] for name in same) for e in entries}) == 1


def test_a_frame_that_another_gateway_brought_meanwhile_is_heard_by_two(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    stranger = Gateway(2)
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_gateway(connection, stranger.id, stranger.signing_key.verify_key.raw)
    records.process([stranger.batch([uplink(1, 1, rssi_dbm=-50)])])
    records.process([gateway.batch([uplink(1, 1, rssi_dbm=-60)])])
    assign(database, stranger.id)
    assert retry(database, NOW_MS).placed == 1
    assert [row["rssi_dbm"] for row in look("SELECT rssi_dbm FROM uplinks")] == [-60]
    assert [row["rssi_dbm"] for row in look("SELECT rssi_dbm FROM receptions")] == [-50]
    assert len(look("SELECT FROM readings")) == 1


def test_beside_a_receiver_that_takes_the_same_frames(
    records: Records, gateway: Gateway, look: Look, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "MOST_ROWS", 20)
    stranger = Gateway(2)
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_gateway(connection, stranger.id, stranger.signing_key.verify_key.raw)
    frames = [uplink(1, n, at=EPOCH + n * MINUTE) for n in range(200)]
    records.process([stranger.batch(frames)])
    assign(database, stranger.id)
    with ThreadPoolExecutor(1) as pool:
        retried = pool.submit(retry, database, NOW_MS)
        for begin in range(0, 200, 10):
            records.process([gateway.batch(frames[begin : begin + 10])])
        assert retried.result() == Retried(200)
    for table in ("uplinks", "receptions", "readings"):
        counted = look(f"SELECT f_cnt, count(*) FROM {table} GROUP BY 1 ORDER BY 1")
        assert [(row["f_cnt"], row["count"]) for row in counted] == [(n, 1) for n in range(200)], table
    assert look("SELECT FROM quarantine WHERE settled_at IS NULL") == []


@pytest.mark.parametrize("trouble", [NotNew(["a"]), psycopg.errors.DeadlockDetected()])
def test_who_was_in_anothers_way_begins_again(
    records: Records,
    gateway: Gateway,
    look: Look,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
) -> None:
    records.process([gateway.batch(messages(50))])
    assign(database, dev_eui(50))
    insert, troubles = tenant_rows.insert_careful, [trouble]

    def insert_after_trouble(*arguments: Any) -> bool:
        met = insert(*arguments)
        if troubles:
            raise troubles.pop()
        return met

    monkeypatch.setattr(tenant_rows, "insert_careful", insert_after_trouble)
    assert retry(database, NOW_MS) == Retried(3)
    assert len(look("SELECT FROM uplinks")) == 3
    assert troubles == []


def test_a_contradiction_is_the_tenants_quarantine(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    stranger = Gateway(2)
    with connect(database, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_gateway(connection, stranger.id, stranger.signing_key.verify_key.raw)
    records.process([stranger.batch([uplink(1, 1, report((0, 1, 3, 2)))])])
    records.process([gateway.batch([uplink(1, 1)])])
    assign(database, stranger.id)
    assert retry(database, NOW_MS).placed == 1
    open_ones = look("SELECT reason, tenant FROM quarantine WHERE settled_at IS NULL")
    assert open_ones == [{"reason": "conflict", "tenant": "a"}]
    assert retry(database, NOW_MS) == Retried()


def test_more_ranges_than_a_batch_has_and_more_rows_than_one_transaction(
    records: Records, gateway: Gateway, look: Look, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "MOST_ROWS", 70)
    rows = [uplink(1 if n % 2 else 50, n, at=EPOCH + n * MINUTE) for n in range(300)]
    records.process([gateway.batch(rows)])
    assign(database, dev_eui(50))
    assert retry(database, NOW_MS) == Retried(150)
    assert [row["f_cnt"] for row in look("SELECT f_cnt FROM uplinks ORDER BY 1")] == list(range(300))
    assert [row["row"] for row in look('SELECT "row" FROM uplinks ORDER BY f_cnt')] == list(range(1, 301))
    assert len(look("SELECT FROM readings")) == 300


def test_a_value_that_the_database_refuses_keeps_nobody_waiting(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    with connect(database) as connection:
        connection.execute("ALTER TABLE uplinks ADD CHECK (rssi_dbm <> -101)")
    records.process(
        [gateway.batch([uplink(50, n, at=EPOCH + n * MINUTE, rssi_dbm=-100 - n)]) for n in range(3)]
    )
    assign(database, dev_eui(50))
    done = retry(database, NOW_MS)
    assert (done.placed, done.open) == (2, {"cannot_store": 1})
    assert [row["f_cnt"] for row in look("SELECT f_cnt FROM quarantine WHERE settled_at IS NULL")] == [1]


def test_evidence_that_was_altered_is_not_taken(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    records.process([gateway.batch([uplink(50, 1)])])
    other = Gateway(1).batch([uplink(50, 1, report((0, 1, 3, 2)))])
    with connect(database) as connection:
        connection.execute("UPDATE evidence SET rows = %s", (other.manifest.rows,))
    assign(database, dev_eui(50))
    done = retry(database, NOW_MS)
    assert (done.placed, done.open) == (0, {"no_evidence": 1})
    assert look("SELECT FROM uplinks") == []


def test_nothing_is_settled_if_the_transaction_does_not_end(
    records: Records, gateway: Gateway, look: Look, database: str
) -> None:
    """Settling is the last statement: what fails there takes the records with it."""
    records.process([gateway.batch(messages(50))])
    assign(database, dev_eui(50))
    before = state(look)
    with connect(database) as connection:
        connection.execute(
            """CREATE FUNCTION clipr.break() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = 'internal_error'; END $$;
               CREATE TRIGGER break BEFORE UPDATE ON quarantine EXECUTE FUNCTION clipr.break()"""
        )
    with pytest.raises(psycopg.errors.InternalError):
        retry(database, NOW_MS)
    assert state(look) == before


def test_it_takes_both_roles(records: Records, database: str, postgres: Any) -> None:
    with connect(database) as connection:
        for name in (OPERATOR, RECEIVER):
            login = f"only_{name}"
            connection.execute(f"CREATE ROLE {login} LOGIN".encode())
            connection.execute(f"GRANT {name} TO {login}".encode())
    try:
        for name in (OPERATOR, RECEIVER):
            with pytest.raises(ConfigurationError):
                retry(database.replace("user=postgres", f"user=only_{name}"), NOW_MS)
    finally:
        with connect(database) as connection:
            for name in (OPERATOR, RECEIVER):
                connection.execute(f"DROP ROLE only_{name}".encode())
