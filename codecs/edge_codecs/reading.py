"""The nouns that both sides speak: an uplink as the gateway took it, and the readings in it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from edge_codecs.clipr import CentiCelsius, History, Message, Report
from edge_codecs.identifiers import DevEUI

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimeQuality(enum.IntEnum):
    """Where the UTC of an uplink comes from; better is lower. The number travels."""

    GPS = 0
    """The concentrator's GPS time."""
    SYNCHRONISED = 1
    """The gateway's clock, which its kernel says is in step (NTP, PTP)."""
    TRUSTED = 2
    """The gateway's clock, which its operator declared to be right."""
    RECEIVER = 3
    """Worked out from the receiver's time in a signed receipt; good to some seconds."""
    UNKNOWN = 4
    """Never known: power went before the clock was in step. The time given is only an upper bound."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """One accepted uplink: what a batch carries as one row.

    `received_ms` is UTC in milliseconds since 1970 at the end of reception. `snr_db` is in steps of 0.1.
    `session` tells apart two lives of a frame counter: for ABP how often the operator has reset it,
    over the air the JoinNonce of the join accept.
    """

    dev_eui: DevEUI
    session: int
    f_cnt: int  # full 32-bit counter
    received_ms: int
    time_quality: TimeQuality
    frequency_hz: int
    data_rate: str  # "SF7BW125", or "50000" for FSK in bit/s
    rssi_dbm: int
    snr_db: float | None  # FSK has none
    codec: str  # "clipr"
    codec_version: int
    message: Message


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity of one channel over one interval, as the logbook keeps it.

    `interval_end` is aware UTC; minimum, maximum and last are None together when the probe gave no
    valid sample. `last` is also None for an interval out of a sensor's history.
    """

    dev_eui: DevEUI
    channel: int
    quantity: str  # "temperature"
    unit: str  # "°C"
    interval_end: datetime
    interval_s: int
    minimum: Decimal | None
    maximum: Decimal | None
    last: Decimal | None


def readings_of(uplink: Uplink) -> Iterator[Reading]:
    """The temperature readings in an uplink: a report gives one a channel, a history one an interval.

    A report's interval ends at `received_ms`, a history's where the sensor's clock said. Others give none.
    """
    match uplink.message:
        case Report(interval_s=interval_s, channels=channels):
            end = _EPOCH + timedelta(milliseconds=uplink.received_ms)
            for e in channels:
                yield _reading(uplink.dev_eui, e.channel, end, interval_s, e.minimum, e.maximum, e.last)
        case History(channel, newest_end_s, interval_s, intervals):
            for age, interval in enumerate(intervals):
                end = _EPOCH + timedelta(seconds=newest_end_s - age * interval_s)
                yield _reading(
                    uplink.dev_eui, channel, end, interval_s, interval.minimum, interval.maximum, None
                )


def celsius(centi: CentiCelsius | None) -> Decimal | None:
    """Degrees Celsius with two decimals."""
    return None if centi is None else Decimal(centi).scaleb(-2)


def _reading(
    dev_eui: DevEUI,
    channel: int,
    end: datetime,
    interval_s: int,
    minimum: CentiCelsius | None,
    maximum: CentiCelsius | None,
    last: CentiCelsius | None,
) -> Reading:
    return Reading(
        dev_eui,
        channel,
        "temperature",
        "°C",
        end,
        interval_s,
        celsius(minimum),
        celsius(maximum),
        celsius(last),
    )
