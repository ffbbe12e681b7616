"""The class A device against a network that says what the test wants: joins, windows, counters."""

from random import Random

import pytest

from edge_agent.lorawan import mac_commands as mac
from edge_agent.lorawan.cflist import CFList
from edge_agent.lorawan.phypayload import parse
from edge_agent.simulate.class_a import ClassADevice, Ignored, Joined, Received
from tests.fakes.small_network import (
    DEV_ADDR,
    EU868,
    SmallNetwork,
    hand,
    joined,
    personalised,
    registration,
    said,
)

CHANNELS = CFList(0, frequencies_hz=(867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000))
VERSIONS = ("1.0.3", "1.0.4", "1.1")
SECOND_US = 1_000_000


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
