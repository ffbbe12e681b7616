"""Network and device come to agree: from any beginning, in every region, over a link that loses frames."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import LinkADRReq, TXParamSetupReq, build_mac_commands
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.adr import AdrHistory
from edge_agent.network.mac_exchange import take
from edge_agent.network.mac_requests import DISTANCES, not_sent, requests
from edge_agent.network.mac_state import Channel, MacState, initial, wanted
from edge_agent.network.policy import Policy
from edge_agent.network.windows import answer_windows, room
from tests.rig.mac_device import MacDevice, moment

pytestmark = pytest.mark.slow

REGION = st.sampled_from(list(REGIONS.values()))
ROLL = st.integers(0, 2**32 - 1).map(random.Random)
LOSSES = st.lists(st.sampled_from(["none", "up", "down", "not sent"]), max_size=60)
PARTS = ("channels", "data_rate", "tx_power", "frequency", "offset")


def some_hz(roll: random.Random, region: Region) -> int:
    """A frequency where it is allowed to send, apart from the channels of the region."""
    band = region.sub_bands[-1]
    known = [channel.frequency_hz for channel in (*region.default_channels, *region.extra_channels)]
    while True:
        at_hz = roll.randrange(band.low_hz // 100, band.high_hz // 100) * 100
        if all(abs(at_hz - known_hz) > 10_000 for known_hz in known):
            return at_hz


def some_policy(roll: random.Random, region: Region) -> Policy:
    return Policy(
        rx1_delay_s=roll.randint(1, 15),
        rx1_dr_offset=roll.randint(0, region.max_rx1_dr_offset),
        rx2_data_rate=roll.choice([None, *sorted(region.data_rates_down)]),
        rx2_frequency_hz=roll.choice([None, some_hz(roll, region)]),
        adr=roll.random() < 0.5,
        max_duty_cycle=roll.randint(0, 15),
        status_every_h=roll.choice([0, 24]),
    )


def some_device(roll: random.Random, region: Region) -> MacDevice:
    """Any state that a device may be in."""
    first = len(region.default_channels)
    channels = {}
    if not region.is_fixed_plan:
        places = range(first, region.max_channels)
        apart = {some_hz(roll, region) for _ in range(roll.randint(0, len(places)))}
        indices = roll.sample(places, len(apart))
        channels = {index: (at_hz, 0, 5) for index, at_hz in zip(indices, apart, strict=True)}
    there = [*range(first), *sorted(channels)]
    enabled = {roll.randrange(first), *roll.sample(there, roll.randint(0, len(there)))}
    downlinks_hz = {}
    if not region.is_fixed_plan:
        downlinks_hz = {index: some_hz(roll, region) for index in roll.sample(there, roll.randint(0, 2))}
    dwell = region.has_tx_param_setup and roll.random() < 0.5
    return MacDevice(
        region,
        rx1_delay_s=roll.randint(1, 15),
        rx1_dr_offset=roll.randint(0, region.max_rx1_dr_offset),
        rx2_data_rate=roll.choice(sorted(region.data_rates_down)),
        rx2_frequency_hz=some_hz(roll, region),
        channels=channels,
        enabled=enabled,
        max_eirp_dbm=region.max_eirp_dbm,
        uplink_dwell_time=dwell,
        downlink_dwell_time=dwell,
        downlinks_hz=downlinks_hz,
        data_rate=roll.randint(0, region.adr_max_data_rate),
        tx_power=roll.randint(0, region.max_tx_power),
        nb_trans=roll.randint(1, 3),
        max_duty_cycle=roll.randint(0, 15),
        adr=roll.random() < 0.5,
    )


def seen(device: MacDevice, mac: MacState | None = None) -> MacState:
    """`mac` with what is in force at the device."""
    return replace(
        mac or initial(device.region),
        rx1_delay_s=device.rx1_delay_s,
        rx1_dr_offset=device.rx1_dr_offset,
        rx2_data_rate=device.rx2_data_rate,
        rx2_frequency_hz=device.rx2_frequency_hz,
        channels=tuple(Channel(index, *device.channels[index]) for index in sorted(device.channels)),
        enabled=frozenset(device.enabled),
        downlinks_hz=tuple(sorted(device.downlinks_hz.items())),
        uplink_dwell_time=device.uplink_dwell_time,
        downlink_dwell_time=device.downlink_dwell_time,
        max_eirp_dbm=device.max_eirp_dbm,
        data_rate=device.data_rate,
        tx_power=device.tx_power,
        nb_trans=device.nb_trans,
        max_duty_cycle=device.max_duty_cycle,
    )


class Link:
    """A device and its network, uplink by uplink."""

    def __init__(self, device: MacDevice, policy: Policy) -> None:
        self.mac, self.device, self.policy = seen(device), device, policy
        self.adr = AdrHistory()
        self.asked: Counter[MACCommand] = Counter()

    def step(self, fate: str = "none") -> tuple[MACCommand, ...]:
        """One uplink and the downlink that answers it, if any. Returns what was asked."""
        device, region, seconds = self.device, self.device.region, 600.0 * (self.device.f_cnt + 1)
        listening = (device.rx1_delay_s, device.rx2_data_rate, device.rx2_frequency_hz)
        said, commands = device.speak(snr_db=8.0 - 2 * device.tx_power, seconds=seconds)
        if fate == "up":
            return ()
        assert said.frame.snr_db is not None
        self.adr.add(said.f_cnt, said.frame.snr_db, device.data_rate)
        exchange = take(self.mac, commands, said, moment(seconds), region, self.policy)
        self.mac = exchange.mac
        assert (self.mac.rx1_delay_s, self.mac.rx2_data_rate, self.mac.rx2_frequency_hz) == listening
        windows = answer_windows(said.frame, self.mac, region, self.policy)
        self.check_rx1(windows[0].frequency_hz, windows[0].data_rate)
        space = max(room(window, region, self.mac) for window in windows)
        self.mac, asked = requests(
            self.mac, region, self.policy, self.adr, said, moment(seconds), min(space, 222)
        )
        assert len(build_mac_commands(asked)) <= space
        self.asked.update(asked)
        if asked or exchange.answers or exchange.wants_downlink:
            if fate == "not sent":
                self.mac = not_sent(self.mac, said.frame)
            elif fate != "down":
                device.hear((*exchange.answers, *asked))
        assert MacState.from_text(self.mac.to_text()) == self.mac
        return asked

    def check_rx1(self, frequency_hz: int, data_rate: str) -> None:
        """RX1 is where the device listens."""
        device = self.device
        expected = device.region.rx1_data_rate(
            device.data_rate, device.rx1_dr_offset, device.downlink_dwell_time
        )
        assert (frequency_hz, data_rate) == (device.rx1_hz(), device.region.data_rates_down[expected])


@settings(deadline=None, max_examples=50)
@given(ROLL, REGION)
def test_what_is_wanted_comes_into_force(roll: random.Random, region: Region) -> None:
    """Over a link that loses nothing, from any state, without a question too many."""
    policy, device = some_policy(roll, region), some_device(roll, region)
    link = Link(device, policy)
    at_full_power = device.tx_power == 0
    for _ in range(200):
        link.step()
    assert link.mac == seen(device, link.mac)  # the network knows what the device does
    want = wanted(region, policy)
    assert link.mac == replace(
        want,
        max_eirp_dbm=link.mac.max_eirp_dbm,
        data_rate=link.mac.data_rate,
        tx_power=link.mac.tx_power,
        nb_trans=link.mac.nb_trans,
        settled_f_cnt=link.mac.settled_f_cnt,
        battery=link.mac.battery,
        margin=link.mac.margin,
        status_ms=link.mac.status_ms,
        status_asked_boot_ms=link.mac.status_asked_boot_ms,
        status_asked_wall_ms=link.mac.status_asked_wall_ms,
    )
    assert (link.mac.battery == 254) == bool(policy.status_every_h)
    if policy.adr and device.adr:
        assert device.nb_trans == 1
        assert device.data_rate == region.adr_max_data_rate or not at_full_power
    for _ in range(50):
        assert all(command.name == "DevStatusReq" for command in link.step())


@settings(deadline=None, max_examples=50)
@given(ROLL, REGION, LOSSES)
def test_a_bad_link_confuses_nobody(roll: random.Random, region: Region, fates: list[str]) -> None:
    """Whatever is lost, the windows stay known (`Link.step` looks), and questions come to an end.

    Left out is TXParamSetupReq, after which the windows of a device that was not heard are not known.
    """
    policy, device = some_policy(roll, region), some_device(roll, region)
    device.uplink_dwell_time, device.downlink_dwell_time = (
        region.uplink_dwell_time,
        region.downlink_dwell_time,
    )
    link = Link(device, policy)
    for fate in fates:
        link.step(fate)
    for _ in range(2 * DISTANCES[-1]):  # by then each request is made once more
        link.step()
    for _ in range(50):
        assert all(command.name == "DevStatusReq" for command in link.step())
    want = wanted(region, policy)
    for name in ("max_duty_cycle", "rx1_delay_s", "rx2_frequency_hz"):
        assert getattr(device, name) == getattr(want, name)


@settings(deadline=None, max_examples=50)
@given(ROLL, REGION, st.frozensets(st.integers(2, 10), max_size=4))
def test_a_deaf_ear_is_not_asked_for_ever(
    roll: random.Random, region: Region, ignores: frozenset[int]
) -> None:
    """Commands that a device does not know are asked three times in 200 uplinks (of LinkADRReq: blocks)."""
    policy = replace(some_policy(roll, region), status_every_h=0)
    device = some_device(roll, region)
    device.ignores = ignores
    link = Link(device, policy)
    for _ in range(200):
        link.step()
    times = [count for command, count in link.asked.items() if not isinstance(command, LinkADRReq)]
    assert max(times, default=0) <= len(DISTANCES)
    assert not any(link.step() for _ in range(50))


@settings(deadline=None, max_examples=50)
@given(ROLL, REGION, st.frozensets(st.sampled_from(PARTS)))
def test_no_is_taken_for_an_answer(roll: random.Random, region: Region, disliked: frozenset[str]) -> None:
    """A device may refuse any part of any command; nothing is asked for ever, and the rest is in force."""
    policy = replace(some_policy(roll, region), status_every_h=0)
    device = some_device(roll, region)
    device.refuses = lambda command: set(disliked) if not isinstance(command, TXParamSetupReq) else set()
    link = Link(device, policy)
    for _ in range(300):
        link.step()
    assert not any(link.step() for _ in range(50))
    assert device.rx1_delay_s == policy.rx1_delay_s
    assert device.max_duty_cycle == policy.max_duty_cycle
    assert link.mac == seen(device, link.mac)
    if not disliked & {"frequency", "offset", "data_rate"}:
        assert device.rx2_frequency_hz == wanted(region, policy).rx2_frequency_hz
