"""`make demo`: the whole path once, on this machine alone.

Two tenants, each with a gateway and ten sensors. While their readings arrive the broker is killed and comes
back, and one agent is killed with -9. At the end every reading sent must be in the right tenant's records
exactly once: the table says so, and the exit status.
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
from edge_agent.simulate.plan import Outcome, Simulation
from edge_agent.simulate.scenario import sessions_of
from edge_agent.simulate.simulation import simulate
from edge_codecs.identifiers import EUI64
from tests.demo_picture import draw
from tests.rig.agent import Agent
from tests.rig.cloud import Cloud
from tests.rig.ledger import Balance, balance, readings_balance, readings_sent, sent
from tests.rig.process import wait_until

OUT = Path("demo-out")
SENSORS = 10
UPLINKS = 600  # per tenant
RATE_PER_S = 20.0
BROKER_DIES_AT, BROKER_BACK_AFTER_S, AGENT_DIES_AT = 0.25, 8.0, 0.6  # shares of the uplinks; seconds
TENANTS = (("aqua-nord", "00800000a0000001"), ("hotel-sued", "00800000a0000002"))


@dataclass(slots=True)
class Building:
    """One tenant's gateway with its sensors."""

    tenant: str
    agent: Agent
    plan: Simulation
    ledger: Path
    outcome: Outcome = field(default_factory=Outcome)

    def play(self) -> None:
        """Send all its sensors' frames."""
        simulate(self.plan, "127.0.0.1", self.agent.port, ledger=self.ledger, progress=self._heard)

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
        strays = _strays(buildings, readings)
        quarantined = len(cloud.quarantined())
        for building in buildings:
            building.agent.stop()
    picture = draw(readings, OUT / "temperatures.png")
    _table(console, balances, readings_balances)
    for tenant, entries in readings.items():
        (OUT / f"{tenant}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    console.print(f"Temperatures as read from the records: {picture}")
    everything = [*balances.values(), *readings_balances.values()]
    right = all(entry.right for entry in everything) and not strays and not quarantined
    console.print(
        "Every reading sent is in its tenant's records exactly once."
        if right
        else f"NOT right: {strays} readings with the wrong tenant, {quarantined} in quarantine, see above.",
    )
    return 0 if right else 1


def _building(stack: ExitStack, cloud: Cloud, number: int) -> Building:
    tenant, gateway_id = TENANTS[number]
    folder = cloud.folder.parent / tenant
    agent = stack.enter_context(Agent(folder, gateway_id, "localhost", cloud.broker.port))
    plan = Simulation(
        sensors=SENSORS,
        seed=7,
        gateway=EUI64.parse(gateway_id),
        first_sensor=number * SENSORS,
        interval_s=900,
        rate_per_s=RATE_PER_S,
        uplinks=UPLINKS,
        loss=0.02,
        duplicates=0.1,
        bad_crc=0.05,
        foreign=0.1,
        replays=0.05,
    )
    devices = folder / "devices.json"
    write_devices(devices, sessions_of(plan))
    agent.command("device", "add", "--file", devices)
    cloud.add_tenant(tenant, agent, devices)
    return Building(tenant, agent, plan, folder / "ledger.jsonl")


def _play(console: Console, cloud: Cloud, buildings: Sequence[Building]) -> None:
    players = [threading.Thread(target=b.play, name=b.tenant) for b in buildings]
    news = "sensors begin to send"
    broker_dies_at = BROKER_DIES_AT * UPLINKS
    broker_back_s = agent_back_s = float("inf")
    agent_dies_at = AGENT_DIES_AT * UPLINKS
    for player in players:
        player.start()
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        told = ""
        while True:
            if news != told:
                console.print(f"· {news}")
                told = news
            now_s, heard = time.monotonic(), buildings[0].outcome.uplinks
            if heard >= broker_dies_at:
                cloud.broker.kill()
                broker_dies_at, broker_back_s = float("inf"), now_s + BROKER_BACK_AFTER_S
                news = "the broker is killed: readings wait on the gateways"
            if now_s >= broker_back_s:
                cloud.broker.start()
                broker_back_s = float("inf")
                news = "the broker is back: live readings first, the backlog behind"
            if heard >= agent_dies_at:
                buildings[0].agent.kill()
                agent_dies_at, agent_back_s = float("inf"), now_s + 1.5
                news = f"the agent of {buildings[0].tenant} is killed (-9)"
            if now_s >= agent_back_s:
                buildings[0].agent.start()
                agent_back_s = float("inf")
                news = "the agent is back: its datagrams waited in the kernel"
            waiting = [_waiting(b) for b in buildings]
            live.update(_progress(buildings, waiting))
            busy = any(player.is_alive() for player in players) or agent_back_s < float("inf")
            if not busy and not any(waiting):
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
    own = {b.tenant: {str(session.dev_eui) for session in sessions_of(b.plan)} for b in buildings}
    return sum(
        entry["dev_eui"] not in own[tenant] for tenant, entries in readings.items() for entry in entries
    )


def _progress(buildings: Sequence[Building], waiting: Sequence[int]) -> Table:
    table = Table("tenant", "uplinks sent", "not confirmed yet", box=None)
    for building, rows in zip(buildings, waiting, strict=True):
        table.add_row(building.tenant, str(building.outcome.uplinks), str(rows))
    return table


def _table(console: Console, uplinks: dict[str, Balance], readings: dict[str, Balance]) -> None:
    table = Table("tenant", "of", "sent", "stored", "lost", "duplicated", "altered")
    for tenant in uplinks:
        for what, entry in (("uplinks", uplinks[tenant]), ("readings", readings[tenant])):
            counts = (entry.sent, entry.stored, entry.lost, entry.duplicated, entry.altered)
            table.add_row(tenant, what, *map(str, counts))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
