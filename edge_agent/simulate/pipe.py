"""Temperatures on the surface of a water pipe. Pure; randomness is an argument.

A pipe goes exponentially towards what surrounds or fills it: slowly towards its resting temperature (a hot
pipe's circulation, a cold pipe's shaft in which the water stands), quickly towards the water's temperature
while a tap is open. Between two changes of the tap the way is monotonic, so the extremes of an interval lie
at its ends and at the changes; nothing need be sampled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, floor, pi, sin
from random import Random

DAY_S = 86_400
WEEK_S = 7 * DAY_S
_DRAW_OFFS_PER_HOUR = (
    *(0.1,) * 5,  # from midnight
    *(1.0, 5.0, 6.0, 4.0),  # from 5 h
    *(1.5,) * 8,
    *(3.0, 4.0, 4.0, 2.5, 1.5, 0.7, 0.3),  # from 17 h
)


@dataclass(frozen=True, slots=True)
class Water:
    """One kind of pipe, °C and seconds: ranges from which a pipe draws its own values."""

    resting: tuple[float, float]
    resting_swing: float  # up and down over the day
    resting_tau_s: float
    flowing: tuple[float, float]  # of the water, for each draw-off anew
    flushing: tuple[float, float]
    flowing_tau_s: float
    is_hot: bool


HOT = Water((56.5, 59.5), 0.6, 1500, (60.5, 63.5), (64.3, 65.0), 22, is_hot=True)
COLD = Water((20.0, 24.5), 1.0, 3600, (9.5, 13.5), (8.5, 10.0), 18, is_hot=False)


@dataclass(frozen=True, slots=True)
class Flush:
    """A flush as a sensor sees it; seconds of its life and °C."""

    start_s: float
    end_s: float
    start_celsius: float
    end_celsius: float
    extreme_celsius: float  # highest on a hot pipe, lowest on a cold one


@dataclass(slots=True)
class Seen:
    """What a sensor saw of the pipe in one interval, °C."""

    minimum: float
    maximum: float
    last: float
    flushes: list[Flush] = field(default_factory=list)

    def add(self, celsius: float) -> None:
        """Take one temperature in."""
        self.last = celsius
        if celsius < self.minimum:
            self.minimum = celsius
        elif celsius > self.maximum:
            self.maximum = celsius


class Pipe:
    """One pipe; `midnight_s` is when its first midnight falls, in seconds of the simulation."""

    def __init__(self, water: Water, rng: Random, midnight_s: float) -> None:
        self.is_hot = water.is_hot
        self._water = water
        self._rng = rng
        self._midnight_s = midnight_s
        self._resting = rng.uniform(*water.resting)
        self._now_s = 0.0
        self._celsius = self._resting + rng.uniform(-0.5, 0.5)
        self._next_flush_s = rng.uniform(0, WEEK_S)
        self._next_draw_off_s = self._draw_off_after(0.0)

    def watch(self, until_s: float) -> Seen:
        """Let time pass to `until_s`; a draw-off or flush begun before then is seen to its end."""
        seen = Seen(self._celsius, self._celsius, self._celsius)
        while (begin_s := min(self._next_flush_s, self._next_draw_off_s)) < until_s:
            self._rest(max(begin_s, self._now_s), seen)
            if self._next_flush_s == begin_s:
                seen.flushes.append(self._flush(seen))
                self._next_flush_s += WEEK_S
            else:
                self._flow(self._rng.uniform(*self._water.flowing), self._rng.uniform(15, 200), seen)
                self._next_draw_off_s = self._draw_off_after(self._now_s)
        if until_s > self._now_s:
            self._rest(until_s, seen)
        return seen

    def _rest(self, until_s: float, seen: Seen) -> None:
        swing = self._water.resting_swing * sin(2 * pi * (until_s - self._midnight_s) / DAY_S)
        self._approach(self._resting + swing, self._water.resting_tau_s, until_s, seen)

    def _flow(self, water_celsius: float, duration_s: float, seen: Seen) -> None:
        self._approach(water_celsius, self._water.flowing_tau_s, self._now_s + duration_s, seen)

    def _flush(self, seen: Seen) -> Flush:
        start_s, start_celsius = self._now_s, self._celsius
        self._flow(self._rng.uniform(*self._water.flushing), self._rng.uniform(180, 360), seen)
        extreme = max if self._water.is_hot else min
        return Flush(
            start_s, self._now_s, start_celsius, self._celsius, extreme(start_celsius, self._celsius)
        )

    def _approach(self, target_celsius: float, tau_s: float, until_s: float, seen: Seen) -> None:
        left = exp((self._now_s - until_s) / tau_s)
        self._celsius = target_celsius + (self._celsius - target_celsius) * left
        self._now_s = until_s
        seen.add(self._celsius)

    def _draw_off_after(self, now_s: float) -> float:
        """A Poisson process whose rate changes by the hour: what falls beyond its hour is drawn anew."""
        hour = floor((now_s - self._midnight_s) / 3600)
        while True:
            next_hour_s = self._midnight_s + 3600 * (hour + 1)
            draw_off_s = now_s + self._rng.expovariate(_DRAW_OFFS_PER_HOUR[hour % 24] / 3600)
            if draw_off_s < next_hour_s:
                return draw_off_s
            now_s, hour = next_hour_s, hour + 1
