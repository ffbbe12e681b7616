"""`make demo`: the whole path once, on this machine alone.

Two tenants, each with a gateway and ten sensors, which are switched on and join over the air. While their
readings arrive some frames are lost on the way, both ways; the broker is killed and comes back, and one agent
is killed with -9. At the end every reading sent must be in the right tenant's records exactly once, and every
interval measured, those of lost frames out of the sensors' memory: the table says so, and the exit status.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from edge_agent.devices_file import write_devices
from edge_agent.simulate.simulation import Outcome, Simulation, devices_of, simulate
from edge_codecs.identifiers import EUI64
from tests.demo_picture import draw
from tests.rig.agent import Agent
from tests.rig.cloud import Cloud
from tests.rig.ledger import (
    Balance,
    IntervalBalance,
    balance,
    interval_balance,
    intervals_measured,
    readings_balance,
    readings_sent,
    sent,
)
from tests.rig.process import wait_until

OUT = Path("demo-out")
SENSORS = 10
INTERVAL_S = 6
WATER_SPEED = 150.0  # a sensor's 15 minutes of water in an interval
LOSSES_END_S = 28.0  # nothing is lost on the air from then on, so that all can come back
ASKS_S = LOSSES_END_S + 2.5 * INTERVAL_S  # by then the agent knows of every hole
LONGEST_S = 100.0
BROKER_DIES_S, BROKER_BACK_S, AGENT_DIES_S, AGENT_BACK_S = 14.0, 20.0, 23.0, 24.5
RX1_DELAY_S = 1  # short intervals leave no time for the usual 5
TENANTS = (("aqua-nord", "00800000a0000001"), ("hotel-sued", "00800000a0000002"))


@dataclass(slots=True)
class Building:
    """One tenant's gateway with its sensors."""

    tenant: str
    agent: Agent
    plan: Simulation
    ledger: Path
    outcome: Outcome = field(default_factory=Outcome)
    missing: int = 0  # intervals that the agent knows it lacks
    enough: threading.Event = field(default_factory=threading.Event)

    def play(self) -> None:
        """Let its sensors live until it is enough."""
        simulate(
            self.plan,
            "127.0.0.1",
            self.agent.port,
            ledger=self.ledger,
            progress=self._heard,
            should_stop=self.enough.is_set,
        )

    def look_for_holes(self) -> int:
        """Ask the store, as an operator would."""
        lines = self.agent.command("readings", "--holes", "--json").splitlines()
        self.missing = sum(json.loads(line)["intervals"] for line in lines)
        return self.missing

    def _heard(self, outcome: Outcome) -> None:
        self.outcome = outcome


