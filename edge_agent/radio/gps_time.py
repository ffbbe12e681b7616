"""GPS time of a concentrator, and whether to believe it. Pure.

`tmms` counts milliseconds of GPS time; `time` is UTC, but only a forwarder with a GPS takes it from there.
Both are known to be wrong by whole seconds (leap seconds, a missed pulse), by minutes (no pulse wired), or to
step. So GPS time must agree with other evidence: with the host's clock while that is in step, else with the
counter of the concentrator: over several frames GPS and counter must run alike.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

from edge_agent.clock import ClockReading

EARLIEST_MS = 1_735_689_600_000  # 1 January 2025: no frame of this agent is older
LATEST_MS = 4_102_444_800_000  # 1 January 2100

AGREES_WITH_CLOCK_MS = 500
AGREES_WITH_ITSELF_MS = 50
WITNESSES = 2  # earlier frames that must agree where there is no clock in step
_REMEMBERED = 8
_DRIFT = 100e-6


def utc_of_text(time: str) -> int | None:
    """UTC in milliseconds since 1970 of an rxpk's ISO 8601 `time`; without a zone it means UTC."""
    try:
        moment = datetime.fromisoformat(time)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


class GpsTime:
    """Judges the GPS times of one forwarder. `refused` counts those that were not believed."""

    def __init__(self) -> None:
        self.refused = 0
        self._seen: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)  # (monotonic ms, UTC − monotonic ms)

    def judge(self, utc_ms: int, monotonic_ns: int, clock: ClockReading | None) -> int | None:
        """Give `utc_ms` back if it may be believed for a frame received at `monotonic_ns`, else None.

        `clock` is the host's clock while it is in step.
        """
        monotonic_ms = monotonic_ns // 1_000_000
        offset_ms = utc_ms - monotonic_ms
        believed = EARLIEST_MS <= utc_ms <= LATEST_MS
        if believed and clock is not None:
            host_offset_ms = clock.utc_ms - clock.monotonic_ns // 1_000_000
            believed = abs(offset_ms - host_offset_ms) <= AGREES_WITH_CLOCK_MS
        elif believed:
            believed = (
                sum(
                    abs(offset_ms - other_ms) <= AGREES_WITH_ITSELF_MS + abs(monotonic_ms - then_ms) * _DRIFT
                    for then_ms, other_ms in self._seen
                )
                >= WITNESSES
            )
        self._seen.append((monotonic_ms, offset_ms))
        if believed:
            return utc_ms
        self.refused += 1
        return None
