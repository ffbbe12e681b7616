"""Joins, sessions and downlink counters on disk: whole or not at all, and never back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.errors import AgentBug
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.changes import (
    Change,
    ConfirmedSent,
    CountersReserved,
    DownlinkChanged,
    HistoryAsked,
    JoinAnswered,
    MacChanged,
    SessionTaken,
)
from edge_agent.network.device import MAX_PENDING, Device, DownlinkState, NetworkSession
from edge_agent.network.mac_state import initial
from edge_agent.store.check import check
from edge_agent.store.reader import Reader
from edge_agent.store.store import Store
from tests.rig.store import (
    KEY,
    clock,
    dev_eui,
    f_cnts_up,
    joined,
    mac_only,
    open_store,
    registration,
    session,
    session_of,
    uplink,
)

OTAA, RANDOM, NEWEST, ABP = range(4)
"""1.0.4, whose DevNonce rises; 1.0.3, whose is random; 1.1; and one with session keys of its own."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = open_store(path)
    store.add_devices(
        [
            registration(OTAA),
            registration(RANDOM, LoRaWANVersion.V1_0_3),
            registration(NEWEST, LoRaWANVersion.V1_1),
            session(ABP),
        ]
    )
    yield store
    store.close()
    report = check(path, KEY)
    assert report.findings == ()


@pytest.fixture
def again(path: Path, store: Store) -> Iterator[Callable[[], Store]]:
    """Ends `store` as a power cut does (its log is left behind), and opens it anew."""
    opened: list[Store] = []

    def reopen() -> Store:
        log, main = path.with_name("store.db-wal").read_bytes(), path.read_bytes()
        store.close()
        path.write_bytes(main)
        path.with_name("store.db-wal").write_bytes(log)
        opened.append(open_store(path))
        return opened[-1]

    yield reopen
    for other in opened:
        other.close()


def device(store: Store, number: int) -> Device:
    return next(one for one in store.network_devices() if one.dev_eui == dev_eui(number))


def taken(number: int, join_nonce: int) -> SessionTaken:
    return SessionTaken(dev_eui(number), join_nonce)


# Registration


def test_a_registration_comes_back_as_it_was_given(store: Store, again: Callable[[], Store]) -> None:
    reopened = again()
    versions = {
        OTAA: LoRaWANVersion.V1_0_4,
        RANDOM: LoRaWANVersion.V1_0_3,
        NEWEST: LoRaWANVersion.V1_1,
    }
    for number, version in versions.items():
        assert device(reopened, number) == Device(dev_eui(number), registration(number, version))
    assert device(reopened, ABP) == Device(dev_eui(ABP), session=NetworkSession(session(ABP)))


def test_a_device_entry_tells_of_one_that_never_joined(store: Store, path: Path) -> None:
    entry = store.devices()[OTAA]
    assert (entry.device.session, entry.uplinks, entry.last_seen_ms) == (None, 0, None)
    with Reader.open(path, KEY) as reader:
        assert reader.devices() == store.devices()


# Joins


def test_a_join_is_kept_whole(store: Store, again: Callable[[], Store]) -> None:
    answered = joined(OTAA, 1, dev_nonce=7)
    store.apply([answered])
    kept = device(again(), OTAA)
    assert (kept.nonces.join_nonce, kept.nonces.dev_nonce) == (1, 7)
    assert kept.nonces.dev_nonces == frozenset()
    assert (kept.session, kept.pending) == (None, (answered.pending,))


def test_a_random_dev_nonce_is_remembered_with_all_before_it(
    store: Store, again: Callable[[], Store]
) -> None:
    store.apply([joined(RANDOM, 1, dev_nonce=700), joined(RANDOM, 2, dev_nonce=3)])
    store.apply([joined(RANDOM, 5, dev_nonce=65535)])
    nonces = device(again(), RANDOM).nonces
    assert (nonces.join_nonce, nonces.dev_nonce, nonces.dev_nonces) == (5, None, {700, 3, 65535})


def test_the_newest_sessions_given_are_kept_until_one_is_used(
    store: Store, again: Callable[[], Store]
) -> None:
    joins = [joined(OTAA, number, dev_nonce=number) for number in range(1, MAX_PENDING + 3)]
    for one in joins:
        store.apply([one])
    assert device(store, OTAA).pending == tuple(one.pending for one in joins[2:])
    with pytest.raises(AgentBug, match="not pending"):
        store.keep([uplink(OTAA, 1, session=1)], clock(1), [taken(OTAA, 1)])
    store.keep([uplink(OTAA, 1, session=5)], clock(1), [taken(OTAA, 5)])
    kept = device(again(), OTAA)
    assert session_of(kept).number == 5
    assert kept.pending == tuple(one.pending for one in joins[5:])


