"""What a device and the network agree on in one session, beside the keys.

A parameter here is in force at the device as far as the network can know: as the region begins, as the join
accept said, and from then on as the device answered. What the network would like to be in force is a value
of the same type, `wanted`; what differs is asked for (`mac_requests`), what is answered is taken over
(`mac_exchange`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Self

from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import (
    DlChannelReq,
    NewChannelReq,
    build_mac_commands,
    parse_mac_commands,
)
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.region import Region, bits
from edge_agent.network.policy import Policy

VERSION = 1
MAX_REFUSED = 64
"""Refusals that are remembered; beyond, the oldest is forgotten."""

EXTERNAL_POWER, CANNOT_MEASURE = 0, 255  # DevStatusAns.battery


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel that the network gave the device (NewChannelReq, CFList): uplink frequency and data rates."""

    index: int
    uplink_hz: int
    min_data_rate: int
    max_data_rate: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under way: the commands as sent, more than one in a LinkADRReq block.

    `tries` counts the downlinks that carried it. `f_cnt` is the counter of the uplink that the last one
    answered; from the uplink `due` on it may be asked again.
    """

    commands: tuple[MACCommand, ...]
    tries: int
    f_cnt: int
    due: int

    @property
    def key(self) -> tuple[int, int]:
        """CID and channel index: one request of each is under way at a time."""
        return key_of(self.commands)


def key_of(commands: tuple[MACCommand, ...]) -> tuple[int, int]:
    """What a request is about: CID, and the channel's index where it is about one."""
    first = commands[0]
    return first.cid, first.ch_index if isinstance(first, NewChannelReq | DlChannelReq) else 0


