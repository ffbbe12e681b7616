"""Sensors that join, the air around them, and what the gateway sends back. Pure: it is told the time.

Time is the concentrator's counter in µs from the beginning, counted on. `advance` gives what the antenna has
heard by then, `transmit` hands over a downlink that is to go on air.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from edge_agent.lorawan.regions import REGIONS
from edge_agent.simulate.air import Link
from edge_agent.simulate.class_a import Ignored, Joined, Sent
from edge_agent.simulate.clipr import SECOND_US, ClipR
from edge_agent.simulate.identity import registration_of
from edge_agent.simulate.jit import Transmission
from edge_agent.simulate.node import Node, Said
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import uplink_line
from edge_agent.simulate.surroundings import Kind, Reception, Surroundings

REGION = REGIONS["EU868"]
SWITCHED_ON_WITHIN_S = 3.0  # all sensors, if their interval is not shorter


class World:
    """The sensors of a plan that join. `start_ms` is the UTC of counter 0."""

    def __init__(self, plan: Simulation, start_ms: int) -> None:
        self._plan = plan
        self._start_ms = start_ms
        seed = f"world|{plan.seed}|{plan.gateway}|{plan.first_sensor}|{plan.dev_nonce_start}"
        self._rng = Random(seed)  # noqa: S311  it must be repeatable, and guards nothing
        self.nodes = [self._node(number) for number in plan.numbers]
        self._surroundings = Surroundings(plan, self._rng)
        self._wakes = [(node.next_us, index) for index, node in enumerate(self.nodes)]
        heapq.heapify(self._wakes)
        self._flying: list[tuple[int, int, Node, Said]] = []  # uplinks, by their end
        self._falling: list[tuple[int, int, Transmission]] = []  # downlinks, by their beginning
        self._serial = 0
        self._heard: set[tuple[int, int, int]] = set()  # last uplink of each node that arrived
        self.joined = self.intervals = self.downlinks_heard = 0

    def _node(self, number: int) -> Node:
        plan = self._plan
        within_s = min(SWITCHED_ON_WITHIN_S, plan.report_interval_s)
        return Node(
            registration_of(plan.seed, number),
            ClipR(plan.seed, number, plan.report_interval_s, self._start_ms // 1000, plan.speed_up),
            Link(self._rng),
            REGION,
            Random(self._rng.random()),  # noqa: S311  as above
            at_us=round(self._rng.uniform(0, within_s) * SECOND_US),
            dev_nonce=plan.dev_nonce_start,
            confirmed=plan.confirmed,
        )

    @property
    def next_us(self) -> int:
        """When something happens next."""
        return min(queue[0][0] for queue in (self._wakes, self._flying, self._falling) if queue)

    def advance(self, now_us: int) -> Iterator[Reception]:
        """What the antenna hears up to `now_us`, in order; and ledger lines of what it does not."""
        while self.next_us <= now_us:
            at_us = self.next_us
            if self._falling and self._falling[0][0] == at_us:
                self._fall(heapq.heappop(self._falling)[2])
            elif self._flying and self._flying[0][0] == at_us:
                _, _, node, said = heapq.heappop(self._flying)
                yield from self._arrive(node, said)
            else:
                index = self._wakes[0][1]
                yield from self._wake(index, at_us)

    def transmit(self, transmission: Transmission) -> None:
        """A downlink that the forwarder has taken."""
        self._serial += 1
        heapq.heappush(self._falling, (transmission.at_us, self._serial, transmission))

    def _wake(self, index: int, at_us: int) -> Iterator[Reception]:
        node = self.nodes[index]
        said = node.wake(at_us)
        heapq.heapreplace(self._wakes, (node.next_us, index))
        if said is None:
            return
        if said.sent is None:
            yield Reception(at_us / SECOND_US, Kind.LOST, "", self._intervals(node, said))
        else:
            self._serial += 1
            heapq.heappush(self._flying, (said.sent.end_us, self._serial, node, said))

    def _arrive(self, node: Node, said: Said) -> Iterator[Reception]:
        """An uplink is over: whether and how the gateway has heard it."""
        sent = said.sent
        assert sent is not None
        at_s = sent.end_us / SECOND_US
        weaker_db = REGION.max_eirp_dbm - sent.eirp_dbm
        heard = node.link.heard(weaker_db, sent.frequency_hz, sent.data_rate)
        safe = said.is_first or self._is_calm(at_s)
        intervals = self._intervals(node, said)
        for reception, is_own in self._surroundings.carry(
            at_s, sent.phy_payload, heard, node.link, safe=safe
        ):
            if not is_own:
                yield reception
            elif reception.kind is Kind.LOST:
                yield replace(reception, ledger=intervals)
            else:
                line = self._line(node, said, sent)
                kind = Kind.UPLINK if line else Kind.DUPLICATE if said.is_repeat else Kind.SIGNALLING
                yield replace(reception, kind=kind, ledger="\n".join(filter(None, (intervals, line))))

    def _line(self, node: Node, said: Said, sent: Sent) -> str:
        """The ledger's line of an uplink that the agent has not heard before and must store, else ""."""
        if said.f_port is None or sent.f_cnt is None:
            return ""
        key = (id(node), node.join_nonce, sent.f_cnt)
        if key in self._heard:
            return ""
        self._heard.add(key)
        dev_eui = str(node.device.dev_eui)
        sent_ms = self._ms(sent.end_us)
        return uplink_line(
            dev_eui, sent.f_cnt, said.f_port, said.payload, sent_ms, self._plan, node.join_nonce
        )

    def _intervals(self, node: Node, said: Said) -> str:
        """The ledger's lines of intervals that have ended."""
        self.intervals += len(said.closed)
        return "\n".join(
            json.dumps(
                {
                    "dev_eui": str(node.device.dev_eui),
                    "channel": channel,
                    "interval_end_ms": self._ms(interval.end_us),
                    "interval_s": interval.interval_s,
                    "minimum": None if interval.minimum is None else interval.minimum / 100,
                    "maximum": None if interval.maximum is None else interval.maximum / 100,
                }
            )
            for channel, interval in said.closed
        )

    def _fall(self, down: Transmission) -> None:
        """A downlink goes on air: devices whose windows are open try to hear it."""
        if self._rng.random() < self._plan.downlink_loss and not self._is_calm(down.at_us / SECOND_US):
            return
        for index, node in enumerate(self.nodes):
            if not down.inverted or not node.device.windows():
                continue
            snr_db = node.link.heard().snr_db
            heard = node.receive(down.phy_payload, down.at_us, down.frequency_hz, down.data_rate, snr_db)
            if isinstance(heard, Ignored):
                continue
            self.joined += isinstance(heard, Joined)
            self.downlinks_heard += 1
            self._rewake(index, node)

    def _rewake(self, index: int, node: Node) -> None:
        self._wakes = [wake for wake in self._wakes if wake[1] != index]
        self._wakes.append((node.next_us, index))
        heapq.heapify(self._wakes)

    def _is_calm(self, at_s: float) -> bool:
        plan = self._plan
        return bool(plan.duration_s) and at_s >= plan.duration_s - plan.calm_s

    def _ms(self, at_us: int) -> int:
        return self._start_ms + at_us // 1000
