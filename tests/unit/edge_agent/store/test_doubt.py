"""Copies and damaged stores: what the original may have given since is never given again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.changes import CountersReserved, DownlinkChanged, SessionTaken
from edge_agent.network.device import Device, DownlinkState
from edge_agent.store.backup import backup, restore
from edge_agent.store.check import check
from edge_agent.store.connection import PAGE_BYTES, connect
from edge_agent.store.doubt import F_CNT_DOWN_STEP, JOIN_NONCE_STEP
from edge_agent.store.salvage import salvage
from edge_agent.store.store import Store
from edge_codecs.identifiers import GatewayId
from tests.rig.store import KEY, clock, dev_eui, joined, open_store, registration, session, session_of, uplink

OTAA, RANDOM, ABP, GONE = range(4)
MAX_FCNT_GAP = 16_384


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = open_store(path)
    store.add_devices(
        [registration(OTAA), registration(RANDOM, LoRaWANVersion.V1_0_3), session(ABP), session(GONE)]
    )
    store.apply([joined(OTAA, 1, dev_nonce=1), joined(RANDOM, 1, dev_nonce=500)])
    store.keep([uplink(OTAA, 5, session=1)], clock(1), [SessionTaken(dev_eui(OTAA), 1)])
    store.apply(
        [
            CountersReserved(dev_eui(OTAA), 1, 32, 0),
            CountersReserved(dev_eui(ABP), 0, 64, 32),
            joined(OTAA, 2, dev_nonce=2),
            CountersReserved(dev_eui(GONE), 0, 96, 0),
        ]
    )
    store.remove_device(dev_eui(GONE))
    sent = store.queue_downlink(dev_eui(ABP), 20, b"done", False, 1)
    store.queue_downlink(dev_eui(ABP), 20, b"waits", True, 1)
    store.apply([DownlinkChanged(sent.number, DownlinkState.SENT, 1, 5)])
    yield store
    store.close()


def bounds(device: Device) -> tuple[int, int]:
    assert device.session is not None
    return device.session.n_f_cnt_down, device.session.a_f_cnt_down


def expect_passed_over(path: Path, *, gateway: GatewayId | None = None, new_stream: bool = False) -> None:
    """Opened, every number is a step further than the original's; once, not with each start."""
    for again in range(2):
        store = open_store(
            path, new_stream=new_stream and not again, **({"gateway": gateway} if gateway else {})
        )
        otaa, random, abp = store.network_devices()
        assert (otaa.nonces.join_nonce, random.nonces.join_nonce) == (
            2 + JOIN_NONCE_STEP,
            1 + JOIN_NONCE_STEP,
        )
        assert (otaa.nonces.dev_nonce, random.nonces.dev_nonces) == (2, {500})
        assert (session_of(otaa).number, session_of(otaa).f_cnt_up) == (1, 5)
        assert [one.n_f_cnt_down for one in otaa.pending] == [F_CNT_DOWN_STEP]
        assert bounds(otaa)[0] == 32 + F_CNT_DOWN_STEP
        assert bounds(abp) == (64 + F_CNT_DOWN_STEP, 32 + F_CNT_DOWN_STEP)
        assert session_of(abp).number == 0
        assert [one.state for one in store.downlinks(dev_eui(ABP))] == [
            DownlinkState.SENT,
            DownlinkState.FAILED,
        ]
        assert store.queue_downlink(dev_eui(OTAA), 1, b"", False, 1).number > 3 + again
        store.close()
        assert check(path, KEY).findings == ()
    store = open_store(path, **({"gateway": gateway} if gateway else {}))
    assert session_of(store.reset_counter(dev_eui(ABP))).number == JOIN_NONCE_STEP + 1
    back = store.add_device(session(GONE))
    assert (session_of(back).number, bounds(back)[0]) == (JOIN_NONCE_STEP + 1, 96 + F_CNT_DOWN_STEP)
    store.close()


def test_a_restored_backup_gives_nothing_twice(store: Store, path: Path, tmp_path: Path) -> None:
    backup(path, KEY, tmp_path / "backup.db")
    store.apply([joined(OTAA, 3, dev_nonce=3), CountersReserved(dev_eui(ABP), 0, 128, 64)])
    store.close()
    restore(tmp_path / "backup.db", path, KEY)
    expect_passed_over(path)


def test_an_older_image_gives_nothing_twice_once_the_operator_says_so(store: Store, path: Path) -> None:
    store.close()
    expect_passed_over(path, new_stream=True)


