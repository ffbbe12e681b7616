"""What the network asks a device for, and how often."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import (
    DevStatusAns,
    DevStatusReq,
    DlChannelReq,
    DutyCycleReq,
    LinkADRReq,
    NewChannelReq,
    ResetInd,
    RXParamSetupAns,
    RXParamSetupReq,
    RXTimingSetupReq,
    TXParamSetupReq,
    build_mac_commands,
)
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.adr import AdrHistory
from edge_agent.network.mac_exchange import take
from edge_agent.network.mac_requests import DISTANCES, NO_ROOM_DISTANCE, not_sent, requests
from edge_agent.network.mac_state import MacState, after_join, initial, wanted
from edge_agent.network.outcome import Admitted
from edge_agent.network.policy import Policy
from tests.rig.mac_device import moment, uplink

EU868, US915, AS923 = REGIONS["EU868"], REGIONS["US915"], REGIONS["AS923-1"]
QUIET = Policy(status_every_h=0)
JOINED = replace(after_join(EU868, QUIET), data_rate=5)
H = 3600


def asked(
    mac: MacState,
    f_cnt: int = 10,
    *,
    policy: Policy = QUIET,
    region: Region = EU868,
    room: int = 51,
    adr: AdrHistory | None = None,
    admitted: Admitted | None = None,
    seconds: float = 1_000.0,
) -> tuple[MacState, tuple[MACCommand, ...]]:
    said = admitted or uplink(f_cnt)
    return requests(mac, region, policy, adr, said, moment(seconds), room)


def heard_well(data_rate: int = 0, snr_db: float = 40) -> AdrHistory:
    made = AdrHistory()
    for f_cnt in range(20):
        made.add(f_cnt, snr_db, data_rate)
    return made


def test_after_a_join_nothing_is_left_to_ask() -> None:
    assert asked(JOINED) == (JOINED, ())


def test_a_device_as_it_comes_is_asked_for_everything() -> None:
    policy = replace(QUIET, max_duty_cycle=4, rx2_data_rate=3)
    _, commands = asked(initial(EU868), policy=policy, room=222)
    assert commands == (
        RXParamSetupReq(0, 3, 869_525_000),
        RXTimingSetupReq(5),
        DutyCycleReq(4),
        *(
            NewChannelReq(index, hertz, 5, 0)
            for index, hertz in enumerate(range(867_100_000, 868_000_000, 200_000), start=3)
        ),
    )


@pytest.mark.parametrize("room", range(60))
def test_room_is_never_exceeded_and_nothing_is_forgotten(room: int) -> None:
    policy = replace(QUIET, max_duty_cycle=4, rx2_data_rate=3)
    mac, commands = asked(initial(EU868), policy=policy, room=room)
    assert len(build_mac_commands(commands)) <= room
    assert [one.commands for one in mac.asked] == [(command,) for command in commands]
    _, rest = asked(mac, policy=policy, room=222, f_cnt=10)
    assert len(commands) + len(rest) == 8


def test_answers_must_fit_into_the_next_uplink() -> None:
    channels = tuple(replace(JOINED.channels[0], index=index) for index in range(3, 16))
    _, commands = asked(replace(JOINED, channels=channels, enabled=frozenset(range(16))), room=222)
    assert len(commands) == 15 // 2  # NewChannelAns has 2 bytes


def test_dwell_time_and_power() -> None:
    as_law = asked(after_join(AS923, QUIET), region=AS923)
    assert as_law[1] == ()
    free = replace(after_join(AS923, QUIET), uplink_dwell_time=False)
    assert asked(free, region=AS923)[1] == (TXParamSetupReq(True, True, 5),)  # 16 dBm
    eu868 = replace(JOINED, uplink_dwell_time=True)
    assert asked(eu868)[1] == ()  # no such command there


def test_a_strange_downlink_frequency_is_set_right() -> None:
    mac = replace(JOINED, downlinks_hz=((1, 869_000_000), (4, 869_000_000)))
    assert asked(mac)[1] == (DlChannelReq(1, 868_300_000), DlChannelReq(4, 867_300_000))


def test_strange_channels_are_taken_away_but_not_the_last_one() -> None:
    strange = replace(JOINED.channels[0], index=9)
    mac = replace(JOINED, channels=(*JOINED.channels, strange), enabled=JOINED.enabled | {9})
    assert asked(mac)[1] == (NewChannelReq(9, 0, 0, 0),)
    only = replace(mac, enabled=frozenset((9,)))
    assert [type(command) for command in asked(only)[1]] == [LinkADRReq]


def test_masks_wait_for_channels() -> None:
    mac = replace(initial(EU868), rx1_delay_s=5, enabled=frozenset((0,)))
    mac, commands = asked(mac, room=222)
    assert {type(command) for command in commands} == {NewChannelReq}


# ADR


def test_adr_asks_for_what_suits() -> None:
    mac = replace(JOINED, data_rate=0)
    assert asked(mac, adr=heard_well())[1] == (LinkADRReq(5, 7, 0b11111111, 0, 1),)


@pytest.mark.parametrize("bit", [True, False])
def test_no_adr_while_either_side_does_without(bit: bool) -> None:
    mac = replace(JOINED, data_rate=0)
    policy = replace(QUIET, adr=not bit)
    assert asked(mac, adr=heard_well(), policy=policy, admitted=uplink(10, adr=bit))[1] == ()


def test_channels_are_asked_for_with_the_adr_bit_off_too() -> None:
    mac = replace(JOINED, enabled=frozenset((0,)), tx_power=2)
    _, commands = asked(mac, adr=heard_well(5), admitted=uplink(10, adr=False))
    assert commands == (LinkADRReq(5, 2, 0b11111111, 0, 1),)


def test_a_block_goes_whole_or_not_at_all() -> None:
    sub_band = frozenset((*range(8, 16), 65))
    mac = replace(after_join(US915, QUIET), enabled=sub_band).refusing("channels", (1 << 72) - 1)
    _, commands = asked(mac, region=US915, room=51, adr=heard_well())
    assert len(commands) > 1
    assert all(isinstance(command, LinkADRReq) for command in commands)
    size = len(build_mac_commands(commands))
    assert asked(mac, region=US915, room=size, adr=heard_well())[1] == commands
    assert asked(mac, region=US915, room=size - 1, adr=heard_well())[1] == ()


def test_what_was_refused_is_not_asked_again_but_the_rest_is() -> None:
    mac = replace(JOINED, data_rate=0).refusing("data_rate", 5).refusing("data_rate", 4)
    mac = mac.refusing("tx_power", 7)
    assert asked(mac, adr=heard_well())[1] == (LinkADRReq(3, 6, 0b11111111, 0, 1),)
    for data_rate in (3, 2, 1):
        mac = mac.refusing("data_rate", data_rate)
    assert asked(mac, adr=heard_well())[1] == (LinkADRReq(0, 6, 0b11111111, 0, 1),)
    mac = mac.refusing("data_rate", 0)  # even the present one: then without a word of it
    assert asked(mac, adr=heard_well())[1] == (LinkADRReq(15, 6, 0b11111111, 0, 1),)
    assert asked(mac.refusing("data_rate", 15), adr=heard_well())[1] == ()


def test_refused_channels_stay_as_they_are() -> None:
    mac = replace(JOINED, data_rate=0, enabled=frozenset((0, 1, 2))).refusing("channels", 0b11111111)
    assert asked(mac, adr=heard_well())[1] == (LinkADRReq(5, 7, 0b111, 0, 1),)
    assert asked(mac)[1] == ()
    assert asked(mac.refusing("channels", 0b111), adr=heard_well())[1] == ()


def test_refused_parts_of_the_second_window() -> None:
    policy = replace(QUIET, rx1_dr_offset=2, rx2_data_rate=3, rx2_frequency_hz=868_100_000)
    mac = JOINED.refusing("rx2_frequency_hz", 868_100_000)
    assert asked(mac, policy=policy)[1] == (RXParamSetupReq(2, 3, 869_525_000),)
    mac = mac.refusing("rx1_dr_offset", 2).refusing("rx2_data_rate", 3)
    assert asked(mac, policy=policy)[1] == ()


# Tries


def test_tries_at_growing_distances_without_an_end() -> None:
    mac, at = initial(EU868), []
    for f_cnt in range(1, 1000):
        mac, commands = asked(mac, f_cnt, room=2)
        if commands:
            assert commands == (RXTimingSetupReq(5),)
            at.append(f_cnt)
    assert [after - before for before, after in pairwise(at)] == [1, 16, 256, 256, 256]
    again = initial(EU868)
    assert asked(again, 200, room=2)[1] == (RXTimingSetupReq(5),)  # the next session


def test_another_wish_has_its_own_tries() -> None:
    mac = initial(EU868)
    for f_cnt in range(1, 200):
        mac, _ = asked(mac, f_cnt, room=2)
    other = replace(QUIET, rx1_delay_s=3)
    assert asked(mac, 200, room=2, policy=other)[1] == (RXTimingSetupReq(3),)


def test_adr_does_not_start_over_with_every_change_of_the_weather() -> None:
    mac, times = replace(JOINED, data_rate=0), 0
    for f_cnt in range(20, 200):
        mac, commands = asked(mac, f_cnt, adr=heard_well(0, -10 + f_cnt % 7 * 3))
        times += bool(commands)
    assert times == len(DISTANCES)


def test_what_never_went_out_does_not_count_and_lets_others_go_first() -> None:
    mac = initial(EU868)
    for f_cnt in range(1, 200):
        mac, commands = asked(mac, f_cnt, room=2)
        assert commands == ((RXTimingSetupReq(5),) if f_cnt % NO_ROOM_DISTANCE == 1 else ())
        if commands:
            mac = not_sent(mac, uplink(f_cnt).frame)
    before = mac
    assert not_sent(mac, uplink(7).frame) == before  # of another uplink
    assert not_sent(mac, uplink(197).frame) == before  # taken back already


def test_a_sticky_answer_holds_requests_of_its_kind_back() -> None:
    policy = replace(QUIET, rx2_data_rate=3)
    sticky = uplink(10, (RXParamSetupAns(True, False, True),))
    assert asked(JOINED, policy=policy, admitted=sticky)[1] == ()
    assert asked(JOINED, policy=policy)[1] == (RXParamSetupReq(0, 3, 869_525_000),)


def test_a_reset_is_confirmed_first() -> None:
    assert asked(initial(EU868), admitted=uplink(10, (ResetInd(1),)))[1] == ()


def test_nothing_is_asked_where_another_server_answers() -> None:
    assert asked(initial(EU868), policy=replace(QUIET, downlinks=False))[1] == ()


# DevStatusReq


def test_status_is_asked_for_once_a_day() -> None:
    policy, mac, at = Policy(), JOINED, []
    for hour in range(100):
        said = uplink(10 + hour, seconds=hour * H)
        mac, commands = asked(mac, policy=policy, admitted=said, seconds=hour * H)
        if commands:
            assert commands == (DevStatusReq(),)
            at.append(hour)
            answered = uplink(11 + hour, (DevStatusAns(9, 9),))
            mac = take(mac, [DevStatusAns(9, 9)], answered, moment(), EU868, policy).mac
    assert at == [0, 24, 48, 72, 96]


def test_a_silent_device_is_asked_three_times_a_day() -> None:
    policy, mac, at = Policy(), JOINED, []
    for hour in range(48):
        said = uplink(10 + hour, seconds=hour * H)
        mac, commands = asked(mac, policy=policy, admitted=said, seconds=hour * H)
        at += [hour] * bool(commands)
    assert at == [0, 1, 17, 24, 25, 41]


def test_status_that_never_went_out_is_asked_again_soon() -> None:
    mac, commands = asked(JOINED, 10, policy=Policy())
    assert commands == (DevStatusReq(),)
    mac = not_sent(mac, uplink(10).frame)
    assert asked(mac, 11, policy=Policy())[1] == ()
    assert asked(mac, 10 + NO_ROOM_DISTANCE, policy=Policy())[1] == (DevStatusReq(),)


@pytest.mark.parametrize(
    ("boot_h", "wall_h", "due"),
    [(1, 1, False), (24, 24, True), (-5, 1, False), (-5, 24, True), (1, -5, False), (-5, -5, True)],
)
def test_status_is_due_by_either_clock(boot_h: int, wall_h: int, due: bool) -> None:
    now = moment(100 * H)
    mac = replace(
        JOINED,
        status_asked_boot_ms=now.monotonic_ns // 1_000_000 - boot_h * H * 1000,
        status_asked_wall_ms=now.wall_ms - wall_h * H * 1000,
    )
    _, commands = asked(mac, policy=Policy(), seconds=100 * H)
    assert bool(commands) is due


def test_wanted_is_what_a_joined_device_has() -> None:
    assert wanted(EU868, QUIET) == replace(JOINED, data_rate=0)
