"""Which uplink is taken, whose it is and what it says; and why one is not.

The replay rule is strict: a frame is taken only if its MIC fits a 32-bit counter above the highest one
taken of that device. A lower counter with a valid MIC is an event to be told ("reset or replay"), never a
reset: a recording would have the same look. And since the upper 16 bits are proven by the MIC, no old frame
moves them.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.lorawan.fcnt import full_f_cnt, other_f_cnts
from edge_agent.lorawan.join_accept import EncryptedJoinAccept
from edge_agent.lorawan.join_request import JoinRequest
from edge_agent.lorawan.malformed import Fault, MalformedFrame
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.phypayload import DataFrame, parse
from edge_agent.lorawan.rejoin_request import RejoinRequest
from edge_agent.network.activation import Activation
from edge_agent.network.activations import Activations
from edge_agent.network.outcome import Admitted, JoinAsked, Rejected
from edge_agent.network.reason import Reason
from edge_agent.network.rx_frame import Crc, RxFrame
from edge_codecs.clipr import DecodeError, Message, Undecoded

__all__ = ["Activations", "Admitted", "JoinAsked", "Rejected", "admit"]

MAX_TRIALS = 64  # MICs computed to explain one frame, beyond one a device: strangers must not cost much

_FAULTS = {
    Fault.TOO_SHORT: Reason.TOO_SHORT,
    Fault.NOT_LORAWAN_R1: Reason.NOT_LORAWAN_R1,
    Fault.MALFORMED: Reason.MALFORMED,
}


def admit(
    frame: RxFrame, activations: Activations, net_ids: Sequence[NetID] = ()
) -> Admitted | Rejected | JoinAsked:
    """Decide about one frame; changes nothing. A join request is only read: whoever answers it judges it.

    `net_ids` are the networks whose devices may be ours: with any given, an unknown DevAddr outside their
    blocks is FOREIGN_NET_ID, without one all are UNKNOWN_DEV_ADDR.
    """
    if frame.crc is not Crc.OK:
        return Rejected(Reason.BAD_CRC if frame.crc is Crc.BAD else Reason.NO_CRC, frame)
    try:
        data = parse(frame.phy_payload)
    except MalformedFrame as error:
        return Rejected(_FAULTS[error.fault], frame, detail=str(error))
    match data:
        case DataFrame():
            return _admit_data(frame, data, activations, net_ids)
        case JoinRequest() | RejoinRequest():
            return JoinAsked(data.dev_eui, data, frame)
        case EncryptedJoinAccept():
            return Rejected(Reason.DOWNLINK_HEARD, frame, detail="a join accept")
        case _:
            return Rejected(Reason.PROPRIETARY, frame)


def _admit_data(
    frame: RxFrame, data: DataFrame, activations: Activations, net_ids: Sequence[NetID]
) -> Admitted | Rejected:
    fhdr = data.fhdr
    dev_addr = fhdr.dev_addr
    if data.direction is Direction.DOWN:
        return Rejected(Reason.DOWNLINK_HEARD, frame, dev_addr, f_cnt=fhdr.f_cnt_16)
    if data.f_port == 0 and fhdr.f_opts:
        text = "MAC commands in FOpts and on FPort 0 at once"
        return Rejected(Reason.MALFORMED, frame, dev_addr, f_cnt=fhdr.f_cnt_16, detail=text)
    candidates = activations.at(dev_addr)
    if not candidates:
        foreign = net_ids and not any(net_id.covers(dev_addr) for net_id in net_ids)
        reason = Reason.FOREIGN_NET_ID if foreign else Reason.UNKNOWN_DEV_ADDR
        return Rejected(reason, frame, dev_addr, f_cnt=fhdr.f_cnt_16)
    message = frame.phy_payload[:-4]
    for candidate in candidates:
        f_cnt = full_f_cnt(candidate.f_cnt_up, fhdr.f_cnt_16)
        if f_cnt is not None and candidate.signed(f_cnt, message, data.mic, frame, ack=fhdr.f_ctrl.ack):
            return _taken(frame, data, candidate, f_cnt)
    return _why_not(frame, data, message, candidates)


def _taken(frame: RxFrame, data: DataFrame, activation: Activation, f_cnt: int) -> Admitted:
    session = activation.session
    f_port = data.f_port
    payload = b""
    says: Message | None = None
    flaw: Reason | None = None
    if f_port is not None:
        payload = activation.clear_frm_payload(f_cnt, f_port, data.frm_payload)
        if f_port:
            try:
                says = activation.decode(f_port, payload)
            except DecodeError as error:
                says = Undecoded(f_port, payload)
                flaw = Reason.UNKNOWN_F_PORT if error.unknown_f_port else Reason.DECODE_ERROR
    return Admitted(
        session.dev_eui,
        session.number,
        f_cnt,
        data.confirmed,
        data.fhdr.f_ctrl.adr,
        activation.clear_f_opts(f_cnt, f_port, data.fhdr.f_opts),
        f_port,
        payload,
        says,
        flaw,
        frame,
        session.codec,
        session.codec_version,
        data.fhdr.f_ctrl.ack,
        data.fhdr.f_ctrl.adr_ack_req,
    )


def _why_not(frame: RxFrame, data: DataFrame, message: bytes, candidates: Sequence[Activation]) -> Rejected:
    """Which reason a frame to a known address has: no candidate's next counter fits its MIC."""
    dev_addr = data.fhdr.dev_addr
    fitting = _fitting_counter(frame, data, message, candidates)
    if fitting is None:
        ours = candidates[0].session.dev_eui if len(candidates) == 1 else None
        detail = _half_signed(data, message, candidates)
        return Rejected(Reason.MIC_FAILED, frame, dev_addr, ours, data.fhdr.f_cnt_16, detail)
    activation, f_cnt = fitting
    last = activation.f_cnt_up
    if last is None or f_cnt > last:
        reason = Reason.MIC_FITS_OTHER_UPPER_COUNTER
        detail = f"its counter is {f_cnt}; the last one taken is {'none' if last is None else last}"
    elif (f_cnt, data.mic[2:]) in activation.recent:
        reason = Reason.DUPLICATE
        detail = f"counter {f_cnt} was taken already"
    else:
        reason = Reason.REPLAY
        detail = f"its counter is {f_cnt}; the last one taken is {last}"
        if f_cnt == last and not activation.recent:
            detail += ", before the agent started: it may be repeated by the device"
    repeated = data.confirmed and f_cnt == last
    return Rejected(reason, frame, dev_addr, activation.session.dev_eui, f_cnt, detail, repeated)


