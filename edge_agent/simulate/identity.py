"""Who the simulated sensors are: identities and keys out of a seed, for tests, never for real devices."""

from __future__ import annotations

from hashlib import sha256

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion
from edge_codecs.identifiers import DevEUI, JoinEUI

JOIN_EUI = JoinEUI(bytes.fromhex("02c11b0000000001"))  # locally administered: nobody's
VERSIONS = (LoRaWANVersion.V1_0_3, LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1)
"""What the sensors that join were built to, in turn."""


def dev_eui_of(seed: int, number: int) -> DevEUI:
    """Sensor `number`, locally administered."""
    return DevEUI(bytes((2,)) + seed.to_bytes(3) + number.to_bytes(4))


def session_of(seed: int, number: int, f_cnt_start: int = 0) -> Session:
    """Address and session keys of sensor `number` that does not join."""
    nwk_s_key = _key("NwkSKey", seed, number)
    block = int.from_bytes(_derived("DevAddr", seed, 0)[:4])
    return Session(
        dev_eui=dev_eui_of(seed, number),
        dev_addr=DevAddr((block + number & 0x01FF_FFFF).to_bytes(4)),  # NetID 000000, for experiments
        lorawan="1.0",
        f_nwk_s_int_key=nwk_s_key,
        s_nwk_s_int_key=nwk_s_key,
        nwk_s_enc_key=nwk_s_key,
        app_s_key=_key("AppSKey", seed, number),
        f_cnt_up=f_cnt_start - 1 if f_cnt_start else None,
    )


def registration_of(seed: int, number: int) -> Registration:
    """Root keys of sensor `number` that joins."""
    version = VERSIONS[number % len(VERSIONS)]
    return Registration(
        dev_eui_of(seed, number),
        JOIN_EUI,
        version,
        app_key=_key("AppKey", seed, number),
        nwk_key=_key("NwkKey", seed, number) if version is LoRaWANVersion.V1_1 else None,
    )


def _key(name: str, seed: int, number: int) -> AES128Key:
    return AES128Key(_derived(name, seed, number)[:16])


def _derived(name: str, seed: int, number: int) -> bytes:
    return sha256(f"simulated Clip'R sensor|{name}|{seed}|{number}".encode()).digest()
