"""The encrypted store: frame counters, readings and batches, each change one transaction.

A foreign key, a plain SQLite file or a newer schema is refused. A damaged file is set aside and what can be
read of it goes on in a new one (`salvage`). Whoever may not be the only one to continue a stream (a restored
backup, a cloned card) begins a new stream: rows without a receipt go again under new numbers, and the
receiver knows them by their frames.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

from edge_agent.clock import ClockReading
from edge_agent.lorawan.session import Session
from edge_agent.network.outcome import Admitted
from edge_agent.network.reason import Reason
from edge_agent.store import devices
from edge_agent.store.batches import FormedBatch, Outbox
from edge_agent.store.connection import Database, NoRoom
from edge_agent.store.counters import Counters, Dated, save_counters
from edge_agent.store.dating import Anchor
from edge_agent.store.devices import DeviceEntry, RejectionSum
from edge_agent.store.errors import ReceiptMismatch, StoreFull
from edge_agent.store.head import Head, begin_stream, unbatched
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.lock import WriterLock
from edge_agent.store.opening import open_and_load
from edge_agent.store.row_ranges import from_text
from edge_agent.store.rows import INSERT, SELECT, clamped_ms, row_of, uplink_of
from edge_agent.store.space import Space
from edge_agent.store.spans import Spans
from edge_agent.store.status import Pending, StoreStatus
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.manifest import Lane, StreamId
from edge_codecs.reading import TimeQuality

__all__ = ["DeviceEntry", "FormedBatch", "Pending", "RejectionSum", "Store", "StoreStatus"]

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_DAY_MS: Final = 86_400_000


def boottime_ns() -> int:
    """CLOCK_BOOTTIME: what frames are dated by."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Store:
    """One store file, open for writing: by one process, on one thread.

    Whatever is given to a method is on disk when it returns. Raises AgentError kinds of
    `edge_agent.store.errors`; after StoreFull it may be used on, after any other open it anew.
    """

    def __init__(
        self,
        lock: WriterLock,
        database: Database,
        retention_days: int,
        max_bytes: int,
        boot: str,
        now_ns: Callable[[], int],
    ) -> None:
        self._lock = lock
        self._database = database
        self._space = Space(database, max_bytes)
        self._retention_days = retention_days
        self._max_bytes = max_bytes
        self._now_ns = now_ns
        self._head = Head.load(database)
        self._spans = Spans(database, boot)
        self._outbox = Outbox(database)
        self._counters = Counters(database)

    @classmethod
    def open(
        cls,
        path: Path,
        key: StoreKey,
        *,
        gateway: GatewayId,
        max_bytes: int,
        retention_days: int,
        boot: str,
        new_stream: bool = False,
        now_ns: Callable[[], int] = boottime_ns,
    ) -> Self:
        """Open the store, or make it.

        `gateway` is whose batches it forms: their hash covers it. `boot` is the kernel's boot id and `now_ns`
        its CLOCK_BOOTTIME. `new_stream`: begin a new life (after a restore). One begins by itself where the
        file is a backup, was another gateway's, or lies on another machine.
        Raises ConfigurationError (no key that fits, plain SQLite, newer schema), StoreLocked, StoreFull.
        """
        lock = WriterLock(path)
        try:
            return open_and_load(
                path,
                key,
                gateway,
                max_bytes,
                lambda database: cls(lock, database, retention_days, max_bytes, boot, now_ns),
                new_stream=new_stream,
            )
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Write the log back and let the file go."""
        self._database.close()
        self._lock.release()

    @property
    def stream(self) -> StreamId:
        """The id of this life of the store."""
        return self._head.stream

    # Uplinks

    def keep(self, uplinks: Sequence[Admitted], clock: ClockReading | None) -> int:
        """Commit rows and frame counters in one transaction; returns the highest row number.

        `clock` dates the rows now; None: they are dated later by `clock_in_step`. Uplinks that hold MAC
        commands only move their counter and make no row. Raises StoreFull.
        """
        if clock is not None:
            self._spans.note(clock)
        dated = _dated(uplinks, clock)
        if not self._space.take(len(dated)):
            self._make_room(len(dated))
        return self._write(lambda: self._keep(dated))

    def _keep(self, dated: Dated) -> int:
        boot, row_id = self._spans.boot, self._head.last_id
        span: int | None = None
        rows = []
        with self._database.transaction():
            if any(date is None for _, date in dated):
                span = self._spans.open()
            for uplink, date in dated:
                if uplink.message is not None:
                    row_id += 1
                    rows.append(row_of(row_id, uplink, boot, date, span))
            newer = self._counters.judge(dated, span)
            self._database.execute_many(INSERT, rows)
            save = self._counters.due(len(rows), has_row=len(rows) == len(dated))
            if save:
                save_counters(self._database, self._counters.unsaved | newer, row_id)
        self._head.last_id = row_id
        self._counters.kept(newer, len(rows), saved=save)
        if span is not None:
            self._spans.kept(span, sum(row[-1] is not None for row in rows))
        return self._head.last_row

    def clock_in_step(self, reading: ClockReading) -> int:
        """Date the rows that waited for the clock; returns how many became ready.

        Rows of earlier boots, of which nothing is known, get TimeQuality.UNKNOWN and the latest time that
        they can have been received at.
        """
        ready = self._write(lambda: self._spans.close(reading))
        if ready:
            self._outbox.dates_changed()
        return ready

    def count_rejections(self, counts: Mapping[tuple[DevEUI | None, Reason], tuple[int, int]]) -> None:
        """Add to the sums: (device, reason) -> (how many more, UTC milliseconds of the last)."""
        self._change(lambda: devices.count_rejections(self._database, counts))

    def rejections(self, dev_eui: DevEUI | None = None) -> list[RejectionSum]:
        """Sums by reason, most frequent first: of one device, or of all frames."""
        return devices.rejections(self._database, dev_eui)

    # Devices

    def sessions(self) -> list[Session]:
        """All devices' sessions, each with its highest counter."""
        return [entry.session for entry in self.devices()]

    def devices(self) -> list[DeviceEntry]:
        """All devices, by DevEUI."""
        return devices.entries(self._database, self._counters.unsaved)

    def add_devices(self, sessions: Sequence[Session]) -> list[Session]:
        """Add devices, all or none; returns the sessions as they are kept.

        A device that was here before gets a new session number, so that its old rows stay apart.
        Raises UsageError for one that is here now.
        """
        added = self._change(lambda: [devices.add(self._database, session) for session in sessions])
        for session in added:
            self._counters.set(session.dev_eui, session.number, session.f_cnt_up)
        return added

    def add_device(self, session: Session) -> Session:
        """Add one device; see `add_devices`."""
        return self.add_devices([session])[0]

    def remove_device(self, dev_eui: DevEUI) -> None:
        """Forget a device and its keys; its rows stay. Raises UsageError if it is not here."""
        self._save_counters()
        self._change(lambda: devices.remove(self._database, dev_eui))
        self._counters.forget(dev_eui)

    def reset_counter(self, dev_eui: DevEUI) -> Session:
        """Let the frame counter begin anew, under the next session number. Raises UsageError."""
        self._save_counters()
        session = self._change(lambda: devices.reset(self._database, dev_eui))
        self._counters.set(dev_eui, session.number, None)
        return session

    def _save_counters(self) -> None:
        self._change(self._write_counters)
        self._counters.saved()

    def _write_counters(self) -> None:
        save_counters(self._database, self._counters.unsaved, self._head.last_id)

    # Batches

    def form_batch(self, max_rows: int, max_bytes: int, lane: Lane) -> FormedBatch | None:
        """Fix the next batch on disk: number, rows, link, hash. None if the lane has no dated rows.

        Live: rows received within the last minute. Backlog: all others, oldest first. `max_bytes` bounds the
        encoded rows.
        """
        rows = self._outbox.choose(self._head, lane, max_rows, self._spans.boot, self._now_ns())
        if not rows:
            return None
        formation = self._outbox.form(self._head, lane, rows, max_bytes)
        self._change(lambda: self._outbox.write(self._head, formation))
        batch = formation.batch
        self._head.last_batch, self._head.last_hash = batch.number, batch.hash
        self._head.frontier = formation.frontier
        return batch

    def unreceipted(self, after: int = 0, limit: int = 20) -> list[FormedBatch]:
        """Batches without a receipt beyond number `after`, in order."""
        return self._outbox.unreceipted(self._head, after, limit)

    def receipt(self, up_to: int, batch_hash: bytes, receiver_time_ms: int) -> int:
        """The cloud has all batches up to `up_to`; returns how many rows that newly confirms.

        Raises ReceiptMismatch where `batch_hash` is not that batch's.
        """
        rows = self._outbox.rows_confirmed_by(self._head, up_to, batch_hash)
        if up_to > self._head.confirmed:
            self._change(
                lambda: self._database.execute(
                    "UPDATE life SET confirmed = ?, receiver_ms = ?", (up_to, receiver_time_ms)
                )
            )
            self._head.confirmed = up_to
        return rows

    def progress(self) -> tuple[int, int]:
        """The highest confirmed batch, and the receiver's time (ms) of the receipt that said so; 0: none."""
        return self._head.confirmed, self._database.value("SELECT receiver_ms FROM life") or 0

    def unconfirm(self, after: int) -> int:
        """The cloud lost what it had confirmed beyond batch `after` (it was restored): these go again.

        Returns how many batches. Raises ReceiptMismatch if one of them is pruned: then begin a new stream.
        """
        if after >= self._head.confirmed:
            return 0
        kept = self._database.value("SELECT count(*) FROM batches WHERE number > ?", (after,))
        if kept != self._head.last_batch - after:
            raise ReceiptMismatch(f"the cloud asks for batch {after + 1}, which is not kept any more")
        self._change(lambda: self._database.execute("UPDATE life SET confirmed = ?", (after,)))
        again, self._head.confirmed = self._head.confirmed - after, after
        return again

    def begin_stream(self) -> StreamId:
        """Begin a new life: rows without a receipt will be batched anew, from row 1 and batch 1."""
        stream = self._change(lambda: begin_stream(self._database, self._head.gateway))
        self._head = Head.load(self._database)
        self._counters.saved()
        self._outbox.dates_changed()
        return stream

    def pending(self) -> Pending:
        """What the cloud has not confirmed."""
        head = self._head
        rows = unbatched(self._database, head)
        first = [rows[0].first] if rows else []
        oldest = self._database.one("SELECT ranges FROM batches WHERE number = ?", (head.confirmed + 1,))
        if oldest is not None:
            first.append(from_text(oldest[0])[0].first)
        return Pending(
            sum(one.count for one in rows),
            self._spans.undated,
            head.last_batch - head.confirmed,
            self._received_ms(min(first)) if first else None,
        )

    def _received_ms(self, number: int) -> int | None:
        row = self._database.one(f"{SELECT} WHERE u.id = ?", (self._head.base + number,))
        if row is None or (row[13] is None and row[-1] is None):
            return None
        return uplink_of(row, decode=False).received_ms

    # Housekeeping

    def prune(self, now_ms: int) -> int:
        """Let confirmed rows older than the retention period go; returns how many went.

        At most some thousand a call, so that nothing waits for long. The rows of the last batch stay: it is
        the head of the chain.
        """
        return self._write(lambda: self._let_go(now_ms - self._retention_days * _DAY_MS))

    def checkpoint(self) -> None:
        """Write the log back into the file once it has grown, so that it stays small."""
        self._space.checkpoint()

    def status(self) -> StoreStatus:
        """Figures for `status`; no row is counted one by one."""
        pending, head = self.pending(), self._head
        return StoreStatus(
            str(head.stream),
            head.last_id - head.rows_gone,
            pending.rows_unbatched,
            pending.rows_unresolved,
            pending.batches_unreceipted,
            pending.oldest_ms,
            head.last_row,
            head.last_batch,
            head.confirmed,
            self._space.used_bytes(),
            self._max_bytes,
            self._space.has_ballast,
        )

    # Room

    def _let_go(self, before_ms: int | None) -> int:
        gone = self._space.let_go(self._head, before_ms, self._write_counters)
        if gone:
            self._counters.saved()
        return gone

    def _make_room(self, rows: int) -> None:
        """Let confirmed rows go until the cap has room for that many more. Raises StoreFull."""
        while True:
            if self._write(lambda: self._let_go(None)) == 0:
                raise StoreFull(
                    f"{self._max_bytes} bytes are full of readings that the cloud has not confirmed"
                )
            if self._space.take(rows):
                return

    def _change(self, change: Callable[[], Result]) -> Result:
        """Run `change` in a transaction; see `_write`."""

        def within() -> Result:
            with self._database.transaction():
                return change()

        return self._write(within)

    def _write(self, transaction: Callable[[], Result]) -> Result:
        """Run a transaction; when there is no room, let ballast and confirmed rows go, and try again."""
        try:
            return transaction()
        except NoRoom:
            log.warning("no room to write %s: making some", self._database.path)
        self._space.give_up_ballast()
        while True:
            gone = 0
            try:
                gone = self._let_go(None)
                self._space.checkpoint(now=True)
                return transaction()
            except NoRoom:
                if gone == 0:
                    raise StoreFull(f"no room on the disk for {self._database.path}") from None


def _dated(uplinks: Sequence[Admitted], clock: ClockReading | None) -> Dated:
    """Each with UTC in ms at the end of reception: by the concentrator's GPS, else by a clock in step."""
    anchor = None if clock is None else Anchor(clock.monotonic_ns, clock.utc_ms, clock.quality)
    dated: list[tuple[Admitted, tuple[int, TimeQuality] | None]] = []
    for uplink in uplinks:
        frame = uplink.frame
        if frame.gps_ms is not None:
            dated.append((uplink, (clamped_ms(frame.gps_ms), TimeQuality.GPS)))
        elif anchor is None:
            dated.append((uplink, None))
        else:
            dated.append((uplink, (clamped_ms(anchor.utc_ms_at(frame.monotonic_ns)), anchor.quality)))
    return dated
