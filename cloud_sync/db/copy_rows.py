"""Rows of a batch as PostgreSQL's binary COPY, joined out of prepared pieces.

Theory of operation. A field is a 4-byte length and its bytes (PostgreSQL: "COPY", binary format). Most fields
are the same for the batch, for a device or for a radio setting, so each is packed once; what differs per row
is one struct. Numbers of hundredths of a degree come out of a table that fills as values are seen. All loops
run in C (map, zip, chain, join).

The columns are those of the temporary tables in tenant_rows.py, in the same order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final

from edge_codecs.columns import Device, RowColumns

HEAD: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TAIL: Final = b"\xff\xff"

UPLINK_COLUMNS: Final = (
    "turn", "gateway", "stream", "batch", "historical",  # the batch
    "dev_eui", "session", "codec", "codec_version",  # the device
    "ordinal", "row", "f_cnt", "received_at", "rssi_dbm", "time_quality",  # the row
    "snr_db", "frequency_hz", "data_rate", "f_port", "payload",
)  # fmt: skip
READING_COLUMNS: Final = (
    "turn", "historical",
    "dev_eui", "session",
    "ordinal", "f_cnt", "interval_end",
    "interval_s", "channel", "minimum", "maximum", "last",
)  # fmt: skip

_NULL: Final = b"\xff\xff\xff\xff"
_EPOCH_2000_MS: Final = 946_684_800_000
_INT2 = struct.Struct(">ih")
_INT4 = struct.Struct(">ii")
_INT8 = struct.Struct(">iq")
_ROW = struct.Struct(">iiiqiqiqihih")
_READING = struct.Struct(">iiiqiq")
_INTERVAL = struct.Struct(">iiih")
_PAYLOAD = struct.Struct(">ihi")


class Unstorable(ValueError):
    """A value that no column can hold."""


def _bytes(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _text(value: str) -> bytes:
    if "\0" in value:
        raise Unstorable("a text with a zero byte")
    return _bytes(value.encode())


def timestamp(utc_ms: int) -> int:
    """Microseconds since 2000, as a timestamptz is sent."""
    return (utc_ms - _EPOCH_2000_MS) * 1000


def numeric(hundredths: int) -> bytes:
    """A numeric field with two decimals. Digits are to the base 10,000, so there are one or two of them."""
    whole, part = divmod(abs(hundredths), 100)
    high, low = divmod(whole, 10_000)
    digits = [high, low, part * 100]
    weight = 1
    while digits and not digits[0]:
        del digits[0]
        weight -= 1
    while digits and not digits[-1]:
        del digits[-1]
    body = struct.pack(
        f">hhHh{len(digits)}h",
        len(digits),
        weight if digits else 0,
        0x4000 if hundredths < 0 else 0,
        2,
        *digits,
    )
    return _bytes(body)


class _Numerics(dict[int | None, bytes]):
    def __missing__(self, hundredths: int | None) -> bytes:
        assert hundredths is not None
        field = numeric(hundredths)
        if len(self) < 50_000:  # t16 has 16,501 values; other quantities may have more
            self[hundredths] = field
        return field


class _Snrs(dict[float | None, bytes]):
    def __missing__(self, snr_db: float | None) -> bytes:
        assert snr_db is not None
        field = struct.pack(">if", 4, snr_db)
        if len(self) < 10_000:
            self[snr_db] = field
        return field


class _Radios(dict[tuple[int, str], bytes]):
    """Frequency and data rate."""

    def __missing__(self, key: tuple[int, str]) -> bytes:
        field = _INT8.pack(8, key[0]) + _text(key[1])
        if len(self) < 10_000:
            self[key] = field
        return field


class _Intervals(dict[tuple[int, int], bytes]):
    """Interval length and channel."""

    def __missing__(self, key: tuple[int, int]) -> bytes:
        field = _INTERVAL.pack(4, key[0], 2, key[1])
        if len(self) < 10_000:
            self[key] = field
        return field


_NUMERICS = _Numerics({None: _NULL})
_SNRS = _Snrs({None: _NULL})
_RADIOS = _Radios()
_INTERVALS = _Intervals()


@dataclass(frozen=True, slots=True)
class HistoryInterval:
    """One interval out of a sensor's memory; temperatures in hundredths of a degree."""

    channel: int
    end_ms: int  # UTC
    interval_s: int
    minimum: int | None
    maximum: int | None


