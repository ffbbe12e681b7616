"""Clip'R over-the-air payload, format version 1: this project's own reading of what the sensor says.

The maker's binary format is not public. This is the format that the project implements until the maker's
table is at hand; then a new codec goes in beside it and the device profile names that one.

Conventions: integers are big-endian. A temperature `t16` is signed, 1/100 °C, -40.00 … +125.00 °C, 0x8000 =
no valid sample. Battery `b8` is 2.00 V + n/100, 255 = unknown. Byte 0 begins with the format version, 1.
Reserved bits are ignored by the decoder and kept, so that a payload can be rebuilt bit for bit. A short
payload, trailing bytes, an unknown version or fPort, a value out of range: `DecodeError`, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from edge_codecs.clipr.downlink import (
    Configure,
    Downlink,
    Reboot,
    RequestHistory,
    decode_downlink,
    encode_downlink,
)
from edge_codecs.clipr.message import (
    CentiCelsius,
    DecodeError,
    Event,
    EventKind,
    Extremes,
    Flag,
    History,
    HistoryInterval,
    Message,
    Report,
    ResetCause,
    Status,
    Undecoded,
    battery_volts,
)
from edge_codecs.clipr.uplink import decode, encode

__all__ = [
    "CODECS",
    "CentiCelsius",
    "Configure",
    "DecodeError",
    "Downlink",
    "Event",
    "EventKind",
    "Extremes",
    "Flag",
    "History",
    "HistoryInterval",
    "Message",
    "Reboot",
    "Report",
    "RequestHistory",
    "ResetCause",
    "Status",
    "Undecoded",
    "battery_volts",
    "decode",
    "decode_downlink",
    "encode",
    "encode_downlink",
    "read_payload",
]

CODECS: Mapping[tuple[str, int], Callable[[int, bytes], Message]] = MappingProxyType({("clipr", 1): decode})
"""(codec name, codec version) of a device profile -> its decode function (fPort, payload) -> message."""


def read_payload(codec: str, version: int, f_port: int, payload: bytes) -> Message:
    """The message of a payload; one that the codec cannot read, or of an unknown codec, stays undecoded."""
    decoder = CODECS.get((codec, version))
    try:
        return decoder(f_port, payload) if decoder else Undecoded(f_port, payload)
    except DecodeError:
        return Undecoded(f_port, payload)
