"""The sliding hour of each sub-band."""

import json

import pytest

from edge_agent.lorawan.regions.eu868 import EU868
from edge_agent.network.duty_cycle import DutyCycle, OnAir

S = 1_000_000_000
HOUR = 3600 * S
RX1_HZ, RX2_HZ = 868_100_000, 869_525_000  # 1 % and 10 %: 36 s and 360 s an hour


def test_an_hour_is_used_up_and_comes_back_as_it_slides():
    duty_cycle = DutyCycle(EU868)
    for second in range(0, 360, 10):
        assert duty_cycle.may(second * S, second * S, RX1_HZ, 1_000_000)
        duty_cycle.add(second * S, RX1_HZ, 1_000_000)
    assert not duty_cycle.may(360 * S, 360 * S, RX1_HZ, 1)
    assert not duty_cycle.may(HOUR, HOUR - 1, RX1_HZ, 1_000_000)
    assert duty_cycle.may(HOUR, HOUR, RX1_HZ, 1_000_000)  # its end is an hour after the first one's
    assert duty_cycle.may(HOUR + S, HOUR + S, RX1_HZ, 1_000_000)
    assert not duty_cycle.may(HOUR + S, HOUR + S, RX1_HZ, 1_000_001)


def test_each_sub_band_has_its_own():
    duty_cycle = DutyCycle(EU868)
    duty_cycle.add(0, RX1_HZ, 36_000_000)
    assert not duty_cycle.may(40 * S, 41 * S, 868_500_000, 1)
    assert duty_cycle.may(40 * S, 41 * S, 867_100_000, 1)
    assert duty_cycle.may(40 * S, 41 * S, RX2_HZ, 360_000_000)
    assert not duty_cycle.may(40 * S, 41 * S, RX2_HZ, 360_000_001)


def test_what_is_planned_for_later_counts_too():
    duty_cycle = DutyCycle(EU868)
    duty_cycle.add(10 * S, RX1_HZ, 20_000_000)
    assert duty_cycle.may(0, 5 * S, RX1_HZ, 16_000_000)
    assert not duty_cycle.may(0, 5 * S, RX1_HZ, 16_000_001)


def test_nobody_may_send_between_the_sub_bands():
    duty_cycle = DutyCycle(EU868)
    assert not duty_cycle.may(0, 0, 868_650_000, 1)
    with pytest.raises(KeyError):
        duty_cycle.add(0, 868_650_000, 1)


def test_a_refused_transmission_is_taken_back():
    duty_cycle = DutyCycle(EU868)
    duty_cycle.add(0, RX1_HZ, 36_000_000)
    duty_cycle.take_back(0, RX1_HZ, 36_000_000)
    duty_cycle.take_back(0, RX1_HZ, 36_000_000)
    assert duty_cycle.may(0, 0, RX1_HZ, 36_000_000)


def test_shares_of_the_limit():
    duty_cycle = DutyCycle(EU868)
    duty_cycle.add(0, RX1_HZ, 9_000_000)
    used = duty_cycle.used(100 * S)
    assert used["868-868.6"] == 0.25
    assert used["869.4-869.65"] == 0
    assert duty_cycle.used(2 * HOUR)["868-868.6"] == 0


def test_an_account_goes_on_after_a_restart_and_stays_small():
    duty_cycle = DutyCycle(EU868)
    for number in range(7200):
        duty_cycle.add(number * S // 2, RX2_HZ, 49_000)
    spent = json.loads(json.dumps(duty_cycle.spent(HOUR)))
    assert sum(map(len, spent.values())) < 450
    again = DutyCycle(EU868, {band: [OnAir(*entry) for entry in entries] for band, entries in spent.items()})
    assert again.used(HOUR) == duty_cycle.used(HOUR)
    assert again.used(HOUR)["869.4-869.65"] == pytest.approx(7200 * 0.049 / 360)
    assert not again.may(HOUR, HOUR, RX2_HZ, 8_000_000)
    assert again.may(HOUR + 100 * S, HOUR + 100 * S, RX2_HZ, 8_000_000)
