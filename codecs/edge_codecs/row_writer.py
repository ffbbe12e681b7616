"""Uplinks to the body of rows (docs/wire.md)."""

from __future__ import annotations

from collections.abc import Sequence

from edge_codecs import data_rate
from edge_codecs import row_layout as layout
from edge_codecs.clipr import Message, Report, Undecoded, encode, read_payload
from edge_codecs.columns import Device
from edge_codecs.grouping import Grouping
from edge_codecs.packing import pack_column, varint
from edge_codecs.reading import Uplink


def write_body(uplinks: Sequence[Uplink]) -> tuple[int, bytes]:
    """(format bits, body). Raises ValueError for a value that the format cannot carry."""
    devices: dict[Device, int] = {}
    device = [devices.setdefault(_device(uplink), len(devices)) for uplink in uplinks]
    grouping = Grouping.by(device)
    messages = [_normal(uplink) for uplink in uplinks]
    reports = [(number, message) for number, message in enumerate(messages) if isinstance(message, Report)]
    others = [message for message in messages if not isinstance(message, Report)]
    bits_devices, parts = _write_devices(list(devices))
    if len(devices) > 1:
        parts.insert(0, pack_column(device))
    if len(uplinks) > 1:
        parts.insert(0, varint(len(devices)))
    bits_radio, radio = _write_radio(uplinks, messages, grouping)
    parts.append(radio)
    if reports:
        parts += _write_reports(
            [message for _, message in reports], [device[number] for number, _ in reports]
        )
    parts += _write_others(others)
    return bits_devices | bits_radio, b"".join(parts)


def _device(uplink: Uplink) -> Device:
    return Device(uplink.dev_eui, uplink.session, uplink.codec, uplink.codec_version)


def _normal(uplink: Uplink) -> Message:
    """The message as the receiver will read it: a payload kept undecoded is tried once more."""
    codec, message = (uplink.codec, uplink.codec_version), uplink.message
    if isinstance(message, Undecoded):
        if not 0 <= message.f_port <= 255 or len(message.payload) > layout.MAX_PAYLOAD_BYTES:
            raise ValueError(f"payload of {len(message.payload)} bytes on fPort {message.f_port}")
        return read_payload(*codec, message.f_port, message.payload)
    if codec != layout.DEFAULT_CODEC:
        raise ValueError(f"codec {codec[0]} {codec[1]} has no columns: give its payload undecoded")
    return message


def _text(text: str) -> bytes:
    raw = text.encode()
    if not 1 <= len(raw) <= layout.MAX_TEXT_BYTES:
        raise ValueError(f"text of {len(raw)} bytes, expected 1 … {layout.MAX_TEXT_BYTES}")
    return bytes([len(raw)]) + raw


def _write_devices(devices: list[Device]) -> tuple[int, list[bytes]]:
    for device in devices:
        _within(device.session, layout.MAX_U32, "session")
    if len(devices) == 1:
        parts = [bytes(devices[0].dev_eui)]
    else:
        parts = [pack_column([int.from_bytes(device.dev_eui) for device in devices])]
    parts.append(pack_column([device.session for device in devices]))
    codecs = [(device.codec, device.codec_version) for device in devices]
    names = list(dict.fromkeys(codecs))
    if names == [layout.DEFAULT_CODEC]:
        return 0, parts
    parts.append(varint(len(names)))
    parts += [_text(name) + varint(version) for name, version in names]
    parts.append(pack_column([names.index(codec) for codec in codecs]))
    return layout.CODECS_SPELLED, parts


