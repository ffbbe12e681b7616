"""Whatever counter, drift and outages: dates are right to 100 ms if the forwarder keeps the order."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.radio.counter_map import HORIZON_US, WRAP_US, CounterMap

S = 1_000_000


@given(
    start_us=st.integers(0, WRAP_US - 1),
    ppm=st.floats(-50, 50),
    begin_us=st.integers(0, 1 << 45),
    stretches=st.lists(
        st.tuples(
            st.booleans(),  # an outage, or prompt frames
            st.lists(
                st.tuples(st.integers(100_000, 60 * S), st.integers(0, 40_000)), min_size=1, max_size=10
            ),
        ),
        max_size=12,
    ),
)
def test_dates_are_right_to_100_ms(start_us, ppm, begin_us, stretches):
    def counter(at_us):
        return (start_us + round((at_us - begin_us) * (1 + ppm * 1e-6))) % WRAP_US

    counter_map, now_us = CounterMap(), begin_us
    for _ in range(3):
        now_us += 30 * S
        counter_map.date([counter(now_us)], now_us)
    for is_outage, frames in stretches:
        received = []
        for gap_us, delay_us in frames:
            now_us += gap_us
            if is_outage:
                received.append(now_us)
                continue
            [date_us] = counter_map.date([counter(now_us)], now_us + delay_us)
            assert abs(date_us - now_us) < 100_000
        now_us += 50_000
        dates_us = counter_map.date([counter(at_us) for at_us in received], now_us)
        assert all(abs(date - at) < 100_000 for date, at in zip(dates_us, received, strict=True))
    assert counter_map.restarts == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 1 << 40), st.lists(st.integers(0, WRAP_US - 1), max_size=8)), max_size=40
    )
)
def test_any_counters_at_all_are_dated_between_horizon_and_arrival(datagrams):
    counter_map, now_us = CounterMap(), 0
    for gap_us, counters in datagrams:
        now_us += gap_us
        for date_us in counter_map.date(counters, now_us):
            assert now_us - HORIZON_US <= date_us <= now_us
