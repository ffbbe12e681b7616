"""A frame told to a person."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from edge_agent.inspector.answer import inspect_frame
from edge_agent.network.message_facts import message_facts
from edge_agent.network.reason import Reason
from edge_codecs.clipr import CODECS, DecodeError

_HEX = re.compile(r"[0-9a-fA-F]+")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_SHORTEST_BASE64 = 16  # of a data frame without payload, 12 bytes
_LABELS = (
    ("mtype", "message type"),
    ("dev_addr", "DevAddr"),
    ("join_eui", "JoinEUI"),
    ("dev_eui", "DevEUI"),
    ("net_id", "NetID"),
    ("dev_nonce", "DevNonce"),
    ("join_nonce", "JoinNonce"),
    ("rejoin_type", "rejoin type"),
    ("rj_count", "RJcount"),
    ("rx1_dr_offset", "RX1 offset"),
    ("rx2_data_rate", "RX2 data rate"),
    ("opt_neg", "OptNeg"),
    ("rx_delay_s", "RxDelay"),
    ("cf_list", "CFList"),
    ("f_cnt", "FCnt"),
    ("f_port", "FPort"),
    ("f_opts", "FOpts"),
    ("frm_payload", "FRMPayload"),
    ("payload", "payload"),
    ("mic", "MIC"),
)
_FLAGS = ("adr", "adr_ack_req", "ack", "class_b", "f_pending")


def describe(
    text: str,
    *,
    lorawan: str = "1.0",
    keys: Mapping[str, str] | None = None,
    f_cnt_msb: int = 0,
    context: Mapping[str, Any] | None = None,
    codec: tuple[str, int] = ("clipr", 1),
) -> list[str]:
    """Lines for a person about a PHYPayload in hex or base64; the rest as in a request of `inspect_frame`.

    Raises ValueError where `text`, a key or the context cannot be read; the error never repeats a key.
    """
    phy_payload = _bytes_of(text)
    request = {"lorawan": lorawan, "keys": keys, "f_cnt_msb": f_cnt_msb, "context": context}
    answer = inspect_frame(request | {"hex": phy_payload.hex()})
    if "error" in answer:
        raise ValueError(answer["error"])
    lines = [_line("length", f"{len(phy_payload)} bytes")]
    lines += [
        _line(label, _text(answer[name])) for name, label in _LABELS if answer.get(name) not in (None, "")
    ]
    flags = [name.upper().replace("_", " ") for name in _FLAGS if answer.get(name)]
    if flags:
        lines.append(_line("flags", ", ".join(flags)))
    for command in answer.get("mac_commands", ()):
        fields = {name: value for name, value in command.items() if name not in ("cid", "name")}
        lines.append(_line("MAC command", f"{command['name']} {_text(fields)}".rstrip()))
    if answer.get("mac_commands_unread"):
        lines.append(_line("not read", f"{answer['mac_commands_unread']} (no MAC command of the core set)"))
    if answer.get("frm_payload") is None and answer.get("frm_payload_on_air"):
        lines.append(_line("FRMPayload", f"{answer['frm_payload_on_air']} (encrypted)"))
    return lines + _verdict(answer) + _message(answer, codec)


def _verdict(answer: Mapping[str, Any]) -> list[str]:
    lines = []
    if answer["mic_ok"] is not None:
        lines.append(_line("MIC fits", "yes" if answer["mic_ok"] else "no"))
    elif answer["mic"] is not None or answer["mtype"] == "JoinAccept":
        lines.append(_line("MIC fits", "not known: the keys for it were not given"))
    if "fitting_f_cnt" in answer:
        lines.append(_line("fits with", f"FCnt {answer['fitting_f_cnt']}"))
    if answer["reason"] is not None:
        lines.append(_line("reason", f"{answer['reason']}: {Reason(answer['reason']).sentence}"))
    if "detail" in answer:
        lines.append(_line("detail", answer["detail"]))
    return lines


def _message(answer: Mapping[str, Any], codec: tuple[str, int]) -> list[str]:
    f_port, payload = answer["f_port"], answer["frm_payload"]
    if not f_port or not payload or answer["mic_ok"] is False or not answer["mtype"].endswith("Up"):
        return []
    name = f"{codec[0]} {codec[1]}"
    try:
        message = CODECS[codec](f_port, bytes.fromhex(payload))
    except DecodeError as error:
        return [_line(name, f"not decoded: {error}")]
    return [_line(name, f"{fact} {_text(value)}") for fact, value in message_facts(message).items()]


def _text(value: object) -> str:
    """A fact on one line: groups as "name value, name value", lists by semicolons."""
    match value:
        case Mapping():
            return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
        case list():
            return "; ".join(map(_text, value)) or "none"
        case None:
            return "none"
        case _:
            return str(value)


def _line(label: str, value: object) -> str:
    return f"{label:14} {value}"


def _bytes_of(text: str) -> bytes:
    """Hex, or base64 in either alphabet with or without padding. Raises ValueError."""
    digits = "".join(text.split())
    if not digits or _HEX.fullmatch(digits):
        if len(digits) % 2:
            raise ValueError("an odd number of hex digits: one is missing or too many")
        return bytes.fromhex(digits)
    strange = sorted(set(digits) - _HEX_DIGITS)
    if len(digits) < _SHORTEST_BASE64 or len(strange) <= 2:  # hex with a slip of the finger, not base64
        raise ValueError(f"neither hex ({' '.join(strange)} are no hex digits) nor base64")
    standard = digits.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        raise ValueError("a PHYPayload is given in hex or base64") from None
