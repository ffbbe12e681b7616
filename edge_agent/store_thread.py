"""The store on its own thread: SQLite blocks, the loop must not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from edge_agent.clock import ClockReading
from edge_agent.health.rejections import Rejections
from edge_agent.network.changes import Change
from edge_agent.network.gap import Gap
from edge_agent.network.outcome import Admitted
from edge_agent.store.errors import StoreFull
from edge_agent.store.store import FormedBatch, Pending, Store
from edge_codecs.identifiers import DevEUI
from edge_codecs.manifest import Lane, StreamId

Result = TypeVar("Result")

LOOK_AGAIN_S = 5.0  # retention may make room, too
COVER_TURNS = 10  # of some 20 ms each: 500 uplinks/s, when it is called every 10 s

log = logging.getLogger(__name__)


class StoreThread:
    """Every call runs on one thread, in order. `wake` is set whenever rows were kept.

    A full store is no end: what is not kept yet waits, the radio stops reading, and the kernel holds what
    comes, until a receipt makes room. `full` says so meanwhile. What was decided later waits behind it: that
    may rest on it.
    """

    def __init__(self) -> None:
        self.full: StoreFull | None = None
        self._turn = asyncio.Lock()  # first come, first served
        self._room = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._store: Store | None = None
        self.wake = asyncio.Event()

    async def open(self, make: Callable[[], Store]) -> None:
        """Open the store on its thread: SQLite connections stay where they were made."""
        self._store = await self.run(make)

    async def run(self, function: Callable[[], Result]) -> Result:
        """Run `function` on the store's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def call(self, method: Callable[[Store], Result]) -> Result:
        """Run `method(store)` on the store's thread."""
        store = self._opened()
        return await self.run(lambda: method(store))

    async def keep(
        self, uplinks: Sequence[Admitted], clock: ClockReading | None, changes: Sequence[Change] = ()
    ) -> None:
        """Commit counters, rows and changes; they are on disk when this returns, however long it is full."""
        await self._once_there_is_room(lambda store: store.keep(uplinks, clock, changes))
        self.wake.set()

    async def apply(self, changes: Sequence[Change]) -> None:
        """Commit what the network decided; it is on disk when this returns, however long that takes."""
        await self._once_there_is_room(lambda store: store.apply(changes))

    async def in_turn(self, method: Callable[[Store], Result]) -> Result:
        """Run `method(store)` behind all that was decided before, however long that waits for room."""
        async with self._turn:
            return await self.call(method)

    async def _once_there_is_room(self, method: Callable[[Store], object]) -> None:
        async with self._turn:
            await self._wait_for_room(method)

    async def _wait_for_room(self, method: Callable[[Store], object]) -> None:
        while True:
            self._room.clear()
            try:
                await self.call(method)
            except StoreFull as full:
                if self.full is None:
                    log.error("%s. %s", full, full.hint)
                self.full = full
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), LOOK_AGAIN_S)
                continue
            if self.full is not None:
                log.warning("the store has room again")
                self.full = None
            return

    async def cover(self) -> dict[DevEUI, tuple[Gap, ...]]:
        """See Store.cover; uplinks get their turn in between. A full store is covered later."""
        try:
            for _ in range(COVER_TURNS):
                if not await self.call(lambda store: store.take_in()):
                    break
            return await self.call(lambda store: store.cover())
        except StoreFull:
            return {}

    async def count_rejections(self, rejections: Rejections) -> None:
        """Add what was counted to the sums; a full store takes them later."""
        tallies = rejections.take()
        if not tallies:
            return
        counts = {key: (tally.count, tally.last_seen_ms) for key, tally in tallies.items()}
        try:
            await self.call(lambda store: store.count_rejections(counts))
        except StoreFull:
            rejections.put_back(tallies)

    async def stream(self) -> StreamId:
        """This life of the store."""
        return await self.call(lambda store: store.stream)

    async def form_batch(self, max_rows: int, max_bytes: int, lane: Lane) -> FormedBatch | None:
        """See Store.form_batch."""
        return await self.call(lambda store: store.form_batch(max_rows, max_bytes, lane))

    async def unreceipted(self, after: int = 0, limit: int = 20) -> list[FormedBatch]:
        """See Store.unreceipted."""
        return await self.call(lambda store: store.unreceipted(after, limit))

    async def receipt(self, up_to: int, batch_hash: bytes, receiver_time_ms: int) -> int:
        """See Store.receipt."""
        confirmed = await self.call(lambda store: store.receipt(up_to, batch_hash, receiver_time_ms))
        self._room.set()
        return confirmed

    async def progress(self) -> tuple[int, int]:
        """See Store.progress."""
        return await self.call(lambda store: store.progress())

    async def unconfirm(self, after: int) -> int:
        """See Store.unconfirm."""
        return await self.call(lambda store: store.unconfirm(after))

    async def begin_stream(self) -> StreamId:
        """Begin a new life because the cloud has lost what it had: counters hold. See Store.begin_stream."""
        return await self.call(lambda store: store.begin_stream(only_one=True))

    async def pending(self) -> Pending:
        """See Store.pending."""
        return await self.call(lambda store: store.pending())

    async def clock_in_step(self, reading: ClockReading) -> None:
        """Date rows of this boot that came before UTC was known; the uploader may have work then."""
        if await self.call(lambda store: store.clock_in_step(reading)):
            self.wake.set()

    async def tidy(self, reading: ClockReading | None) -> None:
        """Let rows go whose time is up, and keep the write-ahead log small."""
        if reading is not None:
            await self.call(lambda store: store.prune(reading.utc_ms))
        await self.call(lambda store: store.checkpoint())

    async def close(self) -> None:
        """Close the store and end the thread."""
        if self._store is not None:
            await self.run(self._store.close)
            self._store = None
        self._thread.shutdown()

    def _opened(self) -> Store:
        assert self._store is not None, "open() comes first"
        return self._store
