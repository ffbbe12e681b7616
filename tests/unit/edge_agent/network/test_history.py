"""What a sensor is asked for: exactly what is missing, newest first, and not for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.network.gap import MAX_ASKED, Gap
from edge_agent.network.history import MEMORY_INTERVALS, MOST_INTERVALS, REPORTS_BETWEEN, request
from edge_codecs.clipr import RequestHistory, decode_downlink, encode_downlink
from edge_codecs.identifiers import DevEUI

A = DevEUI(bytes(8))
T0_S = 1_750_000_000
NOW_MS = (T0_S + 100_000) * 1000
LONG = 1 << 20


def gap(from_s: float, to_s: float, *, channel: int = 0, asked: int = 0, interval_s: int = 900) -> Gap:
    return Gap(A, channel, round((T0_S + from_s) * 1000), round((T0_S + to_s) * 1000), interval_s, asked)


def test_nothing_is_missing() -> None:
    assert request({}, NOW_MS) is None


@given(
    count=st.integers(1, MOST_INTERVALS),
    interval_s=st.integers(2, 3600),
    from_ms=st.integers(0, 10**9),
    channel=st.integers(0, 2),
)
def test_it_names_the_ends_of_the_missing_intervals_and_no_other(
    count: int, interval_s: int, from_ms: int, channel: int
) -> None:
    from_s = T0_S + from_ms / 1000
    missing = Gap(
        A, channel, T0_S * 1000 + from_ms, T0_S * 1000 + from_ms + count * interval_s * 1000, interval_s
    )
    asked = request({missing: LONG}, missing.to_ms)
    assert asked is not None
    question = asked[1]
    ends = [from_s + n * interval_s for n in range(-2, count + 3)]
    named = [end for end in ends if question.from_s <= end <= question.to_s]
    assert named == ends[3:-2]
    assert decode_downlink(*encode_downlink(question)) == question


def test_a_long_gap_is_asked_from_its_newest_end() -> None:
    asked = request({gap(0, 900 * 500): LONG}, NOW_MS)
    assert asked is not None
    to_s = T0_S + 900 * 500
    assert asked[1] == RequestHistory(0, to_s - 900 * MOST_INTERVALS + 450, to_s + 450)


def test_the_newest_gap_goes_first_of_any_channel() -> None:
    old, new = gap(0, 900), gap(2700, 3600, channel=2)
    assert request({old: LONG, new: LONG}, NOW_MS) == request({new: LONG, old: LONG}, NOW_MS)
    asked = request({old: LONG, new: LONG}, NOW_MS)
    assert asked is not None
    assert asked[0] == new


def test_it_waits_longer_each_time_and_gives_up() -> None:
    waits = []
    for tries in range(MAX_ASKED):
        missing = gap(0, 900, asked=tries)
        waits.append(next(n for n in range(1000) if request({missing: n}, NOW_MS) is not None))
    assert waits == [REPORTS_BETWEEN * 2**n for n in range(MAX_ASKED)]
    assert request({gap(0, 900, asked=MAX_ASKED): LONG}, NOW_MS) is None


def test_an_older_gap_has_its_turn_while_a_newer_one_waits() -> None:
    old, new = gap(0, 900), gap(2700, 3600, asked=3)
    asked = request({new: REPORTS_BETWEEN, old: REPORTS_BETWEEN}, NOW_MS)
    assert asked is not None
    assert asked[0] == old


def test_what_no_sensor_remembers_is_not_asked_for() -> None:
    missing = gap(0, 900)
    last_ms = missing.to_ms + MEMORY_INTERVALS * 900_000
    assert request({missing: LONG}, last_ms) is not None
    assert request({missing: LONG}, last_ms + 1) is None


def test_times_beyond_what_a_request_can_name_are_not_asked_for() -> None:
    far = Gap(A, 0, -10_000_000, (2**32 + 10) * 1000, 900)
    assert request({far: LONG}, far.to_ms) is None
