"""What a device's MAC commands change and want (LoRaWAN 1.0.4, chapter 5; LoRaWAN 1.1, chapter 5).

The device's own requests are answered here. Its answers to ours are matched with what is under way in
`MacState.asked` and taken over by `mac_answers`; an answer to nothing is ignored. What the uplink itself
shows, such as its data rate, counts more than what was agreed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import (
    BeaconTimingReq,
    DeviceModeConf,
    DeviceModeInd,
    DeviceTimeAns,
    DeviceTimeReq,
    DevStatusAns,
    LinkADRReq,
    LinkCheckAns,
    LinkCheckReq,
    PingSlotInfoReq,
    RekeyConf,
    RekeyInd,
    ResetConf,
    ResetInd,
)
from edge_agent.lorawan.region import Region
from edge_agent.network.adr import required_snr_db
from edge_agent.network.mac_answers import KEEP, REQUEST_OF, STICKY, take_answers, take_status
from edge_agent.network.mac_state import MacState, initial, mask_of
from edge_agent.network.moment import Moment
from edge_agent.network.outcome import Admitted
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import RxFrame
from edge_agent.network.windows import channel_heard

MINOR = 1
"""This network speaks LoRaWAN 1.1."""

CLASS_A = 0
MAX_MARGIN_DB = 254  # LinkCheckAns; 255 is reserved


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the commands of one uplink came to.

    `answers` are for the next downlink. `wants_downlink`: the device goes on asking or answering until it
    hears one, be it empty. `notes` are for people.
    """

    mac: MacState
    answers: tuple[MACCommand, ...]
    wants_downlink: bool
    notes: tuple[str, ...]


def take(
    mac: MacState,
    commands: Sequence[MACCommand],
    admitted: Admitted,
    moment: Moment,
    region: Region,
    policy: Policy,
) -> Exchange:
    """Take the commands of an uplink, from FOpts or FPort 0.

    Where another network server answers (`policy.downlinks` off), the commands are a talk between others:
    only what they tell about the device is taken.
    """
    mac = _same_counter(mac, admitted)
    if not policy.downlinks:
        for command in commands:
            if isinstance(command, DevStatusAns):
                mac = take_status(mac, command, admitted, moment)
        return Exchange(_observed(mac, admitted, region), (), wants_downlink=False, notes=())
    answers: dict[type[MACCommand], MACCommand] = {}
    notes: list[str] = []
    replies: dict[type[MACCommand], list[MACCommand]] = {}
    for command in commands:
        kind = type(command)
        if kind in REQUEST_OF:
            replies.setdefault(kind, []).append(command)
        elif kind not in answers:
            if isinstance(command, ResetInd):
                mac = _reset(mac, admitted, region)
            elif isinstance(command, DeviceModeInd):
                mac = replace(mac, device_class=command.device_class)
            answer, note = _answer(command, admitted.frame, moment)
            if answer is not None:
                answers[kind] = answer
            if note:
                notes.append(note)
    agreed: LinkADRReq | None = None
    for kind, said in replies.items():
        taken = take_answers(mac, kind, said, admitted, moment, region)
        mac, agreed = taken.mac, taken.agreed or agreed
        notes += taken.notes
    mac = _followed(_observed(mac, admitted, region), mac, agreed, admitted)
    wants_downlink = admitted.adr_ack_req or any(kind in STICKY for kind in replies)
    return Exchange(mac, tuple(answers.values()), wants_downlink, tuple(notes))


def _answer(command: MACCommand, frame: RxFrame, moment: Moment) -> tuple[MACCommand | None, str]:
    """The answer to a device's request, and a note; a request that is not served has a note only."""
    match command:
        case LinkCheckReq():
            return LinkCheckAns(margin=_margin_db(frame), gw_cnt=1), ""
        case DeviceTimeReq():
            gps_ms = moment.gps_ms_of(frame)
            if gps_ms is None or gps_ms < 0:
                return None, "DeviceTimeReq is not answered: the time is not known for certain"
            seconds, fraction_256 = divmod((gps_ms * 256 + 500) // 1000, 256)
            return DeviceTimeAns(seconds & 0xFFFFFFFF, fraction_256), ""
        case ResetInd():
            return ResetConf(min(MINOR, command.minor)), "the device was reset"
        case RekeyInd():
            return RekeyConf(min(MINOR, command.minor)), ""
        case DeviceModeInd():
            return DeviceModeConf(CLASS_A), ""
        case PingSlotInfoReq() | BeaconTimingReq():
            return None, f"{command.name} is not answered: class B is not served"
        case _:
            return None, f"{command.name} is not expected from a device"


def _margin_db(frame: RxFrame) -> int:
    """How far the frame was above the demodulation floor; 0 for FSK, where nothing says so."""
    required_db = required_snr_db(frame.data_rate)
    if frame.snr_db is None or required_db is None:
        return 0
    return min(max(int(frame.snr_db - required_db), 0), MAX_MARGIN_DB)


def _same_counter(mac: MacState, admitted: Admitted) -> MacState:
    """`mac` as it may be used with this counter: one that began anew knows nothing of earlier uplinks.

    A rejoin request of type 2 gives new keys and counters to a device that keeps its parameters.
    """
    if admitted.f_cnt >= mac.settled_f_cnt and all(one.f_cnt <= admitted.f_cnt for one in mac.asked):
        return mac
    return replace(mac, settled_f_cnt=0, asked=())


def _reset(mac: MacState, admitted: Admitted, region: Region) -> MacState:
    """The parameters of a device that was reset; what was read from it stays readable."""
    return replace(
        initial(region),
        settled_f_cnt=admitted.f_cnt,
        battery=mac.battery,
        margin=mac.margin,
        status_ms=mac.status_ms,
        status_asked_boot_ms=mac.status_asked_boot_ms,
        status_asked_wall_ms=mac.status_asked_wall_ms,
    )


def _observed(mac: MacState, admitted: Admitted, region: Region) -> MacState:
    """What the uplink shows of the device's settings.

    A device that misses the network's voice helps itself, step by step (LoRaWAN 1.0.4, section 4.3.1.1): full
    power, then slower data rates, at last a single transmission and all default channels. So a slower uplink
    tells of full power, and an uplink on a channel that was off tells of the last step.
    """
    frame = admitted.frame
    data_rate = region.data_rate_up(frame.data_rate)
    if data_rate is not None and data_rate != mac.data_rate:
        tx_power = 0 if admitted.adr and data_rate < mac.data_rate else mac.tx_power
        mac = replace(mac, data_rate=data_rate, tx_power=tx_power, settled_f_cnt=admitted.f_cnt)
    index = channel_heard(frame.frequency_hz, mac, region)
    if index is not None and index not in mac.enabled:
        enabled = mac.enabled | {index} | set(range(len(region.default_channels)))
        mac = replace(mac, enabled=enabled, nb_trans=1, settled_f_cnt=admitted.f_cnt)
    return mac


def _followed(observed: MacState, mac: MacState, agreed: LinkADRReq | None, admitted: Admitted) -> MacState:
    """`observed`, and what the device agreed to in this uplink without doing it counts as refused."""
    if agreed is None:
        return observed
    if admitted.adr and agreed.data_rate != KEEP and observed.data_rate != mac.data_rate:
        observed = observed.refusing("data_rate", agreed.data_rate)
    if observed.enabled != mac.enabled:
        observed = observed.refusing("channels", mask_of(mac.enabled))
    return observed
