"""DevEUIs by the file: one a line, or a gateway's devices file (JSON, CSV), of which only dev_eui is read.

That one holds session keys, and its columns may be shifted: no message repeats what stands in it.
"""

from __future__ import annotations

import csv
import json
from typing import Any

from cloud_sync.errors import ConfigurationError
from edge_codecs.identifiers import DevEUI

_HINT = 'One DevEUI a line; or JSON, [{"dev_eui": "70b3d57ed0000001"}, …]; or CSV with a column dev_eui'
_COLUMN = "dev_eui"


def parse_devices(text: str, name: str) -> list[DevEUI]:
    """The DevEUIs in the order of the file; `#` begins a comment. Raises ConfigurationError."""
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in ("[", "{"):
        places = _from_json(text, name)
    elif _COLUMN in text.lstrip().partition("\n")[0].lower():
        places = _from_csv(text, name)
    else:
        places = _from_lines(text)
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


def _from_csv(text: str, name: str) -> list[tuple[str, Any]]:
    head, *lines = text.lstrip().splitlines()
    delimiter = max(",;\t", key=head.count)
    try:
        names = [field.strip().lower() for field in next(csv.reader([head], delimiter=delimiter))]
        rows = list(csv.reader(lines, delimiter=delimiter))
        place = names.index(_COLUMN)
    except (csv.Error, ValueError):
        raise ConfigurationError(f"{name} is not CSV", hint=_HINT) from None
    return [(f"device {n}", row[place] if len(row) > place else None) for n, row in enumerate(rows, 1) if row]


def _from_json(text: str, name: str) -> list[tuple[str, Any]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigurationError(f"{name} is not JSON{where}", hint=_HINT) from None
    entries = content if isinstance(content, list) else [content]
    return [
        (f"device {number}", entry.get(_COLUMN) if isinstance(entry, dict) else None)
        for number, entry in enumerate(entries, 1)
    ]
