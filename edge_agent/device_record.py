"""A device as JSON, for the control socket only: it holds keys and is never written or logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion
from edge_codecs.identifiers import DevEUI, JoinEUI

_SESSION_KEYS: Final = ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "app_s_key")


def to_record(device: Session | Registration) -> dict[str, Any]:
    """Everything that `from_record` needs."""
    record = {"dev_eui": str(device.dev_eui), "codec": device.codec, "codec_version": device.codec_version}
    if isinstance(device, Registration):
        return record | {
            "join_eui": str(device.join_eui),
            "version": str(device.version),
            "app_key": device.app_key.hex(),
            "nwk_key": None if device.nwk_key is None else device.nwk_key.hex(),
            "region_revision": device.region_revision,
        }
    return (
        record
        | {
            "dev_addr": str(device.dev_addr),
            "lorawan": device.lorawan,
            "number": device.number,
            "f_cnt_up": device.f_cnt_up,
        }
        | {name: getattr(device, name).hex() for name in _SESSION_KEYS}
    )


def from_record(record: Mapping[str, Any]) -> Session | Registration:
    """Raises KeyError or ValueError on a record that `to_record` did not make."""
    if "join_eui" in record:
        return Registration(
            dev_eui=DevEUI.parse(record["dev_eui"]),
            join_eui=JoinEUI.parse(record["join_eui"]),
            version=LoRaWANVersion.parse(record["version"]),
            app_key=AES128Key.parse(record["app_key"]),
            nwk_key=None if record["nwk_key"] is None else AES128Key.parse(record["nwk_key"]),
            region_revision=record["region_revision"],
            codec=record["codec"],
            codec_version=record["codec_version"],
        )
    return Session(
        dev_eui=DevEUI.parse(record["dev_eui"]),
        dev_addr=DevAddr.parse(record["dev_addr"]),
        lorawan=record["lorawan"],
        number=record["number"],
        f_cnt_up=record["f_cnt_up"],
        codec=record["codec"],
        codec_version=record["codec_version"],
        **{name: AES128Key.parse(record[name]) for name in _SESSION_KEYS},
    )
