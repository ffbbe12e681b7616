"""From the radio to the store: admit each frame, keep what is taken, count what is not.

A burst is what arrived while the last one was being committed. So a single frame is on disk at once, and many
frames share one fsync. Asking a radio for its next burst says that the last one is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from edge_agent.clock import Clock, ClockReading
from edge_agent.health.rejections import Rejections
from edge_agent.health.tail import Tail
from edge_agent.lorawan.netid import NetID
from edge_agent.network.admit import Activations, Admitted, Rejected, admit
from edge_agent.network.rx_frame import RxFrame

log = logging.getLogger(__name__)


class Radio(Protocol):
    """A front end: bursts of frames that arrived together."""

    name: str

    def bursts(self) -> AsyncIterator[list[RxFrame]]:
        """Yield frames as they come, forever or until the source ends."""

    def status(self) -> Mapping[str, object]:
        """Counters, JSON-able."""

    def stop(self) -> None:
        """Read nothing more; `bursts` hands over what was read and ends."""

    def close(self) -> None:
        """Let go of port or file."""


class Keeper(Protocol):
    """The store's end of the intake."""

    async def keep(self, uplinks: Sequence[Admitted], clock: ClockReading | None) -> None:
        """Commit frame counters and readings in one transaction; returns when they are on disk."""


class Intake:
    """Takes frames of all front ends. `taken` counts uplinks that are on disk."""

    def __init__(
        self,
        activations: Activations,
        net_ids: Sequence[NetID],
        keeper: Keeper,
        clock: Clock,
        rejections: Rejections,
        tail: Tail,
    ) -> None:
        self.taken = 0
        self._activations = activations
        self._net_ids = tuple(net_ids)
        self._keeper = keeper
        self._clock = clock
        self._rejections = rejections
        self._tail = tail

    async def receive(self, radio: Radio) -> None:
        """Take every frame of `radio` until it ends. A store that cannot keep ends the program."""
        async for burst in radio.bursts():
            if kept := self._decide(burst):
                await self._keeper.keep(kept, self._clock.in_step())
                self.taken += len(kept)
        log.info("%s has ended", radio.name)

    def _decide(self, burst: Sequence[RxFrame]) -> list[Admitted]:
        kept = []
        for frame in burst:
            outcome = admit(frame, self._activations, self._net_ids)
            self._tail.show(outcome)
            reason = outcome.reason if isinstance(outcome, Rejected) else outcome.flaw
            if reason is not None:
                self._rejections.count(outcome.dev_eui, reason, self._clock.wall_ms())
            if isinstance(outcome, Admitted):
                self._activations.advance(outcome)
                kept.append(outcome)
        return kept
