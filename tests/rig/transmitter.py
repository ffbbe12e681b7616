"""A transmitter, the door for packet forwarders and a forwarder, joined by real UDP in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from edge_agent.lorawan.regions.eu868 import EU868
from edge_agent.network.answer import Answer, Transmitted
from edge_agent.network.rx_frame import RxFrame
from edge_agent.radio.duty_cycle_file import DutyCycleFile
from edge_agent.radio.semtech_udp import SemtechUdp
from edge_agent.transmitter import Transmitter
from tests.fakes import virtual_time
from tests.fakes.forwarder import FakeForwarder
from tests.fakes.virtual_clock import VirtualClock


class Bench:
    """A transmitter, a forwarder and what is between them. The counter begins with `counter_us`."""

    def __init__(
        self,
        *,
        counter_us: int = 0,
        version: int = 2,
        file: Path | None = None,
        port: int = 0,
        boot: str = "boot",
        **more: Any,
    ) -> None:
        self.begin_us = counter_us
        self.begin = self.now
        self.clock = VirtualClock(boot)
        self.radio = SemtechUdp(self.clock, port=port)
        self.forwarder = FakeForwarder(self.radio.address, version=version)
        self.results: asyncio.Queue[Transmitted] = asyncio.Queue()
        self.frames: asyncio.Queue[RxFrame] = asyncio.Queue()
        self.transmitter = Transmitter(
            [self.radio],
            EU868,
            self.clock,
            self.results.put,
            file=DutyCycleFile(file, boot) if file else None,
            **more,
        )

    @contextlib.asynccontextmanager
    async def running(self, *, pull: bool = True) -> AsyncIterator[Bench]:
        tasks = [asyncio.create_task(part) for part in (self.transmitter.run(), self._receive())]
        with self.forwarder, contextlib.closing(self.radio):
            if pull:
                self.forwarder.pull()
            yield self
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(outcome, asyncio.CancelledError)

    async def _receive(self) -> None:
        async for frame in self.radio.frames():
            self.frames.put_nowait(frame)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def windows(self) -> list[int]:
        """The counter values that the forwarder was to send at."""
        return [txpk["tmst"] for txpk in self.forwarder.downlinks]

    async def hear(self) -> RxFrame:
        """A frame that ends now."""
        self.forwarder.hear((self.begin_us + round((self.now - self.begin) * 1_000_000)) % (1 << 32))
        return await self.frames.get()

    async def send(self, to_send: Answer) -> Transmitted:
        self.transmitter.send(to_send)
        return await self.results.get()


def run(story: Callable[[Bench], Coroutine[Any, Any, None]], *, pull: bool = True, **more: Any) -> None:
    async def main() -> None:
        async with Bench(**more).running(pull=pull) as bench:
            await story(bench)

    virtual_time.run(main)
