"""What the commands show of records that came in as batches."""

# ruff: noqa: F811  (a fixture is imported, and then named by arguments)

import subprocess
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import psycopg
import pytest

from cloud_sync.cli.records import ROWS_FOR_PEOPLE
from cloud_sync.db import readings as records
from cloud_sync.db.connection import DOSSIER, RECEIVER, connect, transaction
from cloud_sync.db.readings import READING_KEYS, ROWS_A_TRIP, UPLINK_KEYS, Query
from cloud_sync.db.records import Records
from edge_codecs.clipr import encode
from edge_codecs.reading import TimeQuality, Uplink, readings_of
from tests.rig.batches import EPOCH, NOW_MS, Gateway, dev_eui, register, report, steady, uplink
from tests.rig.desk import Desk
from tests.rig.postgres import Postgres, migrated_database, postgres  # noqa: F401
from tests.rig.process import BIN

pytestmark = pytest.mark.slow

PINNED = [
    *("dev_eui", "channel", "quantity", "unit", "interval_end", "interval_s", "minimum", "maximum", "last"),
    *("f_cnt", "gateway_id", "rssi_dbm", "snr_db", "received_at", "time_quality"),
]
FIRST, SECOND, OTHERS = Gateway(1), Gateway(2), Gateway(3)
REGULAR = list(islice(steady([1, 2]), 1200))
EMPTY = uplink(3, 5, report((1, None, None, None)), EPOCH + timedelta(hours=1), quality=TimeQuality.GPS)
OF_A = [*REGULAR, EMPTY]
OF_B = [uplink(11, 1, at=EPOCH + timedelta(minutes=7, milliseconds=42))]
STRANGER = uplink(99, 4)


@pytest.fixture(scope="module")
def desk(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory):
    """Tenants a (devices 1, 2, 3; two gateways) and b (device 11); one uplink of nobody's device."""
    with migrated_database(postgres) as dsn:
        register(dsn, "a", [FIRST, SECOND], [1, 2, 3])
        register(dsn, "b", [OTHERS], [11])
        door = Records(connect(dsn, RECEIVER), lambda: NOW_MS)
        door.process([FIRST.batch(OF_A[:600]), FIRST.batch(OF_A[600:]), FIRST.batch([STRANGER])])
        door.process([SECOND.batch(OF_A[:1]), OTHERS.batch(OF_B)])
        door.close()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ANALYZE")
        yield Desk(tmp_path_factory.mktemp("desk"), dsn)


def text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def as_shown(uplinks: list[Uplink], gateway: Gateway) -> list[dict[str, Any]]:
    """What `readings --json` must print of these, worked out without a database; by series and time."""
    rows = [
        {
            "dev_eui": str(reading.dev_eui),
            "channel": reading.channel,
            "quantity": "temperature",
            "unit": "°C",
            "interval_end": text(reading.interval_end),
            "interval_s": reading.interval_s,
            "minimum": None if reading.minimum is None else float(reading.minimum),
            "maximum": None if reading.maximum is None else float(reading.maximum),
            "last": None if reading.last is None else float(reading.last),
            "f_cnt": sent.f_cnt,
            "gateway_id": str(gateway.id),
            "rssi_dbm": sent.rssi_dbm,
            "snr_db": sent.snr_db,
            "received_at": text(datetime.fromtimestamp(sent.received_ms / 1000, UTC)),
            "time_quality": sent.time_quality.name.lower(),
        }
        for sent in uplinks
        for reading in readings_of(sent)
    ]
    return sorted(rows, key=lambda row: (row["dev_eui"], row["channel"], row["interval_end"]))


def newest(rows: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: row["interval_end"], reverse=True)[:limit]


A, B = as_shown(OF_A, FIRST), as_shown(OF_B, OTHERS)


