"""Rows by column: what the receiver takes into COPY without building an object a row."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from edge_codecs.clipr import CentiCelsius, Extremes, Message, Report, encode
from edge_codecs.clipr.temperature import NO_SAMPLE
from edge_codecs.clipr.uplink import CHANNELS_OF_BITMAP, REPORT
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality, Uplink

_Item = TypeVar("_Item")
_HEAD: Final = struct.Struct(">BBBH")
_TRIPLE: Final = struct.Struct(">hhh")
_FIRST: Final = tuple(0x10 | bitmap for bitmap in range(16))
_CHANNELS: Final = tuple(map(len, CHANNELS_OF_BITMAP))


@dataclass(frozen=True, slots=True)
class Device:
    """One life of a device's frame counter, with the codec that reads its payloads."""

    dev_eui: DevEUI
    session: int
    codec: str
    codec_version: int


@dataclass(frozen=True, slots=True)
class ReportColumns:
    """The reports among the rows.

    The first five lists have one entry a report, the others one a channel of a report. Temperatures are None
    together where there was no valid sample.
    """

    row: Sequence[int]
    """Index of the report's row."""
    bitmap: Sequence[int]
    """Channel bitmap as sent, reserved bit 3 included."""
    flags: Sequence[int]
    battery: Sequence[int]
    interval_s: Sequence[int]
    channel_report: Sequence[int]
    """Index of the report (into the five lists above) that the channel entry belongs to; rising."""
    channel_row: Sequence[int]
    """Index of the row that the channel entry belongs to; rising."""
    channel: Sequence[int]
    minimum: Sequence[CentiCelsius | None]
    maximum: Sequence[CentiCelsius | None]
    last: Sequence[CentiCelsius | None]

    def payloads(self) -> list[bytes]:
        """The Clip'R payload of each report (fPort 10), as the sensor sent it."""
        triples = map(_TRIPLE.pack, map(_t16, self.minimum), map(_t16, self.maximum), map(_t16, self.last))
        heads = map(
            _HEAD.pack, map(_FIRST.__getitem__, self.bitmap), self.flags, self.battery, self.interval_s
        )
        return [
            head + b"".join(islice(triples, channels))
            for head, channels in zip(heads, map(_CHANNELS.__getitem__, self.bitmap), strict=True)
        ]

    def messages(self) -> list[Report]:
        """The reports as objects."""
        extremes = map(Extremes, self.channel, self.minimum, self.maximum, self.last)
        return [
            Report(
                flags, battery, interval_s, tuple(islice(extremes, _CHANNELS[bitmap])), bool(bitmap & 0x08)
            )
            for bitmap, flags, battery, interval_s in zip(
                self.bitmap, self.flags, self.battery, self.interval_s, strict=True
            )
        ]


@dataclass(frozen=True, slots=True)
class RowColumns:
    """All rows of a batch, one list a field; entry i of each is row i."""

    devices: Sequence[Device]
    device: Sequence[int]
    """Index into `devices`."""
    f_cnt: Sequence[int]
    received_ms: Sequence[int]
    time_quality: Sequence[TimeQuality]
    frequency_hz: Sequence[int]
    data_rate: Sequence[str]
    rssi_dbm: Sequence[int]
    snr_db: Sequence[float | None]
    reports: ReportColumns
    others: Sequence[tuple[int, Message]]
    """(row index, message) of every row that is not a report."""

    def __len__(self) -> int:
        return len(self.device)

    def payloads(self) -> list[tuple[int, bytes]]:
        """(fPort, payload) of each row, as the sensor sent it."""
        return self._by_row(
            [(REPORT, payload) for payload in self.reports.payloads()],
            [encode(message) for _, message in self.others],
        )

    def messages(self) -> list[Message]:
        """The message of each row."""
        return self._by_row(self.reports.messages(), [message for _, message in self.others])

    def uplinks(self) -> list[Uplink]:
        """The rows as objects."""
        device = [self.devices[number] for number in self.device]
        return list(
            map(
                Uplink,
                [d.dev_eui for d in device],
                [d.session for d in device],
                self.f_cnt,
                self.received_ms,
                self.time_quality,
                self.frequency_hz,
                self.data_rate,
                self.rssi_dbm,
                self.snr_db,
                [d.codec for d in device],
                [d.codec_version for d in device],
                self.messages(),
            )
        )

    def _by_row(self, reports: Sequence[_Item], others: Sequence[_Item]) -> list[_Item]:
        """What belongs to reports and to other rows, in the order of the rows."""
        if not others:
            return list(reports)
        by_row = dict(zip(self.reports.row, reports, strict=True))
        by_row.update(zip((row for row, _ in self.others), others, strict=True))
        return [by_row[row] for row in range(len(self))]


def _t16(temperature: CentiCelsius | None) -> int:
    return NO_SAMPLE if temperature is None else temperature
