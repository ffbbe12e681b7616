"""Where and when a device listens after an uplink."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.answer import Window
from edge_agent.network.mac_state import Channel, after_join, initial
from edge_agent.network.policy import Policy
from edge_agent.network.windows import answer_windows, channel_heard, join_windows, room
from tests.rig.lorawan_frames import heard

EU868, US915, AS923 = REGIONS["EU868"], REGIONS["US915"], REGIONS["AS923-1"]
POLICY = Policy()
UPLINK = heard(b"", frequency_hz=868_300_000, data_rate="SF9BW125")


def test_rx1_is_where_the_uplink_was_and_rx2_at_its_place() -> None:
    assert answer_windows(UPLINK, initial(EU868), EU868, POLICY) == (
        Window("RX1", 1_000_000, 868_300_000, "SF9BW125", 16.0),
        Window("RX2", 2_000_000, 869_525_000, "SF12BW125", 29.0),
    )


def test_parameters_in_force_move_the_windows() -> None:
    mac = replace(
        initial(EU868), rx1_delay_s=5, rx1_dr_offset=2, rx2_data_rate=3, rx2_frequency_hz=868_100_000
    )
    rx1, rx2 = answer_windows(UPLINK, mac, EU868, POLICY)
    assert (rx1.delay_us, rx1.data_rate) == (5_000_000, "SF11BW125")
    assert (rx2.delay_us, rx2.data_rate, rx2.frequency_hz) == (6_000_000, "SF9BW125", 868_100_000)


def test_a_device_of_a_gateway_whose_region_was_changed_is_answered() -> None:
    mac = replace(initial(AS923), rx1_dr_offset=AS923.max_rx1_dr_offset)
    assert answer_windows(UPLINK, mac, EU868, POLICY)[0].data_rate == "SF12BW125"


def test_a_channel_may_be_answered_elsewhere() -> None:
    mac = replace(initial(EU868), downlinks_hz=((1, 869_100_000), (2, 869_000_000)))
    assert answer_windows(UPLINK, mac, EU868, POLICY)[0].frequency_hz == 869_100_000
    other = replace(UPLINK, frequency_hz=868_100_000)
    assert answer_windows(other, mac, EU868, POLICY)[0].frequency_hz == 868_100_000


def test_of_two_channels_at_one_place_the_one_in_use_counts() -> None:
    mac = replace(initial(EU868), channels=(Channel(5, 868_300_000, 0, 5),), enabled=frozenset((0, 5)))
    assert channel_heard(868_300_000, mac, EU868) == 5
    assert channel_heard(867_100_000, mac, EU868) is None


def test_a_fixed_plan_answers_on_its_own_channels() -> None:
    uplink = heard(b"", frequency_hz=902_500_000, data_rate="SF10BW125")  # channel 1
    rx1, rx2 = answer_windows(uplink, initial(US915), US915, POLICY)
    assert (rx1.frequency_hz, rx1.data_rate) == (923_900_000, "SF10BW500")
    assert (rx2.frequency_hz, rx2.data_rate) == (923_300_000, "SF12BW500")


def test_dwell_time_keeps_slow_data_rates_out_of_rx1() -> None:
    uplink = heard(b"", frequency_hz=923_200_000, data_rate="SF12BW125")
    mac = initial(AS923)
    assert answer_windows(uplink, mac, AS923, POLICY)[0].data_rate == "SF10BW125"
    free = replace(mac, downlink_dwell_time=False)
    assert answer_windows(uplink, free, AS923, POLICY)[0].data_rate == "SF12BW125"


def test_no_window_where_nobody_may_send_or_nobody_can() -> None:
    strange = replace(UPLINK, data_rate="SF7BW62")
    assert [w.name for w in answer_windows(strange, initial(EU868), EU868, POLICY)] == ["RX2"]
    mac = replace(initial(EU868), rx2_frequency_hz=868_650_000)  # kept for alarms
    assert [w.name for w in answer_windows(UPLINK, mac, EU868, POLICY)] == ["RX1"]


def test_the_gateway_may_be_told_to_whisper() -> None:
    quiet = replace(POLICY, max_eirp_dbm=20.0)
    assert [w.eirp_dbm for w in answer_windows(UPLINK, initial(EU868), EU868, quiet)] == [16.0, 20.0]


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS.keys())
def test_joins_are_answered_after_5_and_6_s(region: Region) -> None:
    channel = region.default_channels[0]
    text = region.data_rates_up[channel.max_data_rate]
    uplink = heard(b"", frequency_hz=channel.frequency_hz, data_rate=text)
    rx1, rx2 = join_windows(uplink, region, Policy(rx1_delay_s=9, rx1_dr_offset=1, rx2_data_rate=5))
    assert (rx1.delay_us, rx2.delay_us) == (5_000_000, 6_000_000)
    assert rx2.frequency_hz == region.rx2_frequency_hz
    assert rx2.data_rate == region.data_rates_down[region.rx2_data_rate]


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS.keys())
def test_every_uplink_of_a_joined_device_can_be_answered(region: Region) -> None:
    mac = after_join(region, POLICY)
    for channel in (*region.default_channels, *region.extra_channels):
        for data_rate in range(channel.min_data_rate, channel.max_data_rate + 1):
            text = region.data_rates_up[data_rate]
            uplink = heard(b"", frequency_hz=channel.frequency_hz, data_rate=text)
            windows = answer_windows(uplink, mac, region, POLICY)
            assert [window.name for window in windows] == ["RX1", "RX2"]
            assert all(room(window, region, mac) >= 11 for window in windows)


def test_room_follows_the_data_rate() -> None:
    mac = initial(EU868)
    rx1, rx2 = answer_windows(UPLINK, mac, EU868, POLICY)
    assert (room(rx1, EU868, mac), room(rx2, EU868, mac)) == (115, 51)
    assert room(replace(rx1, data_rate="SF7BW62"), EU868, mac) == 0
