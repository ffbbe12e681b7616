"""Catching up after an outage: from a full store on the gateway to committed rows in PostgreSQL.

Days of a building's uplinks, dated as they would have been, are played into a real agent without a link; then
broker and receiver come up. `python -m tests.bench.catch_up`.
"""

from __future__ import annotations

import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from edge_agent.devices_file import write_devices
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import receptions, sessions_of
from tests.rig.agent import Agent
from tests.rig.cloud import Cloud
from tests.rig.process import wait_until

SENSORS = 50
INTERVAL_S = 900


def run(uplinks: int = 20_000) -> dict[str, float]:
    """Uplinks and readings a second from link-up to the last receipt; resident memory of both ends."""
    plan = Simulation(sensors=SENSORS, seed=4, interval_s=INTERVAL_S, uplinks=uplinks)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        devices, recording = folder / "devices.json", folder / "recording.jsonl"
        write_devices(devices, sessions_of(plan))
        _record(plan, recording)
        with (
            Cloud(folder / "cloud") as cloud,
            Agent(folder / "gateway", "00800000a0000001", "localhost", cloud.broker.port) as agent,
        ):
            agent.environment["EDGE_AGENT__SYNC__BACKLOG_ROWS_PER_S"] = "1000000"
            agent.environment["EDGE_AGENT__RADIO"] = json.dumps([{"type": "replay", "file": str(recording)}])
            agent.command("device", "add", "--file", devices)
            cloud.add_tenant("tenant", agent, devices)
            cloud.broker.stop()
            agent.start()
            wait_until(lambda: agent.status()["uplinks_taken"] >= uplinks, "a full store", 120, step_s=0.2)
            agent.stop()
            agent.environment["EDGE_AGENT__RADIO"] = "[]"
            cloud.broker.start()
            receiver = cloud.start_receiver()
            wait_until(lambda: "receiving" in receiver.said().lower(), "the receiver to listen", 30)
            agent.start()
            begin_s = time.perf_counter()
            wait_until(lambda: _confirmed(agent), "the last receipt", 300, step_s=0.1)
            wall_s = time.perf_counter() - begin_s
            readings = len(cloud.readings("tenant"))
            agent_mb = psutil.Process(agent.pid).memory_info().rss / 1e6
            receiver_mb = psutil.Process(receiver.pid).memory_info().rss / 1e6
            sent = agent.status()["sync"]
    return {
        "outage_days": round(uplinks / SENSORS * INTERVAL_S / 86_400, 1),
        "uplinks": uplinks,
        "readings": readings,
        "uplinks_per_s": round(uplinks / wall_s),
        "readings_per_s": round(readings / wall_s),
        "batches": sent["batches_sent"],
        "batches_sent_again": sent["batches_sent_again"],
        "agent_rss_mb": round(agent_mb, 1),
        "receiver_rss_mb": round(receiver_mb, 1),
    }


def _record(plan: Simulation, recording: Path) -> None:
    """All receptions of the plan up to now, as a forwarder with GPS would have said them."""
    seconds = plan.uplinks / plan.sensors * plan.interval_s
    start_ms = round(time.time() - seconds) * 1000
    with recording.open("w") as file:
        for reception in receptions(plan, start_ms):
            moment = datetime.fromtimestamp(start_ms / 1000 + reception.at_s, UTC)
            rxpk = json.loads(reception.rxpk) | {"time": moment.isoformat(timespec="microseconds")[:26] + "Z"}
            file.write(json.dumps(rxpk) + "\n")


def _confirmed(agent: Agent) -> bool:
    store = agent.status()["store"]
    return bool(store["rows_unbatched"] == store["batches_unreceipted"] == 0)


if __name__ == "__main__":
    print(json.dumps(run()))
