"""A disk that is really full: a small tmpfs of its own. Needs root to mount it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.store.check import check
from edge_agent.store.errors import StoreFull
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


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Three megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount a tmpfs here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def open_on(disk: Path) -> Store:
    """With a cap far beyond the disk: only the disk says no."""
    return open_store(disk / "store.db", max_bytes=8_000_000, now=Now(1e6))


def keep(store: Store, f_cnt: int, count: int = 50) -> int:
    store.keep([uplink(0, f_cnt + n, at_s=f_cnt) for n in range(count)], clock(f_cnt))
    return f_cnt + count


def fill(store: Store, f_cnt: int) -> int:
    with pytest.raises(StoreFull) as error:
        while f_cnt < 200_000:
            f_cnt = keep(store, f_cnt)
    assert "free the disk" in error.value.hint
    return f_cnt


def fill_up(disk: Path) -> Path:
    """Somebody else takes all there is."""
    file = disk / "somebody else's"
    with file.open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(bytes(4096))
    return file


@pytest.mark.slow
def test_a_full_disk_drops_nothing_and_goes_on_when_there_is_room(disk: Path) -> None:
    filler = disk / "somebody else's"
    filler.write_bytes(bytes(1_000_000))
    store = open_on(disk)
    store.add_device(session(0))
    count = fill(store, 0)
    assert count > 2_000
    assert store.status().rows == count
    assert store.status().rows_unbatched == count
    filler.unlink()
    assert keep(store, count) == count + 50
    store.close()
    assert check(disk / "store.db", KEY).sound


@pytest.mark.slow
def test_on_a_full_disk_confirmed_rows_make_room(disk: Path) -> None:
    store = open_on(disk)
    store.add_device(session(0))
    count = 0
    for _ in range(40):
        count = keep(store, count)
    while (batch := store.form_batch(500, BYTES, Lane.BACKLOG)) is not None:
        store.receipt(batch.number, batch.hash, 1)
    fill_up(disk)
    kept = 0
    while store.status().ballast and kept < 50_000:
        count, kept = keep(store, count), kept + 50
    for _ in range(20):
        count, kept = keep(store, count), kept + 50
    assert not store.status().ballast
    assert f_cnts_up(store)[0] == count - 1
    assert store.status().rows_unbatched == kept
    store.close()
    assert check(disk / "store.db", KEY).sound


@pytest.mark.slow
def test_a_store_opens_on_a_full_disk_by_its_ballast(disk: Path) -> None:
    store = open_on(disk)
    store.add_device(session(0))
    count = keep(store, 0)
    store.close()
    fill_up(disk)
    store = open_on(disk)
    assert keep(store, count) == count + 50
    store.close()
    assert check(disk / "store.db", KEY).sound


@pytest.mark.slow
def test_without_a_ballast_it_says_what_to_do(disk: Path) -> None:
    store = open_on(disk)
    store.add_device(session(0))
    count = keep(store, 0)
    store.close()
    (disk / "store.db.ballast").unlink()
    filler = fill_up(disk)
    with pytest.raises(StoreFull, match="no room to open"):
        open_on(disk)
    filler.unlink()
    store = open_on(disk)
    assert keep(store, count) == count + 50
    store.close()
