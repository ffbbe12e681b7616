"""Exactly once by counting: which batch is the next of its stream, which came before, which too early.

A stream is one life of a gateway's store. Its batches are numbered from 1 without gaps and each names the
hash of the one before, so the receiver needs to remember two things: how far it has come, and the hash there.
The row of a stream is locked while its batches are taken, so several receivers may share a gateway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

import psycopg

from cloud_sync.db.outcome import BatchOutcome, Outcome, Verified
from edge_codecs.batch import Manifest, parse_header
from edge_codecs.identifiers import GatewayId
from edge_codecs.rows import decode_columns

MAX_EARLY = 64
"""So many batches of a stream wait for a missing one; the gateway's window is smaller."""

StreamKey: TypeAlias = tuple[GatewayId, bytes]


@dataclass(slots=True)
class Stream:
    """How far a stream has come, and what this transaction does to it."""

    gateway: GatewayId
    stream: bytes
    last_number: int
    last_hash: bytes
    early_count: int = 0
    accepted: list[Verified] = field(default_factory=list)
    early: dict[int, Verified] = field(default_factory=dict)
    """Waiting for a missing batch, those of earlier transactions included."""
    refused: list[tuple[Verified, str]] = field(default_factory=list)
    hashes: dict[int, bytes] = field(default_factory=dict)
    """Hashes of batches up to `last_number`, as far as they were asked for."""

    @property
    def expected(self) -> int:
        """The first batch that is missing."""
        return self.last_number + 1

    def take(self, batch: Verified) -> tuple[Outcome, str | None]:
        """Take one batch; call in rising order of numbers. Returns what became of it, and why if refused."""
        manifest = batch.manifest
        if manifest.number <= self.last_number:
            if self.hashes.get(manifest.number) == batch.hash:
                return Outcome.DUPLICATE, None
            return self._refuse(batch, "batch_conflict")
        if manifest.number > self.expected:
            if manifest.number not in self.early and len(self.early) < MAX_EARLY:
                self.early[manifest.number] = batch
            return Outcome.GAP, None
        if not manifest.follows(self.last_hash):
            self.early.pop(manifest.number, None)
            return self._refuse(batch, "chain_broken")
        self.accepted.append(batch)
        self.early.pop(manifest.number, None)
        self.last_number, self.last_hash = manifest.number, batch.hash
        self.hashes[manifest.number] = batch.hash
        return Outcome.STORED, None

    def _refuse(self, batch: Verified, reason: str) -> tuple[Outcome, str]:
        self.refused.append((batch, reason))
        return Outcome.REFUSED, reason

    def outcome(self, batch: Verified, outcome: Outcome, reason: str | None) -> BatchOutcome:
        """What the gateway is told about `batch`, once all batches of the transaction were taken."""
        manifest = batch.manifest
        return BatchOutcome(
            manifest.gateway,
            bytes(manifest.stream),
            manifest.number,
            outcome,
            self.last_number,
            self.last_hash,
            self.expected,
            reason,
        )


def sort_out(streams: Mapping[StreamKey, Stream], batches: Sequence[Verified]) -> list[BatchOutcome]:
    """Take all batches, together with those that waited; the outcomes are in the order of `batches`."""
    decided: dict[int, tuple[Outcome, str | None]] = {}
    candidates: dict[StreamKey, list[tuple[int, int, Verified]]] = {
        key: [(number, -1, batch) for number, batch in stream.early.items()]
        for key, stream in streams.items()
    }
    for index, batch in enumerate(batches):
        key = (batch.manifest.gateway, bytes(batch.manifest.stream))
        candidates[key].append((batch.manifest.number, index, batch))
    for key, stream in streams.items():
        for _, index, batch in sorted(candidates[key], key=lambda entry: entry[:2]):
            decided[index] = stream.take(batch)
    return [
        streams[batch.manifest.gateway, bytes(batch.manifest.stream)].outcome(batch, *decided[index])
        for index, batch in enumerate(batches)
    ]


def lock(connection: psycopg.Connection, batches: Iterable[Verified]) -> dict[StreamKey, Stream]:
    """The streams of `batches`, locked in one order until the transaction ends; new ones are begun."""
    batches = list(batches)
    keys = sorted({(batch.manifest.gateway, bytes(batch.manifest.stream)) for batch in batches})
    gateways, names = [bytes(gateway) for gateway, _ in keys], [stream for _, stream in keys]
    found = connection.execute(_LOCK, (gateways, names)).fetchall()
    if len(found) < len(keys):
        connection.execute(_BEGIN, (gateways, names))
        found = connection.execute(_LOCK, (gateways, names)).fetchall()
    streams = {
        (GatewayId(gateway), stream): Stream(GatewayId(gateway), stream, number, last_hash, early)
        for gateway, stream, number, last_hash, early in found
    }
    _load_hashes(connection, streams, batches)
    _load_early(connection, streams)
    return streams


def _load_hashes(
    connection: psycopg.Connection, streams: Mapping[StreamKey, Stream], batches: Sequence[Verified]
) -> None:
    old = [
        batch.manifest
        for batch in batches
        if batch.manifest.number <= streams[batch.manifest.gateway, bytes(batch.manifest.stream)].last_number
    ]
    if not old:
        return
    asked = [bytes(m.gateway) for m in old], [bytes(m.stream) for m in old], [m.number for m in old]
    for gateway, stream, number, digest in connection.execute(_HASHES, asked).fetchall():
        streams[GatewayId(gateway), stream].hashes[number] = digest


