"""Devices by the file: what `edge-agent device add --file FILE` takes. (signatures)"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_agent.lorawan.session import Session


def parse_devices(text: str, name: str = "the devices file") -> list[Session]:
    """Read JSON or CSV text. Raises ConfigurationError that names the device and field, never a key."""
    raise NotImplementedError


def read_devices(path: Path) -> list[Session]:
    """Read a devices file. Raises ConfigurationError."""
    raise NotImplementedError


def write_devices(path: Path, sessions: Sequence[Session]) -> None:
    """Write a devices file (JSON) that only its owner can read, replacing one of that name in one step."""
    raise NotImplementedError
