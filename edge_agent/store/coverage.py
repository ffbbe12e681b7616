"""Which times are known of each channel, and so what is missing between them.

A report covers the interval that ends with it, a history frame those that it names. Intervals that touch,
with less than half of one between them, are one range; what lies between two ranges is a gap. Rows are taken
in behind a cursor. A range that grows at its end does so in memory, and is written with the cursor now and
then: what is lost with the memory is worked out again from the rows behind the cursor, for to take a row in
twice changes nothing. So coverage costs an uplink no page of its own.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

from edge_agent.network.changes import HistoryAsked
from edge_agent.network.gap import MAX_ASKED, Gap
from edge_agent.store.connection import Database, Row
from edge_agent.store.rows import SELECT, is_dated, uplink_of
from edge_codecs.clipr import History, Report
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality, Uplink

MOST_ROWS: Final = 500
"""Rows taken in at once: some 20 ms, for uplinks wait meanwhile."""
SAVE_EVERY: Final = 10_000
"""Rows that are read again at most after a crash."""
LOOK_EVERY_MS: Final = 3_600_000
"""Between two looks for gaps whose time is up."""
MOST_GAPS: Final = 32
"""Gaps of one device told at once, newest first: there are more after a flood, and their turn comes."""

Channel = tuple[DevEUI, int]


@dataclass(slots=True)
class _Tail:
    """The newest range of a channel. `grown`: the disk does not know where it ends."""

    from_ms: int
    to_ms: int
    grown: bool = False


class Coverage:
    """The one writer of the coverage."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tails: dict[Channel, _Tail] = {}
        self._covered = self._saved = self._behind = 0
        self._writing = False
        self._look_again_ms = 0
        self._changed = {DevEUI(raw) for (raw,) in database.each("SELECT DISTINCT dev_eui FROM coverage")}
        self.forget()

    def forget(self) -> None:
        """Know what the disk knows: a transaction failed, or rows got other numbers."""
        self._tails.clear()
        self._covered = self._saved = int(self._database.value("SELECT covered FROM life"))
        self._behind = 0

    def take_in(self, present: Container[DevEUI]) -> bool:
        """Take in rows of devices that are here, in one transaction; True if some may be left.

        Rows wait until they have a date, and so do those behind them.
        """
        try:
            with self._database.transaction():
                return self._advance(present)
        except BaseException:
            self.forget()
            raise

    def _advance(self, present: Container[DevEUI]) -> bool:
        rows = self._database.all(
            f"{SELECT} WHERE u.id > ? ORDER BY u.id LIMIT ?", (self._covered, MOST_ROWS)
        )
        taken = 0
        for row in rows:
            if not is_dated(row):
                break
            taken += 1
            if DevEUI(row[1]) in present:
                self._take(row)
        if taken:
            self._covered = rows[taken - 1][0]
            self._behind += taken
        if self._covered - self._saved >= SAVE_EVERY:
            self.write()
            self.written()
        return taken == MOST_ROWS

    def write(self, *, rows_went: bool = False) -> None:
        """Put what is only in memory on disk, within the caller's transaction.

        `rows_went`: only if rows are gone that it would be worked out from again.
        """
        self._writing = not rows_went or self._behind != self._database.value(
            "SELECT count(*) FROM uplinks WHERE id > ? AND id <= ?", (self._saved, self._covered)
        )
        if not self._writing:
            return
        grown = [
            (tail.to_ms, bytes(dev_eui), channel, tail.from_ms)
            for (dev_eui, channel), tail in self._tails.items()
            if tail.grown
        ]
        self._database.execute_many(
            "UPDATE coverage SET to_ms = ? WHERE dev_eui = ? AND channel = ? AND from_ms = ?", grown
        )
        if self._covered != self._saved:
            self._database.execute("UPDATE life SET covered = ?", (self._covered,))

    def written(self) -> None:
        """What `write` wrote is on disk."""
        if self._writing:
            self._writing = False
            self._saved, self._behind = self._covered, 0
            for tail in self._tails.values():
                tail.grown = False

    def remove(self, dev_eui: DevEUI) -> None:
        """A device was removed, and its coverage with it."""
        for key in [key for key in self._tails if key[0] == dev_eui]:
            del self._tails[key]
        self._changed.add(dev_eui)

    def let_go(self, before_ms: int) -> None:
        """Let gaps go that ended before; within the caller's transaction. It looks once an hour."""
        if before_ms < self._look_again_ms:
            return
        self._look_again_ms = before_ms + LOOK_EVERY_MS
        self._database.execute(
            "DELETE FROM coverage WHERE from_ms < ?1 AND EXISTS (SELECT 1 FROM coverage c WHERE "
            "c.dev_eui = coverage.dev_eui AND c.channel = coverage.channel AND c.from_ms > coverage.from_ms "
            "AND c.from_ms < ?1)",
            (before_ms,),
        )
        self._database.execute(
            "DELETE FROM history_asked WHERE NOT EXISTS (SELECT 1 FROM coverage c WHERE "
            "c.dev_eui = history_asked.dev_eui AND c.channel = history_asked.channel "
            "AND c.from_ms = history_asked.to_ms)"
        )

    def asked(self, change: HistoryAsked) -> None:
        """Count a request, within the caller's transaction; nothing happens where the gap is closed."""
        for gap in gaps(self._database, change.dev_eui):
            if (gap.channel, gap.to_ms) == (change.channel, change.to_ms):
                self._database.execute(
                    "INSERT OR REPLACE INTO history_asked VALUES (?, ?, ?, ?, ?)",
                    (bytes(change.dev_eui), change.channel, gap.to_ms, gap.from_ms, gap.asked + 1),
                )
                self._changed.add(change.dev_eui)

    def changed(self) -> dict[DevEUI, tuple[Gap, ...]]:
        """The devices whose gaps changed since the last call, each with all that is worth asking for.

        Newest first, at most MOST_GAPS. The first call tells all devices.
        """
        told = {dev_eui: _worth_asking(self._database, dev_eui) for dev_eui in self._changed}
        self._changed.clear()
        return told

    def _take(self, row: Row) -> None:
        uplink = uplink_of(row)
        if uplink.time_quality is TimeQuality.UNKNOWN:
            return
        for channel, from_ms, to_ms, interval_s in _intervals(uplink):
            key = (uplink.dev_eui, channel)
            tail = self._tails.get(key)
            if tail is None or not tail.from_ms <= from_ms < tail.to_ms + 500 * interval_s:
                self._place(key, from_ms, to_ms, interval_s)
            elif to_ms > tail.to_ms:
                tail.to_ms, tail.grown = to_ms, True

    def _place(self, key: Channel, from_ms: int, to_ms: int, interval_s: int) -> None:
        """Join a range with those that it touches, on disk."""
        where = (bytes(key[0]), key[1])
        tail = self._tails.get(key)
        if tail is not None and tail.grown:
            self._database.execute(
                "UPDATE coverage SET to_ms = ? WHERE dev_eui = ? AND channel = ? AND from_ms = ?",
                (tail.to_ms, *where, tail.from_ms),
            )
            tail.grown = False
        select = (
            "SELECT from_ms, to_ms, interval_s FROM coverage WHERE dev_eui = ? AND channel = ? AND from_ms"
        )
        before = self._database.one(f"{select} <= ? ORDER BY from_ms DESC LIMIT 1", (*where, from_ms))
        joined = self._database.all(f"{select} > ? AND from_ms <= ?", (*where, from_ms, to_ms))
        behind = self._database.one(f"{select} > ? ORDER BY from_ms LIMIT 1", (*where, to_ms))
        if before is not None and from_ms - before[1] < 500 * interval_s:
            joined.append(before)
        if behind is not None and behind[0] - to_ms < 500 * behind[2]:
            joined.append(behind)
        last_ms = max([from_ms, *(one[0] for one in joined)])
        newest = self._database.one(f"{select} > ? LIMIT 1", (*where, last_ms)) is None
        begin_ms, _, first_s = min([(from_ms, to_ms, interval_s), *joined])
        end_ms = max([to_ms, *(one[1] for one in joined)])
        self._database.execute_many(
            "DELETE FROM coverage WHERE dev_eui = ? AND channel = ? AND from_ms = ?",
            [(*where, one[0]) for one in joined],
        )
        self._database.execute(
            "INSERT INTO coverage VALUES (?, ?, ?, ?, ?)", (*where, begin_ms, end_ms, first_s)
        )
        if newest:
            self._tails[key] = _Tail(begin_ms, end_ms)
        self._changed.add(key[0])