def _load_early(connection: psycopg.Connection, streams: Mapping[StreamKey, Stream]) -> None:
    crowded = [stream for stream in streams.values() if stream.early_count]
    if not crowded:
        return
    asked = [bytes(s.gateway) for s in crowded], [s.stream for s in crowded]
    for header_bytes, signature, rows, received_at in connection.execute(_EARLY, asked).fetchall():
        header = parse_header(header_bytes)
        manifest = header.manifest(rows)
        columns = decode_columns(rows, manifest.count)
        received_ms = round(received_at.timestamp() * 1000)
        batch = Verified(manifest, header_bytes, signature, columns, received_ms)
        streams[manifest.gateway, bytes(manifest.stream)].early[manifest.number] = batch


def save(connection: psycopg.Connection, streams: Iterable[Stream], now_ms: int) -> None:
    """Write how far the streams have come, the batches that were taken and those that wait."""
    with connection.pipeline():
        _save(connection, streams, datetime.fromtimestamp(now_ms / 1000, UTC))


def _save(connection: psycopg.Connection, streams: Iterable[Stream], now: datetime) -> None:
    moved = [stream for stream in streams if stream.accepted or len(stream.early) != stream.early_count]
    taken = [batch for stream in moved for batch in stream.accepted]
    if taken:
        connection.execute(
            _TAKEN,
            (
                now,
                [bytes(b.manifest.gateway) for b in taken],
                [bytes(b.manifest.stream) for b in taken],
                [b.manifest.number for b in taken],
                [int(b.manifest.lane) for b in taken],
                [b.hash for b in taken],
                [b.manifest.previous for b in taken],
                [_ranges([b.manifest]) for b in taken],
                [b.manifest.count for b in taken],
            ),
        )
    if moved:
        connection.execute(
            _MOVED,
            (
                now,
                [bytes(s.gateway) for s in moved],
                [s.stream for s in moved],
                [s.last_number for s in moved],
                [s.last_hash for s in moved],
                [len(s.early) for s in moved],
                [_ranges([b.manifest for b in s.accepted]) for s in moved],
            ),
        )
    for stream in moved:
        if stream.early or stream.early_count:
            _save_early(connection, stream, now)


def _save_early(connection: psycopg.Connection, stream: Stream, now: datetime) -> None:
    key = (bytes(stream.gateway), stream.stream)
    connection.execute(_NO_LONGER_EARLY, (*key, list(stream.early)))
    for number, batch in stream.early.items():
        received_at = datetime.fromtimestamp(batch.received_ms / 1000, UTC)
        evidence = (batch.hash, batch.header, batch.signature, batch.manifest.rows)
        connection.execute(_KEEP_EARLY, (*key, number, *evidence, received_at))
    connection.execute(_GAP_CLOSED, (now, *key, stream.last_number))
    if stream.early:
        connection.execute(_GAP_SEEN, (*key, stream.expected, now))


def _ranges(manifests: Sequence[Manifest]) -> str:
    """As an int8multirange, which merges what adjoins or overlaps."""
    return "{" + ",".join(f"[{r.first},{r.last}]" for m in manifests for r in m.ranges) + "}"


_LOCK = """
SELECT s.gateway, s.stream, s.last_number, s.last_hash, s.early_count
FROM streams s JOIN unnest(%s::bytea[], %s::bytea[]) AS asked (gateway, stream) USING (gateway, stream)
ORDER BY s.gateway, s.stream FOR UPDATE OF s"""
_BEGIN = """
INSERT INTO streams (gateway, stream) SELECT * FROM unnest(%s::bytea[], %s::bytea[]) ON CONFLICT DO NOTHING"""
_HASHES = """
SELECT b.gateway, b.stream, b.number, b.hash
FROM batches b JOIN unnest(%s::bytea[], %s::bytea[], %s::bigint[]) AS asked (gateway, stream, number)
    USING (gateway, stream, number)"""
_EARLY = """
SELECT e.header, e.signature, e.rows, e.received_at
FROM early_batches e
    JOIN unnest(%s::bytea[], %s::bytea[]) AS asked (gateway, stream) USING (gateway, stream)"""
_TAKEN = """
INSERT INTO batches (gateway, stream, number, lane, hash, previous, row_ranges, row_count, stored_at)
SELECT gateway, stream, number, lane, hash, previous, ranges::int8multirange, count, %s
FROM unnest(%s::bytea[], %s::bytea[], %s::bigint[], %s::smallint[], %s::bytea[], %s::bytea[], %s::text[],
            %s::integer[]) AS taken (gateway, stream, number, lane, hash, previous, ranges, count)"""
_MOVED = """
UPDATE streams s SET last_number = moved.last_number, last_hash = moved.last_hash, early_count = moved.early,
    rows_stored = s.rows_stored + moved.ranges::int8multirange, last_seen = %s
FROM unnest(%s::bytea[], %s::bytea[], %s::bigint[], %s::bytea[], %s::integer[], %s::text[])
    AS moved (gateway, stream, last_number, last_hash, early, ranges)
WHERE (s.gateway, s.stream) = (moved.gateway, moved.stream)"""
_NO_LONGER_EARLY = (
    "DELETE FROM early_batches WHERE gateway = %s AND stream = %s AND NOT number = ANY (%s::bigint[])"
)
_KEEP_EARLY = """
INSERT INTO early_batches (gateway, stream, number, hash, header, signature, rows, received_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
_GAP_SEEN = (
    "INSERT INTO gaps (gateway, stream, first, seen_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_GAP_CLOSED = """
UPDATE gaps SET closed_at = %s WHERE gateway = %s AND stream = %s AND first <= %s AND closed_at IS NULL"""
