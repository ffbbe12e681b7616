"""How the link to the cloud is: what `edge-agent status` shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SyncState:
    """A snapshot. Times are UTC milliseconds of this gateway's own clock, right or wrong."""

    connected: bool = False
    connected_since_ms: int | None = None
    last_error: str | None = None
    """None as soon as a receipt shows that all is well again."""
    hint: str | None = None
    next_try_ms: int | None = None
    """When the link is tried again, or a refused batch is sent again."""
    stopped: bool = False
    """Broker or receiver refuses our batches: nothing but the first is sent, now and then."""
    batches_in_flight: int = 0
    confirmed_up_to: int = 0
    """Every batch of the stream up to this number is committed in the cloud; 0: none yet."""
    last_receipt_ms: int | None = None
    clock_offset_ms: int | None = None
    """Receiver's clock minus ours, as of the last receipt; includes the way of the receipt."""
    connects: int = 0
    batches_sent: int = 0
    batches_sent_again: int = 0
    rows_confirmed: int = 0
    receipts_ignored: int = 0
    """Not signed by our receiver, not for this gateway and stream, or older than what we know."""
    batches_forgotten: int = 0
    """Confirmed batches that the receiver no longer had: its records were restored from a backup."""
    forgotten_ms: int | None = None
    """When the receiver last said so."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
