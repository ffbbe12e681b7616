"""From the radio to the store, and back: decide about each frame, keep what is taken, then answer.

A burst is what arrived while the last one was being committed. So a single frame is on disk at once, and many
frames share one fsync. No answer goes to the radio before what it rests on is on disk: the reading that it
acknowledges, the counter and the nonces that it uses. Asking a radio for its next burst says that the last
one is on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from edge_agent.clock import Clock, ClockReading
from edge_agent.health.rejections import Rejections
from edge_agent.health.tail import Tail
from edge_agent.network.answer import Answer, Transmitted
from edge_agent.network.changes import Change
from edge_agent.network.decision import Decision
from edge_agent.network.moment import Moment
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.outcome import Admitted, Joined, Rejected
from edge_agent.network.rx_frame import RxFrame
from edge_codecs.identifiers import DevEUI

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

    async def keep(
        self, uplinks: Sequence[Admitted], clock: ClockReading | None, changes: Sequence[Change] = ()
    ) -> None:
        """Commit readings, counters and changes in one transaction, behind all that was given before.

        Returns when they are on disk.
        """

    async def apply(self, changes: Sequence[Change]) -> None:
        """Commit changes that come with no uplink."""


class Sender(Protocol):
    """The radio's end of the answers."""

    def send(self, answer: Answer) -> None:
        """Take an answer; what becomes of it is told later. Never blocks."""

    def end(self, unsent: Transmitted) -> None:
        """Count an answer that could not be made, and tell of it as of any other. Never blocks."""


class Intake:
    """Takes frames of all front ends. `taken` counts uplinks that are on disk, `joins` answered joins."""

    def __init__(
        self, network: NetworkServer, keeper: Keeper, clock: Clock, rejections: Rejections, tail: Tail
    ) -> None:
        self.taken = 0
        self.joins = 0
        self._network = network
        self._keeper = keeper
        self._clock = clock
        self._rejections = rejections
        self._tail = tail
        self._noted: list[Change] = []
        self._notes: dict[DevEUI, tuple[str, ...]] = {}  # the last of each device
        self._is_noting = False

    async def receive(self, radio: Radio, sender: Sender) -> None:
        """Take every frame of `radio` until it ends. A store that cannot keep ends the program."""
        async for burst in radio.bursts():
            clock = self._clock.in_step()
            moment = self._moment(clock)
            decisions = [self._decide(frame, moment) for frame in burst]
            kept = [d.outcome for d in decisions if isinstance(d.outcome, Admitted)]
            changes = self._take_noted()  # decided before these
            changes += [change for decision in decisions for change in decision.changes]
            answers = [decision.answer for decision in decisions if decision.answer is not None]
            if kept or changes or answers:  # an answer alone rests on what another radio's burst changed
                await self._keeper.keep(kept, clock, changes)
                self.taken += len(kept)
            for answer in answers:
                sender.send(answer)
            for decision in decisions:
                if decision.unsent is not None:
                    sender.end(decision.unsent)
        log.info("%s has ended", radio.name)

    async def sent(self, sending: Transmitted) -> None:
        """Note what became of an answer. Whoever comes first writes for all that come meanwhile."""
        self._tail.show(sending)
        self._noted += self._network.transmitted(sending)
        if self._is_noting:
            return
        await self.finish()

    async def finish(self) -> None:
        """Write what answers' ends changed and nobody has written yet. Cancelled, it is left to the next."""
        self._is_noting, noted = True, list[Change]()
        try:
            while noted := self._take_noted():
                await self._keeper.apply(noted)
        except asyncio.CancelledError:
            self._noted[:0] = noted  # perhaps written already; twice does no harm
            raise
        finally:
            self._is_noting = False

    def _take_noted(self) -> list[Change]:
        """What answers' ends changed and nobody has begun to write: it must not come behind later changes."""
        noted, self._noted = self._noted, []
        return noted

    def _decide(self, frame: RxFrame, moment: Moment) -> Decision:
        decision = self._network.receive(frame, moment)
        outcome = decision.outcome
        self._tail.show(outcome)
        match outcome:
            case Joined():
                self.joins += 1
                log.info(
                    "%s joins as %s (JoinNonce %d)", outcome.dev_eui, outcome.dev_addr, outcome.join_nonce
                )
            case Rejected(dev_eui=dev_eui, reason=reason):
                self._rejections.count(dev_eui, reason, moment.wall_ms)
            case Admitted(dev_eui=dev_eui, flaw=flaw):
                if flaw is not None:
                    self._rejections.count(dev_eui, flaw, moment.wall_ms)
        if (
            decision.notes
            and outcome.dev_eui is not None
            and self._notes.get(outcome.dev_eui) != decision.notes
        ):
            self._notes[outcome.dev_eui] = decision.notes  # what a device says with each uplink is told once
            log.info("%s: %s", outcome.dev_eui, "; ".join(decision.notes))
        return decision

    def _moment(self, clock: ClockReading | None) -> Moment:
        wall_ms = self._clock.wall_ms()
        if clock is None:
            return Moment(self._clock.monotonic_ns(), None, wall_ms)
        return Moment(clock.monotonic_ns, clock.utc_ms, wall_ms)
