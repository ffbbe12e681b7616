"""The time line of one transmitter: what is sent when, and when it goes to the packet forwarder. Pure.

A transmitter sends one frame at a time, and a window of a device cannot be moved. So an answer either finds
its window free or must try the next one. It goes to the forwarder at once, which holds it until its time (the
sx1302_hal forwarder holds 32); only while `OUTSTANDING` are there the later ones wait here, so that a window
that opens soon finds room. All moments are CLOCK_BOOTTIME in nanoseconds, told by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.airtime import downlink_airtime_us
from edge_agent.lorawan.region import Region
from edge_agent.network.answer import Answer, TxResult, Window
from edge_agent.network.duty_cycle import DutyCycle

LEAD_NS = 42_500_000
"""A forwarder refuses what comes later than this before its time (sx1302_hal: 1.5 + 1 + 40 ms)."""

GUARD_NS = 10_000_000
"""Between two frames: a forwarder wants 2.5 ms, and rounds; uplinks are dated to some milliseconds."""

OUTSTANDING = 24
LATEST_NS = 300_000_000  # before its time an answer goes to the forwarder, full or not


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of the time line that belongs to one answer."""

    window: Window
    begin_ns: int
    airtime_us: int

    @property
    def end_ns(self) -> int:
        """When the last symbol is out."""
        return self.begin_ns + self.airtime_us * 1000


class JitQueue:
    """What one transmitter is to send. Windows open within 16 s, so the line cannot grow long."""

    def __init__(self, region: Region, duty_cycle: DutyCycle) -> None:
        self.duty_cycle = duty_cycle
        self._region = region
        self._slots: list[Slot] = []
        self._handed_over: set[Slot] = set()

    def place(self, answer: Answer, window: Window, now_ns: int) -> Slot | TxResult:
        """Take the time of this window for the answer, or say why it cannot be had."""
        self._forget(now_ns)
        begin_ns = begin_of(answer, window)
        slot = Slot(window, begin_ns, downlink_airtime_us(len(answer.phy_payload), window.data_rate))
        if self._region.sub_band(window.frequency_hz) is None:
            return TxResult.TX_FREQ
        if begin_ns - now_ns < LEAD_NS:
            return TxResult.TOO_LATE
        if any(_collide(slot, other) for other in self._slots):
            return TxResult.COLLISION
        if not self.duty_cycle.may(now_ns, begin_ns, window.frequency_hz, slot.airtime_us):
            return TxResult.DUTY_CYCLE
        self.duty_cycle.add(begin_ns, window.frequency_hz, slot.airtime_us)
        self._slots.append(slot)
        return slot

    def hand_over_ns(self, slot: Slot, now_ns: int) -> int:
        """When to hand the slot's answer over; `now_ns` for at once, later: ask again then."""
        if slot.begin_ns - now_ns <= LATEST_NS:
            return now_ns
        first = [
            other.begin_ns
            for other in self._slots
            if now_ns < other.begin_ns
            and (other in self._handed_over or other.begin_ns < slot.begin_ns)
            and other != slot
        ]
        if len(first) < OUTSTANDING:
            return now_ns
        return min(slot.begin_ns - LATEST_NS, *first)

    def hand_over(self, slot: Slot) -> None:
        """It goes to the forwarder now."""
        self._handed_over.add(slot)

    def give_up(self, slot: Slot) -> None:
        """It was refused: time and airtime are free again."""
        if slot in self._slots:
            self._slots.remove(slot)
        self._handed_over.discard(slot)
        self.duty_cycle.take_back(slot.begin_ns, slot.window.frequency_hz, slot.airtime_us)

    def waiting(self, now_ns: int) -> tuple[int, int]:
        """How many answers wait here, and how many at the forwarder."""
        self._forget(now_ns)
        outstanding = sum(slot.begin_ns > now_ns for slot in self._handed_over)
        return sum(slot not in self._handed_over for slot in self._slots), outstanding

    def _forget(self, now_ns: int) -> None:
        """Let go of what is over: nothing begins within LEAD_NS, so nothing comes too close behind it."""
        self._slots = [slot for slot in self._slots if slot.end_ns > now_ns]
        self._handed_over.intersection_update(self._slots)


def begin_of(answer: Answer, window: Window) -> int:
    """When the window opens."""
    return answer.uplink.monotonic_ns + window.delay_us * 1000


def _collide(one: Slot, other: Slot) -> bool:
    return one.begin_ns < other.end_ns + GUARD_NS and other.begin_ns < one.end_ns + GUARD_NS
