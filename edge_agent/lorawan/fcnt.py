"""FCnt: 32 bits counted, 16 on air (LoRaWAN 1.0.4, section 4.3.1.5)."""

from __future__ import annotations

from collections.abc import Iterator

MAX_F_CNT = 0xFFFF_FFFF
LAP = 0x1_0000  # frames until the 16 bits on air start again
LAPS_SEARCHED = 16


def full_f_cnt(last: int | None, on_air: int) -> int | None:
    """Rebuild the 32-bit counter from the 16 bits on air.

    `last` is the highest counter accepted so far, None before the first frame. Returns the smallest value
    above `last` whose low 16 bits are `on_air`; None where 32 bits hold none. So a frame that is taken
    always moves the counter up, and moves the upper half only if its MIC proves that half.
    """
    if last is None:
        return on_air
    full = (last & ~0xFFFF) | on_air
    if full <= last:
        full += LAP
    return full if full <= MAX_F_CNT else None


def other_f_cnts(last: int | None, on_air: int) -> Iterator[int]:
    """The other counters that the 16 bits on air may stand for, likeliest first.

    They explain a frame that is not taken; none of them is ever accepted. First the nearest at or below
    `last` (a repetition), then upper half 0 (a device that was reset), then up to LAPS_SEARCHED laps ahead
    and back, nearest first.
    """
    base = on_air if last is None else (last & ~0xFFFF) | on_air
    expected = base if last is None or base > last else base + LAP
    if expected >= LAP:
        yield expected - LAP
    if expected >= 2 * LAP:
        yield on_air
    for laps in range(1, LAPS_SEARCHED + 1):
        ahead = expected + laps * LAP
        if ahead <= MAX_F_CNT:
            yield ahead
        back = expected - (laps + 1) * LAP
        if back > on_air:
            yield back
