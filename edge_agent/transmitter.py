"""From an answer to the air: each answer goes into the first of its windows that a transmitter takes it for.

An answer belongs to the packet forwarder that heard the uplink: only there the counter that times it means
anything. It is handed over at once. What the forwarder refuses, or says nothing of, goes on to the next
window while there is time. Each answer is a task of its own, so none waits for another's TX_ACK, and each
ends in one `Transmitted`, come what may. A bug in one ends the part, and with it the program.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_agent.lorawan.region import Region
from edge_agent.network.answer import Answer, Transmitted, TxResult, Window
from edge_agent.network.duty_cycle import DutyCycle
from edge_agent.network.jit_queue import LEAD_NS, JitQueue, Slot, begin_of
from edge_agent.network.rx_frame import RxFrame
from edge_agent.radio.counter_map import WRAP_US
from edge_agent.radio.duty_cycle_file import DutyCycleFile, ForwarderKey
from edge_agent.radio.txpk import TxFrame, TxOutcome
from edge_codecs.identifiers import EUI64

MAX_ANSWERS = 256
TX_ACK_S = 2.0
SPARE_NS = 50_000_000  # to get from a missing TX_ACK to the next window
SAVE_EVERY_S = 1.0
STOP_S = 2.0


class Sender(Protocol):
    """A front end that can send."""

    name: str

    def has_route(self, forwarder: EUI64, host: str) -> bool:
        """Whether this forwarder can be reached."""

    async def transmit(self, frame: TxFrame, wait_s: float) -> TxOutcome:
        """Hand a frame over at once and wait so long for what becomes of it."""


class BootClock(Protocol):
    """What tells the time here."""

    def monotonic_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""


@dataclass(slots=True, eq=False)
class _Sending:
    """An answer on its way."""

    answer: Answer
    at_forwarder: bool = False


class Transmitter:
    """Sends answers; `on_result` is told how each ended, once."""

    def __init__(
        self,
        senders: Sequence[Sender],
        region: Region,
        clock: BootClock,
        on_result: Callable[[Transmitted], Awaitable[None]],
        *,
        antenna_gain_dbi: float = 0.0,
        file: DutyCycleFile | None = None,
    ) -> None:
        self._senders = {sender.name: sender for sender in senders}
        self._region = region
        self._clock = clock
        self._on_result = on_result
        self._antenna_gain_dbi = antenna_gain_dbi
        self._file = file
        known = file.load() if file else {}
        self._queues = {key: JitQueue(region, DutyCycle(region, spent)) for key, spent in known.items()}
        self._open: dict[_Sending, None] = {}  # not ended yet, in order
        self._new: asyncio.Queue[_Sending | Transmitted] = asyncio.Queue()
        self._spent = asyncio.Event()
        self._results: Counter[TxResult] = Counter()
        self._refusals: Counter[str] = Counter()  # by window and result, retried or not
        self._last_failure: tuple[int, Transmitted] | None = None

    def send(self, answer: Answer) -> None:
        """Take an answer. Never waits; with `MAX_ANSWERS` on their way it ends as QUEUE_FULL."""
        if len(self._open) >= MAX_ANSWERS:
            self.end(Transmitted(answer, TxResult.QUEUE_FULL, None))
            return
        sending = _Sending(answer)
        self._open[sending] = None
        self._new.put_nowait(sending)

    def end(self, unsent: Transmitted) -> None:
        """Count an answer that could not be made, and tell of it as of any other. Never waits."""
        self._new.put_nowait(unsent)

    async def run(self) -> None:
        """Send until cancelled; what is on its way then ends as stopped."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._save_when_spent())
                while True:
                    new = await self._new.get()
                    group.create_task(self._report(new) if isinstance(new, Transmitted) else self._send(new))
        except asyncio.CancelledError:
            await self._report_stopped()
            raise
        finally:
            self._save()

    async def _send(self, sending: _Sending) -> None:
        result = await self._through_windows(sending)
        del self._open[sending]
        await self._report(result)

    async def _report(self, result: Transmitted) -> None:
        self._results[result.result] += 1
        if result.result is not TxResult.SENT:
            self._last_failure = (self._clock.monotonic_ns(), result)
        await self._on_result(result)

    async def _through_windows(self, sending: _Sending) -> Transmitted:
        answer = sending.answer
        route = self._route(answer.uplink)
        if isinstance(route, TxOutcome):
            return Transmitted(answer, route.result, None, route.detail)
        result, tried = TxResult.TOO_LATE, []
        for number, window in enumerate(answer.windows):
            outcome = await self._into(window, sending, route, self._wait_until(answer, number + 1))
            name = outcome.result.value
            tried.append(f"{window.name} {name}" + (f" ({outcome.detail})" if outcome.detail else ""))
            if outcome.result is TxResult.SENT:
                is_plain = len(tried) == 1 and not outcome.detail
                return Transmitted(answer, outcome.result, window, "" if is_plain else ", ".join(tried))
            self._refusals[f"{window.name} {name}"] += 1
            if result is not TxResult.NO_TX_ACK:  # it may have been sent, whatever comes of the next window
                result = outcome.result
        return Transmitted(answer, result, None, ", ".join(tried))

    def _route(self, uplink: RxFrame) -> ForwarderKey | TxOutcome:
        """The transmitter that belongs to the uplink, or why there is none."""
        sender = self._senders.get(uplink.source)
        if sender is None or uplink.forwarder is None:
            return TxOutcome(TxResult.NO_TRANSMITTER, f"{uplink.source} cannot send")
        if uplink.counter_us is None:
            return TxOutcome(TxResult.NO_TRANSMITTER, "the uplink has no tmst")
        if not sender.has_route(uplink.forwarder, uplink.host):
            return TxOutcome(TxResult.NO_ROUTE, f"{uplink.forwarder} at {uplink.host}")
        return ForwarderKey(uplink.source, uplink.forwarder, uplink.host)

    def _wait_until(self, answer: Answer, number: int) -> int:
        """Until when a TX_ACK may be awaited so that window `number` can still be had; 0 if there is none."""
        if number >= len(answer.windows):
            return 0
        return begin_of(answer, answer.windows[number]) - LEAD_NS - SPARE_NS

    async def _into(self, window: Window, sending: _Sending, route: ForwarderKey, until_ns: int) -> TxOutcome:
        """One window: its place on the time line, the forwarder's word."""
        queue, was_at_forwarder = self._queue(route), sending.at_forwarder
        slot = queue.place(sending.answer, window, self._clock.monotonic_ns())
        if isinstance(slot, TxResult):
            return TxOutcome(slot)
        is_on_air = False
        try:
            await self._until_hand_over(queue, slot)
            queue.hand_over(slot)
            is_on_air = sending.at_forwarder = True  # unless it says no
            frame = self._frame(sending.answer, window, route)
            outcome = await self._senders[route.source].transmit(frame, self._wait_s(until_ns))
            is_on_air = outcome.result in (TxResult.SENT, TxResult.NO_TX_ACK)
        finally:
            if not is_on_air:
                queue.give_up(slot)
                sending.at_forwarder = was_at_forwarder
            self._spent.set()
        return outcome

    async def _until_hand_over(self, queue: JitQueue, slot: Slot) -> None:
        while True:
            now_ns = self._clock.monotonic_ns()
            at_ns = queue.hand_over_ns(slot, now_ns)
            if at_ns <= now_ns:
                return
            await asyncio.sleep((at_ns - now_ns) / 1e9)

    def _wait_s(self, until_ns: int) -> float:
        left_s = (until_ns - self._clock.monotonic_ns()) / 1e9
        return min(left_s, TX_ACK_S) if left_s > 0 else TX_ACK_S

    def _frame(self, answer: Answer, window: Window, route: ForwarderKey) -> TxFrame:
        assert answer.uplink.counter_us is not None
        return TxFrame(
            forwarder=route.eui,
            host=route.host,
            phy_payload=answer.phy_payload,
            counter_us=(answer.uplink.counter_us + window.delay_us) % WRAP_US,
            frequency_hz=window.frequency_hz,
            data_rate=window.data_rate,
            power_dbm=window.eirp_dbm - self._antenna_gain_dbi,
        )

    def _queue(self, route: ForwarderKey) -> JitQueue:
        """The transmitter's; a radio knows a bounded number of forwarders, and so do we."""
        if route not in self._queues:
            self._queues[route] = JitQueue(self._region, DutyCycle(self._region))
        return self._queues[route]

    async def _report_stopped(self) -> None:
        """Tell of what had not ended, as far as the listener takes it within `STOP_S`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                while not self._new.empty():
                    new = self._new.get_nowait()
                    if isinstance(new, Transmitted):
                        await self._report(new)
                while self._open:
                    sending = next(iter(self._open))
                    del self._open[sending]
                    result = TxResult.NO_TX_ACK if sending.at_forwarder else TxResult.STOPPED
                    await self._report(Transmitted(sending.answer, result, None, "the agent ended"))

    async def _save_when_spent(self) -> None:
        while True:
            await self._spent.wait()
            self._spent.clear()
            self._save()
            await asyncio.sleep(SAVE_EVERY_S)

    def _save(self) -> None:
        if self._file is None:
            return
        now_ns = self._clock.monotonic_ns()
        accounts = {key: queue.duty_cycle.spent(now_ns) for key, queue in self._queues.items()}
        self._file.save({key: spent for key, spent in accounts.items() if spent})

    def status(self) -> Mapping[str, object]:
        """Results since the start and each transmitter's share of the law, JSON-able."""
        now_ns = self._clock.monotonic_ns()
        return {
            "results": {result.value: count for result, count in self._results.items()},
            "refusals": dict(self._refusals),
            "waiting": len(self._open),
            "last_failure": self._failure(now_ns),
            "transmitters": [_transmitter(key, queue, now_ns) for key, queue in self._queues.items()],
        }

    def _failure(self, now_ns: int) -> Mapping[str, object] | None:
        if self._last_failure is None:
            return None
        failed_ns, failed = self._last_failure
        return {
            "result": failed.result.value,
            "detail": failed.detail,
            "what": failed.answer.what,
            "dev_eui": str(failed.answer.dev_eui),
            "s_ago": round((now_ns - failed_ns) / 1e9, 1),
        }


def _transmitter(key: ForwarderKey, queue: JitQueue, now_ns: int) -> Mapping[str, object]:
    waiting, at_forwarder = queue.waiting(now_ns)
    used = queue.duty_cycle.used(now_ns)
    return {
        "source": key.source,
        "eui": str(key.eui),
        "host": key.host,
        "waiting": waiting,
        "at_forwarder": at_forwarder,
        "duty_cycle_percent": {band: round(share * 100, 1) for band, share in used.items()},
    }
