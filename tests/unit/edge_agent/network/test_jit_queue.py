"""One transmitter's time line, told the time."""

from edge_agent.lorawan.airtime import downlink_airtime_us
from edge_agent.lorawan.regions.eu868 import EU868
from edge_agent.network.answer import TxResult, Window
from edge_agent.network.duty_cycle import DutyCycle
from edge_agent.network.jit_queue import GUARD_NS, JitQueue, Slot
from tests.rig.answers import MS, RX1, RX2, S, answer


def queue():
    return JitQueue(EU868, DutyCycle(EU868))


def test_a_window_opens_a_delay_after_the_end_of_the_uplink():
    slot = queue().place(answer(100 * S), RX1, 100 * S)
    assert slot == Slot(RX1, 105 * S, downlink_airtime_us(12, "SF7BW125"))
    assert slot.end_ns == 105 * S + slot.airtime_us * 1000


def test_what_a_forwarder_needs_ahead():
    heard, window = answer(0), Window("RX1", 1_000_000, 868_100_000, "SF7BW125", 14.0)
    assert queue().place(heard, window, 958 * MS) is TxResult.TOO_LATE
    assert isinstance(queue().place(heard, window, 957 * MS), Slot)
    assert queue().place(heard, window, 3 * S) is TxResult.TOO_LATE


def test_one_frame_at_a_time():
    jit_queue = queue()
    first = jit_queue.place(answer(0), RX1, 0)
    for begin_ns in (0, first.end_ns - first.begin_ns, GUARD_NS - 1 - (first.end_ns - first.begin_ns)):
        assert jit_queue.place(answer(begin_ns), RX1, 0) is TxResult.COLLISION
    behind_ns = first.end_ns - first.begin_ns + GUARD_NS
    assert isinstance(jit_queue.place(answer(behind_ns), RX1, 0), Slot)
    assert isinstance(jit_queue.place(answer(-behind_ns), RX1, -behind_ns), Slot)
    jit_queue.give_up(first)
    assert isinstance(jit_queue.place(answer(0), RX1, 0), Slot)


def test_a_long_frame_that_is_on_air():
    jit_queue = queue()
    long = jit_queue.place(answer(0, bytes(64)), RX2, 0)
    assert long.end_ns - long.begin_ns > 2 * S
    assert jit_queue.place(answer(2 * S), RX1, 6500 * MS) is TxResult.COLLISION
    assert isinstance(jit_queue.place(answer(4 * S), RX1, 6500 * MS), Slot)


def test_the_law():
    jit_queue = queue()
    jit_queue.duty_cycle.add(0, RX1.frequency_hz, 36_000_000)
    assert jit_queue.place(answer(40 * S), RX1, 40 * S) is TxResult.DUTY_CYCLE
    assert isinstance(jit_queue.place(answer(40 * S), RX2, 40 * S), Slot)


def test_a_frequency_of_no_sub_band():
    assert queue().place(answer(0), Window("RX1", 1_000_000, 868_650_000, "SF7BW125", 14.0), 0) is (
        TxResult.TX_FREQ
    )


def test_a_refused_frame_costs_no_airtime():
    jit_queue = queue()
    slot = jit_queue.place(answer(0), RX1, 0)
    jit_queue.hand_over(slot)
    assert jit_queue.waiting(0) == (0, 1)
    jit_queue.give_up(slot)
    assert jit_queue.waiting(0) == (0, 0)
    assert set(jit_queue.duty_cycle.used(0).values()) == {0}


def test_the_forwarder_gets_all_at_once_up_to_24():
    jit_queue = queue()
    slots = [jit_queue.place(answer(number * S // 10), RX1, 4 * S) for number in range(30)]
    for slot in slots[:24]:
        assert jit_queue.hand_over_ns(slot, 4 * S) == 4 * S
        jit_queue.hand_over(slot)
    assert jit_queue.waiting(4 * S) == (6, 24)
    assert jit_queue.hand_over_ns(slots[24], 4 * S) == slots[0].begin_ns == 5 * S
    assert jit_queue.hand_over_ns(slots[24], 5 * S) == 5 * S
    assert jit_queue.hand_over_ns(slots[25], 5 * S) == slots[1].begin_ns
    jit_queue.hand_over(slots[24])
    assert jit_queue.waiting(5 * S) == (5, 24)


def test_a_window_that_opens_soon_waits_for_nobody():
    jit_queue = queue()
    for number in range(24):
        jit_queue.hand_over(jit_queue.place(answer(S + number * S // 10), RX1, 0))
    soon = jit_queue.place(answer(0), Window("RX1", 1_000_000, 868_300_000, "SF7BW125", 14.0), 0)
    assert jit_queue.hand_over_ns(soon, 0) == 700 * MS
    assert jit_queue.hand_over_ns(soon, 701 * MS) == 701 * MS


def test_what_is_over_is_forgotten():
    jit_queue = queue()
    jit_queue.hand_over(jit_queue.place(answer(0), RX1, 0))
    assert jit_queue.waiting(6 * S) == (0, 0)
