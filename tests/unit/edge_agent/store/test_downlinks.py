"""What waits for a device: bounded, in order, done once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.errors import UsageError
from edge_agent.network.changes import DownlinkChanged
from edge_agent.network.device import DownlinkState, QueuedDownlink
from edge_agent.store.downlinks import DONE_KEPT, MAX_PAYLOAD_BYTES, MAX_WAITING
from edge_agent.store.store import Store
from tests.rig.store import dev_eui, open_store, registration, session

A, B = dev_eui(0), dev_eui(1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = open_store(path)
    store.add_devices([session(0), registration(1)])
    yield store
    store.close()


def queue(store: Store, *, confirmed: bool = False, payload: bytes = b"\x10") -> QueuedDownlink:
    return store.queue_downlink(A, 22, payload, confirmed, 1000)


def done(number: int, state: DownlinkState, tries: int = 1) -> DownlinkChanged:
    return DownlinkChanged(number, state, tries, 40, "why")


def test_it_waits_in_order_and_is_there_after_a_restart(store: Store, path: Path) -> None:
    first = queue(store)
    second = store.queue_downlink(A, 1, b"", True, 2000)
    third = store.queue_downlink(B, 223, b"y" * MAX_PAYLOAD_BYTES, False, 3000)
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    store.close()
    reopened = open_store(path)
    assert [one.downlinks for one in reopened.network_devices()] == [(first, second), (third,)]
    assert reopened.downlinks(A) == [first, second]
    reopened.close()


@pytest.mark.parametrize(("f_port", "size"), [(0, 1), (224, 1), (-1, 1), (10, MAX_PAYLOAD_BYTES + 1)])
def test_what_no_downlink_carries_is_refused(store: Store, f_port: int, size: int) -> None:
    with pytest.raises(UsageError):
        store.queue_downlink(A, f_port, bytes(size), False, 1)
    assert store.downlinks(A) == []


def test_a_device_that_is_not_here_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="there is no device"):
        store.queue_downlink(dev_eui(9), 1, b"", False, 1)
    for method in (store.downlinks, store.cancel_downlinks):
        with pytest.raises(UsageError, match="there is no device"):
            method(dev_eui(9))


def test_only_so_many_wait(store: Store) -> None:
    entries = [queue(store) for _ in range(MAX_WAITING)]
    with pytest.raises(UsageError, match="wait"):
        queue(store)
    store.queue_downlink(B, 1, b"", False, 1)
    store.apply([done(entries[0].number, DownlinkState.SENT)])
    assert queue(store).number == MAX_WAITING + 2, "a number is never given twice"


@pytest.mark.parametrize(
    ("confirmed", "state", "waits"),
    [
        (False, DownlinkState.WAITING, True),
        (False, DownlinkState.SENT, False),
        (True, DownlinkState.SENT, True),
        (True, DownlinkState.ACKNOWLEDGED, False),
        (True, DownlinkState.FAILED, False),
    ],
)
def test_when_it_is_done(store: Store, *, confirmed: bool, state: DownlinkState, waits: bool) -> None:
    entry = queue(store, confirmed=confirmed)
    store.apply([done(entry.number, state)])
    (kept,) = store.downlinks(A)
    assert (kept.state, kept.tries, kept.f_cnt_down, kept.detail) == (state, 1, 40, "why")
    assert [one.number for one in store.network_devices()[0].downlinks] == [entry.number] * waits
    store.apply([done(entry.number, DownlinkState.FAILED, 2)])
    assert store.downlinks(A)[0].state is (DownlinkState.FAILED if waits else state), "done is done"


def test_what_the_radio_did_not_take_was_no_try(store: Store) -> None:
    entry = queue(store, confirmed=True)
    store.apply([done(entry.number, DownlinkState.SENT, 3)])
    store.apply([done(entry.number, DownlinkState.WAITING, 2)])
    assert [(one.state, one.tries) for one in store.downlinks(A)] == [(DownlinkState.WAITING, 2)]


def test_the_newest_results_stay(store: Store) -> None:
    for _ in range(DONE_KEPT + 10):
        store.apply([done(queue(store).number, DownlinkState.SENT)])
    waiting = queue(store)
    kept = store.downlinks(A)
    assert [one.number for one in kept] == list(range(11, DONE_KEPT + 12))
    assert kept[-1] == waiting
    assert store._database.value("SELECT count(*) FROM downlinks") == DONE_KEPT + 1


def test_what_is_cancelled_fails_and_nothing_else(store: Store) -> None:
    sent, waiting = queue(store), queue(store)
    other = store.queue_downlink(B, 1, b"", False, 1)
    store.apply([done(sent.number, DownlinkState.SENT)])
    assert store.cancel_downlinks(A) == 1
    assert [(one.number, one.state) for one in store.downlinks(A)] == [
        (sent.number, DownlinkState.SENT),
        (waiting.number, DownlinkState.FAILED),
    ]
    assert store.cancel_downlinks(A) == 0
    assert store.downlinks(B) == [other]
