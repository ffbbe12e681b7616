"""Rows that wait for the clock, and the moment when it is in step."""

from __future__ import annotations

from edge_agent.clock import ClockReading
from edge_agent.store.connection import Database
from edge_agent.store.dating import Anchor, boot_ms, upper_bound
from edge_codecs.reading import TimeQuality


class Spans:
    """At most one span of the present boot is open, and those of earlier boots that were cut off."""

    def __init__(self, database: Database, boot: str) -> None:
        self._database = database
        self._boot = boot
        self._last_in_step: ClockReading | None = None
        row = database.one("SELECT number FROM boots WHERE boot = ?", (boot,))
        if row is None:
            with database.transaction():
                database.execute("INSERT INTO boots (boot) VALUES (?)", (boot,))
            row = database.one("SELECT number FROM boots WHERE boot = ?", (boot,))
        assert row is not None
        self.boot: int = row[0]
        """Number of the present boot."""
        self.undated = 0
        """Rows that wait for the clock."""
        self._open: int | None = None
        self._any_open = False
        self.load()

    def load(self) -> None:
        """Read what is open."""
        rows = self._database.all("SELECT number, boot FROM spans WHERE quality IS NULL")
        self._any_open = bool(rows)
        self._open = next((number for number, boot in rows if boot == self.boot), None)
        self.undated = sum(self._count(number) for number, _ in rows)

    def note(self, reading: ClockReading) -> None:
        """Remember that the clock was in step then."""
        self._last_in_step = reading

    def open(self) -> int:
        """The number of the span that rows of now belong to; within the caller's transaction."""
        if self._open is not None:
            return self._open
        before = self._last_in_step
        self._database.execute(
            "INSERT INTO spans (boot, before_ns, before_ms, before_quality) VALUES (?, ?, ?, ?)",
            (self.boot, before and before.monotonic_ns, before and before.utc_ms, before and before.quality),
        )
        return int(self._database.value("SELECT last_insert_rowid()"))

    def kept(self, span: int, count: int) -> None:
        """That many rows of `span` are on disk."""
        self._open, self._any_open = span, True
        self.undated += count

    def close(self, reading: ClockReading) -> int:
        """Date every open span; returns how many rows that makes ready."""
        self.note(reading)
        if not self._any_open:
            return 0
        now = Anchor(reading.monotonic_ns, reading.utc_ms, reading.quality)
        ready = 0
        next_boot_ms = boot_ms(now)
        with self._database.transaction():
            rows = self._database.all(
                "SELECT s.number, b.boot, s.before_ns, s.before_ms, s.before_quality FROM spans s "
                "JOIN boots b ON b.number = s.boot WHERE s.quality IS NULL ORDER BY s.number DESC"
            )
            for span, boot, *before in rows:
                if boot == reading.boot:
                    anchor = now
                else:
                    anchor = self._of_earlier_boot(span, before, next_boot_ms)
                    next_boot_ms = min(next_boot_ms, boot_ms(anchor))
                self._database.execute(
                    "UPDATE spans SET after_ns = ?, after_ms = ?, quality = ? WHERE number = ?",
                    (anchor.monotonic_ns, anchor.utc_ms, anchor.quality, span),
                )
                ready += self._count(span)
        self.load()
        return ready

    def _of_earlier_boot(self, span: int, before: list[int | None], next_boot_ms: int) -> Anchor:
        """What dates a span that a power cut ended: the clock before it, else only an upper bound."""
        before_ns, before_ms, before_quality = before
        if before_ns is not None and before_ms is not None and before_quality is not None:
            return Anchor(before_ns, before_ms, TimeQuality(before_quality))
        last_ns = self._database.value(
            "SELECT coalesce(max(monotonic_ns), 0) FROM uplinks WHERE span = ?", (span,)
        )
        return upper_bound(next_boot_ms, last_ns)

    def _count(self, span: int) -> int:
        return int(self._database.value("SELECT count(*) FROM uplinks WHERE span = ?", (span,)))
