"""A real agent and simulated sensors that join, are told things, and give back what the air swallowed."""

import json
import threading

import pytest

from edge_agent.devices_file import write_devices
from edge_agent.simulate.simulation import Outcome, Simulation, devices_of, simulate
from tests.rig.agent import Agent
from tests.rig.ledger import interval_balance, intervals_measured, sent
from tests.rig.process import wait_until

pytestmark = pytest.mark.slow

PLAN = Simulation(
    activation="otaa",
    sensors=3,
    seed=12,
    interval_s=6,
    duration_s=150,
    loss=0.15,
    downlink_loss=0.1,
    calm_s=125,
)


class Cellar(threading.Thread):
    """The sensors, living until `enough`."""

    def __init__(self, agent, ledger):
        super().__init__()
        self.outcome = Outcome()
        self.enough = threading.Event()
        self._agent, self._ledger = agent, ledger

    def run(self):
        simulate(
            PLAN,
            "127.0.0.1",
            self._agent.port,
            ledger=self._ledger,
            progress=self._heard,
            should_stop=self.enough.is_set,
        )

    def _heard(self, outcome):
        self.outcome = outcome


@pytest.fixture
def agent(tmp_path):
    with Agent(tmp_path, "00800000a00000aa") as made:
        made.environment["EDGE_AGENT__NETWORK"] = json.dumps({"rx1_delay_s": 1})
        write_devices(tmp_path / "devices.json", devices_of(PLAN))
        made.command("device", "import", tmp_path / "devices.json")
        yield made.start()


@pytest.fixture
def cellar(agent, tmp_path):
    made = Cellar(agent, tmp_path / "ledger.jsonl")
    made.start()
    yield made
    made.enough.set()
    made.join()


def readings(agent):
    return [json.loads(line) for line in agent.command("readings", "--json").splitlines()]


def statuses(ledger):
    """(DevEUI, reset cause) of each status that was sent."""
    return [
        (dev_eui, int(payload[1], 16))
        for (dev_eui, _), payload in sent([ledger]).items()
        if len(payload) == 30
    ]


def test_sensors_join_obey_and_leave_no_hole(agent, cellar, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    slow, rebooted, _ = (str(device.dev_eui) for device in devices_of(PLAN))
    wait_until(lambda: cellar.outcome.joined >= 3, "all sensors to join", 60)
    told = (
        "--report-interval-s",
        "10",
        "--sampling-interval-s",
        "5",
        "--upper-limit",
        "65",
        "--lower-limit",
        "off",
    )
    agent.command("device", "configure", slow, *told)
    agent.command("device", "reboot", rebooted)
    joined = cellar.outcome.joined
    wait_until(
        lambda: {entry["interval_s"] for entry in readings(agent) if entry["dev_eui"] == slow} >= {6, 10},
        "reports of the new interval",
        60,
        0.5,
    )
    wait_until(lambda: cellar.outcome.joined > joined, "the sensor to join again", 60)
    wait_until(lambda: (rebooted, 3) in statuses(ledger), "its status, reset by downlink", 60)
    assert agent.command("device", "queue", slow, "--json").count("acknowledged") == 1
    wait_until(
        lambda: cellar.outcome.lost and not _missing(agent, ledger, rebooted),
        "intervals that were lost on the air",
        60,
        1.0,
    )


def _missing(agent, ledger, but):
    """Intervals measured and not in the store, of all sensors but the one whose reboot cost it one."""
    measured = [entry for entry in intervals_measured([ledger]) if entry["dev_eui"] != but]
    return interval_balance(measured, readings(agent)).missing
