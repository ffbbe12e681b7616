"""Frames are dated by the concentrator's counter, whatever the forwarder does."""

import random

import pytest

from edge_agent.radio.counter_map import WRAP_US, CounterMap, Offset

S = 1_000_000


class Concentrator:
    """A counter that began at `start_us` when the host's clock showed `begin_us`, gaining `ppm`."""

    def __init__(self, begin_us=100 * S, start_us=0, ppm=0.0):
        self.begin_us, self.start_us, self.ppm = begin_us, start_us, ppm

    def counter(self, now_us):
        return (self.start_us + round((now_us - self.begin_us) * (1 + self.ppm * 1e-6))) % WRAP_US


def warm(counter_map, concentrator, from_us, frames=30, every_us=20 * S, delay_us=10_000):
    """Prompt frames, then the time after them."""
    for n in range(frames):
        at_us = from_us + n * every_us
        counter_map.date([concentrator.counter(at_us)], at_us + delay_us)
    return from_us + frames * every_us


def error_ms(counter_map, concentrator, received_us, arrival_us):
    [dated_us] = counter_map.date([concentrator.counter(received_us)], arrival_us)
    return abs(dated_us - received_us) / 1000


def test_the_first_frame_is_dated_by_its_arrival():
    assert CounterMap().date([12345], 50 * S) == [50 * S]


def test_in_a_first_burst_that_was_held_back_the_least_late_frame_dates_all():
    radio = Concentrator()
    held = [200 * S, 230 * S, 299 * S]
    dates = CounterMap().date([radio.counter(at) for at in held], 300 * S)
    assert dates == [201 * S, 231 * S, 300 * S]


@pytest.mark.parametrize("ppm", [-50, -5, 0, 5, 50])
@pytest.mark.parametrize("start_us", [0, WRAP_US - 300 * S])
def test_frames_held_back_ten_minutes_are_dated_within_100_ms(ppm, start_us):
    radio, counter_map = Concentrator(start_us=start_us, ppm=ppm), CounterMap()
    now_us = warm(counter_map, radio, 200 * S)
    outage = range(now_us, now_us + 600 * S, 7 * S)
    back_us = now_us + 600 * S
    dates = counter_map.date([radio.counter(at) for at in outage], back_us)
    assert max(abs(date - at) for date, at in zip(dates, outage, strict=True)) < 100_000
    assert counter_map.restarts == 0


def test_single_frames_held_back_among_prompt_ones():
    radio, counter_map, rng = Concentrator(start_us=600 * S, ppm=30), CounterMap(), random.Random(4)
    now_us = warm(counter_map, radio, 200 * S)
    for _ in range(90):  # until the wrap
        now_us += rng.randrange(1 * S, 60 * S)
        held_us = rng.choice([0, 0, 0, rng.randrange(600 * S)])
        jitter_us = round(rng.expovariate(1 / 8000))
        assert error_ms(counter_map, radio, now_us - held_us, now_us + jitter_us) < 100
    assert counter_map.restarts == 0


def test_everything_delayed_by_ten_minutes_for_half_an_outage():
    radio, counter_map = Concentrator(), CounterMap()
    now_us = warm(counter_map, radio, 200 * S)
    for n in range(10):
        at_us = now_us + n * 50 * S
        assert error_ms(counter_map, radio, at_us, at_us + 600 * S) < 100


def test_the_counter_wraps():
    radio, counter_map = Concentrator(start_us=WRAP_US - 250 * S), CounterMap()
    now_us = warm(counter_map, radio, 200 * S, frames=50, every_us=5 * S)
    assert radio.counter(now_us) < 450 * S
    assert error_ms(counter_map, radio, now_us, now_us + 10_000) < 11
    assert counter_map.restarts == 0


def test_frames_held_back_in_order_across_the_wrap():
    radio, counter_map = Concentrator(start_us=WRAP_US - 1000 * S), CounterMap()
    now_us = warm(counter_map, radio, 200 * S)
    held = range(now_us, now_us + 600 * S, 7 * S)
    for n, at_us in enumerate(held):  # one datagram each, fast one after the other
        assert error_ms(counter_map, radio, at_us, now_us + 600 * S + n * 30_000) < 100
    assert counter_map.restarts == 0


def test_a_frame_overtaken_by_others_just_after_the_wrap_costs_only_itself():
    radio, counter_map = Concentrator(start_us=WRAP_US - 700 * S), CounterMap()
    now_us = warm(counter_map, radio, 200 * S)
    wrapped_us = 100 * S + 700 * S
    counter_map.date([radio.counter(wrapped_us + 60 * S)], wrapped_us + 60 * S)
    error_ms(counter_map, radio, wrapped_us + 1 * S, wrapped_us + 120 * S)
    now_us = wrapped_us + 130 * S
    assert error_ms(counter_map, radio, now_us, now_us + 10_000) < 100
    assert error_ms(counter_map, radio, now_us - 100 * S, now_us + 10_000) < 100


@pytest.mark.parametrize("lived_s", [20, 120, 600, 1700, 2500, 4200, 9000])
@pytest.mark.parametrize("away_s", [3, 60, 900])
def test_a_restarted_forwarder_is_seen_at_its_first_frame(lived_s, away_s):
    radio, counter_map = Concentrator(begin_us=100 * S), CounterMap()
    now_us = warm(counter_map, radio, 100 * S, frames=lived_s // 5, every_us=5 * S)
    again = Concentrator(begin_us=now_us + away_s * S - 2 * S)
    now_us += away_s * S
    wrapped_meanwhile = lived_s < WRAP_US // S < lived_s + away_s
    for n in range(6):
        error = error_ms(counter_map, again, now_us, now_us + 10_000)
        assert error < 100 or (wrapped_meanwhile and n < 3)
        now_us += 10 * S
    assert counter_map.restarts == 1


def test_a_new_run_that_begins_anywhere_is_believed_after_ten_minutes_at_most():
    rng = random.Random(1)
    for _ in range(200):
        radio, counter_map = Concentrator(start_us=rng.randrange(WRAP_US)), CounterMap()
        now_us = warm(counter_map, radio, 200 * S)
        again = Concentrator(now_us, rng.randrange(WRAP_US))
        for _ in range(22):
            now_us += 30 * S
            counter_map.date([again.counter(now_us)], now_us + 10_000)
        now_us += 30 * S
        assert error_ms(counter_map, again, now_us, now_us + 10_000) < 1000


@pytest.mark.parametrize("off_by_s", [-1500, -60, -5, 5, 60, 1500])
def test_one_mad_counter_spoils_nothing(off_by_s):
    radio, counter_map = Concentrator(start_us=2000 * S), CounterMap()
    now_us = warm(counter_map, radio, 200 * S)
    counter_map.date([(radio.counter(now_us) + off_by_s * S) % WRAP_US], now_us + 10_000)
    for _ in range(3):
        now_us += 10 * S
        assert error_ms(counter_map, radio, now_us, now_us + 10_000) < 100
        assert error_ms(counter_map, radio, now_us - 300 * S, now_us + 10_000) < 100


@pytest.mark.parametrize("ppm", [-100, -50, 50, 100])
def test_days_of_drift_are_followed(ppm):
    radio, counter_map, rng = Concentrator(ppm=ppm), CounterMap(), random.Random(2)
    for n in range(2 * 24 * 60):
        at_us = 200 * S + n * 60 * S
        assert error_ms(counter_map, radio, at_us, at_us + round(rng.expovariate(1 / 10_000))) < 100 or n < 20
    assert counter_map.restarts == 0


def test_a_busy_minute_of_late_datagrams_does_not_bend_the_map():
    radio, counter_map = Concentrator(), CounterMap()
    now_us = warm(counter_map, radio, 200 * S)
    burst = [now_us + n * 1000 for n in range(200)]
    dates = counter_map.date([radio.counter(at) for at in burst], now_us + 950_000)
    assert max(abs(date - at) for date, at in zip(dates, burst, strict=True)) < 20_000


def test_what_was_learned_goes_on_in_a_new_map():
    radio, counter_map = Concentrator(), CounterMap()
    now_us = warm(counter_map, radio, 200 * S)
    assert isinstance(counter_map.offset, Offset)
    assert counter_map.offset.proven
    successor = CounterMap(counter_map.offset)
    assert error_ms(successor, radio, now_us - 500 * S, now_us) < 11


def test_no_frame_is_dated_after_its_arrival():
    counter_map, rng = CounterMap(), random.Random(3)
    now_us = 0
    for _ in range(5000):
        now_us += rng.randrange(60 * S)
        counters = [rng.randrange(WRAP_US) for _ in range(rng.randrange(4))]
        assert all(now_us - 1800 * S <= date <= now_us for date in counter_map.date(counters, now_us))
