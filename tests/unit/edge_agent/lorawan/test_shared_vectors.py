"""Known answers out of the test suites of five open projects, where this workspace holds them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edge_agent.inspector import inspect_frame
from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.airtime import Modulation, airtime_us, payload_symbols
from edge_agent.lorawan.cflist import parse_cflist
from edge_agent.lorawan.fhdr import FCtrl
from edge_agent.lorawan.frm_payload import crypt_f_opts, crypt_frm_payload
from edge_agent.lorawan.gps_time import gps_seconds, utc_of_gps_seconds
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_accept import EncryptedJoinAccept, parse_join_accept, parse_join_accept_body
from edge_agent.lorawan.key_derivation import join_server_keys, session_keys_1_0, session_keys_1_1
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.keywrap import unwrap, wrap
from edge_agent.lorawan.mac_commands import build_mac_commands, parse_mac_commands
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.mic import (
    downlink_mic_1_0,
    downlink_mic_1_1,
    join_accept_mic_1_1,
    uplink_mic_1_0,
    uplink_mic_1_1,
)
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.phypayload import DataFrame, Proprietary, parse, parse_mac_payload
from edge_codecs.identifiers import DevEUI, JoinEUI

FILE = Path(__file__).parents[5] / "shared" / "vectors" / "lorawan.json"

LATER = {
    "station_json",
    "station_reject",
    "ping_offset",
}
"""Kinds of things that the agent does not have yet."""

ELSEWHERE = {"region_eu868", "duty_cycle_eu868", "qr_tr005"}
"""Kinds of `test_region_vectors`. A kind that is nowhere fails."""

Vector = dict[str, Any]

CONTRADICTED = {"tts-mac13-DevStatusAns"}
"""Known answers that others contradict.

