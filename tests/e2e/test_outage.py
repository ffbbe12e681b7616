"""The gateway is without power for six hours: what the sensors measured meanwhile comes back, once each."""

# ruff: noqa: F811  (fixtures are imported, and then named by arguments)

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud_sync.db.records import Records
from cloud_sync.ingest import Ingest
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.gap import Gap
from edge_agent.simulate.memory import Memory
from edge_agent.store.reader import Reader
from edge_agent.store.store import Store
from edge_codecs.batch import SealingPrivateKey, SigningKey
from edge_codecs.identifiers import DevEUI
from edge_codecs.manifest import Lane, Manifest, link
from edge_codecs.receipt import Verdict, verify_receipt
from edge_codecs.topics import uplink_topic
from tests.rig import cloud as rig
from tests.rig.agent import EDGE_AGENT, Agent
from tests.rig.batches import register
from tests.rig.cellar import Cellar, new_node
from tests.rig.gateway import WireGateway
from tests.rig.ledger import interval_balance, intervals_measured
from tests.rig.postgres import Postgres, database, postgres  # noqa: F401
from tests.rig.process import Process, run, wait_until
from tests.rig.store import GATEWAY, KEY, START_MS

pytestmark = pytest.mark.slow

VERSIONS = (LoRaWANVersion.V1_0_3, LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1)
DATA_RATES = ("SF7BW125", "SF12BW125")
OFF_H = 6
EARLY = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of one channel. Unix time in ms, hundredths of a degree."""

    end_ms: int
    interval_s: int
    minimum: int | None
    maximum: int | None


Known = dict[tuple[DevEUI, int], list[Interval]]  # by device and channel, in order of time


@dataclass(frozen=True, slots=True)
class Message:
    """What a broker hands over."""

    topic: str
    payload: bytes


class Cloud:
    """The receiver's own code over a real database, and the gateway's way to it."""

    def __init__(self, dsn: str, clock_ms: Callable[[], int]) -> None:
        sealing, self._receipt_key = SealingPrivateKey.generate(1), SigningKey.generate()
        self._wire = WireGateway(GATEWAY, sealing.public_key)
        register(dsn, "acme", [self._wire], range(1, 10), since=EARLY)  # type: ignore[list-item]
        self.records = Records.connect(dsn)
        self._ingest = Ingest(self.records, {1: sealing}, self._receipt_key, clock_ms)
        self._dsn = dsn

    def sync(self, store: Store) -> None:
        """All that waits in the store goes to the receiver, whose receipts come back."""
        for lane in Lane:
            while batch := store.form_batch(500, 60_000, lane):
                manifest = Manifest(
                    GATEWAY,
                    store.stream,
                    batch.number,
                    batch.lane,
                    batch.ranges,
                    link(batch.previous) if len(batch.previous) == 32 else batch.previous,
                    batch.rows,
                )
                (signed,) = self._ingest.take([Message(uplink_topic(GATEWAY), self._wire.sealed(manifest))])
                receipt = verify_receipt(signed.data, self._receipt_key.verify_key)
                assert (receipt.verdict, receipt.up_to) == (Verdict.STORED, batch.number)
                store.receipt(receipt.up_to, receipt.batch_hash, receipt.receiver_time_ms)

    def readings(self) -> Known:
        """What is in the records."""
        found: Known = {}
        with psycopg.connect(self._dsn) as connection:
            for raw, channel, end, interval_s, minimum, maximum in connection.execute(
                "SELECT dev_eui, channel, interval_end, interval_s, minimum, maximum FROM clipr.readings "
                "ORDER BY interval_end"
            ):
                extremes = (None if one is None else round(100 * one) for one in (minimum, maximum))
                end_ms = round(end.timestamp() * 1000)
                found.setdefault((DevEUI(raw), channel), []).append(Interval(end_ms, interval_s, *extremes))
            (refused,) = connection.execute("SELECT count(*) FROM clipr.quarantine").fetchone() or (0,)
        assert refused == 0
        return found


@pytest.fixture
def story(tmp_path: Path, database: str) -> Iterator[Story]:
    told = Story(tmp_path / "store.db", database)
    yield told
    told.cloud.records.close()


class Story:
    """Sensors of all versions, near and far, that have joined; then whatever a test lets happen."""

    def __init__(self, path: Path, dsn: str) -> None:
        self._path = path
        kinds = [(version, data_rate) for data_rate in DATA_RATES for version in VERSIONS]
        self.nodes = [new_node(number, *kind) for number, kind in enumerate(kinds, 1)]
        self.cellar = Cellar(path, self.nodes)
        self.cloud = Cloud(dsn, lambda: START_MS + self.cellar.now_us // 1000)
        self.cellar.power_on().add(self.nodes)

    def outage(self, *, clock: bool = True) -> None:
        """Six hours without power."""
        self.sync()
        self.cellar.power_off()
        self.cellar.run(OFF_H)
        self.cellar.power_on(clock=clock)

    def sync(self) -> None:
        """The gateway brings its rows to the cloud."""
        assert self.cellar.gateway is not None
        self.cloud.sync(self.cellar.gateway.store)

    def gaps(self) -> list[Gap]:
        """What `readings --holes` prints, beside the running agent."""
        with Reader.open(self._path, KEY) as reader:
            return reader.gaps()

    def measured(self) -> Known:
        """What the sensors have measured."""
        return {
            key: [
                Interval(START_MS + one.end_us // 1000, one.interval_s, one.minimum, one.maximum)
                for one in intervals
            ]
            for key, intervals in self.cellar.measured.items()
        }

    def missing(self) -> Known:
        """Intervals that are not in the records. All others are there once, at their time, as measured.

        A report that was heard at its second transmission only is some seconds late.
        """
        measured, found = self.measured(), self.cloud.readings()
        assert found.keys() <= measured.keys()
        missing: Known = {}
        for key, intervals in measured.items():
            there = iter(found.get(key, []))
            record = next(there, None)
            for one in intervals:
                if record is None or abs(record.end_ms - one.end_ms) >= 10_000:
                    missing.setdefault(key, []).append(one)
                    continue
                assert replace(record, end_ms=one.end_ms) == one
                record = next(there, None)
            assert record is None, f"twice, or never measured: {record}"
        return missing


def test_six_hours_without_power_are_back(story: Story) -> None:
    story.cellar.run(3)
    story.outage()
    story.cellar.run(0.5)
    assert story.gaps() != []
    story.cellar.run(11.5)
    story.sync()
    assert story.cellar.frames_lost > 6 * OFF_H * 4 - 6
    assert story.missing() == {}
    assert story.gaps() == []


def test_and_they_are_if_downlinks_are_lost(story: Story) -> None:
    story.cellar.downlink_loss = 0.3
    story.cellar.run(3)
    story.outage()
    story.cellar.run(24)
    story.sync()
    assert story.cellar.downlinks_lost > 10
    assert story.missing() == {}
    assert story.gaps() == []


def test_and_they_are_if_the_clock_is_not_known_for_an_hour(story: Story) -> None:
    story.cellar.run(3)
    story.outage(clock=False)
    story.cellar.run(1)
    gateway = story.cellar.gateway
    assert gateway is not None
    assert story.gaps() == [], "nobody knows yet when the new reports came"
    assert gateway.store.status().rows_unresolved > len(story.nodes)
    gateway.clock = True
    story.cellar.run(12)
    story.sync()
    assert story.missing() == {}
    assert story.gaps() == []


def test_frames_lost_on_the_air_for_two_days_are_back(story: Story) -> None:
    story.cellar.run(1)
    story.cellar.loss = 0.05
    story.cellar.run(48)
    story.cellar.loss = 0.0
    story.cellar.run(12)
    story.sync()
    assert story.cellar.frames_lost > 48 * 4 * len(story.nodes) * 0.03
    assert story.missing() == {}
    assert story.gaps() == []


def test_what_no_sensor_remembers_is_given_up_and_shown(story: Story) -> None:
    forgetful = story.nodes[0]
    forgetful.sensor.memory = Memory(12)
    story.cellar.run(3)
    story.outage()
    story.cellar.run(30)
    story.sync()
    missing = story.missing()
    assert {dev_eui for dev_eui, _ in missing} == {forgetful.device.dev_eui}
    gaps = story.gaps()
    assert {(gap.dev_eui, gap.channel): gap.intervals for gap in gaps} == {
        key: len(intervals) for key, intervals in missing.items()
    }
    assert all(8 <= gap.intervals <= 14 for gap in gaps)
    assert all(gap.given_up for gap in gaps)


# The same with real processes ----------------------------------------------------

SENSORS, INTERVAL_S = 3, 2
OFF_INTERVALS = 24
BEFORE, AFTER = 4, 13  # intervals


@pytest.mark.timeout(240)
def test_a_real_agent_that_was_away_for_24_intervals_gets_them_back(tmp_path: Path) -> None:
    ledger, devices = tmp_path / "ledger.jsonl", tmp_path / "devices.json"
    simulate = [EDGE_AGENT, "simulate", "--sensors", str(SENSORS), "--interval-s", str(INTERVAL_S)]
    simulate += ["--seed", "2", "--dev-nonce-start", "1"]  # which gives sensors that are near
    run([*simulate, "--devices", devices])
    with (
        rig.Cloud(tmp_path / "cloud") as cloud,
        Agent(tmp_path / "gateway", "00800000a0000021", "localhost", cloud.broker.port) as agent,
    ):
        agent.environment["EDGE_AGENT__NETWORK"] = json.dumps({"rx1_delay_s": 1})
        agent.command("device", "import", devices)
        cloud.add_tenant("tenant", agent, devices)
        cloud.start_receiver()
        agent.start()
        duration_s = 10 + INTERVAL_S * (BEFORE + OFF_INTERVALS + AFTER)
        sensors = Process(
            [*simulate, "--port", str(agent.port), "--ledger", ledger, "--duration-s", str(duration_s)],
            tmp_path / "simulator.log",
        ).start()
        _wait_for_intervals(ledger, BEFORE)
        agent.kill()
        _wait_for_intervals(ledger, BEFORE + OFF_INTERVALS)
        agent.forget_datagrams()
        agent.start()
        assert sensors.wait(120) == 0
        wait_until(lambda: _all_confirmed(agent), "receipts for everything")
        measured = intervals_measured([ledger])
        found = interval_balance(measured, cloud.readings("tenant"))
        holes = agent.command("readings", "--holes")
    assert found.right, found
    assert found.brought_back >= (OFF_INTERVALS - 1) * _channels(measured)
    assert holes == "No interval is missing.\n"


def _wait_for_intervals(ledger: Path, count: int) -> None:
    """Until each channel of each sensor has measured so many."""

    def there() -> bool:
        if not ledger.exists():
            return False
        measured = intervals_measured([ledger])
        return len({one["dev_eui"] for one in measured}) == SENSORS and len(measured) >= count * _channels(
            measured
        )

    wait_until(there, f"{count} intervals", timeout_s=60 + 2 * count * INTERVAL_S, step_s=0.2)


def _channels(measured: list[dict[str, Any]]) -> int:
    return len({(one["dev_eui"], one["channel"]) for one in measured})


def _all_confirmed(agent: Agent) -> bool:
    store = agent.status()["store"]
    return bool(store["rows_unbatched"] == store["batches_unreceipted"] == 0)
