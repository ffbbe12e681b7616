"""A full store: nothing is dropped, nothing crashes, and it drains by itself when the link is back."""

import threading

import pytest

from edge_agent.devices_file import write_devices
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import sessions_of
from edge_agent.simulate.simulation import simulate
from tests.rig.agent import Agent
from tests.rig.cloud import Cloud
from tests.rig.ledger import balance, sent
from tests.rig.process import wait_until

PLAN = Simulation(sensors=10, seed=8, rate_per_s=2000, uplinks=9000, bundle=10)


@pytest.mark.slow
def test_a_full_store_waits_and_drains(tmp_path):
    ledger, devices = tmp_path / "ledger.jsonl", tmp_path / "devices.json"
    write_devices(devices, sessions_of(PLAN))
    with (
        Cloud(tmp_path / "cloud") as cloud,
        Agent(tmp_path / "gateway", "00800000a0000009", "localhost", cloud.broker.port) as agent,
    ):
        agent.environment["EDGE_AGENT__STORE__MAX_BYTES"] = "1000000"
        agent.command("device", "add", "--file", devices)
        cloud.add_tenant("tenant", agent, devices)
        receiver = cloud.start_receiver()
        wait_until(lambda: "receiving" in receiver.said(), "the receiver to listen")
        cloud.broker.stop()
        agent.start()
        sensors = threading.Thread(
            target=simulate, args=(PLAN, "127.0.0.1", agent.port), kwargs={"ledger": ledger}
        )
        sensors.start()
        try:
            wait_until(lambda: agent.status()["store"]["full"], "the store to be full", 60)
            agent.kill()  # as a power cut would, while it is full
            agent.start()
            wait_until(lambda: agent.status()["store"]["full"], "it to be full again", 60)
            assert "STORE FULL" in agent.command("status")
            cloud.broker.start()
        finally:
            sensors.join()
        wait_until(lambda: len(list(cloud.uplinks("tenant"))) >= PLAN.uplinks, "everything", 120, step_s=0.5)
        assert agent.status()["store"]["full"] is None
        assert balance(sent([ledger]), cloud.uplinks("tenant")).right
