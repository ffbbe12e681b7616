"""Rows of the table `uplinks`: from what was admitted, and to what a batch or a reading says."""

from __future__ import annotations

from typing import Final

from edge_agent.network.outcome import Admitted
from edge_agent.network.rx_frame import RxFrame
from edge_agent.store.connection import Row
from edge_agent.store.dating import Anchor, utc_ms_between
from edge_codecs.clipr import read_payload
from edge_codecs.clipr.message import Undecoded
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality, Uplink
from edge_codecs.row_layout import MAX_FREQUENCY_HZ, MAX_TIME_MS

INSERT: Final = f"INSERT INTO uplinks VALUES ({', '.join('?' * 17)})"  # noqa: S608 - no value is put in

_COLUMNS: Final = """u.id, u.dev_eui, u.session, u.f_cnt, u.f_port, u.payload, u.codec, u.codec_version,
    u.frequency_hz, u.data_rate, u.rssi_dbm, u.snr_tenths, u.monotonic_ns, u.received_ms, u.quality"""

SPAN: Final = "s.before_ns, s.before_ms, s.before_quality, s.after_ns, s.after_ms, s.quality"
"""What `spanned_date` takes behind the moment."""

DATED: Final = "(u.received_ms IS NOT NULL OR s.quality IS NOT NULL)"
"""The row's time is known, or is known to be unknowable."""

SELECT: Final = f"SELECT {_COLUMNS}, {SPAN} FROM uplinks u LEFT JOIN spans s ON s.number = u.span"  # noqa: S608
"""Rows for `uplink_of`; it needs DATED ones."""

_MAX_DB: Final = 3000
"""Nothing is that strong or weak; what a forwarder says beyond it would not fit a batch."""


def row_of(
    row_id: int,
    uplink: Admitted,
    boot: int,
    date: tuple[int, TimeQuality] | None,
    span: int | None,
) -> Row:
    """Values for INSERT. `date` is UTC in ms and its quality; without one `span` will date it."""
    frame = uplink.frame
    return (
        row_id,
        uplink.dev_eui,
        uplink.session,
        uplink.f_cnt,
        uplink.f_port,
        uplink.payload,
        uplink.codec,
        uplink.codec_version,
        _within(frame.frequency_hz, 0, MAX_FREQUENCY_HZ),
        frame.data_rate,
        _within(frame.rssi_dbm, -_MAX_DB, _MAX_DB),
        snr_tenths(frame),
        boot,
        frame.monotonic_ns,
        *(date or (None, None)),
        None if date else span,
    )


def snr_tenths(frame: RxFrame) -> int | None:
    """SNR in 1/10 dB, as it travels."""
    return None if frame.snr_db is None else _within(round(frame.snr_db * 10), -_MAX_DB, _MAX_DB)


def is_dated(row: Row) -> bool:
    """Whether a row of SELECT is a DATED one."""
    return row[13] is not None or row[-1] is not None


def uplink_of(row: Row, *, decode: bool = True) -> Uplink:
    """The uplink of a row of SELECT. Without `decode` its message stays as the payload came."""
    (
        _,
        dev_eui,
        session,
        f_cnt,
        f_port,
        payload,
        codec,
        codec_version,
        frequency_hz,
        data_rate,
        rssi_dbm,
        tenths,
        monotonic_ns,
        received_ms,
        quality,
        *span,
    ) = row
    if received_ms is None:
        received_ms, quality = spanned_date(monotonic_ns, *span)
    return Uplink(
        DevEUI(dev_eui),
        session,
        f_cnt,
        received_ms,
        TimeQuality(quality),
        frequency_hz,
        data_rate,
        rssi_dbm,
        None if tenths is None else tenths / 10,
        codec,
        codec_version,
        read_payload(codec, codec_version, f_port, payload) if decode else Undecoded(f_port, payload),
    )


def spanned_date(
    monotonic_ns: int,
    before_ns: int | None,
    before_ms: int | None,
    before_quality: int | None,
    after_ns: int,
    after_ms: int,
    quality: int,
) -> tuple[int, TimeQuality]:
    """UTC in ms and quality of a moment in a dated span."""
    after = Anchor(after_ns, after_ms, TimeQuality(quality))
    before = None
    if before_ns is not None and before_ms is not None and before_quality is not None:
        before = Anchor(before_ns, before_ms, TimeQuality(before_quality))
    return clamped_ms(utc_ms_between(before, after, monotonic_ns)), after.quality


def clamped_ms(utc_ms: int) -> int:
    """A time that a batch can carry: a clock that is far off must not stop the batches."""
    return _within(utc_ms, 0, MAX_TIME_MS)


def _within(value: int, lowest: int, highest: int) -> int:
    if lowest <= value <= highest:
        return value
    return lowest if value < lowest else highest
