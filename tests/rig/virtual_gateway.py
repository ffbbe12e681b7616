"""The sensors of a simulation and the network server in virtual time: hours of a cellar in a second."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.answer import Answer, Transmitted, TxResult
from edge_agent.network.changes import DownlinkChanged
from edge_agent.network.decision import Decision
from edge_agent.network.device import Device, DownlinkState, QueuedDownlink
from edge_agent.network.gap import Gap
from edge_agent.network.moment import Moment
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.outcome import Admitted, Rejected
from edge_agent.network.policy import Policy
from edge_agent.network.reason import Reason
from edge_agent.radio.forwarder import frame_of
from edge_agent.radio.rxpk import RxPk, parse_rxpk
from edge_agent.simulate.identity import registration_of
from edge_agent.simulate.jit import JitQueue, Transmission, downlink_airtime_us
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.world import World
from edge_codecs.clipr import Downlink, History, Message, Report, encode_downlink
from edge_codecs.identifiers import DevEUI

START_MS = 1_795_512_833_000
SECOND_US = 1_000_000
_TAKES_US = 20_000  # to decide, to write, to send


class VirtualGateway:
    """Hears what the sensors say and answers them. `messages` are what would be stored, by sensor."""

    def __init__(self, plan: Simulation, policy: Policy | None = None) -> None:
        self.plan = plan
        self.world = World(plan, START_MS)
        self.server = NetworkServer(REGIONS["EU868"], policy or Policy(), (), Random(3).randrange)
        self.registrations = [registration_of(plan.seed, number) for number in plan.numbers]
        for registration in self.registrations:
            self.server.add(Device(registration.dev_eui, registration))
        self.is_down = False  # hears nothing
        self.is_mute = False  # sends nothing
        self.now_us = 0
        self.messages: dict[DevEUI, list[tuple[int, Message]]] = defaultdict(list)
        self.rejected: Counter[Reason] = Counter()
        self.results: Counter[TxResult] = Counter()
        self.uplinks: list[dict[str, Any]] = []
        self.intervals: list[dict[str, Any]] = []
        self.downlinks: dict[int, DownlinkState] = {}  # of what was queued, by number
        self._jit = JitQueue()
        self._queued = 0
        self._ends: dict[tuple[DevEUI, int], dict[int, int]] = defaultdict(dict)  # UTC in ms: interval in s
        self._gaps: dict[tuple[DevEUI, int], list[Gap]] = {}

    def run(self, until_s: float) -> None:
        """Let time pass."""
        until_us = round(until_s * SECOND_US)
        while self.world.next_us <= until_us:
            self.now_us = self.world.next_us
            for reception in self.world.advance(self.now_us):
                self._write(reception.ledger)
                if reception.rxpk and not self.is_down:
                    self._hear(reception.rxpk, round(reception.at_s * SECOND_US))
        self.now_us = until_us

    def say(self, dev_eui: DevEUI, downlink: Downlink, *, confirmed: bool = True) -> None:
        """Queue a downlink."""
        self._queued += 1
        f_port, payload = encode_downlink(downlink)
        self.server.enqueue(QueuedDownlink(self._queued, dev_eui, f_port, payload, confirmed, 0))

    def known(self, dev_eui: DevEUI, channel: int) -> list[int]:
        """Ends (UTC in ms) of the intervals that reports and histories have told, each once, rising."""
        told: list[int] = []
        for end_ms, interval_s in sorted(self._ends[dev_eui, channel].items()):
            if not told or end_ms - told[-1] > 500 * interval_s:
                told.append(end_ms)
        return told

    def _write(self, ledger: str) -> None:
        for line in filter(None, ledger.split("\n")):
            entry = json.loads(line)
            (self.uplinks if "payload" in entry else self.intervals).append(entry)

    def _hear(self, text: str, at_us: int) -> None:
        rxpk = parse_rxpk(json.loads(text), text)
        assert isinstance(rxpk, RxPk)
        frame = frame_of(rxpk, at_us * 1000, None, "virtual", self.plan.gateway)
        now_us = at_us + _TAKES_US
        utc_ms = START_MS + now_us // 1000
        decision = self.server.receive(frame, Moment(now_us * 1000, utc_ms, utc_ms))
        self._note(decision, START_MS + at_us // 1000)
        if decision.answer is not None:
            self._send(decision.answer, now_us)

    def _note(self, decision: Decision, at_ms: int) -> None:
        outcome = decision.outcome
        self.downlinks |= {
            change.number: change.state for change in decision.changes if isinstance(change, DownlinkChanged)
        }
        if isinstance(outcome, Admitted) and outcome.message is not None:
            self.messages[outcome.dev_eui].append((at_ms, outcome.message))
            self._cover(outcome.dev_eui, outcome.message, at_ms)
        elif isinstance(outcome, Rejected):
            self.rejected[outcome.reason] += 1

    def _cover(self, dev_eui: DevEUI, message: Message, at_ms: int) -> None:
        """Intervals that a message tells, and what is missing between those known now."""
        match message:
            case Report():
                told = {at_ms: message.interval_s}
                channels = [one.channel for one in message.channels]
            case History():
                ends = (message.newest_end_s - n * message.interval_s for n in range(len(message.intervals)))
                told = {1000 * end_s: message.interval_s for end_s in ends}
                channels = [message.channel]
            case _:
                return
        for channel in channels:
            self._ends[dev_eui, channel] |= told
            self._gaps[dev_eui, channel] = list(self._missing(dev_eui, channel))
        gaps = [gap for channel in range(3) for gap in self._gaps.get((dev_eui, channel), [])]
        self.server.gaps_are({dev_eui: gaps})

    def _missing(self, dev_eui: DevEUI, channel: int) -> Iterator[Gap]:
        """How often a gap was asked for goes on, as long as it does not become smaller."""
        asked = {(gap.from_ms, gap.to_ms): gap.asked for gap in self._gaps.get((dev_eui, channel), [])}
        for (end_ms, _), (next_ms, interval_s) in pairwise(sorted(self._ends[dev_eui, channel].items())):
            to_ms = next_ms - 1000 * interval_s
            if to_ms - end_ms >= 500 * interval_s:
                yield Gap(dev_eui, channel, end_ms, to_ms, interval_s, asked.get((end_ms, to_ms), 0))

    def _send(self, answer: Answer, now_us: int) -> None:
        assert answer.uplink.counter_us is not None
        for window in () if self.is_mute else answer.windows:
            length = len(answer.phy_payload)
            asked = Transmission(
                answer.phy_payload,
                (answer.uplink.counter_us + window.delay_us) % (1 << 32),
                window.frequency_hz,
                window.data_rate,
                inverted=True,
                airtime_us=downlink_airtime_us(length, window.data_rate),
            )
            taken = self._jit.take(asked, now_us)
            if isinstance(taken, Transmission):
                self.world.transmit(taken)
                self.results[TxResult.SENT] += 1
                self.server.transmitted(Transmitted(answer, TxResult.SENT, window))
                return
        self.results[TxResult.COLLISION] += 1
        self.server.transmitted(Transmitted(answer, TxResult.COLLISION, None))
