"""The agent as a process: what an installer sees, and what survives."""

import csv
import json
import os
import socket
import sqlite3
import stat
import subprocess
import threading

import pytest

from edge_agent.devices_file import write_devices
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import sessions_of
from edge_agent.simulate.simulation import simulate
from tests.rig.agent import EDGE_AGENT, Agent
from tests.rig.ledger import balance, sent
from tests.rig.process import Process, wait_until

pytestmark = pytest.mark.slow

PLAN = Simulation(sensors=4, seed=3, interval_s=900, rate_per_s=400, uplinks=400, bundle=5, duplicates=0.1)


@pytest.fixture
def agent(tmp_path):
    with Agent(tmp_path / "gateway", "00800000a0000001") as agent:
        yield agent


@pytest.fixture
def devices(tmp_path):
    write_devices(tmp_path / "devices.json", sessions_of(PLAN))
    return tmp_path / "devices.json"


def in_store(agent):
    """DevEUI, counter and payload of each uplink in the store, by its own export of raw frames."""
    from edge_agent.store.key_provider import load_store_key
    from edge_agent.store.reader import Reader
    from edge_codecs.clipr import Undecoded, encode

    with Reader.open(agent.folder / "store.db", load_store_key(agent.folder / "store.key").key) as reader:
        for uplink in reader.uplinks():
            message = uplink.message
            payload = message.payload if isinstance(message, Undecoded) else encode(message)[1]
            yield str(uplink.dev_eui), uplink.f_cnt, payload.hex()


def test_every_uplink_is_stored_once(agent, devices, tmp_path):
    agent.start()
    agent.command("device", "add", "--file", devices)  # while it runs
    ledger = tmp_path / "ledger.jsonl"
    outcome = simulate(PLAN, "127.0.0.1", agent.port, ledger=ledger)
    assert outcome.unacknowledged == 0
    wait_until(lambda: agent.status()["uplinks_taken"] == outcome.uplinks, "all uplinks on disk")
    assert balance(sent([ledger]), in_store(agent)).right
    assert {entry["reason"] for entry in agent.status()["frames_not_taken"]} == {"duplicate"}
    assert agent.stop() == 0
    assert balance(sent([ledger]), in_store(agent)).right


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_agent_that_ends_amid_a_burst_loses_no_datagram(agent, devices, tmp_path, end):
    agent.command("device", "add", "--file", devices)
    agent.start()
    ledger = tmp_path / "ledger.jsonl"
    sensors = threading.Thread(
        target=simulate, args=(PLAN, "127.0.0.1", agent.port), kwargs={"ledger": ledger}
    )
    sensors.start()
    try:
        for threshold in (50, 150, 250):
            wait_until(lambda n=threshold: len(list(in_store(agent))) >= n, f"{threshold} uplinks", step_s=0)
            getattr(agent, end)()
            agent.start()
    finally:
        sensors.join()
    wait_until(lambda: balance(sent([ledger]), in_store(agent)).lost == 0, "the rest")
    assert balance(sent([ledger]), in_store(agent)).right


def test_a_recording_plays_again(agent, devices, tmp_path):
    agent.command("device", "add", "--file", devices)
    agent.start()
    ledger, recording = tmp_path / "ledger.jsonl", tmp_path / "frames.jsonl"
    watcher = Process(
        [EDGE_AGENT, "tail", "--raw", "--config", agent.configuration], recording, agent.environment
    ).start()
    try:
        wait_until(lambda: _watched(agent, recording), "the watcher")
        outcome = simulate(PLAN, "127.0.0.1", agent.port, ledger=ledger)
        frames = outcome.uplinks + outcome.duplicates
        wait_until(lambda: _recorded(recording) == frames, "the recording")
    finally:
        watcher.kill()
    agent.stop()
    with Agent(tmp_path / "other", "00800000a0000002") as other:
        other.environment["EDGE_AGENT__RADIO"] = json.dumps([{"type": "replay", "file": str(recording)}])
        other.command("device", "add", "--file", devices)
        other.start()
        wait_until(lambda: other.status()["uplinks_taken"] >= 400, "the replay")
        assert balance(sent([ledger]), in_store(other)).right


def _recorded(recording):
    return sum('"data": "QAECAw=="' not in line for line in recording.read_text().splitlines())


