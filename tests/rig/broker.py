"""A real mosquitto of our own for a test, with the configuration that we ship (config/broker)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.rig.process import Process, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "config" / "broker"


def find_mosquitto() -> Path | None:
    """MOSQUITTO, the path, Debian's place, or where `make install` unpacks it."""
    candidates = [os.environ.get("MOSQUITTO"), shutil.which("mosquitto"), "/usr/sbin/mosquitto"]
    candidates.append(str(ROOT / ".tools/mosquitto/usr/sbin/mosquitto"))
    return next((Path(place) for place in candidates if place and os.access(place, os.X_OK)), None)


class Broker:
    """One mosquitto on loopback. `directory` keeps its persistence beyond stop() and kill()."""

    def __init__(
        self,
        directory: Path,
        ca: Path,
        certificate: Path,
        key: Path,
        *,
        port: int | None = None,
        replace: Iterable[tuple[str, str]] = (),
        extra: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`replace` changes text of the shipped configuration, `extra` is appended to it."""
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._directory = directory
        binary = find_mosquitto()
        if binary is None:
            raise FileNotFoundError("no mosquitto: apt-get install mosquitto, or set MOSQUITTO")
        shutil.copy(SHIPPED / "acl", directory / "acl")
        text = (SHIPPED / "mosquitto.conf").read_text()
        changes = [
            ("listener 8883", f"listener {self.port} 127.0.0.1"),
            ("/etc/mosquitto/clipr/ca.crt", str(ca)),
            ("/etc/mosquitto/clipr/broker.crt", str(certificate)),
            ("/etc/mosquitto/clipr/broker.key", str(key)),
            ("/etc/mosquitto/clipr/acl", str(directory / "acl")),
            ("/var/lib/mosquitto/", f"{directory}/"),
            *replace,
        ]
        for old, new in changes:
            assert old in text, f"config/broker/mosquitto.conf no longer says {old!r}"
            text = text.replace(old, new)
        if os.geteuid() == 0:
            text += "user root\n"  # else it becomes `mosquitto`, who may not read a test's folder
        (directory / "mosquitto.conf").write_text(f"{text}{extra}\n")
        environment = dict(environment or {})
        if "/.tools/" in str(binary):  # unpacked, not installed: its libraries lie beside it
            libraries = [str(p) for p in (ROOT / ".tools/mosquitto/usr/lib").glob("*-linux-gnu*")]
            environment["LD_LIBRARY_PATH"] = ":".join(libraries)
        self._process = Process(
            [binary, "-c", directory / "mosquitto.conf"], directory / "broker.log", environment
        )

    def start(self) -> Self:
        """Returns when it takes connections."""
        self._process.start()
        try:
            wait_until(lambda: self._answers() or not self._process.running, "mosquitto to listen")
            assert self._process.running, f"mosquitto did not start:\n{self.log}"
        except BaseException:
            self._process.kill()
            raise
        return self

    def stop(self) -> None:
        """SIGTERM: it saves its queues."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL: what it had not saved is gone."""
        self._process.kill()

    def reload(self) -> None:
        """SIGHUP: it reads ACL, certificates and revocation list anew."""
        os.kill(self._process.pid, signal.SIGHUP)

    @property
    def acl(self) -> Path:
        """Its copy of the access rules."""
        return self._directory / "acl"

    @property
    def log(self) -> str:
        """What it has written."""
        return self._process.said()

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process.running

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self.stop()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
