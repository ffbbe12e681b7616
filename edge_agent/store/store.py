"""The encrypted store: devices, counters, readings and batches, each change one transaction.

A foreign key, a plain SQLite file or a newer schema is refused. A damaged file is set aside; what can be read
of it goes on in a new one (`salvage`). Whoever may not be alone in continuing a stream (a restored backup,
a cloned card) begins a new one: rows without a receipt go again, and the receiver knows them by their frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from edge_agent.clock import ClockReading
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.network.changes import Change
from edge_agent.network.device import Device, QueuedDownlink
from edge_agent.network.gap import Gap
from edge_agent.network.outcome import Admitted
from edge_agent.network.reason import Reason
from edge_agent.store import devices, downlinks
from edge_agent.store.batches import FormedBatch, Outbox
from edge_agent.store.connection import Database
from edge_agent.store.counters import Counters, Dated, dated_by, save_counters
from edge_agent.store.coverage import Coverage, gaps
from edge_agent.store.devices import DeviceEntry
from edge_agent.store.errors import ReceiptMismatch
from edge_agent.store.head import Head, begin_stream
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.lock import WriterLock
from edge_agent.store.network_changes import apply, taken_sessions
from edge_agent.store.opening import open_and_load
from edge_agent.store.rejections import RejectionSum, count_rejections, rejections
from edge_agent.store.rows import INSERT, row_of
from edge_agent.store.space import Space
from edge_agent.store.spans import Spans
from edge_agent.store.status import Pending, StoreStatus
from edge_agent.store.writer import Writer
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.manifest import Lane, StreamId

__all__ = ["DeviceEntry", "FormedBatch", "Pending", "RejectionSum", "Store", "StoreStatus"]

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
        self._writer = Writer(database, self._space, self._let_go)
        self._retention_days = retention_days
        self._now_ns = now_ns
        self._head = Head.load(database)
        self._spans = Spans(database, boot)
        self._outbox = Outbox(database)
        self._counters = Counters(database)
        self._coverage = Coverage(database)

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

    # Uplinks, and what the network decided

    def keep(
        self, uplinks: Sequence[Admitted], clock: ClockReading | None, changes: Sequence[Change] = ()
    ) -> int:
        """Commit rows, frame counters and changes in one transaction; returns the highest row number.

        `clock` dates the rows now; None: they are dated later by `clock_in_step`. Uplinks that hold MAC
        commands only move their counter and make no row. A session that begins (SessionTaken) begins with
        these uplinks. Raises StoreFull.
        """
        if clock is not None:
            self._spans.note(clock)
        dated = dated_by(uplinks, clock)
        self._writer.take_room(len(dated) + len(changes))
        return self._writer.run(lambda: self._keep(dated, changes))

    def _keep(self, dated: Dated, changes: Sequence[Change]) -> int:
        boot, row_id = self._spans.boot, self._head.last_id
        span: int | None = None
        rows = []
        taken = taken_sessions(changes, self._counters) if changes else {}
        with self._database.transaction():
            if any(date is None for _, date in dated):
                span = self._spans.open()
            for uplink, date in dated:
                if uplink.message is not None:
                    row_id += 1
                    rows.append(row_of(row_id, uplink, boot, date, span))
            newer = self._counters.judge(dated, span, taken)
            self._database.execute_many(INSERT, rows)
            if changes:
                apply(self._database, changes, self._counters, self._coverage.asked)
            save = bool(taken) or self._counters.due(len(rows), has_row=len(rows) == len(dated))
            if save:
                save_counters(self._database, self._counters.unsaved | newer, row_id)
        self._head.last_id = row_id
        self._counters.kept(newer, len(rows), taken, saved=save)
        if span is not None:
            self._spans.kept(span, sum(row[-1] is not None for row in rows))
        return self._head.last_row

    def apply(self, changes: Sequence[Change]) -> None:
        """Commit what the network decided, in one transaction. Raises StoreFull."""
        self.keep((), None, changes)

    def clock_in_step(self, reading: ClockReading) -> int:
        """Date the rows that waited for the clock; returns how many became ready.

        Rows of earlier boots, of which nothing is known, get TimeQuality.UNKNOWN and the latest time that
        they can have been received at.
        """
        ready = self._writer.run(lambda: self._spans.close(reading))
        if ready:
            self._outbox.dates_changed()
        return ready

    def count_rejections(self, counts: Mapping[tuple[DevEUI | None, Reason], tuple[int, int]]) -> None:
        """Add to the sums: (device, reason) -> (how many more, UTC milliseconds of the last)."""
        self._writer.change(lambda: count_rejections(self._database, counts))

    def rejections(self, dev_eui: DevEUI | None = None) -> list[RejectionSum]:
        """Sums by reason, most frequent first: of one device, or of all frames."""
        return rejections(self._database, dev_eui)

    # Devices

    def network_devices(self, dev_eui: DevEUI | None = None) -> list[Device]:
        """All devices with all that the network needs of them, by DevEUI; or the one, if it is here."""
        return list(devices.load(self._database, self._counters.unsaved, dev_eui).values())

    def devices(self, dev_eui: DevEUI | None = None) -> list[DeviceEntry]:
        """All devices and when they were heard, by DevEUI; or the one, if it is here."""
        return devices.entries(self._database, self._counters.unsaved, dev_eui)

    def rivals(self, new: Sequence[Session | Registration]) -> list[Device]:
        """The devices that are here with a DevEUI or a DevAddr of these."""
        return devices.rivals(self._database, self._counters.unsaved, new)

    def add_devices(self, new: Sequence[Session | Registration]) -> list[Device]:
        """Add devices, all or none; returns them as they are kept.

        The numbers of a device that was here before go on: it gets a new session number, so that its old rows
        stay apart, and no nonce is used twice. Raises UsageError for one that is here now.
        """
        added = self._writer.change(lambda: [devices.add(self._database, one) for one in new])
        for device in added:
            self._set_counter(device)
        return added

    def add_device(self, new: Session | Registration) -> Device:
        """Add one; see `add_devices`."""
        return self.add_devices([new])[0]

    def remove_device(self, dev_eui: DevEUI) -> None:
        """Forget a device, its keys, its downlinks and its coverage; its rows stay. Raises UsageError."""
        self._save()
        self._writer.change(lambda: devices.remove(self._database, dev_eui))
        self._counters.forget(dev_eui)
        self._coverage.remove(dev_eui)

    def reset_counter(self, dev_eui: DevEUI) -> Device:
        """Let a device begin anew. Raises UsageError.

        One with session keys of its own (ABP) counts from 0, both ways, under the next session number. One
        that joins may use its DevNonces and RJcounts again; its session and its JoinNonce go on.
        """
        self._save()
        device = self._writer.change(lambda: devices.reset(self._database, dev_eui))
        self._set_counter(device)
        return device

    def _set_counter(self, device: Device) -> None:
        if device.session is None:
            self._counters.set(device.dev_eui, None, None)
        else:
            session = device.session.session
            self._counters.set(device.dev_eui, session.number, session.f_cnt_up)

    def _save(self) -> None:
        self._writer.change(self._write)
        self._counters.saved()
        self._coverage.written()

    def _write(self, *, rows_went: bool = False) -> None:
        save_counters(self._database, self._counters.unsaved, self._head.last_id)
        self._coverage.write(rows_went=rows_went)

    # Downlinks

    def queue_downlink(
        self,
        dev_eui: DevEUI,
        f_port: int,
        payload: bytes,
        confirmed: bool,  # noqa: FBT001
        created_ms: int,
    ) -> QueuedDownlink:
        """Keep an application message for a device until it says something.

        Raises UsageError: no such device, FPort not in 1 … 223, too long, too many are waiting.
        """
        devices.expect(self._database, dev_eui)
        entry = QueuedDownlink(0, dev_eui, f_port, payload, confirmed, created_ms)
        return self._writer.change(lambda: downlinks.queue(self._database, entry))

    def downlinks(self, dev_eui: DevEUI) -> list[QueuedDownlink]:
        """What waits for a device, and the newest that are done, in order. Raises UsageError."""
        devices.expect(self._database, dev_eui)
        return downlinks.of_device(self._database, dev_eui)

    def cancel_downlinks(self, dev_eui: DevEUI) -> int:
        """Give up what waits for a device; returns how many. Raises UsageError."""
        devices.expect(self._database, dev_eui)
        return self._writer.change(lambda: downlinks.give_up(self._database, "cancelled", dev_eui))

    # Coverage

    def cover(self) -> dict[DevEUI, tuple[Gap, ...]]:
        """Take some hundred newly dated rows into the coverage; returns devices whose gaps changed since.

        Each with all its gaps that are worth asking for, newest first; the first call tells all devices.
        """
        self.take_in()
        return self._coverage.changed()

    def take_in(self) -> bool:
        """Only take rows into the coverage; True if some may be left."""
        return self._writer.run(lambda: self._coverage.take_in(self._counters))

    def gaps(self, dev_eui: DevEUI | None = None) -> list[Gap]:
        """What is missing of one device or of each, by channel and time, as far as rows are covered."""
        return gaps(self._database, dev_eui)

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
        self._writer.change(lambda: self._outbox.write(self._head, formation))
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
            self._writer.change(
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
        self._writer.change(lambda: self._database.execute("UPDATE life SET confirmed = ?", (after,)))
        again, self._head.confirmed = self._head.confirmed - after, after
        return again

    def begin_stream(self, *, only_one: bool = False) -> StreamId:
        """Begin a new life: rows without a receipt will be batched anew, from row 1 and batch 1.

        `only_one`: no other store can have gone on with the old one; the cloud wants it. Else what another
        may have given of nonces and downlink counters is passed over (`doubt`): load `network_devices` anew.
        """
        self._save()
        gateway = self._head.gateway
        stream = self._writer.change(lambda: begin_stream(self._database, gateway, only_one=only_one))
        self._head = Head.load(self._database)
        self._coverage.forget()
        self._outbox.dates_changed()
        return stream

    def pending(self) -> Pending:
        """What the cloud has not confirmed."""
        return self._outbox.pending(self._head, self._spans.undated)

    # Housekeeping

    def prune(self, now_ms: int) -> int:
        """Let confirmed rows older than the retention period go; returns how many went.

        At most some thousand a call, so that nothing waits for long; none while rows are not in the coverage
        yet. The rows of the last batch stay: it is the head of the chain. Gaps that ended before go, too.
        """
        before_ms = now_ms - self._retention_days * _DAY_MS
        if self.take_in():
            return 0
        self._writer.change(lambda: self._coverage.let_go(before_ms))
        return self._writer.run(lambda: self._let_go(before_ms))

    def checkpoint(self) -> None:
        """Write the log back into the file once it has grown, so that it stays small."""
        self._space.checkpoint()

    def status(self) -> StoreStatus:
        """Figures for `status`; no row is counted one by one."""
        return StoreStatus.of(self._head, self.pending(), self._space)

    def _let_go(self, before_ms: int | None = None) -> int:
        gone = self._space.let_go(self._head, before_ms, lambda: self._write(rows_went=True))
        if gone:
            self._counters.saved()
            self._coverage.written()
        return gone