@dataclass(frozen=True, slots=True)
class MacState:
    """Parameters in force at the device, and what the network has asked it and not been answered.

    `enabled` are the indices of the channels that it uses. Of a channel's frequency and data rates the region
    knows the default ones, `channels` the others; `downlinks_hz` is the frequency of RX1 by channel index
    where a DlChannelReq changed it. TXPower n is `max_eirp_dbm` − 2n dB. `data_rate` is that of the last
    uplink. The settings of uplinks (data rate, power, repetitions, channels) hold since the uplink
    `settled_f_cnt`. `max_duty_cycle` is an exponent: 1 / 2^n of the time.

    `device_class` is what the device says it is (0 A, 2 C); it is served as class A. `battery` and `margin`
    are of the last DevStatusAns, which came at `status_ms` (UTC). DevStatusReq was sent last at
    `status_asked_boot_ms` of CLOCK_BOOTTIME and `status_asked_wall_ms` of the host's UTC.

    `refused` is what the device will not do, by name and value: it is not asked again in this session.
    """

    rx1_delay_s: int
    rx1_dr_offset: int
    rx2_data_rate: int
    rx2_frequency_hz: int
    enabled: frozenset[int]
    max_eirp_dbm: float
    uplink_dwell_time: bool = False
    downlink_dwell_time: bool = False
    channels: tuple[Channel, ...] = ()
    downlinks_hz: tuple[tuple[int, int], ...] = ()
    data_rate: int = 0
    tx_power: int = 0
    nb_trans: int = 1
    settled_f_cnt: int = 0
    max_duty_cycle: int = 0
    device_class: int = 0
    battery: int | None = None
    margin: int | None = None
    status_ms: int | None = None
    status_asked_boot_ms: int | None = None
    status_asked_wall_ms: int | None = None
    asked: tuple[Asked, ...] = ()
    refused: tuple[tuple[str, int], ...] = ()

    def channel(self, index: int) -> Channel | None:
        """The channel that the network gave the device under this index."""
        return next((channel for channel in self.channels if channel.index == index), None)

    def refusing(self, name: str, value: int) -> Self:
        """The same, and the device will not have `value` for `name`."""
        if (name, value) in self.refused:
            return self
        return replace(self, refused=(*self.refused, (name, value))[-MAX_REFUSED:])

    def to_text(self) -> str:
        """All of it as one line of JSON, without what is as it was in the beginning."""
        record: dict[str, Any] = {"v": VERSION}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                write = _WRITE.get(field.name)
                record[field.name] = write(value) if write else value
        return json.dumps(record, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` wrote. Raises ValueError for anything else."""
        try:
            record = json.loads(text)
            if record.pop("v") != VERSION:
                raise ValueError("another version wrote it")
            return cls(
                **{name: _READ[name](value) if name in _READ else value for name, value in record.items()}
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"no MAC state: {error}") from error


_WRITE: dict[str, Any] = {
    "enabled": lambda enabled: f"{mask_of(enabled):x}",
    "channels": lambda channels: [
        [channel.index, channel.uplink_hz, channel.min_data_rate, channel.max_data_rate]
        for channel in channels
    ],
    "asked": lambda asked: [
        [build_mac_commands(one.commands).hex(), one.tries, one.f_cnt, one.due] for one in asked
    ],
}
_READ: dict[str, Any] = {
    "enabled": lambda mask: bits(int(mask, 16)),
    "channels": lambda rows: tuple(Channel(*row) for row in rows),
    "downlinks_hz": lambda rows: tuple(map(tuple, rows)),
    "asked": lambda rows: tuple(Asked(_commands(raw), *rest) for raw, *rest in rows),
    "refused": lambda rows: tuple(map(tuple, rows)),
}


def _commands(raw: str) -> tuple[MACCommand, ...]:
    commands, rest = parse_mac_commands(Direction.DOWN, bytes.fromhex(raw))
    if rest or not commands:
        raise ValueError(f"{raw} is no row of MAC commands")
    return tuple(commands)


def mask_of(enabled: frozenset[int]) -> int:
    """Channel indices as one number, bit n being channel n."""
    return sum(1 << index for index in enabled)


def initial(region: Region) -> MacState:
    """A device as it comes: activated by personalisation, or reset (RP002-1.0.4, section 2)."""
    return MacState(
        rx1_delay_s=1,
        rx1_dr_offset=0,
        rx2_data_rate=region.rx2_data_rate,
        rx2_frequency_hz=region.rx2_frequency_hz,
        enabled=frozenset(range(len(region.default_channels))),
        max_eirp_dbm=region.max_eirp_dbm,
        uplink_dwell_time=region.default_dwell_time,
        downlink_dwell_time=region.default_dwell_time,
    )


@lru_cache(maxsize=16)
def after_join(region: Region, policy: Policy, *, knows_masks: bool = True) -> MacState:
    """A device that has just taken our join accept: RxDelay, DLSettings and CFList are in force.

    A join accept says nothing of the second window's frequency: that begins as the region has it.
    `knows_masks`: the device reads a CFList of channel masks; else it begins with all channels.
    """
    mac = initial(region)
    cf_list = region.cf_list(policy.channel_block)
    if cf_list is not None and cf_list.type == 1:
        mac = replace(mac, enabled=_masked(cf_list.channel_masks)) if knows_masks else mac
    elif cf_list is not None:
        given = [
            channel for channel in _extra_channels(region) if channel.uplink_hz in cf_list.frequencies_hz
        ]
        enabled = mac.enabled | {channel.index for channel in given}
        mac = replace(mac, channels=tuple(given), enabled=enabled)
    return replace(
        mac,
        rx1_delay_s=policy.rx1_delay_s,
        rx1_dr_offset=min(policy.rx1_dr_offset, region.max_rx1_dr_offset),
        rx2_data_rate=region.rx2_data_rate if policy.rx2_data_rate is None else policy.rx2_data_rate,
    )


@lru_cache(maxsize=16)
def wanted(region: Region, policy: Policy) -> MacState:
    """What the network would have in force; data rate, power and repetitions are ADR's matter."""
    mac = after_join(region, policy)
    channels = _extra_channels(region)
    return replace(
        mac,
        rx2_frequency_hz=region.rx2_frequency_hz
        if policy.rx2_frequency_hz is None
        else policy.rx2_frequency_hz,
        channels=channels,
        enabled=mac.enabled | {channel.index for channel in channels},
        uplink_dwell_time=region.uplink_dwell_time,
        downlink_dwell_time=region.downlink_dwell_time,
        max_duty_cycle=policy.max_duty_cycle,
    )


def _extra_channels(region: Region) -> tuple[Channel, ...]:
    first = len(region.default_channels)
    return tuple(
        Channel(index, channel.frequency_hz, channel.min_data_rate, channel.max_data_rate)
        for index, channel in enumerate(region.extra_channels, start=first)
    )


def _masked(channel_masks: tuple[int, ...]) -> frozenset[int]:
    return frozenset().union(*(bits(mask, 16 * number) for number, mask in enumerate(channel_masks)))


def battery_text(battery: int) -> str:
    """DevStatusAns.battery in words (LoRaWAN 1.0.4, section 5.5)."""
    if battery == EXTERNAL_POWER:
        return "external power"
    if battery == CANNOT_MEASURE:
        return "cannot measure"
    return f"{round(100 * (battery - 1) / 253)} %"