class BatchRows:
    """The COPY rows of one batch; all of it, or the rows of one tenant."""

    def __init__(
        self,
        columns: RowColumns,
        row_numbers: Sequence[int],
        ordinals: range,
        *,
        gateway: bytes,
        stream: bytes,
        number: int,
        historical: bool,
    ) -> None:
        """`row_numbers` are those of the stream; `ordinals` tell the rows of a transaction apart."""
        self._columns = columns
        self.payloads = columns.payloads()
        self.row_numbers = row_numbers
        self._ordinals = ordinals
        self._historical = b"\0\0\0\1\1" if historical else b"\0\0\0\1\0"
        self._batch = _bytes(gateway) + _bytes(stream) + _INT8.pack(8, number) + self._historical
        self._times = list(map(timestamp, columns.received_ms))

    def uplinks(self, turn: int, rows: Sequence[int] | None = None) -> bytes:
        """The tuples for `incoming_uplinks` of `rows` (None: all). Raises Unstorable."""
        c = self._columns
        head = len(UPLINK_COLUMNS).to_bytes(2, "big") + _INT4.pack(4, turn) + self._batch
        devices = list(map(_device, c.devices))
        try:
            parts: Iterable[tuple[bytes, ...]] = zip(
                repeat(head),
                map(devices.__getitem__, c.device),
                map(
                    _ROW.pack,
                    repeat(4), self._ordinals, repeat(8), self.row_numbers, repeat(8), c.f_cnt,
                    repeat(8), self._times, repeat(2), c.rssi_dbm, repeat(2), c.time_quality,
                ),
                map(_SNRS.__getitem__, c.snr_db),
                map(_RADIOS.__getitem__, zip(c.frequency_hz, c.data_rate, strict=True)),
                map(_payload, self.payloads),
            )  # fmt: skip
            if rows is not None:
                everything = list(parts)
                parts = map(everything.__getitem__, rows)
            return b"".join(chain.from_iterable(parts))
        except (struct.error, OverflowError) as error:
            raise Unstorable(f"a value that no column holds: {error}") from None

    def readings(self, turn: int, rows: Sequence[int] | None = None) -> tuple[bytes, int]:
        """The tuples for `incoming_readings` out of the reports among `rows`, and how many. Raises Unstorable."""
        reports = self._columns.reports
        head = len(READING_COLUMNS).to_bytes(2, "big") + _INT4.pack(4, turn) + self._historical
        c = self._columns
        devices = [_bytes(device.dev_eui) + _INT8.pack(8, device.session) for device in c.devices]
        f_cnt, times, ordinals = c.f_cnt, self._times, self._ordinals
        try:
            starts = {
                row: head
                + devices[c.device[row]]
                + _READING.pack(4, ordinals[row], 8, f_cnt[row], 8, times[row])
                for row in reports.row
            }
            interval_of = dict(zip(reports.row, reports.interval_s, strict=True))
            intervals = map(interval_of.__getitem__, reports.channel_row)
            parts: Iterable[tuple[bytes, ...]] = zip(
                map(starts.__getitem__, reports.channel_row),
                map(_INTERVALS.__getitem__, zip(intervals, reports.channel, strict=True)),
                map(_NUMERICS.__getitem__, reports.minimum),
                map(_NUMERICS.__getitem__, reports.maximum),
                map(_NUMERICS.__getitem__, reports.last),
                strict=True,
            )
            count = len(reports.channel_row)
            if rows is not None:
                wanted = set(rows)
                chosen = [part for row, part in zip(reports.channel_row, parts, strict=True) if row in wanted]
                parts, count = chosen, len(chosen)
            return b"".join(chain.from_iterable(parts)), count
        except (struct.error, OverflowError) as error:
            raise Unstorable(f"a value that no column holds: {error}") from None

    def history(self, turn: int, row: int, intervals: Sequence[HistoryInterval]) -> bytes:
        """The tuples for `incoming_history` out of one row's message."""
        c = self._columns
        device = c.devices[c.device[row]]
        head = (
            len(READING_COLUMNS).to_bytes(2, "big")
            + _INT4.pack(4, turn)
            + b"\0\0\0\1\1"  # whatever the lane: it comes late
            + _bytes(device.dev_eui)
            + _INT8.pack(8, device.session)
        )
        ordinal, f_cnt = self._ordinals[row], c.f_cnt[row]
        return b"".join(
            head
            + _READING.pack(4, ordinal, 8, f_cnt, 8, timestamp(interval.end_ms))
            + _INTERVALS[interval.interval_s, interval.channel]
            + _NUMERICS[interval.minimum]
            + _NUMERICS[interval.maximum]
            + _NULL
            for interval in intervals
        )


def _device(device: Device) -> bytes:
    return (
        _bytes(device.dev_eui)
        + _INT8.pack(8, device.session)
        + _text(device.codec)
        + _INT2.pack(2, device.codec_version)
    )


def _payload(payload: tuple[int, bytes]) -> bytes:
    f_port, data = payload
    return _PAYLOAD.pack(2, f_port, len(data)) + data
