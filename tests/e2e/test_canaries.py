"""No key and no reading in clear: not in files, logs, arguments or environment, not at the broker."""

import base64
import json
from pathlib import Path

import pytest

from edge_agent.devices_file import write_devices
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import sessions_of
from edge_agent.simulate.simulation import simulate
from tests.rig.agent import Agent
from tests.rig.cloud import Cloud
from tests.rig.process import wait_until

PLAN = Simulation(sensors=3, seed=5, interval_s=900, rate_per_s=100, uplinks=60)


@pytest.mark.slow
def test_no_key_and_no_reading_is_found_in_clear(tmp_path):
    ledger, devices = tmp_path / "ledger.jsonl", tmp_path / "devices.json"
    sessions = sessions_of(PLAN)
    write_devices(devices, sessions)
    with (
        Cloud(tmp_path / "cloud") as cloud,
        Agent(tmp_path / "gateway", "00800000a0000009", "localhost", cloud.broker.port) as agent,
    ):
        agent.environment["EDGE_AGENT__HEALTH__LOG_LEVEL"] = "debug"
        agent.command("device", "add", "--file", devices)
        cloud.add_tenant("tenant", agent, devices)
        devices.unlink()
        receiver = cloud.start_receiver()
        agent.start()
        wait_until(lambda: agent.status()["sync"]["connected"], "the link")
        receiver.kill()  # from now on the broker has to keep what comes
        simulate(PLAN, "127.0.0.1", agent.port, ledger=ledger)
        wait_until(lambda: agent.status()["store"]["rows_unbatched"] == 0, "batches to be formed")
        wait_until(lambda: agent.status()["sync"]["batches_in_flight"] > 0, "a batch at the broker")
        of_processes = [Path(f"/proc/{agent.pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        shown = [
            agent.command("status", "--json").encode(),
            agent.command("device", "list", "--json").encode(),
        ]
        shown += [agent.command("device", "show", str(sessions[0].dev_eui)).encode()]
        agent.kill()  # what it holds in WAL and shared memory stays
        cloud.broker.stop()  # it saves its queue
        secrets = _secrets(tmp_path, sessions)
        readings = _needles(
            [bytes.fromhex(json.loads(line)["payload"]) for line in ledger.read_text().splitlines()]
        )
        files = {
            path: path.read_bytes()
            for folder in (tmp_path / "gateway", tmp_path / "cloud" / "broker", tmp_path / "cloud")
            for path in folder.rglob("*")
            if path.is_file()
        }
    assert {path.name for path in files} >= {"store.db", "store.db-wal", "mosquitto.db", "agent.log"}
    own_homes = {"store.key", "signing.key", "gateway.key"}
    for path, content in files.items():
        for needle in readings + ([] if path.name in own_homes or "keys" in path.parts else secrets):
            assert needle not in content, f"a canary lies in {path}"
    for content in of_processes + shown:
        assert not any(needle in content for needle in secrets + readings)


@pytest.mark.slow
def test_the_canaries_are_found_where_they_do_lie(tmp_path):
    """The search works: a devices file does hold keys, a ledger does hold payloads."""
    sessions = sessions_of(PLAN)
    write_devices(tmp_path / "devices.json", sessions)
    content = (tmp_path / "devices.json").read_bytes()
    assert any(needle in content for needle in _needles([bytes(sessions[0].app_s_key)]))


def _secrets(folder, sessions):
    keys = [bytes(key) for s in sessions for key in (s.f_nwk_s_int_key, s.app_s_key)]
    keys.append(bytes.fromhex((folder / "gateway" / "store.key").read_text().strip()))
    return _needles(keys)


def _needles(values):
    """Each value as bytes, as hex in both cases, and as base64 without its tail."""
    found = []
    for value in values:
        text = value.hex().encode()
        found += [value, text, text.upper(), base64.b64encode(value).rstrip(b"=")[:-1]]
    return found