def main() -> int:
    """Run the demonstration; returns 0 only if everything arrived exactly once where it belongs."""
    console = Console()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
        console.print(
            "Starting PostgreSQL, an authority, a broker with TLS 1.3, a receiver and two gateways …"
        )
        cloud = stack.enter_context(Cloud(folder / "cloud"))
        buildings = [_building(stack, cloud, number) for number in range(len(TENANTS))]
        cloud.start_receiver()
        for building in buildings:
            building.agent.start()
        _play(console, cloud, buildings)
        uplinks = {b.tenant: sent([b.ledger]) for b in buildings}
        balances = {tenant: balance(own, cloud.uplinks(tenant)) for tenant, own in uplinks.items()}
        readings = {b.tenant: cloud.readings(b.tenant) for b in buildings}
        readings_balances = {
            tenant: readings_balance(readings_sent(own), readings[tenant]) for tenant, own in uplinks.items()
        }
        intervals = {
            b.tenant: interval_balance(intervals_measured([b.ledger]), readings[b.tenant]) for b in buildings
        }
        strays = _strays(buildings, readings)
        quarantined = len(cloud.quarantined())
        for building in buildings:
            building.agent.stop()
    picture = draw(readings, OUT / "temperatures.png")
    _table(console, balances, readings_balances)
    _intervals_table(console, intervals)
    for tenant, entries in readings.items():
        (OUT / f"{tenant}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    console.print(f"Temperatures as read from the records: {picture}")
    everything = [*balances.values(), *readings_balances.values(), *intervals.values()]
    right = all(entry.right for entry in everything) and not strays and not quarantined
    console.print(
        "Every reading sent and every interval measured is in its tenant's records exactly once."
        if right
        else f"NOT right: {strays} readings with the wrong tenant, {quarantined} in quarantine, see above.",
    )
    return 0 if right else 1


def _building(stack: ExitStack, cloud: Cloud, number: int) -> Building:
    tenant, gateway_id = TENANTS[number]
    folder = cloud.folder.parent / tenant
    agent = stack.enter_context(Agent(folder, gateway_id, "localhost", cloud.broker.port))
    agent.environment["EDGE_AGENT__NETWORK"] = json.dumps({"rx1_delay_s": RX1_DELAY_S})
    plan = Simulation(
        activation="otaa",
        sensors=SENSORS,
        seed=7,
        gateway=EUI64.parse(gateway_id),
        first_sensor=number * SENSORS,
        interval_s=round(INTERVAL_S * WATER_SPEED),
        speed_up=WATER_SPEED,
        duration_s=LONGEST_S,
        calm_s=LONGEST_S - LOSSES_END_S,
        loss=0.15,
        downlink_loss=0.05,
        duplicates=0.1,
        bad_crc=0.05,
        foreign=0.1,
        replays=0.05,
    )
    devices = folder / "devices.json"
    write_devices(devices, devices_of(plan))
    agent.command("device", "import", devices)
    cloud.add_tenant(tenant, agent, devices)
    return Building(tenant, agent, plan, OUT / f"{tenant}.ledger.jsonl")


def _play(console: Console, cloud: Cloud, buildings: Sequence[Building]) -> None:
    players = [threading.Thread(target=b.play, name=b.tenant) for b in buildings]
    first = buildings[0].agent
    events = [
        (BROKER_DIES_S, cloud.broker.kill, "the broker is killed: readings wait on the gateways"),
        (BROKER_BACK_S, cloud.broker.start, "the broker is back: live readings first, the backlog behind"),
        (AGENT_DIES_S, first.kill, f"the agent of {buildings[0].tenant} is killed (-9)"),
        (AGENT_BACK_S, first.start, "the agent is back: its datagrams waited in the kernel"),
        (LOSSES_END_S, lambda: None, "no more losses: sensors are asked for what is missing"),
    ]
    begin_s = time.monotonic()
    console.print("· sensors are switched on and join")
    for player in players:
        player.start()
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        while True:
            while events and time.monotonic() - begin_s >= events[0][0]:
                _, happen, news = events.pop(0)
                happen()
                console.print(f"· {news}")
            may_end = time.monotonic() - begin_s >= ASKS_S and not buildings[0].enough.is_set()
            if may_end and not sum(b.look_for_holes() for b in buildings):
                for building in buildings:
                    building.enough.set()
            waiting = [_waiting(b) for b in buildings]
            live.update(_progress(buildings, waiting))
            if not events and not any(waiting) and not any(player.is_alive() for player in players):
                break
            time.sleep(0.25)
    for player in players:
        player.join()
    for building in buildings:
        wait_until(lambda b=building: _waiting(b) == 0, f"receipts for {building.tenant}", 60)


def _waiting(building: Building) -> int:
    """Rows of this gateway without a batch, and batches without a receipt; 1 while it does not run."""
    if not building.agent.running:
        return 1
    store = building.agent.status()["store"]
    return int(store["rows_unbatched"]) + int(store["batches_unreceipted"])


def _strays(buildings: Sequence[Building], readings: dict[str, list[dict[str, object]]]) -> int:
    """Readings in one tenant's records of a sensor that is another's."""
    own = {b.tenant: {str(device.dev_eui) for device in devices_of(b.plan)} for b in buildings}
    return sum(
        entry["dev_eui"] not in own[tenant] for tenant, entries in readings.items() for entry in entries
    )


def _progress(buildings: Sequence[Building], waiting: Sequence[int]) -> Table:
    columns = (
        "joined",
        "uplinks heard",
        "lost",
        "downlinks heard",
        "intervals measured",
        "missing",
        "not confirmed yet",
    )
    table = Table("tenant", *columns, box=None)
    for building, rows in zip(buildings, waiting, strict=True):
        seen = building.outcome
        counts = (
            seen.joined,
            seen.uplinks,
            seen.lost,
            seen.downlinks_heard,
            seen.intervals,
            building.missing,
            rows,
        )
        table.add_row(building.tenant, *map(str, counts))
    return table


def _table(console: Console, uplinks: dict[str, Balance], readings: dict[str, Balance]) -> None:
    table = Table("tenant", "of", "sent", "stored", "lost", "duplicated", "altered")
    for tenant in uplinks:
        for what, entry in (("uplinks", uplinks[tenant]), ("readings", readings[tenant])):
            counts = (entry.sent, entry.stored, entry.lost, entry.duplicated, entry.altered)
            table.add_row(tenant, what, *map(str, counts))
    console.print(table)


def _intervals_table(console: Console, intervals: dict[str, IntervalBalance]) -> None:
    columns = ("measured", "in the records", "out of sensors' memory", "missing", "twice", "altered")
    table = Table("intervals of", *columns)
    for tenant, entry in intervals.items():
        counts = (
            entry.measured,
            entry.in_records,
            entry.brought_back,
            entry.missing,
            entry.twice,
            entry.altered,
        )
        table.add_row(tenant, *map(str, counts))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
