"""A store that fills up: confirmed rows go first, others never, and it can always drain."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.store.check import check
from edge_agent.store.connection import NoRoom
from edge_agent.store.errors import StoreFull
from edge_agent.store.reader import Reader
from edge_agent.store.space import Ballast
from edge_agent.store.store import Store
from edge_codecs.manifest import Lane
from tests.rig.store import (
    KEY,
    Now,
    clock,
    f_cnts_up,
    open_store,
    session,
    uplink,
)

BYTES = 64 * 1024
CAP = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def open_small(path: Path, *, max_bytes: int = CAP) -> Store:
    return open_store(path, max_bytes=max_bytes, now=Now(1e6))


def fill(store: Store, first: int) -> int:
    """Keep until the store is full; returns the next counter."""
    f_cnt = first
    with pytest.raises(StoreFull) as error:
        while f_cnt < 100_000:
            store.keep([uplink(0, f_cnt + n, at_s=f_cnt) for n in range(50)], clock(f_cnt))
            f_cnt += 50
    assert "store.max_bytes" in error.value.hint
    assert error.value.exit_code == 69
    return f_cnt


def bytes_on_disk(path: Path) -> int:
    return sum(
        path.with_name(path.name + suffix).stat().st_size
        for suffix in ("", "-wal", ".ballast")
        if path.with_name(path.name + suffix).exists()
    )


def confirm_all(store: Store) -> int:
    rows = 0
    while (batch := store.form_batch(500, BYTES, Lane.BACKLOG)) is not None:
        rows += store.receipt(batch.number, batch.hash, 1)
    return rows


@pytest.mark.slow
def test_a_full_store_drops_nothing_stays_within_its_bytes_and_drains(path: Path) -> None:
    store = open_small(path)
    store.add_device(session(0))
    count = fill(store, 0)
    assert count > 5_000, "a store of a megabyte holds some thousand rows"
    assert bytes_on_disk(path) <= CAP
    assert store.status().rows == count
    assert f_cnts_up(store)[0] == count - 1
    assert confirm_all(store) == count
    assert store.keep([uplink(0, count, at_s=1)], clock(1)) == count + 1
    store.close()
    assert check(path, KEY).sound


@pytest.mark.slow
def test_confirmed_rows_make_room_oldest_first(path: Path) -> None:
    store = open_small(path)
    store.add_device(session(0))
    count = fill(store, 0)
    confirm_all(store)
    for f_cnt in range(count, 2 * count, 50):
        store.keep([uplink(0, f_cnt + n, at_s=f_cnt) for n in range(50)], clock(f_cnt))
        if f_cnt % 500 == 0:
            confirm_all(store)
    assert bytes_on_disk(path) <= CAP
    with Reader.open(path, KEY) as reader:
        f_cnts = [row.f_cnt for row in reader.uplinks()]
    assert f_cnts == list(range(f_cnts[0], f_cnts[-1] + 1))
    assert f_cnts[0] > 0
    assert f_cnts[-1] >= 2 * count - 50
    store.close()
    assert check(path, KEY).sound


@pytest.mark.slow
def test_a_cap_that_was_lowered_below_what_is_there_drops_nothing(path: Path) -> None:
    store = open_small(path, max_bytes=4 * CAP)
    store.add_device(session(0))
    for f_cnt in range(0, 20_000, 500):
        store.keep([uplink(0, f_cnt + n, at_s=f_cnt) for n in range(500)], clock(f_cnt))
    store.close()
    store = open_small(path)
    with pytest.raises(StoreFull):
        store.keep([uplink(0, 20_000, at_s=1)], clock(1))
    assert store.status().rows == 20_000
    store.close()


def test_the_ballast_is_there_with_its_bytes(path: Path) -> None:
    store = open_store(path)
    ballast = path.with_name("store.db.ballast")
    assert ballast.stat().st_blocks * 512 >= 200_000
    assert store.status().ballast
    store.close()


def test_the_ballast_comes_back(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast", 100_000)
    assert not ballast.drop()
    ballast.restore()
    assert ballast.exists()
    assert ballast.drop()
    assert not ballast.exists()
    ballast.restore()
    assert ballast.exists()


class FullDisk:
    """A disk that refuses the next `refusals` transactions."""

    def __init__(self, store: Store, refusals: int) -> None:
        self.left = refusals
        execute = store._database.execute

        def refuse(sql: str, values: object = ()) -> int:
            if sql == "COMMIT" and self.left:
                self.left -= 1
                raise NoRoom
            return execute(sql, values)  # type: ignore[arg-type]

        store._database.execute = refuse  # type: ignore[method-assign]


def test_a_full_disk_costs_the_ballast_first(path: Path) -> None:
    store = open_store(path)
    store.add_device(session(0))
    FullDisk(store, 1)
    assert store.keep([uplink(0, 1)], clock(1)) == 1
    assert not store.status().ballast
    store.checkpoint()
    assert store.status().ballast, "housekeeping takes it back when the disk has room"
    store.close()


def test_a_disk_that_stays_full_says_so_and_nothing_half_is_kept(path: Path) -> None:
    store = open_store(path)
    store.add_device(session(0))
    FullDisk(store, 10**9)
    with pytest.raises(StoreFull, match="no room on the disk"):
        store.keep([uplink(0, 1)], clock(1))
    store.close()
    again = open_store(path)
    assert again.status().rows == 0
    assert f_cnts_up(again)[0] is None
    assert again.keep([uplink(0, 1)], clock(1)) == 1
    again.close()


def test_after_a_full_disk_the_same_uplinks_are_kept_once(path: Path) -> None:
    store = open_store(path)
    store.add_device(session(0))
    disk = FullDisk(store, 10**9)
    with pytest.raises(StoreFull):
        store.keep([uplink(0, 1), uplink(0, 2)], clock(1))
    disk.left = 0
    assert store.keep([uplink(0, 1), uplink(0, 2)], clock(1)) == 2
    assert f_cnts_up(store)[0] == 2
    store.close()
    assert check(path, KEY).sound
