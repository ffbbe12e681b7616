"""What is agreed with a device: how it begins, and how it is written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import DevStatusReq, LinkADRReq, NewChannelReq, RXParamSetupReq
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.mac_state import (
    MAX_REFUSED,
    Asked,
    Channel,
    MacState,
    after_join,
    battery_text,
    initial,
    wanted,
)
from edge_agent.network.policy import Policy

EU868 = REGIONS["EU868"]
COUNTER = st.integers(0, 2**32 - 1)
HERTZ = st.integers(1, 2**24 - 1).map(lambda steps: steps * 100).filter(lambda hertz: hertz < 1_200_000_000)
INDEX = st.integers(0, 95)
NIBBLE = st.integers(0, 15)
MAYBE_MS = st.none() | st.integers(0, 2**45)
REQUEST: st.SearchStrategy[MACCommand] = st.one_of(
    st.builds(NewChannelReq, INDEX, HERTZ, NIBBLE, NIBBLE),
    st.builds(RXParamSetupReq, st.integers(0, 7), NIBBLE, HERTZ),
    st.just(DevStatusReq()),
)
BLOCK = st.lists(
    st.builds(LinkADRReq, NIBBLE, NIBBLE, st.integers(0, 65535), st.integers(0, 7), NIBBLE),
    min_size=1,
    max_size=6,
)
ASKED = st.builds(
    Asked,
    BLOCK.map(tuple) | REQUEST.map(lambda request: (request,)),
    st.integers(0, 3),
    COUNTER,
    COUNTER,
)
STATES = st.builds(
    MacState,
    rx1_delay_s=st.integers(1, 15),
    rx1_dr_offset=st.integers(0, 7),
    rx2_data_rate=NIBBLE,
    rx2_frequency_hz=HERTZ,
    enabled=st.frozensets(INDEX),
    max_eirp_dbm=st.floats(8, 36),
    uplink_dwell_time=st.booleans(),
    downlink_dwell_time=st.booleans(),
    channels=st.lists(st.builds(Channel, INDEX, HERTZ, NIBBLE, NIBBLE), max_size=16).map(tuple),
    downlinks_hz=st.lists(st.tuples(INDEX, HERTZ), max_size=16).map(tuple),
    data_rate=NIBBLE,
    tx_power=NIBBLE,
    nb_trans=st.integers(1, 15),
    settled_f_cnt=COUNTER,
    max_duty_cycle=NIBBLE,
    device_class=st.integers(0, 255),
    battery=st.none() | st.integers(0, 255),
    margin=st.none() | st.integers(-32, 31),
    status_ms=MAYBE_MS,
    status_asked_boot_ms=MAYBE_MS,
    status_asked_wall_ms=MAYBE_MS,
    asked=st.lists(ASKED, max_size=8).map(tuple),
    refused=st.lists(st.tuples(st.sampled_from(["tx_power", "channels"]), COUNTER), max_size=9).map(tuple),
)


@given(STATES)
def test_text_holds_all_of_it(mac: MacState) -> None:
    assert MacState.from_text(mac.to_text()) == mac


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS.keys())
def test_text_is_short(region: Region) -> None:
    assert len(wanted(region, Policy()).to_text()) < 400


@given(st.text() | st.sampled_from(["{}", "[]", "null", '{"v":2}', '{"v":1}', '{"v":1,"enabled":"x"}']))
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="MAC state"):
        MacState.from_text(text)


def test_damaged_requests_are_refused() -> None:
    for raw in ("", "zz", "ff", "0600"):
        text = initial(EU868).to_text()[:-1] + f',"asked":[["{raw}",1,0,0]]}}'
        with pytest.raises(ValueError, match="MAC state"):
            MacState.from_text(text)


def test_a_device_begins_as_its_region_says() -> None:
    mac = initial(EU868)
    assert (mac.rx1_delay_s, mac.rx1_dr_offset, mac.rx2_data_rate, mac.rx2_frequency_hz) == (
        1,
        0,
        0,
        869_525_000,
    )
    assert mac.enabled == {0, 1, 2}
    assert initial(REGIONS["US915"]).enabled == set(range(72))
    assert initial(REGIONS["AS923-1"]).downlink_dwell_time


def test_a_join_accept_gives_delay_settings_and_channels() -> None:
    policy = Policy(rx1_delay_s=3, rx1_dr_offset=2, rx2_data_rate=3, rx2_frequency_hz=869_600_000)
    mac = after_join(EU868, policy)
    assert (mac.rx1_delay_s, mac.rx1_dr_offset, mac.rx2_data_rate) == (3, 2, 3)
    assert mac.rx2_frequency_hz == 869_525_000  # a join accept cannot say it
    assert mac.channel(3) == Channel(3, 867_100_000, 0, 5)
    assert mac.enabled == set(range(8))
    assert wanted(EU868, policy).rx2_frequency_hz == 869_600_000


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS.keys())
def test_after_a_join_the_channels_are_as_wanted(region: Region) -> None:
    joined, want = after_join(region, Policy()), wanted(region, Policy())
    assert joined.channels == want.channels
    assert joined.enabled == want.enabled


def test_refusals_are_remembered_once_and_not_without_end() -> None:
    mac = initial(EU868)
    assert mac.refusing("tx_power", 7).refusing("tx_power", 7).refused == (("tx_power", 7),)
    for value in range(2 * MAX_REFUSED):
        mac = mac.refusing("channels", value)
    assert mac.refused == tuple(("channels", value) for value in range(MAX_REFUSED, 2 * MAX_REFUSED))


def test_battery_in_words() -> None:
    assert battery_text(0) == "external power"
    assert battery_text(255) == "cannot measure"
    assert [battery_text(level) for level in (1, 128, 186, 254)] == ["0 %", "50 %", "73 %", "100 %"]
