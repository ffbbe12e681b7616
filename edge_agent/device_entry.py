"""One device of a devices file: what its fields say, or everything that is wrong with them.

Columns may be shifted, and then a key stands where an address should: no fault repeats a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from edge_agent.lorawan.fcnt import MAX_F_CNT
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.registration import REGION_REVISION, REGION_REVISIONS, Registration
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion
from edge_codecs.clipr import CODECS
from edge_codecs.identifiers import DevEUI, JoinEUI

T = TypeVar("T")

OTAA_VERSION: Final = "1.0.3"
ABP_VERSION: Final = "1.0"

_SESSION_KEYS: Final = {
    "1.0": ("nwk_s_key",),
    "1.1": ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key"),
}
_ROOT_KEYS: Final = {"1.0": ("app_key",), "1.1": ("app_key", "nwk_key")}
_OF_OTAA: Final = ("join_eui", "app_key", "nwk_key", "region_revision")
_OF_ABP: Final = ("dev_addr", *_SESSION_KEYS["1.0"], *_SESSION_KEYS["1.1"], "app_s_key", "f_cnt_up")

FIELDS: Final = ("dev_eui", "lorawan", "codec", *_OF_OTAA, *_OF_ABP)


class _Fields:
    """The fields of one entry. What is wrong is collected in `faults`, and stands as None."""

    def __init__(self, entry: Mapping[str, object]) -> None:
        self._entry = entry
        self.faults: list[str] = []

    def text(self, field: str, default: str | None = None) -> str | None:
        value = self._entry.get(field, default)
        if value is None:
            self.wrong(f"{field} is missing")
            return None
        if not isinstance(value, str):
            self.wrong(f"{field} must be text in quotes")
            return None
        return value.strip()

    def parsed(self, field: str, parse: Callable[[str], T], digits: int) -> T | None:
        text = self.text(field)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError:
            there = "not all of them are" if len(text) == digits else f"{len(text)} characters are there"
            self.wrong(f"{field} must be {digits} hex digits; {there}")
            return None

    def key(self, field: str) -> AES128Key | None:
        return self.parsed(field, AES128Key.parse, digits=32)

    def one_of(self, field: str, known: Sequence[str], default: str) -> str | None:
        text = self.text(field, default)
        if text is None or text in known:
            return text
        self.wrong(f"{field} is one of: {', '.join(known)}")
        return None

    def f_cnt_up(self) -> int | None:
        value = self._entry.get("f_cnt_up")
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
            value = int(value.strip()[:11])
        if value is None or (type(value) is int and 0 <= value <= MAX_F_CNT):
            return value
        self.wrong(f"f_cnt_up is a number from 0 to {MAX_F_CNT}")
        return None

    def strangers(self, version: str, keys: Mapping[str, Sequence[str]]) -> None:
        """Keys that only the other version of LoRaWAN has."""
        for names in keys.values():
            for field in names:
                if field in self._entry and field not in keys[version]:
                    self.wrong(f"{field} is no key of LoRaWAN {version}")

    def wrong(self, fault: str) -> None:
        self.faults.append(fault)


def read_entry(entry: Mapping[str, object]) -> Session | Registration | tuple[str, ...]:
    """The device, or its faults. Fields are named as in FIELDS; an empty one is left out."""
    fields = _Fields(entry)
    if any(field not in FIELDS for field in entry):
        fields.wrong("there is a field of an unknown name")  # which may be a key in the wrong column
    otaa = [field for field in _OF_OTAA if field in entry]
    abp = [field for field in _OF_ABP if field in entry]
    if otaa and abp:
        fields.wrong(
            f"{otaa[0]} is of a device that joins (OTAA), {abp[0]} of one that is activated already (ABP): "
            "fill in the fields of one kind"
        )
        return tuple(fields.faults)
    if not otaa and not abp:
        fields.wrong(
            "it has neither join_eui and app_key (a device that joins) nor dev_addr and session keys (ABP)"
        )
        return tuple(fields.faults)
    device = _session(fields) if abp else _registration(fields)
    return tuple(fields.faults) if device is None or fields.faults else device


def write_entry(device: Session | Registration) -> dict[str, str | int]:
    """The entry that `read_entry` makes the device of. It holds keys."""
    if isinstance(device, Registration):
        return {
            "dev_eui": str(device.dev_eui),
            "join_eui": str(device.join_eui),
            "lorawan": str(device.version),
            "region_revision": device.region_revision,
            **_hex(device, _ROOT_KEYS[device.version.minor]),
            "codec": device.codec,
        }
    counted = {} if device.f_cnt_up is None else {"f_cnt_up": device.f_cnt_up}
    keys = {"nwk_s_key": device.f_nwk_s_int_key.hex()}
    if device.lorawan == "1.1":
        keys = _hex(device, _SESSION_KEYS["1.1"])
    return {
        "dev_eui": str(device.dev_eui),
        "dev_addr": str(device.dev_addr),
        "lorawan": device.lorawan,
        **keys,
        "app_s_key": device.app_s_key.hex(),
        "codec": device.codec,
        **counted,
    }


def _hex(device: Session | Registration, keys: Sequence[str]) -> dict[str, str]:
    return {field: getattr(device, field).hex() for field in keys}


def _registration(fields: _Fields) -> Registration | None:
    version = _version(fields)
    dev_eui = fields.parsed("dev_eui", DevEUI.parse, digits=16)
    join_eui = fields.parsed("join_eui", JoinEUI.parse, digits=16)
    names = _ROOT_KEYS["1.0" if version is None else version.minor]
    keys = {field: fields.key(field) for field in names}
    if version is not None:
        fields.strangers(version.minor, _ROOT_KEYS)
    revision = fields.one_of("region_revision", REGION_REVISIONS, REGION_REVISION)
    codec = _codec(fields)
    if fields.faults:
        return None
    assert version and dev_eui and join_eui and revision and codec and keys["app_key"]
    return Registration(
        dev_eui, join_eui, version, keys["app_key"], keys.get("nwk_key"), revision, codec=codec
    )


def _session(fields: _Fields) -> Session | None:
    minor = _minor(fields)
    dev_eui = fields.parsed("dev_eui", DevEUI.parse, digits=16)
    dev_addr = fields.parsed("dev_addr", DevAddr.parse, digits=8)
    network_keys: list[AES128Key | None] = []
    if minor is not None:
        network_keys = [fields.key(field) for field in _SESSION_KEYS[minor]]
        fields.strangers(minor, _SESSION_KEYS)
    app_s_key = fields.key("app_s_key")
    f_cnt_up = fields.f_cnt_up()
    codec = _codec(fields)
    sound = [key for key in network_keys if key is not None]
    if fields.faults:
        return None
    assert minor and dev_eui and dev_addr and app_s_key and codec
    f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key = sound if minor == "1.1" else 3 * sound
    return Session(
        dev_eui,
        dev_addr,
        minor,
        f_nwk_s_int_key,
        s_nwk_s_int_key,
        nwk_s_enc_key,
        app_s_key,
        f_cnt_up=f_cnt_up,
        codec=codec,
    )


def _version(fields: _Fields) -> LoRaWANVersion | None:
    """Of a device that joins: its nonces go by the whole version."""
    text = fields.text("lorawan", OTAA_VERSION)
    try:
        return LoRaWANVersion.parse(text) if text is not None else None
    except ValueError:
        known = ", ".join(version.value for version in LoRaWANVersion)
        fields.wrong(f"lorawan of a device that joins is one of: {known}")
        return None


def _minor(fields: _Fields) -> str | None:
    """Of a device that is activated already: "1.0" or "1.1" is enough."""
    text = fields.text("lorawan", ABP_VERSION)
    try:
        return text if text in (None, "1.0", "1.1") else LoRaWANVersion.parse(text).minor
    except ValueError:
        fields.wrong('lorawan is "1.0" or "1.1", or a full version such as "1.0.3"')
        return None


def _codec(fields: _Fields) -> str | None:
    return fields.one_of("codec", sorted({name for name, _ in CODECS}), "clipr")
