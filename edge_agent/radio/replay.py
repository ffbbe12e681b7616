"""Frames out of a file, as `edge-agent tail --raw` records them: one rxpk object a line.

A frame is dated by what the recording says: `tmms` or `time` give its UTC, and the counter `tmst` its
distance from its neighbours, with the last frame of the file at the present. Distances above 71 minutes are
known modulo 2^32 µs only; where the recording has UTC, that is what counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.errors import ConfigurationError
from edge_agent.lorawan.gps_time import unix_ms_of_gps_ms
from edge_agent.network.rx_frame import RxFrame
from edge_agent.radio.counter_map import WRAP_US
from edge_agent.radio.forwarder import frame_of
from edge_agent.radio.gps_time import utc_of_text
from edge_agent.radio.push_json import read_push
from edge_agent.radio.rxpk import Flaw, RxPk, parse_rxpk

BURST_LINES = 64


class Replay:
    """A front end that reads its file once and ends. Raises ConfigurationError if it cannot be read."""

    def __init__(self, clock: Clock, file: Path) -> None:
        self.name = f"replay {file}"
        self._clock = clock
        self._file = file
        self._frames = 0
        self._flaws: Counter[str] = Counter()
        self._stopped = False
        try:
            file.open("rb").close()
        except OSError as error:
            raise ConfigurationError(
                f"cannot read {file}: {error.strerror or error}",
                hint="It is a file of JSON lines, as written by: edge-agent tail --raw",
            ) from None

    async def bursts(self) -> AsyncIterator[list[RxFrame]]:
        """Frames of the file, some dozens at a time."""
        span_us = await asyncio.to_thread(self._span_us)
        first_ns = self._clock.monotonic_ns() - span_us * 1000
        progress = _Progress()
        rxpks = self._rxpks(counting=True)
        while not self._stopped:
            lines = await asyncio.to_thread(lambda: list(islice(rxpks, BURST_LINES)))
            if not lines:
                return
            burst = [self._frame(rxpk, first_ns + progress.advance(rxpk) * 1000) for rxpk in lines]
            self._frames += len(burst)
            yield burst

    async def frames(self) -> AsyncIterator[RxFrame]:
        """The same, one by one."""
        async for burst in self.bursts():
            for frame in burst:
                yield frame

    def _span_us(self) -> int:
        progress = _Progress()
        for rxpk in self._rxpks(counting=False):
            progress.advance(rxpk)
        return progress.us

    def _rxpks(self, *, counting: bool) -> Iterator[RxPk]:
        with self._file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.strip():
                    continue
                for rxpk in _rxpks_of(line.strip()):
                    if isinstance(rxpk, RxPk):
                        yield rxpk
                    elif counting:
                        self._flaws[rxpk.value] += 1

    def _frame(self, rxpk: RxPk, monotonic_ns: int) -> RxFrame:
        utc_ms = None
        if rxpk.gps_epoch_ms is not None:
            utc_ms = unix_ms_of_gps_ms(rxpk.gps_epoch_ms)
        elif rxpk.time is not None:
            utc_ms = utc_of_text(rxpk.time)
        # without a counter to send by: nobody listens any more, so nothing must be used up for an answer
        return replace(frame_of(rxpk, monotonic_ns, utc_ms, self.name, None), counter_us=None)

    def status(self) -> Mapping[str, object]:
        """Counters, JSON-able."""
        return {"name": self.name, "frames": self._frames, "flaws": dict(self._flaws)}

    def stop(self) -> None:
        """Hand over no more."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is open between bursts that does not close by itself."""


class _Progress:
    """Time since the first frame, by the counters of frames in the order of recording."""

    def __init__(self) -> None:
        self.us = 0
        self._counter_us: int | None = None

    def advance(self, rxpk: RxPk) -> int:
        """Microseconds from the first frame to this one. A counter that goes back stands still."""
        counter_us = rxpk.counter_us
        if counter_us is not None:
            if self._counter_us is not None:
                step_us = (counter_us - self._counter_us) % WRAP_US
                self.us += step_us if step_us < WRAP_US // 2 else 0
            self._counter_us = counter_us
        return self.us


def _rxpks_of(line: str) -> Iterator[RxPk | Flaw]:
    """A line is an rxpk object; the whole JSON of a PUSH_DATA is taken too."""
    content = read_push(f'{{"rxpk":[{line}]}}')
    for _ in range(content.damages):
        yield Flaw.NOT_JSON
    for value, text in content.rxpks:
        if isinstance(value, dict) and isinstance(value.get("rxpk"), list):
            yield from (parse_rxpk(inner, raw) for inner, raw in read_push(text).rxpks)
        else:
            yield parse_rxpk(value, text)
