from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.sync.backoff import RECEIPT_FIRST_S, RECEIPT_MAX_S, REFUSED_FIRST_S, REFUSED_MAX_S
from edge_agent.sync.window import AFTER_RECONNECT_S, AFTER_RESEND_S, SIZE, Window
from edge_codecs.batch import Lane


def window(batches: int = 0, roll: float = 0.5) -> Window:
    made = Window(lambda: roll)
    for number in range(1, batches + 1):
        made.add(number, Lane.LIVE, 0.0)
    return made


def hand_over(w: Window, now: float, *, taken: bool = True) -> list[int]:
    numbers = w.sendable(now, SIZE)
    for number in numbers:
        w.sent(number)
        if taken:
            w.taken(number, now)
    return numbers


def test_batches_go_once_and_in_order():
    w = window(3)
    assert hand_over(w, 0.0) == [1, 2, 3]
    assert w.sendable(1.0, SIZE) == []


def test_the_broker_is_given_no_more_than_it_takes():
    w = window(5)
    assert w.sendable(0.0, 2) == [1, 2]
    w.sent(1), w.sent(2)
    assert w.sendable(0.0, 2) == []
    w.taken(1, 0.0)
    assert w.sendable(0.0, 2) == [3]


def test_it_is_full_at_its_size():
    w = window(SIZE)
    assert not w.room
    w.receipted(1, 0.0)
    assert w.room


def test_a_receipt_frees_everything_up_to_it():
    w = window(5)
    hand_over(w, 0.0)
    assert [landed.number for landed in w.receipted(3, 2.0)] == [1, 2, 3]
    assert len(w) == 2
    assert w.receipted(3, 2.0) == []


def test_silence_is_broken_by_the_first_batch_alone():
    w = window(5)
    hand_over(w, 0.0)
    assert w.sendable(RECEIPT_FIRST_S / 2, SIZE) == []
    assert hand_over(w, RECEIPT_FIRST_S) == [1]
    assert w.wake_at(SIZE) is not None


def test_the_first_batch_is_repeated_ever_more_rarely():
    w, now, times = window(20), 0.0, []
    hand_over(w, 0.0)
    while now < 8 * 3600:
        now = w.wake_at(SIZE)
        assert now is not None
        assert hand_over(w, now) == [1]
        times.append(now)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[-1] <= RECEIPT_MAX_S
    assert len(times) < 60  # a receiver that is away for a night: 60 batches, not 20 a minute


def test_once_the_receiver_is_back_what_waited_too_long_goes_again_at_once():
    w = window(5)
    hand_over(w, 0.0)
    assert hand_over(w, RECEIPT_FIRST_S) == [1]
    w.receipted(1, RECEIPT_FIRST_S + 0.1)  # the broker had lost all five
    assert hand_over(w, RECEIPT_FIRST_S + 0.1) == [2, 3, 4, 5]


def test_a_batch_on_its_way_is_never_doubled():
    """What the broker has not acknowledged is in TCP's hands: it is not handed over a second time."""
    w = window(1)
    hand_over(w, 0.0, taken=False)
    w.missed(1, 1.0)
    assert w.wake_at(SIZE) is None
    assert w.sendable(10_000.0, SIZE) == []


def test_a_full_connection_is_no_reason_to_wake():
    w = window(2)
    hand_over(w, 0.0)
    w.add(3, Lane.LIVE, 0.0)
    w.sent(3)  # and is not acknowledged
    assert w.sendable(1000.0, 1) == []  # the first is due again, but has to wait
    assert w.wake_at(1) is None


def test_a_refused_batch_whose_time_has_come_does_not_wake_a_full_connection():
    w = window(2)
    w.sent(1), w.sent(2)
    w.refused(2, 0.0, by_broker=False)
    assert w.sendable(1000.0, 1) == []
    assert w.wake_at(1) is None
    w.taken(1, 1000.0)
    assert w.sendable(1000.0, 1) == [2]


def test_what_the_receiver_misses_goes_again_after_a_moment():
    w = window(3)
    hand_over(w, 0.0)
    w.missed(1, 5.0)
    assert w.sendable(5.0, SIZE) == []
    assert w.wake_at(SIZE) == 5.0 + AFTER_RESEND_S
    assert hand_over(w, 5.0 + AFTER_RESEND_S) == [1]
    w.missed(7, 6.0)  # none of ours


def test_a_new_connection_repeats_what_the_last_did_not_get_through():
    w = window(4)
    hand_over(w, 0.0)
    w.add(5, Lane.LIVE, 0.0)
    w.sent(5)
    w.connected(10.0, session_present=True)
    assert w.sendable(10.0, SIZE) == [5]
    assert w.sendable(10.0 + AFTER_RECONNECT_S, SIZE) == [1, 5]


def test_a_broker_that_forgot_us_is_sent_everything():
    w = window(4)
    hand_over(w, 0.0)
    w.connected(10.0, session_present=False)
    assert w.sendable(10.0, SIZE) == [1, 2, 3, 4]


@pytest.mark.parametrize("by_broker", [True, False])
def test_a_refusal_stops_what_comes_after(by_broker):
    w = window(4)
    hand_over(w, 0.0)
    assert w.refused(2, 0.0, by_broker=by_broker)
    assert w.stopped
    assert not w.room
    for n in (3, 4):
        w.missed(n, 0.0)
    w.receipted(1, 0.0)
    assert hand_over(w, REFUSED_FIRST_S / 2) == []
    assert hand_over(w, REFUSED_FIRST_S) == [2]
    if not by_broker:  # the broker always took it: only the receiver's word ends it
        assert w.stopped
    w.receipted(2, 100.0)
    assert not w.stopped


