"""Which rows go next, and batches fixed on disk: number, rows, link and hash in one transaction.

Rows up to the *frontier* are in batches, except for the holes; rows beyond it are in none. A live batch may
pass older rows over, which leaves a hole; the backlog fills holes and goes on behind them. So what is in no
batch is a handful of ranges, and forming a batch rewrites no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from edge_agent.store.connection import Database, Row
from edge_agent.store.errors import ReceiptMismatch
from edge_agent.store.head import Head, unbatched
from edge_agent.store.row_ranges import from_text, ranges_of, to_text, without
from edge_agent.store.rows import DATED, SELECT, is_dated, uplink_of
from edge_agent.store.status import Pending
from edge_codecs.manifest import MAX_RANGES, Lane, Manifest, RowRange, link
from edge_codecs.reading import Uplink
from edge_codecs.row_layout import MAX_ROWS
from edge_codecs.rows import encode_rows

LIVE_NS: Final = 60_000_000_000
"""A row is live for a minute after reception; then it is history, and waits its turn."""

_STALE_RUN: Final = 256
"""So many rows in a row that are not live: there are no live ones before them (late frames lie between)."""


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
class Formation:
    """A batch before it is on disk, and what it changes."""

    batch: FormedBatch
    frontier: int
    newest_ms: int


class Outbox:
    """Chooses rows and writes batches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._barren_up_to = 0
        """No row up to it that is in no batch can go: none has a date yet."""

    def dates_changed(self) -> None:
        """Rows that waited for the clock are ready."""
        self._barren_up_to = 0

    def choose(self, head: Head, lane: Lane, max_rows: int, boot: int, now_ns: int) -> list[Row]:
        """The rows of the next batch, in order; empty if the lane has none."""
        max_rows = min(max_rows, MAX_ROWS)
        if lane is Lane.LIVE:
            return self._live(head, max_rows, boot, now_ns - LIVE_NS)
        return self._backlog(head, max_rows, boot, now_ns - LIVE_NS)

    def _live(self, head: Head, max_rows: int, boot: int, since_ns: int) -> list[Row]:
        """Rows of the last minute, oldest first, beyond the frontier."""
        if head.last_row == head.frontier:
            return []
        first: int | None = None
        stale = 0
        newest_first = self._database.each(
            f"SELECT u.id, u.boot = ? AND u.monotonic_ns >= ? AND {DATED} FROM uplinks u "  # noqa: S608
            "LEFT JOIN spans s ON s.number = u.span WHERE u.id > ? ORDER BY u.id DESC",
            (boot, since_ns, head.base + head.frontier),
        )
        with closing(newest_first):
            for row_id, live in newest_first:
                if live:
                    first, stale = row_id, 0
                else:
                    stale += 1
                    if stale == _STALE_RUN:
                        break
        if first is None:
            return []
        rows = self._database.each(
            f"{SELECT} WHERE u.id >= ? AND u.boot = ? AND u.monotonic_ns >= ? AND {DATED} ORDER BY u.id",
            (first, boot, since_ns),
        )
        with closing(rows):
            return _up_to(rows, max_rows, [])

    def _backlog(self, head: Head, max_rows: int, boot: int, live_since_ns: int) -> list[Row]:
        """The oldest rows in no batch: those in holes, then those beyond the frontier that are not live."""
        chosen: list[Row] = []
        holes = self._database.all(
            "SELECT first, last FROM holes WHERE last > ? ORDER BY first LIMIT ?",
            (self._barren_up_to, MAX_RANGES),
        )
        for first, last in holes:
            rows = self._database.each(
                f"{SELECT} WHERE u.id BETWEEN ? AND ? AND {DATED} ORDER BY u.id",
                (head.base + first, head.base + last),
            )
            with closing(rows):
                _up_to(rows, max_rows, chosen)
            if not chosen:
                self._barren_up_to = last
            if len(chosen) == max_rows:
                return chosen
        if head.last_row == head.frontier or (len(holes) == MAX_RANGES and chosen):
            return chosen
        beyond = self._database.each(
            f"SELECT u.boot = ? AND u.monotonic_ns >= ?, {SELECT.removeprefix('SELECT ')} "
            f"WHERE u.id > ? AND {DATED} ORDER BY u.id",
            (boot, live_since_ns, head.base + head.frontier),
        )
        with closing(beyond):
            return _up_to(_until_live(beyond), max_rows, chosen)

    def form(self, head: Head, lane: Lane, rows: list[Row], max_bytes: int) -> Formation:
        """Encode as many of `rows` as fit, at least one."""
        uplinks = [uplink_of(row, decode=False) for row in rows]
        encoded = _encode_within(uplinks, max_bytes)
        taken = rows[: encoded.count]
        ranges = tuple(ranges_of(row[0] - head.base for row in taken))
        previous = link(head.last_hash)
        number = head.last_batch + 1
        manifest = Manifest(head.gateway, head.stream, number, lane, ranges, previous, encoded.rows)
        return Formation(
            FormedBatch(number, lane, ranges, previous, encoded.rows, manifest.hash, encoded.count),
            max(head.frontier, ranges[-1].last),
            max(uplink.received_ms for uplink in uplinks[: encoded.count]),
        )

    def write(self, head: Head, formation: Formation) -> None:
        """Fix it on disk, within the caller's transaction."""
        batch = formation.batch
        self._database.execute(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                batch.number,
                batch.lane,
                batch.count,
                to_text(batch.ranges),
                formation.frontier,
                formation.newest_ms,
                batch.previous,
                batch.hash,
                batch.rows,
            ),
        )
        touched = self._database.all(
            "SELECT first, last FROM holes WHERE last >= ? AND first <= ?",
            (batch.ranges[0].first, batch.ranges[-1].last),
        )
        before = [RowRange(first, last - first + 1) for first, last in touched]
        if formation.frontier > head.frontier:
            before.append(RowRange(head.frontier + 1, formation.frontier - head.frontier))
        after = without(before, batch.ranges)
        for first, _ in touched:
            self._database.execute("DELETE FROM holes WHERE first = ?", (first,))
        self._database.execute_many("INSERT INTO holes VALUES (?, ?)", [(h.first, h.last) for h in after])

    def unreceipted(self, head: Head, after: int, limit: int) -> list[FormedBatch]:
        """Batches without a receipt beyond number `after`, in order."""
        rows = self._database.all(
            "SELECT number, lane, ranges, previous, rows, hash, count FROM batches WHERE number > ? "
            "ORDER BY number LIMIT ?",
            (max(after, head.confirmed), limit),
        )
        return [
            FormedBatch(number, Lane(lane), from_text(ranges), previous, encoded, batch_hash, count)
            for number, lane, ranges, previous, encoded, batch_hash, count in rows
        ]

    def rows_confirmed_by(self, head: Head, up_to: int, batch_hash: bytes) -> int:
        """How many rows a receipt newly confirms. Raises ReceiptMismatch."""
        if up_to == 0:
            return 0
        known = self._database.one("SELECT hash FROM batches WHERE number = ?", (up_to,))
        if known is None and up_to <= head.confirmed:
            return 0  # confirmed and pruned long ago
        if known is None:
            raise ReceiptMismatch(f"a receipt confirms batch {up_to}, the last formed is {head.last_batch}")
        if known[0] != batch_hash:
            raise ReceiptMismatch(f"a receipt confirms another batch {up_to} than ours")
        return int(
            self._database.value(
                "SELECT coalesce(sum(count), 0) FROM batches WHERE number > ? AND number <= ?",
                (head.confirmed, up_to),
            )
        )

    def pending(self, head: Head, undated: int) -> Pending:
        """What the cloud has not confirmed; `undated` rows wait for the clock."""
        rows = unbatched(self._database, head)
        first = [rows[0].first] if rows else []
        oldest = self._database.one("SELECT ranges FROM batches WHERE number = ?", (head.confirmed + 1,))
        if oldest is not None:
            first.append(from_text(oldest[0])[0].first)
        return Pending(
            sum(one.count for one in rows),
            undated,
            head.last_batch - head.confirmed,
            self._received_ms(head.base + min(first)) if first else None,
        )

    def _received_ms(self, row_id: int) -> int | None:
        row = self._database.one(f"{SELECT} WHERE u.id = ?", (row_id,))
        if row is None or not is_dated(row):
            return None
        return uplink_of(row, decode=False).received_ms


@dataclass(frozen=True, slots=True)
class _Encoded:
    rows: bytes = field(repr=False)
    count: int


def _encode_within(uplinks: list[Uplink], max_bytes: int) -> _Encoded:
    """As many as fit into `max_bytes`, found in a few tries; one row goes even if it is longer."""
    count = len(uplinks)
    while True:
        encoded = encode_rows(uplinks[:count])
        if len(encoded) <= max_bytes or count == 1:
            return _Encoded(encoded, count)
        count = max(1, min(count - 1, count * max_bytes * 9 // (len(encoded) * 10)))


def _up_to(rows: Iterator[Row], max_rows: int, chosen: list[Row]) -> list[Row]:
    """Add rows to `chosen` while a batch has room for them and for their ranges."""
    ranges = len(ranges_of(row[0] for row in chosen))
    previous = chosen[-1][0] if chosen else 0
    for row in rows:
        if len(chosen) == max_rows:
            break
        if not chosen or row[0] != previous + 1:
            if ranges == MAX_RANGES:
                break
            ranges += 1
        previous = row[0]
        chosen.append(row)
    return chosen


def _until_live(rows: Iterator[Row]) -> Iterator[Row]:
    for live, *row in rows:
        if live:
            break
        yield tuple(row)
