"""UTC of a moment, worked out from the moments when the clock was in step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.store.dating import Anchor, boot_ms, upper_bound, utc_ms_between
from edge_codecs.reading import TimeQuality

S = 1_000_000_000
DAY_S = 86_400


def anchor(at_s: float, utc_ms: int) -> Anchor:
    return Anchor(round(at_s * S), utc_ms, TimeQuality.SYNCHRONISED)


def test_before_the_first_moment_in_step_the_clock_is_taken_to_run_true() -> None:
    assert utc_ms_between(None, anchor(100, 1_000_000), 40 * S) == 940_000


def test_drift_between_two_moments_in_step_is_taken_out() -> None:
    """30 days without a time source, a clock 20 ppm slow: 52 s wrong at the end."""
    drifted_s = 30 * DAY_S * (1 - 20e-6)
    before, after = anchor(0, 0), anchor(drifted_s, 30 * DAY_S * 1000)
    middle_ms = utc_ms_between(before, after, round(drifted_s / 2 * S))
    assert abs(middle_ms - 15 * DAY_S * 1000) <= 1
    assert abs(after.utc_ms_at(0)) > 50_000


def test_of_two_moments_that_contradict_each_other_the_later_counts() -> None:
    before, after = anchor(0, 0), anchor(100, 5_000_000)
    assert utc_ms_between(before, after, 90 * S) == 4_990_000


def test_a_boot_that_was_never_in_step_ended_before_the_next_began() -> None:
    bound = upper_bound(1_000_000, 500 * S)
    assert bound.quality is TimeQuality.UNKNOWN
    assert bound.utc_ms_at(500 * S) == 1_000_000
    assert bound.utc_ms_at(400 * S) == 900_000


def test_a_boot_began_when_its_clock_stood_at_zero() -> None:
    assert boot_ms(anchor(60, 100_000)) == 40_000


@given(
    st.integers(0, 10**15),
    st.integers(1, 10**16),
    st.floats(-400e-6, 400e-6),
    st.floats(0, 1),
    st.integers(0, 4 * 10**12),
)
def test_between_two_anchors_time_never_leaves_them(
    start_ns: int, length_ns: int, rate: float, share: float, utc_ms: int
) -> None:
    end_ms = utc_ms + round(length_ns / 1e6 * (1 + rate))
    before = Anchor(start_ns, utc_ms, TimeQuality.GPS)
    after = Anchor(start_ns + length_ns, end_ms, TimeQuality.GPS)
    moment = start_ns + round(length_ns * share)
    assert utc_ms - 1 <= utc_ms_between(before, after, moment) <= end_ms + 1
