"""What a sensor says that only speaks: for load. Pure; the same seed and number give the same life.

`clipr` is the whole sensor, which joins, listens and remembers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from edge_agent.simulate.pipe import DAY_S, Flush
from edge_agent.simulate.probes import Probes, Watched, centi
from edge_codecs.clipr import (
    CentiCelsius,
    Event,
    EventKind,
    Flag,
    History,
    HistoryInterval,
    Message,
    Report,
    ResetCause,
    Status,
)

HISTORY_SHARE = 0.04  # history frames for each report
HISTORY_INTERVALS = 12  # of 2 bytes each after the first: fits into the 51 bytes of the slowest data rate
HARDWARE_REVISION = 2
FIRMWARE = (1, 4, 7)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message and when in the sensor's life it is sent."""

    at_s: float
    message: Message


class Sensor:
    """A sensor on one pipe or two. `start_s` is Unix time of the beginning of its life."""

    def __init__(self, seed: int, number: int, interval_s: int, start_s: int) -> None:
        self._rng = Random(f"sensor|{seed}|{number}")  # noqa: S311  it must be repeatable, and guards nothing
        self._interval_s = interval_s
        self._probes = Probes(self._rng, start_s)
        self._history_end_s = start_s - self._rng.randrange(interval_s, 2 * interval_s)

    def speak(self) -> Iterator[Spoken]:
        """Everything that it says, in order of time, for ever."""
        report_s = self._rng.uniform(0, self._interval_s)
        waiting = [Spoken(report_s / 2, self._status(0.0))]
        status_due_s = DAY_S
        while True:
            report_s += self._interval_s
            watched = self._probes.watch(report_s)
            for channel, flush in watched.flushes:
                waiting += self._flush_events(channel, flush)
            yield from sorted((s for s in waiting if s.at_s <= report_s), key=lambda spoken: spoken.at_s)
            waiting = [spoken for spoken in waiting if spoken.at_s > report_s]
            yield Spoken(report_s, self._report(report_s, watched))
            if report_s >= status_due_s:
                status_due_s += DAY_S
                waiting.append(Spoken(report_s + 6, self._status(report_s)))
            if self._rng.random() < HISTORY_SHARE:
                waiting.append(Spoken(report_s + 12, self._history()))

    def _report(self, at_s: float, watched: Watched) -> Report:
        flags = Flag.CLOCK_IN_STEP
        if watched.flushes:
            flags |= Flag.FLUSH_SEEN
        return Report(int(flags), self._probes.battery(at_s), self._interval_s, watched.channels)

    def _flush_events(self, channel: int, flush: Flush) -> Iterator[Spoken]:
        """Told some seconds after they happened."""
        age_s = self._rng.randrange(1, 4)
        start, end = flush_events(channel, flush, age_s, flush.end_s - flush.start_s)
        yield Spoken(flush.start_s + age_s, start)
        yield Spoken(flush.end_s + age_s, end)

    def _status(self, at_s: float) -> Status:
        sampling_s = min(10, self._interval_s)
        return Status(
            ResetCause.POWER_ON,
            HARDWARE_REVISION,
            FIRMWARE,
            self._probes.battery(at_s),
            round(at_s),
            self._interval_s,
            sampling_s,
            0,
        )

    def _history(self) -> History:
        """Intervals from before the simulation, going back further with each frame."""
        hot = self._probes.pipes[0].is_hot
        low = self._rng.uniform(56.0, 58.0) if hot else self._rng.uniform(11.0, 16.0)
        minimum, maximum = centi(low), centi(low + self._rng.uniform(1.0, 4.0))
        intervals = [HistoryInterval(minimum, maximum)]
        for _ in range(HISTORY_INTERVALS - 1):  # steps of 1/10 °C, as the frame has them
            minimum = CentiCelsius(minimum + 10 * self._rng.randint(-4, 4))
            maximum = CentiCelsius(maximum + 10 * self._rng.randint(-4, 4))
            while maximum < minimum:
                maximum = CentiCelsius(maximum + 10)
            intervals.append(HistoryInterval(minimum, maximum))
        end_s = self._history_end_s
        self._history_end_s -= HISTORY_INTERVALS * self._interval_s
        return History(0, end_s, self._interval_s, tuple(intervals))


def flush_events(channel: int, flush: Flush, age_s: int, duration_s: float) -> tuple[Event, Event]:
    """What is said of a flush: its start and its end."""
    start = Event(EventKind.FLUSH_START, channel, age_s, centi(flush.start_celsius))
    end = Event(
        EventKind.FLUSH_END,
        channel,
        age_s,
        centi(flush.end_celsius),
        round(duration_s),
        centi(flush.extreme_celsius),
    )
    return start, end
