"""A store in memory with the uploader's side of the real one: lanes, gap-free numbers, a hash chain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.errors import AgentError
from edge_codecs.batch import Lane, Manifest, RowRange, StreamId, link
from edge_codecs.identifiers import GatewayId
from edge_codecs.reading import Uplink
from edge_codecs.rows import encode_rows


@dataclass(frozen=True)
class FakeBatch:
    number: int
    lane: Lane
    ranges: tuple[RowRange, ...]
    previous: bytes
    rows: bytes
    hash: bytes
    count: int


@dataclass
class FakeStore:
    """Rows below `live_from` are backlog; `keep` puts rows behind what is there."""

    gateway: GatewayId
    stream_id: StreamId
    rows: list[Uplink] = field(default_factory=list)
    live_from: int = 1
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    batches: list[FakeBatch] = field(default_factory=list)
    receipted: int = 0
    receiver_ms: int = 0
    pruned: int = 0  # batches up to it are gone
    batched: dict[Lane, int] = field(default_factory=lambda: {Lane.LIVE: 0, Lane.BACKLOG: 0})

    def keep(self, uplinks: Sequence[Uplink]) -> None:
        self.rows += uplinks
        self.wake.set()

    async def stream(self) -> StreamId:
        return self.stream_id

    async def form_batch(self, max_rows: int, max_bytes: int, lane: Lane) -> FakeBatch | None:
        end = len(self.rows) + 1 if lane is Lane.LIVE else self.live_from
        first = max(self.batched[lane] + 1, self.live_from if lane is Lane.LIVE else 1)
        taken = range(first, min(first + max_rows, end))
        if not taken:
            return None
        self.batched[lane] = taken[-1]
        ranges = (RowRange(first, len(taken)),)
        previous = link(self.batches[-1].hash) if self.batches else b""
        rows = encode_rows([self.rows[n - 1] for n in taken])
        manifest = Manifest(
            self.gateway, self.stream_id, len(self.batches) + 1, Lane(lane), ranges, previous, rows
        )
        batch = FakeBatch(
            manifest.number, manifest.lane, ranges, previous, rows, manifest.hash, manifest.count
        )
        self.batches.append(batch)
        return batch

    async def unreceipted(self, after: int = 0, limit: int = 20) -> list[FakeBatch]:
        return [b for b in self.batches if b.number > max(after, self.receipted)][:limit]

    async def receipt(self, up_to: int, batch_hash: bytes, receiver_time_ms: int) -> int:
        if up_to and (up_to > len(self.batches) or self.batches[up_to - 1].hash != batch_hash):
            raise AgentError("the receiver confirms a batch that is not ours")
        freed = sum(b.count for b in self.batches if self.receipted < b.number <= up_to)
        if up_to > self.receipted:
            self.receipted, self.receiver_ms = up_to, receiver_time_ms
        return freed

    async def progress(self) -> tuple[int, int]:
        return self.receipted, self.receiver_ms

    async def unconfirm(self, after: int) -> int:
        if after >= self.receipted:
            return 0
        if after < self.pruned:
            raise AgentError("not kept any more")
        again, self.receipted = self.receipted - after, after
        return again

    async def begin_stream(self) -> StreamId:
        """All that is kept without a receipt is backlog of a new stream."""
        gone = {
            n for b in self.batches[: self.receipted] for r in b.ranges for n in range(r.first, r.last + 1)
        }
        self.rows = [row for number, row in enumerate(self.rows, 1) if number not in gone]
        self.stream_id = StreamId(bytes([self.stream_id[0] + 1]) + bytes(self.stream_id[1:]))
        self.batches, self.receipted, self.pruned, self.live_from = [], 0, 0, len(self.rows) + 1
        self.batched = {Lane.LIVE: 0, Lane.BACKLOG: 0}
        return self.stream_id
