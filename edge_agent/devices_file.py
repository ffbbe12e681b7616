"""Devices by the file: what `edge-agent device import FILE` takes, and the simulator writes.

JSON: a list of objects (or one object). Of a device that joins over the air (OTAA)
    {"dev_eui", "join_eui", "app_key", "lorawan": "1.0.3", "region_revision", "codec": "clipr"}
and "nwk_key" beside "app_key" under LoRaWAN "1.1". Of one that was activated by personalisation (ABP)
    {"dev_eui", "dev_addr", "nwk_s_key", "app_s_key", "lorawan": "1.0", "codec": "clipr", "f_cnt_up"}
or, for LoRaWAN "1.1", "f_nwk_s_int_key", "s_nwk_s_int_key" and "nwk_s_enc_key" instead of "nwk_s_key".
CSV: the same names in the first line; comma, semicolon or tab between. The specification's spelling (DevEUI,
AppKey) does as well. These may be left out: `lorawan` ("1.0.3", ABP "1.0"), `region_revision`, `codec`
("clipr") and `f_cnt_up`, the counter of the last frame that was taken of a device that has sent before. Text
forms are hex, most significant byte first. The file is secret, so no message repeats any of its values but a
DevEUI.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from edge_agent.device_entry import FIELDS, read_entry, write_entry
from edge_agent.errors import ConfigurationError
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_codecs.identifiers import DevEUI

MAX_DEVICES: Final = 5000
"""In one file: what one request at the control socket carries."""

_HINT: Final = (
    "A device that joins needs dev_eui, join_eui and app_key; one activated by personalisation dev_eui, "
    "dev_addr, nwk_s_key and app_s_key. See: edge-agent device import --help"
)
_BY_SPELLING: Final = {field.replace("_", ""): field for field in FIELDS} | {"appeui": "join_eui"}

_Placed: TypeAlias = tuple[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a file, at a place such as "line 3" or "device 2"; "" is the file as a whole."""

    place: str
    text: str

    @property
    def position(self) -> int:
        """To sort by: the number of its place, 0 for the whole file."""
        return int(self.place.rpartition(" ")[2] or 0)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else f"the file {self.text}"


@dataclass(frozen=True, slots=True)
class DevicesFile:
    """What a file says: its sound devices, each with its place, and every fault of every other."""

    devices: tuple[tuple[str, Session | Registration], ...]
    faults: tuple[Fault, ...]


def check_devices(text: str) -> DevicesFile:
    """Read JSON or CSV text to its end, however much is wrong with it."""
    text = text.removeprefix("\ufeff")
    faults: list[Fault] = []
    entries = _from_json(text, faults) if text.lstrip()[:1] in ("[", "{") else _from_csv(text, faults)
    if not entries and not faults:
        faults.append(Fault("", "has no device"))
    if len(entries) > MAX_DEVICES:
        faults.append(Fault("", f"has more than {MAX_DEVICES} devices: split it"))
    devices: list[tuple[str, Session | Registration]] = []
    seen: dict[DevEUI, str] = {}
    for place, entry in entries[:MAX_DEVICES]:
        device = read_entry(entry)
        if isinstance(device, tuple):
            faults += [Fault(place, fault) for fault in device]
            continue
        if device.dev_eui in seen:
            faults.append(
                Fault(place, f"{device.dev_eui} stands here twice, first at {seen[device.dev_eui]}")
            )
            continue
        seen[device.dev_eui] = place
        devices.append((place, device))
    return DevicesFile(tuple(devices), tuple(sorted(faults, key=lambda fault: fault.position)))


def parse_devices(text: str, name: str = "the devices file") -> list[Session | Registration]:
    """Read JSON or CSV text. Raises ConfigurationError that names the device and field, never a key."""
    found = check_devices(text)
    if not found.faults:
        return [device for _, device in found.devices]
    more = len(found.faults) - 1
    raise ConfigurationError(
        f"{name}: {found.faults[0]}" if found.faults[0].place else f"{name} {found.faults[0].text}",
        hint=f"{more} more faults; see all: edge-agent device import FILE --dry-run" if more else _HINT,
    )


def read_devices(path: Path) -> list[Session | Registration]:
    """Read a devices file. Raises ConfigurationError."""
    return parse_devices(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a devices file. Raises ConfigurationError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror or error}", hint="Give the path of a JSON or CSV file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text", hint="Save it as UTF-8") from None


def write_devices(path: Path, devices: Sequence[Session | Registration]) -> None:
    """Write a devices file (JSON) that only its owner can read, replacing one of that name in one step."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)  # it may have been there, open to all
        file.write("[\n" + ",\n".join(json.dumps(write_entry(device)) for device in devices) + "\n]\n")
    beside.replace(path)


def _from_json(text: str, faults: list[Fault]) -> list[_Placed]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        faults.append(Fault("", f"is not JSON{where}: mend that line"))
        return []
    entries: list[_Placed] = []
    for number, entry in enumerate(content if isinstance(content, list) else [content], start=1):
        place = f"device {number}"
        if not isinstance(entry, dict):
            faults.append(Fault("", f"has no object as {place}"))
        elif (named := _named(list(entry), place, faults)) or not entry:
            there = {field: entry[name] for name, field in named.items() if entry[name] is not None}
            entries.append((place, there))
    return entries


def _from_csv(text: str, faults: list[Fault]) -> list[_Placed]:
    delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    names: list[str] = []
    fields: dict[str, str] = {}
    entries: list[_Placed] = []
    try:
        for row in rows:
            place = f"line {rows.line_num}"
            if not any(cell.strip() for cell in row):
                continue
            if not names:
                names = [name.strip() for name in row]
                fields = _named([name for name in names if name], place, faults)
                continue
            if any(cell.strip() for cell in row[len(names) :]):
                faults.append(Fault(place, "more fields than names in the first line"))
                continue
            cells = {name: cell.strip() for name, cell in zip(names, row, strict=False) if cell.strip()}
            entries.append((place, {fields[name]: cell for name, cell in cells.items() if name in fields}))
    except csv.Error as error:
        faults.append(Fault(f"line {rows.line_num}", f"it is not CSV: {error}"))
    return entries if fields else []


def _named(names: Sequence[str], place: str, faults: list[Fault]) -> dict[str, str]:
    """Names as written -> fields. Strange names are told by their position: one may be a key astray."""
    fields: dict[str, str] = {}
    for position, name in enumerate(names, start=1):
        field = _BY_SPELLING.get(name.strip().lower().replace("_", ""))
        if field is None:
            alike = difflib.get_close_matches(name.lower(), FIELDS, n=1)
            question = f": is it {alike[0]}?" if alike else ""
            faults.append(Fault(place, f"field {position} is a field of an unknown name{question}"))
        elif field in fields.values():
            faults.append(Fault(place, f"field {position} is {field} once more"))
        else:
            fields[name] = field
    return fields
