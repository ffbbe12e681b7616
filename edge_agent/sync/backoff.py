"""How long to wait before the next try: pure, the dice are an argument."""

from __future__ import annotations

CONNECT_FIRST_S = 2.0
CONNECT_MAX_S = 300.0
RECEIPT_FIRST_S = 30.0
RECEIPT_MAX_S = 900.0
REFUSED_FIRST_S = 60.0
REFUSED_MAX_S = 3600.0


def full_jitter_s(attempt: int, roll: float, first_s: float, max_s: float) -> float:
    """A point below the ceiling of this attempt, so that a thousand gateways do not come back as one.

    `attempt` counts from 0; `roll` in [0, 1). The ceiling is `first_s` doubled at each attempt, at most
    `max_s`. The wait is never below a tenth of `first_s`: nobody hammers.
    """
    return max(roll * ceiling_s(attempt, first_s, max_s), first_s / 10)


def equal_jitter_s(attempt: int, roll: float, first_s: float, max_s: float) -> float:
    """Like `full_jitter_s`, but in the upper half of the ceiling: for waits that must not be short."""
    ceiling = ceiling_s(attempt, first_s, max_s)
    return ceiling / 2 + roll * ceiling / 2


def ceiling_s(attempt: int, first_s: float, max_s: float) -> float:
    """`first_s` doubled `attempt` times, at most `max_s`."""
    return min(max_s, first_s * 2.0 ** min(attempt, 32))
