"""Between sensors and gateway: frames built, heard with plausible signal values, and disturbed. Pure."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from random import Random

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.fhdr import FHDR, FCtrl
from edge_agent.lorawan.frm_payload import crypt_frm_payload
from edge_agent.lorawan.mhdr import Direction, MType, mhdr
from edge_agent.lorawan.mic import uplink_mic_1_0
from edge_agent.lorawan.phypayload import DataFrame
from edge_agent.lorawan.session import Session

CHANNELS_HZ = (  # the gateway's usual eight in EU868
    867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000,
    868_100_000, 868_300_000, 868_500_000,
)  # fmt: skip
NOISE_FLOOR_DBM = -117  # 125 kHz, 6 dB noise figure
_MARGIN_DB = 10
_DEMODULATES_DB = {7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}


class Device:
    """A device's keys at work and its frame counter: messages in, PHYPayloads out (LoRaWAN 1.0)."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.f_cnt = 0 if session.f_cnt_up is None else session.f_cnt_up + 1
        self._nwk_s_key = AES128(session.f_nwk_s_int_key)
        self._app_s_key = AES128(session.app_s_key)

    def send(self, f_port: int, payload: bytes, *, confirmed: bool = False) -> bytes:
        """The PHYPayload of the next uplink; counts on."""
        dev_addr, f_cnt = self.session.dev_addr, self.f_cnt
        self.f_cnt = f_cnt + 1
        fhdr = FHDR(dev_addr, FCtrl.build(adr=True), f_cnt & 0xFFFF)
        text = crypt_frm_payload(self._app_s_key, Direction.UP, dev_addr, f_cnt, payload)
        mtype = MType.CONFIRMED_DATA_UP if confirmed else MType.UNCONFIRMED_DATA_UP
        message = DataFrame(mtype, fhdr, f_port, text, b"").message
        return message + uplink_mic_1_0(self._nwk_s_key, dev_addr, f_cnt, message)


@dataclass(frozen=True, slots=True)
class Heard:
    """How the gateway heard one frame."""

    frequency_hz: int
    data_rate: str
    rssi_dbm: int
    snr_db: float


class Link:
    """The way from one device to the gateway. The data rate is the fastest that the mean signal allows."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._rssi_dbm = min(-45.0, rng.gauss(-103, 14))
        self._rssi_dbm = max(-129.0, self._rssi_dbm)
        margin_db = self._rssi_dbm - NOISE_FLOOR_DBM - _MARGIN_DB
        fitting = (sf for sf, least_db in _DEMODULATES_DB.items() if margin_db >= least_db)
        self.data_rate = f"SF{next(fitting, 12)}BW125"

    def heard(
        self, weaker_db: float = 0.0, frequency_hz: int | None = None, data_rate: str | None = None
    ) -> Heard:
        """Signal values of the next frame, fading included. Its channel is any, its data rate the usual."""
        signal_dbm = self._rssi_dbm - weaker_db + self._rng.gauss(0, 2.5)
        snr_db = min(13.5, signal_dbm - NOISE_FLOOR_DBM + self._rng.gauss(0, 0.8))
        rssi_dbm = max(signal_dbm, NOISE_FLOOR_DBM + 1)  # what the channel measures includes the noise
        return Heard(
            frequency_hz or self._rng.choice(CHANNELS_HZ),
            data_rate or self.data_rate,
            round(rssi_dbm),
            round(max(-21.0, snr_db) * 4) / 4,
        )


def rxpk_text(phy_payload: bytes, heard: Heard, counter_us: int, stat: int = 1) -> str:
    """The rxpk object as a packet forwarder writes it. `stat` 1: CRC right, -1: wrong."""
    channel = CHANNELS_HZ.index(heard.frequency_hz) if heard.frequency_hz in CHANNELS_HZ else 0
    rf_chain = 1 if channel < 4 else 0
    return (
        f'{{"jver":1,"tmst":{counter_us & 0xFFFF_FFFF},"chan":{channel},"rfch":{rf_chain},'
        f'"freq":{heard.frequency_hz / 1e6:.6f},"mid":{channel},"stat":{stat},"modu":"LORA",'
        f'"datr":"{heard.data_rate}","codr":"4/5","rssis":{heard.rssi_dbm},"lsnr":{heard.snr_db:.1f},'
        f'"foff":0,"rssi":{heard.rssi_dbm},"size":{len(phy_payload)},'
        f'"data":"{b64encode(phy_payload).decode()}"}}'
    )


def stat_text(
    time: str, received: int, forwarded: int, ack_percent: float, asked: int = 0, sent: int = 0
) -> str:
    """The stat object as a packet forwarder writes it; `time` such as "2026-11-24 09:00:00 GMT"."""
    return json.dumps(
        {
            "time": time,
            "rxnb": received,
            "rxok": forwarded,
            "rxfw": forwarded,
            "ackr": round(ack_percent, 1),
            "dwnb": asked,
            "txnb": sent,
            "temp": 31.0,
        },
        separators=(",", ":"),
    )


def damaged(phy_payload: bytes, rng: Random) -> bytes:
    """The same frame with one to four bits turned over."""
    damaged_bytes = bytearray(phy_payload)
    for _ in range(rng.randint(1, 4)):
        damaged_bytes[rng.randrange(len(damaged_bytes))] ^= 1 << rng.randrange(8)
    return bytes(damaged_bytes)


def foreign_frame(rng: Random) -> bytes:
    """Something on the same channels that is not ours: it must be told from ours, and do no harm."""
    kind = rng.random()
    if kind < 0.6:  # a neighbour's device; DevAddr of another network
        mtype = rng.choice((MType.UNCONFIRMED_DATA_UP, MType.CONFIRMED_DATA_UP))
        return (
            mhdr(mtype)
            + rng.randbytes(3)
            + bytes((0x26 + 2 * rng.randrange(40),))
            + bytes((0x80,))
            + (rng.randbytes(2) + bytes((rng.randrange(1, 200),)) + rng.randbytes(rng.randint(4, 40)))
        )
    if kind < 0.75:  # wants to join somewhere
        return mhdr(MType.JOIN_REQUEST) + rng.randbytes(22)
    if kind < 0.85:
        return mhdr(MType.PROPRIETARY) + rng.randbytes(rng.randint(3, 60))
    if kind < 0.95:  # another gateway's downlink
        return (
            mhdr(MType.UNCONFIRMED_DATA_DOWN) + rng.randbytes(4) + b"\0" + rng.randbytes(rng.randint(6, 30))
        )
    return rng.randbytes(rng.randint(0, 8))
