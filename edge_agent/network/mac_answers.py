"""Answers of a device to what the network asked (LoRaWAN 1.0.4, chapter 5).

What a device accepts is in force; what it refuses is remembered by name and value, so that it is not asked
again and the rest is. A command that is refused in one part changes nothing at the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import (
    MAX_EIRP_DBM,
    DevStatusAns,
    DevStatusReq,
    DlChannelAns,
    DlChannelReq,
    DutyCycleAns,
    DutyCycleReq,
    LinkADRAns,
    LinkADRReq,
    NewChannelAns,
    NewChannelReq,
    RXParamSetupAns,
    RXParamSetupReq,
    RXTimingSetupAns,
    RXTimingSetupReq,
    TXParamSetupAns,
    TXParamSetupReq,
)
from edge_agent.lorawan.region import Region
from edge_agent.network.mac_state import Asked, Channel, MacState, mask_of
from edge_agent.network.moment import Moment
from edge_agent.network.outcome import Admitted

REQUEST_OF: dict[type[MACCommand], type[MACCommand]] = {
    LinkADRAns: LinkADRReq,
    DutyCycleAns: DutyCycleReq,
    RXParamSetupAns: RXParamSetupReq,
    DevStatusAns: DevStatusReq,
    NewChannelAns: NewChannelReq,
    RXTimingSetupAns: RXTimingSetupReq,
    TXParamSetupAns: TXParamSetupReq,
    DlChannelAns: DlChannelReq,
}
"""The request that an answer belongs to."""

STICKY: frozenset[type[MACCommand]] = frozenset(
    (RXParamSetupAns, RXTimingSetupAns, TXParamSetupAns, DlChannelAns)
)
"""Answers that a device repeats in every uplink until it hears a downlink."""

KEEP = 15
"""DataRate and TXPower of LinkADRReq: as it is (LoRaWAN 1.0.4, section 5.3)."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the answers of one kind came to. `agreed` is the last LinkADRReq of a block that is in force."""

    mac: MacState
    notes: tuple[str, ...] = ()
    agreed: LinkADRReq | None = None


def take_answers(
    mac: MacState,
    kind: type[MACCommand],
    answers: Sequence[MACCommand],
    admitted: Admitted,
    moment: Moment,
    region: Region,
) -> Taken:
    """Take all answers of one kind in an uplink. They come in the order of the requests."""
    asked = [one for one in mac.asked if type(one.commands[0]) is REQUEST_OF[kind]]
    latest = max((one.f_cnt for one in asked), default=0)
    asked = [one for one in asked if one.f_cnt == latest]
    if not asked:
        # A sticky answer that was taken before is no news.
        return Taken(mac, () if kind in STICKY else (f"{kind.__name__} answers nothing that was asked",))
    if kind is LinkADRAns:
        said = [answer for answer in answers if isinstance(answer, LinkADRAns)]
        return _link_adr(_without(mac, asked[0]), asked[0], said, admitted, region)
    notes: list[str] = []
    for one, answer in zip(asked, answers, strict=False):
        before = mac = _without(mac, one)
        mac = _take(mac, one.commands[0], answer, admitted, moment, region)
        if len(mac.refused) > len(before.refused):
            notes.append(f"{one.commands[0].name} was refused: {answer.fields()}")
    if len(answers) > len(asked) and kind not in STICKY:
        notes.append(f"{kind.__name__} came {len(answers)} times for {len(asked)} requests")
    return Taken(mac, tuple(notes))


def _without(mac: MacState, asked: Asked) -> MacState:
    return replace(mac, asked=tuple(one for one in mac.asked if one is not asked))


def _take(
    mac: MacState,
    request: MACCommand,
    answer: MACCommand,
    admitted: Admitted,
    moment: Moment,
    region: Region,
) -> MacState:
    match request, answer:
        case DutyCycleReq(), DutyCycleAns():
            return replace(mac, max_duty_cycle=request.max_duty_cycle)
        case RXTimingSetupReq(), RXTimingSetupAns():
            return replace(mac, rx1_delay_s=request.delay_s)
        case TXParamSetupReq(), TXParamSetupAns():
            return replace(
                mac,
                downlink_dwell_time=request.downlink_dwell_time,
                uplink_dwell_time=request.uplink_dwell_time,
                max_eirp_dbm=float(MAX_EIRP_DBM[request.max_eirp]),
            )
        case RXParamSetupReq(), RXParamSetupAns():
            return _rx_param_setup(mac, request, answer)
        case NewChannelReq(), NewChannelAns():
            return _new_channel(mac, request, answer)
        case DlChannelReq(), DlChannelAns():
            return _dl_channel(mac, request, answer, region)
        case DevStatusReq(), DevStatusAns():
            return take_status(mac, answer, admitted, moment)
        case _:
            raise AssertionError(f"{answer} does not answer {request}")


def take_status(mac: MacState, answer: DevStatusAns, admitted: Admitted, moment: Moment) -> MacState:
    """Battery and margin, with the time of the uplink that told them."""
    utc_ms = moment.utc_ms_of(admitted.frame)
    status_ms = moment.wall_ms if utc_ms is None else utc_ms
    return replace(mac, battery=answer.battery, margin=answer.margin, status_ms=status_ms)


