"""What transmitters sent in the last hour, kept over restarts of the agent where a reboot forgets it (/run).

A file that cannot be read or written is no reason to stop; the account then begins anew, and says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edge_agent.network.duty_cycle import OnAir
from edge_codecs.identifiers import EUI64

Spent = Mapping[str, list[OnAir]]  # by sub-band

log = logging.getLogger(__name__)


class ForwarderKey(NamedTuple):
    """Which transmitter: the front end's name, the forwarder's EUI and host."""

    source: str
    eui: EUI64
    host: str


class DutyCycleFile:
    """The file of one agent; worth something only within one boot of this host."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._boot = boot
        self._failed = False

    def load(self) -> dict[ForwarderKey, Spent]:
        """What was kept in this boot; nothing if the file is absent, of another boot, or damaged."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["boot"] != self._boot:
                return {}
            return {
                ForwarderKey(str(entry["source"]), EUI64.parse(entry["eui"]), str(entry["host"])): {
                    str(band): [OnAir(int(end_ns), int(ns)) for end_ns, ns in on_air]
                    for band, on_air in entry["spent"].items()
                }
                for entry in content["transmitters"]
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("the duty cycle in %s is of no use, it counts from now on: %s", self._path, error)
            return {}

    def save(self, transmitters: Mapping[ForwarderKey, Spent]) -> None:
        """Replace the file in one step. Warns once when that fails."""
        entries = [
            {"source": key.source, "eui": str(key.eui), "host": key.host, "spent": spent}
            for key, spent in transmitters.items()
        ]
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_text(json.dumps({"boot": self._boot, "transmitters": entries}), encoding="utf-8")
            beside.replace(self._path)
        except OSError as error:
            if not self._failed:
                log.warning("the duty cycle would not survive a restart of the agent: %s", error)
            self._failed = True
