"""What a Clip'R says: the uplink messages as values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import NewType, TypeAlias

CentiCelsius = NewType("CentiCelsius", int)
"""Hundredths of a degree Celsius, -4000 … 12500."""


class DecodeError(ValueError):
    """The payload is not a message of this format; the text says what is wrong, for a person.

    `unknown_f_port` tells a port that the codec does not know from a payload that it cannot read.
    """

    def __init__(self, text: str, *, unknown_f_port: bool = False) -> None:
        super().__init__(text)
        self.unknown_f_port = unknown_f_port


class Flag(enum.IntFlag):
    """The flags of a report, as bits of `Report.flags`; bits 6 and 7 are reserved."""

    BATTERY_LOW = 1
    CLIP_OPEN = 2
    PROBE_FAULT = 4
    FLUSH_SEEN = 8
    CLOCK_IN_STEP = 16
    HISTORY_WAITING = 32


def battery_volts(b8: int) -> Decimal | None:
    """Volts of a battery byte (2.00 … 4.54 V); None where the sensor does not know (255)."""
    return None if b8 == 255 else Decimal(200 + b8).scaleb(-2)


@dataclass(frozen=True, slots=True)
class Extremes:
    """What one channel saw in one interval; all three are None when the probe gave no valid sample."""

    channel: int  # 0 pipe A, 1 pipe B, 2 ambient
    minimum: CentiCelsius | None
    maximum: CentiCelsius | None
    last: CentiCelsius | None


@dataclass(frozen=True, slots=True)
class Report:
    """fPort 10: one interval, which ends when the frame is sent."""

    flags: int  # 8 bits as sent, reserved bits included, so that the payload can be rebuilt
    battery: int  # b8 as sent: 2.00 V + n/100, 255 unknown
    interval_s: int
    channels: tuple[Extremes, ...]  # rising channel order
    reserved: bool = False  # bit 3 of the channel bitmap as sent


class EventKind(enum.IntEnum):
    """fPort 11, low nibble of byte 0."""

    FLUSH_START = 1
    FLUSH_END = 2
    ABOVE_UPPER_LIMIT = 3
    BELOW_LOWER_LIMIT = 4
    CLIP_OPENED = 5
    CLIP_CLOSED = 6
    PROBE_FAULT = 7
    PROBE_RESTORED = 8


@dataclass(frozen=True, slots=True)
class Event:
    """fPort 11: something happened `age_s` before the end of this transmission."""

    kind: EventKind
    channel: int
    age_s: int
    temperature: CentiCelsius | None
    duration_s: int | None = None  # flush end only
    extreme: CentiCelsius | None = None  # flush end only


class ResetCause(enum.IntEnum):
    """fPort 12, low nibble of byte 0."""

    POWER_ON = 0
    WATCHDOG = 1
    BROWN_OUT = 2
    DOWNLINK = 3
    FIRMWARE_UPDATE = 4


@dataclass(frozen=True, slots=True)
class Status:
    """fPort 12: health, once a day and after each join."""

    reset_cause: ResetCause
    hardware_revision: int
    firmware: tuple[int, int, int]
    battery: int  # b8 as sent
    uptime_s: int
    report_interval_s: int
    sampling_interval_s: int
    waiting: int  # 255 = 255 or more


@dataclass(frozen=True, slots=True)
class HistoryInterval:
    """One interval out of the sensor's memory; minimum and maximum are None together.

    `*_escaped`: sent as a full t16 although a step would do.
    """

    minimum: CentiCelsius | None
    maximum: CentiCelsius | None
    minimum_escaped: bool = False
    maximum_escaped: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """fPort 13: intervals kept in the sensor's memory, newest first, adjoining."""

    channel: int
    newest_end_s: int  # Unix seconds
    interval_s: int
    intervals: tuple[HistoryInterval, ...]


@dataclass(frozen=True, slots=True)
class Undecoded:
    """A payload of an authentic frame that the codec could not read: kept as it came, never guessed."""

    f_port: int
    payload: bytes


Message: TypeAlias = Report | Event | Status | History | Undecoded
