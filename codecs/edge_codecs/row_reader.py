"""The body of rows to columns (docs/wire.md). Whatever the bytes, it gives columns or raises Malformed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, compress, repeat
from operator import add, le
from typing import Final, TypeAlias, cast

from edge_codecs import data_rate
from edge_codecs import row_layout as layout
from edge_codecs.clipr import CentiCelsius, Message, Report, read_payload
from edge_codecs.clipr.temperature import HIGHEST, LOWEST
from edge_codecs.clipr.uplink import CHANNELS_OF_BITMAP
from edge_codecs.columns import Device, ReportColumns, RowColumns
from edge_codecs.grouping import Grouping
from edge_codecs.identifiers import DevEUI
from edge_codecs.packing import Malformed, Reader
from edge_codecs.reading import TimeQuality

_Temperatures: TypeAlias = Sequence[CentiCelsius | None]

_TRAITS: Final = {
    quality | other: (quality, not other) for quality in TimeQuality for other in (0, layout.NOT_A_REPORT)
}


def _is_possible(shape: int) -> bool:
    """A report has a channel; what is without a sample is present."""
    present, without = shape & layout.CHANNEL_BITS, shape >> layout.NO_SAMPLE_SHIFT
    return bool(present) and not without & ~present


def _shape(shape: int) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    channels = CHANNELS_OF_BITMAP[shape & layout.CHANNEL_BITS]
    without = shape >> layout.NO_SAMPLE_SHIFT
    return channels, tuple(not without >> channel & 1 for channel in channels)


_SHAPES: Final = {shape: _shape(shape) for shape in range(0x80) if _is_possible(shape)}
"""Bitmap byte of a report -> (channels present, which of them have a sample)."""


def read_body(body: bytes, bits: int, count: int) -> RowColumns:
    """Read exactly `count` rows. Raises Malformed."""
    reader = Reader(body)
    device_count = reader.varint() if count > 1 else 1
    if not 1 <= device_count <= count:
        raise Malformed(f"{device_count} devices in {count} rows")
    device = reader.column(count) if device_count > 1 else [0] * count
    if device_count > 1 and (max(device) >= device_count or len(set(device)) != device_count):
        raise Malformed("device numbers and device table do not fit")
    devices = _read_devices(reader, device_count, bits)
    grouping = Grouping.by(device)
    f_cnt = _within(_grouped(reader, grouping), 0, layout.MAX_U32, "f_cnt")
    received_ms = _within(_grouped(reader, grouping), 0, layout.MAX_TIME_MS, "received_ms")
    quality, is_report = _read_traits(reader, count)
    frequency_hz = _read_frequency(reader, count, bits)
    rate = _read_data_rate(reader, count, bits)
    rssi = _within(_grouped(reader, grouping, signed=True), -0x8000, 0x8000, "rssi_dbm")
    snr = _within(reader.column(count, signed=True), layout.NO_SNR, -layout.NO_SNR, "snr_db")
    report_rows = list(compress(range(count), is_report))
    reports = _read_reports(reader, report_rows, device)
    others = _read_others(reader, sorted(set(range(count)).difference(report_rows)), device, devices)
    reader.end()
    _check_codecs(devices, device, report_rows)
    return RowColumns(
        devices,
        device,
        f_cnt,
        received_ms,
        quality,
        frequency_hz,
        rate,
        [value - layout.RSSI_BIAS_DBM for value in rssi],
        [None if value == layout.NO_SNR else value / layout.SNR_STEPS for value in snr],
        reports,
        others,
    )


def _within(values: list[int], lowest: int, highest: int, name: str) -> list[int]:
    if values and not (lowest <= min(values) and max(values) <= highest):
        raise Malformed(f"{name} out of range")
    return values


def _grouped(reader: Reader, grouping: Grouping, *, signed: bool = False) -> list[int]:
    groups = len(grouping.starts)
    firsts = reader.column(groups, signed=signed)
    return grouping.join(firsts, reader.column(len(grouping.order) - groups, signed=True))


def _read_text(reader: Reader) -> str:
    size = reader.byte()
    if not 1 <= size <= layout.MAX_TEXT_BYTES:
        raise Malformed(f"text of {size} bytes")
    try:
        return reader.take(size).decode()
    except UnicodeDecodeError:
        raise Malformed("text is not UTF-8") from None


def _table_size(reader: Reader, limit: int) -> int:
    size = reader.varint()
    if not 1 <= size <= limit:
        raise Malformed(f"table of {size} entries for {limit}")
    return size


def _indices(reader: Reader, count: int, size: int) -> list[int]:
    return _within(reader.column(count), 0, size - 1, "index into a table")


def _read_devices(reader: Reader, count: int, bits: int) -> list[Device]:
    if count == 1:
        euis = [reader.take(8)]
    else:
        euis = [eui.to_bytes(8) for eui in _within(reader.column(count), 0, (1 << 64) - 1, "DevEUI")]
    sessions = _within(reader.column(count), 0, layout.MAX_U32, "session")
    codecs = [layout.DEFAULT_CODEC] * count
    if bits & layout.CODECS_SPELLED:
        table = [(_read_text(reader), reader.varint()) for _ in range(_table_size(reader, count))]
        codecs = [table[index] for index in _indices(reader, count, len(table))]
    devices = [
        Device(DevEUI(eui), session, *codec)
        for eui, session, codec in zip(euis, sessions, codecs, strict=True)
    ]
    if len(set(devices)) != count:
        raise Malformed("the same device twice")
    return devices


def _read_frequency(reader: Reader, count: int, bits: int) -> list[int]:
    if bits & layout.FREQUENCY_IN_HZ:
        return _within(reader.column(count), 0, layout.MAX_FREQUENCY_HZ, "frequency_hz")
    units = _within(reader.column(count), 0, layout.MAX_FREQUENCY_HZ // layout.FREQUENCY_UNIT_HZ, "frequency")
    return [unit * layout.FREQUENCY_UNIT_HZ for unit in units]


def _read_data_rate(reader: Reader, count: int, bits: int) -> list[str]:
    if bits & layout.DATA_RATES_SPELLED:
        texts = [_read_text(reader) for _ in range(_table_size(reader, count))]
        return list(map(texts.__getitem__, _indices(reader, count, len(texts))))
    try:
        return list(map(data_rate.TEXT_OF.__getitem__, reader.column(count)))
    except KeyError as error:
        raise Malformed(f"unknown data rate {error}") from None


def _read_traits(reader: Reader, count: int) -> tuple[list[TimeQuality], list[bool]]:
    try:
        traits = list(map(_TRAITS.__getitem__, reader.column(count)))
    except KeyError as error:
        raise Malformed(f"unknown traits {error}") from None
    return [quality for quality, _ in traits], [is_report for _, is_report in traits]


def _read_reports(reader: Reader, row: list[int], device: Sequence[int]) -> ReportColumns:
    """The reports, which are these rows; each value is in the range that a Clip'R may send."""
    count = len(row)
    report_device = list(map(device.__getitem__, row)) if count < len(device) else device
    shape = _within(reader.column(count), 0, 0x7F, "bitmap")
    flags = _within(reader.column(count), 0, 0xFF, "flags")
    battery = _within(_grouped(reader, Grouping.by(report_device)), 0, 0xFF, "battery")
    interval_s = _within(reader.column(count), 1, 0xFFFF, "interval_s")
    try:
        shapes = list(map(_SHAPES.__getitem__, shape))
    except KeyError as error:
        raise Malformed(f"impossible channel bitmap {error}") from None
    present = [channels for channels, _ in shapes]
    channel = list(chain.from_iterable(present))
    channel_report = list(chain.from_iterable(map(repeat, range(count), map(len, present))))
    sampled = list(chain.from_iterable(samples for _, samples in shapes))
    keys = [
        4 * report_device[report] + number
        for report, number in compress(zip(channel_report, channel, strict=True), sampled)
    ]
    values = _read_temperatures(reader, Grouping.by(keys))
    if len(keys) < len(channel):
        minimum, maximum, last = values
        values = _with_gaps(minimum, sampled), _with_gaps(maximum, sampled), _with_gaps(last, sampled)
    return ReportColumns(
        row,
        [bitmap & 0x0F for bitmap in shape],
        flags,
        battery,
        interval_s,
        channel_report,
        list(map(row.__getitem__, channel_report)),
        channel,
        *values,
    )


