"""A cellar in virtual time: sensors, the gateway's own store and network server, and the air between them.

Only the waves and the clocks are made up. Time is µs from the beginning; whoever needs another time is told
it: the sensors the counter, the store a boot's monotonic time, the network server UTC, if it is known.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

from edge_agent.clock import ClockReading
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.answer import Answer, Transmitted, TxResult
from edge_agent.network.duty_cycle import DutyCycle
from edge_agent.network.jit_queue import JitQueue, Slot
from edge_agent.network.moment import Moment
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.outcome import Admitted
from edge_agent.network.policy import Policy
from edge_agent.simulate.air import Link
from edge_agent.simulate.class_a import Sent
from edge_agent.simulate.class_a_air import on_air_us
from edge_agent.simulate.clipr import ClipR
from edge_agent.simulate.memory import Interval
from edge_agent.simulate.node import Node
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality
from tests.rig.batches import dev_eui
from tests.rig.site import LAP_US, new_registration, rx_frame
from tests.rig.store import START_MS, open_store

REGION = REGIONS["EU868"]
SECOND_US = 1_000_000
TICK_US = 60 * SECOND_US  # housekeeping
TAKES_US = 50_000  # from the end of an uplink until its answer goes to the forwarder


def new_node(number: int, version: LoRaWANVersion, data_rate: str, interval_s: int = 900) -> Node:
    """Sensor `number` of a version, so far away that it needs this data rate. It is switched on at once."""
    roll = Random(number)
    link = next(one for one in map(Link, map(Random, count())) if one.data_rate == data_rate)
    registration = replace(new_registration(roll, version), dev_eui=dev_eui(number))
    sensor = ClipR(1, number, interval_s, START_MS // 1000, 1.0)
    return Node(registration, sensor, link, REGION, roll, at_us=number * 7 * SECOND_US)


class Cellar:
    """Sensors, and a gateway that has power or not. `measured` is what the sensors know themselves.

    `loss` and `downlink_loss` are shares of what goes over the air, and may be changed between two runs.
    """

    def __init__(self, path: Path, nodes: Sequence[Node], seed: int = 1) -> None:
        self.nodes = nodes
        self.now_us = 0
        self.loss = self.downlink_loss = 0.0
        self.frames_lost = self.downlinks_lost = 0
        self.measured: dict[tuple[DevEUI, int], list[Interval]] = defaultdict(list)
        self.gateway: Gateway | None = None
        self._path = path
        self._roll = Random(seed)
        self._boots = 0
        self._serial = 0
        self._happening: list[tuple[int, int, Callable[[], None]]] = []
        self._tick()

    def power_on(self, *, clock: bool = True) -> Gateway:
        """The gateway boots; `clock`: it knows UTC."""
        self._boots += 1
        self.gateway = Gateway(self._path, self._boots, self.now_us, clock=clock)
        return self.gateway

    def power_off(self) -> None:
        """The gateway is gone; what it has not on disk, too."""
        assert self.gateway is not None
        self.gateway.store.close()
        self.gateway = None

    def run(self, hours: float) -> None:
        """Let time pass."""
        until_us = self.now_us + round(hours * 3600 * SECOND_US)
        while True:
            node = min(self.nodes, key=lambda one: one.next_us)
            at_us = max(self.now_us, min(node.next_us, self._happening[0][0]))
            if at_us > until_us:
                break
            self.now_us = at_us
            if self._happening[0][0] <= at_us:
                heapq.heappop(self._happening)[2]()
            else:
                self._wake(node)
        self.now_us = until_us

    def _at(self, at_us: int, happens: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._happening, (at_us, self._serial, happens))

    def _tick(self) -> None:
        if self.gateway is not None:
            self.gateway.tick(self.now_us)
        self._at(self.now_us + TICK_US, self._tick)

    def _wake(self, node: Node) -> None:
        said = node.wake(self.now_us)
        if said is None:
            return
        for channel, interval in said.closed:
            self.measured[node.device.dev_eui, channel].append(interval)
        sent = said.sent
        if sent is not None:
            self._at(sent.end_us, lambda: self._arrive(node, sent))

    def _arrive(self, node: Node, sent: Sent) -> None:
        """An uplink is over. A gateway that sends hears nobody."""
        gateway = self.gateway
        if gateway is None or gateway.has_sent(sent) or self._roll.random() < self.loss:
            self.frames_lost += 1
            return
        heard = node.link.heard(REGION.max_eirp_dbm - sent.eirp_dbm, sent.frequency_hz, sent.data_rate)
        answered = gateway.hear(sent, heard.snr_db)
        if answered is not None:
            answer, slot = answered
            self._at(gateway.boot_us + slot.begin_ns // 1000, lambda: self._fall(gateway, answer, slot))

    def _fall(self, gateway: Gateway, answer: Answer, slot: Slot) -> None:
        """A downlink goes on air, if its gateway still has power."""
        if self.gateway is not gateway:
            return
        if self._roll.random() < self.downlink_loss:
            self.downlinks_lost += 1
            return
        window = slot.window
        for node in self.nodes:
            snr_db = node.link.heard().snr_db
            node.receive(answer.phy_payload, self.now_us, window.frequency_hz, window.data_rate, snr_db)


class Gateway:
    """One boot: the store on disk, a network server out of it, one transmitter."""

    def __init__(self, path: Path, boot: int, boot_us: int, *, clock: bool) -> None:
        self.boot_us = boot_us
        self.clock = clock
        self._now_us = boot_us
        self._boot = f"boot-{boot}"
        self.store = open_store(path, boot=self._boot, now=self._monotonic_ns)  # type: ignore[arg-type]
        self._server = NetworkServer(REGION, Policy(), (), Random(boot).randrange)
        for device in self.store.network_devices():
            self._server.add(device)
        self._jit = JitQueue(REGION, DutyCycle(REGION))
        self._on_air: list[range] = []  # µs of monotonic time

    def add(self, nodes: Sequence[Node]) -> None:
        """The operator adds the sensors."""
        joiners = [node.device.joiner for node in nodes]
        for device in self.store.add_devices([one.registration for one in joiners if one is not None]):
            self._server.add(device)

    def tick(self, now_us: int) -> None:
        """What the agent does from time to time."""
        self._now_us = now_us
        reading = self._reading()
        if reading is not None:
            self.store.clock_in_step(reading)
            self.store.prune(reading.utc_ms)
        self._server.gaps_are(self.store.cover())

    def has_sent(self, sent: Sent) -> bool:
        """Whether the transmitter was on air during an uplink."""
        end_us = sent.end_us - self.boot_us
        begin_us = end_us - on_air_us(len(sent.phy_payload), sent.data_rate)
        return any(air.start < end_us and begin_us < air.stop for air in self._on_air)

    def hear(self, sent: Sent, snr_db: float) -> tuple[Answer, Slot] | None:
        """An uplink comes in: all that the agent does about it, in its order. Returns what goes on air."""
        self._now_us = sent.end_us + TAKES_US
        monotonic_us = sent.end_us - self.boot_us
        frame = replace(
            rx_frame(sent, snr_db=snr_db), monotonic_ns=monotonic_us * 1000, counter_us=monotonic_us % LAP_US
        )
        reading = self._reading()
        utc_ms = None if reading is None else reading.utc_ms
        self._server.gaps_are(self.store.cover())
        decision = self._server.receive(frame, Moment(self._monotonic_ns(), utc_ms, utc_ms or self._now_us))
        kept = [decision.outcome] if isinstance(decision.outcome, Admitted) else []
        if kept or decision.changes:
            self.store.keep(kept, reading, decision.changes)
        return None if decision.answer is None else self._send(decision.answer)

    def _send(self, answer: Answer) -> tuple[Answer, Slot] | None:
        result: Slot | TxResult = TxResult.NO_TRANSMITTER
        for window in answer.windows:
            result = self._jit.place(answer, window, self._monotonic_ns())
            if isinstance(result, Slot):
                break
        if isinstance(result, TxResult):
            self.store.apply(self._server.transmitted(Transmitted(answer, result, None)))
            return None
        self._on_air = [*self._on_air[-8:], range(result.begin_ns // 1000, result.end_ns // 1000)]
        self.store.apply(self._server.transmitted(Transmitted(answer, TxResult.SENT, result.window)))
        return answer, result

    def _monotonic_ns(self) -> int:
        return (self._now_us - self.boot_us) * 1000

    def _reading(self) -> ClockReading | None:
        if not self.clock:
            return None
        utc_ms = START_MS + self._now_us // 1000
        return ClockReading(self._boot, self._monotonic_ns(), utc_ms, TimeQuality.SYNCHRONISED)
