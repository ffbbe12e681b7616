"""What is known of packet forwarders, kept over restarts of the agent where a reboot forgets it (/run).

So frames that the kernel queued, or the forwarder held back, during a restart are dated right from the first,
and can be answered before the forwarder asks for downlinks again. A file that cannot be read or written costs
only that; it is never a reason to stop.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.radio.counter_map import PROVEN_ARRIVALS, WRAP_US, Offset
from edge_agent.radio.gwmp import VERSIONS
from edge_codecs.identifiers import EUI64

Key = tuple[EUI64, str]  # the forwarder's EUI and host

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownForwarder:
    """Its counter map, and the port and protocol version of its latest PULL_DATA; port None: none came."""

    offset: Offset
    downlink_port: int | None
    protocol: int


class ForwarderFile:
    """The file of one front end; worth something only within one boot of this host."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._boot = boot

    def load(self) -> dict[Key, KnownForwarder]:
        """What was kept in this boot; nothing if the file is absent, of another boot, or damaged."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["boot"] != self._boot:
                return {}
            return {
                (EUI64.parse(entry["eui"]), str(entry["host"])): _known(entry)
                for entry in content["forwarders"]
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("what %s tells of packet forwarders is of no use: %s", self._path, error)
            return {}

    def save(self, forwarders: Mapping[Key, KnownForwarder]) -> None:
        """Keep those whose counter maps have proven themselves, replacing the file in one step."""
        entries = [
            {
                "eui": str(eui),
                "host": host,
                "offset_us": known.offset.us,
                "prompt_us": known.offset.prompt_us,
                "downlink_port": known.downlink_port,
                "protocol": known.protocol,
            }
            for (eui, host), known in forwarders.items()
            if known.offset.proven
        ]
        beside = self._path.with_name(self._path.name + ".new")
        with contextlib.suppress(OSError):
            beside.write_text(json.dumps({"boot": self._boot, "forwarders": entries}), encoding="utf-8")
            beside.replace(self._path)


def _known(entry: Mapping[str, object]) -> KnownForwarder:
    us, prompt_us, port, protocol = (
        entry[name] for name in ("offset_us", "prompt_us", "downlink_port", "protocol")
    )
    if type(us) is not int or type(prompt_us) is not int:
        raise ValueError("an offset is no number")
    if port is not None and (type(port) is not int or not 0 < port < 1 << 16):
        raise ValueError("a port is none")
    if type(protocol) is not int or protocol not in VERSIONS:
        raise ValueError("a protocol version is none")
    return KnownForwarder(Offset(us % WRAP_US, prompt_us, prompt_us, PROVEN_ARRIVALS), port, protocol)