def _watched(agent, recording):
    """A frame of a stranger shows up once the watcher is there."""
    from edge_agent.radio.gwmp import push_data
    from edge_codecs.identifiers import EUI64

    rxpk = (
        '{"rxpk":[{"tmst":1,"freq":868.1,"stat":1,"datr":"SF7BW125","rssi":-60,"lsnr":7,"data":"QAECAw=="}]}'
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(push_data(b"ab", EUI64(bytes(8)), rxpk), ("127.0.0.1", agent.port))
    return recording.stat().st_size > 0


def test_devices_are_added_shown_and_removed_with_and_without_the_agent(agent, devices):
    agent.command("device", "add", "--file", devices)
    before = json.loads(agent.command("device", "list", "--json"))
    agent.start()
    assert json.loads(agent.command("device", "list", "--json")) == before
    assert len(before) == 4
    keys = "00112233445566778899aabbccddeeff\nffeeddccbbaa99887766554433221100\n"
    identity = ("--dev-eui", "70b3d57ed00000ff", "--dev-addr", "260b00ff")
    agent.command("device", "add", *identity, stdin=keys)
    assert "0 times" not in agent.command("device", "show", "70b3d57ed00000ff")
    agent.command("device", "remove", "70b3d57ed00000ff")
    agent.stop()
    assert json.loads(agent.command("device", "list", "--json")) == before


def test_a_reset_device_may_count_anew(agent, devices, tmp_path):
    agent.command("device", "add", "--file", devices)
    agent.start()
    plan = Simulation(sensors=1, seed=3, rate_per_s=400, uplinks=5)
    simulate(plan, "127.0.0.1", agent.port)
    wait_until(lambda: agent.status()["uplinks_taken"] == 5, "the first life")
    simulate(plan, "127.0.0.1", agent.port)
    wait_until(lambda: agent.status()["frames_not_taken"], "its frames to be refused")
    agent.command("device", "reset", str(sessions_of(plan)[0].dev_eui))
    simulate(plan, "127.0.0.1", agent.port)
    wait_until(lambda: agent.status()["uplinks_taken"] == 10, "the second life")


def test_a_folder_is_no_configuration(agent):
    done = subprocess.run(
        [EDGE_AGENT, "run", "--config", agent.folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 78, done.stderr
    assert str(agent.folder) in done.stderr


def test_readings_leave_in_three_forms_alike(agent, devices, tmp_path):
    agent.command("device", "add", "--file", devices)
    agent.start()
    simulate(PLAN, "127.0.0.1", agent.port)
    wait_until(lambda: agent.status()["uplinks_taken"] == 400, "all uplinks on disk")
    shown = [json.loads(line) for line in agent.command("readings", "--json").splitlines()]
    for form in ("csv", "jsonl", "sqlite"):
        agent.command("store", "export", "--format", form, "--output", tmp_path / form)
    lines = [json.loads(line) for line in (tmp_path / "jsonl").read_text().splitlines()]
    assert lines == shown
    with (tmp_path / "csv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == len(shown)
    connection = sqlite3.connect(tmp_path / "sqlite")
    rows = connection.execute("SELECT dev_eui, channel, minimum, f_cnt FROM readings").fetchall()
    connection.close()
    keys = ("dev_eui", "channel", "minimum", "f_cnt")
    assert sorted(rows, key=repr) == sorted((tuple(entry[key] for key in keys) for entry in shown), key=repr)


def test_files_are_for_their_owner_only(agent):
    agent.start()
    agent.stop()
    for name in ("store.key", "signing.key", "gateway.key", "store.db"):
        assert stat.S_IMODE((agent.folder / name).stat().st_mode) & 0o077 == 0, name


def refused(agent, *arguments):
    """Run `edge-agent run` to its end; its exit status and what it says."""
    done = subprocess.run(
        [EDGE_AGENT, "run", "--config", agent.configuration, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | agent.environment,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "  → " in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_a_missing_key_is_named(agent):
    (agent.folder / "store.key").unlink()
    status, said = refused(agent)
    assert status == 78
    assert "store.key" in said


def test_a_wrong_key_is_named(agent):
    agent.start()
    agent.stop()
    (agent.folder / "store.key").write_text("ab" * 32)
    status, said = refused(agent)
    assert status == 78
    assert "key" in said
    assert "abab" not in said


def test_a_key_that_others_may_read_is_refused(agent):
    (agent.folder / "store.key").chmod(0o644)
    status, said = refused(agent)
    assert status == 78
    assert "chmod 600" in said


def test_a_plain_sqlite_file_is_refused(agent):
    sqlite3.connect(agent.folder / "store.db").execute("CREATE TABLE t (x)").connection.close()
    status, said = refused(agent)
    assert status == 78
    assert "store.db" in said


def test_an_unknown_configuration_key_is_named(agent):
    with agent.configuration.open("a") as file:
        file.write("\n[stroe]\nmax_bytes = 1\n")
    status, said = refused(agent)
    assert status == 78
    assert "stroe" in said


def test_a_port_in_use_is_named(agent):
    status, said = refused(agent)  # the rig itself holds the port, and nothing is inherited here
    assert status == 69
    assert str(agent.port) in said


def test_a_second_agent_is_refused(agent):
    agent.start()
    agent.environment["EDGE_AGENT__RADIO"] = "[]"
    status, said = refused(agent)
    assert status in (69, 78)
    assert "agent" in said


def test_sync_without_its_files_names_them(agent):
    agent.environment |= {"EDGE_AGENT__SYNC__HOST": "localhost", "EDGE_AGENT__RADIO": "[]"}
    for name in ("CA_FILE", "CERTIFICATE_FILE", "RECEIVER_FILE"):
        agent.environment[f"EDGE_AGENT__SYNC__{name}"] = str(agent.folder / name.lower())
    status, said = refused(agent)
    assert status == 78
    assert "ca_file" in said


def test_a_key_on_the_command_line_is_refused(agent):
    done = subprocess.run(
        [EDGE_AGENT, "device", "add", "--nwk-s-key", "00" * 16], capture_output=True, text=True, check=False
    )
    assert done.returncode == 64
    assert "00000000" not in done.stderr