def _rx_param_setup(mac: MacState, request: RXParamSetupReq, answer: RXParamSetupAns) -> MacState:
    if answer.channel_ack and answer.rx2_data_rate_ack and answer.rx1_dr_offset_ack:
        return replace(
            mac,
            rx1_dr_offset=request.rx1_dr_offset,
            rx2_data_rate=request.rx2_data_rate,
            rx2_frequency_hz=request.frequency,
        )
    if not answer.channel_ack:
        mac = mac.refusing("rx2_frequency_hz", request.frequency)
    if not answer.rx2_data_rate_ack:
        mac = mac.refusing("rx2_data_rate", request.rx2_data_rate)
    if not answer.rx1_dr_offset_ack:
        mac = mac.refusing("rx1_dr_offset", request.rx1_dr_offset)
    return mac


def _new_channel(mac: MacState, request: NewChannelReq, answer: NewChannelAns) -> MacState:
    """A new channel is on at once and is answered on its own frequency; frequency 0 takes one away."""
    if not (answer.channel_frequency_ok and answer.data_rate_range_ok):
        return mac.refusing("new_channel", wish_number(request))
    index = request.ch_index
    channels = [channel for channel in mac.channels if channel.index != index]
    enabled = mac.enabled - {index}
    if request.frequency:
        channels.append(Channel(index, request.frequency, request.min_dr, request.max_dr))
        enabled |= {index}
    return replace(
        mac,
        channels=tuple(sorted(channels, key=lambda channel: channel.index)),
        enabled=enabled,
        downlinks_hz=tuple(pair for pair in mac.downlinks_hz if pair[0] != index),
    )


def _dl_channel(mac: MacState, request: DlChannelReq, answer: DlChannelAns, region: Region) -> MacState:
    if not (answer.channel_frequency_ok and answer.uplink_frequency_exists):
        return mac.refusing("dl_channel", wish_number(request))
    others = [pair for pair in mac.downlinks_hz if pair[0] != request.ch_index]
    if request.frequency != own_downlink_hz(mac, request.ch_index, region):
        others.append((request.ch_index, request.frequency))
    return replace(mac, downlinks_hz=tuple(sorted(others)))


def own_downlink_hz(mac: MacState, index: int, region: Region) -> int | None:
    """Frequency of RX1 for a channel of the device while no DlChannelReq says otherwise; None: no such."""
    channel = mac.channel(index)
    if channel is not None:
        return region.rx1_frequency_hz(channel.uplink_hz)
    if index < len(region.default_channels):
        return region.rx1_frequency_hz(region.default_channels[index].frequency_hz)
    return None


def wish_number(request: NewChannelReq | DlChannelReq) -> int:
    """A request as one number, to remember that it was refused."""
    return int.from_bytes(request.to_bytes(), "big")


def _link_adr(
    mac: MacState, asked: Asked, answers: Sequence[LinkADRAns], admitted: Admitted, region: Region
) -> Taken:
    """A LinkADRReq block is accepted or refused as a whole (section 5.3).

    From 1.0.2 on, each command has an answer and all say the same; before, there may be a single one. A
    device whose ADR bit is off may answer "no" to all but the channels: that is no refusal.
    """
    last = asked.commands[-1]
    assert isinstance(last, LinkADRReq), "a LinkADRReq block holds nothing else"
    channels = all(answer.channel_mask_ack for answer in answers)
    data_rate = all(answer.data_rate_ack for answer in answers)
    power = all(answer.power_ack for answer in answers)
    enabled = _channels_of(asked, mac, region)
    if channels and data_rate and power:
        mac = replace(
            mac,
            enabled=enabled,
            data_rate=mac.data_rate if last.data_rate == KEEP else last.data_rate,
            tx_power=mac.tx_power if last.tx_power == KEEP else last.tx_power,
            nb_trans=last.nb_trans,
            settled_f_cnt=admitted.f_cnt,
        )
        return Taken(mac, agreed=last)
    if channels and not admitted.adr:
        return Taken(replace(mac, enabled=enabled), agreed=last)
    refused = []
    if not channels:
        refused.append("channels")
        mac = mac.refusing("channels", mask_of(enabled))
    if not data_rate and admitted.adr:
        refused.append(f"data rate {last.data_rate}")
        mac = mac.refusing("data_rate", last.data_rate)
    if not power and admitted.adr:
        refused.append(f"power {last.tx_power}")
        mac = mac.refusing("tx_power", last.tx_power)
    return Taken(mac, (f"LinkADRReq was refused: {', '.join(refused)}",))


def _channels_of(asked: Asked, mac: MacState, region: Region) -> frozenset[int]:
    """The channels that are on after the block."""
    enabled = mac.enabled
    for command in asked.commands:
        assert isinstance(command, LinkADRReq), "a LinkADRReq block holds nothing else"
        masked = region.masked(enabled, command.ch_mask_cntl, command.ch_mask)
        enabled = enabled if masked is None else masked
    return frozenset(index for index in enabled if own_downlink_hz(mac, index, region) is not None)
