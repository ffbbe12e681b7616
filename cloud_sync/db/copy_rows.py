"""Rows of a batch as PostgreSQL's binary COPY, joined out of prepared pieces.

Theory of operation. A field is a 4-byte length and its bytes (PostgreSQL: "COPY", binary format). Most fields
are the same for the batch, for a device or for a radio setting, so each is packed once; what differs per row
is one struct. Numbers of hundredths of a degree come out of a table that fills as values are seen. All loops
run in C (map, zip, chain, join).

The columns are those of the temporary tables in tenant_rows.py, in the same order.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, repeat
from typing import Final, TypeVar

from edge_codecs.clipr import encode
from edge_codecs.clipr.uplink import REPORT
from edge_codecs.columns import Device, RowColumns

_Value = TypeVar("_Value")

HEAD: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TAIL: Final = b"\xff\xff"

UPLINK_COLUMNS: Final = (
    "turn", "gateway", "stream", "batch", "historical",  # the batch
    "dev_eui", "session", "codec", "codec_version",  # the device
    "row", "f_cnt", "received_at", "rssi_dbm", "time_quality",  # the row
    "snr_db", "frequency_hz", "data_rate", "f_port", "payload",
    "interval_s", "channels",  # of a report; else NULL and 0
    "minimum_0", "maximum_0", "last_0", "minimum_1", "maximum_1", "last_1",
    "minimum_2", "maximum_2", "last_2",
)  # fmt: skip
HISTORY_COLUMNS: Final = (
    "turn", "gateway", "stream", "row", "dev_eui", "session", "f_cnt",
    "interval_end", "interval_s", "channel", "minimum", "maximum",
)  # fmt: skip
CHANNELS: Final = 3

_NULL: Final = b"\xff\xff\xff\xff"
_EPOCH_2000_MS: Final = 946_684_800_000
_INT2 = struct.Struct(">ih")
_INT4 = struct.Struct(">ii")
_INT8 = struct.Struct(">iq")
_ROW = struct.Struct(">iqiqiqihih")
_SHAPE = struct.Struct(">iiih")
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


_NUMERICS = _Numerics({None: _NULL})
_SNRS = _Snrs({None: _NULL})
_RADIOS = _Radios()


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
        *,
        gateway: bytes,
        stream: bytes,
        number: int,
        historical: bool,
    ) -> None:
        """`row_numbers` are those of the stream, one a row."""
        self._columns = columns
        self.row_numbers = row_numbers
        self._source = _bytes(gateway) + _bytes(stream)
        self._batch = self._source + _INT8.pack(8, number) + (b"\0\0\0\1\1" if historical else b"\0\0\0\1\0")

    def uplinks(self, turn: int, rows: Sequence[int] | None = None) -> tuple[bytes, int]:
        """The tuples for `incoming_uplinks` of `rows` (None: all), and how many readings are in them.

        Raises Unstorable.
        """
        c = self._columns
        try:
            parts, readings = [], 0
            starts = self._starts(turn)
            for shape, chosen in self._by_shape(None if rows is None else set(rows)).items():
                if shape:
                    parts.append(self._reports(starts, shape, chosen))
                    readings += shape.bit_count() * len(chosen)
                else:
                    messages = [(c.others[index][0], encode(c.others[index][1])) for index in chosen]
                    parts.append(
                        b"".join([starts[row] + _payload(*message) + _NO_REPORT for row, message in messages])
                    )
            return b"".join(parts), readings
        except (struct.error, OverflowError) as error:
            raise Unstorable(f"a value that no column holds: {error}") from None

    def _starts(self, turn: int) -> list[bytes]:
        """The first columns of each row, up to the data rate."""
        c = self._columns
        head = len(UPLINK_COLUMNS).to_bytes(2, "big") + _INT4.pack(4, turn) + self._batch
        devices = [head + _device(device) for device in c.devices]
        times = map(timestamp, c.received_ms)
        rows = map(
            _ROW.pack,
            repeat(8), self.row_numbers, repeat(8), c.f_cnt, repeat(8), times,
            repeat(2), c.rssi_dbm, repeat(2), c.time_quality,
        )  # fmt: skip
        snrs = map(_SNRS.__getitem__, c.snr_db)
        radios = map(_RADIOS.__getitem__, zip(c.frequency_hz, c.data_rate, strict=True))
        columns = zip(map(devices.__getitem__, c.device), rows, snrs, radios, strict=True)
        return list(map(b"".join, columns))

    def _by_shape(self, wanted: set[int] | None) -> dict[int, Sequence[int]]:
        """Indices of the reports by their channels; under 0, indices of the other messages."""
        reports, others = self._columns.reports, self._columns.others
        shapes = set(reports.bitmap)
        if wanted is None and len(shapes) == 1 and not others:
            return {shapes.pop() & 7: range(len(reports.row))}
        found: dict[int, list[int]] = {}
        for index, (row, bitmap) in enumerate(zip(reports.row, reports.bitmap, strict=True)):
            if wanted is None or row in wanted:
                found.setdefault(bitmap & 7, []).append(index)
        for index, (row, _) in enumerate(others):
            if wanted is None or row in wanted:
                found.setdefault(0, []).append(index)
        return dict(found)

    def _reports(self, starts: Sequence[bytes], shape: int, chosen: Sequence[int]) -> bytes:
        """The tuples of those reports that have the channels of `shape`."""
        reports = self._columns.reports
        payloads = self._report_payloads
        intervals = {
            interval_s: _SHAPE.pack(4, interval_s, 2, shape) for interval_s in set(reports.interval_s)
        }
        pieces: list[Iterable[bytes]] = [
            map(starts.__getitem__, map(reports.row.__getitem__, chosen)),
            repeat(_PAYLOAD.pack(2, REPORT, len(payloads[chosen[0]]))),
            map(payloads.__getitem__, chosen),
            map(intervals.__getitem__, map(reports.interval_s.__getitem__, chosen)),
        ]
        entries = self._entries(shape, chosen)
        for channel in range(CHANNELS):
            if shape >> channel & 1:
                at = next(entries)
                pieces += [
                    map(_NUMERICS.__getitem__, _at(values, at))
                    for values in (reports.minimum, reports.maximum, reports.last)
                ]
            else:
                pieces.append(repeat(3 * _NULL))
        return b"".join(chain.from_iterable(zip(*pieces, strict=False)))  # some pieces repeat for ever

    def _entries(self, shape: int, chosen: Sequence[int]) -> Iterator[slice | list[int]]:
        """Where the channel entries of the chosen reports are: those of the first channel, of the second …"""
        bitmap = self._columns.reports.bitmap
        channels = shape.bit_count()
        if len(chosen) == len(bitmap):  # all, and all alike
            yield from (slice(number, None, channels) for number in range(channels))
            return
        begins = list(accumulate((bits.bit_count() for bits in map((7).__and__, bitmap)), initial=0))
        for number in range(channels):
            yield [begins[index] + number for index in chosen]

    @functools.cached_property
    def _report_payloads(self) -> list[bytes]:
        return self._columns.reports.payloads()

    @functools.cached_property
    def payloads(self) -> list[tuple[int, bytes]]:
        """(fPort, payload) of each row."""
        return self._columns.payloads()

    def history(self, turn: int, row: int, intervals: Sequence[HistoryInterval]) -> bytes:
        """The tuples for `incoming_history` out of one row's message."""
        c = self._columns
        device = c.devices[c.device[row]]
        head = (
            len(HISTORY_COLUMNS).to_bytes(2, "big")
            + _INT4.pack(4, turn)
            + self._source
            + _INT8.pack(8, self.row_numbers[row])
            + _bytes(device.dev_eui)
            + _INT8.pack(8, device.session)
            + _INT8.pack(8, c.f_cnt[row])
        )
        return b"".join(
            head
            + _INT8.pack(8, timestamp(interval.end_ms))
            + _SHAPE.pack(4, interval.interval_s, 2, interval.channel)
            + _NUMERICS[interval.minimum]
            + _NUMERICS[interval.maximum]
            for interval in intervals
        )


def _at(values: Sequence[_Value], where: slice | list[int]) -> Iterable[_Value]:
    return values[where] if isinstance(where, slice) else map(values.__getitem__, where)


def _device(device: Device) -> bytes:
    return (
        _bytes(device.dev_eui)
        + _INT8.pack(8, device.session)
        + _text(device.codec)
        + _INT2.pack(2, device.codec_version)
    )


def _payload(f_port: int, data: bytes) -> bytes:
    return _PAYLOAD.pack(2, f_port, len(data)) + data


_NO_REPORT: Final = _NULL + _INT2.pack(2, 0) + 3 * CHANNELS * _NULL
