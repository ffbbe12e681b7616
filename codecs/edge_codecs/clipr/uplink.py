"""Clip'R uplinks to values and back, bit for bit: fPort 10 report, 11 event, 12 status, 13 history."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from edge_codecs.clipr.history import decode_history, encode_history
from edge_codecs.clipr.message import (
    CentiCelsius,
    DecodeError,
    Event,
    EventKind,
    Extremes,
    History,
    Message,
    Report,
    ResetCause,
    Status,
    Undecoded,
)
from edge_codecs.clipr.temperature import HIGHEST, LOWEST, NO_SAMPLE, from_t16, to_t16

REPORT: Final = 10
EVENT: Final = 11
STATUS: Final = 12
HISTORY: Final = 13

_VERSION: Final = 1
_RESERVED_CHANNEL: Final = 0x08
_REPORT_HEAD = struct.Struct(">BBBH")
_EXTREMES = struct.Struct(">hhh")
_EVENT = struct.Struct(">BBHh")
_FLUSH_END = struct.Struct(">BBHhHh")
_STATUS = struct.Struct(">B4BBIHHB")
CHANNELS_OF_BITMAP: Final = tuple(
    tuple(channel for channel in range(3) if bitmap >> channel & 1) for bitmap in range(16)
)
"""Channel bitmap -> channels present, rising; the reserved bit 3 names none."""


def decode(f_port: int, payload: bytes) -> Report | Event | Status | History:
    """Read an uplink's clear payload. Raises DecodeError; see `DecodeError.unknown_f_port`."""
    decoder = _DECODERS.get(f_port)
    if decoder is None:
        raise DecodeError(f"fPort {f_port} carries no Clip'R uplink", unknown_f_port=True)
    if not payload:
        raise DecodeError("empty payload")
    if payload[0] >> 4 != _VERSION:
        raise DecodeError(f"format version {payload[0] >> 4}, expected {_VERSION}")
    return decoder(payload)


def encode(message: Message) -> tuple[int, bytes]:
    """The fPort and payload of an uplink. Raises ValueError for a value that the format cannot carry."""
    try:
        match message:
            case Report():
                return REPORT, _encode_report(message)
            case Event():
                return EVENT, _encode_event(message)
            case Status():
                return STATUS, _encode_status(message)
            case History():
                return HISTORY, encode_history(message)
            case Undecoded():
                return message.f_port, message.payload
    except struct.error as error:
        raise ValueError(f"a value of {type(message).__name__} does not fit its field: {error}") from None


def _decode_report(payload: bytes) -> Report:
    channels = CHANNELS_OF_BITMAP[payload[0] & 0x0F]
    if not channels:
        raise DecodeError("report without a channel")
    if len(payload) != _REPORT_HEAD.size + _EXTREMES.size * len(channels):
        raise DecodeError(f"{len(payload)} bytes for a report of {len(channels)} channels")
    first, flags, battery, interval_s = _REPORT_HEAD.unpack_from(payload)
    if interval_s == 0:
        raise DecodeError("interval of 0 s")
    extremes = _EXTREMES.iter_unpack(payload[_REPORT_HEAD.size :])
    return Report(
        flags,
        battery,
        interval_s,
        tuple(_extremes(channel, *values) for channel, values in zip(channels, extremes, strict=True)),
        reserved=bool(first & _RESERVED_CHANNEL),
    )


def _extremes(channel: int, minimum: int, maximum: int, last: int) -> Extremes:
    if LOWEST <= minimum <= last <= maximum <= HIGHEST:
        return Extremes(channel, CentiCelsius(minimum), CentiCelsius(maximum), CentiCelsius(last))
    if minimum == maximum == last == NO_SAMPLE:
        return Extremes(channel, None, None, None)
    raise DecodeError(f"minimum {minimum}, last {last}, maximum {maximum} do not fit together")


def _encode_report(report: Report) -> bytes:
    bitmap = _RESERVED_CHANNEL * report.reserved
    for extremes in report.channels:
        bitmap |= 1 << extremes.channel
    if CHANNELS_OF_BITMAP[bitmap & 0x0F] != tuple(e.channel for e in report.channels) or not report.channels:
        raise ValueError("a report has 1 … 3 channels out of 0 … 2 in rising order")
    if report.interval_s == 0:
        raise ValueError("an interval of 0 s")
    head = _REPORT_HEAD.pack(_VERSION << 4 | bitmap, report.flags, report.battery, report.interval_s)
    return head + b"".join(map(_encode_extremes, report.channels))


def _encode_extremes(extremes: Extremes) -> bytes:
    minimum, maximum, last = extremes.minimum, extremes.maximum, extremes.last
    if minimum is None or maximum is None or last is None:
        if not minimum is maximum is last:
            raise ValueError("minimum, maximum and last are None together")
    elif not LOWEST <= minimum <= last <= maximum <= HIGHEST:
        raise ValueError(f"minimum {minimum}, last {last}, maximum {maximum} do not fit together")
    return _EXTREMES.pack(to_t16(minimum), to_t16(maximum), to_t16(last))


def _decode_event(payload: bytes) -> Event:
    number = payload[0] & 0x0F
    if not 1 <= number <= len(EventKind):
        raise DecodeError(f"unknown event {number}")
    kind = EventKind(number)
    shape = _FLUSH_END if kind is EventKind.FLUSH_END else _EVENT
    if len(payload) != shape.size:
        raise DecodeError(f"{len(payload)} bytes for event {kind.name.lower()}, expected {shape.size}")
    _, channel, age_s, temperature, *end = shape.unpack(payload)
    if channel > 2:
        raise DecodeError(f"channel {channel}, expected 0 … 2")
    if end:
        return Event(kind, channel, age_s, from_t16(temperature), end[0], from_t16(end[1]))
    return Event(kind, channel, age_s, from_t16(temperature))


def _encode_event(event: Event) -> bytes:
    if not 0 <= event.channel <= 2:
        raise ValueError(f"channel {event.channel}, expected 0 … 2")
    head = (_VERSION << 4 | event.kind, event.channel, event.age_s, to_t16(event.temperature))
    if event.kind is EventKind.FLUSH_END:
        if event.duration_s is None:
            raise ValueError("the end of a flush has a duration")
        return _FLUSH_END.pack(*head, event.duration_s, to_t16(event.extreme))
    if event.duration_s is not None or event.extreme is not None:
        raise ValueError("only the end of a flush has a duration and an extreme")
    return _EVENT.pack(*head)


def _decode_status(payload: bytes) -> Status:
    if len(payload) != _STATUS.size:
        raise DecodeError(f"{len(payload)} bytes for a status, expected {_STATUS.size}")
    first, hardware, major, minor, patch, battery, uptime_s, report_s, sampling_s, waiting = _STATUS.unpack(
        payload
    )
    if first & 0x0F >= len(ResetCause):
        raise DecodeError(f"unknown reset cause {first & 0x0F}")
    cause = ResetCause(first & 0x0F)
    return Status(cause, hardware, (major, minor, patch), battery, uptime_s, report_s, sampling_s, waiting)


def _encode_status(status: Status) -> bytes:
    return _STATUS.pack(
        _VERSION << 4 | status.reset_cause,
        status.hardware_revision,
        *status.firmware,
        status.battery,
        status.uptime_s,
        status.report_interval_s,
        status.sampling_interval_s,
        status.waiting,
    )


_Decoder: TypeAlias = Callable[[bytes], Report | Event | Status | History]
_DECODERS: Final[dict[int, _Decoder]] = {
    REPORT: _decode_report,
    EVENT: _decode_event,
    STATUS: _decode_status,
    HISTORY: decode_history,
}
