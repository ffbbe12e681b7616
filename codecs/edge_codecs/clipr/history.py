"""fPort 13: intervals out of the sensor's memory, newest first, as steps against the newer neighbour."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Final

from edge_codecs.clipr.message import CentiCelsius, DecodeError, History, HistoryInterval
from edge_codecs.clipr.temperature import from_t16, to_t16

MAX_INTERVALS: Final = 40

_HEAD = struct.Struct(">BIHBhh")
_T16 = struct.Struct(">h")
_ESCAPE: Final = 0x80
_STEP: Final = 10  # a step is 1/10 °C, a temperature 1/100 °C


def decode_history(payload: bytes) -> History:
    """Read fPort 13; byte 0 is already known to carry the format version. Raises DecodeError."""
    if len(payload) < _HEAD.size:
        raise DecodeError(f"{len(payload)} bytes for a history, expected at least {_HEAD.size}")
    first, newest_end_s, interval_s, count, minimum, maximum = _HEAD.unpack_from(payload)
    channel = first & 0x0F
    if channel > 2:
        raise DecodeError(f"channel {channel}, expected 0 … 2")
    if interval_s == 0:
        raise DecodeError("interval of 0 s")
    if not 1 <= count <= MAX_INTERVALS:
        raise DecodeError(f"{count} intervals, expected 1 … {MAX_INTERVALS}")
    newest = HistoryInterval(from_t16(minimum), from_t16(maximum))
    intervals = [_fitting(newest)]
    offset = _HEAD.size
    for _ in range(count - 1):
        newer = intervals[-1]
        low, low_escaped, offset = _read(payload, offset, newer.minimum)
        high, high_escaped, offset = _read(payload, offset, newer.maximum)
        intervals.append(_fitting(HistoryInterval(low, high, low_escaped, high_escaped)))
    if offset != len(payload):
        raise DecodeError(f"{len(payload) - offset} bytes after the history")
    return History(channel, newest_end_s, interval_s, tuple(intervals))


def encode_history(history: History) -> bytes:
    """The payload of fPort 13. Raises ValueError for a value that the format cannot carry."""
    if history.channel not in range(3):
        raise ValueError(f"channel {history.channel}, expected 0 … 2")
    if history.interval_s == 0:
        raise ValueError("an interval of 0 s")
    if not 1 <= len(history.intervals) <= MAX_INTERVALS:
        raise ValueError(f"{len(history.intervals)} intervals, expected 1 … {MAX_INTERVALS}")
    newest = _fitting(history.intervals[0])
    if newest.minimum_escaped or newest.maximum_escaped:
        raise ValueError("the newest interval has no step to escape from")
    head = _HEAD.pack(
        0x10 | history.channel,
        history.newest_end_s,
        history.interval_s,
        len(history.intervals),
        to_t16(newest.minimum),
        to_t16(newest.maximum),
    )
    parts = [head]
    for newer, interval in pairwise(map(_fitting, history.intervals)):
        parts.append(_written(interval.minimum, newer.minimum, escaped=interval.minimum_escaped))
        parts.append(_written(interval.maximum, newer.maximum, escaped=interval.maximum_escaped))
    return b"".join(parts)


def _fitting(interval: HistoryInterval) -> HistoryInterval:
    minimum, maximum = interval.minimum, interval.maximum
    if minimum is None or maximum is None:
        if minimum is not maximum:
            raise DecodeError("minimum and maximum are without a sample together")
    elif minimum > maximum:
        raise DecodeError(f"minimum {minimum / 100:.2f} °C above maximum {maximum / 100:.2f} °C")
    return interval


def _step(value: CentiCelsius | None, newer: CentiCelsius | None) -> int | None:
    """The step (-127 … 127 tenths of a degree) from the newer neighbour to the value, if one leads there."""
    if value is None or newer is None:
        return None
    step, rest = divmod(value - newer, _STEP)
    return step if rest == 0 and -127 <= step <= 127 else None


def _read(payload: bytes, offset: int, newer: CentiCelsius | None) -> tuple[CentiCelsius | None, bool, int]:
    """One value: (temperature, escaped although a step would do, offset behind it)."""
    try:
        if payload[offset] == _ESCAPE:
            (raw,) = _T16.unpack_from(payload, offset + 1)
            value = from_t16(raw)
            return value, _step(value, newer) is not None, offset + 1 + _T16.size
        step = payload[offset] - 256 if payload[offset] > _ESCAPE else payload[offset]
    except (IndexError, struct.error):
        raise DecodeError("history ends in the middle of an interval") from None
    if newer is None:
        raise DecodeError("a step after an interval without a sample")
    return from_t16(newer + step * _STEP), False, offset + 1


def _written(value: CentiCelsius | None, newer: CentiCelsius | None, *, escaped: bool) -> bytes:
    step = _step(value, newer)
    if step is not None and not escaped:
        return bytes([step & 0xFF])
    if step is None and escaped:
        raise ValueError("marked as escaped, yet no step would do")
    return bytes([_ESCAPE]) + _T16.pack(to_t16(value))
