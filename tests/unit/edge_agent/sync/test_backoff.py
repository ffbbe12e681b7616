from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sync.backoff import ceiling_s, equal_jitter_s, full_jitter_s

attempts = st.integers(0, 10_000)
rolls = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(("attempt", "ceiling"), [(0, 2), (1, 4), (3, 16), (7, 256), (8, 300), (5000, 300)])
def test_the_ceiling_doubles_up_to_its_maximum(attempt, ceiling):
    assert ceiling_s(attempt, 2.0, 300.0) == ceiling


@given(attempts, rolls)
def test_full_jitter_is_below_the_ceiling_and_never_hammers(attempt, roll):
    wait_s = full_jitter_s(attempt, roll, 2.0, 300.0)
    assert 0.2 <= wait_s <= ceiling_s(attempt, 2.0, 300.0)


@given(attempts, rolls)
def test_equal_jitter_is_in_the_upper_half(attempt, roll):
    ceiling = ceiling_s(attempt, 30.0, 900.0)
    assert ceiling / 2 <= equal_jitter_s(attempt, roll, 30.0, 900.0) <= ceiling


def test_a_thousand_gateways_spread_over_the_whole_wait():
    waits = [full_jitter_s(6, n / 1000, 2.0, 300.0) for n in range(1000)]
    assert max(sum(second <= wait < second + 1 for wait in waits) for second in range(128)) <= 10
