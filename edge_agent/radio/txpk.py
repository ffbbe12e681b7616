"""A frame to send, as a txpk object (GWMP protocol text 1.6, section 6), and what a TX_ACK says of it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from math import floor

from edge_agent.network.answer import TxResult
from edge_agent.radio.gwmp import TxAck
from edge_codecs.identifiers import EUI64

FSK_DEVIATION_HZ = 25_000  # RP002-1.0.4, section 2: 50 kbit/s

_RESULTS = {
    "TOO_LATE": TxResult.TOO_LATE,
    "TOO_EARLY": TxResult.TOO_EARLY,
    "COLLISION_PACKET": TxResult.COLLISION,
    "COLLISION_BEACON": TxResult.COLLISION,
    "TX_FREQ": TxResult.TX_FREQ,
    "TX_POWER": TxResult.TX_POWER,
    "GPS_UNLOCKED": TxResult.GPS_UNLOCKED,
}


@dataclass(frozen=True, slots=True)
class TxFrame:
    """One frame for one packet forwarder, at a moment of its concentrator's counter.

    `counter_us` has 32 bits and wraps; it is never made from wall time. `power_dbm` is what leaves the
    forwarder's connector.
    """

    forwarder: EUI64
    host: str
    phy_payload: bytes
    counter_us: int
    frequency_hz: int
    data_rate: str  # "SF9BW125", or bit/s of FSK such as "50000"
    power_dbm: float


@dataclass(frozen=True, slots=True)
class TxOutcome:
    """What a front end says of a frame. `detail` is the forwarder's word, or the reason in ours."""

    result: TxResult
    detail: str = ""


def txpk(frame: TxFrame) -> dict[str, object]:
    """The object of a PULL_RESP. A LoRa downlink has inverted polarity and no CRC, one in FSK has one."""
    common: dict[str, object] = {
        "imme": False,
        "tmst": frame.counter_us,
        "freq": frame.frequency_hz / 1_000_000,
        "rfch": 0,
        "powe": floor(frame.power_dbm),
    }
    modulation: dict[str, object]
    if frame.data_rate.isdigit():
        modulation = {"modu": "FSK", "datr": int(frame.data_rate), "fdev": FSK_DEVIATION_HZ}
    else:
        modulation = {"modu": "LORA", "datr": frame.data_rate, "codr": "4/5", "ipol": True, "ncrc": True}
    data = base64.b64encode(frame.phy_payload).decode()
    return {**common, **modulation, "size": len(frame.phy_payload), "data": data}


def outcome_of(ack: TxAck) -> TxOutcome:
    """What the forwarder means. A warning counts as sent: it has taken another power."""
    if ack.error:
        return TxOutcome(_RESULTS.get(ack.error, TxResult.REFUSED), _printable(ack.error))
    if ack.warning:
        value = "" if ack.value is None else f" {ack.value} dBm"
        return TxOutcome(TxResult.SENT, _printable(ack.warning) + value)
    return TxOutcome(TxResult.SENT)


def _printable(word: str) -> str:
    """A stranger's word, fit for a terminal."""
    return re.sub(r"[^A-Za-z0-9_.-]", "?", word)
