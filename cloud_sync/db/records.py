"""Verified batches in, tenant-scoped records out: each reading exactly once, in one transaction."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import psycopg

from cloud_sync.db.registry import Registry
from edge_codecs.batch import Manifest
from edge_codecs.identifiers import GatewayId
from edge_codecs.rows import RowColumns


@dataclass(frozen=True, slots=True)
class Verified:
    """A batch whose seal was opened, whose signature holds and whose rows decoded."""

    manifest: Manifest  # gateway, stream, number, lane, ranges, previous, rows, hash
    header: bytes  # as it came: evidence
    signature: bytes  # Ed25519, 64 bytes, as it came: evidence
    columns: RowColumns
    received_ms: int  # the receiver's clock, UTC milliseconds


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that never became a batch: kept in quarantine with its reason, one row per kind of content."""

    gateway: GatewayId | None  # who the topic said; None: the topic was none of ours
    reason: str  # snake_case
    detail: str
    wire: bytes  # as it came; kept up to `QUARANTINE_WIRE_BYTES`
    received_ms: int


QUARANTINE_WIRE_BYTES = 65_536


class Outcome(enum.Enum):
    """What became of one batch."""

    STORED = "stored"
    """It was the next one (or waited for it) and is committed."""
    DUPLICATE = "duplicate"
    """It was stored before; nothing was written."""
    GAP = "gap"
    """It came early and waits; the batch `expected` is missing."""
    REFUSED = "refused"
    """It contradicts what is stored; `reason` says how. It is in quarantine."""


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """For the receipt: everything up to and including batch `up_to` is committed (0: nothing yet)."""

    gateway: GatewayId
    stream: bytes
    number: int  # of the batch asked about
    outcome: Outcome
    up_to: int
    up_to_hash: bytes  # hash of batch `up_to`; b"" if none
    expected: int  # the first batch that is missing: up_to + 1
    reason: str | None  # batch_conflict, chain_broken, too_early, gateway_unknown, gateway_revoked


class Records:
    """The receiver's door to the database; one connection, one thread."""

    @classmethod
    def connect(cls, dsn: str) -> Self:
        """Connect and take the receiver's role. Raises ServiceUnavailable or ConfigurationError."""
        raise NotImplementedError

    def __init__(self, connection: psycopg.Connection) -> None:
        """Use `connection`, which must be in autocommit mode and in the receiver's role."""
        raise NotImplementedError

    @property
    def registry(self) -> Registry:
        """The registry as of the last `refresh` or `process`."""
        raise NotImplementedError

    def refresh(self) -> Registry:
        """Load the registry again if its version moved: one row read if it did not."""
        raise NotImplementedError

    def process(self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()) -> list[BatchOutcome]:
        """Keep all of it in ONE transaction; the outcomes are in the order of `batches`, valid after COMMIT.

        Raises ServiceUnavailable if the database is away: nothing was kept then, and nothing may be acknowledged.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End the connection."""
        raise NotImplementedError