def _write_radio(
    uplinks: Sequence[Uplink], messages: Sequence[Message], grouping: Grouping
) -> tuple[int, bytes]:
    bits = 0
    for uplink in uplinks:
        _within(uplink.f_cnt, layout.MAX_U32, "f_cnt")
        _within(uplink.received_ms, layout.MAX_TIME_MS, "received_ms")
        _within(uplink.frequency_hz, layout.MAX_FREQUENCY_HZ, "frequency_hz")
        if abs(uplink.rssi_dbm) >= -layout.NO_SNR:
            raise ValueError(f"rssi_dbm {uplink.rssi_dbm}")
    parts = _write_grouped([uplink.f_cnt for uplink in uplinks], grouping)
    parts += _write_grouped([uplink.received_ms for uplink in uplinks], grouping)
    parts.append(
        pack_column(
            [
                uplink.time_quality | (0 if isinstance(message, Report) else layout.NOT_A_REPORT)
                for uplink, message in zip(uplinks, messages, strict=True)
            ]
        )
    )
    frequencies = [uplink.frequency_hz for uplink in uplinks]
    if any(frequency % layout.FREQUENCY_UNIT_HZ for frequency in frequencies):
        bits |= layout.FREQUENCY_IN_HZ
        parts.append(pack_column(frequencies))
    else:
        parts.append(pack_column([frequency // layout.FREQUENCY_UNIT_HZ for frequency in frequencies]))
    rates = [uplink.data_rate for uplink in uplinks]
    if all(map(data_rate.NUMBER_OF.__contains__, rates)):
        parts.append(pack_column([data_rate.NUMBER_OF[rate] for rate in rates]))
    else:
        bits |= layout.DATA_RATES_SPELLED
        texts = list(dict.fromkeys(rates))
        parts.append(varint(len(texts)))
        parts += map(_text, texts)
        parts.append(pack_column([texts.index(rate) for rate in rates]))
    parts += _write_grouped(
        [uplink.rssi_dbm + layout.RSSI_BIAS_DBM for uplink in uplinks], grouping, signed=True
    )
    parts.append(pack_column([_snr(uplink.snr_db) for uplink in uplinks], signed=True))
    return bits, b"".join(parts)


def _snr(snr_db: float | None) -> int:
    if snr_db is None:
        return layout.NO_SNR
    steps = round(snr_db * layout.SNR_STEPS)
    if abs(steps) >= -layout.NO_SNR:
        raise ValueError(f"snr_db {snr_db}")
    return steps


def _write_grouped(values: Sequence[int], grouping: Grouping, *, signed: bool = False) -> list[bytes]:
    firsts, steps = grouping.split(values)
    return [pack_column(firsts, signed=signed), pack_column(steps, signed=True)]


def _write_reports(reports: Sequence[Report], device: Sequence[int]) -> list[bytes]:
    bitmaps = []
    keys: list[int] = []
    minimum: list[int] = []
    spread: list[int] = []
    last: list[int] = []
    for report, device_number in zip(reports, device, strict=True):
        bitmap = encode(report)[1][0] & 0x0F  # encode() also refuses what is no report
        for e in report.channels:
            if e.minimum is None or e.maximum is None or e.last is None:
                bitmap |= 1 << layout.NO_SAMPLE_SHIFT + e.channel
                continue
            keys.append(4 * device_number + e.channel)
            minimum.append(e.minimum)
            spread.append(e.maximum - e.minimum)
            last.append(e.last - e.minimum)
        bitmaps.append(bitmap)
    parts = [pack_column(bitmaps), pack_column([report.flags for report in reports])]
    parts += _write_grouped([report.battery for report in reports], Grouping.by(device))
    parts.append(pack_column([report.interval_s for report in reports]))
    parts += _write_grouped(minimum, Grouping.by(keys), signed=True)
    return [*parts, pack_column(spread), pack_column(last)]


def _write_others(others: Sequence[Message]) -> list[bytes]:
    encoded = [encode(message) for message in others]
    return [
        pack_column([f_port for f_port, _ in encoded]),
        pack_column([len(payload) for _, payload in encoded]),
        *(payload for _, payload in encoded),
    ]


def _within(value: int, highest: int, name: str) -> None:
    if not 0 <= value <= highest:
        raise ValueError(f"{name} {value}, expected 0 … {highest}")
