"""What goes into the records and what comes back: verified batches, refusals, outcomes."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from edge_codecs.batch import Manifest
from edge_codecs.columns import RowColumns
from edge_codecs.identifiers import GatewayId


@dataclass(frozen=True, slots=True)
class Verified:
    """A batch whose seal was opened, whose signature holds and whose rows decoded."""

    manifest: Manifest  # gateway, stream, number, lane, ranges, previous, rows
    header: bytes  # as it came: evidence
    signature: bytes  # Ed25519, 64 bytes, as it came: evidence
    columns: RowColumns
    received_ms: int  # the receiver's clock, UTC milliseconds
    hash: bytes = field(init=False)  # of the manifest, worked out once

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", self.manifest.hash)


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that never became a batch: kept in quarantine with its reason, the same content once."""

    gateway: GatewayId | None  # who the topic said; None: the topic was none of ours
    reason: str  # snake_case
    detail: str
    wire: bytes  # as it came; kept up to QUARANTINE_WIRE_BYTES
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
    reason: str | None  # batch_conflict, chain_broken, cannot_store, gateway_unknown, gateway_revoked
