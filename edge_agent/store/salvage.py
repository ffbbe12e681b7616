"""A damaged store: set it aside, never delete it; read what can be read, row by row, into a new one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.store.key_provider import StoreKey


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What came over, and where the damaged file is now."""

    set_aside: Path
    rows: int
    rows_lost: int
    devices: int
    devices_lost: int


def salvage(path: Path, key: StoreKey) -> Salvaged:
    """Put a new store with a new stream in the place of the damaged one.

    `Store.open` does it by itself. The agent must not run. Raises StoreLocked, ConfigurationError.
    """
    raise NotImplementedError
