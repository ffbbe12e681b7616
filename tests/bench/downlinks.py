"""From an uplink to its answer at the packet forwarder: a real agent, over real UDP.

`python -m tests.bench.downlinks`

Class A devices of all versions have joined and nothing more is wanted of them; uplinks then come at random
moments, and a share of them asks for an acknowledgement. What is measured is the time from sending the
PUSH_DATA until the PULL_RESP is here: read, judged, on disk, encrypted, planned, handed over. Answers that
the agent holds back because 24 wait at the forwarder already are counted apart, and so are those for which
the transmitter has no room on air. A process that echoes the same datagram, and an idle agent, are the
baselines.
"""

from __future__ import annotations

import json
import random
import select
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.jit_queue import OUTSTANDING
from edge_agent.network.outcome import Admitted
from edge_agent.network.policy import Policy
from edge_agent.radio.gwmp import Kind, pull_data, push_data, tx_ack
from edge_agent.simulate.class_a import ClassADevice, Received
from edge_agent.simulate.class_a_air import on_air_us
from edge_agent.simulate.jit import JitQueue, Transmission, parse_txpk
from edge_agent.simulate.plan import GATEWAY
from tests.bench.agents_store import store_of
from tests.rig.agent import Agent
from tests.rig.lorawan_frames import REPORT
from tests.rig.site import LAP_US, Site, new_registration

GOAL_MS = 300
VERSIONS = (LoRaWANVersion.V1_0_3, LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1)
DEVICES = 300
IDLE = 60  # uplinks of the idle agent
WINDOWS_US = (5_000_000, 6_000_000)  # RX1, RX2
SNR_DB = 3.0  # at SF7 neither power nor data rate can be better
ALONE_S = 0.3  # between uplinks of the idle agent, so that each finds room on air
REPORT_US = on_air_us(13 + len(REPORT), "SF7BW125")

_ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
    echo.bind(("127.0.0.1", 0))
    print(echo.getsockname()[1], flush=True)
    while True:
        datagram, address = echo.recvfrom(65536)
        echo.sendto(datagram, address)
"""


def run(uplinks_per_s: float = 50, seconds: float = 30, confirmed: float = 0.08) -> dict[str, object]:
    """Figures with RX2 as the region has it (SF12), and at SF9, which is on air for a sixth of the time."""
    usual, alone_ms, datagram = _measure(Policy(status_every_h=0), uplinks_per_s, seconds, confirmed)
    faster, _, _ = _measure(Policy(status_every_h=0, rx2_data_rate=3), uplinks_per_s, seconds, confirmed)
    return {
        "uplinks_per_s": uplinks_per_s,
        "p99_goal_ms": GOAL_MS,
        "rx2_sf12": usual,
        "rx2_sf9": faster,
        "idle_agent_ms": _shares(alone_ms),
        "echo_ms": _shares(_echo(datagram)),
    }


def _measure(
    policy: Policy, uplinks_per_s: float, seconds: float, confirmed: float
) -> tuple[dict[str, object], list[float], bytes]:
    """Figures, milliseconds of the agent while it was idle, and a datagram of those that were sent."""
    roll = random.Random(1)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        Agent(Path(name) / "gateway", "00800000a0000003") as agent,
    ):
        network = {"status_every_h": policy.status_every_h, "rx2_data_rate": policy.rx2_data_rate}
        agent.environment["EDGE_AGENT__NETWORK"] = json.dumps(network)
        settled = _settled(agent, policy, roll)
        agent.start()
        process = psutil.Process(agent.pid)
        forwarder = _Forwarder(agent.port)
        forwarder.play(settled[:IDLE], [ALONE_S] * IDLE, [True] * IDLE)
        alone_ms, _ = forwarder.take()
        before = process.cpu_times()
        count = round(uplinks_per_s * seconds)
        gaps_s = [roll.expovariate(uplinks_per_s) for _ in range(count)]
        asks = [roll.random() < confirmed for _ in range(count)]
        forwarder.play([settled[n % DEVICES] for n in range(count)], gaps_s, asks)
        after = process.cpu_times()
        loaded_ms, held_back = forwarder.take()
        results = dict(agent.status()["downlinks"]["results"])
    load = _shares(loaded_ms)
    cpu_s = after.user + after.system - before.user - before.system
    figures: dict[str, object] = {
        "uplinks": count,
        "asked_for_an_answer": sum(asks),
        "answered": len(loaded_ms),
        "understood_by_the_device": forwarder.acknowledged - len(alone_ms),
        "held_back_until_the_forwarder_had_room": held_back,
        "no_room_on_air": results.pop("collision", 0),
        "not_sent_for_another_reason": sum(results.values()) - results["sent"],
        "refused_by_the_forwarder": forwarder.refused,
        "ms": load,
        "p50_beside_idle_agent": round(load["p50"] / _shares(alone_ms)["p50"], 2),
        "agent_cpu_us_per_uplink": round(cpu_s / count * 1e6),
    }
    return figures, alone_ms, forwarder.last


def _settled(agent: Agent, policy: Policy, roll: random.Random) -> list[ClassADevice]:
    """Devices that have joined and have nothing to settle, in virtual time and in the agent's own store."""
    registrations = [new_registration(roll, VERSIONS[n % len(VERSIONS)]) for n in range(DEVICES)]
    region = REGIONS["EU868"]
    devices = [ClassADevice(registration, region, roll) for registration in registrations]
    with store_of(agent) as store:
        site = Site(store.add_devices(registrations), region, policy)
        for device in devices:
            decision, _ = site.join(device)
            while True:
                kept = [decision.outcome] if isinstance(decision.outcome, Admitted) else []
                store.keep(kept, None, site.changes)
                site.changes.clear()
                if decision.answer is None:
                    break
                decision, _ = site.exchange(device, snr_db=SNR_DB)
    return devices


