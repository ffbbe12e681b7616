"""The MAC commands of the core specification, by their names there.

CID 0x02–0x0D: LoRaWAN 1.0.4, chapter 5. 0x01, 0x0B, 0x0C, 0x0E, 0x0F, 0x20: LoRaWAN 1.1, chapter 5.
0x10–0x13: class B, chapter 14. Frequencies are in hertz; other numbers are as sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple

from edge_agent.lorawan.mac_command import KNOWN, Bits, MACCommand, command
from edge_agent.lorawan.mhdr import Direction

UP, DOWN = Direction.UP, Direction.DOWN

MAX_EIRP_DBM = (8, 10, 12, 13, 14, 16, 18, 20, 21, 24, 26, 27, 29, 30, 33, 36)
"""What TXParamSetupReq.max_eirp stands for."""


@command(0x01, UP, 1)
class ResetInd(MACCommand):
    """An ABP device was reset; `minor` is its LoRaWAN 1.x version."""

    minor: Annotated[int, Bits(0, 4)]


@command(0x01, DOWN, 1)
class ResetConf(MACCommand):
    """Answers ResetInd with the network's version."""

    minor: Annotated[int, Bits(0, 4)]


@command(0x02, UP)
class LinkCheckReq(MACCommand):
    """The device asks how well it is heard."""


@command(0x02, DOWN, 2)
class LinkCheckAns(MACCommand):
    """`margin` in dB above the demodulation floor, heard by `gw_cnt` gateways."""

    margin: Annotated[int, Bits(0, 8)]
    gw_cnt: Annotated[int, Bits(8, 8)]


@command(0x03, DOWN, 4)
class LinkADRReq(MACCommand):
    """Data rate, power, channels and repetitions to use."""

    data_rate: Annotated[int, Bits(4, 4)]
    tx_power: Annotated[int, Bits(0, 4)]
    ch_mask: Annotated[int, Bits(8, 16)]
    ch_mask_cntl: Annotated[int, Bits(28, 3)]
    nb_trans: Annotated[int, Bits(24, 4)]


@command(0x03, UP, 1)
class LinkADRAns(MACCommand):
    """What of LinkADRReq was accepted."""

    channel_mask_ack: Annotated[bool, Bits(0)]
    data_rate_ack: Annotated[bool, Bits(1)]
    power_ack: Annotated[bool, Bits(2)]


@command(0x04, DOWN, 1)
class DutyCycleReq(MACCommand):
    """The device may send 1 / 2^max_duty_cycle of the time."""

    max_duty_cycle: Annotated[int, Bits(0, 4)]


@command(0x04, UP)
class DutyCycleAns(MACCommand):
    """Answers DutyCycleReq."""


@command(0x05, DOWN, 4)
class RXParamSetupReq(MACCommand):
    """Offset of the first, frequency and data rate of the second receive window."""

    rx1_dr_offset: Annotated[int, Bits(4, 3)]
    rx2_data_rate: Annotated[int, Bits(0, 4)]
    frequency: Annotated[int, Bits(8, 24, frequency=True)]


@command(0x05, UP, 1)
class RXParamSetupAns(MACCommand):
    """What of RXParamSetupReq was accepted."""

    channel_ack: Annotated[bool, Bits(0)]
    rx2_data_rate_ack: Annotated[bool, Bits(1)]
    rx1_dr_offset_ack: Annotated[bool, Bits(2)]


@command(0x06, DOWN)
class DevStatusReq(MACCommand):
    """Asks for battery and margin."""


@command(0x06, UP, 2)
class DevStatusAns(MACCommand):
    """`battery`: 0 external power, 1…254 lowest to highest, 255 could not measure. `margin` in dB, -32…31."""

    battery: Annotated[int, Bits(0, 8)]
    margin: Annotated[int, Bits(8, 6, signed=True)]


@command(0x07, DOWN, 5)
class NewChannelReq(MACCommand):
    """Make or change a channel; frequency 0 removes it."""

    ch_index: Annotated[int, Bits(0, 8)]
    frequency: Annotated[int, Bits(8, 24, frequency=True)]
    max_dr: Annotated[int, Bits(36, 4)]
    min_dr: Annotated[int, Bits(32, 4)]


@command(0x07, UP, 1)
class NewChannelAns(MACCommand):
    """What of NewChannelReq was accepted."""

    channel_frequency_ok: Annotated[bool, Bits(0)]
    data_rate_range_ok: Annotated[bool, Bits(1)]


@command(0x08, DOWN, 1)
class RXTimingSetupReq(MACCommand):
    """Delay of the first receive window in seconds; 0 means 1, too."""

    delay_s: Annotated[int, Bits(0, 4)]


@command(0x08, UP)
class RXTimingSetupAns(MACCommand):
    """Answers RXTimingSetupReq."""


@command(0x09, DOWN, 1)
class TXParamSetupReq(MACCommand):
    """Dwell times (set: at most 400 ms) and power; `max_eirp` is an index into MAX_EIRP_DBM."""

    downlink_dwell_time: Annotated[bool, Bits(5)]
    uplink_dwell_time: Annotated[bool, Bits(4)]
    max_eirp: Annotated[int, Bits(0, 4)]


@command(0x09, UP)
class TXParamSetupAns(MACCommand):
    """Answers TXParamSetupReq."""


@command(0x0A, DOWN, 4)
class DlChannelReq(MACCommand):
    """Another downlink frequency for a channel."""

    ch_index: Annotated[int, Bits(0, 8)]
    frequency: Annotated[int, Bits(8, 24, frequency=True)]


