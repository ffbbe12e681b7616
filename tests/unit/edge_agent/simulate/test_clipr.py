"""The sensor that listens and remembers, alone."""

from itertools import pairwise

import pytest

from edge_agent.simulate.clipr import SECOND_US, ClipR
from edge_agent.simulate.memory import Interval, Memory
from edge_codecs.clipr import (
    CentiCelsius,
    Configure,
    Event,
    EventKind,
    Flag,
    Reboot,
    RequestHistory,
    ResetCause,
    Status,
    decode,
    encode,
    encode_downlink,
)

START_S = 1_795_512_833
DAY_S = 86_400


def utc_ms(at_us):
    return 1000 * START_S + at_us // 1000


def no_clock(_at_us):
    return None


def filled(count, values=lambda n: (1000 + 10 * n, 9000), interval_s=60):
    memory = Memory(500)
    for n in range(count):
        minimum, maximum = values(n)
        memory.keep(0, Interval(n * interval_s * SECOND_US, interval_s, minimum, maximum))
    return memory


def frames(memory, room=51):
    found = []
    while (frame := memory.take(room, utc_ms)) is not None:
        assert len(encode(frame)[1]) <= room
        assert decode(*encode(frame)) == frame
        found.append(frame)
    return found


def ends(found):
    return [frame.newest_end_s - n * frame.interval_s for frame in found for n in range(len(frame.intervals))]


def asked(first, last, channel=0):
    return RequestHistory(channel, START_S + 60 * first, START_S + 60 * last)


def test_history_is_what_was_asked_for_newest_first():
    memory = filled(100)
    memory.want(asked(10, 59), utc_ms)
    assert memory.waiting == 50
    found = frames(memory)
    assert ends(found) == [START_S + 60 * n for n in range(59, 9, -1)]
    assert [i.minimum for frame in found for i in frame.intervals] == [
        1000 + 10 * n for n in range(59, 9, -1)
    ]
    assert memory.waiting == 0