class TestReadings:
    def test_are_all_there_and_unaltered(self, desk: Desk) -> None:
        rows = desk.fine("readings", "--tenant", "a", "--json").rows
        assert len(rows) == 2401 > ROWS_A_TRIP
        assert rows == A

    def test_keys_are_those_that_others_rely_on(self, desk: Desk) -> None:
        assert list(READING_KEYS) == PINNED
        assert [list(row) for row in desk.fine("readings", "--tenant", "b", "--json").rows] == [PINNED]

    def test_of_another_tenant_are_not_shown(self, desk: Desk) -> None:
        assert desk.fine("readings", "--tenant", "b", "--json").rows == B
        done = desk.fine("readings", "--tenant", "b", "--device", dev_eui(1), "--json")
        assert done.rows == []

    def test_without_a_valid_sample_are_null(self, desk: Desk) -> None:
        (row,) = desk.fine("readings", "--tenant", "a", "--device", dev_eui(3), "--json").rows
        assert (row["minimum"], row["maximum"], row["last"]) == (None, None, None)
        assert row["time_quality"] == "gps"

    def test_of_one_device(self, desk: Desk) -> None:
        rows = desk.fine("readings", "--tenant", "a", "--device", "70-B3-D5-7E-D0-00-00-02", "--json").rows
        assert rows == [row for row in A if row["dev_eui"] == "70b3d57ed0000002"]
        assert len(rows) == 1200

    def test_since_holds_and_until_does_not(self, desk: Desk) -> None:
        moments = sorted({row["interval_end"] for row in A})
        since, until = moments[100], moments[300]
        rows = desk.fine("readings", "--tenant", "a", "--since", since, "--until", until, "--json").rows
        assert rows == [row for row in A if since <= row["interval_end"] < until]
        assert len(rows) > 100
        local = datetime.fromisoformat(since).astimezone().isoformat()
        assert (
            desk.fine("readings", "--tenant", "a", "--since", local, "--until", until, "--json").rows == rows
        )

    @pytest.mark.parametrize("limit", [1, 7, 500, 2401, 5000])
    def test_limit_takes_the_newest(self, desk: Desk, limit: int) -> None:
        rows = desk.fine("readings", "--tenant", "a", "--limit", limit, "--json").rows
        assert len(rows) == min(limit, len(A))
        times = [row["interval_end"] for row in rows]
        assert times == [row["interval_end"] for row in newest(A, limit)]
        assert all(row in A for row in rows[:20])

    @pytest.mark.parametrize("limit", [1, 40, 5000])
    def test_limit_within_a_time(self, desk: Desk, limit: int) -> None:
        since, until = text(EPOCH + timedelta(hours=5)), text(EPOCH + timedelta(hours=9))
        rows = desk.fine(
            *("readings", "--tenant", "a", "--since", since, "--until", until, "--limit", limit, "--json")
        ).rows
        expected = newest([row for row in A if since <= row["interval_end"] < until], limit)
        assert [row["interval_end"] for row in rows] == [row["interval_end"] for row in expected]

    def test_people_get_the_newest_hundred(self, desk: Desk) -> None:
        head, *lines = desk.fine("readings", "--tenant", "a").out.splitlines()
        assert head.split()[:3] == ["interval_end", "dev_eui", "channel"]
        assert len(lines) == ROWS_FOR_PEOPLE
        assert lines[0].split()[0] == newest(A, 1)[0]["interval_end"]
        assert len(desk.fine("readings", "--tenant", "a", "--limit", 3).out.splitlines()) == 4

    def test_come_along_the_index_one_trip_after_the_other(self, desk: Desk) -> None:
        with connect(desk.dsn, DOSSIER) as connection, transaction(connection, tenant="a"):
            rows = records.readings(connection, "a", Query())
            assert next(rows) == A[0]
            assert connection.execute("SELECT count(*) FROM pg_cursors").fetchone() == (1,)
            statement, values = records._bound(records._READINGS, "a", Query(), "interval_end")
            plan = connection.execute("EXPLAIN DECLARE plan CURSOR FOR " + statement.as_string(), values)
            nodes = [line for (line,) in plan.fetchall()]
        assert not [line for line in nodes if "Sort  (" in line], "\n".join(nodes)

    def test_reader_may_go_away(self, desk: Desk) -> None:
        process = subprocess.Popen(
            [BIN / "cloud-sync", "readings", "--tenant", "a", "--json", "--config", desk.configuration],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        with process:
            assert process.stdout.readline().startswith(b'{"dev_eui": ')
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 1


class TestUplinks:
    def test_can_be_rebuilt_and_compared(self, desk: Desk) -> None:
        rows = desk.fine("uplinks", "--tenant", "a", "--json").rows
        assert all(list(row) == list(UPLINK_KEYS) for row in rows)
        sent = {(str(one.dev_eui), one.session, one.f_cnt): encode(one.message) for one in OF_A}
        shown = {
            (r["dev_eui"], r["session"], r["f_cnt"]): (r["f_port"], bytes.fromhex(r["payload"])) for r in rows
        }
        assert shown == sent
        assert len(rows) == len(OF_A)

    def test_name_every_gateway_that_heard_them(self, desk: Desk) -> None:
        rows = desk.fine("uplinks", "--tenant", "a", "--device", dev_eui(1), "--limit", 5000, "--json").rows
        *others, first = rows
        assert first["f_cnt"] == 0
        assert [reception["gateway_id"] for reception in first["receptions"]] == [
            str(FIRST.id),
            str(SECOND.id),
        ]
        assert first["receptions"][1] == {
            "gateway_id": str(SECOND.id),
            "received_at": text(EPOCH),
            "rssi_dbm": OF_A[0].rssi_dbm,
            "snr_db": 7.5,
        }
        assert {len(row["receptions"]) for row in others} == {1}
        assert {row["gateway_id"] for row in rows} == {str(FIRST.id)}

    def test_of_another_tenant_are_not_shown(self, desk: Desk) -> None:
        (row,) = desk.fine("uplinks", "--tenant", "b", "--json").rows
        assert (row["dev_eui"], row["received_at"]) == (str(dev_eui(11)), "2026-11-02T08:07:00.042Z")

    def test_table_counts_the_receptions(self, desk: Desk) -> None:
        head, line = desk.fine(
            "uplinks", "--tenant", "a", "--until", text(EPOCH + timedelta(seconds=1))
        ).out.splitlines()
        assert head.split()[-1] == "receptions"
        assert line.split()[-1] == "2"

    def test_within_a_time(self, desk: Desk) -> None:
        since, until = text(EPOCH + timedelta(hours=5)), text(EPOCH + timedelta(hours=9))
        rows = desk.fine("uplinks", "--tenant", "a", "--since", since, "--until", until, "--json").rows
        assert len(rows) == 32
        assert all(since <= row["received_at"] < until for row in rows)


class TestQuarantine:
    def test_shows_what_nobody_owns_and_why(self, desk: Desk) -> None:
        (row,) = desk.fine("quarantine", "list", "--json").rows
        assert row["reason"] == "device_unassigned"
        assert "cloud-sync device assign" in row["detail"]
        assert (row["dev_eui"], row["gateway"], row["f_cnt"]) == (str(dev_eui(99)), str(FIRST.id), 4)
        assert row["received_at"] == text(EPOCH)
        assert "device_unassigned" in desk.fine("quarantine", "list").out
        shown = desk.fine("quarantine", "show", row["id"], "--json").rows[0]
        assert bytes.fromhex(shown["payload"]) == encode(STRANGER.message)[1]
        assert f"payload      {shown['payload']}" in desk.fine("quarantine", "show", row["id"]).out

    def test_of_one_reason(self, desk: Desk) -> None:
        assert len(desk.fine("quarantine", "list", "--reason", "device_unassigned", "--json").rows) == 1
        done = desk.fine("quarantine", "list", "--reason", "conflict")
        assert done.out == "Nothing is in quarantine.\n"

    def test_gateway_list_says_when_it_was_heard_last(self, desk: Desk) -> None:
        rows = {row["gateway_id"]: row for row in desk.fine("gateway", "list", "--json").rows}
        assert rows[str(FIRST.id)]["last_seen"] == text(datetime.fromtimestamp(NOW_MS / 1000, UTC))
