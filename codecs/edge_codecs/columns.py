"""Rows by column: what the receiver takes into COPY without building an object a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_codecs.clipr import CentiCelsius, Message
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality, Uplink


@dataclass(frozen=True, slots=True)
class Device:
    """One life of a device's frame counter, with the codec that reads its payloads."""

    dev_eui: DevEUI
    session: int
    codec: str
    codec_version: int


@dataclass(frozen=True, slots=True)
class ReportColumns:
    """The reports among the rows. The first five lists have one entry a report, the others one a channel of a report."""

    row: Sequence[int]
    """Index of the report's row."""
    bitmap: Sequence[int]
    """Channel bitmap as sent, reserved bit 3 included."""
    flags: Sequence[int]
    battery: Sequence[int]
    interval_s: Sequence[int]
    channel_row: Sequence[int]
    """Index of the row that the channel entry belongs to."""
    channel: Sequence[int]
    minimum: Sequence[CentiCelsius | None]
    maximum: Sequence[CentiCelsius | None]
    last: Sequence[CentiCelsius | None]

    def payloads(self) -> list[bytes]:
        """The Clip'R payload of each report (fPort 10), as the sensor sent it."""
        raise NotImplementedError


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
        raise NotImplementedError

    def messages(self) -> list[Message]:
        """The message of each row."""
        raise NotImplementedError

    def uplinks(self) -> Iterator[Uplink]:
        """The rows as objects, in order."""
        raise NotImplementedError