A margin of 0x2f is −17 as a signed 6-bit number (LoRaWAN 1.0.4, section 5.5), and cs-mac15 and cs-mac17
count so, too. This one says −16: a sign, and the one's complement of the rest.
"""


def load() -> list[Vector]:
    return json.loads(FILE.read_text())["vectors"] if FILE.exists() else []


VECTORS = load()
pytestmark = pytest.mark.skipif(not VECTORS, reason=f"no {FILE}")


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    covered.update(kinds)
    chosen = [
        v
        for v in VECTORS
        if v["kind"] in kinds
        and "disputed" not in v
        and v.get("group") != "relay"
        and v["id"] not in CONTRADICTED
    ]
    return pytest.mark.parametrize("vector", chosen, ids=[v["id"] for v in chosen])


covered: set[str] = set()


def aes(text: str) -> AES128:
    return AES128(AES128Key.parse(text))


def ask(vector: Vector) -> Vector:
    """The vector as the frame inspector is asked it."""
    names = {"conf_fcnt": "conf_f_cnt", "joineui": "join_eui", "devnonce": "dev_nonce"}
    context = {names.get(name, name): value for name, value in vector.get("context", {}).items()}
    return inspect_frame({**vector, "context": context})


SPELLING = {
    "mtype": "mtype",
    "devaddr": "dev_addr",
    "adr": "adr",
    "adrackreq": "adr_ack_req",
    "ack": "ack",
    "classb": "class_b",
    "fpending": "f_pending",
    "fcnt": "f_cnt",
    "fopts": "f_opts",
    "fport": "f_port",
    "frmpayload": "frm_payload",
    "frmpayload_raw": "frm_payload_on_air",
    "mic": "mic",
    "mic_ok": "mic_ok",
    "joineui": "join_eui",
    "deveui": "dev_eui",
    "devnonce": "dev_nonce",
    "joinnonce": "join_nonce",
    "netid": "net_id",
    "rejoin_type": "rejoin_type",
    "rjcount": "rj_count",
    "rx1_dr_offset": "rx1_dr_offset",
    "rx2_dr": "rx2_data_rate",
    "optneg": "opt_neg",
    "rx_delay": "rx_delay_s",
}


def expected(vector: Vector, *leave_out: str) -> Vector:
    """The expectation under our names."""
    return {SPELLING[name]: value for name, value in vector["expect"].items() if name not in leave_out}


def part(answer: Vector, like: Vector) -> Vector:
    return {name: answer.get(name) for name in like}


@of_kind("data_frame")
def test_data_frame(vector: Vector) -> None:
    answer = ask(vector)
    want = expected(vector, "mac", "fopts_encrypted")
    in_clear = vector["expect"].get("fopts_encrypted") is False
    if in_clear:
        assert answer["f_opts_on_air"] == want.pop("f_opts")
    assert part(answer, want) == want
    assert answer["reason"] == (None if answer["mic_ok"] is not False else "mic_failed")
    if "mac" in vector["expect"] and not in_clear:
        short = {"data_rate_ack": "dr_ack"}
        got = [
            {short.get(name, name): value for name, value in command.items()}
            for command in answer["mac_commands"]
        ]
        assert got == vector["expect"]["mac"]
        assert answer["mac_commands_unread"] == ""


@of_kind("data_frame")
def test_data_frame_is_built_again_bit_for_bit(vector: Vector) -> None:
    frame = parse(bytes.fromhex(vector["hex"]))
    assert frame.to_bytes().hex() == vector["hex"]


@of_kind("join_request", "rejoin_request", "join_accept", "join_accept_clear", "proprietary")
def test_other_frames(vector: Vector) -> None:
    want = expected(vector, "cflist_freq_hz")
    answer = ask(vector)
    assert part(answer, want) == want
    assert parse(bytes.fromhex(vector["hex"])).to_bytes().hex() == vector["hex"]


@of_kind("join_accept")
def test_join_accept_is_encrypted_as_by_others(vector: Vector) -> None:
    key = aes(vector["keys"].get("NwkKey") or vector["keys"]["AppKey"])
    frame = parse(bytes.fromhex(vector["hex"]))
    assert isinstance(frame, EncryptedJoinAccept)
    clear = parse_join_accept(bytes.fromhex(vector["decrypted"]))
    assert frame.decrypt(key) == clear
    assert clear.encrypt(key) == frame


@of_kind("join_accept_body")
def test_join_accept_body(vector: Vector) -> None:
    body = parse_join_accept_body(bytes.fromhex(vector["hex"]))
    assert body.body.hex() == vector["hex"]
    want = expected(vector, "cflist_freq_hz")
    got = {
        "join_nonce": body.join_nonce,
        "net_id": str(body.net_id),
        "dev_addr": str(body.dev_addr),
        "rx1_dr_offset": body.rx1_dr_offset,
        "rx2_data_rate": body.rx2_data_rate,
        "opt_neg": body.opt_neg,
        "rx_delay_s": body.rx_delay_s,
    }
    assert got == want
    frequencies = None if body.cf_list is None else list(body.cf_list.frequencies_hz)
    assert frequencies == vector["expect"].get("cflist_freq_hz")


@of_kind("join_accept_mic")
def test_join_accept_mic(vector: Vector) -> None:
    context = vector["context"]
    mic = join_accept_mic_1_1(
        aes(vector["keys"]["JSIntKey"]),
        context["join_req_type"],
        JoinEUI.parse(context["joineui"]),
        int(context["devnonce"], 16),
        bytes.fromhex(vector["msg"]),
    )
    assert mic.hex() == vector["mic"]


@of_kind("parse")
def test_parse(vector: Vector) -> None:
    want = expected(vector, "fopts")
    answer = ask(vector)
    assert part(answer, want) == want
    assert answer.get("f_opts_on_air") == vector["expect"].get("fopts")


@of_kind("mac_payload")
def test_mac_payload(vector: Vector) -> None:
    fhdr, f_port, frm_payload = parse_mac_payload(bytes.fromhex(vector["hex"]))
    got = {
        "devaddr": str(fhdr.dev_addr),
        "adr": fhdr.f_ctrl.adr,
        "fcnt": fhdr.f_cnt_16,
        "fopts": fhdr.f_opts.hex(),
        "fport": f_port,
        "frmpayload_raw": frm_payload.hex(),
    }
    assert {name: got[name] for name in vector["expect"]} == vector["expect"]


@of_kind("mic")
def test_mic(vector: Vector) -> None:
    dev_addr, f_cnt = DevAddr.parse(vector["devaddr"]), vector["fcnt"]
    message = bytes.fromhex(vector["msg"])
    keys = {name: aes(text) for name, text in vector["keys"].items()}
    context = vector.get("context", {})
    match vector["lorawan"], vector["direction"]:
        case "1.0", "up":
            mic = uplink_mic_1_0(keys["NwkSKey"], dev_addr, f_cnt, message)
        case "1.0", "down":
            mic = downlink_mic_1_0(keys["NwkSKey"], dev_addr, f_cnt, message)
        case "1.1", "up":
            mic = uplink_mic_1_1(
                keys["FNwkSIntKey"],
                keys["SNwkSIntKey"],
                dev_addr,
                f_cnt,
                message,
                conf_f_cnt=context["conf_fcnt"],
                tx_dr=context["tx_dr"],
                tx_ch=context["tx_ch"],
            )
        case _:
            mic = downlink_mic_1_1(
                keys["SNwkSIntKey"], dev_addr, f_cnt, message, conf_f_cnt=context["conf_fcnt"]
            )
    assert mic.hex() == vector["mic"]


@of_kind("payload_crypt")
def test_payload_crypt(vector: Vector) -> None:
    key, dev_addr, f_cnt = aes(vector["key"]), DevAddr.parse(vector["devaddr"]), vector["fcnt"]
    direction = Direction[vector["direction"].upper()]
    for text, other in (("plain", "cipher"), ("cipher", "plain")):
        raw = bytes.fromhex(vector[text])
        if vector["fopts_block"]:
            f_port = 1 if vector["a_block"]["byte4"] == 2 else None
            crypted = crypt_f_opts(key, direction, dev_addr, f_cnt, f_port, raw)
        else:
            crypted = crypt_frm_payload(key, direction, dev_addr, f_cnt, raw)
        assert crypted.hex() == vector[other]


@of_kind("key_derivation")
def test_key_derivation(vector: Vector) -> None:
    given = vector["params"]
    key = {name: AES128Key.parse(given[name]) for name in ("AppKey", "NwkKey") if name in given}
    numbers = {name: int(given[name], 16) for name in ("joinnonce", "devnonce") if name in given}
    if vector["scheme"] == "js":
        js_keys = join_server_keys(key["NwkKey"], DevEUI.parse(given["deveui"]))
        got = {"JSIntKey": js_keys.js_int_key.hex(), "JSEncKey": js_keys.js_enc_key.hex()}
        assert got == vector["expect"]
        return
    if vector["scheme"] == "1.0":
        net_id = NetID.parse(given["netid"])
        keys = session_keys_1_0(key["AppKey"], numbers["joinnonce"], net_id, numbers["devnonce"])
    else:
        join_eui = JoinEUI.parse(given["joineui"])
        keys = session_keys_1_1(
            key["NwkKey"], key["AppKey"], numbers["joinnonce"], join_eui, numbers["devnonce"]
        )
    got = {
        "NwkSKey": keys.f_nwk_s_int_key.hex(),
        "FNwkSIntKey": keys.f_nwk_s_int_key.hex(),
        "SNwkSIntKey": keys.s_nwk_s_int_key.hex(),
        "NwkSEncKey": keys.nwk_s_enc_key.hex(),
        "AppSKey": keys.app_s_key.hex(),
    }
    assert {name: got[name] for name in vector["expect"]} == vector["expect"]


FIELDS = {
    "dev_lorawan_version": "minor",
    "serv_lorawan_version": "minor",
    "MinorVersion": "minor",
    "Margin": "margin",
    "GatewayCount": "gw_cnt",
    "dr": "data_rate",
    "DataRateIndex": "data_rate",
    "TxPowerIndex": "tx_power",
    "ChannelMaskControl": "ch_mask_cntl",
    "NbTrans": "nb_trans",
    "nb_rep": "nb_trans",
    "ChannelMaskBits": "ch_mask",
    "ch_mask_ack": "channel_mask_ack",
    "ChannelMaskAck": "channel_mask_ack",
    "tx_power_ack": "power_ack",
    "TxPowerIndexAck": "power_ack",
    "MaxDutyCycle": "max_duty_cycle",
    "rx2_dr": "rx2_data_rate",
    "Rx1DataRateOffset": "rx1_dr_offset",
    "Rx2DataRateIndex": "rx2_data_rate",
    "Rx2Frequency": "frequency",
    "rx2_dr_ack": "rx2_data_rate_ack",
    "Rx2DataRateIndexAck": "rx2_data_rate_ack",
    "Rx2FrequencyAck": "channel_ack",
    "Rx1DataRateOffsetAck": "rx1_dr_offset_ack",
    "Battery": "battery",
    "freq": "frequency",
    "Frequency": "frequency",
    "ChannelIndex": "ch_index",
    "MaxDataRateIndex": "max_dr",
    "MinDataRateIndex": "min_dr",
    "channel_freq_ok": "channel_frequency_ok",
    "dr_range_ok": "data_rate_range_ok",
    "uplink_freq_exists": "uplink_frequency_exists",
    "ChannelIndexAck": "channel_frequency_ok",
    "dr_ok": "data_rate_ok",
    "delay": "delay_s",
    "Delay": "delay_s",
    "MaxEirpIndex": "max_eirp",
    "UplinkDwellTime": "uplink_dwell_time",
    "DownlinkDwellTime": "downlink_dwell_time",
    "AdrAckDelayExponent": "delay_exp",
    "AdrAckLimitExponent": "limit_exp",
    "s": "gps_seconds",
    "frac256": "fraction_256",
    "PeriodExponent": "period",
    "MaxRetries": "max_retries",
    "RejoinType": "rejoin_type",
    "MaxTimeExponent": "max_time_n",
    "MaxCountExponent": "max_count_n",
    "MaxTimeExponentAck": "time_ok",
    "Period": "periodicity",
    "beacon_freq_ok": "beacon_frequency_ok",
    "class": "device_class",
    "Class": "device_class",
}
BY_COMMAND = {
    ("LinkADRAns", "DataRateIndexAck"): "data_rate_ack",
    ("LinkADRAns", "dr_ack"): "data_rate_ack",
    ("NewChannelAns", "FrequencyAck"): "channel_frequency_ok",
    ("NewChannelAns", "DataRateAck"): "data_rate_range_ok",
    # The index is refused where no such uplink channel exists.
    ("DlChannelAns", "ChannelIndexAck"): "channel_frequency_ok",
    ("DlChannelAns", "FrequencyAck"): "uplink_frequency_exists",
    ("PingSlotChannelAns", "DataRateIndexAck"): "data_rate_ok",
    ("PingSlotChannelAns", "FrequencyAck"): "channel_frequency_ok",
    ("BeaconFreqAns", "FrequencyAck"): "beacon_frequency_ok",
    ("BeaconTimingAns", "Delay"): "delay",
    ("BeaconTimingAns", "ChannelIndex"): "channel",
}
VALUES = {
    "LoRaWAN1_1": 1,
    "NoLimit": False,
    "Limit400ms": True,
    "ClassA": 0,
    "ClassC": 2,
    "Class_CLASS_A": 0,
    "Class_CLASS_C": 2,
    "mask_bit_2": 1 << 2,
    "DeviceEIRP_DEVICE_EIRP_36": 15,
    "ADRAckDelayExponent_ADR_ACK_DELAY_4": 2,
    "ADRAckLimitExponent_ADR_ACK_LIMIT_16": 4,
}


def flat(fields: Vector) -> Vector:
    """Nested groups of fields laid open; `opt_neg` is a join accept's and always unset in a command."""
    out: Vector = {}
    for name, value in fields.items():
        out |= flat(value) if isinstance(value, dict) else {name: value}
    if "opt_neg" in out:
        assert out.pop("opt_neg") is False
    return out


