"""The class A device against a network that says what the test wants: MAC commands, ADR, regions."""

from random import Random

import pytest

from edge_agent.lorawan import mac_commands as mac
from edge_agent.lorawan.cflist import CFList
from edge_agent.lorawan.gps_time import unix_ms_of_gps_ms
from edge_agent.lorawan.phypayload import parse
from edge_agent.lorawan.regions import REGIONS
from edge_agent.simulate.class_a import ClassADevice, Joined, Received
from tests.fakes.small_network import (
    SmallNetwork,
    hand,
    joined,
    personalised,
    registration,
    said,
    session,
)

SECOND_US = 1_000_000


def test_commands_in_f_opts_and_on_port_0_but_not_in_both():
    for f_port in (None, 0):
        device, network = personalised("1.1")
        device.mac.introduction = None
        device.send(0, 10, b"hello")
        heard = hand(device, network.down([mac.DevStatusReq(), mac.DutyCycleReq(3)], f_port))
        assert [one.name for one in heard.commands] == ["DevStatusReq", "DutyCycleReq"]
        assert heard.payload == b""
        answers = said(network, device, device.send(10**7, 10, b"hello"))
        assert answers == [mac.DevStatusAns(254, 8), mac.DutyCycleAns()]
        assert said(network, device, device.send(2 * 10**7, 10, b"hello")) == []


def test_receive_windows_that_the_network_moves_and_sticky_answers():
    device, network = personalised()
    device.send(0, 10, b"hello")
    hand(device, network.down([mac.RXParamSetupReq(1, 3, 869_525_000), mac.RXTimingSetupReq(5)]))
    for at_us in (10**7, 2 * 10**7):  # until a downlink comes
        sent = device.send(at_us, 10, b"hello")
        assert said(network, device, sent) == [
            mac.RXParamSetupAns(True, True, True),
            mac.RXTimingSetupAns(),
        ]
        rx1, rx2 = device.windows()
        assert (rx1.begin_us - sent.end_us, rx1.data_rate) == (5 * SECOND_US, "SF8BW125")
        assert (rx2.begin_us - sent.end_us, rx2.data_rate) == (6 * SECOND_US, "SF9BW125")
    hand(device, network.down())
    assert said(network, device, device.send(3 * 10**7, 10, b"hello")) == []


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (mac.RXParamSetupReq(7, 3, 869_525_000), mac.RXParamSetupAns(True, True, False)),
        (mac.RXParamSetupReq(0, 9, 915_000_000), mac.RXParamSetupAns(False, False, True)),
        (mac.NewChannelReq(1, 867_100_000, 5, 0), mac.NewChannelAns(False, True)),
        (mac.NewChannelReq(3, 867_100_000, 0, 5), mac.NewChannelAns(True, False)),
        (mac.DlChannelReq(9, 868_100_000), mac.DlChannelAns(True, False)),
        (mac.LinkADRReq(5, 0, 0x00FF, 0, 1), mac.LinkADRAns(False, True, True)),
        (mac.LinkADRReq(5, 0, 0x0000, 0, 1), mac.LinkADRAns(False, False, True)),
        (mac.LinkADRReq(9, 9, 0x0007, 0, 1), mac.LinkADRAns(True, False, False)),
        (mac.LinkADRReq(5, 0, 0x0007, 3, 1), mac.LinkADRAns(False, False, True)),
    ],
)
def test_what_the_region_forbids_is_refused_and_changes_nothing(request_, answer):
    device, network = personalised()
    before = {**vars(device.radio), "channels": dict(device.radio.channels)}
    device.send(0, 10, b"hello")
    hand(device, network.down([request_]))
    assert vars(device.radio) == before
    assert said(network, device, device.send(10**7, 10, b"hello")) == [answer]


def test_channels_and_adr():
    device, network = personalised()
    device.send(0, 10, b"hello")
    hand(
        device,
        network.down(
            [
                mac.NewChannelReq(3, 867_100_000, 5, 0),
                mac.DlChannelReq(3, 869_525_000),
            ]
        ),
    )
    device.send(10**7, 10, b"hello")
    hand(device, network.down([mac.LinkADRReq(15, 15, 0x0008, 0, 0), mac.LinkADRReq(2, 3, 0x0008, 0, 2)]))
    sent = device.send(2 * 10**7, 10, b"hello")
    assert said(network, device, sent) == 2 * [mac.LinkADRAns(True, True, True)]
    assert (sent.frequency_hz, sent.data_rate, sent.eirp_dbm) == (867_100_000, "SF10BW125", 10.0)
    assert device.windows()[0].frequency_hz == 869_525_000
    assert device.radio.nb_trans == 2


