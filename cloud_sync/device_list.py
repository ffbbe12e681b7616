"""DevEUIs by the file: one a line, or a gateway's JSON devices file, of which nothing but dev_eui is read.

That one holds session keys, and columns of a list may be shifted: no message repeats what stands in it.
"""

from __future__ import annotations

import json
from typing import Any

from cloud_sync.errors import ConfigurationError
from edge_codecs.identifiers import DevEUI

_HINT = 'One DevEUI a line, or JSON: [{"dev_eui": "70b3d57ed0000001"}, …]'


def parse_devices(text: str, name: str) -> list[DevEUI]:
    """The DevEUIs in the order of the file; `#` begins a comment. Raises ConfigurationError."""
    text = text.removeprefix("\ufeff")
    places = _from_json(text, name) if text.lstrip()[:1] in ("[", "{") else _from_lines(text)
    if not places:
        raise ConfigurationError(f"{name} has no device", hint=_HINT)
    found: dict[DevEUI, str] = {}
    for place, value in places:
        try:
            dev_eui = DevEUI.parse(value) if isinstance(value, str) else None
        except ValueError:
            dev_eui = None
        if dev_eui is None:
            raise ConfigurationError(f"{name}: {place} has no DevEUI of 16 hex digits", hint=_HINT)
        if dev_eui in found:
            raise ConfigurationError(
                f"{name}: {place}: {dev_eui} stands at {found[dev_eui]} already", hint="Remove one of the two"
            )
        found[dev_eui] = place
    return list(found)


def _from_lines(text: str) -> list[tuple[str, Any]]:
    lines = [(f"line {n}", line.partition("#")[0].strip()) for n, line in enumerate(text.splitlines(), 1)]
    return [(place, line) for place, line in lines if line]


def _from_json(text: str, name: str) -> list[tuple[str, Any]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigurationError(f"{name} is not JSON{where}", hint=_HINT) from None
    entries = content if isinstance(content, list) else [content]
    return [
        (f"device {number}", entry.get("dev_eui") if isinstance(entry, dict) else None)
        for number, entry in enumerate(entries, 1)
    ]
