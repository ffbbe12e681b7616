"""The class A device against a network that says what the test wants."""

from random import Random

import pytest

from edge_agent.lorawan import mac_commands as mac
from edge_agent.lorawan.cflist import CFList
from edge_agent.lorawan.gps_time import unix_ms_of_gps_ms
from edge_agent.lorawan.phypayload import parse
from edge_agent.lorawan.regions import REGIONS
from edge_agent.simulate.class_a import ClassADevice, Ignored, Joined, Received
from tests.fakes.small_network import DEV_ADDR, SmallNetwork, hand, registration, session

EU868 = REGIONS["EU868"]
CHANNELS = CFList(0, frequencies_hz=(867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000))
VERSIONS = ("1.0.3", "1.0.4", "1.1")
SECOND_US = 1_000_000


def joined(version="1.0.4", **accept):
    device = ClassADevice(registration(version), EU868, Random(1))
    network = SmallNetwork(device.joiner.registration)
    request = device.join_request(0)
    assert isinstance(hand(device, network.accept(request.phy_payload, 1, **accept)), Joined)
    return device, network


def personalised(lorawan="1.0"):
    identity = session(lorawan)
    return ClassADevice(identity, EU868, Random(2)), SmallNetwork.of(identity)


def said(network, device, sent):
    """Names of the commands of an uplink."""
    index = next(i for i, c in device.radio.channels.items() if c.uplink_hz == sent.frequency_hz)
    _, commands, _ = network.read(sent, tx_dr=EU868.data_rate_up(sent.data_rate), tx_ch=index)
    return commands


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("window", [0, 1])
def test_a_join_accept_gives_session_and_radio_parameters(version, window):
    device = ClassADevice(registration(version), EU868, Random(1))
    assert not device.joined
    request = device.join_request(1000)
    rx1, rx2 = device.windows()
    assert (rx1.begin_us - request.end_us, rx2.begin_us - request.end_us) == (5 * SECOND_US, 6 * SECOND_US)
    assert (rx1.frequency_hz, rx1.data_rate) == (request.frequency_hz, request.data_rate)
    assert (rx2.frequency_hz, rx2.data_rate) == (869_525_000, "SF12BW125")
    network = SmallNetwork(device.joiner.registration)
    accept = network.accept(
        request.phy_payload, 7, rx_delay_s=5, rx1_dr_offset=2, rx2_data_rate=3, cf_list=CHANNELS
    )
    joined = hand(device, accept, window)
    assert joined == Joined(DEV_ADDR, joined.net_id, 7, None, ("RX1", "RX2")[window])
    assert device.windows() == ()
    sent = device.send(20 * SECOND_US, 10, b"hello")
    assert sent.f_cnt == 0
    names = [command.name for command in said(network, device, sent)]
    assert names == (["RekeyInd"] if version == "1.1" else [])
    rx1, rx2 = device.windows()
    assert (rx1.begin_us - sent.end_us, rx1.data_rate) == (5 * SECOND_US, "SF9BW125")
    assert (rx2.begin_us - sent.end_us, rx2.data_rate) == (6 * SECOND_US, "SF9BW125")
    assert {channel.uplink_hz for channel in device.radio.channels.values()} == {
        867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000, 868_100_000, 868_300_000, 868_500_000
    }  # fmt: skip


def test_a_window_is_a_moment_a_frequency_and_a_data_rate():
    device, network = personalised()
    device.send(0, 10, b"hello")
    rx1, rx2 = device.windows()
    downlink = network.down(f_port=20, payload=b"good day")
    for at_us, frequency_hz, data_rate, why in [
        (rx1.begin_us + 2_000, rx1.frequency_hz, rx1.data_rate, "RX1 opens 2000 µs before"),
        (rx1.begin_us - 2_000, rx1.frequency_hz, rx1.data_rate, "RX1 opens 2000 µs after"),
        (rx1.begin_us, rx1.frequency_hz + 200_000, rx1.data_rate, "RX1 is on"),
        (rx1.begin_us, rx1.frequency_hz, "SF8BW125", "RX1 is at"),
        (rx2.begin_us, rx1.frequency_hz, rx2.data_rate, "RX2 is on"),
    ]:
        heard = device.receive(downlink, at_us, frequency_hz, data_rate)
        assert isinstance(heard, Ignored)
        assert why in heard.why
    assert isinstance(hand(device, downlink, late_us=900), Received)
    assert device.receive(downlink, rx2.begin_us, rx2.frequency_hz, rx2.data_rate) == Ignored(
        "no window is open"
    )


