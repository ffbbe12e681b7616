"""What the uploader asks of the rest of the agent: the store, and a clock to show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from edge_codecs.batch import Lane, RowRange, StreamId


class Formed(Protocol):
    """A batch as it is fixed on disk."""

    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def lane(self) -> Lane: ...  # noqa: D102
    @property
    def ranges(self) -> Sequence[RowRange]: ...  # noqa: D102
    @property
    def previous(self) -> bytes: ...  # noqa: D102
    @property
    def rows(self) -> bytes: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102


class AsyncStore(Protocol):
    """The store, as the uploader sees it. `wake` is set whenever rows were kept or dated."""

    wake: asyncio.Event

    async def stream(self) -> StreamId:
        """This life of the store."""

    async def form_batch(self, max_rows: int, max_bytes: int, lane: Lane, /) -> Formed | None:
        """Fix the next batch of a lane on disk; None if it has no rows."""

    async def unreceipted(self, after: int = 0, limit: int = 20) -> Sequence[Formed]:
        """Batches without a receipt, in order, beyond number `after`."""

    async def receipt(self, up_to: int, batch_hash: bytes, receiver_time_ms: int) -> int:
        """Rows of batches up to `up_to` may go; returns how many. Raises AgentError for another hash."""

    async def progress(self) -> tuple[int, int]:
        """The highest confirmed batch, and the receiver's time of the receipt that said so; 0: none."""

    async def unconfirm(self, after: int) -> int:
        """Batches beyond `after` have no receipt any more. Raises AgentError if one of them is pruned."""

    async def begin_stream(self) -> StreamId:
        """Batch all rows that have no receipt anew, from batch 1 of a new stream."""


class WallClock(Protocol):
    """This host's UTC, for showing."""

    def wall_ms(self) -> int:
        """UTC in milliseconds since 1970, right or wrong."""
