"""What to ask a sensor for now, so that its gaps close. Pure.

Asked are the newest gaps first: they are the likeliest to be in the sensor's memory. A request names the ends
of intervals, in Unix seconds; half an interval beside them on both sides keeps rounding and a clock that is a
little off from mattering.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge_agent.network.gap import Gap
from edge_codecs.clipr import RequestHistory

MOST_INTERVALS: Final = 96
"""Intervals of one request: a day at 15 minutes each, five frames at most at the slowest data rate."""
MEMORY_INTERVALS: Final = 5_000
"""No sensor is held to remember more: 64 KiB at 12 bytes an interval (two values of three channels)."""
MAX_UNIX_S: Final = 2**32 - 1
"""The latest time that a request can name; a clock that was far off may have dated a report beyond it."""
REPORTS_BETWEEN: Final = 2
"""The answer comes behind the next report; the one after it shows whether it was lost."""


def request(waited: Mapping[Gap, int], now_ms: int) -> tuple[Gap, RequestHistory] | None:
    """The gap of one sensor to ask for now, and what to send; None: nothing, or not yet.

    `waited` counts for each gap the sensor's reports since it was asked for that gap last. Each request for a
    gap that brings nothing doubles its wait: at 15 minutes a report all of them take half a day, so that a
    sensor is not given up for one bad hour. `now_ms` is UTC.
    """
    for gap in sorted(waited, key=lambda gap: gap.to_ms, reverse=True):
        forgotten = now_ms - gap.to_ms > 1000 * gap.interval_s * MEMORY_INTERVALS
        if gap.given_up or forgotten or waited[gap] < REPORTS_BETWEEN << gap.asked:
            continue
        question = _exactly(gap)
        if 0 <= question.from_s <= question.to_s <= MAX_UNIX_S:
            return gap, question
    return None


def _exactly(gap: Gap) -> RequestHistory:
    """Its intervals and no other; the newest of them if there are more than one request names."""
    half_s = gap.interval_s / 2
    to_s = gap.to_ms / 1000
    from_s = max(gap.from_ms / 1000, to_s - MOST_INTERVALS * gap.interval_s)
    return RequestHistory(gap.channel, round(from_s + half_s), round(to_s + half_s))
