"""How fast the backlog may go, so that it never stands in the way of live readings. Pure, told the time.

Two brakes. A bucket of rows keeps an agreed rate (`[sync] backlog_rows_per_s`). And the number of backlog
batches under way follows the link: a live batch queues behind them, so as long as receipts are prompt there
may be one more, and when they are late there are half as many.
"""

from __future__ import annotations

PROMPT_S = 1.0
LATE_S = 3.0
FIRST_BATCHES = 2
BUCKET_S = 1.0  # how much of the rate may be used at once


class BacklogPace:
    """Says when the next backlog batch may be formed. Times are seconds of any one monotonic clock."""

    def __init__(self, rows_per_s: float, most_batches: int, now: float) -> None:
        self.batches = FIRST_BATCHES
        self._rows_per_s = rows_per_s
        self._most_batches = most_batches
        self._credit = rows_per_s * BUCKET_S
        self._at = now

    def ready_at(self, now: float) -> float:
        """When the rate allows the next batch; `now` or earlier means at once."""
        self._refill(now)
        return now if self._credit > 0 else now - self._credit / self._rows_per_s

    def formed(self, rows: int, now: float) -> None:
        """A batch of `rows` goes out. It may overdraw the bucket; the next one waits for it."""
        self._refill(now)
        self._credit -= rows

    def receipted(self, took_s: float) -> None:
        """A backlog batch had its receipt after `took_s`."""
        if took_s <= PROMPT_S:
            self.batches = min(self.batches + 1, self._most_batches)
        elif took_s >= LATE_S:
            self.batches = max(self.batches // 2, 1)

    def _refill(self, now: float) -> None:
        self._credit = min(self._credit + (now - self._at) * self._rows_per_s, self._rows_per_s * BUCKET_S)
        self._at = now
