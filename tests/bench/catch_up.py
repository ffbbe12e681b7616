"""Catching up after an outage: from a full store on the gateway to committed rows in PostgreSQL.

A real agent, broker and receiver. `python -m tests.bench.catch_up`.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import psutil

from edge_agent.devices_file import write_devices
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import sessions_of
from edge_agent.simulate.simulation import simulate
from tests.rig.agent import Agent
from tests.rig.cloud import Cloud
from tests.rig.process import wait_until


def run(uplinks: int = 20_000) -> dict[str, float]:
    """Uplinks and readings a second from link-up to the last receipt; resident memory of both ends."""
    plan = Simulation(sensors=50, seed=4, rate_per_s=4000, uplinks=uplinks, bundle=20)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        devices = folder / "devices.json"
        write_devices(devices, sessions_of(plan))
        with (
            Cloud(folder / "cloud") as cloud,
            Agent(folder / "gateway", "00800000a0000001", "localhost", cloud.broker.port) as agent,
        ):
            agent.environment["EDGE_AGENT__SYNC__BACKLOG_ROWS_PER_S"] = "1000000"
            agent.command("device", "add", "--file", devices)
            cloud.add_tenant("tenant", agent, devices)
            cloud.broker.stop()
            agent.start()
            simulate(plan, "127.0.0.1", agent.port)
            wait_until(lambda: agent.status()["uplinks_taken"] >= uplinks, "a full store", 120)
            agent.stop()
            cloud.broker.start()
            receiver = cloud.start_receiver()
            wait_until(lambda: "receiving" in receiver.said().lower(), "the receiver to listen", 30)
            agent.start()
            begin_s = time.perf_counter()
            wait_until(lambda: _confirmed(agent), "the last receipt", 300)
            wall_s = time.perf_counter() - begin_s
            readings = len(cloud.readings("tenant"))
            agent_mb = psutil.Process(agent.pid).memory_info().rss / 1e6
            receiver_mb = psutil.Process(receiver.pid).memory_info().rss / 1e6
            sent = agent.status()["sync"]
    return {
        "uplinks": uplinks,
        "readings": readings,
        "uplinks_per_s": round(uplinks / wall_s),
        "readings_per_s": round(readings / wall_s),
        "batches": sent["batches_sent"],
        "batches_sent_again": sent["batches_sent_again"],
        "agent_rss_mb": round(agent_mb, 1),
        "receiver_rss_mb": round(receiver_mb, 1),
    }


def _confirmed(agent: Agent) -> bool:
    store = agent.status()["store"]
    return bool(store["rows_unbatched"] == store["batches_unreceipted"] == 0)


if __name__ == "__main__":
    print(json.dumps(run()))
