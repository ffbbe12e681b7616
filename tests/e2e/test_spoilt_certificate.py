"""A certificate that a power cut has spoilt: the gateway goes on taking readings, and says what is wrong."""

import pytest

from edge_agent.devices_file import write_devices
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import sessions_of
from edge_agent.simulate.simulation import simulate
from tests.rig.agent import Agent
from tests.rig.cloud import Cloud
from tests.rig.process import wait_until

PLAN = Simulation(sensors=2, seed=6, rate_per_s=200, uplinks=20)


@pytest.mark.slow
def test_readings_are_taken_all_the_same(tmp_path):
    devices = tmp_path / "devices.json"
    write_devices(devices, sessions_of(PLAN))
    with (
        Cloud(tmp_path / "cloud") as cloud,
        Agent(tmp_path / "gateway", "00800000a0000009", "localhost", cloud.broker.port) as agent,
    ):
        agent.command("device", "add", "--file", devices)
        cloud.add_tenant("tenant", agent, devices)
        cloud.start_receiver()
        agent.start()
        simulate(PLAN, "127.0.0.1", agent.port)
        wait_until(lambda: agent.status()["store"]["confirmed_up_to"] > 0, "a receipt", 60)
        agent.stop()
        certificate = agent.folder / "gateway.crt"
        certificate.write_bytes(certificate.read_bytes()[:100])
        agent.start()
        before = agent.status()
        assert str(certificate) in before["sync"]["last_error"]
        assert before["sync"]["hint"]
        simulate(
            Simulation(sensors=2, seed=6, rate_per_s=200, uplinks=20, f_cnt_start=100),
            "127.0.0.1",
            agent.port,
        )
        wait_until(lambda: agent.status()["uplinks_taken"] == 20, "readings on disk")