def ours(value: object) -> object:
    if isinstance(value, list):
        return sum(1 << bit for bit in value)
    return VALUES[value] if isinstance(value, str) else value


@of_kind("mac_command")
def test_mac_command(vector: Vector) -> None:
    raw = bytes.fromhex(vector["hex"])
    commands, rest = parse_mac_commands(Direction[vector["direction"].upper()], raw)
    assert rest == b""
    (command,) = commands
    name = vector["name"].split("/")[0].removesuffix("-Freq0")
    assert command.name.lower() == name.lower()
    got = command.fields()
    want = {
        BY_COMMAND.get((command.name, field), FIELDS.get(field, field)): ours(value)
        for field, value in flat(vector["fields"]).items()
    }
    assert want.keys() <= got.keys()
    assert {field: got[field] for field in want} == want
    assert build_mac_commands(commands) == raw


@of_kind("cflist")
def test_cflist(vector: Vector) -> None:
    cf_list = parse_cflist(bytes.fromhex(vector["hex"]))
    want = vector["expect"]
    assert cf_list.type == want["type"]
    assert list(cf_list.frequencies_hz) == want.get("freq_hz", [])
    masks = [f"{mask:04x}" for mask in cf_list.channel_masks]
    given = want.get("masks", [])
    assert masks[: len(given)] == given
    assert set(masks[len(given) :]) <= {"0000"}
    assert cf_list.to_bytes().hex() == vector["hex"]


