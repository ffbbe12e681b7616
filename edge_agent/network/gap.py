"""Intervals of a sensor that are missing between two that are there."""

from __future__ import annotations

from dataclasses import dataclass

from edge_codecs.identifiers import DevEUI

MAX_ASKED = 5
"""Requests without any progress until the sensor's memory is held to be exhausted."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing is known of one channel between `from_ms` and `to_ms` (UTC, ms since 1970).

    `from_ms` is the end of the last interval before, `to_ms` the beginning of the next one there, which is
    when the last missing interval ends. `asked` counts the requests that the sensor has heard since the gap
    last became smaller.
    """

    dev_eui: DevEUI
    channel: int
    from_ms: int
    to_ms: int
    interval_s: int
    asked: int = 0

    @property
    def intervals(self) -> int:
        """How many are missing, at least one."""
        return max(1, round((self.to_ms - self.from_ms) / (1000 * self.interval_s)))

    @property
    def given_up(self) -> bool:
        """The sensor was asked often enough: it does not have them (any more)."""
        return self.asked >= MAX_ASKED