@command(0x0A, UP, 1)
class DlChannelAns(MACCommand):
    """What of DlChannelReq was accepted."""

    channel_frequency_ok: Annotated[bool, Bits(0)]
    uplink_frequency_exists: Annotated[bool, Bits(1)]


@command(0x0B, UP, 1)
class RekeyInd(MACCommand):
    """A 1.1 device uses its new keys; `minor` is its LoRaWAN 1.x version."""

    minor: Annotated[int, Bits(0, 4)]


@command(0x0B, DOWN, 1)
class RekeyConf(MACCommand):
    """Answers RekeyInd with the network's version."""

    minor: Annotated[int, Bits(0, 4)]


@command(0x0C, DOWN, 1)
class ADRParamSetupReq(MACCommand):
    """ADR_ACK_LIMIT = 2^limit_exp and ADR_ACK_DELAY = 2^delay_exp frames."""

    limit_exp: Annotated[int, Bits(4, 4)]
    delay_exp: Annotated[int, Bits(0, 4)]


@command(0x0C, UP)
class ADRParamSetupAns(MACCommand):
    """Answers ADRParamSetupReq."""


@command(0x0D, UP)
class DeviceTimeReq(MACCommand):
    """The device asks for the time at the end of this uplink."""


@command(0x0D, DOWN, 5)
class DeviceTimeAns(MACCommand):
    """GPS seconds, and 1/256 seconds."""

    gps_seconds: Annotated[int, Bits(0, 32)]
    fraction_256: Annotated[int, Bits(32, 8)]


@command(0x0E, DOWN, 2)
class ForceRejoinReq(MACCommand):
    """Rejoin now, `max_retries` times more with growing intervals if there is no answer."""

    period: Annotated[int, Bits(11, 3)]
    max_retries: Annotated[int, Bits(8, 3)]
    rejoin_type: Annotated[int, Bits(4, 3)]
    data_rate: Annotated[int, Bits(0, 4)]


@command(0x0F, DOWN, 1)
class RejoinParamSetupReq(MACCommand):
    """Rejoin at least every 2^(max_time_n + 10) seconds and 2^(max_count_n + 4) uplinks."""

    max_time_n: Annotated[int, Bits(4, 4)]
    max_count_n: Annotated[int, Bits(0, 4)]


@command(0x0F, UP, 1)
class RejoinParamSetupAns(MACCommand):
    """Whether the device keeps the time limit, too."""

    time_ok: Annotated[bool, Bits(0)]


@command(0x10, UP, 1)
class PingSlotInfoReq(MACCommand):
    """The device listens every 2^periodicity seconds."""

    periodicity: Annotated[int, Bits(0, 3)]


@command(0x10, DOWN)
class PingSlotInfoAns(MACCommand):
    """Answers PingSlotInfoReq."""


@command(0x11, DOWN, 4)
class PingSlotChannelReq(MACCommand):
    """Frequency and data rate of ping slots."""

    frequency: Annotated[int, Bits(0, 24, frequency=True)]
    data_rate: Annotated[int, Bits(24, 4)]


@command(0x11, UP, 1)
class PingSlotChannelAns(MACCommand):
    """What of PingSlotChannelReq was accepted."""

    channel_frequency_ok: Annotated[bool, Bits(0)]
    data_rate_ok: Annotated[bool, Bits(1)]


@command(0x12, UP)
class BeaconTimingReq(MACCommand):
    """When comes the next beacon? (Superseded by DeviceTimeReq.)"""


@command(0x12, DOWN, 3)
class BeaconTimingAns(MACCommand):
    """The beacon comes within 30 ms·(delay + 1) on `channel`."""

    delay: Annotated[int, Bits(0, 16)]
    channel: Annotated[int, Bits(16, 8)]


@command(0x13, DOWN, 3)
class BeaconFreqReq(MACCommand):
    """Another beacon frequency; 0 for the default."""

    frequency: Annotated[int, Bits(0, 24, frequency=True)]


@command(0x13, UP, 1)
class BeaconFreqAns(MACCommand):
    """Whether the device can hear there."""

    beacon_frequency_ok: Annotated[bool, Bits(0)]


@command(0x20, UP, 1)
class DeviceModeInd(MACCommand):
    """The device changes its class: 0 A, 2 C."""

    device_class: Annotated[int, Bits(0, 8)]


@command(0x20, DOWN, 1)
class DeviceModeConf(MACCommand):
    """Answers DeviceModeInd."""

    device_class: Annotated[int, Bits(0, 8)]


class MACCommands(NamedTuple):
    """The commands in order, and the bytes from the first one that is not known or not whole."""

    commands: list[MACCommand]
    rest: bytes


def parse_mac_commands(direction: Direction, raw: bytes) -> MACCommands:
    """Read a row of commands in clear. Never raises.

    The length of an unknown command is unknown, too: reading stops there, and the rest is handed back
    (LoRaWAN 1.0.4, chapter 5).
    """
    commands: list[MACCommand] = []
    at = 0
    while at < len(raw):
        kind = KNOWN.get((direction, raw[at]))
        if kind is None or at + 1 + kind.length > len(raw):
            break
        end = at + 1 + kind.length
        commands.append(kind.from_payload(raw[at + 1 : end]))
        at = end
    return MACCommands(commands, raw[at:])


def build_mac_commands(commands: Iterable[MACCommand]) -> bytes:
    """The commands one after another. Raises ValueError where a field's value does not fit."""
    return b"".join([one.to_bytes() for one in commands])