@pytest.mark.parametrize(("room", "least"), [(51, 3), (115, 2), (222, 2)])
def test_frames_fill_what_the_data_rate_carries(room, least):
    memory = filled(100)
    memory.want(asked(0, 49), utc_ms)
    found = frames(memory, room)
    assert len(found) == least
    assert len(found[0].intervals) == min(40, (room - 12) // 2 + 1)


def test_values_that_need_an_escape_fit_too():
    memory = filled(50, lambda n: (None, None) if n % 7 == 0 else (100 * n % 3000 + n, 7000 + 13 * n))
    memory.want(asked(0, 49), utc_ms)
    assert ends(frames(memory)) == [START_S + 60 * n for n in range(49, -1, -1)]


def test_the_oldest_are_forgotten():
    memory = filled(600)
    memory.want(asked(0, 599), utc_ms)
    assert memory.waiting == 500
    assert ends(frames(memory))[-1] == START_S + 60 * 100


def test_without_a_clock_in_step_there_is_no_history():
    memory = filled(10)
    memory.want(asked(0, 9), no_clock)
    assert memory.waiting == 0
    memory.want(asked(0, 9), utc_ms)
    assert memory.take(51, no_clock) is None


def test_a_second_request_adds_to_the_first_and_repeats_nothing():
    memory = filled(20)
    memory.want(asked(0, 9), utc_ms)
    memory.want(asked(5, 14), utc_ms)
    assert ends(frames(memory)) == [START_S + 60 * n for n in range(14, -1, -1)]


def test_intervals_that_do_not_adjoin_go_into_frames_of_their_own():
    memory = filled(5)
    for n in range(10, 13):
        memory.keep(0, Interval(n * 60 * SECOND_US, 60, CentiCelsius(5000), CentiCelsius(6000)))
    for n in range(13, 15):
        memory.keep(0, Interval(n * 60 * SECOND_US, 30, CentiCelsius(5000), CentiCelsius(6000)))
    memory.want(asked(0, 20), utc_ms)
    assert [len(frame.intervals) for frame in frames(memory, 222)] == [1, 1, 3, 5]


def sensor(interval_s=60, water_speed=1.0, number=0):
    made = ClipR(1, number, interval_s, START_S, water_speed)
    made.begin(0)
    return made


def live(made, until_s):
    """Reports and all else, with the second in which it is said."""
    reports, others = [], []
    while made.report_us <= until_s * SECOND_US:
        at_us = made.report_us
        while (said := made.speak(at_us, 51, utc_ms)) is not None:
            others.append((at_us // SECOND_US, said))
        reports.append((at_us / SECOND_US, made.report(at_us, in_step=True)))
        made.close(at_us)
    return reports, others


def test_reports_follow_each_other_and_a_status_comes_every_day():
    reports, others = live(sensor(900), 2 * DAY_S)
    assert {round(later - sooner) for (sooner, _), (later, _) in pairwise(reports)} == {900}
    assert all(report.interval_s == 900 for _, report in reports[1:])
    assert reports[0][1].interval_s == pytest.approx(reports[0][0], abs=1)
    statuses = [said for _, said in others if isinstance(said, Status)]
    assert [one.reset_cause for one in statuses] == [ResetCause.POWER_ON] * 2
    assert statuses[1].uptime_s >= DAY_S
    assert statuses[0].report_interval_s == 900


def test_what_it_reports_is_what_it_remembers():
    made = sensor()
    report = made.report(made.report_us, in_step=False)
    assert not report.flags & Flag.CLOCK_IN_STEP
    closed = made.close(made.report_us + 70_000)
    assert [(c, i.minimum, i.maximum) for c, i in closed] == [
        (one.channel, one.minimum, one.maximum) for one in report.channels
    ]


def test_flushes_are_told_with_their_age():
    reports, others = live(sensor(water_speed=500.0), 3000)  # 17 days of water
    events = [said for _, said in others if isinstance(said, Event)]
    kinds = [event.kind for event in events]
    assert kinds.count(EventKind.FLUSH_START) >= 2
    assert abs(kinds.count(EventKind.FLUSH_START) - kinds.count(EventKind.FLUSH_END)) <= 1
    assert all(0 <= event.age_s <= 120 for event in events)
    assert any(report.flags & Flag.FLUSH_SEEN for _, report in reports)


def test_it_does_as_it_is_told():
    made = sensor()
    live(made, 300)
    downlink = Configure(120, 5, None, CentiCelsius(9_900))
    assert made.hear(*encode_downlink(downlink), utc_ms) == downlink
    reports, others = live(made, 1200)
    assert [report.interval_s for _, report in reports[:3]] == [60, 120, 120]
    low = [said for _, said in others if isinstance(said, Event) and said.kind is EventKind.BELOW_LOWER_LIMIT]
    assert {event.channel for event in low} == {one.channel for one in reports[0][1].channels}
    assert len(low) == len({event.channel for event in low})  # once, not each time
    request = RequestHistory(0, START_S, START_S + 600)
    made.hear(*encode_downlink(request), utc_ms)
    assert made.report(made.report_us, in_step=True).flags & Flag.HISTORY_WAITING
    assert made.hear(22, b"\x20", utc_ms) is None
    assert made.hear(99, b"\x10", utc_ms) is None


def test_a_reboot_keeps_the_memory_and_says_why():
    made = sensor()
    live(made, 600)
    made.hear(*encode_downlink(RequestHistory(0, START_S, START_S + 600)), utc_ms)
    assert made.hear(*encode_downlink(Reboot()), utc_ms) == Reboot()
    assert made.report_us is None
    assert made.memory.waiting == 0
    made.begin(700 * SECOND_US)
    status = made.speak(700 * SECOND_US, 51, utc_ms)
    assert (status.reset_cause, status.uptime_s) == (ResetCause.DOWNLINK, 0)
    made.hear(*encode_downlink(RequestHistory(0, START_S, START_S + 600)), utc_ms)
    assert made.memory.waiting == 10
