"""Room: a cap on the file, a ballast for the full disk, and what may go.

On a full disk SQLite's log cannot grow, so not even a DELETE works. Two things keep us out of that corner:
the file is capped, with a reserve in it that only batches may use, so that a full store can still drain; and
a ballast file lies beside it, which goes when the disk fills up all the same and comes back when it can.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge_agent.store.connection import PAGE_BYTES, Database
from edge_agent.store.files import beside
from edge_agent.store.head import Head
from edge_agent.store.row_ranges import from_text
from edge_codecs.manifest import RowRange

_ROWS_A_TURN: Final = 5_000
"""Rows deleted in one transaction when their time is up: some milliseconds."""
_ROWS_FOR_ROOM: Final = 500
"""The same when room is needed: no more than must go."""
_FRAMES_WORTH_IT: Final = 64
"""Pages in the log that are worth writing back: each time costs the card these pages and two fsyncs."""


def _pages(share: int, least: int, most: int) -> int:
    return min(max(share, least), most)


class Space:
    """The room in and around one store file."""

    def __init__(self, database: Database, max_bytes: int) -> None:
        self._database = database
        self.max_bytes = max_bytes
        total = max_bytes // PAGE_BYTES
        self._ballast = ballast_of(database.path, max_bytes)
        self._log_pages = _pages(total // 8, 64, 512)
        self._most_pages = total - self._log_pages - self._ballast.size_bytes // PAGE_BYTES
        self._reserve_pages = _pages(self._most_pages // 8, 96, 2048)
        self._room_pages = 0
        database.execute(f"PRAGMA max_page_count = {self._most_pages}")
        database.execute(f"PRAGMA wal_autocheckpoint = {self._log_pages // 2}")
        # Written over, not cut off: an fsync that changes no length is a third faster.
        database.execute(f"PRAGMA journal_size_limit = {self._log_pages * PAGE_BYTES}")
        self._ballast.restore()

    @property
    def has_ballast(self) -> bool:
        """Whether the reserve on the disk is there."""
        return self._ballast.exists()

    def used_bytes(self) -> int:
        """Bytes in the file that hold something."""
        return self._used_pages() * PAGE_BYTES

    def _used_pages(self) -> int:
        return int(self._database.value("PRAGMA page_count") - self._database.value("PRAGMA freelist_count"))

    def take(self, rows: int) -> bool:
        """Whether that many more rows may come in; asked before each transaction, so mostly a subtraction."""
        worst = rows // 2 + 16
        if self._room_pages < worst:
            self._room_pages = self._most_pages - self._reserve_pages - self._used_pages()
            if self._room_pages < worst:
                return False
        self._room_pages -= worst
        return True

    def give_up_ballast(self) -> bool:
        """The disk is full: let the ballast go. False if it has gone before."""
        return self._ballast.drop()

    def checkpoint(self, *, now: bool = False) -> None:
        """Write the log back, `now` also to make room on the disk; and see to the ballast.

        What is left in the log is the only part of the store where a flipped bit takes later commits along.
        """
        if now:
            self._database.all("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        _, written, done = self._database.all("PRAGMA wal_checkpoint(NOOP)")[0]
        if written - done >= _FRAMES_WORTH_IT:
            self._database.all("PRAGMA wal_checkpoint(PASSIVE)")
        self._ballast.restore()

    def let_go(self, head: Head, before_ms: int | None, save: Callable[[], None]) -> int:
        """Let the oldest confirmed rows go, those before `before_ms` or whatever their age; returns how many.

        One turn: rows of former streams first, then by batches in their order. `save` writes what only these
        rows may say, in the same transaction.
        """
        with self._database.transaction():
            gone = self._former_rows(head, before_ms)
            if gone == 0:
                gone = self._confirmed_batches(head, before_ms)
            if gone:
                save()
                self._database.execute(
                    "UPDATE life SET highest_id = ?, rows_gone = rows_gone + ?", (head.last_id, gone)
                )
        head.rows_gone += gone
        return gone

    def _former_rows(self, head: Head, before_ms: int | None) -> int:
        if head.base == 0:
            return 0
        most = _ROWS_A_TURN if before_ms is not None else _ROWS_FOR_ROOM
        rows = self._database.all(
            "SELECT u.id FROM uplinks u LEFT JOIN spans s ON s.number = u.span WHERE u.id <= ? AND "
            "(?2 IS NULL OR coalesce(u.received_ms, s.after_ms) < ?2) ORDER BY u.id LIMIT ?",
            (head.base, before_ms, most),
        )
        if not rows:
            return 0
        return self._database.execute_many("DELETE FROM uplinks WHERE id = ?", rows)

    def _confirmed_batches(self, head: Head, before_ms: int | None) -> int:
        gone = 0
        most = _ROWS_A_TURN if before_ms is not None else _ROWS_FOR_ROOM
        batches = self._database.all(
            "SELECT number, newest_ms, ranges FROM batches WHERE number <= ? AND number < ? "
            "ORDER BY number LIMIT 200",
            (head.confirmed, head.last_batch),
        )
        for number, newest_ms, ranges in batches:
            if gone >= most or (before_ms is not None and newest_ms >= before_ms):
                break
            gone += self._delete(head, from_text(ranges))
            self._database.execute("DELETE FROM batches WHERE number = ?", (number,))
        return gone

    def _delete(self, head: Head, ranges: Sequence[RowRange]) -> int:
        return sum(
            self._database.execute(
                "DELETE FROM uplinks WHERE id BETWEEN ? AND ?",
                (head.base + rows.first, head.base + rows.last),
            )
            for rows in ranges
        )


def ballast_of(path: Path, max_bytes: int) -> Ballast:
    """The ballast beside the store at `path`."""
    return Ballast(beside(path, ".ballast"), min(max(max_bytes // 32, 65_536), 1_048_576))


class Ballast:
    """A file that holds disk space for the day when there is none."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._path = path

    def exists(self) -> bool:
        """Whether it holds its space."""
        return self._path.exists()

    def drop(self) -> bool:
        """Let the space go; False if there was none."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore(self) -> None:
        """Take the space, if there is plenty."""
        if self.exists():
            return
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < 4 * self.size_bytes:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self.size_bytes)
        except OSError:  # somebody was faster: the next housekeeping tries again
            self.drop()
        finally:
            os.close(descriptor)
