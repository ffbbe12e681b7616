"""What a device's MAC commands change and want."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from edge_agent.lorawan.gps_time import gps_ms_of_unix_ms
from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import (
    BeaconTimingReq,
    DeviceModeConf,
    DeviceModeInd,
    DeviceTimeAns,
    DeviceTimeReq,
    DevStatusAns,
    DevStatusReq,
    DlChannelAns,
    DlChannelReq,
    DutyCycleAns,
    DutyCycleReq,
    LinkADRAns,
    LinkADRReq,
    LinkCheckAns,
    LinkCheckReq,
    NewChannelAns,
    NewChannelReq,
    PingSlotInfoReq,
    RekeyConf,
    RekeyInd,
    ResetConf,
    ResetInd,
    RXParamSetupAns,
    RXParamSetupReq,
    RXTimingSetupAns,
    RXTimingSetupReq,
    TXParamSetupAns,
    TXParamSetupReq,
)
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.mac_exchange import Exchange, take
from edge_agent.network.mac_state import Asked, Channel, MacState, after_join, initial
from edge_agent.network.outcome import Admitted
from edge_agent.network.policy import Policy
from edge_agent.network.windows import answer_windows
from tests.rig.mac_device import moment, uplink

EU868 = REGIONS["EU868"]
POLICY = Policy()
JOINED = replace(after_join(EU868, POLICY), data_rate=5)
ALL_8 = 0b11111111


def asking(*requests: MACCommand, f_cnt: int = 9, mac: MacState = JOINED) -> MacState:
    """Every request for itself under way since that uplink."""
    return replace(mac, asked=tuple(Asked((request,), 1, f_cnt, f_cnt + 1) for request in requests))


def asking_block(*block: MACCommand) -> MacState:
    return replace(JOINED, asked=(Asked(block, 1, 9, 10),))


def after(mac: MacState, *commands: MACCommand, admitted: Admitted | None = None) -> Exchange:
    return take(mac, commands, admitted or uplink(10, commands), moment(), EU868, POLICY)


def answers(*commands: MACCommand, **how: object) -> Sequence[MACCommand]:
    return after(JOINED, *commands, admitted=uplink(10, commands, **how)).answers  # type: ignore[arg-type]


# Requests of the device


@pytest.mark.parametrize(
    ("snr_db", "data_rate", "margin"),
    [
        (5.0, "SF7BW125", 12),
        (-19.9, "SF12BW125", 0),
        (-30.0, "SF12BW125", 0),
        (300.0, "SF7BW125", 254),
        (None, "50000", 0),
    ],
)
def test_link_check(snr_db: float | None, data_rate: str, margin: int) -> None:
    assert answers(LinkCheckReq(), snr_db=snr_db, data_rate=data_rate) == (LinkCheckAns(margin, 1),)


@pytest.mark.parametrize(
    ("late_ms", "fraction_256"), [(0, 0), (500, 128), (4, 1), (996, 255), (998, 255), (999, 256)]
)
def test_time_is_that_of_the_uplinks_end(late_ms: int, fraction_256: int) -> None:
    now = moment(1_000 + late_ms / 1000)
    said = uplink(10, (DeviceTimeReq(),), seconds=1_000 + late_ms / 1000 - 3)  # heard 3 s ago
    (answer,) = take(JOINED, [DeviceTimeReq()], said, now, EU868, POLICY).answers
    assert now.utc_ms is not None
    seconds = gps_ms_of_unix_ms(now.utc_ms - late_ms) // 1000 - 3
    assert answer == DeviceTimeAns(seconds + fraction_256 // 256, fraction_256 % 256)


def test_time_that_is_not_certain_is_not_told() -> None:
    exchange = take(JOINED, [DeviceTimeReq()], uplink(10), moment(utc_ms=None), EU868, POLICY)
    assert exchange.answers == ()
    assert "DeviceTimeReq" in exchange.notes[0]


def test_a_question_asked_twice_is_answered_once_and_in_order() -> None:
    found = answers(RekeyInd(1), LinkCheckReq(), LinkCheckReq())
    assert [type(one) for one in found] == [RekeyConf, LinkCheckAns]


@pytest.mark.parametrize(("theirs", "ours"), [(0, 0), (1, 1), (2, 1), (15, 1)])
def test_versions_meet_at_the_lower_one(theirs: int, ours: int) -> None:
    assert answers(RekeyInd(theirs)) == (RekeyConf(ours),)
    assert answers(ResetInd(theirs)) == (ResetConf(ours),)


def test_a_reset_device_begins_anew() -> None:
    mac = replace(asking(DevStatusReq()), rx1_delay_s=5, tx_power=3, battery=100, refused=(("tx_power", 4),))
    exchange = after(mac, ResetInd(1))
    assert exchange.mac == replace(initial(EU868), data_rate=5, battery=100, settled_f_cnt=10)
    assert answer_windows(uplink(10).frame, exchange.mac, EU868, POLICY)[0].delay_us == 1_000_000


def test_class_c_is_served_as_class_a() -> None:
    exchange = after(JOINED, DeviceModeInd(2))
    assert exchange.answers == (DeviceModeConf(0),)
    assert exchange.mac.device_class == 2


def test_class_b_is_not_served() -> None:
    exchange = after(JOINED, PingSlotInfoReq(3), BeaconTimingReq(), LinkCheckReq())
    assert [type(one) for one in exchange.answers] == [LinkCheckAns]
    assert len(exchange.notes) == 2


def test_adr_ack_req_wants_any_downlink() -> None:
    assert not after(JOINED).wants_downlink
    assert after(JOINED, admitted=uplink(10, adr_ack_req=True)).wants_downlink


def test_nothing_new_leaves_the_state_as_it_is() -> None:
    assert after(JOINED).mac == JOINED
    assert after(JOINED, LinkCheckReq()).mac == JOINED


# Answers of the device


def test_accepted_parameters_are_in_force_for_this_very_uplink() -> None:
    mac = asking(RXTimingSetupReq(7), RXParamSetupReq(2, 3, 868_100_000))
    before = answer_windows(uplink(10).frame, mac, EU868, POLICY)
    assert [window.delay_us for window in before] == [5_000_000, 6_000_000]
    exchange = after(mac, RXTimingSetupAns(), RXParamSetupAns(True, True, True))
    rx1, rx2 = answer_windows(uplink(10).frame, exchange.mac, EU868, POLICY)
    assert (rx1.delay_us, rx1.data_rate) == (7_000_000, "SF9BW125")
    assert (rx2.delay_us, rx2.data_rate, rx2.frequency_hz) == (8_000_000, "SF9BW125", 868_100_000)
    assert exchange.wants_downlink
    assert exchange.mac.asked == ()


def test_a_sticky_answer_goes_on_until_a_downlink_and_is_no_news() -> None:
    exchange = after(JOINED, RXTimingSetupAns(), DlChannelAns(True, True), TXParamSetupAns())
    assert (exchange.mac, exchange.notes, exchange.wants_downlink) == (JOINED, (), True)


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (RXParamSetupAns(False, True, True), [("rx2_frequency_hz", 868_100_000)]),
        (RXParamSetupAns(True, False, True), [("rx2_data_rate", 3)]),
        (RXParamSetupAns(True, False, False), [("rx2_data_rate", 3), ("rx1_dr_offset", 2)]),
    ],
)
def test_one_refused_part_changes_nothing(answer: MACCommand, refused: list[tuple[str, int]]) -> None:
    exchange = after(asking(RXParamSetupReq(2, 3, 868_100_000)), answer)
    assert exchange.mac == replace(JOINED, refused=tuple(refused))
    assert "RXParamSetupReq" in exchange.notes[0]


def test_channels_are_answered_in_the_order_asked() -> None:
    mac = asking(
        NewChannelReq(8, 864_100_000, 5, 0), NewChannelReq(3, 0, 0, 0), NewChannelReq(9, 864_300_000, 5, 0)
    )
    exchange = after(mac, NewChannelAns(True, True), NewChannelAns(True, True), NewChannelAns(False, True))
    channels = exchange.mac.channels
    assert [channel.index for channel in channels] == [4, 5, 6, 7, 8]
    assert channels[-1] == Channel(8, 864_100_000, 0, 5)
    assert exchange.mac.enabled == {0, 1, 2, 4, 5, 6, 7, 8}
    assert [name for name, _ in exchange.mac.refused] == ["new_channel"]


def test_only_what_was_asked_last_is_answered() -> None:
    old, new = NewChannelReq(8, 864_100_000, 5, 0), NewChannelReq(9, 864_300_000, 5, 0)
    mac = replace(JOINED, asked=(Asked((old,), 1, 5, 6), Asked((new,), 1, 9, 10)))
    exchange = after(mac, NewChannelAns(True, True))
    assert exchange.mac.channel(9) is not None
    assert exchange.mac.channel(8) is None
    assert exchange.mac.asked == mac.asked[:1]


def test_a_new_channel_answers_on_its_own_frequency_until_told_otherwise() -> None:
    mac = replace(JOINED, downlinks_hz=((3, 869_000_000),))
    mac = after(asking(NewChannelReq(3, 864_100_000, 5, 0), mac=mac), NewChannelAns(True, True)).mac
    assert mac.downlinks_hz == ()
    mac = after(asking(DlChannelReq(3, 869_000_000), mac=mac), DlChannelAns(True, True)).mac
    assert mac.downlinks_hz == ((3, 869_000_000),)
    mac = after(asking(DlChannelReq(3, 864_100_000), mac=mac), DlChannelAns(True, True)).mac
    assert mac.downlinks_hz == ()


def test_a_refused_downlink_frequency() -> None:
    for answer in (DlChannelAns(False, True), DlChannelAns(True, False)):
        mac = after(asking(DlChannelReq(3, 869_000_000)), answer).mac
        assert (mac.downlinks_hz, [name for name, _ in mac.refused]) == ((), ["dl_channel"])


def test_duty_cycle_and_dwell_time() -> None:
    mac = asking(DutyCycleReq(4), TXParamSetupReq(True, True, 3))
    mac = after(mac, DutyCycleAns(), TXParamSetupAns()).mac
    assert (mac.max_duty_cycle, mac.uplink_dwell_time, mac.downlink_dwell_time) == (4, True, True)
    assert mac.max_eirp_dbm == 13


def test_battery_and_margin() -> None:
    mac = after(asking(DevStatusReq()), DevStatusAns(0, -32)).mac
    assert (mac.battery, mac.margin) == (0, -32)
    assert mac.status_ms == 1_800_001_000_000


def test_answers_to_nothing_are_ignored_and_noted() -> None:
    said = (LinkADRAns(True, True, True), NewChannelAns(True, True), DevStatusAns(3, 3), DutyCycleAns())
    exchange = after(JOINED, *said)
    assert exchange.mac == JOINED
    assert len(exchange.notes) == len(said)
    more = after(asking(DevStatusReq()), DevStatusAns(3, 3), DevStatusAns(4, 4))
    assert more.mac.battery == 3
    assert len(more.notes) == 1


def test_commands_of_a_downlink_are_not_expected() -> None:
    assert after(JOINED, LinkCheckAns(1, 1)).answers == ()


# LinkADRReq


def test_a_block_is_accepted_as_a_whole() -> None:
    us915 = REGIONS["US915"]
    sub_band = frozenset((*range(8, 16), 65))
    block = [LinkADRReq(3, 2, mask, cntl, 2) for cntl, mask in us915.link_adr_masks(sub_band)]
    mac = replace(initial(us915), asked=(Asked(tuple(block), 1, 9, 10),))
    for count in (len(block), 1):  # 1.0.1 may answer once
        said = uplink(10, data_rate="SF7BW125", frequency_hz=903_900_000)
        yes = [LinkADRAns(True, True, True)] * count
        taken = take(mac, yes, said, moment(), us915, POLICY).mac
        assert taken.enabled == sub_band
        assert (taken.data_rate, taken.tx_power, taken.nb_trans, taken.settled_f_cnt) == (3, 2, 2, 10)


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (LinkADRAns(False, True, True), [("channels", ALL_8)]),
        (LinkADRAns(True, False, True), [("data_rate", 4)]),
        (LinkADRAns(True, False, False), [("data_rate", 4), ("tx_power", 6)]),
    ],
)
def test_a_refused_block_changes_nothing(answer: MACCommand, refused: list[tuple[str, int]]) -> None:
    exchange = after(asking_block(LinkADRReq(4, 6, ALL_8, 0, 1)), answer)
    assert exchange.mac == replace(JOINED, refused=tuple(refused))
    assert "LinkADRReq" in exchange.notes[0]


def test_with_its_adr_bit_off_a_device_takes_the_channels_only() -> None:
    mac = asking_block(LinkADRReq(5, 0, 0b111, 0, 1))
    said = uplink(10, adr=False)
    taken = after(mac, LinkADRAns(True, False, False), admitted=said).mac
    assert taken == replace(JOINED, enabled=frozenset((0, 1, 2)))
    refused = after(mac, LinkADRAns(False, False, False), admitted=said).mac.refused
    assert refused == (("channels", 0b111),)
    elsewhere = uplink(10, adr=False, frequency_hz=867_900_000)
    taken = after(mac, LinkADRAns(True, False, False), admitted=elsewhere).mac
    assert taken.refused == (("channels", 0b111),)  # said and not done


def test_values_to_keep_are_kept() -> None:
    mac = replace(asking_block(LinkADRReq(15, 15, 0b111, 0, 2)), tx_power=3)
    taken = after(mac, LinkADRAns(True, True, True)).mac
    assert (taken.data_rate, taken.tx_power, taken.nb_trans) == (5, 3, 2)


def test_agreed_and_not_done_is_refused() -> None:
    mac = asking_block(LinkADRReq(4, 0, 0b110, 0, 1))
    taken = after(mac, LinkADRAns(True, True, True)).mac  # at SF7 on 868.1 MHz still
    assert taken.data_rate == 5
    assert taken.enabled >= {0, 1, 2}
    assert taken.refused == (("data_rate", 4), ("channels", 0b110))


# What the uplink shows


def test_a_slower_uplink_tells_of_full_power() -> None:
    mac = replace(JOINED, tx_power=4)
    taken = after(mac, admitted=uplink(10, data_rate="SF9BW125")).mac
    assert (taken.data_rate, taken.tx_power, taken.settled_f_cnt) == (3, 0, 10)
    faster = after(mac, admitted=uplink(10, data_rate="SF7BW250")).mac
    assert (faster.data_rate, faster.tx_power) == (6, 4)
    by_itself = after(mac, admitted=uplink(10, adr=False, data_rate="SF9BW125")).mac
    assert (by_itself.data_rate, by_itself.tx_power) == (3, 4)


def test_an_uplink_on_a_channel_that_was_off_tells_that_all_are_on() -> None:
    mac = replace(JOINED, enabled=frozenset((5, 6)), nb_trans=3)
    taken = after(mac).mac
    assert (taken.enabled, taken.nb_trans) == ({0, 1, 2, 5, 6}, 1)


def test_a_counter_that_begins_anew_forgets_earlier_uplinks() -> None:
    mac = replace(asking(DevStatusReq(), f_cnt=500), settled_f_cnt=400, refused=(("tx_power", 7),))
    assert after(mac).mac == replace(JOINED, refused=(("tx_power", 7),))


def test_beside_another_network_server_only_facts_are_taken() -> None:
    listening = replace(POLICY, downlinks=False)
    said = (LinkCheckReq(), LinkADRAns(True, True, True), DevStatusAns(200, 5), RXTimingSetupAns())
    exchange = take(JOINED, said, uplink(10, said, adr_ack_req=True), moment(), EU868, listening)
    assert exchange == Exchange(exchange.mac, (), wants_downlink=False, notes=())
    assert exchange.mac == replace(JOINED, battery=200, margin=5, status_ms=1_800_001_000_000)