def _fitting_counter(
    frame: RxFrame, data: DataFrame, message: bytes, candidates: Sequence[Activation]
) -> tuple[Activation, int] | None:
    """The device and the counter that the MIC is over, if it is one that the 16 bits on air may stand for.

    The likeliest counter of each device first, then the next of each, so that devices that share an address
    share the trials.
    """
    trials = 0
    waiting = [(candidate, other_f_cnts(candidate.f_cnt_up, data.fhdr.f_cnt_16)) for candidate in candidates]
    while waiting and trials < MAX_TRIALS:
        for candidate, f_cnts in tuple(waiting):
            f_cnt = next(f_cnts, None)
            if f_cnt is None:
                waiting.remove((candidate, f_cnts))
                continue
            trials += 1
            if candidate.signed(f_cnt, message, data.mic, frame, ack=data.fhdr.f_ctrl.ack):
                return candidate, f_cnt
    return None


def _half_signed(data: DataFrame, message: bytes, candidates: Sequence[Activation]) -> str:
    """What a 1.1 device's frame with only half a fitting MIC points to, in words; empty for any other."""
    for candidate in candidates:
        f_cnt = full_f_cnt(candidate.f_cnt_up, data.fhdr.f_cnt_16)
        if f_cnt is None or candidate.session.lorawan == "1.0":
            continue
        if candidate.half_signed(f_cnt, message, data.mic):
            if data.fhdr.f_ctrl.ack:
                return "FNwkSIntKey fits; it acknowledges another downlink than the last one sent from here"
            return "FNwkSIntKey fits, SNwkSIntKey does not"
    return ""
