"""A real agent on a store with a million uplinks: from its start to the first new uplink on disk; and memory.

python -m tests.bench.agent_start [ROWS]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import psutil

from edge_agent.devices_file import write_devices
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import sessions_of
from edge_agent.simulate.simulation import simulate
from tests.bench.million import fill
from tests.rig.agent import Agent
from tests.rig.process import wait_until
from tests.rig.store import GATEWAY, KEY

PLAN = Simulation(sensors=1, seed=9, rate_per_s=1000, uplinks=1)


def run(rows: int = 1_000_000) -> dict[str, float]:
    """Seconds and megabytes, beside an empty store in the same run."""
    figures: dict[str, float] = {"rows": rows}
    for name, count in (("empty", 0), ("full", rows)):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            figures |= {f"{key}_{name}": value for key, value in _one(Path(folder), count).items()}
    figures["rss_growth_mb"] = round(figures["rss_mb_full"] - figures["rss_mb_empty"], 2)
    return figures


def _one(folder: Path, rows: int) -> dict[str, float]:
    with Agent(folder / "gateway", str(GATEWAY)) as agent:
        (agent.folder / "store.key").write_text(bytes(KEY).hex())
        fill(agent.folder / "store.db", rows)
        write_devices(folder / "devices.json", sessions_of(PLAN))
        agent.command("device", "add", "--file", folder / "devices.json")
        simulate(PLAN, "127.0.0.1", agent.port)  # it waits in the kernel
        begin_s = time.perf_counter()
        agent.launch()
        wait_until(
            lambda: agent.answers() and agent.status()["uplinks_taken"] == 1, "the uplink", step_s=0.005
        )
        first_s = time.perf_counter() - begin_s
        wait_until(lambda: agent.status()["uptime_s"] >= 12, "a turn of housekeeping", step_s=0.5)
        return {
            "first_uplink_s": round(first_s, 2),
            "rss_mb": round(psutil.Process(agent.pid).memory_info().rss / 1e6, 1),
        }


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:]))))
