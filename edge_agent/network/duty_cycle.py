"""How long one transmitter was on air in the last hour, by sub-band (ETSI EN 300 220-2, annex B). Pure.

The hour slides: no hour at all, wherever it begins, has more than its share. A transmission counts whole
while any of it lies within the hour. What was sent before the last seconds is kept by stretches of
`STRETCH_NS`, dated by their end, so that a few hundred numbers tell an hour: it counts some seconds too long,
never too short.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edge_agent.lorawan.region import Region, SubBand

HOUR_NS = 3600 * 1_000_000_000
STRETCH_NS = 10 * 1_000_000_000
SETTLED_NS = 30 * 1_000_000_000  # what ended longer ago than this is never taken back


class OnAir(NamedTuple):
    """So long on air, all of it before `end_ns`."""

    end_ns: int
    ns: int


class DutyCycle:
    """The account of one transmitter. Moments are CLOCK_BOOTTIME in nanoseconds."""

    def __init__(self, region: Region, spent: Mapping[str, Sequence[OnAir]] | None = None) -> None:
        """Begin empty, or with what `spent` gave in the same boot of this host."""
        self._region = region
        known = spent or {}
        self._bands = {band: sorted(known.get(_name(band), ())) for band in region.sub_bands}

    def may(self, now_ns: int, at_ns: int, frequency_hz: int, airtime_us: int) -> bool:
        """Whether a transmission then and there keeps every hour that it touches within the limit.

        False on a frequency of no sub-band.
        """
        band = self._region.sub_band(frequency_hz)
        if band is None:
            return False
        self._forget(band, now_ns)
        new = OnAir(at_ns + airtime_us * 1000, airtime_us * 1000)
        ends_ns = {new.end_ns, *(entry.end_ns for entry in self._bands[band] if entry.end_ns > new.end_ns)}
        limit_ns = band.duty_cycle * HOUR_NS
        return all(new.ns + self._within(band, end_ns) <= limit_ns for end_ns in ends_ns)

    def add(self, at_ns: int, frequency_hz: int, airtime_us: int) -> None:
        """Count a transmission. Raises KeyError on a frequency of no sub-band."""
        insort(self._entries(frequency_hz), OnAir(at_ns + airtime_us * 1000, airtime_us * 1000))

    def take_back(self, at_ns: int, frequency_hz: int, airtime_us: int) -> None:
        """It does not go on air after all; a transmission that has become a part of a stretch stays."""
        entries, entry = self._entries(frequency_hz), OnAir(at_ns + airtime_us * 1000, airtime_us * 1000)
        if entry in entries:
            entries.remove(entry)

    def used(self, now_ns: int) -> dict[str, float]:
        """Share of the limit that the hour until now, and what is planned, take; by sub-band in MHz."""
        for band in self._bands:
            self._forget(band, now_ns)
        return {
            _name(band): sum(entry.ns for entry in entries) / (band.duty_cycle * HOUR_NS)
            for band, entries in self._bands.items()
        }

    def spent(self, now_ns: int) -> dict[str, list[OnAir]]:
        """What a new account of the same transmitter needs to go on; JSON-able."""
        for band in self._bands:
            self._forget(band, now_ns)
        return {_name(band): list(entries) for band, entries in self._bands.items() if entries}

    def _entries(self, frequency_hz: int) -> list[OnAir]:
        band = self._region.sub_band(frequency_hz)
        if band is None:
            raise KeyError(frequency_hz)
        return self._bands[band]

    def _within(self, band: SubBand, end_ns: int) -> int:
        """Nanoseconds on air of what ends in the hour before `end_ns`, or begins in it."""
        return sum(entry.ns for entry in self._bands[band] if end_ns - HOUR_NS < entry.end_ns <= end_ns)

    def _forget(self, band: SubBand, now_ns: int) -> None:
        """Let go of what is older than an hour; join what is settled to stretches."""
        kept: list[OnAir] = []
        for entry in self._bands[band]:
            if entry.end_ns <= now_ns - HOUR_NS:
                continue
            is_settled = entry.end_ns <= now_ns - SETTLED_NS
            if is_settled and kept and kept[-1].end_ns // STRETCH_NS == entry.end_ns // STRETCH_NS:
                kept[-1] = OnAir(entry.end_ns, kept[-1].ns + entry.ns)
            else:
                kept.append(entry)
        self._bands[band] = kept


def _name(band: SubBand) -> str:
    return f"{band.low_hz / 1e6:g}-{band.high_hz / 1e6:g}"
