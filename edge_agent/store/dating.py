"""When was it, in UTC? Pure arithmetic between CLOCK_BOOTTIME and the moments when the clock was in step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_codecs.reading import TimeQuality

_NS_PER_MS: Final = 1_000_000
MAX_RATE_ERROR: Final = 500e-6
"""More than any oscillator is off; beyond it one of two anchors is wrong, and the later one counts."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """One moment on both clocks of one boot."""

    monotonic_ns: int
    utc_ms: int
    quality: TimeQuality

    def utc_ms_at(self, monotonic_ns: int) -> int:
        """UTC of another moment of the same boot, as if the clock ran true."""
        return self.utc_ms + (monotonic_ns - self.monotonic_ns) // _NS_PER_MS


def utc_ms_between(before: Anchor | None, after: Anchor, monotonic_ns: int) -> int:
    """UTC of a moment between two anchors of one boot: the clock's drift between them is taken out."""
    if before is None or after.monotonic_ns <= before.monotonic_ns:
        return after.utc_ms_at(monotonic_ns)
    elapsed_ns = after.monotonic_ns - before.monotonic_ns
    elapsed_utc_ns = (after.utc_ms - before.utc_ms) * _NS_PER_MS
    # A millisecond more than the rate allows is rounding, not error.
    if abs(elapsed_utc_ns - elapsed_ns) > MAX_RATE_ERROR * elapsed_ns + _NS_PER_MS:
        return after.utc_ms_at(monotonic_ns)
    since_ns = monotonic_ns - before.monotonic_ns
    return before.utc_ms + since_ns * elapsed_utc_ns // (elapsed_ns * _NS_PER_MS)


def boot_ms(anchor: Anchor) -> int:
    """UTC at which the boot of this anchor began: CLOCK_BOOTTIME counts from it."""
    return anchor.utc_ms - anchor.monotonic_ns // _NS_PER_MS


def upper_bound(next_boot_ms: int, last_monotonic_ns: int) -> Anchor:
    """What is known of a boot whose clock was never in step: it ended before the next one began.

    `last_monotonic_ns` is its last moment that is known: one before that was at least as much earlier.
    """
    return Anchor(last_monotonic_ns, next_boot_ms, TimeQuality.UNKNOWN)
