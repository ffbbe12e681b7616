"""Frames as devices send them, made by the agent's own code."""

from __future__ import annotations

import random

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.fhdr import FHDR, FCtrl
from edge_agent.lorawan.frm_payload import crypt_f_opts, crypt_frm_payload
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.mhdr import Direction, MType
from edge_agent.lorawan.mic import downlink_mic_1_0, downlink_mic_1_1, uplink_mic_1_0, uplink_mic_1_1
from edge_agent.lorawan.phypayload import DataFrame
from edge_agent.lorawan.session import Session
from edge_agent.network.rx_frame import Crc, RxFrame
from edge_codecs.identifiers import DevEUI

REPORT = bytes.fromhex("11016e038416a817701702")  # one channel: 58.00 … 60.00, last 58.90 °C


def new_session(
    roll: random.Random,
    *,
    lorawan: str = "1.0",
    dev_addr: DevAddr | None = None,
    f_cnt_up: int | None = None,
    number: int = 0,
) -> Session:
    """A session with random keys."""
    keys = [AES128Key(roll.randbytes(16)) for _ in range(4)]
    f_int, s_int, enc, app = keys
    if lorawan == "1.0":
        s_int = enc = f_int
    return Session(
        dev_eui=DevEUI(roll.randbytes(8)),
        dev_addr=dev_addr or DevAddr(roll.randbytes(4)),
        lorawan=lorawan,
        f_nwk_s_int_key=f_int,
        s_nwk_s_int_key=s_int,
        nwk_s_enc_key=enc,
        app_s_key=app,
        number=number,
        f_cnt_up=f_cnt_up,
    )


def phy_payload(
    session: Session,
    f_cnt: int,
    payload: bytes = REPORT,
    *,
    f_port: int | None = 10,
    f_opts: bytes = b"",
    mtype: MType = MType.UNCONFIRMED_DATA_UP,
    adr: bool = False,
    ack: bool = False,
    conf_f_cnt: int = 0,
    tx_dr: int = 5,
    tx_ch: int = 0,
) -> bytes:
    """A data frame of this session, up or down; `payload` and `f_opts` in clear."""
    up = mtype in (MType.UNCONFIRMED_DATA_UP, MType.CONFIRMED_DATA_UP)
    direction = Direction.UP if up else Direction.DOWN
    dev_addr, old = session.dev_addr, session.lorawan == "1.0"
    f_int, s_int, enc, app = (
        AES128(key)
        for key in (
            session.f_nwk_s_int_key,
            session.s_nwk_s_int_key,
            session.nwk_s_enc_key,
            session.app_s_key,
        )
    )
    if not old:
        f_opts = crypt_f_opts(enc, direction, dev_addr, f_cnt, f_port, f_opts)
    if f_port is not None:
        payload = crypt_frm_payload(app if f_port else enc, direction, dev_addr, f_cnt, payload)
    else:
        payload = b""
    f_ctrl = FCtrl.build(adr=adr, ack=ack, f_opts_len=len(f_opts))
    frame = DataFrame(mtype, FHDR(dev_addr, f_ctrl, f_cnt & 0xFFFF, f_opts), f_port, payload, bytes(4))
    message = frame.message
    conf = conf_f_cnt if ack else 0
    if old:
        mic = (uplink_mic_1_0 if up else downlink_mic_1_0)(f_int, dev_addr, f_cnt, message)
    elif up:
        mic = uplink_mic_1_1(
            f_int, s_int, dev_addr, f_cnt, message, conf_f_cnt=conf, tx_dr=tx_dr, tx_ch=tx_ch
        )
    else:
        mic = downlink_mic_1_1(s_int, dev_addr, f_cnt, message, conf_f_cnt=conf)
    return message + mic


def heard(
    raw: bytes, *, crc: Crc = Crc.OK, frequency_hz: int = 868_100_000, data_rate: str = "SF7BW125"
) -> RxFrame:
    """The bytes as a front end hands them over."""
    return RxFrame(
        phy_payload=raw,
        crc=crc,
        monotonic_ns=1_000_000_000,
        gps_ms=None,
        frequency_hz=frequency_hz,
        data_rate=data_rate,
        rssi_dbm=-87,
        snr_db=7.5,
        source="test",
        forwarder=None,
        counter_us=None,
    )
