"""Rows and counters: one transaction, numbers without gaps, devices and what was not taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.errors import AgentBug, UsageError
from edge_agent.network.reason import Reason
from edge_agent.store.counters import SAVE_EVERY
from edge_agent.store.reader import Reader
from edge_agent.store.store import Store
from edge_codecs.clipr import Undecoded
from edge_codecs.reading import TimeQuality
from tests.rig.store import (
    KEY,
    START_MS,
    clock,
    dev_eui,
    f_cnts_up,
    mac_only,
    open_store,
    report,
    session,
    session_of,
    uplink,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = open_store(path)
    store.add_devices([session(0), session(1)])
    yield store
    store.close()


@pytest.fixture
def again(path: Path, store: Store) -> Iterator[Callable[[], Store]]:
    """Ends `store` as a power cut does (its log is left behind), and opens it anew."""
    opened: list[Store] = []

    def reopen() -> Store:
        log = path.with_name("store.db-wal").read_bytes()
        main = path.read_bytes()
        store.close()
        for other in opened:
            other.close()
        path.write_bytes(main)
        path.with_name("store.db-wal").write_bytes(log)
        opened.append(open_store(path))
        return opened[-1]

    yield reopen
    for other in opened:
        other.close()


def test_rows_are_numbered_in_the_order_of_acceptance(store: Store) -> None:
    assert store.keep([uplink(0, 1), uplink(1, 1), uplink(0, 2)], clock(1)) == 3
    assert store.keep([uplink(1, 5)], clock(2)) == 4
    assert f_cnts_up(store) == [2, 5]


def test_counter_and_row_outlive_a_power_cut_together(
    store: Store, again: Callable[[], Store], path: Path
) -> None:
    store.keep([uplink(0, 7)], clock(1))
    reopened = again()
    assert f_cnts_up(reopened) == [7, None]
    with Reader.open(path, KEY) as reader:
        assert [row.f_cnt for row in reader.uplinks()] == [7]


@pytest.mark.parametrize("count", [1, SAVE_EVERY - 1, SAVE_EVERY, SAVE_EVERY + 1, 3 * SAVE_EVERY + 7])
def test_counters_are_right_whether_their_table_has_followed_or_not(
    store: Store, again: Callable[[], Store], path: Path, count: int
) -> None:
    for f_cnt in range(0, count, 10):
        store.keep([uplink(0, n) for n in range(f_cnt, min(f_cnt + 10, count))], clock(1))
    before = store.devices()
    assert session_of(before[0].device).f_cnt_up == count - 1
    assert before[0].uplinks == count
    with Reader.open(path, KEY) as reader:
        assert reader.devices() == before
    assert again().devices() == before


def test_a_frame_of_mac_commands_moves_the_counter_and_makes_no_row(
    store: Store, again: Callable[[], Store]
) -> None:
    store.keep([uplink(0, 1), mac_only(0, 2), mac_only(1, 9)], clock(1))
    assert store.keep([mac_only(0, 3)], clock(1)) == 1
    reopened = again()
    assert f_cnts_up(reopened) == [3, 9]
    assert reopened.status().rows == 1


def test_a_mac_frame_without_a_clock_waits_for_no_date(store: Store) -> None:
    store.keep([mac_only(0, 1)], None)
    assert store.pending().rows_unresolved == 0
    assert store.devices()[0].last_seen_ms is None
    assert store.clock_in_step(clock(10)) == 0
    assert store.devices()[0].last_seen_ms == START_MS


@pytest.mark.parametrize("f_cnt", [4, 5])
def test_a_counter_that_was_taken_is_our_bug_and_changes_nothing(
    store: Store, path: Path, f_cnt: int
) -> None:
    store.keep([uplink(0, 5)], clock(1))
    with pytest.raises(AgentBug, match="taken before"):
        store.keep([uplink(1, 1), uplink(0, f_cnt)], clock(1))
    assert f_cnts_up(store) == [5, None]
    assert store.keep([uplink(1, 1)], clock(1)) == 2, "no number is lost to a rollback"


def test_the_same_counter_twice_in_one_burst_is_our_bug(store: Store) -> None:
    with pytest.raises(AgentBug):
        store.keep([uplink(0, 5), uplink(0, 5)], clock(1))
    assert store.status().last_row == 0


def test_an_uplink_of_a_device_that_was_just_removed_is_kept(store: Store) -> None:
    store.remove_device(dev_eui(0))
    assert store.keep([uplink(0, 1)], clock(1)) == 1
    assert [one.dev_eui for one in store.network_devices()] == [dev_eui(1)]


def test_an_uplink_of_a_session_that_was_just_reset_leaves_the_new_counter_alone(store: Store) -> None:
    store.keep([uplink(0, 5)], clock(1))
    assert session_of(store.reset_counter(dev_eui(0))).number == 1
    store.keep([uplink(0, 6)], clock(1))
    assert f_cnts_up(store)[0] is None
    store.keep([uplink(0, 0, session=1)], clock(1))
    assert f_cnts_up(store)[0] == 0


def test_after_a_reset_old_rows_do_not_come_back_as_its_counter(
    store: Store, again: Callable[[], Store]
) -> None:
    store.keep([uplink(0, 5)], clock(1))
    store.reset_counter(dev_eui(0))
    assert f_cnts_up(again()) == [None, None]


def test_an_empty_burst_is_kept_too(store: Store) -> None:
    assert store.keep([], clock(1)) == 0


def test_a_row_says_all_that_the_uplink_said(store: Store, path: Path) -> None:
    store.keep([uplink(1, 3, at_s=5)], clock(9))
    with Reader.open(path, KEY) as reader:
        (row,) = reader.uplinks()
    assert (row.dev_eui, row.session, row.f_cnt) == (dev_eui(1), 0, 3)
    assert (row.received_ms, row.time_quality) == (START_MS + 5000, TimeQuality.SYNCHRONISED)
    assert (row.frequency_hz, row.data_rate, row.rssi_dbm, row.snr_db) == (868_100_000, "SF7BW125", -80, 7.5)
    assert (row.codec, row.codec_version, row.message) == ("clipr", 1, report(3))


def test_a_payload_that_no_codec_reads_is_kept_as_it_came(store: Store, path: Path) -> None:
    like = uplink(0, 1)
    from dataclasses import replace

    odd = replace(
        like, f_port=99, payload=b"\xff\x00", message=Undecoded(99, b"\xff\x00"), flaw=Reason.UNKNOWN_F_PORT
    )
    store.keep([odd], clock(1))
    with Reader.open(path, KEY) as reader:
        (row,) = reader.uplinks()
        assert row.message == Undecoded(99, b"\xff\x00")
        assert list(reader.readings()) == []


def test_what_a_forwarder_makes_up_fits_a_batch_all_the_same(store: Store, path: Path) -> None:
    from dataclasses import replace

    from edge_codecs.manifest import Lane

    like = uplink(0, 1)
    frame = replace(like.frame, rssi_dbm=-(10**9), snr_db=1e9, frequency_hz=-5, gps_ms=-(10**15))
    store.keep([replace(like, frame=frame)], None)
    assert store.form_batch(10, 10_000, Lane.BACKLOG) is None  # live: received at 0 s of this boot
    batch = store.form_batch(10, 10_000, Lane.LIVE)
    assert batch is not None
    assert batch.count == 1


# Devices


def test_devices_are_added_all_or_none(store: Store) -> None:
    with pytest.raises(UsageError, match="here already"):
        store.add_devices([session(2), session(0)])
    assert [one.dev_eui for one in store.network_devices()] == [dev_eui(0), dev_eui(1)]
    assert store.keep([uplink(2, 1)], clock(1)) == 1  # not known, kept all the same


def test_a_session_comes_back_as_it_was_given(store: Store) -> None:
    given = session(7, f_cnt_up=41)
    assert session_of(store.add_device(given)) == given
    assert given in [session_of(one) for one in store.network_devices()]


def test_a_device_that_comes_back_gets_the_next_session(store: Store) -> None:
    store.reset_counter(dev_eui(0))
    store.remove_device(dev_eui(0))
    assert session_of(store.add_device(session(0))).number == 2
    store.keep([uplink(0, 0, session=2)], clock(1))
    assert f_cnts_up(store)[0] == 0


def test_what_is_not_here_cannot_be_removed_or_reset(store: Store) -> None:
    for change in (store.remove_device, store.reset_counter):
        with pytest.raises(UsageError, match="there is no device"):
            change(dev_eui(9))


def test_a_removed_device_takes_its_keys_along(store: Store, path: Path) -> None:
    store.remove_device(dev_eui(0))
    assert store._database.value("SELECT count(*) FROM devices WHERE dev_eui = ?", (bytes(dev_eui(0)),)) == 0


def test_when_a_device_was_heard_last(store: Store) -> None:
    assert store.devices()[0].last_seen_ms is None
    store.keep([uplink(0, 1, at_s=5), uplink(0, 2, at_s=7)], clock(9))
    entry = store.devices()[0]
    assert (entry.last_seen_ms, entry.uplinks, entry.rssi_dbm, entry.snr_db) == (START_MS + 7000, 2, -80, 7.5)
    assert store.devices()[1].uplinks == 0


@pytest.mark.parametrize("saved", [False, True])
def test_when_a_device_was_heard_last_is_dated_later_without_a_clock(store: Store, *, saved: bool) -> None:
    store.keep([uplink(0, 1, at_s=5)], None)
    if saved:
        store._save()
    assert store.devices()[0].last_seen_ms is None
    store.clock_in_step(clock(9))
    assert store.devices()[0].last_seen_ms == START_MS + 5000


# What was not taken


def test_rejections_add_up_over_restarts(store: Store, again: Callable[[], Store], path: Path) -> None:
    store.count_rejections({(dev_eui(0), Reason.REPLAY): (2, 100), (None, Reason.BAD_CRC): (5, 90)})
    store.count_rejections({(dev_eui(0), Reason.REPLAY): (1, 80), (dev_eui(1), Reason.REPLAY): (9, 70)})
    reopened = again()
    assert [(s.reason, s.count, s.last_seen_ms) for s in reopened.rejections()] == [
        (Reason.REPLAY, 12, 100),
        (Reason.BAD_CRC, 5, 90),
    ]
    with Reader.open(path, KEY) as reader:
        assert [(s.count, s.last_seen_ms) for s in reader.rejections(dev_eui(0))] == [(3, 100)]


def test_a_reason_of_a_newer_version_is_passed_over(store: Store) -> None:
    store._database.execute(
        "INSERT INTO rejections (dev_eui, reason, count, last_seen_ms) VALUES (x'', 'a_reason_to_come', 1, 1)"
    )
    assert store.rejections() == []
