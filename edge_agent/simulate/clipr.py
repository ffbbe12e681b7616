"""A Clip'R as it is in a cellar: it measures, remembers, reports, and does as it is told. Pure.

Its time is a counter in µs that never wraps. Water may run `water_speed` times faster than that, so that a
short demonstration shows the temperatures of a day; intervals are as long as the reports say.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from edge_agent.simulate.memory import Interval, Memory, UtcMs
from edge_agent.simulate.pipe import DAY_S
from edge_agent.simulate.probes import Probes, Watched
from edge_agent.simulate.sensor import FIRMWARE, HARDWARE_REVISION, flush_events
from edge_codecs.clipr import (
    CentiCelsius,
    Configure,
    DecodeError,
    Downlink,
    Event,
    EventKind,
    Flag,
    Message,
    Reboot,
    Report,
    RequestHistory,
    ResetCause,
    Status,
    decode_downlink,
)

SECOND_US = 1_000_000
DAY_US = DAY_S * SECOND_US
_MAX_AGE_S = 0xFFFF


class ClipR:
    """One sensor. It begins to measure with `begin`, after it has joined for the first time."""

    def __init__(self, seed: int, number: int, interval_s: int, start_s: int, water_speed: float) -> None:
        rng = Random(f"clipr|{seed}|{number}")  # noqa: S311  it must be repeatable, and guards nothing
        self.memory = Memory()
        self.interval_s = interval_s
        self.sampling_s = min(10, interval_s)
        self.report_us: int | None = None  # when the present interval ends, None while it does not measure
        self.cause = ResetCause.POWER_ON
        self._upper: CentiCelsius | None = None
        self._lower: CentiCelsius | None = None
        self._probes = Probes(rng, start_s)
        self._water_speed = water_speed
        self._first_report = rng.uniform(0.2, 1.0)
        self._watched = Watched((), ())
        self._running_s = interval_s  # the present interval
        self._begun_us = self._status_us = 0
        self._events: list[tuple[int, Event]] = []  # when it happened, and what
        self._status_due = False
        self._outside: set[tuple[int, EventKind]] = set()

    def begin(self, at_us: int) -> None:
        """It has joined: its status is due, and it measures if it does not yet."""
        self._status_due = True
        if self.report_us is None:
            self._begun_us, self._status_us = at_us, at_us + DAY_US
            self._measure(at_us, at_us + round(self.interval_s * SECOND_US * self._first_report))

    def reboot(self) -> None:
        """Start anew: the interval under way is lost, what is remembered stays."""
        self.cause = ResetCause.DOWNLINK
        self.report_us = None
        self.memory.forget_wanted()
        self._events = []

    def next_us(self, at_us: int) -> int | None:
        """When it has something to say: `at_us` if at once, None if never (it does not measure)."""
        if self._status_due or self.memory.waiting or any(event_us <= at_us for event_us, _ in self._events):
            return at_us
        times = [event_us for event_us, _ in self._events]
        return min([*times, *([] if self.report_us is None else [self.report_us])], default=None)

    def report(self, at_us: int, *, in_step: bool) -> Report:
        """The report of the interval that ends now; `close` follows."""
        flags = Flag.CLOCK_IN_STEP if in_step else Flag(0)
        if self._watched.flushes:
            flags |= Flag.FLUSH_SEEN
        if self.memory.waiting:
            flags |= Flag.HISTORY_WAITING
        return Report(int(flags), self._battery(at_us), self._running_s, self._watched.channels)

    def close(self, end_us: int) -> list[tuple[int, Interval]]:
        """The interval has ended, with the end of its report; returns it by channel and begins the next."""
        assert self.report_us is not None
        closed = [
            (one.channel, Interval(end_us, self._running_s, one.minimum, one.maximum))
            for one in self._watched.channels
        ]
        for channel, interval in closed:
            self.memory.keep(channel, interval)
        self._watch_limits(end_us)
        self._status_due |= end_us >= self._status_us
        self._measure(self.report_us, self.report_us + self.interval_s * SECOND_US)
        return closed

    def speak(self, at_us: int, room: int, utc_ms: UtcMs) -> Message | None:
        """What there is to say beside reports, in at most `room` bytes: status, then events, then history."""
        if self._status_due:
            self._status_due = False
            self._status_us = at_us + DAY_US
            return self._status(at_us)
        for number, (event_us, event) in enumerate(self._events):
            if event_us <= at_us:
                del self._events[number]
                return replace(event, age_s=min(_MAX_AGE_S, (at_us - event_us) // SECOND_US))
        return self.memory.take(room, utc_ms)

    def hear(self, f_port: int, payload: bytes, utc_ms: UtcMs) -> Downlink | None:
        """Do what a downlink says; returns it, None for one that is none of a Clip'R."""
        try:
            downlink = decode_downlink(f_port, payload)
        except DecodeError:
            return None
        match downlink:
            case Configure():
                self.interval_s = downlink.report_interval_s or self.interval_s
                self.sampling_s = downlink.sampling_interval_s or self.sampling_s
                self._upper, self._lower = downlink.upper_limit, downlink.lower_limit
            case RequestHistory():
                self.memory.want(downlink, utc_ms)
            case Reboot():
                self.reboot()
        return downlink

    def _measure(self, begin_us: int, end_us: int) -> None:
        self.report_us = end_us
        self._running_s = max(1, round((end_us - begin_us) / SECOND_US))
        self._watched = self._probes.watch(self._water_s(end_us))
        for channel, flush in self._watched.flushes:
            duration_s = (flush.end_s - flush.start_s) / self._water_speed
            start, end = flush_events(channel, flush, 0, duration_s)
            self._events += [(self._of_water(flush.start_s), start), (self._of_water(flush.end_s), end)]

    def _watch_limits(self, at_us: int) -> None:
        """An event each time a limit is crossed, told at the end of the interval."""
        for one in self._watched.channels:
            self._cross(EventKind.ABOVE_UPPER_LIMIT, one.channel, one.maximum, self._upper, 1, at_us)
            self._cross(EventKind.BELOW_LOWER_LIMIT, one.channel, one.minimum, self._lower, -1, at_us)

    def _cross(
        self,
        kind: EventKind,
        channel: int,
        extreme: CentiCelsius | None,
        limit: CentiCelsius | None,
        sign: int,
        at_us: int,
    ) -> None:
        is_outside = extreme is not None and limit is not None and sign * (extreme - limit) > 0
        if is_outside and (channel, kind) not in self._outside:
            self._outside.add((channel, kind))
            self._events.append((at_us, Event(kind, channel, 0, extreme)))
        elif not is_outside:
            self._outside.discard((channel, kind))

    def _status(self, at_us: int) -> Status:
        return Status(
            self.cause,
            HARDWARE_REVISION,
            FIRMWARE,
            self._battery(at_us),
            max(0, at_us - self._begun_us) // SECOND_US,
            self.interval_s,
            self.sampling_s,
            min(255, self.memory.waiting),
        )

    def _battery(self, at_us: int) -> int:
        return self._probes.battery(at_us / SECOND_US)

    def _water_s(self, at_us: int) -> float:
        return at_us / SECOND_US * self._water_speed

    def _of_water(self, water_s: float) -> int:
        return round(water_s / self._water_speed * SECOND_US)
