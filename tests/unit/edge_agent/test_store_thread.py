"""The store on its thread: what the network decided waits for room like uplinks do."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from edge_agent.errors import AgentBug
from edge_agent.network.changes import Change, CountersReserved
from edge_agent.store.errors import StoreFull
from edge_agent.store.store import Store
from edge_agent.store_thread import StoreThread
from edge_codecs.manifest import Lane
from tests.rig.store import Now, clock, dev_eui, open_store, session, uplink

RESERVED: list[Change] = [CountersReserved(dev_eui(0), 0, 32, 0)]


async def opened(path: Path) -> StoreThread:
    thread = StoreThread()
    await thread.open(lambda: open_store(path, max_bytes=1_200_000, now=Now(1e9)))
    await thread.call(lambda store: store.add_devices([session(0)]))
    return thread


def fill(store: Store) -> int:
    """Keep uplinks until the cap; returns the next counter."""
    f_cnt = 0
    for burst in (100, 1):
        with contextlib.suppress(StoreFull):
            while True:
                store.keep([uplink(0, f_cnt + n, at_s=f_cnt) for n in range(burst)], clock(f_cnt))
                f_cnt += burst
    return f_cnt


async def make_room(thread: StoreThread) -> None:
    """The cloud confirms everything."""
    batch = await thread.form_batch(1000, 1 << 16, Lane.BACKLOG)
    while (more := await thread.form_batch(1000, 1 << 16, Lane.BACKLOG)) is not None:
        batch = more
    assert batch is not None
    await thread.receipt(batch.number, batch.hash, 1)


def bound(store: Store) -> int:
    (device,) = store.network_devices()
    assert device.session is not None
    return device.session.n_f_cnt_down


def test_changes_wait_while_the_store_is_full_and_are_kept_once_there_is_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        thread = await opened(tmp_path / "store.db")
        f_cnt = await thread.call(fill)
        keeping = asyncio.create_task(thread.keep([uplink(0, f_cnt)], clock(f_cnt), RESERVED))
        await asyncio.sleep(0)  # it asks the store first, then we do
        assert await thread.call(bound) == 0
        assert thread.full is not None
        assert not keeping.done()
        await make_room(thread)
        await keeping
        assert thread.full is None
        assert await thread.call(bound) == 32
        await thread.close()

    asyncio.run(scenario())


def test_nothing_overtakes_what_waits_for_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        thread = await opened(tmp_path / "store.db")
        f_cnt = await thread.call(fill)
        keeping = asyncio.create_task(thread.keep([uplink(0, f_cnt)], clock(f_cnt), RESERVED))
        nothing = asyncio.create_task(thread.keep((), None))
        looking = asyncio.create_task(thread.in_turn(bound))
        await asyncio.sleep(0)
        await thread.call(bound)
        assert thread.full is not None
        assert not (keeping.done() or nothing.done() or looking.done())
        await make_room(thread)
        await asyncio.gather(keeping, nothing)
        assert await looking == 32
        await thread.close()

    asyncio.run(scenario())


def test_changes_without_uplinks_wake_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        thread = await opened(tmp_path / "store.db")
        await thread.apply(RESERVED)
        assert not thread.wake.is_set()
        await thread.keep([uplink(0, 0)], clock(1))
        assert thread.wake.is_set()
        with pytest.raises(AgentBug):
            await thread.apply([CountersReserved(dev_eui(0), 0, 31, 0)])
        await thread.close()

    asyncio.run(scenario())


def test_gaps_are_told_however_many_rows_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        thread = await opened(tmp_path / "store.db")
        for begin in range(0, 1600, 100):
            at_s = [900 * (begin + n) for n in range(100)]
            frames = [
                uplink(0, begin + n, at_s=at) for n, at in enumerate(at_s) if begin + n not in (3, 1500)
            ]
            await thread.keep(frames, clock(at_s[-1]))
        (gaps,) = (await thread.cover()).values()
        assert [gap.intervals for gap in gaps] == [1, 1]
        await thread.close()

    asyncio.run(scenario())
