"""Devices by the file: what `edge-agent device add --file FILE` takes, and the simulator writes.

JSON: a list of objects (or one object)
    {"dev_eui", "dev_addr", "lorawan": "1.0", "nwk_s_key", "app_s_key", "codec": "clipr", "f_cnt_up"}
or, for LoRaWAN "1.1", "f_nwk_s_int_key", "s_nwk_s_int_key" and "nwk_s_enc_key" instead of "nwk_s_key".
CSV: the same names in the first line; comma, semicolon or tab between. Three may be left out: `lorawan`
("1.0"), `codec` ("clipr") and `f_cnt_up`, the counter of the last frame that was taken of a device that has
sent before. Text forms are hex, most significant byte first. These are session keys of devices activated by
personalisation: the file is secret, so no message repeats any of its values but a DevEUI.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from edge_agent.errors import ConfigurationError
from edge_agent.lorawan.fcnt import MAX_F_CNT
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.session import Session
from edge_codecs.clipr import CODECS
from edge_codecs.identifiers import DevEUI

T = TypeVar("T")

_KEYS_1_0 = ("nwk_s_key",)
_KEYS_1_1 = ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key")
_FIELDS = {"dev_eui", "dev_addr", "lorawan", *_KEYS_1_0, *_KEYS_1_1, "app_s_key", "codec", "f_cnt_up"}
_HINT = "Each device needs dev_eui, dev_addr, nwk_s_key and app_s_key; see: edge-agent device add --help"


def parse_devices(text: str, name: str = "the devices file") -> list[Session]:
    """Read JSON or CSV text. Raises ConfigurationError that names the device and field, never a key."""
    text = text.removeprefix("\ufeff")
    entries = _from_json(text, name) if text.lstrip()[:1] in ("[", "{") else _from_csv(text, name)
    if not entries:
        raise ConfigurationError(f"{name} has no device", hint=_HINT)
    sessions: list[Session] = []
    seen: set[DevEUI] = set()
    for number, entry in enumerate(entries, start=1):
        try:
            session = _session(entry)
        except ValueError as error:
            raise ConfigurationError(f"{name}: device {number}: {error}", hint=_HINT) from None
        if session.dev_eui in seen:
            raise ConfigurationError(
                f"{name}: device {number}: {session.dev_eui} stands here twice", hint="Remove one of the two"
            )
        seen.add(session.dev_eui)
        sessions.append(session)
    return sessions


def read_devices(path: Path) -> list[Session]:
    """Read a devices file. Raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror or error}", hint="Give the path of a JSON or CSV file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text", hint="Save it as UTF-8") from None
    return parse_devices(text, str(path))


def write_devices(path: Path, sessions: Sequence[Session]) -> None:
    """Write a devices file (JSON) that only its owner can read, replacing one of that name in one step."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)  # it may have been there, open to all
        file.write("[\n" + ",\n".join(json.dumps(_entry(session)) for session in sessions) + "\n]\n")
    beside.replace(path)


def _from_json(text: str, name: str) -> list[Mapping[str, object]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigurationError(f"{name} is not JSON{where}", hint="Mend that line") from None
    entries = content if isinstance(content, list) else [content]
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{name}: device {number} is no object", hint=_HINT)
    return entries


def _from_csv(text: str, name: str) -> list[Mapping[str, object]]:
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text.lstrip()), delimiter=delimiter, skipinitialspace=True, restkey="")
    try:
        rows.fieldnames = [field.strip().lower() for field in rows.fieldnames or []]
        entries = list(rows)
    except csv.Error as error:
        raise ConfigurationError(f"{name} is not CSV: {error}", hint=_HINT) from None
    for number, entry in enumerate(entries, start=1):
        if "" in entry:
            raise ConfigurationError(f"{name}: device {number}: more fields than names", hint=_HINT)
    return [{field: value for field, value in entry.items() if value} for entry in entries]


def _session(entry: Mapping[str, object]) -> Session:
    """Raises ValueError whose text holds no value of a key field."""
    unknown = entry.keys() - _FIELDS
    if unknown:
        raise ValueError("there is a field of an unknown name")  # which may be a key in the wrong column
    lorawan = _text(entry, "lorawan") if "lorawan" in entry else "1.0"
    if lorawan not in ("1.0", "1.1"):
        raise ValueError('lorawan is "1.0" or "1.1"')
    dev_eui = _parsed(entry, "dev_eui", DevEUI.parse, digits=16)
    dev_addr = _parsed(entry, "dev_addr", DevAddr.parse, digits=8)
    network_keys = [_key(entry, field) for field in (_KEYS_1_0 if lorawan == "1.0" else _KEYS_1_1)]
    for field in _KEYS_1_1 if lorawan == "1.0" else _KEYS_1_0:
        if field in entry:
            raise ValueError(f"{field} is no key of LoRaWAN {lorawan}")
    return Session(
        dev_eui=dev_eui,
        dev_addr=dev_addr,
        lorawan=lorawan,
        f_nwk_s_int_key=network_keys[0],
        s_nwk_s_int_key=network_keys[-2 if lorawan == "1.1" else 0],
        nwk_s_enc_key=network_keys[-1],
        app_s_key=_key(entry, "app_s_key"),
        f_cnt_up=_f_cnt_up(entry),
        codec=_codec(entry),
    )


def _codec(entry: Mapping[str, object]) -> str:
    codec = _text(entry, "codec") if "codec" in entry else "clipr"
    known = sorted({name for name, _ in CODECS})
    if codec not in known:
        raise ValueError(f"codec is one of: {', '.join(known)}")
    return codec


def _f_cnt_up(entry: Mapping[str, object]) -> int | None:
    value = entry.get("f_cnt_up")
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:11])
    if value is None or (type(value) is int and 0 <= value <= MAX_F_CNT):
        return value
    raise ValueError(f"f_cnt_up is a number from 0 to {MAX_F_CNT}")


def _text(entry: Mapping[str, object], field: str) -> str:
    value = entry.get(field)
    if value is None:
        raise ValueError(f"{field} is missing")
    if not isinstance(value, str):
        raise ValueError(f"{field} must be text in quotes")
    return value.strip()


def _key(entry: Mapping[str, object], field: str) -> AES128Key:
    return _parsed(entry, field, AES128Key.parse, digits=32)


def _parsed(entry: Mapping[str, object], field: str, parse: Callable[[str], T], digits: int) -> T:
    """Whatever the field: columns may be shifted, and then a key stands where an address should."""
    text = _text(entry, field)
    try:
        return parse(text)
    except ValueError:
        raise ValueError(f"{field} must be {digits} hex digits; {len(text)} characters are there") from None


def _entry(session: Session) -> dict[str, str | int]:
    counted = {} if session.f_cnt_up is None else {"f_cnt_up": session.f_cnt_up}
    if session.lorawan == "1.0":
        keys = {"nwk_s_key": session.f_nwk_s_int_key.hex()}
    else:
        keys = {field: getattr(session, field).hex() for field in _KEYS_1_1}
    return {
        "dev_eui": str(session.dev_eui),
        "dev_addr": str(session.dev_addr),
        "lorawan": session.lorawan,
        **keys,
        "app_s_key": session.app_s_key.hex(),
        "codec": session.codec,
        **counted,
    }
