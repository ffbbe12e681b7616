"""The cloud side of a test in one place: database, broker, receivers, registered gateways, and keys."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psycopg
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from cloud_sync.pki.keys import create_keys, load_keys
from edge_agent.sync.identity import Broker as BrokerAddress
from edge_agent.sync.identity import SyncIdentity
from edge_agent.sync.mqtt import MqttLink
from edge_agent.sync.state import SyncState
from edge_agent.sync.uploader import Uploader
from edge_codecs.batch import VerifyKey
from edge_codecs.reading import Uplink
from edge_codecs.receipt import Receipt, verify_receipt
from edge_codecs.topics import receipt_topic, uplink_topic
from tests.fakes.store import FakeStore
from tests.rig.batches import gateway_id, register
from tests.rig.broker import Broker
from tests.rig.certificates import Certificates, Pair
from tests.rig.gateway import WireGateway
from tests.rig.process import Process, wait_until


@dataclass
class Plant:
    """`dsn` is a migrated database's; the broker runs after `start`, receivers after `receiver().start()`."""

    directory: Path
    dsn: str
    parts: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pki = Certificates(self.directory / "pki")
        server = self.pki.server()
        self.broker = Broker(self.directory / "broker", self.pki.ca, server.certificate, server.key)
        create_keys(self.directory / "keys")
        self.keys = load_keys(self.directory / "keys")
        self.sealing_key = max(self.keys.sealing.values(), key=lambda key: key.number).public_key

    def receiver(self, name: str = "receiver") -> Process:
        """A receiver of the group, not started; its CN and client id are `name`."""
        pair = self.pki.client(name)
        configuration = self.directory / f"{name}.toml"
        configuration.write_text(
            f"[database]\ndsn = {json.dumps(self.dsn)}\n"
            f'[mqtt]\nhost = "localhost"\nport = {self.broker.port}\nca_file = "{self.pki.ca}"\n'
            f'certificate_file = "{pair.certificate}"\nkey_file = "{pair.key}"\nclient_id = "{name}"\n'
            f'[keys]\ndirectory = "{self.directory / "keys"}"\n'
        )
        process = Process(
            [sys.executable, "-m", "tests.rig.run_receiver", configuration], self.directory / f"{name}.log"
        )
        self.parts.append(process)
        return process

    def ready(self, receiver: Process) -> Process:
        """Start it and wait until it receives."""
        before = receiver.said().count("receiving from")
        receiver.start()
        wait_until(
            lambda: receiver.said().count("receiving from") > before or not receiver.running,
            "the receiver to be ready",
        )
        assert receiver.running, receiver.said()
        return receiver

    def gateway(
        self, number: int = 1, *, tenant: str | None = "acme", devices: Sequence[int] = ()
    ) -> WireGateway:
        """A gateway, registered with devices under `tenant` unless that is None."""
        made = WireGateway(gateway_id(number), self.sealing_key)
        if tenant is not None:
            register(self.dsn, tenant, [made], devices)  # type: ignore[list-item]
        return made

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """As superuser, whom no policy binds."""
        with psycopg.connect(self.dsn, autocommit=True, options="-c search_path=clipr") as connection:
            return connection.execute(statement, parameters).fetchall()

    def frames(self) -> list[tuple[str, int]]:
        """(DevEUI, frame counter) of every uplink in the records."""
        return sorted((bytes(d).hex(), f) for d, f in self.query("SELECT dev_eui, f_cnt FROM uplinks"))

    def quarantined(self) -> list[str]:
        """The reasons in quarantine."""
        return [reason for (reason,) in self.query("SELECT reason FROM quarantine ORDER BY id")]

    def end(self) -> None:
        """Stop what runs."""
        for part in self.parts:
            part.kill()
        self.broker.kill()


class WireClient:
    """A gateway as a bare MQTT client: publishes what a test gives it, hears its receipts."""

    def __init__(self, plant: Plant, gateway: WireGateway) -> None:
        self.gateway = gateway
        self._receipt_key: VerifyKey = plant.keys.receipt.verify_key
        self.receipts: list[Receipt] = []
        pair = plant.pki.client(str(gateway.id))
        context = ssl.create_default_context(cafile=str(plant.pki.ca))
        context.load_cert_chain(pair.certificate, pair.key)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set_context(context)
        self._client.on_message = lambda _c, _u, message: self.receipts.append(
            verify_receipt(bytes(message.payload), self._receipt_key)
        )
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("localhost", plant.broker.port)
        self._client.loop_start()
        self._client.subscribe(receipt_topic(gateway.id), qos=1)
        assert subscribed.wait(10)

    def publish(self, wire: bytes, topic: str | None = None) -> None:
        self._client.publish(topic or uplink_topic(self.gateway.id), wire, qos=1).wait_for_publish(10)

    def answer(self, wire: bytes) -> Receipt:
        """Publish, and wait for the receipt that comes next."""
        count = len(self.receipts)
        self.publish(wire)
        wait_until(lambda: len(self.receipts) > count, "a receipt")
        return self.receipts[count]

    def __enter__(self) -> WireClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Agent:
    """The real uploader and link over a store in memory, on a thread of its own."""

    def __init__(
        self,
        plant: Plant,
        gateway: WireGateway,
        *,
        certificate: Pair | None = None,
        port: int | None = None,
        rows_per_s: int = 100_000,
    ) -> None:
        pair = certificate or plant.pki.client(str(gateway.id))
        address = BrokerAddress(
            "localhost", port or plant.broker.port, plant.pki.ca, pair.certificate, pair.key
        )
        receipts = plant.keys.receipt.verify_key
        self._identity = SyncIdentity(
            gateway.id, address, gateway.signing_key, plant.sealing_key, receipts, rows_per_s
        )
        self.store = FakeStore(gateway.id, gateway.stream)
        self._uploader: Uploader | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def keep(self, uplinks: Sequence[Uplink], *, backlog: bool = False) -> None:
        """Rows come in; `backlog`: and are old already."""

        def put() -> None:
            self.store.keep(uplinks)
            if backlog:
                self.store.live_from = len(self.store.rows) + 1

        self._on_loop(put)

    def state(self) -> SyncState:
        assert self._uploader is not None
        return self._uploader.state()

    @property
    def done(self) -> bool:
        """Whether every row is confirmed."""
        batches = self.store.batches
        formed = sum(batch.count for batch in batches)
        return formed == len(self.store.rows) and self.store.receipted == len(batches)

    def wait(self, timeout_s: float = 60.0) -> None:
        """Until every row is confirmed."""
        wait_until(lambda: self.done, f"all receipts ({self.state})", timeout_s)

    def __enter__(self) -> Agent:
        self._thread.start()
        wait_until(lambda: self._uploader is not None, "the uploader")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())
        self._thread.join(30)
        self._loop.close()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def _run(self) -> None:
        async def main() -> None:
            self.store.wake = asyncio.Event()
            self._uploader = Uploader(self.store, MqttLink(self._identity), self._identity, self)
            await self._uploader.run()

        self._task = self._loop.create_task(main())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)

    def _on_loop(self, function: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            function()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10)