def test_a_store_of_another_gateway_gives_nothing_twice(store: Store, path: Path) -> None:
    store.close()
    expect_passed_over(path, gateway=GatewayId.parse("b827ebfffe000002"))


def test_the_operator_may_say_so_to_an_open_store(store: Store) -> None:
    store.begin_stream()
    assert store.network_devices()[OTAA].nonces.join_nonce == 2 + JOIN_NONCE_STEP


def test_a_stream_that_the_cloud_asks_for_leaves_all_numbers(store: Store) -> None:
    before = store.network_devices()
    store.begin_stream(only_one=True)
    assert store.network_devices() == before


def test_what_is_used_up_stays_used_up(store: Store) -> None:
    store.apply([CountersReserved(dev_eui(ABP), 0, 2**32, 2**32), joined(OTAA, 2**24 - 1, dev_nonce=9)])
    store.begin_stream()
    otaa, _, abp = store.network_devices()
    assert (otaa.nonces.join_nonce, bounds(abp)) == (2**24 - 1, (2**32, 2**32))


def test_four_restores_in_a_row_are_within_what_a_device_takes() -> None:
    assert 3 * F_CNT_DOWN_STEP < MAX_FCNT_GAP <= 4 * F_CNT_DOWN_STEP


def test_a_salvaged_store_gives_nothing_twice(store: Store, path: Path) -> None:
    store.close()
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    expect_passed_over(path)


def test_lost_devices_and_sessions_are_said_and_their_numbers_go_on(store: Store, path: Path) -> None:
    store.add_devices([session(5), registration(6), session(7)])
    store.keep([uplink(5, 40), uplink(7, 50)], clock(1))
    store.apply([joined(6, 8, dev_nonce=3)])
    store.close()
    database = connect(path, KEY, write=True)
    database.execute("DELETE FROM devices WHERE dev_eui IN (?, ?)", (bytes(dev_eui(5)), bytes(dev_eui(6))))
    database.execute("DELETE FROM sessions WHERE dev_eui = ?", (bytes(dev_eui(7)),))
    database.execute("DELETE FROM sessions WHERE dev_eui = ? AND pending = 0", (bytes(dev_eui(OTAA)),))
    database.close()
    found = salvage(path, KEY)
    assert found is not None
    assert found.devices_lost == (dev_eui(5), dev_eui(6), dev_eui(7))
    assert found.devices == 3
    assert check(path, KEY).findings == ()
    store = open_store(path)
    assert store.network_devices()[OTAA].session is None, "it has to join again, and can"
    assert store.network_devices()[OTAA].nonces.join_nonce == 2 + JOIN_NONCE_STEP
    for number, f_cnt in ((5, 40), (7, 50)):
        back = store.add_device(session(number))
        assert session_of(back).number == JOIN_NONCE_STEP + 1
        assert bounds(back) == (f_cnt + 1 + F_CNT_DOWN_STEP,) * 2
    assert store.add_device(registration(6)).nonces.join_nonce == 8 + JOIN_NONCE_STEP
    assert store.add_device(session(GONE)).dev_eui == dev_eui(GONE)
    store.close()


@pytest.mark.slow
def test_whichever_page_is_damaged_no_number_goes_back(store: Store, path: Path) -> None:
    """Each page in turn: a device is whole and a step further, or it has to be added and goes on."""
    store.close()
    sound = path.read_bytes()
    for page in range(len(sound) // PAGE_BYTES):
        for file in path.parent.iterdir():
            file.unlink()
        content = bytearray(sound)
        content[page * PAGE_BYTES + 100] ^= 1
        path.write_bytes(content)
        found = salvage(path, KEY)
        assert found is not None
        store = open_store(path)
        present = {one.dev_eui: one for one in store.network_devices()}
        if dev_eui(OTAA) not in present:
            assert found.damaged, page
            present[dev_eui(OTAA)] = store.add_device(registration(OTAA))
        assert present[dev_eui(OTAA)].nonces.join_nonce > 2, page
        if dev_eui(ABP) in present:
            steps = 2 if "life" in found.damaged else 1  # whose stream it was is not known then
            assert bounds(present[dev_eui(ABP)])[0] == 64 + steps * F_CNT_DOWN_STEP, page
        else:
            assert found.damaged, page
        store.close()
        assert check(path, KEY).findings == ()