def test_the_counter_wraps():
    device, network = personalised()
    sent = device.send((1 << 32) - 500_000, 10, b"hello")
    assert sent.end_us < 1 << 32
    rx1 = device.windows()[0]
    assert rx1.begin_us > 1 << 32
    heard = device.receive(network.down(), rx1.begin_us % (1 << 32), rx1.frequency_hz, rx1.data_rate)
    assert isinstance(heard, Received)


@pytest.mark.parametrize("version", VERSIONS)
def test_dev_nonces(version):
    device = ClassADevice(registration(version), EU868, Random(1))
    nonces = [parse(device.join_request(n).phy_payload).dev_nonce for n in range(50)]
    if version == "1.0.3":
        assert sorted(nonces) != nonces
        assert len(set(nonces)) > 45
    else:
        assert nonces == list(range(50))


@pytest.mark.parametrize(("version", "again"), [("1.0.3", 2), ("1.0.4", 2), ("1.0.4", 1), ("1.1", 1)])
def test_a_join_nonce_that_does_not_rise(version, again):
    device = ClassADevice(registration(version), EU868, Random(1))
    network = SmallNetwork(device.joiner.registration)
    assert isinstance(hand(device, network.accept(device.join_request(0).phy_payload, 2)), Joined)
    heard = hand(device, network.accept(device.join_request(10**8).phy_payload, again))
    assert isinstance(heard, Ignored)
    assert "JoinNonce" in heard.why
    assert not device.joined


def test_a_join_accept_for_another_device_leaves_the_windows_open():
    device, network = ClassADevice(registration("1.0.4"), EU868, Random(1)), SmallNetwork(registration("1.1"))
    own = SmallNetwork(device.joiner.registration)
    request = device.join_request(0).phy_payload
    own_accept = own.accept(request, 1)
    network.registration = registration("1.1")
    stranger = ClassADevice(registration("1.1"), EU868, Random(5)).join_request(0).phy_payload
    assert isinstance(hand(device, network.accept(stranger, 1)), Ignored)
    assert isinstance(hand(device, own_accept), Joined)


def test_a_device_of_1_1_in_a_network_of_1_0():
    device, network = joined("1.1", opt_neg=False)
    sent = device.send(10**7, 10, b"hello")
    assert not said(network, device, sent)
    assert isinstance(hand(device, network.down(f_port=21, payload=b"1")), Received)


@pytest.mark.parametrize("lorawan", ["1.0", "1.1"])
def test_downlink_counters_move_up_only(lorawan):
    device, network = personalised(lorawan)

    def heard(f_cnt, f_port=20):
        device.send(0, 10, b"hello")
        return hand(device, network.down(f_port=f_port, payload=b"1" if f_port else b"", f_cnt=f_cnt))

    assert isinstance(heard(0), Received)
    for f_cnt in (0, 7, 7, 6):
        taken = heard(f_cnt)
        assert isinstance(taken, Received) == (f_cnt == 7 and not device.windows())
        if isinstance(taken, Ignored):
            assert "used before" in taken.why or "wrong MIC" in taken.why
    assert isinstance(heard(0x1_0003), Received)
    if lorawan == "1.1":
        assert isinstance(heard(0, None), Received)


def test_how_many_downlinks_may_be_missed_in_a_row():
    for version, limit in [("1.0.3", True), ("1.0.4", False)]:
        device, network = joined(version)
        device.send(10**7, 10, b"hello")
        assert isinstance(hand(device, network.down(f_cnt=3)), Received)
        device.send(10**8, 10, b"hello")
        assert isinstance(hand(device, network.down(f_cnt=20_000)), Ignored) == limit


def test_a_wrong_mic_and_another_address():
    device, network = personalised()
    device.send(0, 10, b"hello")
    downlink = network.down(f_port=20, payload=b"x")
    for wrong in (downlink[:-1] + bytes([downlink[-1] ^ 1]), downlink[:1] + b"\xff" + downlink[2:]):
        assert isinstance(hand(device, wrong), Ignored)
    assert isinstance(hand(device, downlink), Received)


