"""What happens to a frame on its way to the antenna, and what else arrives there. Pure."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from edge_agent.simulate.air import Heard, Link, damaged, foreign_frame, rxpk_text
from edge_agent.simulate.plan import Simulation

REMEMBERED = 64  # frames that an attacker has recorded


class Kind(enum.Enum):
    """What a reception is, and which counter of the outcome it belongs to."""

    UPLINK = "uplinks"
    SIGNALLING = "signalling"
    LOST = "lost"
    DUPLICATE = "duplicates"
    BAD_CRC = "bad_crc"
    FOREIGN = "foreign"
    REPLAY = "replays"


@dataclass(frozen=True, slots=True)
class Reception:
    """One frame at the antenna `at_s` seconds after the beginning, by the clock.

    `rxpk` is what the forwarder says of it, "" when it was lost on the way. `ledger` are the lines that it
    writes: of an uplink that the agent must store, and of the intervals that end with it; "" without.
    """

    at_s: float
    kind: Kind
    rxpk: str
    ledger: str = ""


@dataclass(frozen=True, slots=True)
class _Recorded:
    phy_payload: bytes
    link: Link


class Surroundings:
    """Loss, damage, repetition, strangers and an attacker, by the shares of the plan."""

    def __init__(self, plan: Simulation, rng: Random) -> None:
        self._plan = plan
        self._rng = rng
        self._stranger = Link(rng)
        self._recorded: deque[_Recorded] = deque(maxlen=REMEMBERED)

    def carry(
        self, at_s: float, phy_payload: bytes, heard: Heard, link: Link, *, safe: bool = False
    ) -> Iterator[tuple[Reception, bool]]:
        """What arrives on account of one frame. The frame itself is the one with True: an UPLINK, or LOST.

        `safe`: it is not lost.
        """
        plan, roll = self._plan, self._rng.random
        if roll() < plan.foreign:
            yield self._reception(at_s, Kind.FOREIGN, foreign_frame(self._rng), self._stranger.heard()), False
        if self._recorded and roll() < plan.replays:
            old = self._rng.choice(self._recorded)
            yield self._reception(at_s, Kind.REPLAY, old.phy_payload, old.link.heard(6)), False
        if roll() < plan.loss and not safe:
            yield Reception(at_s, Kind.LOST, ""), True
            return
        if roll() < plan.bad_crc:
            broken = damaged(phy_payload, self._rng)
            yield self._reception(at_s, Kind.BAD_CRC, broken, _weaker(heard, 12), stat=-1), False
        self._recorded.append(_Recorded(phy_payload, link))
        yield self._reception(at_s, Kind.UPLINK, phy_payload, heard), True
        if roll() < plan.duplicates:
            yield self._reception(at_s, Kind.DUPLICATE, phy_payload, _weaker(heard, 20)), False

    def _reception(
        self, at_s: float, kind: Kind, phy_payload: bytes, heard: Heard, *, stat: int = 1
    ) -> Reception:
        counter_us = round(at_s * 1_000_000)  # concentrators count from their start
        return Reception(at_s, kind, rxpk_text(phy_payload, heard, counter_us, stat))


def _weaker(heard: Heard, by_db: int) -> Heard:
    """The same frame on a worse way."""
    rssi_dbm = max(heard.rssi_dbm - by_db, -116)
    return Heard(heard.frequency_hz, heard.data_rate, rssi_dbm, max(-21.0, heard.snr_db - by_db))