def _read_temperatures(
    reader: Reader, grouping: Grouping
) -> tuple[_Temperatures, _Temperatures, _Temperatures]:
    count = len(grouping.order)
    minimum = _grouped(reader, grouping, signed=True)
    spread = reader.column(count)
    above = reader.column(count)
    maximum = list(map(add, minimum, spread))
    last = list(map(add, minimum, above))
    if count and not (min(minimum) >= LOWEST and max(maximum) <= HIGHEST and all(map(le, last, maximum))):
        raise Malformed("temperatures out of range, or last above maximum")
    return cast("_Temperatures", minimum), cast("_Temperatures", maximum), cast("_Temperatures", last)


def _with_gaps(values: _Temperatures, sampled: Sequence[bool]) -> _Temperatures:
    following = iter(values)
    return [next(following) if sample else None for sample in sampled]


def _read_others(
    reader: Reader, rows: Sequence[int], device: Sequence[int], devices: Sequence[Device]
) -> list[tuple[int, Message]]:
    f_ports = _within(reader.column(len(rows)), 0, 255, "fPort")
    sizes = _within(reader.column(len(rows)), 0, layout.MAX_PAYLOAD_BYTES, "payload length")
    others: list[tuple[int, Message]] = []
    for row, f_port, size in zip(rows, f_ports, sizes, strict=True):
        origin = devices[device[row]]
        message = read_payload(origin.codec, origin.codec_version, f_port, reader.take(size))
        if isinstance(message, Report):
            raise Malformed("a report among the other messages")
        others.append((row, message))
    return others


def _check_codecs(devices: Sequence[Device], device: Sequence[int], report_rows: Sequence[int]) -> None:
    """Columns hold reports of Clip'R version 1 and of no other codec."""
    foreign = {
        number
        for number, origin in enumerate(devices)
        if (origin.codec, origin.codec_version) != layout.DEFAULT_CODEC
    }
    if foreign and not foreign.isdisjoint(map(device.__getitem__, report_rows)):
        raise Malformed("a report in columns of a device whose codec has none")
