"""Counter maps kept over restarts of the agent, on a file system that a reboot empties (/run).

So frames that the kernel queued, or the forwarder held back, during a restart are dated right from the first.
A file that cannot be read or written costs only that; it is never a reason to stop.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from edge_agent.radio.counter_map import PROVEN_ARRIVALS, WRAP_US, Offset
from edge_codecs.identifiers import EUI64

Key = tuple[EUI64, str]  # the forwarder's EUI and host

log = logging.getLogger(__name__)


class OffsetFile:
    """The file of one front end; worth something only within one boot of this host."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._boot = boot

    def load(self) -> dict[Key, Offset]:
        """What was kept in this boot; nothing if the file is absent, of another boot, or damaged."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["boot"] != self._boot:
                return {}
            return {
                (EUI64.parse(entry["eui"]), str(entry["host"])): Offset(
                    int(entry["offset_us"]) % WRAP_US,
                    int(entry["prompt_us"]),
                    int(entry["prompt_us"]),
                    PROVEN_ARRIVALS,
                )
                for entry in content["offsets"]
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("counter maps in %s are of no use: %s", self._path, error)
            return {}

    def save(self, offsets: Mapping[Key, Offset]) -> None:
        """Keep those that have proven themselves, replacing the file in one step."""
        entries = [
            {"eui": str(eui), "host": host, "offset_us": offset.us, "prompt_us": offset.prompt_us}
            for (eui, host), offset in offsets.items()
            if offset.proven
        ]
        beside = self._path.with_name(self._path.name + ".new")
        with contextlib.suppress(OSError):
            beside.write_text(json.dumps({"boot": self._boot, "offsets": entries}), encoding="utf-8")
            beside.replace(self._path)
