"""kill -9 of agent, broker and receiver at random moments: every uplink is in the records exactly once."""

import os
import random
import threading
import time

import pytest

from edge_agent.devices_file import write_devices
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import sessions_of
from edge_agent.simulate.simulation import simulate
from tests.rig.agent import Agent
from tests.rig.cloud import Cloud
from tests.rig.ledger import balance, readings_balance, readings_sent, sent
from tests.rig.process import wait_until

ROUNDS = 1000 if os.environ.get("CAMPAIGN") == "full" else 50
PLAN = Simulation(sensors=10, seed=11, interval_s=900, rate_per_s=40, duplicates=0.1, replays=0.1, bundle=4)


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.timeout(3600 if ROUNDS > 50 else 600)
def test_nothing_is_lost_or_doubled_whoever_is_killed(tmp_path):
    rng = random.Random(2026)
    stop = threading.Event()
    ledger, devices = tmp_path / "ledger.jsonl", tmp_path / "devices.json"
    write_devices(devices, sessions_of(PLAN))
    with (
        Cloud(tmp_path / "cloud") as cloud,
        Agent(tmp_path / "gateway", "00800000a0000009", "localhost", cloud.broker.port) as agent,
    ):
        agent.command("device", "add", "--file", devices)
        cloud.add_tenant("tenant", agent, devices)
        receiver = cloud.start_receiver()
        agent.start()
        sensors = threading.Thread(
            target=simulate,
            args=(PLAN, "127.0.0.1", agent.port),
            kwargs={"ledger": ledger, "should_stop": stop.is_set},
        )
        sensors.start()
        try:
            for _ in range(ROUNDS):
                time.sleep(rng.uniform(0.02, 0.6))  # the random moment
                victim = rng.choice((agent, cloud.broker, receiver))
                victim.kill()
                victim.start()
        finally:
            stop.set()
            sensors.join()
        wait_until(lambda: _all_confirmed(agent), "receipts for everything", timeout_s=120, step_s=0.2)
        found = balance(sent([ledger]), cloud.uplinks("tenant"))
        read = readings_balance(readings_sent(sent([ledger])), cloud.readings("tenant"))
        report = agent.command("store", "check")
        quarantined = cloud.quarantined()
    assert found.right, found
    assert read.right, read
    assert found.sent > ROUNDS
    assert "sound" in report
    assert quarantined == []


def _all_confirmed(agent):
    store = agent.status()["store"]
    return store["rows_unbatched"] == store["batches_unreceipted"] == 0