def test_rejoins_keep_their_own_counters(store: Store, again: Callable[[], Store]) -> None:
    store.apply([joined(NEWEST, 1, dev_nonce=1)])
    store.keep([uplink(NEWEST, 0, session=1)], clock(1), [taken(NEWEST, 1)])
    store.apply([joined(NEWEST, 2, rj_count_0=4)])
    store.apply([joined(NEWEST, 3, rj_count_1=9)])
    kept = device(again(), NEWEST)
    assert kept.session is not None
    assert (kept.nonces.dev_nonce, kept.session.rj_count_0, kept.nonces.rj_count_1) == (1, 4, 9)


@pytest.mark.parametrize(
    "change",
    [
        joined(OTAA, 3, dev_nonce=8),
        joined(OTAA, 2, dev_nonce=8),
        joined(OTAA, 4, dev_nonce=7),
        joined(OTAA, 4, dev_nonce=6),
        joined(OTAA, 2**24, dev_nonce=8),
        joined(OTAA, 4),
        joined(OTAA, 4, dev_nonce=8, rj_count_1=1),
        joined(OTAA, 4, rj_count_0=1),
        joined(RANDOM, 2, dev_nonce=500),
        joined(NEWEST, 4, rj_count_0=4),
        joined(NEWEST, 4, rj_count_1=9),
        joined(ABP, 1, dev_nonce=1),
        replace(joined(OTAA, 4, dev_nonce=8), pending=joined(OTAA, 5).pending),
        taken(OTAA, 2),
        taken(RANDOM, 2),
        taken(ABP, 1),
    ],
    ids=repr,
)
def test_what_would_use_a_nonce_twice_is_our_bug_and_changes_nothing(store: Store, change: Change) -> None:
    store.apply([joined(OTAA, 3, dev_nonce=7), joined(RANDOM, 1, dev_nonce=500)])
    store.apply([joined(NEWEST, 1, dev_nonce=1), taken(NEWEST, 1)])
    store.apply([joined(NEWEST, 2, rj_count_0=4), joined(NEWEST, 3, rj_count_1=9)])
    before = store.network_devices()
    with pytest.raises(AgentBug):
        store.keep([uplink(ABP, 1)], clock(1), [joined(OTAA, 9, dev_nonce=9), change])
    assert store.network_devices() == before
    assert store.status().last_row == 0, "nor is the row kept"


# A session begins


def test_a_session_begins_with_its_first_uplink_and_the_last_of_the_old_one_stays(
    store: Store, again: Callable[[], Store], path: Path
) -> None:
    store.apply([joined(OTAA, 1, dev_nonce=1)])
    store.keep([uplink(OTAA, 5, session=1)], clock(1), [taken(OTAA, 1)])
    store.apply([joined(OTAA, 2, dev_nonce=2)])
    store.keep([uplink(OTAA, 6, session=1)], clock(2))
    store.keep(
        [uplink(OTAA, 7, session=1), uplink(OTAA, 0, session=2), uplink(OTAA, 1, session=2)],
        clock(3),
        [taken(OTAA, 2)],
    )
    assert store.devices()[OTAA].uplinks == 5
    reopened = again()
    kept = device(reopened, OTAA)
    assert (session_of(kept).number, session_of(kept).f_cnt_up, kept.pending) == (2, 1, ())
    assert reopened.devices()[OTAA].uplinks == 5
    with Reader.open(path, KEY) as reader:
        assert [(row.session, row.f_cnt) for row in reader.uplinks()] == [
            (1, 5),
            (1, 6),
            (1, 7),
            (2, 0),
            (2, 1),
        ]
    with pytest.raises(AgentBug, match="taken before"):
        reopened.keep([uplink(OTAA, 1, session=2)], clock(4))