@pytest.mark.parametrize("lorawan", ["1.0", "1.1"])
def test_a_confirmed_downlink_is_acknowledged_once(lorawan):
    device, network = personalised(lorawan)
    device.send(0, 10, b"hello")
    hand(device, network.down(f_port=20, payload=b"x", confirmed=True, f_cnt=9))
    for expected in (True, False):
        sent = device.send(10**7, 10, b"hello")
        index = next(i for i, c in device.radio.channels.items() if c.uplink_hz == sent.frequency_hz)
        frame, _, _ = network.read(sent, tx_dr=5, tx_ch=index, conf_f_cnt=9 if expected else 0)
        assert frame.fhdr.f_ctrl.ack is expected


@pytest.mark.parametrize("lorawan", ["1.0", "1.1"])
def test_an_acknowledgement_needs_an_uplink_that_asked(lorawan):
    device, network = personalised(lorawan)
    device.send(0, 10, b"hello")
    assert "no uplink waits" in hand(device, network.down(ack=True)).why
    device.send(10**7, 10, b"hello")
    sent = device.send(2 * 10**7, 10, b"hello", confirmed=True)
    assert parse(sent.phy_payload).confirmed
    again = device.repeat(3 * 10**7)
    assert again.f_cnt == sent.f_cnt
    heard = hand(device, network.down(ack=True, conf_f_cnt=sent.f_cnt))
    assert heard.ack
    with pytest.raises(ValueError, match="nothing"):
        device.repeat(4 * 10**7)


def test_downlinks_longer_than_the_data_rate_carries():
    device, network = personalised()
    device.send(0, 10, b"hello")
    assert "carries" in hand(device, network.down(f_port=20, payload=bytes(52)), 1).why
    assert isinstance(hand(device, network.down(f_port=20, payload=bytes(51)), 1), Received)


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


def test_rekeying_goes_on_until_it_is_confirmed():
    device, network = joined("1.1")
    for at_us in (10**7, 2 * 10**7):
        assert said(network, device, device.send(at_us, 10, b"hello")) == [mac.RekeyInd(1)]
    assert not device.must_join
    hand(device, network.down([mac.RekeyConf(1)]))
    assert said(network, device, device.send(3 * 10**7, 10, b"hello")) == []


def test_without_confirmation_a_1_1_device_joins_again():
    device, _ = joined("1.1")
    for number in range(64):
        assert not device.must_join
        device.send(10**7 * (1 + number), 10, b"hello")
    assert device.must_join


def test_a_personalised_1_1_device_says_that_it_was_reset():
    device, network = personalised("1.1")
    assert said(network, device, device.send(0, 10, b"hello")) == [mac.ResetInd(1)]
    hand(device, network.down([mac.ResetConf(1)]))
    assert said(network, device, device.send(10**7, 10, b"hello")) == []


@pytest.mark.parametrize("rejoin_type", [0, 1, 2])
def test_rejoining(rejoin_type):
    device, network = joined("1.1")
    device.send(10**7, 10, b"hello")
    hand(device, network.down([mac.RekeyConf(1), mac.RXTimingSetupReq(3)]))
    first, second = (device.rejoin_request(n * 10**8, rejoin_type) for n in (1, 2))
    assert [parse(sent.phy_payload).rj_count for sent in (first, second)] == [0, 1]
    sent = device.send(3 * 10**8, 10, b"hello")  # the session goes on meanwhile
    said(network, device, sent)
    request = device.rejoin_request(4 * 10**8, rejoin_type)
    assert device.windows()[0].begin_us - request.end_us == 5 * SECOND_US
    heard = hand(device, network.accept(request.phy_payload, 2, rx_delay_s=4))
    assert heard.rejoin_type == rejoin_type
    sent = device.send(5 * 10**8, 10, b"hello")
    assert sent.f_cnt == 0
    assert said(network, device, sent) == [mac.RekeyInd(1)]
    expected_s = 3 if rejoin_type == 2 else 4  # type 2 leaves the radio as it is
    assert device.windows()[0].begin_us - sent.end_us == expected_s * SECOND_US


def test_not_joined_it_sends_nothing():
    device = ClassADevice(registration("1.0.4"), EU868, Random(1))
    assert device.must_join
    with pytest.raises(ValueError, match="not joined"):
        device.send(0, 10, b"hello")
    with pytest.raises(ValueError, match="does not join"):
        personalised()[0].join_request(0)
    with pytest.raises(ValueError, match="anew"):
        personalised()[0].rejoin_request(0, 0)


def test_the_same_seed_gives_the_same_frames():
    def frames(seed):
        device = ClassADevice(registration("1.0.3"), EU868, Random(seed))
        return [device.join_request(n * 10**7) for n in range(5)]

    assert frames(1) == frames(1) != frames(2)


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
