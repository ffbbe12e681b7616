"""What a Clip'R measures: one pipe or two, perhaps the housing, and its battery. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin
from random import Random

from edge_agent.simulate.pipe import COLD, DAY_S, HOT, Flush, Pipe
from edge_codecs.clipr import CentiCelsius, Extremes

_PIPES = ((HOT,), (HOT, COLD), (HOT, COLD), (COLD,), (HOT, HOT))  # flow and return
_AMBIENT_CHANNEL = 2
_AMBIENT_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Watched:
    """One interval: extremes by rising channel, and (channel, flush) of each flush begun in it."""

    channels: tuple[Extremes, ...]
    flushes: tuple[tuple[int, Flush], ...]


class Probes:
    """The probes of one sensor. `start_s` is Unix time of second 0 of its life."""

    def __init__(self, rng: Random, start_s: int) -> None:
        self._midnight_s = float(-start_s % DAY_S)
        self.pipes = [Pipe(water, rng, self._midnight_s) for water in rng.choice(_PIPES)]
        self._has_ambient = rng.random() < _AMBIENT_SHARE
        self._ambient_celsius = rng.uniform(18.5, 23.0)
        self._battery_v = rng.uniform(3.0, 3.6)

    def watch(self, until_s: float) -> Watched:
        """Let time pass to `until_s`."""
        seen = [pipe.watch(until_s) for pipe in self.pipes]
        channels = [
            Extremes(channel, centi(pipe.minimum), centi(pipe.maximum), centi(pipe.last))
            for channel, pipe in enumerate(seen)
        ]
        if self._has_ambient:
            channels.append(self._ambient(until_s))
        flushes = [(channel, flush) for channel, pipe in enumerate(seen) for flush in pipe.flushes]
        return Watched(tuple(channels), tuple(flushes))

    def battery(self, at_s: float) -> int:
        """b8 code; a cell loses some 0.3 V over five years."""
        volts = self._battery_v - 0.3 * at_s / (5 * 365 * DAY_S)
        return max(0, min(254, round((volts - 2) * 100)))

    def _ambient(self, at_s: float) -> Extremes:
        now = self._ambient_celsius + 1.2 * sin(2 * pi * (at_s - self._midnight_s) / DAY_S)
        return Extremes(_AMBIENT_CHANNEL, centi(now - 0.1), centi(now + 0.1), centi(now))


def centi(celsius: float) -> CentiCelsius:
    """In hundredths of a degree, as the sensor says it."""
    return CentiCelsius(round(celsius * 100))
