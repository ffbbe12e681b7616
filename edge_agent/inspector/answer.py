"""What the frame inspector answers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from edge_agent.inspector.question import JOIN_REQUEST_TYPE, Question, read_question
from edge_agent.lorawan.fcnt import LAP
from edge_agent.lorawan.frm_payload import crypt_f_opts, crypt_frm_payload
from edge_agent.lorawan.join_accept import EncryptedJoinAccept, JoinAccept, parse_join_accept
from edge_agent.lorawan.join_request import JoinRequest
from edge_agent.lorawan.mac_commands import parse_mac_commands
from edge_agent.lorawan.malformed import MalformedFrame
from edge_agent.lorawan.mhdr import MTYPES, Direction
from edge_agent.lorawan.mic import (
    downlink_mic_1_0,
    downlink_mic_1_1,
    join_accept_mic_1_0,
    join_accept_mic_1_1,
    join_request_mic,
    rejoin_request_mic,
    uplink_mic_1_0,
    uplink_mic_fits_1_1,
)
from edge_agent.lorawan.phypayload import DataFrame, parse
from edge_agent.lorawan.rejoin_request import RejoinRequest
from edge_agent.network.reason import Reason

_UPPER_HALVES = 256  # searched where the MIC does not fit
_ANSWER = (
    "id",
    "mtype",
    "dev_addr",
    "adr",
    "ack",
    "f_cnt",
    "f_opts",
    "f_port",
    "frm_payload",
    "join_eui",
    "dev_eui",
    "dev_nonce",
    "join_nonce",
    "net_id",
    "mic",
    "mic_ok",
    "reason",
)


def inspect_frame(request: object) -> dict[str, Any]:
    """Answer one request of `edge-agent frame --lines`.

    Never raises: a request that cannot be read is answered with `error`. `mic_ok` is None where a key is
    missing. `reason` is what is wrong with the frame itself, None where nothing is.
    """
    if not isinstance(request, Mapping):
        return {"id": None, "error": "a request is a JSON object"}
    answer: dict[str, Any] = dict.fromkeys(_ANSWER)
    answer["id"] = request.get("id")
    try:
        question = read_question(request)
    except ValueError as error:
        return {"id": answer["id"], "error": str(error)}
    if question.phy_payload:
        answer["mtype"] = MTYPES[question.phy_payload[0] >> 5].text
    try:
        frame = parse(question.phy_payload)
    except MalformedFrame as error:
        return answer | {"reason": error.fault.value, "detail": str(error)}
    match frame:
        case DataFrame():
            answer |= _data_frame(frame, question)
        case JoinRequest():
            key = question.root_key
            answer |= {
                "join_eui": str(frame.join_eui),
                "dev_eui": str(frame.dev_eui),
                "dev_nonce": frame.dev_nonce,
                "mic": frame.mic.hex(),
                "mic_ok": None if key is None else join_request_mic(key, frame.message) == frame.mic,
            }
        case RejoinRequest():
            answer |= _rejoin_request(frame, question)
        case EncryptedJoinAccept():
            answer |= _join_accept(frame, question)
        case _:
            answer["payload"] = frame.payload.hex()
    if answer["mic_ok"] is False and answer["reason"] is None:
        answer["reason"] = Reason.MIC_FAILED.value
    return answer


def _data_frame(frame: DataFrame, question: Question) -> dict[str, Any]:
    fhdr = frame.fhdr
    f_cnt = question.f_cnt_msb * LAP + fhdr.f_cnt_16
    f_opts = _clear_f_opts(frame, f_cnt, question)
    payload = _clear_frm_payload(frame, f_cnt, question)
    up = frame.direction is Direction.UP
    answer: dict[str, Any] = {
        "dev_addr": str(fhdr.dev_addr),
        "adr": fhdr.f_ctrl.adr,
        "ack": fhdr.f_ctrl.ack,
        "f_cnt": f_cnt,
        "f_opts": None if f_opts is None else f_opts.hex(),
        "f_port": frame.f_port,
        "frm_payload": None if payload is None else payload.hex(),
        "f_opts_on_air": fhdr.f_opts.hex(),
        "frm_payload_on_air": frame.frm_payload.hex(),
        "mic": frame.mic.hex(),
        "mic_ok": _data_mic_ok(frame, f_cnt, question),
    }
    answer |= (
        {"adr_ack_req": fhdr.f_ctrl.adr_ack_req, "class_b": fhdr.f_ctrl.class_b}
        if up
        else {"f_pending": fhdr.f_ctrl.f_pending}
    )
    raw = payload if frame.f_port == 0 else f_opts
    if raw:
        commands, rest = parse_mac_commands(frame.direction, raw)
        answer["mac_commands"] = [{"cid": one.cid, "name": one.name, **one.fields()} for one in commands]
        answer["mac_commands_unread"] = rest.hex()
    if answer["mic_ok"] is False:
        for upper in range(_UPPER_HALVES):
            other = upper * LAP + fhdr.f_cnt_16
            if _data_mic_ok(frame, other, question):
                answer |= {"reason": Reason.MIC_FITS_OTHER_UPPER_COUNTER.value, "fitting_f_cnt": other}
                break
    return answer


def _data_mic_ok(frame: DataFrame, f_cnt: int, question: Question) -> bool | None:
    """Whether the MIC fits; None where a key is missing."""
    message = question.phy_payload[:-4]
    dev_addr = frame.fhdr.dev_addr
    up = frame.direction is Direction.UP
    if question.lorawan == "1.0":
        key = question.key("NwkSKey", "FNwkSIntKey")
        if key is None:
            return None
        mic = uplink_mic_1_0 if up else downlink_mic_1_0
        return mic(key, dev_addr, f_cnt, message) == frame.mic
    s_key = question.key("SNwkSIntKey")
    conf_f_cnt = question.conf_f_cnt if frame.fhdr.f_ctrl.ack else 0
    if not up:
        if s_key is None:
            return None
        return downlink_mic_1_1(s_key, dev_addr, f_cnt, message, conf_f_cnt=conf_f_cnt) == frame.mic
    f_key = question.key("FNwkSIntKey")
    if s_key is None or f_key is None:
        return None
    data_rates = range(16) if question.tx_dr is None else (question.tx_dr,)
    channels = range(96) if question.tx_ch is None else (question.tx_ch,)
    return uplink_mic_fits_1_1(
        f_key,
        s_key,
        dev_addr,
        f_cnt,
        message,
        frame.mic,
        conf_f_cnt=conf_f_cnt,
        tx_indices=product(data_rates, channels),
    )


def _clear_f_opts(frame: DataFrame, f_cnt: int, question: Question) -> bytes | None:
    f_opts = frame.fhdr.f_opts
    if question.lorawan == "1.0" or not f_opts:
        return f_opts
    key = question.key("NwkSEncKey")
    if key is None:
        return None
    return crypt_f_opts(key, frame.direction, frame.fhdr.dev_addr, f_cnt, frame.f_port, f_opts)


def _clear_frm_payload(frame: DataFrame, f_cnt: int, question: Question) -> bytes | None:
    if not frame.frm_payload:
        return b""
    if frame.f_port:
        key = question.key("AppSKey")
    else:
        key = question.key(*(("NwkSKey", "NwkSEncKey") if question.lorawan == "1.0" else ("NwkSEncKey",)))
    if key is None:
        return None
    return crypt_frm_payload(key, frame.direction, frame.fhdr.dev_addr, f_cnt, frame.frm_payload)


def _rejoin_request(frame: RejoinRequest, question: Question) -> dict[str, Any]:
    key = question.key("JSIntKey" if frame.rejoin_type == 1 else "SNwkSIntKey")
    return {
        "rejoin_type": frame.rejoin_type,
        "net_id": None if frame.net_id is None else str(frame.net_id),
        "join_eui": None if frame.join_eui is None else str(frame.join_eui),
        "dev_eui": str(frame.dev_eui),
        "rj_count": frame.rj_count,
        "mic": frame.mic.hex(),
        "mic_ok": None if key is None else rejoin_request_mic(key, frame.message) == frame.mic,
    }


def _join_accept(frame: EncryptedJoinAccept, question: Question) -> dict[str, Any]:
    """A join accept, as on air or already decrypted: whichever its MIC fits."""
    answers_rejoin = question.join_req_type != JOIN_REQUEST_TYPE
    key = question.key("JSEncKey") if answers_rejoin else question.root_key
    clear = parse_join_accept(frame.to_bytes())
    if key is None:
        # Only a frame that is in clear already can be judged.
        fits = _accept_mic_ok(clear, question)
        return _accept_fields(clear) | {"encrypted": False, "mic_ok": True} if fits else {}
    accept = frame.decrypt(key)
    judged = _accept_mic_ok(accept, question)
    if judged is False:
        if _accept_mic_ok(clear, question):
            return _accept_fields(clear) | {"encrypted": False, "mic_ok": True}
        return {"mic_ok": False}  # with a wrong key the fields would be noise
    return _accept_fields(accept) | {"encrypted": True, "mic_ok": judged}


def _accept_mic_ok(accept: JoinAccept, question: Question) -> bool | None:
    """Whether the MIC fits; None where something is missing."""
    if question.lorawan == "1.0" or not accept.opt_neg:
        key = question.root_key
        return None if key is None else join_accept_mic_1_0(key, accept.message) == accept.mic
    key, join_eui, dev_nonce = question.key("JSIntKey"), question.join_eui, question.dev_nonce
    if key is None or join_eui is None or dev_nonce is None:
        return None
    mic = join_accept_mic_1_1(key, question.join_req_type, join_eui, dev_nonce, accept.message)
    return mic == accept.mic


def _accept_fields(accept: JoinAccept) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "join_nonce": accept.join_nonce,
        "net_id": str(accept.net_id),
        "dev_addr": str(accept.dev_addr),
        "rx1_dr_offset": accept.rx1_dr_offset,
        "rx2_data_rate": accept.rx2_data_rate,
        "opt_neg": accept.opt_neg,
        "rx_delay_s": accept.rx_delay_s,
        "mic": accept.mic.hex(),
    }
    if accept.cf_list is not None:
        fields["cf_list"] = {
            "type": accept.cf_list.type,
            "frequencies_hz": list(accept.cf_list.frequencies_hz),
            "channel_masks": [f"{mask:04x}" for mask in accept.cf_list.channel_masks],
        }
    return fields
