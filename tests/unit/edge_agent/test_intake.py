"""No answer is on air before what it rests on is on disk; changes reach the disk in their order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import cast

from edge_agent.clock import Clock, ClockReading
from edge_agent.health.rejections import Rejections
from edge_agent.health.tail import Tail
from edge_agent.intake import Intake
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.answer import Answer, Transmitted, TxResult, Window
from edge_agent.network.changes import Change, ConfirmedSent
from edge_agent.network.decision import Decision
from edge_agent.network.moment import Moment
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.outcome import Admitted, Rejected
from edge_agent.network.policy import Policy
from edge_agent.network.reason import Reason
from edge_agent.network.rx_frame import RxFrame
from edge_agent.simulate.class_a import ClassADevice
from edge_agent.store_thread import StoreThread
from tests.rig.lorawan_frames import REPORT
from tests.rig.site import rx_frame
from tests.rig.store import dev_eui, open_store, session

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
        device, now_us = ClassADevice(session(0), EU868, Random(1)), Clock("trusted").monotonic_ns() // 1000
        first = rx_frame(device.send(now_us, 10, REPORT, confirmed=True))
        again = rx_frame(device.repeat(now_us + 3_000_000))
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


class Ends:
    """A network server to which each end of an answer is one change, and each frame another."""

    def __init__(self) -> None:
        self.decided = 0

    def transmitted(self, sending: Transmitted) -> tuple[Change, ...]:
        return (self._change(),)

    def receive(self, frame: RxFrame, moment: Moment) -> Decision:
        return Decision(Rejected(Reason.REPLAY, frame), (self._change(),))

    def _change(self) -> Change:
        self.decided += 1
        return ConfirmedSent(dev_eui(0), 0, self.decided)


class SlowKeeper:
    """Notes what is written, in order; each time takes until it is let go on."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []
        self.go_on = asyncio.Semaphore(0)
        self._turn = asyncio.Lock()

    async def keep(
        self, uplinks: Sequence[Admitted], clock: ClockReading | None, changes: Sequence[Change] = ()
    ) -> None:
        await self.apply(changes)

    async def apply(self, changes: Sequence[Change]) -> None:
        async with self._turn:
            await self.go_on.acquire()
            self.written.append(
                [change.conf_f_cnt for change in changes if isinstance(change, ConfirmedSent)]
            )


def end_of_an_answer() -> Transmitted:
    frame = rx_frame(ClassADevice(session(0), EU868, Random(1)).send(10_000_000, 10, REPORT))
    window = Window("RX1", 5_000_000, 868_100_000, "SF7BW125", 14.0)
    return Transmitted(Answer(dev_eui(0), frame, b"", (window,), "nothing", 0, 0), TxResult.SENT, window)


def test_ends_of_answers_whose_writer_was_cancelled_are_written_at_the_end() -> None:
    async def scenario() -> None:
        keeper, ended = SlowKeeper(), end_of_an_answer()
        intake = Intake(cast("NetworkServer", Ends()), keeper, Clock("trusted"), Rejections(), Tail())
        writer = asyncio.create_task(intake.sent(ended))
        await asyncio.sleep(0)
        await intake.sent(ended)  # leaves it to the writer
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        keeper.go_on.release()
        await intake.finish()
        assert keeper.written == [[1, 2]]

    asyncio.run(scenario())


def test_ends_of_answers_share_a_commit_and_keep_their_order_with_what_is_decided_later() -> None:
    async def scenario() -> None:
        keeper, air = SlowKeeper(), Air()
        intake = Intake(cast("NetworkServer", Ends()), keeper, Clock("trusted"), Rejections(), Tail())
        frame = rx_frame(ClassADevice(session(0), EU868, Random(1)).send(10_000_000, 10, REPORT))
        window = Window("RX1", 5_000_000, 868_100_000, "SF7BW125", 14.0)
        answer = Answer(dev_eui(0), frame, b"", (window,), "nothing", 0, 0)
        ended = Transmitted(answer, TxResult.SENT, window)
        tasks = [asyncio.create_task(intake.sent(ended)) for _ in range(5)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(intake.receive(OneFrame(frame), air)))
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(intake.sent(ended)) for _ in range(3)]
        await asyncio.sleep(0)
        for _ in range(9):
            keeper.go_on.release()
        await asyncio.gather(*tasks)
        assert keeper.written == [[1], [2, 3, 4, 5, 6], [7, 8, 9]]

    asyncio.run(scenario())