def test_rows_behind_the_table_count_for_the_session_they_are_of(
    store: Store, again: Callable[[], Store]
) -> None:
    store.apply([joined(OTAA, 1, dev_nonce=1)])
    store.keep([uplink(OTAA, 900, session=1)], clock(1), [taken(OTAA, 1)])
    store.keep([uplink(OTAA, 901, session=1)], clock(1))
    store.apply([joined(OTAA, 2, dev_nonce=2)])
    store.keep([mac_only(OTAA, 3, session=2)], clock(2), [taken(OTAA, 2)])
    store.keep([uplink(OTAA, 4, session=2)], clock(2))
    assert session_of(device(again(), OTAA)).f_cnt_up == 4


def test_a_late_uplink_of_the_old_session_is_kept_and_moves_nothing(store: Store) -> None:
    store.apply([joined(OTAA, 1, dev_nonce=1)])
    store.keep([uplink(OTAA, 5, session=1)], clock(1), [taken(OTAA, 1)])
    store.apply([joined(OTAA, 2, dev_nonce=2)])
    changes = [taken(OTAA, 2)]
    assert store.keep([uplink(OTAA, 0, session=2), uplink(OTAA, 6, session=1)], clock(2), changes) == 3
    assert store.keep([uplink(OTAA, 7, session=1)], clock(2)) == 4
    assert session_of(device(store, OTAA)).f_cnt_up == 0


def test_an_uplink_of_a_session_that_did_not_begin_is_our_bug(store: Store) -> None:
    store.apply([joined(OTAA, 1, dev_nonce=1), taken(OTAA, 1), joined(OTAA, 2, dev_nonce=2)])
    with pytest.raises(AgentBug, match="did not begin"):
        store.keep([uplink(OTAA, 0, session=2)], clock(1))


def test_two_sessions_may_begin_in_one_burst(store: Store, again: Callable[[], Store]) -> None:
    store.apply([joined(OTAA, 1, dev_nonce=1), joined(OTAA, 2, dev_nonce=2), joined(OTAA, 3, dev_nonce=3)])
    store.keep(
        [uplink(OTAA, 8, session=1), uplink(OTAA, 4, session=2)], clock(1), [taken(OTAA, 1), taken(OTAA, 2)]
    )
    kept = device(again(), OTAA)
    assert (session_of(kept).number, session_of(kept).f_cnt_up) == (2, 4)
    assert [one.session.number for one in kept.pending] == [3]


def test_a_full_burst_of_many_devices_each_in_a_new_session(store: Store, path: Path) -> None:
    numbers = range(100, 160)
    store.add_devices([registration(number) for number in numbers])
    store.apply([joined(number, 1, dev_nonce=0) for number in numbers])
    store.keep(
        [uplink(number, number, session=1) for number in numbers],
        clock(1),
        [taken(number, 1) for number in numbers],
    )
    assert f_cnts_up(store)[4:] == list(numbers)


# Downlink counters and MAC state


def test_bounds_rise_and_never_fall(store: Store, again: Callable[[], Store]) -> None:
    store.apply([CountersReserved(dev_eui(ABP), 0, 32, 0)])
    store.apply([CountersReserved(dev_eui(ABP), 0, 64, 0), ConfirmedSent(dev_eui(ABP), 0, 63)])
    for bounds in ((63, 0), (96, -1)):
        with pytest.raises(AgentBug, match="used twice"):
            store.apply([CountersReserved(dev_eui(ABP), 0, *bounds)])
    with pytest.raises(AgentBug, match="not reserved"):
        store.apply([ConfirmedSent(dev_eui(ABP), 0, 64)])
    kept = device(again(), ABP).session
    assert kept is not None
    assert (kept.n_f_cnt_down, kept.a_f_cnt_down, kept.conf_f_cnt) == (64, 0, 63)


def test_a_pending_session_has_bounds_and_parameters_of_its_own(
    store: Store, again: Callable[[], Store]
) -> None:
    mac = initial(REGIONS["EU868"])
    store.apply([joined(OTAA, 1, dev_nonce=1), CountersReserved(dev_eui(OTAA), 1, 32, 0)])
    store.apply([MacChanged(dev_eui(OTAA), 1, mac)])
    store.keep([uplink(OTAA, 0, session=1)], clock(1), [taken(OTAA, 1)])
    kept = device(again(), OTAA).session
    assert kept is not None
    assert (kept.n_f_cnt_down, kept.mac) == (32, mac)


