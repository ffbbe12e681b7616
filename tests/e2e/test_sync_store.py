"""The real store, uploader and link against a real broker and receiver: what is kept arrives, once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from edge_agent.store_thread import StoreThread
from edge_agent.sync import progress
from edge_agent.sync.identity import Broker as BrokerAddress
from edge_agent.sync.identity import SyncIdentity
from edge_agent.sync.mqtt import MqttLink
from edge_agent.sync.uploader import Uploader
from tests.rig.batches import register
from tests.rig.broker import find_mosquitto
from tests.rig.gateway import WireGateway
from tests.rig.plant import Plant
from tests.rig.postgres import Postgres, installations, migrated_database
from tests.rig.store import GATEWAY, START_MS, Now, clock, dev_eui, open_store, session, uplink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_mosquitto() is None, reason="no mosquitto here"),
    pytest.mark.skipif(not installations(), reason="no PostgreSQL here"),
]

NOW_S = 100_000.0


class Wall:
    def wall_ms(self) -> int:
        return START_MS + round(NOW_S * 1000)


@pytest.fixture
def plant(tmp_path) -> Iterator[Plant]:
    with Postgres() as server, migrated_database(server) as dsn:
        made = Plant(tmp_path, dsn)
        try:
            with made.broker:
                yield made
        finally:
            made.end()


class Gateway:
    """One gateway whose store outlives its runs."""

    def __init__(self, plant: Plant, path: Path) -> None:
        self._plant = plant
        self._path = path
        self._wire = WireGateway(GATEWAY, plant.sealing_key)
        register(plant.dsn, "acme", [self._wire], [0, 1], since=datetime(2025, 1, 1, tzinfo=UTC))
        pair = plant.pki.client(str(GATEWAY))
        self._address = BrokerAddress(
            "localhost", plant.broker.port, plant.pki.ca, pair.certificate, pair.key
        )

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[StoreThread]:
        """The store alone: the link is down."""
        store = StoreThread()
        await store.open(lambda: open_store(self._path, now=Now(NOW_S)))
        try:
            yield store
        finally:
            await store.close()

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[tuple[StoreThread, Uploader]]:
        async with self.store() as store:
            key = self._wire.signing_key
            identity = SyncIdentity(
                GATEWAY,
                self._address,
                key,
                self._plant.sealing_key,
                self._plant.keys.receipt.verify_key,
                100_000,
            )
            uploader = Uploader(store, MqttLink(identity), identity, Wall())
            task = asyncio.create_task(uploader.run())
            try:
                yield store, uploader
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def settled(self, store: StoreThread, uploader: Uploader, timeout_s: float = 60.0) -> None:
        end = asyncio.get_running_loop().time() + timeout_s
        while True:
            pending = await store.pending()
            if pending.rows_unbatched == pending.batches_unreceipted == 0:
                return
            assert asyncio.get_running_loop().time() < end, f"{pending}, {uploader.state()}"
            await asyncio.sleep(0.02)


def expected(*counts: int) -> list[tuple[str, int]]:
    return sorted((dev_eui(d).hex(), n) for d, count in enumerate(counts) for n in range(count))


def rows(device: int, numbers: range, at_s: float):
    return [uplink(device, n, at_s=at_s + n / 10) for n in numbers]


def test_what_was_kept_without_a_link_and_what_comes_now_arrives_once(plant, tmp_path):
    gateway = Gateway(plant, tmp_path / "store.db")
    plant.ready(plant.receiver())

    async def story() -> None:
        async with gateway.store() as store:
            await store.call(lambda opened: opened.add_devices([session(0), session(1)]))
            await store.keep(rows(0, range(2500), NOW_S - 5000), clock(NOW_S))
        async with gateway.run() as (store, uploader):
            await store.keep(rows(1, range(10), NOW_S - 1), clock(NOW_S))
            await gateway.settled(store, uploader)
            assert uploader.state().rows_confirmed == 2510
            assert uploader.state().last_error is None

    asyncio.run(story())
    assert plant.frames() == expected(2500, 10)
    lanes = plant.query("SELECT dev_eui, historical, count(*) FROM uplinks GROUP BY 1, 2 ORDER BY 1")
    assert [(historical, count) for _, historical, count in lanes] == [(True, 2500), (False, 10)]
    assert plant.quarantined() == []


def test_rows_that_wait_for_the_clock_go_as_soon_as_it_is_in_step(plant, tmp_path):
    gateway = Gateway(plant, tmp_path / "store.db")
    plant.ready(plant.receiver())

    async def story() -> None:
        async with gateway.run() as (store, uploader):
            await store.call(lambda opened: opened.add_devices([session(0)]))
            await store.keep(rows(0, range(5), NOW_S - 1), None)
            assert (await store.pending()).rows_unresolved == 5
            await store.clock_in_step(clock(NOW_S))
            await gateway.settled(store, uploader, timeout_s=10)

    asyncio.run(story())
    assert plant.frames() == expected(5)


def test_an_agent_that_ends_at_any_moment_goes_on_where_it_was(plant, tmp_path):
    gateway = Gateway(plant, tmp_path / "store.db")
    plant.ready(plant.receiver())

    async def story() -> None:
        async with gateway.store() as store:
            await store.call(lambda opened: opened.add_devices([session(0)]))
        for n in range(6):
            async with gateway.run() as (store, uploader):
                await store.keep(rows(0, range(200 * n, 200 * n + 200), NOW_S - 500), clock(NOW_S))
                while not uploader.state().batches_sent and n % 2:
                    await asyncio.sleep(0.005)
        async with gateway.run() as (store, uploader):
            await gateway.settled(store, uploader)

    asyncio.run(story())
    assert plant.frames() == expected(1200)
    assert plant.quarantined() == []


RECORDS = (
    "streams",
    "batches",
    "early_batches",
    "gaps",
    "evidence",
    "uplinks",
    "receptions",
    "device_sessions",
    "readings",
    "history_spans",
    "events",
)


def as_owner(plant: Plant, statement: str) -> None:
    """Run a statement on each table of the records."""
    with psycopg.connect(plant.dsn, options="-c search_path=clipr") as connection:
        for table in RECORDS:
            connection.execute(SQL(statement).format(table=Identifier(table)))


def back_up(plant: Plant) -> None:
    """Keep the records as they are, beside."""
    with psycopg.connect(plant.dsn) as connection:
        connection.execute("CREATE SCHEMA backup")
    as_owner(plant, "CREATE TABLE backup.{table} AS TABLE {table}")


def restore(plant: Plant) -> None:
    """Put back the records as they were."""
    with psycopg.connect(plant.dsn, options="-c search_path=clipr") as connection:
        connection.execute(SQL("TRUNCATE {}").format(SQL(", ").join(map(Identifier, RECORDS))))
    as_owner(plant, "INSERT INTO {table} SELECT * FROM backup.{table}")


@pytest.mark.parametrize("backed_up", [0, 700], ids=["to nothing", "to an older state"])
@pytest.mark.parametrize("pruned", [False, True], ids=["all is kept", "the oldest rows are gone"])
def test_a_restored_cloud_is_filled_again(plant, tmp_path, monkeypatch, backed_up, pruned):
    """Through to the readings: all that was in the backup or is still at the gateway, and nothing twice."""
    monkeypatch.setattr(progress, "FORGETFUL_MS", 0)  # a real backup is older than a minute
    gateway = Gateway(plant, tmp_path / "store.db")
    plant.ready(plant.receiver())
    old = 1000  # rows that retention takes, if it does
    day_s = 86_400.0

    async def story() -> None:
        async with gateway.run() as (store, uploader):
            await store.call(lambda opened: opened.add_devices([session(0)]))
            if backed_up:
                await store.keep(rows(0, range(backed_up), NOW_S - day_s), clock(NOW_S))
                await gateway.settled(store, uploader)
            back_up(plant)
            await store.keep(rows(0, range(backed_up, old), NOW_S - day_s + 100), clock(NOW_S))
            await gateway.settled(store, uploader)
            await store.keep(rows(0, range(old, 2200), NOW_S - 5000), clock(NOW_S))
            await gateway.settled(store, uploader)
            if pruned:
                before_ms = START_MS + round((NOW_S - day_s / 2) * 1000)
                while await store.call(lambda opened: opened.take_in()):
                    pass
                while await store.call(lambda opened: opened.prune(before_ms + 30 * 86_400_000)):
                    pass
            stream = await store.stream()
            restore(plant)
            await store.keep(rows(0, range(2200, 2201), NOW_S - 1), clock(NOW_S))
            while not uploader.state().batches_forgotten:
                await asyncio.sleep(0.02)
            await gateway.settled(store, uploader)
            assert uploader.state().last_error is None
            assert (await store.stream() != stream) is pruned

    asyncio.run(asyncio.wait_for(story(), 120))
    first = old if pruned else backed_up
    kept = sorted((dev_eui(0).hex(), n) for n in [*range(backed_up), *range(first, 2201)])
    assert plant.frames() == kept
    assert plant.query("SELECT count(*) FROM readings") == [(len(kept),)]
    assert plant.quarantined() == []
