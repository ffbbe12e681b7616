"""Frames out of a file, as `edge-agent tail --raw` records them. (signatures)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.network.rx_frame import RxFrame


class Replay:
    """A front end that reads JSON lines of rxpk objects once and ends. Raises ConfigurationError without the file."""

    name: str

    def __init__(self, clock: Clock, file: Path) -> None:
        raise NotImplementedError

    async def bursts(self) -> AsyncIterator[list[RxFrame]]:
        """Frames of the file, some dozens at a time."""
        raise NotImplementedError
        yield []

    async def frames(self) -> AsyncIterator[RxFrame]:
        """The same, one by one."""
        async for burst in self.bursts():
            for frame in burst:
                yield frame

    def status(self) -> Mapping[str, object]:
        """Counters, JSON-able."""
        raise NotImplementedError

    def stop(self) -> None:
        """Hand over no more."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError
