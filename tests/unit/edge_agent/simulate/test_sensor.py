from collections import Counter
from itertools import islice, pairwise, takewhile

import pytest

from edge_agent.simulate.identity import session_of
from edge_agent.simulate.sensor import Sensor
from edge_codecs.clipr import Event, EventKind, History, Report, Status, decode, encode

START_S = 1_795_512_833
WEEK_S = 7 * 86_400


def life(seed=1, number=0, interval_s=900, until_s=2 * WEEK_S):
    sensor = Sensor(seed, number, interval_s, START_S)
    return list(takewhile(lambda spoken: spoken.at_s < until_s, sensor.speak()))


@pytest.mark.parametrize("number", range(6))
def test_two_weeks_of_a_sensor(number):
    words = life(number=number)
    kinds = Counter(type(spoken.message) for spoken in words)
    assert kinds[Report] == pytest.approx(2 * WEEK_S / 900, abs=2)
    assert kinds[Status] in (14, 15)
    assert 20 < kinds[History] < 100
    events = Counter(spoken.message.kind for spoken in words if isinstance(spoken.message, Event))
    assert events[EventKind.FLUSH_START] >= 2
    assert events.keys() <= {EventKind.FLUSH_START, EventKind.FLUSH_END}


@pytest.mark.parametrize("interval_s", [1, 10, 900, 65_535])
def test_everything_said_is_in_order_and_survives_the_codec(interval_s):
    words = list(islice(Sensor(2, 1, interval_s, START_S).speak(), 3000))
    assert all(one.at_s <= next_one.at_s for one, next_one in pairwise(words))
    for spoken in words:
        f_port, payload = encode(spoken.message)
        assert decode(f_port, payload) == spoken.message
        assert len(payload) <= 51  # what the slowest data rate carries


def test_reports_follow_each_other_by_the_interval():
    times = [spoken.at_s for spoken in life() if isinstance(spoken.message, Report)]
    assert {round(later - earlier, 6) for earlier, later in pairwise(times)} == {900}


def test_history_goes_back_from_before_the_beginning_and_never_meets_itself():
    histories = [spoken.message for spoken in life(until_s=4 * WEEK_S) if isinstance(spoken.message, History)]
    ends = [
        history.newest_end_s - n * history.interval_s
        for history in histories
        for n in range(len(history.intervals))
    ]
    assert ends[0] <= START_S - 900
    assert ends == sorted(ends, reverse=True)
    assert {earlier - later for earlier, later in pairwise(ends)} == {900}


def test_the_same_seed_gives_the_same_life_and_another_does_not():
    assert life(until_s=86_400) == life(until_s=86_400)
    assert life(until_s=86_400) != life(seed=2, until_s=86_400)
    assert life(until_s=86_400) != life(number=1, until_s=86_400)


def test_identities_are_all_different():
    sessions = [session_of(seed, number) for seed in (1, 2) for number in range(500)]
    assert len({session.dev_eui for session in sessions}) == 1000
    assert len({session.app_s_key for session in sessions}) == 1000
    assert len({session.f_nwk_s_int_key for session in sessions}) == 1000
    assert len({session.dev_addr for session in sessions[:500]}) == 500
    assert session_of(1, 0, 70_000).f_cnt_up == 69_999
