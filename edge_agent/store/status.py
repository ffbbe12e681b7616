"""How much is kept, and how much the cloud has not confirmed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


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

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)
