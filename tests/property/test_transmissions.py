"""Whatever is to be sent: one frame at a time, and no hour of a sub-band beyond its share."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.lorawan.regions.eu868 import EU868
from edge_agent.network.answer import TxResult, Window
from edge_agent.network.duty_cycle import HOUR_NS, DutyCycle, OnAir
from edge_agent.network.jit_queue import GUARD_NS, LATEST_NS, LEAD_NS, JitQueue, Slot
from tests.rig.answers import S, answer

WINDOWS = st.builds(
    Window,
    st.just("RX1"),
    st.sampled_from([1_000_000, 2_000_000, 5_000_000, 6_000_000, 16_000_000]),
    st.sampled_from([868_100_000, 868_500_000, 868_800_000, 869_525_000, 868_650_000]),
    st.sampled_from(["SF7BW125", "SF10BW125", "SF12BW125", "50000"]),
    st.just(16.0),
)
STEPS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 2 * S), st.integers(0, 900 * S)),  # until the next uplink
        st.integers(0, 2 * S),  # from its end until now
        WINDOWS,
        st.integers(12, 255),
        st.sampled_from(["sent", "sent", "sent", "refused", "restart"]),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_overlap_and_no_hour_beyond_the_limit(steps):
    jit_queue, now_ns = JitQueue(EU868, DutyCycle(EU868)), 0
    on_air: list[Slot] = []
    for gap_ns, age_ns, window, length, fate in steps:
        now_ns += gap_ns
        if fate == "restart":
            now_ns += 30 * S  # what the former process had planned is on air by then
            jit_queue = restarted(jit_queue, now_ns)
        slot = jit_queue.place(answer(now_ns - age_ns, bytes(length), (window,)), window, now_ns)
        if isinstance(slot, TxResult):
            continue
        assert slot.begin_ns == now_ns - age_ns + window.delay_us * 1000
        assert slot.begin_ns - now_ns >= LEAD_NS
        assert jit_queue.hand_over_ns(slot, now_ns) <= max(now_ns, slot.begin_ns - LATEST_NS)
        if fate == "refused":
            jit_queue.give_up(slot)
            continue
        jit_queue.hand_over(slot)
        on_air.append(slot)
    on_air.sort(key=lambda slot: slot.begin_ns)
    assert all(one.end_ns + GUARD_NS <= other.begin_ns for one, other in pairwise(on_air))
    for band in EU868.sub_bands:
        in_band = [slot for slot in on_air if EU868.sub_band(slot.window.frequency_hz) is band]
        edges_ns = [slot.begin_ns for slot in in_band] + [slot.end_ns - HOUR_NS for slot in in_band]
        for edge_ns in edges_ns:  # the fullest hour begins or ends with a frame
            assert sum(within(slot, edge_ns) for slot in in_band) <= band.duty_cycle * HOUR_NS


def within(slot, hour_ns):
    return max(0, min(slot.end_ns, hour_ns + HOUR_NS) - max(slot.begin_ns, hour_ns))


def restarted(jit_queue, now_ns):
    spent = json.loads(json.dumps(jit_queue.duty_cycle.spent(now_ns)))
    known = {band: [OnAir(*entry) for entry in entries] for band, entries in spent.items()}
    return JitQueue(EU868, DutyCycle(EU868, known))


@given(st.lists(st.tuples(st.integers(0, 100 * S), st.integers(0, 3_000_000)), min_size=1, max_size=60))
def test_an_account_never_forgets_too_early_nor_much_too_late(frames):
    duty_cycle, now_ns, sent = DutyCycle(EU868), 0, []
    for gap_ns, airtime_us in frames:
        now_ns += gap_ns + airtime_us * 1000
        begin_ns = now_ns - airtime_us * 1000
        duty_cycle.add(begin_ns, 869_525_000, airtime_us)
        sent.append((now_ns, airtime_us * 1000))
        share = duty_cycle.used(now_ns)["869.4-869.65"] * 0.1 * HOUR_NS
        least = sum(ns for end_ns, ns in sent if end_ns > now_ns - HOUR_NS)
        most = sum(ns for end_ns, ns in sent if end_ns > now_ns - HOUR_NS - 10 * S)
        assert least - 1 <= share <= most + 1
