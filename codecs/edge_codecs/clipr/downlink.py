"""What we may say to a Clip'R: the three downlinks, fPort 20 to 22."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

from edge_codecs.clipr.message import CentiCelsius, DecodeError
from edge_codecs.clipr.temperature import from_t16, to_t16

CONFIGURE: Final = 20
REQUEST_HISTORY: Final = 21
REBOOT: Final = 22

NAMES: Final = {CONFIGURE: "configure", REQUEST_HISTORY: "request history", REBOOT: "reboot"}
"""What the downlinks are called, by fPort."""

_CONFIGURE = struct.Struct(">BHHhh")
_REQUEST_HISTORY = struct.Struct(">BII")
_U16 = range(0x1_0000)
_U32 = range(0x1_0000_0000)


@dataclass(frozen=True, slots=True)
class Configure:
    """fPort 20: how often to report and to sample, and the limits of the alarm events (None = off)."""

    report_interval_s: int  # u16
    sampling_interval_s: int  # u16
    upper_limit: CentiCelsius | None
    lower_limit: CentiCelsius | None


@dataclass(frozen=True, slots=True)
class RequestHistory:
    """fPort 21: send again the intervals of one channel that end from … to, in Unix seconds."""

    channel: int
    from_s: int
    to_s: int


@dataclass(frozen=True, slots=True)
class Reboot:
    """fPort 22: start anew."""


Downlink: TypeAlias = Configure | RequestHistory | Reboot


def encode_downlink(message: Downlink) -> tuple[int, bytes]:
    """The fPort and payload to send. Raises ValueError for a value that the format cannot carry."""
    match message:
        case Configure(report, sampling, upper, lower):
            if report not in _U16 or sampling not in _U16:
                raise ValueError("an interval is 0 … 65535 s")
            return CONFIGURE, _CONFIGURE.pack(0x10, report, sampling, to_t16(upper), to_t16(lower))
        case RequestHistory(channel, from_s, to_s):
            if channel not in range(3) or from_s not in _U32 or to_s not in _U32:
                raise ValueError("a history request names channel 0 … 2 and two 32-bit times")
            return REQUEST_HISTORY, _REQUEST_HISTORY.pack(0x10 | channel, from_s, to_s)
        case Reboot():
            return REBOOT, b"\x10"


def decode_downlink(f_port: int, payload: bytes) -> Downlink:
    """Read a downlink, as the sensor does. Raises DecodeError."""
    lengths = {CONFIGURE: _CONFIGURE.size, REQUEST_HISTORY: _REQUEST_HISTORY.size, REBOOT: 1}
    if f_port not in lengths:
        raise DecodeError(f"fPort {f_port} carries no Clip'R downlink", unknown_f_port=True)
    if len(payload) != lengths[f_port]:
        raise DecodeError(f"{len(payload)} bytes on fPort {f_port}, expected {lengths[f_port]}")
    if payload[0] >> 4 != 1:
        raise DecodeError(f"format version {payload[0] >> 4}, expected 1")
    low = payload[0] & 0x0F
    if f_port == REQUEST_HISTORY:
        if low > 2:
            raise DecodeError(f"channel {low}, expected 0 … 2")
        return RequestHistory(low, *_REQUEST_HISTORY.unpack(payload)[1:])
    if low:
        raise DecodeError(f"low half of byte 0 is {low}, expected 0")
    if f_port == REBOOT:
        return Reboot()
    _, report, sampling, upper, lower = _CONFIGURE.unpack(payload)
    return Configure(report, sampling, from_t16(upper), from_t16(lower))
