"""GPS time: seconds since 6 January 1980 without leap seconds (LoRaWAN 1.0.4, section 5.9, DeviceTimeAns).

The table of leap seconds is IERS Bulletin C; none was announced after 2017. One that comes needs a line here.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta

GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC)
GPS_EPOCH_UNIX_S = 315_964_800

# The UTC midnights right after a leap second.
_LEAPS = tuple(
    datetime(year, month, 1, tzinfo=UTC)
    for year, month in (
        (1981, 7),
        (1982, 7),
        (1983, 7),
        (1985, 7),
        (1988, 1),
        (1990, 1),
        (1991, 1),
        (1992, 7),
        (1993, 7),
        (1994, 7),
        (1996, 1),
        (1997, 7),
        (1999, 1),
        (2006, 1),
        (2009, 1),
        (2012, 7),
        (2015, 7),
        (2017, 1),
    )
)
_LEAPS_UTC_MS = tuple(int((leap - GPS_EPOCH).total_seconds()) * 1000 for leap in _LEAPS)
# The same moments in GPS time: the earlier leap seconds and the new one have passed by then.
_LEAPS_GPS_MS = tuple(ms + (number + 1) * 1000 for number, ms in enumerate(_LEAPS_UTC_MS))


def gps_ms_of_unix_ms(unix_ms: int) -> int:
    """GPS milliseconds out of UTC milliseconds since 1970."""
    since_epoch_ms = unix_ms - GPS_EPOCH_UNIX_S * 1000
    return since_epoch_ms + 1000 * bisect_right(_LEAPS_UTC_MS, since_epoch_ms)


def unix_ms_of_gps_ms(gps_ms: int) -> int:
    """UTC milliseconds since 1970 out of GPS milliseconds. A leap second counts as the next second."""
    return gps_ms - 1000 * bisect_right(_LEAPS_GPS_MS, gps_ms) + GPS_EPOCH_UNIX_S * 1000


def gps_seconds(utc: datetime) -> float:
    """GPS seconds out of an aware datetime."""
    return gps_ms_of_unix_ms(round(utc.timestamp() * 1000)) / 1000


def utc_of_gps_seconds(seconds: float) -> datetime:
    """Aware UTC out of GPS seconds, to the millisecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=unix_ms_of_gps_ms(round(seconds * 1000)))
