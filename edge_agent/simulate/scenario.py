"""All that reaches the antenna of sensors that only speak, in order of time. Pure: one plan, one result."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.simulate.air import Device, Link
from edge_agent.simulate.identity import registration_of, session_of
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.sensor import Sensor, Spoken
from edge_agent.simulate.surroundings import Kind, Reception, Surroundings
from edge_codecs.clipr import encode

__all__ = ["Kind", "Reception", "devices_of", "receptions", "sessions_of"]


def sessions_of(simulation: Simulation) -> list[Session]:
    """Sensors that do not join, to enter with the agent."""
    return [session_of(simulation.seed, number, simulation.f_cnt_start) for number in simulation.numbers]


def devices_of(simulation: Simulation) -> list[Session | Registration]:
    """The devices to enter with the agent: what the devices file holds."""
    if simulation.joins:
        return [registration_of(simulation.seed, number) for number in simulation.numbers]
    return [*sessions_of(simulation)]


def receptions(simulation: Simulation, start_ms: int) -> Iterator[Reception]:
    """Every reception of a plan without joins. `start_ms` is the UTC of its beginning."""
    air = _Air(simulation, start_ms)
    lives = [
        _numbered(index, Sensor(simulation.seed, number, simulation.interval_s, start_ms // 1000).speak())
        for index, number in enumerate(simulation.numbers)
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
        self._surroundings = Surroundings(simulation, self._rng)

    def carry(self, at_s: float, index: int, spoken: Spoken) -> Iterator[Reception]:
        """One message of one sensor through the air, with what happens to it and around it."""
        device, link = self._devices[index], self._links[index]
        f_port, payload = encode(spoken.message)
        f_cnt = device.f_cnt
        confirmed = self._rng.random() < self._plan.confirmed
        phy_payload = device.send(f_port, payload, confirmed=confirmed)
        dev_eui = str(device.session.dev_eui)
        for reception, is_own in self._surroundings.carry(at_s, phy_payload, link.heard(), link):
            if is_own and reception.kind is Kind.UPLINK:
                sent_ms = self._start_ms + round(at_s * 1000)
                line = uplink_line(dev_eui, f_cnt, f_port, payload, sent_ms, self._plan)
                yield replace(reception, ledger=line)
            else:
                yield reception


def uplink_line(
    dev_eui: str, f_cnt: int, f_port: int, payload: bytes, sent_ms: int, plan: Simulation, session: int = 0
) -> str:
    """The ledger's line of an uplink that the agent must store."""
    moment = datetime.fromtimestamp(sent_ms / 1000, UTC)
    return json.dumps(
        {
            "dev_eui": dev_eui,
            "session": session,
            "f_cnt": f_cnt,
            "f_port": f_port,
            "payload": payload.hex(),
            "sent_at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "gateway": str(plan.gateway),
        }
    )
