"""Which settings suit how a device is heard."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.adr import (
    ENOUGH_FRAMES,
    FRAMES,
    AdrHistory,
    LinkSettings,
    link_adr,
    next_nb_trans,
    required_snr_db,
)
from edge_agent.network.mac_state import MacState, after_join
from edge_agent.network.policy import Policy

EU868, US915 = REGIONS["EU868"], REGIONS["US915"]
POLICY = Policy()


def state(data_rate: int = 0, tx_power: int = 0, nb_trans: int = 1, settled_f_cnt: int = 0) -> MacState:
    return replace(
        after_join(EU868, POLICY),
        data_rate=data_rate,
        tx_power=tx_power,
        nb_trans=nb_trans,
        settled_f_cnt=settled_f_cnt,
    )


def history(snr_db: float, f_cnts: Iterable[int] = range(FRAMES), data_rate: int = 0) -> AdrHistory:
    made = AdrHistory()
    for f_cnt in f_cnts:
        made.add(f_cnt, snr_db, data_rate)
    return made


def settings(made: AdrHistory, mac: MacState, policy: Policy = POLICY) -> LinkSettings | None:
    return link_adr(made, mac, EU868, policy)


# SF12 needs −20 dB, the margin is 10 dB: from −10 dB on, every 3 dB are a step.
@pytest.mark.parametrize(
    ("snr_db", "data_rate", "tx_power"),
    [(-10, 0, 0), (-7.1, 0, 0), (-7, 1, 0), (-4, 2, 0), (5, 5, 0), (7.9, 5, 0), (8, 5, 1), (40, 5, 7)],
)
def test_data_rate_first_then_power(snr_db: float, data_rate: int, tx_power: int) -> None:
    assert settings(history(snr_db), state()) == LinkSettings(data_rate, tx_power, 1)


@pytest.mark.parametrize(
    ("snr_db", "tx_power"), [(2.5, 4), (-0.4, 4), (-0.5, 3), (-3.5, 2), (-9.5, 0), (-20, 0)]
)
def test_power_comes_back_when_the_margin_is_gone(snr_db: float, tx_power: int) -> None:
    made = history(snr_db, data_rate=5)
    assert settings(made, state(data_rate=5, tx_power=4)) == LinkSettings(5, tx_power, 1)


def test_power_comes_back_by_a_full_history_only() -> None:
    made = history(-20, range(FRAMES - 1), data_rate=5)
    assert settings(made, state(data_rate=5, tx_power=4)) == LinkSettings(5, 4, 1)


def test_the_best_of_the_last_frames_counts() -> None:
    made = history(-19)
    made.add(FRAMES, -4, 0)
    assert settings(made, state()) == LinkSettings(2, 0, 1)
    for f_cnt in range(FRAMES + 1, 2 * FRAMES + 1):
        made.add(f_cnt, -19, 0)
    assert settings(made, state()) == LinkSettings(0, 0, 1)


def test_few_frames_say_nothing() -> None:
    assert settings(history(40, range(ENOUGH_FRAMES - 1)), state()) is None
    assert settings(history(40, range(ENOUGH_FRAMES)), state()) is not None


def test_frames_under_other_settings_do_not_count() -> None:
    made = history(40, range(FRAMES))
    assert settings(made, state(data_rate=1)) is None
    assert settings(made, state(settled_f_cnt=FRAMES - ENOUGH_FRAMES + 1)) is None
    assert settings(made, state(settled_f_cnt=FRAMES - ENOUGH_FRAMES)) is not None


def test_margin_and_fastest_data_rate_are_the_operators() -> None:
    assert settings(history(-7), state(), replace(POLICY, adr_margin_db=5.0)) == LinkSettings(2, 0, 1)
    assert settings(history(5), state(), replace(POLICY, adr_max_data_rate=3)) == LinkSettings(3, 2, 1)


def test_the_operator_cannot_go_beyond_the_region() -> None:
    assert settings(history(40), state(), replace(POLICY, adr_max_data_rate=13)) == LinkSettings(5, 7, 1)


def test_a_data_rate_beyond_the_fastest_stays() -> None:
    made = history(-7.5, data_rate=6)
    assert settings(made, state(data_rate=6)) == LinkSettings(6, 0, 1)
    assert settings(history(0, data_rate=7), state(data_rate=7)) is None  # FSK


def test_us915_has_its_own_data_rates() -> None:
    mac = replace(after_join(US915, POLICY), data_rate=0)
    assert link_adr(history(4), mac, US915, POLICY) == LinkSettings(3, 0, 1)


def test_lost_frames_are_sent_more_often() -> None:
    every_second = history(-10, range(0, 2 * FRAMES, 2))
    assert settings(every_second, state()) == LinkSettings(0, 0, 3)
    one_in_six = history(-10, [n for n in range(24) if n % 6 != 1])
    assert settings(one_in_six, state()) == LinkSettings(0, 0, 2)
    assert settings(history(-10), state(nb_trans=3)) == LinkSettings(0, 0, 2)


@pytest.mark.parametrize(
    ("lost", "becomes"),
    [(0.0, (1, 1, 2)), (0.05, (1, 2, 3)), (0.10, (2, 3, 3)), (0.30, (3, 3, 3)), (1.0, (3, 3, 3))],
)
def test_repetitions_by_loss(lost: float, becomes: tuple[int, ...]) -> None:
    assert tuple(next_nb_trans(now, lost) for now in (1, 2, 3)) == becomes


def test_an_outage_of_the_gateway_is_no_loss() -> None:
    made = history(-10)
    for f_cnt in range(1000, 1000 + FRAMES):
        made.add(f_cnt, -10, 0)
    assert settings(made, state()) == LinkSettings(0, 0, 1)


def test_a_counter_that_begins_anew_begins_a_history() -> None:
    made = history(40, range(1000, 1000 + FRAMES))
    made.add(0, -10, 0)
    assert settings(made, state()) is None


@given(st.floats(-25, 15), st.floats(0, 20), st.integers(0, 5), st.integers(0, 7))
def test_settings_come_to_rest(
    at_full_power_db: float, margin_db: float, data_rate: int, tx_power: int
) -> None:
    """However a device begins: once heard evenly, its settings stop changing, and soon."""
    policy = replace(POLICY, adr_margin_db=margin_db)
    mac, changes, made = state(data_rate, tx_power), 0, AdrHistory()
    for f_cnt in range(30 * FRAMES):
        made.add(f_cnt, at_full_power_db - 2 * mac.tx_power, mac.data_rate)
        now = LinkSettings(mac.data_rate, mac.tx_power, mac.nb_trans)
        new = settings(made, mac, policy)
        if new is not None and new != now:
            changes += 1
            mac = state(new.data_rate, new.tx_power, new.nb_trans, f_cnt + 1)
    assert changes <= 8
    left_db = at_full_power_db - 2 * mac.tx_power - required_of(mac) - margin_db
    assert left_db < 3 or (mac.data_rate == 5 and mac.tx_power == 7)
    assert left_db > -3 or mac.tx_power == 0


def required_of(mac: MacState) -> float:
    required_db = required_snr_db(EU868.data_rates_up[mac.data_rate])
    assert required_db is not None
    return required_db


@given(st.floats(-25, 15), st.integers())
def test_a_wavering_link_does_not_make_settings_flap(snr_db: float, seed: int) -> None:
    roll = random.Random(seed)
    mac, changes, made = state(), [], AdrHistory()
    for f_cnt in range(40 * FRAMES):
        made.add(f_cnt, snr_db + roll.uniform(-1, 1) - 2 * mac.tx_power, mac.data_rate)
        new = settings(made, mac)
        if new is not None and new != LinkSettings(mac.data_rate, mac.tx_power, mac.nb_trans):
            changes.append((mac.tx_power, new.tx_power))
            mac = state(new.data_rate, new.tx_power, new.nb_trans, f_cnt + 1)
    assert len(changes) <= 8
    assert all(after >= before for before, after in changes)  # power never had to come back


def test_required_snr() -> None:
    assert required_snr_db("SF12BW125") == -20
    assert required_snr_db("SF8BW500") == -10
    assert required_snr_db("50000") is None
