"""One Clip'R sensor's life: what it says and when. Pure; the same seed and number give the same life."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import pi, sin
from random import Random

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.session import Session
from edge_agent.simulate.pipe import COLD, DAY_S, HOT, Flush, Pipe, Seen
from edge_codecs.clipr import (
    CentiCelsius,
    Event,
    EventKind,
    Extremes,
    Flag,
    History,
    HistoryInterval,
    Message,
    Report,
    ResetCause,
    Status,
)
from edge_codecs.identifiers import DevEUI

HISTORY_SHARE = 0.04  # history frames for each report
HISTORY_INTERVALS = 12  # of 2 bytes each after the first: fits into the 51 bytes of the slowest data rate
_PIPES = ((HOT,), (HOT, COLD), (HOT, COLD), (COLD,), (HOT, HOT))  # flow and return
_AMBIENT_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message and when in the sensor's life it is sent."""

    at_s: float
    message: Message


def session_of(seed: int, number: int, f_cnt_start: int = 0) -> Session:
    """Identity and session keys of sensor `number`, all from the seed: for tests, never for real devices."""
    nwk_s_key = AES128Key(_derived("NwkSKey", seed, number)[:16])
    block = int.from_bytes(_derived("DevAddr", seed, 0)[:4])
    return Session(
        dev_eui=DevEUI(bytes((2,)) + seed.to_bytes(3) + number.to_bytes(4)),
        dev_addr=DevAddr((block + number & 0x01FF_FFFF).to_bytes(4)),  # NetID 000000, for experiments
        lorawan="1.0",
        f_nwk_s_int_key=nwk_s_key,
        s_nwk_s_int_key=nwk_s_key,
        nwk_s_enc_key=nwk_s_key,
        app_s_key=AES128Key(_derived("AppSKey", seed, number)[:16]),
        f_cnt_up=f_cnt_start - 1 if f_cnt_start else None,
    )


def _derived(name: str, seed: int, number: int) -> bytes:
    return sha256(f"simulated Clip'R sensor|{name}|{seed}|{number}".encode()).digest()


class Sensor:
    """A sensor on one pipe or two. `start_s` is Unix time of the beginning of its life."""

    def __init__(self, seed: int, number: int, interval_s: int, start_s: int) -> None:
        self._rng = Random(f"sensor|{seed}|{number}")  # noqa: S311  it must be repeatable, and guards nothing
        self._interval_s = interval_s
        self._start_s = start_s
        midnight_s = float(-start_s % DAY_S)
        self._midnight_s = midnight_s
        self._pipes = [Pipe(water, self._rng, midnight_s) for water in self._rng.choice(_PIPES)]
        self._has_ambient = self._rng.random() < _AMBIENT_SHARE
        self._ambient_celsius = self._rng.uniform(18.5, 23.0)
        self._battery_v = self._rng.uniform(3.0, 3.6)
        self._history_end_s = start_s - self._rng.randrange(interval_s, 2 * interval_s)

    def speak(self) -> Iterator[Spoken]:
        """Everything that it says, in order of time, for ever."""
        report_s = self._rng.uniform(0, self._interval_s)
        waiting = [Spoken(report_s / 2, self._status(0.0))]
        status_due_s = DAY_S
        while True:
            report_s += self._interval_s
            seen = [pipe.watch(report_s) for pipe in self._pipes]
            for channel, pipe in enumerate(seen):
                for flush in pipe.flushes:
                    waiting += self._flush_events(channel, flush)
            yield from sorted((s for s in waiting if s.at_s <= report_s), key=lambda spoken: spoken.at_s)
            waiting = [spoken for spoken in waiting if spoken.at_s > report_s]
            yield Spoken(report_s, self._report(report_s, seen))
            if report_s >= status_due_s:
                status_due_s += DAY_S
                waiting.append(Spoken(report_s + 6, self._status(report_s)))
            if self._rng.random() < HISTORY_SHARE:
                waiting.append(Spoken(report_s + 12, self._history()))

    def _report(self, at_s: float, seen: list[Seen]) -> Report:
        channels = [
            Extremes(channel, _centi(pipe.minimum), _centi(pipe.maximum), _centi(pipe.last))
            for channel, pipe in enumerate(seen)
        ]
        if self._has_ambient:
            channels.append(self._ambient(at_s))
        flags = Flag.CLOCK_IN_STEP
        if any(pipe.flushes for pipe in seen):
            flags |= Flag.FLUSH_SEEN
        return Report(int(flags), self._battery(at_s), self._interval_s, tuple(channels))

    def _flush_events(self, channel: int, flush: Flush) -> Iterator[Spoken]:
        """Told some seconds after they happened."""
        age_s = self._rng.randrange(1, 4)
        yield Spoken(
            flush.start_s + age_s, Event(EventKind.FLUSH_START, channel, age_s, _centi(flush.start_celsius))
        )
        yield Spoken(
            flush.end_s + age_s,
            Event(
                EventKind.FLUSH_END,
                channel,
                age_s,
                _centi(flush.end_celsius),
                round(flush.end_s - flush.start_s),
                _centi(flush.extreme_celsius),
            ),
        )

    def _ambient(self, at_s: float) -> Extremes:
        now = self._ambient_celsius + 1.2 * sin(2 * pi * (at_s - self._midnight_s) / DAY_S)
        return Extremes(2, _centi(now - 0.1), _centi(now + 0.1), _centi(now))

    def _battery(self, at_s: float) -> int:
        """b8 code; a cell loses some 0.3 V over five years."""
        volts = self._battery_v - 0.3 * at_s / (5 * 365 * DAY_S)
        return max(0, min(254, round((volts - 2) * 100)))

    def _status(self, at_s: float) -> Status:
        return Status(
            ResetCause.POWER_ON,
            2,
            (1, 4, 7),
            self._battery(at_s),
            round(at_s),
            self._interval_s,
            min(10, self._interval_s),
            0,
        )

    def _history(self) -> History:
        """Intervals from before the simulation, going back further with each frame."""
        low = self._rng.uniform(56.0, 58.0) if self._pipes[0].is_hot else self._rng.uniform(11.0, 16.0)
        minimum, maximum = _centi(low), _centi(low + self._rng.uniform(1.0, 4.0))
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


def _centi(celsius: float) -> CentiCelsius:
    return CentiCelsius(round(celsius * 100))
