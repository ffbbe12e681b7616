"""When a sensor is asked again for what is missing: each gap in its own time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from edge_agent.network.asking import Asking
from edge_agent.network.gap import MAX_ASKED, Gap
from edge_agent.network.history import REPORTS_BETWEEN
from edge_agent.network.outcome import Admitted
from edge_codecs.clipr import CentiCelsius, Extremes, History, HistoryInterval, Message, Report
from tests.rig.store import dev_eui, uplink

A = dev_eui(0)
T0_MS = 1_750_000_000_000
INTERVAL_S = 900
WARM = CentiCelsius(5000)
REPORT = Report(0, 100, INTERVAL_S, (Extremes(0, WARM, WARM, WARM),))
HISTORY = History(0, T0_MS // 1000, INTERVAL_S, (HistoryInterval(WARM, WARM),))


def gap(number: int) -> Gap:
    """One interval, the later the higher `number`."""
    from_ms = T0_MS + number * 10_000_000
    return Gap(A, 0, from_ms, from_ms + 1000 * INTERVAL_S, INTERVAL_S)


def said(message: Message, at_s: float, *, ack: bool = False) -> Admitted:
    """An uplink of the sensor."""
    return replace(uplink(0, 0, at_s=at_s), message=message, ack=ack)


class Sensor:
    """One that never sends what it is asked for, unless a test lets it. It speaks every 10 s."""

    def __init__(self, *gaps: Gap, hears: bool = True) -> None:
        self.asking = Asking()
        self.hears = hears
        self.reports = 0
        self.acknowledges = False
        self.questions: list[tuple[int, Gap]] = []  # after how many reports, and for what
        self.heard: list[Gap] = []
        self.asking.gaps_are(A, gaps)

    def report(self, count: int = 1) -> None:
        for _ in range(count):
            self.reports += 1
            self.say(REPORT)
            asked = self.asking.request(A, T0_MS + 1_000_000_000)
            if asked is not None:
                on_air_ns = (10 * self.reports + 8) * 1_000_000_000
                self.asking.sending(asked[0], self.reports, on_air_ns)
                self.asking.settled(A, self.reports, sent=True)
                self.questions.append((self.reports, asked[0]))
                self.acknowledges = self.hears

    def say(self, message: Message) -> None:
        heard = self.asking.heard(said(message, 10 * self.reports, ack=self.acknowledges))
        assert (heard is not None) == self.acknowledges
        self.acknowledges = False
        if heard is not None:
            self.heard.append(heard)

    def old(self) -> Gap:
        """The first gap as the store has it."""
        return replace(gap(0), asked=len(self.asked_for(gap(0))))

    def asked_for(self, one: Gap) -> list[int]:
        return [
            at for at, asked in self.questions if (asked.channel, asked.to_ms) == (one.channel, one.to_ms)
        ]


def test_a_gap_is_asked_for_at_growing_distances_and_then_given_up() -> None:
    sensor = Sensor(gap(0))
    sensor.report(200)
    asked_at = sensor.asked_for(gap(0))
    assert asked_at == [1, 5, 13, 29, 61]
    assert len(asked_at) == MAX_ASKED


def test_one_question_at_a_time() -> None:
    sensor = Sensor(gap(0), gap(1), gap(2))
    sensor.report(200)
    times = [at for at, _ in sensor.questions]
    assert len(times) == 3 * MAX_ASKED
    assert all(after - before >= REPORTS_BETWEEN for before, after in pairwise(times))


def test_new_gaps_do_not_keep_an_old_one_waiting() -> None:
    """Frames go on being lost: a gap every tenth report, each closed by the first question."""
    sensor = Sensor(gap(0))
    for number in range(1, 12):
        sensor.asking.gaps_are(A, [sensor.old(), gap(number)])
        sensor.report(3)
        sensor.say(HISTORY)
        sensor.asking.gaps_are(A, [sensor.old()])
        sensor.report(7)
    assert len(sensor.asked_for(gap(0))) == MAX_ASKED


def test_a_sensor_that_sends_history_is_not_interrupted() -> None:
    sensor = Sensor(gap(0), gap(1))
    sensor.report()
    for _ in range(5):
        sensor.say(HISTORY)
        sensor.report()
    assert len(sensor.questions) == 1


def test_a_question_that_was_not_sent_is_asked_again_at_once() -> None:
    asking = Asking()
    asking.gaps_are(A, [gap(0)])
    for f_cnt in range(20):
        asked = asking.request(A, T0_MS + 1_000_000_000)
        assert asked is not None
        asking.sending(asked[0], f_cnt, 1)
        assert asking.request(A, T0_MS + 1_000_000_000) is None, "one is under way"
        asking.settled(A, f_cnt, sent=False)


def test_a_question_that_was_not_heard_does_not_count_and_comes_at_growing_distances() -> None:
    sensor = Sensor(gap(0), hears=False)
    sensor.report(500)
    assert sensor.heard == []
    distances = [after - before for (before, _), (after, _) in pairwise(sensor.questions)]
    assert distances[:5] == [4, 8, 16, 32, 32]
    assert set(distances[5:]) == {32}, "for as long as the gap is there"
    sensor.hears = True
    sensor.report(33)
    assert sensor.heard[0].to_ms == gap(0).to_ms


def test_an_uplink_from_before_the_question_says_nothing_of_it() -> None:
    asking = Asking()
    asking.gaps_are(A, [gap(0)])
    asked = asking.request(A, T0_MS + 1_000_000_000)
    assert asked is not None
    asking.sending(asked[0], 1, 20_000_000_000)
    assert asking.heard(said(REPORT, 15)) is None
    asking.settled(A, 1, sent=True)
    assert asking.heard(said(REPORT, 19)) is None
    assert asking.heard(said(REPORT, 25, ack=True)) == gap(0)
