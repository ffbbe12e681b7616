"""How much is kept, and how much the cloud has not confirmed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from edge_agent.store.head import Head
from edge_agent.store.space import Space


@dataclass(frozen=True, slots=True)
class Pending:
    """What the cloud has not confirmed."""

    rows_unbatched: int
    rows_unresolved: int
    """Of these, how many wait for the clock."""
    batches_unreceipted: int
    oldest_ms: int | None
    """When the oldest of these rows was received, UTC; None if there is none, or it has no date yet."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Figures for `status`. `rows` counts all that are kept, confirmed ones too."""

    stream: str
    rows: int
    rows_unbatched: int
    rows_unresolved: int
    batches_unreceipted: int
    oldest_ms: int | None
    last_row: int
    last_batch: int
    confirmed_up_to: int
    bytes_used: int
    bytes_max: int
    ballast: bool

    @classmethod
    def of(cls, head: Head, pending: Pending, space: Space) -> Self:
        """Put together."""
        return cls(
            str(head.stream),
            head.last_id - head.rows_gone,
            pending.rows_unbatched,
            pending.rows_unresolved,
            pending.batches_unreceipted,
            pending.oldest_ms,
            head.last_row,
            head.last_batch,
            head.confirmed,
            space.used_bytes(),
            space.max_bytes,
            space.has_ballast,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)
