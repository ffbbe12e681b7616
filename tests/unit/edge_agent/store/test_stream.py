"""A copy of a store never continues its stream: rows without a receipt go again under a new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.errors import ConfigurationError
from edge_agent.store import head
from edge_agent.store.backup import backup, restore
from edge_agent.store.check import check
from edge_agent.store.errors import StoreDamaged, StoreLocked
from edge_agent.store.reader import Reader
from edge_agent.store.store import FormedBatch, Store
from edge_codecs.identifiers import GatewayId
from edge_codecs.manifest import Lane
from edge_codecs.rows import decode_rows
from tests.rig.store import (
    KEY,
    START_MS,
    Now,
    clock,
    f_cnts_up,
    open_store,
    session,
    uplink,
)

BYTES = 64 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def lived(path: Path) -> Store:
    """Rows 1 … 12: 1 … 4 old and confirmed, 5 and 6 live and in an unconfirmed batch, the others in none.

    The live lane passed 5 … 10 over, but for 11 and 12.
    """
    now = Now(0)
    store = open_store(path, now=now)
    store.add_device(session(0))
    store.keep([uplink(0, n, at_s=0) for n in range(1, 5)], clock(0))
    confirmed = store.form_batch(10, BYTES, Lane.LIVE)
    assert confirmed is not None
    store.receipt(1, confirmed.hash, 1)
    store.keep([uplink(0, n, at_s=1) for n in range(5, 11)], clock(1))
    now.at_s = 500
    store.keep([uplink(0, n, at_s=500) for n in range(11, 13)], clock(500))
    live = store.form_batch(10, BYTES, Lane.LIVE)
    assert live is not None
    store.receipt(2, live.hash, 1)
    assert store.form_batch(2, BYTES, Lane.BACKLOG) is not None  # rows 5, 6
    return store


def drained(store: Store) -> list[FormedBatch]:
    batches = []
    for lane in (Lane.LIVE, Lane.BACKLOG):
        while (batch := store.form_batch(100, BYTES, lane)) is not None:
            batches.append(batch)
    return batches


def f_cnts(batches: list[FormedBatch]) -> list[int]:
    return sorted(row.f_cnt for batch in batches for row in decode_rows(batch.rows, batch.count))


def numbers(batches: list[FormedBatch]) -> list[int]:
    return sorted(n for b in batches for rows in b.ranges for n in range(rows.first, rows.last + 1))


def all_f_cnts(path: Path) -> list[int]:
    with Reader.open(path, KEY) as reader:
        return sorted(row.f_cnt for row in reader.uplinks())


def expect_new_stream(path: Path, store: Store, old: bytes) -> None:
    """Unconfirmed rows go again, numbered from 1; confirmed ones are still there to be read."""
    assert bytes(store.stream) != old
    assert store.unreceipted() == []
    assert store.status().last_row == 6
    assert all_f_cnts(path) == list(range(1, 13))
    batches = drained(store)
    assert batches[0].number == 1
    assert batches[0].previous == b""
    assert f_cnts(batches) == list(range(5, 11))
    assert numbers(batches) == list(range(1, 7))
    assert f_cnts_up(store)[0] == 12
    assert store.keep([uplink(0, 13, at_s=600)], clock(600)) == 7
    assert check(path, KEY).sound


def test_a_new_stream_when_it_is_asked_for(path: Path) -> None:
    store = lived(path)
    old = bytes(store.stream)
    store.close()
    again = open_store(path, new_stream=True, now=Now(1e6))
    expect_new_stream(path, again, old)
    stream = again.stream
    again.close()
    once_more = open_store(path)
    assert once_more.stream == stream, "it begins once"
    once_more.close()


def test_a_new_stream_while_the_store_is_open(path: Path) -> None:
    store = lived(path)
    old = bytes(store.stream)
    store._now_ns = Now(1e6)
    assert store.begin_stream() == store.stream
    expect_new_stream(path, store, old)
    store.close()


def test_a_new_stream_twice_in_a_row_loses_nothing(path: Path) -> None:
    store = lived(path)
    store._now_ns = Now(1e6)
    store.begin_stream()
    old = bytes(store.stream)
    store.begin_stream()
    expect_new_stream(path, store, old)
    store.close()


def test_an_ordinary_start_goes_on_with_the_stream(path: Path) -> None:
    store = lived(path)
    stream, waiting = store.stream, store.unreceipted()
    store.close()
    again = open_store(path)
    assert (again.stream, again.unreceipted()) == (stream, waiting)
    again.close()


def test_a_new_stream_on_another_machine(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = lived(path)
    old = bytes(store.stream)
    store.close()
    other = tmp_path / "machine-id"
    other.write_text("another machine")
    monkeypatch.setattr(head, "_MACHINE_FILES", (other,))
    again = open_store(path, now=Now(1e6))
    expect_new_stream(path, again, old)
    again.close()


def test_a_new_stream_for_another_gateway(path: Path) -> None:
    store = lived(path)
    old = bytes(store.stream)
    store.close()
    again = open_store(path, gateway=GatewayId.parse("b827ebfffe000009"), now=Now(1e6))
    expect_new_stream(path, again, old)
    again.close()


def test_undated_rows_wait_on_in_the_new_stream(path: Path) -> None:
    store = open_store(path, now=Now(1e6))
    store.add_device(session(0))
    store.keep([uplink(0, 1, at_s=1)], None)
    store.begin_stream()
    assert store.pending().rows_unresolved == 1
    assert drained(store) == []
    store.clock_in_step(clock(10))
    assert f_cnts(drained(store)) == [1]
    store.close()


def test_former_rows_are_pruned_like_confirmed_ones(path: Path) -> None:
    store = lived(path)
    store.begin_stream()
    assert store.prune(START_MS + 10**12) == 6
    assert all_f_cnts(path) == list(range(5, 11))
    assert f_cnts_up(store)[0] == 12
    assert store.status().rows == 6
    assert check(path, KEY).sound
    store.close()


# Backup and restore


def test_a_backup_is_made_while_the_store_is_written(path: Path, tmp_path: Path) -> None:
    store = lived(path)
    target = tmp_path / "backup.db"
    assert backup(path, KEY, target) == target.stat().st_size
    store.keep([uplink(0, 13)], clock(1))
    store.close()
    assert check(target, KEY).sound
    assert target.stat().st_mode & 0o077 == 0
    assert all_f_cnts(target) == list(range(1, 13))
    assert target.read_bytes()[:16] == KEY.salt
    assert not list(tmp_path.glob("backup.db.*"))


def test_a_backup_overwrites_nothing(path: Path, tmp_path: Path) -> None:
    lived(path).close()
    target = tmp_path / "backup.db"
    target.write_text("precious")
    with pytest.raises(ConfigurationError, match="exists already"):
        backup(path, KEY, target)
    assert target.read_text() == "precious"


def test_a_backup_needs_a_folder(path: Path, tmp_path: Path) -> None:
    lived(path).close()
    with pytest.raises(ConfigurationError, match="cannot write"):
        backup(path, KEY, tmp_path / "none" / "backup.db")


def test_a_restored_backup_begins_a_new_stream(path: Path, tmp_path: Path) -> None:
    store = lived(path)
    old = bytes(store.stream)
    backup(path, KEY, tmp_path / "backup.db")
    store.keep([uplink(0, 20)], clock(1))
    store.close()
    aside = restore(tmp_path / "backup.db", path, KEY)
    assert aside is not None
    assert all_f_cnts(aside) == [*range(1, 13), 20], "what was there is set aside"
    again = open_store(path, now=Now(1e6))
    expect_new_stream(path, again, old)
    again.close()


def test_a_backup_that_is_copied_by_hand_begins_a_new_stream_too(path: Path, tmp_path: Path) -> None:
    store = lived(path)
    old = bytes(store.stream)
    backup(path, KEY, tmp_path / "backup.db")
    store.close()
    path.write_bytes((tmp_path / "backup.db").read_bytes())
    again = open_store(path, now=Now(1e6))
    expect_new_stream(path, again, old)
    again.close()


def test_a_plain_copy_that_is_restored_begins_a_new_stream_too(path: Path, tmp_path: Path) -> None:
    store = lived(path)
    old = bytes(store.stream)
    store.close()
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    restore(copy, path, KEY)
    again = open_store(path, now=Now(1e6))
    expect_new_stream(path, again, old)
    again.close()


def test_restore_where_nothing_was(path: Path, tmp_path: Path) -> None:
    lived(path).close()
    backup(path, KEY, tmp_path / "backup.db")
    other = tmp_path / "new" / "store.db"
    other.parent.mkdir()
    assert restore(tmp_path / "backup.db", other, KEY) is None
    assert all_f_cnts(other) == list(range(1, 13))


def test_a_store_in_use_is_not_restored(path: Path, tmp_path: Path) -> None:
    store = lived(path)
    backup(path, KEY, tmp_path / "backup.db")
    with pytest.raises(StoreLocked):
        restore(tmp_path / "backup.db", path, KEY)
    store.close()


def test_a_damaged_backup_is_not_restored(path: Path, tmp_path: Path) -> None:
    lived(path).close()
    target = tmp_path / "backup.db"
    backup(path, KEY, target)
    content = bytearray(target.read_bytes())
    content[5000] ^= 1
    target.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="backup"):
        restore(target, path, KEY)
    assert path.read_bytes() == before