@of_kind("fctrl")
def test_fctrl(vector: Vector) -> None:
    f_ctrl = FCtrl(int(vector["hex"], 16))
    want = {"adr": False, "adrackreq": False, "ack": False, "fpending_or_classb": False} | vector["expect"]
    got = {
        "adr": f_ctrl.adr,
        "adrackreq": f_ctrl.adr_ack_req,
        "ack": f_ctrl.ack,
        "fpending_or_classb": f_ctrl.class_b and f_ctrl.f_pending,
        "fopts_len": f_ctrl.f_opts_len,
    }
    assert got == want
    built = FCtrl.build(
        adr=got["adr"],
        adr_ack_req=got["adrackreq"],
        ack=got["ack"],
        class_b_or_f_pending=got["fpending_or_classb"],
        f_opts_len=got["fopts_len"],
    )
    assert built == f_ctrl


@of_kind("netid")
def test_netid(vector: Vector) -> None:
    net_id = NetID.parse(vector["netid"])
    assert net_id.type == vector["expect"]["type"]
    assert net_id.id == int(vector["expect"]["id"], 16)


@of_kind("keywrap_rfc3394")
def test_keywrap(vector: Vector) -> None:
    kek, plain = bytes.fromhex(vector["kek"]), bytes.fromhex(vector["plain"])
    wrapped = bytes.fromhex(vector["wrapped"])
    assert wrap(kek, plain) == wrapped
    assert unwrap(kek, wrapped) == plain


