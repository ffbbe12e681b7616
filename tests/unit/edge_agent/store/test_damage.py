"""Damage is found, set aside and read around; every flipped bit is noticed."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.errors import AgentError
from edge_agent.network.reason import Reason
from edge_agent.store.check import check
from edge_agent.store.connection import PAGE_BYTES, SALT_BYTES, connect
from edge_agent.store.doubt import F_CNT_DOWN_STEP, JOIN_NONCE_STEP
from edge_agent.store.errors import StoreDamaged, StoreLocked
from edge_agent.store.files import damage_marker
from edge_agent.store.reader import Reader
from edge_agent.store.salvage import salvage
from edge_agent.store.store import Store
from edge_codecs.manifest import Lane
from edge_codecs.rows import decode_rows
from tests.rig.store import (
    KEY,
    Now,
    clock,
    dev_eui,
    f_cnts_up,
    open_store,
    session,
    session_of,
    uplink,
)

DEVICES, F_CNTS = 4, 100
BYTES = 64 * 1024


def write(path: Path) -> None:
    """Four devices, 400 rows, 100 of them confirmed, 50 batched."""
    now = Now(0)
    store = open_store(path, now=now)
    store.add_devices([session(n) for n in range(DEVICES)])
    for f_cnt in range(F_CNTS):
        store.keep([uplink(n, f_cnt, at_s=f_cnt) for n in range(DEVICES)], clock(f_cnt))
    store.count_rejections({(dev_eui(0), Reason.REPLAY): (2, 100)})
    now.at_s = 1e6
    confirmed = store.form_batch(100, BYTES, Lane.BACKLOG)
    assert confirmed is not None
    store.form_batch(50, BYTES, Lane.BACKLOG)
    store.receipt(1, confirmed.hash, 1)
    store._save()  # so that opening does not read all rows for them
    store.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "store.db"
    write(path)
    assert check(path, KEY).sound
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, sound: bytes) -> Path:
    path = tmp_path / "store.db"
    path.write_bytes(sound)
    path.chmod(0o600)
    return path


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << offset % 8
    path.write_bytes(content)


def use(path: Path) -> None:
    """Touch everything, as the agent would in its life."""
    store = open_store(path, now=Now(1e6))
    try:
        newest = f_cnts_up(store)[0]
        assert newest is not None
        store.keep([uplink(0, newest + 1, at_s=1)], clock(1))
        while store.form_batch(100, BYTES, Lane.BACKLOG) is not None:
            pass
        last = store.unreceipted(limit=1000)[-1]
        store.receipt(last.number, last.hash, 1)
        store.status()
    finally:
        store.close()


def kept(path: Path) -> list[tuple[bytes, int]]:
    with Reader.open(path, KEY) as reader:
        return sorted((bytes(row.dev_eui), row.f_cnt) for row in reader.uplinks())


ALL = sorted((bytes(dev_eui(n)), f_cnt) for n in range(DEVICES) for f_cnt in range(F_CNTS))


@pytest.mark.slow
def test_check_finds_every_flipped_bit(path: Path, sound: bytes) -> None:
    chance = random.Random(1)
    offsets = {0, 7, SALT_BYTES, PAGE_BYTES - 1, PAGE_BYTES, len(sound) - 1}
    offsets |= {chance.randrange(len(sound)) for _ in range(400)}
    silent = []
    for offset in sorted(offsets):
        path.write_bytes(sound)
        flip(path, offset)
        if check(path, KEY).sound:
            silent.append(offset)
    assert silent == []


@pytest.mark.slow
def test_no_flipped_bit_changes_what_is_read(path: Path, sound: bytes) -> None:
    chance = random.Random(2)
    noticed = 0
    for _ in range(200):
        path.write_bytes(sound)
        flip(path, chance.randrange(SALT_BYTES, len(sound)))
        try:
            assert kept(path) == ALL
        except StoreDamaged:
            noticed += 1
    assert noticed > 50, "most of the file is rows"


def test_check_names_the_pages(path: Path) -> None:
    flip(path, 3 * PAGE_BYTES + 17)
    report = check(path, KEY)
    assert report.findings == ("HMAC verification failed for page 4",)
    assert report.as_dict()["sound"] is False


def test_check_counts(path: Path) -> None:
    report = check(path, KEY)
    assert (report.sound, report.rows, report.batches) == (True, 400, 2)


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        ("DELETE FROM uplinks WHERE id = 50", "of rows 1 … 100 (in batch 1) 1 are missing"),
        ("DELETE FROM uplinks WHERE id = 120", "of rows 101 … 150 (in batch 2) 1 are missing"),
        ("DELETE FROM uplinks WHERE id = 300", "of rows 151 … 400 (in no batch) 1 are missing"),
        ("UPDATE batches SET rows = x'00' WHERE number = 2", "batch 2 is not what was formed"),
        ("UPDATE batches SET lane = 0 WHERE number = 1", "batch 1 is not what was formed"),
        ("UPDATE batches SET ranges = '102+50' WHERE number = 2", "batch 2 is not what was formed"),
        ("UPDATE batches SET hash = zeroblob(32) WHERE number = 1", "batch 2 does not follow batch 1"),
        ("UPDATE batches SET number = 5 WHERE number = 2", "batches between 1 and 5 are missing"),
        ("INSERT INTO holes VALUES (10, 12)", "400 rows are there, 403 are in one batch or none"),
        ("UPDATE life SET rows_gone = 7", "400 rows are there, 393 were kept and not let go"),
        ("DELETE FROM batches WHERE number = 1", "400 rows are there, 300 are in one batch or none"),
    ],
)
def test_check_finds_what_does_not_add_up(path: Path, sql: str, finding: str) -> None:
    database = connect(path, KEY, write=True)
    database.execute(sql)
    database.close()
    assert finding in check(path, KEY).findings


# Salvage


@pytest.mark.slow
def test_whichever_page_is_damaged_the_store_goes_on_with_the_rest(path: Path, sound: bytes) -> None:
    """Every page in turn; rows on other pages and (but for their own pages) devices are all there."""
    lost_rows, lost_devices = [], 0
    for page in range(len(sound) // PAGE_BYTES):
        for file in path.parent.iterdir():
            file.unlink()
        path.write_bytes(sound)
        flip(path, page * PAGE_BYTES + 100)
        salvage(path, KEY)
        assert check(path, KEY).sound, page
        rows = kept(path)
        assert set(rows) <= set(ALL)
        lost_rows.append(len(ALL) - len(rows))
        store = open_store(path)
        lost_devices += len(store.network_devices()) < DEVICES
        store.close()
        assert list(path.parent.glob("store.db.damaged-1")), "the damaged file is still there"
        assert (path.parent / "store.db.damaged-1").read_bytes()[page * PAGE_BYTES + 100] != sound[
            page * PAGE_BYTES + 100
        ]
    assert sorted(lost_rows)[-2] <= 16, "a leaf page takes its own rows along, no more"
    assert max(lost_rows) <= len(ALL), "but the root of the table"
    assert sum(lost > 16 for lost in lost_rows) <= 1
    assert lost_devices <= 2


def test_a_store_that_does_not_open_is_salvaged_at_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    flip(path, 100)
    store = open_store(path, now=Now(1e6))
    assert store.status().rows == 400
    assert f_cnts_up(store) == [99] * DEVICES
    store.keep([uplink(0, 100, at_s=1)], clock(1))
    store.close()
    assert "the store was damaged: 400 rows and 4 devices are saved" in caplog.text
    assert check(path, KEY).sound
    assert not damage_marker(path).exists()


def test_damage_that_shows_later_ends_the_agent_and_the_next_start_salvages(path: Path) -> None:
    for page in range(40, 50):
        flip(path, page * PAGE_BYTES + 100)
    with pytest.raises(StoreDamaged) as error:
        use(path)
    assert "Start the agent" in error.value.hint
    assert damage_marker(path).exists()
    use(path)
    assert check(path, KEY).sound
    assert 400 - 10 * 16 <= len(kept(path)) < 402


def test_what_is_not_known_to_be_confirmed_goes_again(path: Path) -> None:
    flip(path, 100)
    store = open_store(path, now=Now(1e6))
    rows: list[int] = []
    numbers: list[int] = []
    while (batch := store.form_batch(100, BYTES, Lane.BACKLOG)) is not None:
        rows += [row.f_cnt for row in decode_rows(batch.rows, batch.count)]
        numbers += [n for one in batch.ranges for n in range(one.first, one.last + 1)]
    store.close()
    assert numbers == list(range(1, 301))
    assert sorted(rows) == sorted(f_cnt for f_cnt in range(25, 100) for _ in range(DEVICES))


def test_nothing_stays_beside_but_the_set_aside_file(path: Path) -> None:
    flip(path, 100)
    open_store(path).close()
    names = {file.name for file in path.parent.iterdir()}
    assert names - {"store.db", "store.db.lock", "store.db.ballast"} == {"store.db.damaged-1"}


def test_two_damages_are_set_aside_under_two_names(path: Path) -> None:
    for _ in range(2):
        flip(path, 100)
        open_store(path).close()
    assert (path.parent / "store.db.damaged-2").exists()
    assert len(kept(path)) == 400


class Interrupted(Exception):
    """The power goes."""


@pytest.mark.parametrize("step", range(12))
def test_a_salvage_that_is_interrupted_is_done_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The power goes at the n-th change to the folder."""
    store = open_store(path, now=Now(1e6))
    store.keep([uplink(0, 100, at_s=1)], clock(1))
    log = path.with_name("store.db-wal").read_bytes()
    main = bytearray(path.read_bytes())
    store.close()
    main[4 * PAGE_BYTES + 100] ^= 1
    path.write_bytes(main)
    path.with_name("store.db-wal").write_bytes(log)
    damage_marker(path).touch()
    left = step

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Interrupted
            return function(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for module in ("salvage", "files"):
            patched.setattr(f"edge_agent.store.{module}.sync_folder", counted(lambda _folder: None))
        patched.setattr("edge_agent.store.salvage.os.link", counted(__import__("os").link))
        for name in ("replace", "unlink"):
            patched.setattr(Path, name, counted(getattr(Path, name)))
        with contextlib.suppress(Interrupted):
            salvage(path, KEY)
    again = open_store(path, now=Now(1e6))
    assert f_cnts_up(again)[0] == 100
    again.close()
    assert check(path, KEY).sound
    assert set(kept(path)) >= {(bytes(dev_eui(0)), 100)}
    assert len(kept(path)) >= 401 - 16


def test_a_store_in_use_is_not_salvaged(path: Path) -> None:
    store = open_store(path)
    with pytest.raises(StoreLocked):
        salvage(path, KEY)
    store.close()


def test_a_device_whose_keys_are_lost_gets_the_next_session_when_it_is_added_again(path: Path) -> None:
    database = connect(path, KEY, write=True)
    database.execute("DELETE FROM devices WHERE number = 1")
    database.close()
    flip(path, 100)
    store = open_store(path)
    device = store.add_device(session(0))
    assert session_of(device).number == 0 + JOIN_NONCE_STEP + 1
    assert device.session is not None
    assert device.session.n_f_cnt_down == F_CNTS + F_CNT_DOWN_STEP, "no more downlinks than uplinks"
    store.close()


def test_lost_dates_become_upper_bounds(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(path)
    store.add_device(session(0))
    store.keep([uplink(0, 1, at_s=1)], None)
    store.clock_in_step(clock(5))
    store.close()
    database = connect(path, KEY, write=True)
    database.execute("DELETE FROM spans")
    database.execute("DELETE FROM boots")
    database.close()
    flip(path, 100)
    store = open_store(path, boot="boot-2")
    assert store.pending().rows_unresolved == 1
    store.clock_in_step(clock(5, boot="boot-2"))
    assert store.pending().rows_unresolved == 0
    store.close()


@pytest.mark.slow
def test_rubbish_of_the_right_key_is_no_reason_to_lose_the_file(path: Path) -> None:
    """Everything but the first 16 bytes is overwritten: nothing can be read, and nothing is deleted."""
    size = path.stat().st_size
    rubbish = path.read_bytes()[:SALT_BYTES] + random.Random(3).randbytes(size - SALT_BYTES)
    path.write_bytes(rubbish)
    store: Store = open_store(path)
    assert store.status().rows == 0
    store.close()
    assert (path.parent / "store.db.damaged-1").read_bytes() == rubbish


def test_a_damaged_store_is_no_agent_error_of_another_kind(path: Path) -> None:
    flip(path, 100)
    with pytest.raises(StoreDamaged) as error:
        Reader.open(path, KEY)
    assert isinstance(error.value, AgentError)
    assert error.value.exit_code == 1