def test_a_1_1_device_answers_a_block_once_and_refuses_a_second_block():
    device, network = personalised("1.1")
    device.mac.introduction = None
    device.send(0, 10, b"hello")
    one = mac.LinkADRReq(4, 0, 0x0007, 0, 1)
    hand(device, network.down([one, one, mac.DevStatusReq(), mac.LinkADRReq(3, 0, 0x0007, 0, 1)], 0))
    answers = said(network, device, device.send(10**7, 10, b"hello"))
    assert answers == [
        mac.LinkADRAns(True, True, True),
        mac.DevStatusAns(254, 8),
        mac.LinkADRAns(False, False, False),
    ]


def test_reading_ends_at_a_command_of_another_version():
    device, network = personalised()
    device.send(0, 10, b"hello")
    heard = hand(device, network.down([mac.DevStatusReq(), mac.ADRParamSetupReq(6, 5), mac.DevStatusReq()]))
    assert heard.commands == (mac.DevStatusReq(),)
    assert heard.unknown == bytes.fromhex("0c6506")


def test_what_does_not_fit_into_f_opts_goes_on_port_0_or_is_dropped():
    device, network = personalised()
    device.send(0, 10, b"hello")
    many = [mac.DevStatusReq()] * 6
    hand(device, network.down(many, 0))
    assert len(said(network, device, device.send(10**7, 10, b"hello"))) == 5
    hand(device, network.down(many, 0))
    sent = device.send(2 * 10**7)
    assert parse(sent.phy_payload).f_port == 0
    assert len(said(network, device, sent)) == 6


def test_the_time_is_that_at_the_end_of_the_uplink_which_asked():
    device, network = personalised()
    device.ask_time()
    device.ask_link_check()
    sent = device.send(0, 10, b"hello")
    assert [one.name for one in said(network, device, sent)] == ["DeviceTimeReq", "LinkCheckReq"]
    assert device.utc_ms(sent.end_us) is None
    hand(device, network.down([mac.DeviceTimeAns(1_400_000_000, 128), mac.LinkCheckAns(20, 1)]))
    assert device.gps_ms(sent.end_us + 2_000_000) == 1_400_000_002_500
    assert device.utc_ms(sent.end_us) == unix_ms_of_gps_ms(1_400_000_000_500)
    assert device.mac.link_check == mac.LinkCheckAns(20, 1)
    later = device.send(10**8, 10, b"hello")
    assert said(network, device, later) == []
    hand(device, network.down([mac.DeviceTimeAns(1_500_000_000, 0)]))
    assert device.gps_ms(sent.end_us) == 1_400_000_000_500  # it has not asked this time


@pytest.mark.parametrize("lorawan", ["1.0", "1.1"])
def test_adr_back_off(lorawan):
    device, network = personalised(lorawan)
    device.mac.introduction = None
    device.radio.data_rate, device.radio.tx_power, device.radio.nb_trans = 1, 3, 3
    seen = []
    for number in range(170):
        sent = device.send(number * 10**7, 10, b"hello")
        asks = parse(sent.phy_payload).fhdr.f_ctrl.adr_ack_req
        seen.append((asks, sent.data_rate, sent.eirp_dbm, device.radio.nb_trans))
    assert seen[63] == (False, "SF11BW125", 10.0, 3)
    assert seen[64] == (True, "SF11BW125", 10.0, 3)
    assert seen[96] == (True, "SF11BW125", 16.0, 3)
    assert seen[128] == (True, "SF12BW125", 16.0, 3)
    assert seen[160] == (True, "SF12BW125", 16.0, 1)
    hand(device, network.down())
    assert not parse(device.send(10**10, 10, b"hello").phy_payload).fhdr.f_ctrl.adr_ack_req


def test_at_its_lowest_data_rate_a_1_0_3_device_does_not_ask():
    device, _ = joined("1.0.3")
    device.radio.data_rate, device.adr_ack_cnt = 0, 70
    assert not parse(device.send(10**8, 10, b"hello").phy_payload).fhdr.f_ctrl.adr_ack_req


def test_a_payload_must_fit_the_data_rate_beside_the_commands():
    device, network = personalised()
    device.radio.data_rate = 0
    assert device.room() == 51
    with pytest.raises(ValueError, match="carries 51 bytes"):
        device.send(0, 10, bytes(52))
    device.ask_time()
    assert device.room() == 50
    sent = device.send(0, 10, bytes(51))  # the payload goes first, the question waits
    assert said(network, device, sent) == []
    assert said(network, device, device.send(10**7, 10, bytes(50))) == [mac.DeviceTimeReq()]
    for f_port, payload in [(0, b""), (224, b"x"), (None, b"x")]:
        with pytest.raises(ValueError, match="FPort"):
            device.send(0, f_port, payload)


