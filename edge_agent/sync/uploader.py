"""From the store to the cloud: form, sign, seal, publish, and let rows go when a signed receipt says so.

A batch is fixed on disk before it is sent (number, rows, hash); sent again, it is the same batch under a
fresh seal. What MQTT says about delivery only paces us; rows are freed by receipts alone.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from edge_agent.errors import AgentError, ConfigurationError, ServiceUnavailable
from edge_agent.sync import receipt_fault
from edge_agent.sync.backoff import CONNECT_FIRST_S, CONNECT_MAX_S, full_jitter_s
from edge_agent.sync.identity import SyncIdentity
from edge_agent.sync.link import (
    Connection,
    Link,
    LinkDown,
    LinkEvent,
    LinkFault,
    NotTaken,
    ReceiptCame,
    Taken,
)
from edge_agent.sync.pace import BacklogPace
from edge_agent.sync.ports import AsyncStore, Formed, WallClock
from edge_agent.sync.progress import Progress
from edge_agent.sync.restored import reach_back
from edge_agent.sync.state import SyncState
from edge_agent.sync.window import SIZE, Window
from edge_codecs.batch import Lane, Manifest, StreamId, link, seal
from edge_codecs.faults import ReceiptError
from edge_codecs.receipt import Receipt, Verdict, verify_receipt

log = logging.getLogger("edge_agent.sync")

MAX_ROWS = 500
MAX_BYTES = 64 * 1024  # of encoded rows
LINGER_S = 0.5  # what arrives within it shares a batch
LIVE_ROOM = 4  # places in the window that the backlog leaves to live batches
RECHECK_S = 60.0  # rows that waited for the clock become ready without a wake-up
SETTLED_S = 60.0  # a connection that lasted so long was a good one
UNSETTLED = 3  # so many short ones in a row are no accident


class Uploader:
    """Carries rows to the cloud. `roll` gives random numbers in [0, 1), `monotonic` seconds."""

    def __init__(
        self,
        store: AsyncStore,
        link: Link,
        identity: SyncIdentity,
        clock: WallClock,
        *,
        roll: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._link = link
        self._identity = identity
        self._clock = clock
        self._roll = roll
        self._monotonic = monotonic
        self._window = Window(roll)
        self._pace = BacklogPace(identity.backlog_rows_per_s, SIZE - LIVE_ROOM, monotonic())
        self._batches: dict[int, Formed] = {}
        self._stream: StreamId | None = None
        self._live_at: float | None = None  # when to form live batches; None: no row has come
        self._backlog = True  # there may be rows to catch up
        self._recheck_at = 0.0
        self._tries = 0
        self._fixed: int | None = 0  # the store may have batches without a receipt beyond it; None: none
        self._progress = Progress()
        self._unsettled = 0  # connections in a row that did not last
        self._state = SyncState()

    def state(self) -> SyncState:
        """How it is going, for `status`."""
        return replace(
            self._state,
            batches_in_flight=len(self._window),
            stopped=self._window.stopped,
            confirmed_up_to=self._progress.up_to,
        )

    async def run(self) -> None:
        """Carry rows to the cloud until cancelled. Raises AgentError if the store cannot go on."""
        self._stream = await self._store.stream()
        confirmed, newest_ms = await self._store.progress()
        past_ms = min(newest_ms, self._clock.wall_ms())  # the receiver's clock may have run ahead
        self._progress = Progress(confirmed, newest_ms, past_ms)
        for batch in await self._store.unreceipted(0, SIZE):
            self._add(batch, self._monotonic())
        while True:
            try:
                connection = await self._link.connect()
            except LinkDown as down:
                await self._wait_to_retry(down.fault)
                continue
            except ConfigurationError as error:  # a file was spoilt while we run: readings must go on
                await self._wait_to_retry(LinkFault(str(error), error.hint))
                continue
            await self._wait_to_retry(await self._use(connection))

    # The link

    async def _use(self, connection: Connection) -> LinkFault:
        """Work over the connection until it ends; returns what ended it."""
        since = self._monotonic()
        try:
            self._connected(connection, since)
            await self._serve(connection)
        except LinkDown as down:
            if self._monotonic() - since >= SETTLED_S:
                self._tries = self._unsettled = 0
                return down.fault
            self._unsettled += 1
            return replace(down.fault, hint=down.fault.hint or self._guess())
        finally:
            await connection.close()

    def _guess(self) -> str:
        """Not every broker says that another client came with our name."""
        if self._unsettled < UNSETTLED:
            return ""
        return "This happens soon after each connection: is a copy of this gateway running elsewhere?"

    async def _wait_to_retry(self, fault: LinkFault) -> None:
        wait_s = full_jitter_s(self._tries, self._roll(), CONNECT_FIRST_S, CONNECT_MAX_S)
        self._tries += 1
        if self._state.connected or fault.message != self._state.last_error:
            log.warning("%s; next try in %.0f s. %s", fault.message, wait_s, fault.hint)
        self._note(fault)
        self._state = replace(
            self._state,
            connected=False,
            connected_since_ms=None,
            next_try_ms=self._clock.wall_ms() + round(wait_s * 1000),
        )
        await asyncio.sleep(wait_s)

    def _connected(self, connection: Connection, now: float) -> None:
        log.info("connected to %s:%d", self._identity.broker.host, self._identity.broker.port)
        self._state = replace(
            self._state,
            connected=True,
            connected_since_ms=self._clock.wall_ms(),
            next_try_ms=None,
            connects=self._state.connects + 1,
        )
        if not self._window.stopped:
            self._state = replace(self._state, last_error=None, hint=None)
        self._window.connected(now, session_present=connection.session_present)
        self._look_for_rows(now)

    async def _serve(self, connection: Connection) -> NoReturn:
        """Work until the connection ends. Raises LinkDown."""
        event = asyncio.ensure_future(connection.next_event())
        wake = asyncio.ensure_future(self._store.wake.wait())
        try:
            while True:
                await self._form(self._monotonic())
                self._send(connection)
                await asyncio.wait(
                    {event, wake}, timeout=self._idle_s(connection), return_when=asyncio.FIRST_COMPLETED
                )
                if wake.done():
                    self._store.wake.clear()
                    self._rows_came(self._monotonic())
                    wake = asyncio.ensure_future(self._store.wake.wait())
                if event.done():
                    await self._take(event.result())
                    event = asyncio.ensure_future(connection.next_event())
        finally:
            event.cancel()
            wake.cancel()

    # From rows to batches

    def _rows_came(self, now: float) -> None:
        if self._live_at is None:
            self._live_at = now + LINGER_S

    def _look_for_rows(self, now: float) -> None:
        self._live_at = now
        self._backlog = True
        self._recheck_at = now + RECHECK_S

    async def _form(self, now: float) -> None:
        """Form what the window has room for: live first, then backlog as its pace allows."""
        if now >= self._recheck_at:
            self._look_for_rows(now)
        await self._load(now)
        if self._fixed is not None:
            return
        while self._live_at is not None and now >= self._live_at and self._window.room:
            if not await self._form_one(Lane.LIVE, now):
                self._live_at = None
                self._backlog = True  # what is old already, or has grown old in the queue
        while self._backlog and self._backlog_may_go(now):
            if not await self._form_one(Lane.BACKLOG, now):
                self._backlog = False

    async def _load(self, now: float) -> None:
        """What was formed before goes before what is formed now: numbers rise. The backlog's rate holds."""
        while self._fixed is not None and self._window.room and self._pace.ready_at(now) <= now:
            batches = await self._store.unreceipted(self._fixed, 1)
            if not batches:
                self._fixed = None
            for batch in batches:
                self._add(batch, now)
                self._pace.formed(batch.count, now)

    async def _form_one(self, lane: Lane, now: float) -> bool:
        batch = await self._store.form_batch(MAX_ROWS, MAX_BYTES, lane)
        if batch is None:
            return False
        self._add(batch, now)
        if lane is Lane.BACKLOG:
            self._pace.formed(batch.count, now)
        return True

    def _backlog_may_go(self, now: float) -> bool:
        return (
            self._window.room
            and self._window.of_lane(Lane.BACKLOG) < self._pace.batches
            and self._pace.ready_at(now) <= now
        )

    def _add(self, batch: Formed, now: float) -> None:
        if self._fixed is not None:
            self._fixed = batch.number
        self._batches[batch.number] = batch
        self._window.add(batch.number, batch.lane, now)

    def _send(self, connection: Connection) -> None:
        for number in self._window.sendable(self._monotonic(), connection.window):
            connection.publish(number, self._seal(self._batches[number]))
            again = self._window.sent(number)
            self._state = replace(
                self._state,
                batches_sent=self._state.batches_sent + 1,
                batches_sent_again=self._state.batches_sent_again + again,
            )

    def _seal(self, batch: Formed) -> bytes:
        assert self._stream is not None
        manifest = Manifest(
            self._identity.gateway,
            self._stream,
            batch.number,
            batch.lane,
            tuple(batch.ranges),
            link(batch.previous) if len(batch.previous) == 32 else batch.previous,
            batch.rows,
        )
        return seal(manifest, self._identity.signing_key, self._identity.sealing_key)

    def _idle_s(self, connection: Connection) -> float:
        """How long nothing is to be done if nothing happens."""
        now = self._monotonic()
        times = [self._recheck_at]
        if self._fixed is not None:
            if self._window.room:
                times.append(self._pace.ready_at(now))
        elif self._window.room:
            if self._live_at is not None:
                times.append(self._live_at)
            if self._backlog and self._window.of_lane(Lane.BACKLOG) < self._pace.batches:
                times.append(self._pace.ready_at(now))
        if (wake_at := self._window.wake_at(connection.window)) is not None:
            times.append(wake_at)
        return max(min(times) - now, 0.0)

    # What comes back

    async def _take(self, event: LinkEvent) -> None:
        now = self._monotonic()
        match event:
            case Taken():
                self._window.taken(event.number, now)
                if not event.heard:
                    self._note(LinkFault("nobody listens to our batches", "Is cloud-sync running?"))
            case NotTaken():
                if self._window.refused(event.number, now, by_broker=True):
                    self._stop(event.fault)
            case ReceiptCame():
                await self._receive(event.data, now)

    async def _receive(self, data: bytes, now: float) -> None:
        receipt = self._checked(data)
        if receipt is None or self._progress.outdated(receipt):
            self._state = replace(self._state, receipts_ignored=self._state.receipts_ignored + 1)
            return
        wall_ms = self._clock.wall_ms()
        self._state = replace(
            self._state, last_receipt_ms=wall_ms, clock_offset_ms=receipt.receiver_time_ms - wall_ms
        )
        if self._progress.lost(receipt):
            await self._go_back(receipt, now)
            return
        if receipt.up_to > self._progress.up_to and not await self._free(receipt, now):
            return
        self._progress.confirmed(receipt)
        if receipt.verdict is Verdict.REFUSED:
            if self._window.refused(receipt.batch, now, by_broker=False):
                self._stop(receipt_fault.refusal(receipt))
        elif receipt.verdict is Verdict.RESEND:
            self._window.missed(receipt.up_to + 1, now)
        elif not self._window.stopped:
            self._tries = 0
            self._state = replace(self._state, last_error=None, hint=None)

    def _checked(self, data: bytes) -> Receipt | None:
        """The receipt if our receiver signed it, for this gateway and this life of the store."""
        try:
            receipt = verify_receipt(data, self._identity.receipt_key)
        except ReceiptError as error:
            log.warning("a receipt is not taken: %s", error)
            return None
        ours = receipt.gateway == self._identity.gateway and receipt.stream == self._stream
        return receipt if ours else None

    async def _go_back(self, receipt: Receipt, now: float) -> None:
        """The receiver has forgotten what it had confirmed: send it again, as far as it is here."""
        confirmed = self._progress.up_to
        try:
            await self._store.receipt(receipt.up_to, receipt.batch_hash, receipt.receiver_time_ms)
            stream = await reach_back(self._store, receipt.up_to, confirmed)
        except ServiceUnavailable:
            raise
        except AgentError as error:  # another history than ours
            self._stop(LinkFault(str(error), error.hint))
            return
        self._window.rewind()
        self._batches.clear()
        up_to = receipt.up_to if stream is None else 0
        self._stream = stream or self._stream
        self._fixed = up_to
        self._progress.went_back(up_to, receipt)
        self._look_for_rows(now)
        fault = receipt_fault.forgotten(receipt, confirmed, all_kept=stream is None)
        log.warning("%s. %s", fault.message, fault.hint)
        self._note(fault)
        self._state = replace(
            self._state,
            batches_forgotten=self._state.batches_forgotten + confirmed - receipt.up_to,
            forgotten_ms=self._clock.wall_ms(),
        )

    async def _free(self, receipt: Receipt, now: float) -> bool:
        try:
            rows = await self._store.receipt(receipt.up_to, receipt.batch_hash, receipt.receiver_time_ms)
        except ServiceUnavailable:
            raise
        except AgentError as error:  # another history than ours; nothing goes, and readings still come in
            self._stop(LinkFault(str(error), error.hint))
            return False
        for landed in self._window.receipted(receipt.up_to, now):
            del self._batches[landed.number]
            if landed.lane is Lane.BACKLOG:
                self._pace.receipted(landed.took_s)
        self._state = replace(self._state, rows_confirmed=self._state.rows_confirmed + rows)
        return True

    # What is shown

    def _stop(self, fault: LinkFault) -> None:
        if fault.message != self._state.last_error:
            log.error("%s. %s", fault.message, fault.hint)
        self._note(fault)

    def _note(self, fault: LinkFault) -> None:
        self._state = replace(self._state, last_error=fault.message, hint=fault.hint or None)
