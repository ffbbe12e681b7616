"""The full edge path: datagram in → committed in the encrypted store, a real agent on one core.

The network server decides about each frame, and wants nothing of the devices. Frames are made beforehand; the
sender, on another core if there is one, keeps at most `WINDOW` datagrams without an acknowledgement.
`python -m tests.bench.edge_path`.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from edge_agent.devices_file import write_devices
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.changes import MacChanged
from edge_agent.network.mac_state import wanted
from edge_agent.network.policy import Policy
from edge_agent.radio.gwmp import push_data
from edge_agent.simulate.forwarder import datagrams
from edge_agent.simulate.plan import GATEWAY, Simulation
from edge_agent.simulate.scenario import receptions, sessions_of
from tests.bench.agents_store import store_of
from tests.rig.agent import Agent
from tests.rig.process import wait_until

WINDOW = 64
SETTLED = {"adr": False, "history": False, "status_every_h": 0}
SX1302_CEILING_PER_S = 573  # perfect scheduling of 13-byte frames over all demodulators


def run(uplinks: int = 20_000, sensors: int = 100, bundle: int = 8) -> dict[str, float]:
    """Uplinks a second, CPU µs an uplink, resident memory."""
    plan = Simulation(sensors=sensors, seed=3, rate_per_s=1000, uplinks=uplinks, bundle=bundle)
    packets = [
        push_data(number.to_bytes(2, "big"), GATEWAY, f'{{"rxpk":[{",".join(r.rxpk for r in group)}]}}')
        for number, group in (
            (n % 65536, g) for n, g in enumerate(datagrams(receptions(plan, _now_ms()), bundle))
        )
    ]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_devices(folder / "devices.json", sessions_of(plan))
        with Agent(folder / "gateway", "00800000a0000001") as agent:
            agent.command("device", "add", "--file", folder / "devices.json")
            agent.environment["EDGE_AGENT__NETWORK"] = json.dumps(SETTLED)
            with store_of(agent) as store:
                mac = wanted(REGIONS["EU868"], Policy(**SETTLED))
                store.apply([MacChanged(one.dev_eui, one.number, mac) for one in sessions_of(plan)])
            agent.start()
            process = psutil.Process(agent.pid)
            cores = process.cpu_affinity()
            process.cpu_affinity(cores[:1])
            os.sched_setaffinity(0, cores[1:] or cores)
            try:
                before = process.cpu_times()
                begin_s = time.perf_counter()
                _send(packets, agent.port)
                wait_until(lambda: agent.status()["uplinks_taken"] >= uplinks, "all uplinks on disk", 120)
                wall_s = time.perf_counter() - begin_s
                after = process.cpu_times()
            finally:
                os.sched_setaffinity(0, cores)
            rss_mb = process.memory_info().rss / 1e6
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "uplinks": uplinks,
        "frames_per_datagram": bundle,
        "uplinks_per_s": round(uplinks / wall_s),
        "times_sx1302_ceiling": round(uplinks / wall_s / SX1302_CEILING_PER_S, 1),
        "cpu_us_per_uplink": round(cpu_s / uplinks * 1e6, 1),
        "rss_mb": round(rss_mb, 1),
    }


def _send(packets: Sequence[bytes], port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        sender.settimeout(10)
        outstanding = 0
        for packet in packets:
            sender.send(packet)
            outstanding += 1
            while outstanding >= WINDOW:
                sender.recv(16)
                outstanding -= 1
        while outstanding:
            sender.recv(16)
            outstanding -= 1


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    print(json.dumps(run()))
