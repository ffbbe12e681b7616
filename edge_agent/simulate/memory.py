"""A Clip'R's memory of its intervals, and the history frames that come out of it. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_codecs.clipr import CentiCelsius, History, HistoryInterval, RequestHistory, encode
from edge_codecs.clipr.history import MAX_INTERVALS

INTERVALS = 500  # of each channel

UtcMs = Callable[[int], int | None]
"""UTC in ms of a moment of the sensor's own counter in µs; None while its clock is not in step."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of one channel. `end_us` is the sensor's own counter."""

    end_us: int
    interval_s: int
    minimum: CentiCelsius | None
    maximum: CentiCelsius | None


class Memory:
    """A ring of the last intervals of each channel, and those that the network still waits for."""

    def __init__(self, intervals: int = INTERVALS) -> None:
        self._kept: dict[int, deque[Interval]] = defaultdict(lambda: deque(maxlen=intervals))
        self._wanted: dict[int, list[Interval]] = {}  # newest first

    @property
    def waiting(self) -> int:
        """Intervals that were asked for and are not sent yet."""
        return sum(map(len, self._wanted.values()))

    def keep(self, channel: int, interval: Interval) -> None:
        """Remember an interval; it takes the place of the oldest when the ring is full."""
        self._kept[channel].append(interval)

    def want(self, request: RequestHistory, utc_ms: UtcMs) -> None:
        """The network asks for what ends within these times. Without a clock in step that is nothing."""
        fitting = {
            interval.end_us: interval
            for interval in self._kept[request.channel]
            if request.from_s <= (_end_s(interval, utc_ms) or -1) <= request.to_s
        }
        fitting |= {interval.end_us: interval for interval in self._wanted.get(request.channel, [])}
        if fitting:
            self._wanted[request.channel] = [fitting[end_us] for end_us in sorted(fitting, reverse=True)]

    def forget_wanted(self) -> None:
        """Nobody waits for anything any more."""
        self._wanted.clear()

    def take(self, room: int, utc_ms: UtcMs) -> History | None:
        """The next frame of at most `room` bytes, the newest intervals first; None if there is none."""
        for channel, wanted in sorted(self._wanted.items()):
            frame = _frame(channel, wanted, room, utc_ms)
            if frame is not None:
                del wanted[: len(frame.intervals)]
                if not wanted:
                    del self._wanted[channel]
                return frame
        return None


def _frame(channel: int, wanted: Sequence[Interval], room: int, utc_ms: UtcMs) -> History | None:
    """As many of the first intervals as adjoin each other and fit."""
    newest = wanted[0]
    end_s = _end_s(newest, utc_ms)
    if end_s is None:
        return None
    best = None
    for count in range(1, min(len(wanted), MAX_INTERVALS) + 1):
        last = wanted[count - 1]
        off_us = newest.end_us - (count - 1) * newest.interval_s * 1_000_000 - last.end_us
        if last.interval_s != newest.interval_s or 4 * abs(off_us) > newest.interval_s * 1_000_000:
            break
        values = tuple(HistoryInterval(one.minimum, one.maximum) for one in wanted[:count])
        frame = History(channel, end_s, newest.interval_s, values)
        if len(encode(frame)[1]) > room:
            break
        best = frame
    return best


def _end_s(interval: Interval, utc_ms: UtcMs) -> int | None:
    end_ms = utc_ms(interval.end_us)
    return None if end_ms is None else round(end_ms / 1000)