def test_changes_of_a_removed_device_or_a_reset_session_are_passed_over(store: Store) -> None:
    store.remove_device(dev_eui(OTAA))
    store.reset_counter(dev_eui(ABP))
    before = store.network_devices()
    store.apply(
        [
            joined(OTAA, 1, dev_nonce=1),
            taken(OTAA, 1),
            CountersReserved(dev_eui(ABP), 0, 32, 0),
            ConfirmedSent(dev_eui(ABP), 0, 5),
            MacChanged(dev_eui(ABP), 0, initial(REGIONS["EU868"])),
            DownlinkChanged(5, DownlinkState.SENT, 1, 4),
            HistoryAsked(dev_eui(ABP), 0, 12345),
        ]
    )
    assert store.keep([uplink(OTAA, 0, session=1)], clock(1), [taken(OTAA, 1)]) == 1
    assert store.network_devices() == before


# Devices that come and go


def test_a_device_that_comes_back_uses_no_nonce_twice(store: Store, again: Callable[[], Store]) -> None:
    store.apply([joined(OTAA, 4, dev_nonce=7), joined(RANDOM, 2, dev_nonce=500)])
    store.apply([joined(NEWEST, 6, rj_count_1=3)])
    for number in (OTAA, RANDOM, NEWEST):
        store.remove_device(dev_eui(number))
    back = store.add_devices(
        [
            registration(OTAA),
            registration(RANDOM, LoRaWANVersion.V1_0_3),
            registration(NEWEST, LoRaWANVersion.V1_1),
        ]
    )
    assert [one.nonces.join_nonce for one in back] == [4, 2, 6]
    assert (back[0].nonces.dev_nonce, back[1].nonces.dev_nonces, back[2].nonces.rj_count_1) == (7, {500}, 3)
    assert [one.pending for one in back] == [()] * 3, "keys go at once"
    assert again().network_devices()[:3] == back


def test_session_numbers_go_on_whichever_way_a_device_is_activated(store: Store) -> None:
    store.apply([joined(OTAA, 9, dev_nonce=7), CountersReserved(dev_eui(ABP), 0, 320, 0)])
    for number in (OTAA, ABP):
        store.remove_device(dev_eui(number))
    assert session_of(store.add_device(session(OTAA))).number == 10
    assert store.add_device(registration(ABP)).nonces.join_nonce == 0
    store.apply([joined(ABP, 1, dev_nonce=0)])
    store.remove_device(dev_eui(ABP))
    assert session_of(store.add_device(session(ABP))).number == 2


def test_downlink_counters_of_one_with_keys_of_its_own_go_on_until_it_is_reset(store: Store) -> None:
    store.apply([CountersReserved(dev_eui(ABP), 0, 320, 64)])
    store.remove_device(dev_eui(ABP))
    back = store.add_device(session(ABP)).session
    assert back is not None
    assert (back.n_f_cnt_down, back.a_f_cnt_down) == (320, 64)
    anew = store.reset_counter(dev_eui(ABP)).session
    assert anew is not None
    assert (anew.session.number, anew.session.f_cnt_up, anew.n_f_cnt_down) == (2, None, 0)


def test_a_reset_lets_a_reflashed_device_join_again(store: Store) -> None:
    store.apply([joined(OTAA, 4, dev_nonce=7), taken(OTAA, 4), joined(RANDOM, 2, dev_nonce=500)])
    store.reset_counter(dev_eui(RANDOM))
    nonces = store.reset_counter(dev_eui(OTAA)).nonces
    assert (nonces.join_nonce, nonces.dev_nonce) == (4, None)
    assert session_of(device(store, OTAA)).number == 4
    store.apply([joined(OTAA, 5, dev_nonce=0), joined(RANDOM, 3, dev_nonce=500)])


def test_a_removed_device_leaves_no_keys(store: Store) -> None:
    store.apply([joined(OTAA, 1, dev_nonce=1), taken(OTAA, 1), joined(OTAA, 2, dev_nonce=2)])
    store.queue_downlink(dev_eui(OTAA), 20, b"x", True, 1)
    store.remove_device(dev_eui(OTAA))
    for table in ("devices", "sessions", "downlinks", "coverage"):
        left = store._database.value(
            f"SELECT count(*) FROM {table} WHERE dev_eui = ?",
            (bytes(dev_eui(OTAA)),),
        )
        assert left == 0, table


def test_what_is_pending_is_what_the_change_says(store: Store) -> None:
    change = joined(OTAA, 1, dev_nonce=1)
    assert isinstance(change, JoinAnswered)
    store.apply([change])
    assert device(store, OTAA).pending == (change.pending,)
