"""Frames that were not taken, counted by device and reason."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.network.reason import Reason
from edge_codecs.identifiers import DevEUI


@dataclass(slots=True)
class Tally:
    """How often, and when last (UTC milliseconds by this host's clock, in step or not)."""

    count: int
    last_seen_ms: int


Tallies = dict[tuple[DevEUI | None, Reason], Tally]


class Rejections:
    """Counts since the last `take`; the store keeps the sums."""

    def __init__(self) -> None:
        self._tallies: Tallies = {}

    def count(self, dev_eui: DevEUI | None, reason: Reason, now_ms: int) -> None:
        """One more frame of this device (None: not known whose) that was not taken for this reason."""
        tally = self._tallies.setdefault((dev_eui, reason), Tally(0, now_ms))
        tally.count += 1
        tally.last_seen_ms = now_ms

    def put_back(self, tallies: Tallies) -> None:
        """What could not be saved now counts on."""
        for key, tally in tallies.items():
            known = self._tallies.setdefault(key, Tally(0, tally.last_seen_ms))
            known.count += tally.count
            known.last_seen_ms = max(known.last_seen_ms, tally.last_seen_ms)

    def take(self) -> Tallies:
        """What came since the last call."""
        tallies, self._tallies = self._tallies, {}
        return tallies