class _Forwarder:
    """A packet forwarder that notes when what went out and came back. Devices hear what it takes later."""

    def __init__(self, port: int) -> None:
        self.refused = self.acknowledged = 0
        self.last = b""
        self._begin_s = time.perf_counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._jit = JitQueue()
        self._sent: dict[int, tuple[ClassADevice, float, bool]] = {}  # by counter: when, and whether 24 wait
        self._on_air_us: list[int] = []
        self._unheard: dict[ClassADevice, Transmission] = {}
        self._answers: list[tuple[float, bool]] = []  # ms, and whether it was held back
        self._token = 0
        self._socket.send(pull_data(self._next_token(), GATEWAY))

    def play(self, devices: Sequence[ClassADevice], gaps_s: Sequence[float], asks: Sequence[bool]) -> None:
        """Uplinks at their times; returns when no answer can come any more."""
        due_s = time.perf_counter()
        for device, gap_s, confirmed in zip(devices, gaps_s, asks, strict=True):
            due_s += gap_s
            self._listen(due_s)
            self._uplink(device, confirmed)
        self._listen(due_s + WINDOWS_US[1] / 1e6)
        for device in list(self._unheard):
            self._hear(device)

    def take(self) -> tuple[list[float], int]:
        """Milliseconds of the answers since the last call, and how many were held back beside them."""
        answers, self._answers = self._answers, []
        return sorted(ms for ms, held_back in answers if not held_back), sum(held for _, held in answers)

    def _uplink(self, device: ClassADevice, confirmed: bool) -> None:
        self._hear(device)
        sent = device.send(self._now_us() - REPORT_US, 10, REPORT, confirmed=confirmed)
        rxpk = {
            "tmst": sent.end_us % LAP_US,
            "freq": sent.frequency_hz / 1e6,
            "stat": 1,
            "modu": "LORA",
            "datr": sent.data_rate,
            "codr": "4/5",
            "rssi": -70,
            "lsnr": SNR_DB,
            "size": len(sent.phy_payload),
            "data": b64encode(sent.phy_payload).decode(),
        }
        self.last = push_data(self._next_token(), GATEWAY, json.dumps({"rxpk": [rxpk]}))
        now_us = self._now_us()
        self._on_air_us = [at_us for at_us in self._on_air_us if at_us > now_us]
        is_full = len(self._on_air_us) >= OUTSTANDING
        self._sent[sent.end_us % LAP_US] = device, time.perf_counter(), is_full
        self._socket.send(self.last)

    def _listen(self, until_s: float) -> None:
        while (left_s := until_s - time.perf_counter()) > 0:
            if select.select([self._socket], [], [], left_s)[0]:
                datagram = self._socket.recv(65_536)
                if datagram[3] == Kind.PULL_RESP:
                    self._downlink(datagram[1:3], datagram[4:], time.perf_counter())

    def _downlink(self, token: bytes, body: bytes, now_s: float) -> None:
        asked = parse_txpk(body)
        assert asked is not None, "a PULL_RESP that no forwarder understands"
        ends = [(asked.at_us - delay_us) % LAP_US for delay_us in WINDOWS_US]
        device, sent_s, held_back = next(self._sent[end] for end in ends if end in self._sent)
        taken = self._jit.take(asked, self._now_us())
        if isinstance(taken, str):
            self.refused += 1
        else:
            self._answers.append(((now_s - sent_s) * 1000, held_back))
            self._on_air_us.append(taken.at_us)
            self._unheard[device] = taken
        self._socket.send(tx_ack(token, GATEWAY, taken if isinstance(taken, str) else ""))

    def _hear(self, device: ClassADevice) -> None:
        down = self._unheard.pop(device, None)
        if down is not None:
            heard = device.receive(down.phy_payload, down.at_us, down.frequency_hz, down.data_rate)
            self.acknowledged += isinstance(heard, Received) and heard.ack

    def _now_us(self) -> int:
        return round((time.perf_counter() - self._begin_s + 1) * 1_000_000)

    def _next_token(self) -> bytes:
        self._token = (self._token + 1) & 0xFFFF
        return self._token.to_bytes(2)


def _echo(datagram: bytes, count: int = 500) -> list[float]:
    """Milliseconds of a datagram to another process and back, one at a time."""
    with subprocess.Popen([sys.executable, "-c", _ECHO], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            return sorted(_round_trips(port, datagram, count))
        finally:
            process.kill()


def _round_trips(port: int, datagram: bytes, count: int) -> Iterator[float]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        sender.settimeout(10)
        for _ in range(count):
            begin_s = time.perf_counter()
            sender.send(datagram)
            sender.recv(65_536)
            yield (time.perf_counter() - begin_s) * 1000
            time.sleep(0.002)


def _shares(milliseconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the highest of values that rise."""
    last = len(milliseconds) - 1
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(milliseconds[round(share * last)], 3) for name, share in shares.items()}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
