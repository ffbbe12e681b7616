"""All that reaches the gateway's antenna, in order of time. Pure: the same plan gives the same bytes."""

from __future__ import annotations

import enum
import heapq
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from edge_agent.lorawan.session import Session
from edge_agent.simulate.air import Device, Heard, Link, damaged, foreign_frame, rxpk_text
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.sensor import Sensor, Spoken, session_of
from edge_codecs.clipr import encode

REMEMBERED = 64  # frames that an attacker has recorded


class Kind(enum.Enum):
    """What a reception is, and which counter of the outcome it belongs to."""

    UPLINK = "uplinks"
    LOST = "lost"
    DUPLICATE = "duplicates"
    BAD_CRC = "bad_crc"
    FOREIGN = "foreign"
    REPLAY = "replays"


@dataclass(frozen=True, slots=True)
class Reception:
    """One frame at the antenna `at_s` seconds after the beginning, by the clock.

    `rxpk` is what the forwarder says of it, "" when it was lost on the way. `ledger` is the line of an uplink
    that the agent must store, "" for all else.
    """

    at_s: float
    kind: Kind
    rxpk: str
    ledger: str = ""


@dataclass(frozen=True, slots=True)
class _Recorded:
    phy_payload: bytes
    link: Link


def sessions_of(simulation: Simulation) -> list[Session]:
    """The devices to enter with the agent: what the devices file holds."""
    first = simulation.first_sensor
    return [
        session_of(simulation.seed, number, simulation.f_cnt_start)
        for number in range(first, first + simulation.sensors)
    ]


def receptions(simulation: Simulation, start_ms: int) -> Iterator[Reception]:
    """Every reception of the plan. `start_ms` is the UTC of its beginning."""
    numbers = range(simulation.first_sensor, simulation.first_sensor + simulation.sensors)
    air = _Air(simulation, start_ms)
    lives = [
        _numbered(index, Sensor(simulation.seed, number, simulation.interval_s, start_ms // 1000).speak())
        for index, number in enumerate(numbers)
    ]
    uplinks = 0
    spoken: Iterator[tuple[float, int, Spoken]] = heapq.merge(*lives)
    for count, (life_s, index, words) in enumerate(spoken):
        pace = simulation.rate_per_s
        at_s = count / pace if pace else life_s / simulation.speed_up
        if simulation.duration_s and at_s >= simulation.duration_s:
            return
        for reception in air.carry(at_s, index, words):
            uplinks += reception.kind is Kind.UPLINK
            yield reception
        if simulation.uplinks and uplinks >= simulation.uplinks:
            return


def _numbered(index: int, life: Iterator[Spoken]) -> Iterator[tuple[float, int, Spoken]]:
    return ((spoken.at_s, index, spoken) for spoken in life)


class _Air:
    def __init__(self, simulation: Simulation, start_ms: int) -> None:
        self._plan = simulation
        self._start_ms = start_ms
        seed = f"air|{simulation.seed}|{simulation.gateway}|{simulation.first_sensor}"
        self._rng = Random(seed)  # noqa: S311  it must be repeatable, and guards nothing
        self._devices = [Device(session) for session in sessions_of(simulation)]
        self._links = [Link(self._rng) for _ in self._devices]
        self._stranger = Link(self._rng)
        self._recorded: deque[_Recorded] = deque(maxlen=REMEMBERED)

    def carry(self, at_s: float, index: int, spoken: Spoken) -> Iterator[Reception]:
        """One message of one sensor through the air, with what happens to it and around it."""
        plan, roll, device, link = self._plan, self._rng.random, self._devices[index], self._links[index]
        f_port, payload = encode(spoken.message)
        f_cnt = device.f_cnt
        phy_payload = device.send(f_port, payload)
        heard = link.heard()
        if roll() < plan.foreign:
            yield self._reception(at_s, Kind.FOREIGN, foreign_frame(self._rng), self._stranger.heard())
        if self._recorded and roll() < plan.replays:
            old = self._rng.choice(self._recorded)
            yield self._reception(at_s, Kind.REPLAY, old.phy_payload, old.link.heard(6))
        if roll() < plan.loss:
            yield Reception(at_s, Kind.LOST, "")
            return
        if roll() < plan.bad_crc:
            broken = damaged(phy_payload, self._rng)
            yield self._reception(at_s, Kind.BAD_CRC, broken, link.heard(12), stat=-1)
        self._recorded.append(_Recorded(phy_payload, link))
        ledger = json.dumps(
            {
                "dev_eui": str(device.session.dev_eui),
                "f_cnt": f_cnt,
                "f_port": f_port,
                "payload": payload.hex(),
                "sent_at": self._utc(at_s),
                "gateway": str(plan.gateway),
            }
        )
        yield self._reception(at_s, Kind.UPLINK, phy_payload, heard, ledger=ledger)
        if roll() < plan.duplicates:
            yield self._reception(at_s, Kind.DUPLICATE, phy_payload, link.heard(20))

    def _reception(
        self, at_s: float, kind: Kind, phy_payload: bytes, heard: Heard, *, stat: int = 1, ledger: str = ""
    ) -> Reception:
        counter_us = round(at_s * 1_000_000)  # concentrators count from their start
        return Reception(at_s, kind, rxpk_text(phy_payload, heard, counter_us, stat), ledger)

    def _utc(self, at_s: float) -> str:
        moment = datetime.fromtimestamp((self._start_ms + round(at_s * 1000)) / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
