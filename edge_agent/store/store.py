"""The encrypted store: frame counters, readings and batches, each change one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from edge_agent.clock import ClockReading
from edge_agent.lorawan.session import Session
from edge_agent.network.outcome import Admitted
from edge_agent.network.reason import Reason
from edge_agent.store.key_provider import StoreKey
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.manifest import Lane, RowRange, StreamId


@dataclass(frozen=True, slots=True)
class FormedBatch:
    """A batch as it is fixed on disk; the fields of `edge_codecs.manifest.Manifest`, and its hash."""

    number: int
    lane: Lane
    ranges: tuple[RowRange, ...]
    previous: bytes  # link to the batch before: 16 bytes, b"" for number 1
    rows: bytes = field(repr=False)
    hash: bytes  # 32 bytes
    count: int  # rows


@dataclass(frozen=True, slots=True)
class Pending:
    """What the cloud has not confirmed."""

    rows_unbatched: int
    rows_unresolved: int
    """Of these, how many wait for the clock."""
    batches_unreceipted: int
    oldest_ms: int | None
    """When the oldest of these rows was received, UTC; None if there is none, or it has no date yet."""


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device, and when it was heard last."""

    session: Session
    uplinks: int
    """Frames taken since it was added."""
    last_seen_ms: int | None
    """UTC of the last frame taken; None before the first one, or while it has no date yet."""
    rssi_dbm: int | None
    snr_db: float | None


@dataclass(frozen=True, slots=True)
class RejectionSum:
    """How often frames were not taken for one reason, and when last (UTC by this host's clock)."""

    reason: Reason
    count: int
    last_seen_ms: int


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Figures for `status`."""

    stream: StreamId
    rows: int
    rows_unbatched: int
    rows_unresolved: int
    batches_unreceipted: int
    oldest_ms: int | None
    last_row: int
    last_batch: int
    confirmed_up_to: int
    bytes_used: int
    bytes_max: int
    ballast: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        raise NotImplementedError


class Store:
    """One store file, open for writing: by one process, on one thread.

    `stream` is the id of this life of the store. Whatever is given to a method is on disk when it returns.
    Raises AgentError kinds of `edge_agent.store.errors`; after one, close the store.
    """

    stream: StreamId

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
    ) -> Self:
        """Open the store, or make it.

        `gateway` is whose batches it forms: their hash covers it. `boot` is the kernel's boot id.
        `new_stream`: begin a new life (after a restore). One begins by itself where the file is a backup, was
        another gateway's, or lies on another machine: then rows without a receipt are sent again, and the
        receiver knows them by their frames. A damaged file is set aside, and what can be read of it goes on.
        Raises ConfigurationError (no key that fits, plain SQLite, newer schema), StoreLocked.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Write the log back and let the file go."""
        raise NotImplementedError

    # Uplinks

    def keep(self, uplinks: Sequence[Admitted], clock: ClockReading | None) -> int:
        """Commit rows and frame counters in one transaction; returns the highest row number.

        `clock` dates the rows now; None: they are dated later by `clock_in_step`. Uplinks that hold MAC
        commands only move their counter and make no row. Raises StoreFull.
        """
        raise NotImplementedError

    def count_rejections(self, counts: Mapping[tuple[DevEUI | None, Reason], tuple[int, int]]) -> None:
        """Add to the sums: (device, reason) -> (how many more, UTC milliseconds of the last)."""
        raise NotImplementedError

    def rejections(self, dev_eui: DevEUI | None = None) -> list[RejectionSum]:
        """Sums by reason, most frequent first: of one device, or of all frames."""
        raise NotImplementedError

    def clock_in_step(self, reading: ClockReading) -> int:
        """Date the rows that waited for the clock; returns how many became ready.

        Rows of earlier boots, of which nothing is known, get TimeQuality.UNKNOWN and the latest time that
        they can have been received at.
        """
        raise NotImplementedError

    # Devices

    def sessions(self) -> list[Session]:
        """All devices' sessions, each with its highest counter."""
        raise NotImplementedError

    def devices(self) -> list[DeviceEntry]:
        """All devices, by DevEUI."""
        raise NotImplementedError

    def add_devices(self, sessions: Sequence[Session]) -> list[Session]:
        """Add devices, all or none; returns the sessions as they are kept.

        A device that was here before gets a new session number, so that its old rows stay apart.
        Raises UsageError for one that is here now.
        """
        raise NotImplementedError

    def add_device(self, session: Session) -> Session:
        """Add one device."""
        raise NotImplementedError

    def remove_device(self, dev_eui: DevEUI) -> None:
        """Forget a device and its keys; its rows stay. Raises UsageError if it is not here."""
        raise NotImplementedError

    def reset_counter(self, dev_eui: DevEUI) -> Session:
        """Let the frame counter begin anew, under the next session number. Raises UsageError."""
        raise NotImplementedError

    # Batches

    def form_batch(self, max_rows: int, max_bytes: int, lane: Lane) -> FormedBatch | None:
        """Fix the next batch on disk: number, rows, link, hash. None if the lane has no dated rows.

        Live: rows received within the last minute. Backlog: all others, oldest first. `max_bytes` bounds the
        encoded rows.
        """
        raise NotImplementedError

    def unreceipted(self, after: int = 0, limit: int = 20) -> list[FormedBatch]:
        """Batches without a receipt beyond number `after`, in order."""
        raise NotImplementedError

    def receipt(self, up_to: int, batch_hash: bytes, receiver_time_ms: int) -> int:
        """The cloud has all batches up to `up_to`; returns how many rows that newly confirms.

        Raises ReceiptMismatch where `batch_hash` is not that batch's.
        """
        raise NotImplementedError

    def begin_stream(self) -> StreamId:
        """Begin a new life: rows without a receipt will be batched anew, from row 1 and batch 1."""
        raise NotImplementedError

    def pending(self) -> Pending:
        """What the cloud has not confirmed."""
        raise NotImplementedError

    # Housekeeping

    def prune(self, now_ms: int) -> int:
        """Let confirmed rows older than the retention period go; returns how many went.

        At most some thousand a call, so that nothing waits for long.
        """
        raise NotImplementedError

    def checkpoint(self) -> None:
        """Write the log back into the file once it has grown, so that it stays small."""
        raise NotImplementedError

    def status(self) -> StoreStatus:
        """Figures for `status`."""
        raise NotImplementedError