def _intervals(uplink: Uplink) -> Iterator[tuple[int, int, int, int]]:
    """(channel, from, to, length of an interval in seconds) that an uplink covers."""
    match uplink.message:
        case Report(interval_s=interval_s, channels=channels):
            for one in channels:
                yield one.channel, uplink.received_ms - 1000 * interval_s, uplink.received_ms, interval_s
        case History(channel, newest_end_s, interval_s, intervals):
            from_s = newest_end_s - interval_s * len(intervals)
            yield channel, 1000 * from_s, 1000 * newest_end_s, interval_s


def gaps(database: Database, dev_eui: DevEUI | None = None) -> list[Gap]:
    """All gaps of one device or of each, by channel and time."""
    only = "" if dev_eui is None else "WHERE dev_eui = ?"
    rows = database.each(
        "SELECT c.dev_eui, c.channel, c.before_ms, c.from_ms, c.interval_s, coalesce(a.asked, 0) FROM ("  # noqa: S608
        "SELECT dev_eui, channel, from_ms, interval_s, lag(to_ms) OVER (PARTITION BY dev_eui, channel "
        f"ORDER BY from_ms) AS before_ms FROM coverage {only}) c "
        "LEFT JOIN history_asked a ON a.dev_eui = c.dev_eui AND a.channel = c.channel "
        "AND a.to_ms = c.from_ms AND a.from_ms = c.before_ms "
        "WHERE c.before_ms IS NOT NULL ORDER BY c.dev_eui, c.channel, c.from_ms",
        () if dev_eui is None else (bytes(dev_eui),),
    )
    return [Gap(DevEUI(raw), *columns) for raw, *columns in rows]


def _worth_asking(database: Database, dev_eui: DevEUI) -> tuple[Gap, ...]:
    open_gaps = [gap for gap in gaps(database, dev_eui) if gap.asked < MAX_ASKED]
    open_gaps.sort(key=lambda gap: gap.to_ms, reverse=True)
    return tuple(open_gaps[:MOST_GAPS])