def in_region(name):
    device = ClassADevice(session(), REGIONS[name], Random(4))
    return device, SmallNetwork.of(session())


def masks(device, network, *requests):
    device.send(0, 10, b"hello")
    hand(device, network.down(requests, 0))
    [answer, *_] = said(network, device, device.send(10**7, 10, b"hello"))
    return answer, {index for index, channel in device.radio.channels.items() if channel.enabled}


@pytest.mark.parametrize("name", ["US915", "AU915"])
def test_channel_masks_of_fixed_plans(name):
    fine = mac.LinkADRAns(True, True, True)
    off = mac.LinkADRReq(15, 15, 0x0002, 7, 1)  # all of 125 kHz, and 500 kHz but channel 65
    assert masks(*in_region(name), off, mac.LinkADRReq(15, 15, 0xFF00, 0, 1)) == (
        fine,
        {*range(8, 16), 65},
    )
    assert masks(*in_region(name), mac.LinkADRReq(15, 15, 0x0005, 5, 1))[1] == {
        *range(8), *range(16, 24), 64, 66
    }  # fmt: skip
    assert masks(*in_region(name), mac.LinkADRReq(15, 15, 0x0000, 6, 1))[1] == set(range(64))
    assert masks(*in_region(name), mac.LinkADRReq(15, 15, 0xFFFF, 4, 1))[0].channel_mask_ack is False


def test_the_first_window_of_a_fixed_plan():
    device, network = in_region("US915")
    sent = device.send(0, 10, b"hello")
    rx1, rx2 = device.windows()
    index = next(i for i, c in device.radio.channels.items() if c.uplink_hz == sent.frequency_hz)
    assert rx1.frequency_hz == 923_300_000 + 600_000 * (index % 8)
    assert (sent.data_rate, rx1.data_rate) == ("SF7BW125", "SF7BW500")
    assert (rx2.frequency_hz, rx2.data_rate) == (923_300_000, "SF12BW500")
    assert isinstance(hand(device, network.down()), Received)


def test_fixed_plans_have_no_channels_to_make_and_no_answer_for_it():
    device, network = in_region("US915")
    device.send(0, 10, b"hello")
    hand(device, network.down([mac.NewChannelReq(3, 902_300_000, 3, 0), mac.DlChannelReq(3, 923_300_000)]))
    assert said(network, device, device.send(10**7, 10, b"hello")) == []


def test_a_join_in_a_fixed_plan_uses_both_bandwidths_and_takes_masks():
    device = ClassADevice(registration("1.0.4"), REGIONS["US915"], Random(4))
    rates = {device.join_request(n * 10**7).data_rate for n in range(100)}
    assert rates == {"SF7BW125", "SF8BW500"}
    network = SmallNetwork(device.joiner.registration)
    accept = network.accept(
        device.join_request(10**9).phy_payload,
        1,
        rx2_data_rate=8,
        cf_list=CFList(1, channel_masks=(0xFF00, 0, 0, 0, 2)),
    )
    assert isinstance(hand(device, accept), Joined)
    on = {index for index, channel in device.radio.channels.items() if channel.enabled}
    assert on == {*range(8, 16), 65}


def test_dwell_times_of_asia():
    device, network = in_region("AS923-1")
    assert device.radio.uplink_dwell_time == REGIONS["AS923-1"].default_dwell_time
    device.radio.data_rate = 2
    device.send(0, 10, b"hello")
    hand(device, network.down([mac.TXParamSetupReq(True, True, 5)]))
    sent = device.send(10**7, 10, b"hello")
    assert sent.eirp_dbm == 16.0
    assert [one.name for one in said_in(network, sent)] == ["TXParamSetupAns"]
    assert device.room() == 11
    device, network = in_region("EU868")
    device.send(0, 10, b"hello")
    hand(device, network.down([mac.TXParamSetupReq(True, True, 5)]))
    assert said(network, device, device.send(10**7, 10, b"hello")) == []


def said_in(network, sent):
    return network.read(sent)[1]


def test_a_device_whose_only_channel_is_taken_away_goes_back_to_the_default_ones():
    device, network = personalised()
    device.send(0, 10, b"hello")
    hand(device, network.down([mac.NewChannelReq(3, 867_100_000, 6, 0)]))
    device.send(10**7, 10, b"hello")
    hand(device, network.down([mac.LinkADRReq(6, 0, 0x0008, 0, 1)]))
    assert device.send(2 * 10**7, 10, b"hello").data_rate == "SF7BW250"
    hand(device, network.down([mac.NewChannelReq(3, 0, 0, 0)]))
    sent = device.send(3 * 10**7, 10, b"hello")
    assert sent.data_rate == "SF7BW125"
    assert sent.frequency_hz in (868_100_000, 868_300_000, 868_500_000)
