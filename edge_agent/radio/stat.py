"""The stat object: what a packet forwarder says of itself every 30 seconds or so."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stat:
    """Values as the forwarder gave them, None where it gave none. Counts are of the last interval."""

    time: str | None  # "2026-11-24 09:00:00 GMT", by the forwarder's host
    latitude: float | None
    longitude: float | None
    altitude_m: float | None
    rxnb: int | None  # frames received
    rxok: int | None  # of these, with a right CRC
    rxfw: int | None  # of these, forwarded
    ackr: float | None  # percentage of our acknowledgements that reached it
    dwnb: int | None  # downlinks received
    txnb: int | None  # downlinks sent
    temperature_c: float | None
    platform: str | None

    @property
    def has_position(self) -> bool:
        """Whether a GPS, or the operator, gave it a place on earth."""
        return (
            self.latitude is not None
            and self.longitude is not None
            and (self.latitude != 0 or self.longitude != 0)
        )


def parse_stat(stat: object) -> Stat | None:
    """Read a decoded stat object, None if there is none. Never raises."""
    if not isinstance(stat, dict):
        return None
    get = stat.get
    return Stat(
        _text(get("time")),
        _number(get("lati")),
        _number(get("long")),
        _number(get("alti")),
        _count(get("rxnb")),
        _count(get("rxok")),
        _count(get("rxfw")),
        _number(get("ackr")),
        _count(get("dwnb")),
        _count(get("txnb")),
        _number(get("temp")),
        _text(get("pfrm")),
    )


def _text(value: object) -> str | None:
    return value[:64] if isinstance(value, str) else None


def _number(value: object) -> float | None:
    """A finite number that a JSON writer can write."""
    if (type(value) is int or type(value) is float) and abs(value) < 1e9 and math.isfinite(value):
        return value
    return None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 53 else None
