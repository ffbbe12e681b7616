"""What is read and exported while the agent writes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.store.export import COLUMNS, disarmed, write_csv, write_json_lines
from edge_agent.store.reader import Query, Reader
from edge_agent.store.store import Store
from tests.rig.store import (
    GATEWAY,
    KEY,
    START_MS,
    clock,
    dev_eui,
    open_store,
    session,
    uplink,
)

PINNED = [
    "dev_eui",
    "channel",
    "quantity",
    "unit",
    "interval_end",
    "interval_s",
    "minimum",
    "maximum",
    "last",
    "f_cnt",
    "gateway_id",
    "rssi_dbm",
    "snr_db",
    "received_at",
    "time_quality",
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Three devices, 400 rows each, a second apart; rows of device 2 have no date."""
    store = open_store(tmp_path / "store.db")
    store.add_devices([session(n) for n in range(3)])
    for f_cnt in range(400):
        store.keep([uplink(0, f_cnt, at_s=f_cnt), uplink(1, f_cnt, at_s=f_cnt)], clock(f_cnt))
        if f_cnt % 10 == 0:
            store.keep([uplink(2, f_cnt, at_s=f_cnt)], None)
    yield store
    store.close()


@pytest.fixture
def reader(store: Store, tmp_path: Path) -> Iterator[Reader]:
    with Reader.open(tmp_path / "store.db", KEY) as reader:
        yield reader


def f_cnts(reader: Reader, query: Query) -> list[int]:
    return [row.f_cnt for row in reader.uplinks(query)]


def test_all_dated_rows_in_the_order_of_acceptance(reader: Reader) -> None:
    rows = [(bytes(row.dev_eui), row.f_cnt) for row in reader.uplinks()]
    assert rows == [(bytes(dev_eui(n)), f_cnt) for f_cnt in range(400) for n in (0, 1)]


def test_one_device(reader: Reader) -> None:
    assert f_cnts(reader, Query(dev_eui=dev_eui(1))) == list(range(400))
    assert f_cnts(reader, Query(dev_eui=dev_eui(9))) == []


def test_since_is_in_and_until_is_out(reader: Reader) -> None:
    query = Query(dev_eui=dev_eui(0), since_ms=START_MS + 10_000, until_ms=START_MS + 13_000)
    assert f_cnts(reader, query) == [10, 11, 12]


def test_the_newest_few(reader: Reader) -> None:
    assert f_cnts(reader, Query(newest_first=True, limit=3)) == [399, 399, 398]
    assert len(list(reader.readings(Query(newest_first=True, limit=3)))) == 3
    assert f_cnts(reader, Query(limit=0)) == []


def test_rows_that_are_dated_later_are_selected_by_that_date(reader: Reader, store: Store) -> None:
    query = Query(dev_eui=dev_eui(2), since_ms=START_MS + 100_000, until_ms=START_MS + 120_001)
    assert f_cnts(reader, query) == []
    store.clock_in_step(clock(500))
    assert f_cnts(reader, query) == [100, 110, 120]


def test_a_reader_sees_what_was_kept_since_it_was_opened(reader: Reader, store: Store) -> None:
    store.keep([uplink(0, 1000, at_s=1)], clock(1))
    assert f_cnts(reader, Query(newest_first=True, limit=1)) == [1000]


def test_a_slow_reader_holds_no_log_back(reader: Reader, store: Store, tmp_path: Path) -> None:
    iterator = reader.uplinks()
    next(iterator)
    for f_cnt in range(1000, 1200):
        store.keep([uplink(0, f_cnt, at_s=1)], clock(1))
    busy, written, done = store._database.all("PRAGMA wal_checkpoint(PASSIVE)")[0]
    assert (busy, written) == (0, done)
    assert sum(1 for _ in iterator) == 799 + 200


def test_the_keys_of_a_reading_are_pinned(reader: Reader) -> None:
    entry = next(reader.readings()).as_dict()
    assert list(entry) == PINNED == list(COLUMNS)
    assert entry == {
        "dev_eui": str(dev_eui(0)),
        "channel": 0,
        "quantity": "temperature",
        "unit": "°C",
        "interval_end": "2025-06-15T15:06:40.000Z",
        "interval_s": 900,
        "minimum": 50.0,
        "maximum": 50.8,
        "last": 50.4,
        "f_cnt": 0,
        "gateway_id": str(GATEWAY),
        "rssi_dbm": -80,
        "snr_db": 7.5,
        "received_at": "2025-06-15T15:06:40.000Z",
        "time_quality": "synchronised",
    }


def test_json_lines_and_csv_say_the_same(reader: Reader) -> None:
    lines, table = io.StringIO(), io.StringIO(newline="")
    assert write_json_lines(reader.readings(), lines) == 800
    assert write_csv(reader.readings(), table) == 800
    objects = [json.loads(line) for line in lines.getvalue().splitlines()]
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert [list(row) for row in rows[:1]] == [PINNED]
    assert [{key: str(value) for key, value in entry.items()} for entry in objects] == rows


def test_nothing_exported_holds_a_key(reader: Reader) -> None:
    lines = io.StringIO()
    write_json_lines(reader.readings(), lines)
    for number in range(3):
        for key in (session(number).app_s_key, session(number).nwk_s_enc_key):
            assert bytes(key).hex() not in lines.getvalue()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1"])
def test_text_that_a_spreadsheet_would_run_is_disarmed(text: str) -> None:
    assert disarmed(text) == "'" + text


@pytest.mark.parametrize("value", [-4.25, -80, None, "°C", "70b3d57ed0000000", "2025-06-15T15:06:40.000Z"])
def test_numbers_and_plain_text_stay_as_they_are(value: object) -> None:
    assert disarmed(value) == value