def modulation(given: Vector) -> Modulation:
    return Modulation(
        given["sf"],
        bandwidth_hz=given.get("bw_khz", 125) * 1000,
        coding_rate=given["cr"],
        preamble_symbols=given.get("preamble", 8),
        explicit_header=given["explicit_header"],
        low_data_rate_optimise=given["low_dr_opt"],
        crc=given["crc"],
    )


@of_kind("airtime", "airtime_symbols")
def test_airtime(vector: Vector) -> None:
    given = vector["params"]
    got = {
        "payload_symbols": payload_symbols(given["phy_len"], modulation(given)),
        "airtime_us": airtime_us(given["phy_len"], modulation(given)),
    }
    assert {name: got[name] for name in vector["expect"]} == vector["expect"]


@of_kind("gps_time")
def test_gps_time(vector: Vector) -> None:
    utc = datetime.fromisoformat(vector["utc"])
    assert gps_seconds(utc) == vector["gps_seconds"]
    assert utc_of_gps_seconds(vector["gps_seconds"]) == utc


def test_proprietary_is_kept_as_it_came() -> None:
    for vector in VECTORS:
        if vector["kind"] == "proprietary":
            frame = parse(bytes.fromhex(vector["hex"]))
            assert isinstance(frame, Proprietary)
            assert frame.payload.hex() == vector["hex"][2:]


def test_data_frames_are_data_frames() -> None:
    frames = [parse(bytes.fromhex(v["hex"])) for v in VECTORS if v["kind"] == "data_frame"]
    assert all(isinstance(frame, DataFrame) for frame in frames)


def test_no_kind_is_forgotten() -> None:
    assert {vector["kind"] for vector in VECTORS} == covered | LATER | ELSEWHERE
