"""Frames that were not taken: sums by device and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.network.reason import Reason
from edge_agent.store.connection import Database
from edge_codecs.identifiers import DevEUI


@dataclass(frozen=True, slots=True)
class RejectionSum:
    """How often frames were not taken for one reason, and when last (UTC by this host's clock)."""

    reason: Reason
    count: int
    last_seen_ms: int


def count_rejections(
    database: Database, counts: Mapping[tuple[DevEUI | None, Reason], tuple[int, int]]
) -> None:
    """Add to the sums, within the caller's transaction."""
    database.execute_many(
        "INSERT INTO rejections (dev_eui, reason, count, last_seen_ms) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (dev_eui, reason) DO UPDATE SET count = count + excluded.count, "
        "last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)",
        [
            (bytes(dev_eui or b""), reason.value, count, last_seen_ms)
            for (dev_eui, reason), (count, last_seen_ms) in counts.items()
        ],
    )


def rejections(database: Database, dev_eui: DevEUI | None) -> list[RejectionSum]:
    """Sums by reason, most frequent first: of one device, or of all frames."""
    rows = database.all(
        "SELECT reason, sum(count), max(last_seen_ms) FROM rejections WHERE ?1 IS NULL OR dev_eui = ?1 "
        "GROUP BY reason ORDER BY sum(count) DESC, reason",
        (None if dev_eui is None else bytes(dev_eui),),
    )
    known = {reason.value for reason in Reason}
    return [RejectionSum(Reason(reason), count, last) for reason, count, last in rows if reason in known]
