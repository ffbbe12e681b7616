"""The whole cloud side for a test: PostgreSQL, an authority, a broker, and receivers as real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.rig.agent import Agent
from tests.rig.broker import Broker
from tests.rig.postgres import Postgres
from tests.rig.process import BIN, Process, run, wait_until

CLOUD_SYNC = BIN / "cloud-sync"


class Cloud:
    """Everything on loopback or Unix sockets. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.configuration = folder / "config.toml"
        self.postgres = Postgres()
        self.receivers: list[Process] = []

    def __enter__(self) -> Cloud:
        self.postgres.start()
        try:
            self._set_up()
        except BaseException:
            self.postgres.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for receiver in self.receivers:
            receiver.kill()
        self.broker.kill()
        self.postgres.stop()

    def _set_up(self) -> None:
        self.dsn = self.postgres.create_database("clipr")
        self._configure(port=8883)
        self.command("db", "migrate")
        self.command("ca", "init")
        self.command("ca", "issue-server", "localhost", "--out", self.folder / "broker-certificate")
        self.command("ca", "issue-receiver", "--out", self.folder)
        self.command("keys", "init")
        certificate = self.folder / "broker-certificate"
        self.broker = Broker(
            self.folder / "broker",
            self.folder / "ca" / "ca.crt",
            certificate / "server.crt",
            certificate / "server.key",
        )
        self._configure(port=self.broker.port)
        self.broker.start()

    def _configure(self, port: int) -> None:
        self.configuration.write_text(
            f"""
[database]
dsn = {json.dumps(self.dsn)}
[mqtt]
host = "localhost"
port = {port}
ca_file = "{self.folder}/ca/ca.crt"
certificate_file = "{self.folder}/receiver.crt"
key_file = "{self.folder}/receiver.key"
[keys]
directory = "{self.folder}/keys"
[ca]
directory = "{self.folder}/ca"
"""
        )

    def command(self, *arguments: str | Path) -> str:
        """Run a command of the cloud side; returns what it prints."""
        return run([CLOUD_SYNC, *arguments, "--config", self.configuration])

    def add_tenant(self, tenant: str, agent: Agent, devices: Path) -> None:
        """A tenant with one site, one gateway (whose files are put in its place) and its sensors."""
        self.command("tenant", "add", tenant)
        self.command("site", "add", "main", "--tenant", tenant)
        self.add_gateway(tenant, agent)
        self.command(
            "device", "add", "--file", devices, "--tenant", tenant, "--site", "main", "--from", EARLY
        )

    def add_gateway(self, tenant: str, agent: Agent) -> None:
        """Register a gateway of a tenant and put certificate and keys beside its own."""
        self.command(
            "gateway",
            "add",
            agent.identity,
            "--out",
            agent.folder,
            "--tenant",
            tenant,
            "--site",
            "main",
            "--from",
            EARLY,
        )

    def start_receiver(self, client_id: str = "receiver-1") -> Process:
        """One more receiver."""
        receiver = Process(
            [CLOUD_SYNC, "run", "--config", self.configuration],
            self.folder / f"{client_id}.log",
            {"CLOUD_SYNC__MQTT__CLIENT_ID": client_id},
        )
        self.receivers.append(receiver)
        return receiver.start()

    def readings(self, tenant: str) -> list[dict[str, Any]]:
        """What `cloud-sync readings --json` prints."""
        return [
            json.loads(line) for line in self.command("readings", "--tenant", tenant, "--json").splitlines()
        ]

    def uplinks(self, tenant: str) -> Iterator[tuple[str, int, str]]:
        """DevEUI, frame counter and rebuilt payload of each uplink in the records of `tenant`."""
        for line in self.command("uplinks", "--tenant", tenant, "--json").splitlines():
            uplink = json.loads(line)
            yield uplink["dev_eui"], uplink["f_cnt"], uplink["payload"]

    def quarantined(self) -> list[dict[str, Any]]:
        """What `cloud-sync quarantine list --json` prints."""
        return [json.loads(line) for line in self.command("quarantine", "list", "--json").splitlines()]


EARLY = "2020-01-01T00:00:00Z"


def wait_for_uplinks(cloud: Cloud, tenant: str, count: int, timeout_s: float = 60.0) -> None:
    """Until so many uplinks are in the tenant's records."""
    wait_until(
        lambda: len(list(cloud.uplinks(tenant))) >= count,
        f"{count} uplinks of {tenant}",
        timeout_s=timeout_s,
        step_s=0.5,
    )