def test_the_broker_taking_it_ends_its_own_refusal():
    w = window(1)
    hand_over(w, 0.0, taken=False)
    w.refused(1, 0.0, by_broker=True)
    assert hand_over(w, REFUSED_FIRST_S) == [1]
    assert not w.stopped


def test_a_refused_batch_is_tried_ever_more_rarely():
    w, now, times = window(1), 0.0, []
    for _ in range(12):
        assert hand_over(w, now) == [1]
        w.refused(1, now, by_broker=False)
        now = w.wake_at(SIZE)
        times.append(now)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert REFUSED_MAX_S / 2 <= gaps[-1] <= REFUSED_MAX_S


def test_an_earlier_refusal_goes_first_and_a_later_one_waits():
    w = window(3)
    hand_over(w, 0.0)
    w.refused(3, 0.0, by_broker=False)
    w.refused(1, 0.0, by_broker=False)
    assert hand_over(w, 2 * REFUSED_FIRST_S) == [1]
    w.refused(3, 0.0, by_broker=False)
    w.receipted(2, 200.0)
    assert not w.stopped
    assert hand_over(w, 200.0) == [3]


def test_a_refusal_of_a_batch_that_is_not_ours_changes_nothing():
    w = window(1)
    assert not w.refused(9, 0.0, by_broker=False)
    assert not w.stopped


def test_after_a_rewind_what_was_on_its_way_still_takes_its_place():
    w = window(4)
    hand_over(w, 0.0)
    w.add(5, Lane.LIVE, 0.0)
    w.add(6, Lane.LIVE, 0.0)
    w.sent(5), w.sent(6)
    w.refused(1, 0.0, by_broker=False)
    w.rewind()
    assert (len(w), w.stopped, w.room) == (0, False, True)
    for number in (1, 2, 3, 4, 5):
        w.add(number, Lane.LIVE, 1.0)
    assert w.sendable(1.0, 4) == [1, 2]
    assert w.wake_at(2) is None
    w.taken(5, 1.0)
    assert not w.refused(6, 1.0, by_broker=True)
    assert w.sendable(1.0, 4) == [1, 2, 3, 4]


def test_what_was_on_its_way_before_a_rewind_ends_with_the_connection():
    w = window(1)
    hand_over(w, 0.0, taken=False)
    w.rewind()
    w.add(1, Lane.LIVE, 1.0)
    assert w.sendable(1.0, 1) == []
    w.connected(2.0, session_present=True)
    assert w.sendable(2.0, 1) == [1]


class Channel(RuleBasedStateMachine):
    """A lossy broker and a receiver that takes the next batch. In the end all batches land."""

    @initialize()
    def start(self):
        self.now, self.formed, self.up_to = 0.0, 0, 0
        self.unacknowledged = SIZE
        self.window = Window(lambda: 0.5)
        self.on_the_way: list[int] = []  # handed over, not taken
        self.at_broker: list[int] = []
        self.early: set[int] = set()

    @precondition(lambda self: self.window.room)
    @rule()
    def form(self):
        self.formed += 1
        self.window.add(self.formed, Lane.LIVE, self.now)

    @rule()
    def send(self):
        for number in self.window.sendable(self.now, SIZE):
            self.window.sent(number)
            self.on_the_way.append(number)

    @precondition(lambda self: self.on_the_way)
    @rule(kept=st.booleans(), data=st.data())
    def take(self, kept, data):
        number = self.on_the_way.pop(data.draw(st.integers(0, len(self.on_the_way) - 1)))
        self.window.taken(number, self.now)
        if kept:
            self.at_broker.append(number)

    @rule(present=st.booleans())
    def reconnect(self, present):
        self.on_the_way.clear()
        self.window.connected(self.now, session_present=present)

    @precondition(lambda self: self.at_broker)
    @rule(heard=st.booleans(), data=st.data())
    def receive(self, heard, data):
        number = self.at_broker.pop(data.draw(st.integers(0, len(self.at_broker) - 1)))
        self.early.add(number)
        while self.up_to + 1 in self.early:
            self.up_to += 1
        if heard:
            self.window.receipted(self.up_to, self.now)
            if number > self.up_to:
                self.window.missed(self.up_to + 1, self.now)

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds):
        self.now += seconds

    @rule(unacknowledged=st.integers(0, SIZE), by_broker=st.booleans(), data=st.data())
    def be_refused(self, unacknowledged, by_broker, data):
        number = data.draw(st.integers(1, self.formed + 1))
        if number not in self.on_the_way:
            self.window.refused(number, self.now, by_broker=by_broker)
        self.unacknowledged = unacknowledged

    @invariant()
    def sleeps_when_there_is_nothing_to_send(self):
        if not self.window.sendable(self.now, self.unacknowledged):
            wake_at = self.window.wake_at(self.unacknowledged)
            assert wake_at is None or wake_at > self.now

    @invariant()
    def bounded(self):
        assert len(self.window) <= SIZE
        assert sorted(set(self.on_the_way)) == sorted(self.on_the_way)  # never two copies on one connection

    def teardown(self):
        for _ in range(200):  # from now on nothing is lost
            if not len(self.window):
                return
            self.send()
            for number in self.on_the_way:
                self.window.taken(number, self.now)
                self.early.add(number)
            self.on_the_way.clear()
            before = self.up_to
            while self.up_to + 1 in self.early:
                self.up_to += 1
            self.window.receipted(self.up_to, self.now)
            if self.up_to == before and len(self.window) and not self.window.sendable(self.now, SIZE):
                wake_at = self.window.wake_at(SIZE)
                assert wake_at is not None, "nothing would ever happen again"
                self.now = max(self.now, wake_at)
        raise AssertionError("batches never landed")


TestChannel = Channel.TestCase
TestChannel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
