"""No answer is on air before what it rests on is on disk, whichever radio heard the frame."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random

from edge_agent.clock import Clock
from edge_agent.health.rejections import Rejections
from edge_agent.health.tail import Tail
from edge_agent.intake import Intake
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.answer import Answer, Transmitted
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import RxFrame
from edge_agent.simulate.class_a import ClassADevice
from edge_agent.store_thread import StoreThread
from tests.rig.lorawan_frames import REPORT
from tests.rig.site import rx_frame
from tests.rig.store import open_store, session

EU868 = REGIONS["EU868"]


class OneFrame:
    """A front end that hears one frame."""

    name = "one frame"

    def __init__(self, frame: RxFrame) -> None:
        self._frame = frame

    async def bursts(self) -> AsyncIterator[list[RxFrame]]:
        yield [self._frame]

    def status(self) -> Mapping[str, object]:
        return {}

    def stop(self) -> None: ...

    def close(self) -> None: ...


class Air:
    """Notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[Answer] = []

    def send(self, answer: Answer) -> None:
        self.sent.append(answer)

    def end(self, unsent: Transmitted) -> None:
        raise AssertionError(unsent)


def test_a_repetition_at_another_radio_is_not_acknowledged_before_the_uplink_is_on_disk(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        store, go_on, air = StoreThread(), threading.Event(), Air()
        await store.open(lambda: open_store(tmp_path / "store.db"))
        network = NetworkServer(EU868, Policy(status_every_h=0, adr=False), (), Random(1).randrange)
        for known in await store.call(lambda opened: opened.add_devices([session(0)])):
            network.add(known)
        intake = Intake(network, store, Clock("trusted"), Rejections(), Tail())
        device = ClassADevice(session(0), EU868, Random(1))
        first = rx_frame(device.send(10_000_000, 10, REPORT, confirmed=True))
        again = rx_frame(device.repeat(13_000_000))
        try:
            stalled = asyncio.create_task(store.run(go_on.wait))  # the card takes its time
            hearing = [asyncio.create_task(intake.receive(OneFrame(frame), air)) for frame in (first, again)]
            for _ in range(10):
                await asyncio.sleep(0)
            assert air.sent == []
            go_on.set()
            await asyncio.gather(stalled, *hearing)
            assert len(air.sent) == 2
        finally:
            go_on.set()
            await store.close()

    asyncio.run(scenario())
