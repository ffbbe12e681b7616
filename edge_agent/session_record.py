"""A device's session as JSON, for the control socket only: it holds keys and is never written or logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.session import Session
from edge_codecs.identifiers import DevEUI

_KEYS = ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "app_s_key")


def to_record(session: Session) -> dict[str, Any]:
    """Everything that `from_record` needs."""
    return {
        "dev_eui": str(session.dev_eui),
        "dev_addr": str(session.dev_addr),
        "lorawan": session.lorawan,
        "number": session.number,
        "f_cnt_up": session.f_cnt_up,
        "codec": session.codec,
        "codec_version": session.codec_version,
    } | {name: bytes(getattr(session, name)).hex() for name in _KEYS}


def from_record(record: Mapping[str, Any]) -> Session:
    """Raises KeyError or ValueError on a record that `to_record` did not make."""
    return Session(
        dev_eui=DevEUI.parse(record["dev_eui"]),
        dev_addr=DevAddr.parse(record["dev_addr"]),
        lorawan=record["lorawan"],
        number=record["number"],
        f_cnt_up=record["f_cnt_up"],
        codec=record["codec"],
        codec_version=record["codec_version"],
        **{name: AES128Key(bytes.fromhex(record[name])) for name in _KEYS},
    )
