"""One session of a class A device: keys, counters, frames built and opened (TS001, sections 4.3 and 4.4)."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.fcnt import LAP, MAX_F_CNT
from edge_agent.lorawan.fhdr import FHDR, FCtrl
from edge_agent.lorawan.frm_payload import crypt_f_opts, crypt_frm_payload
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.key_derivation import SessionKeys
from edge_agent.lorawan.mhdr import Direction, MType
from edge_agent.lorawan.mic import downlink_mic_1_0, downlink_mic_1_1, uplink_mic_1_0, uplink_mic_1_1
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.phypayload import DataFrame
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion

MAX_F_CNT_GAP = 16_384  # up to 1.0.3: frames that may be lost in a row
_GAP_VERSIONS = (LoRaWANVersion.V1_0_0, LoRaWANVersion.V1_0_1, LoRaWANVersion.V1_0_2, LoRaWANVersion.V1_0_3)


@dataclass(frozen=True, slots=True)
class Uplink:
    """An uplink in clear. `acknowledges` is the counter of a confirmed downlink, None without."""

    f_cnt: int
    f_port: int | None
    payload: bytes
    f_opts: bytes
    confirmed: bool
    adr: bool
    adr_ack_req: bool
    acknowledges: int | None


@dataclass(frozen=True, slots=True)
class Downlink:
    """A downlink in clear, its MIC and counter proven."""

    f_cnt: int
    f_port: int | None
    payload: bytes
    f_opts: bytes
    confirmed: bool
    ack: bool


class DeviceSession:
    """The device's side of a session. `is_1_1` is what it was activated to, not what the device could."""

    def __init__(
        self,
        dev_addr: DevAddr,
        net_id: NetID | None,
        keys: SessionKeys,
        version: LoRaWANVersion,
        *,
        is_1_1: bool,
        f_cnt_up: int = 0,
    ) -> None:
        self.dev_addr = dev_addr
        self.net_id = net_id
        self.is_1_1 = is_1_1
        self.f_cnt_up = f_cnt_up  # of the next uplink
        self.acknowledges: int | None = None  # a confirmed downlink, in the next uplink
        self.confirmed_f_cnt: int | None = None  # of an uplink that waits for its acknowledgement
        self._max_gap = MAX_F_CNT_GAP if version in _GAP_VERSIONS else MAX_F_CNT
        self._f_nwk_s_int_key = AES128(keys.f_nwk_s_int_key)
        self._s_nwk_s_int_key = AES128(keys.s_nwk_s_int_key)
        self._nwk_s_enc_key = AES128(keys.nwk_s_enc_key)
        self._app_s_key = AES128(keys.app_s_key)
        self._n_f_cnt_down: int | None = None
        self._a_f_cnt_down: int | None = None

    def build(self, uplink: Uplink, tx_dr: int, tx_ch: int) -> bytes:
        """The PHYPayload of an uplink. Under 1.1 its MIC covers data rate and channel."""
        up, addr, f_cnt = Direction.UP, self.dev_addr, uplink.f_cnt
        f_opts = uplink.f_opts
        if self.is_1_1 and f_opts:
            f_opts = crypt_f_opts(self._nwk_s_enc_key, up, addr, f_cnt, uplink.f_port, f_opts)
        f_ctrl = FCtrl.build(
            adr=uplink.adr,
            adr_ack_req=uplink.adr_ack_req,
            ack=uplink.acknowledges is not None,
            f_opts_len=len(f_opts),
        )
        key = self._app_s_key if uplink.f_port else self._nwk_s_enc_key
        payload = crypt_frm_payload(key, up, addr, f_cnt, uplink.payload)
        mtype = MType.CONFIRMED_DATA_UP if uplink.confirmed else MType.UNCONFIRMED_DATA_UP
        fhdr = FHDR(addr, f_ctrl, f_cnt & 0xFFFF, f_opts)
        message = DataFrame(mtype, fhdr, uplink.f_port, payload, b"").message
        if not self.is_1_1:
            return message + uplink_mic_1_0(self._f_nwk_s_int_key, addr, f_cnt, message)
        return message + uplink_mic_1_1(
            self._f_nwk_s_int_key,
            self._s_nwk_s_int_key,
            addr,
            f_cnt,
            message,
            conf_f_cnt=(uplink.acknowledges or 0) & 0xFFFF,
            tx_dr=tx_dr,
            tx_ch=tx_ch,
        )

    def open(self, frame: DataFrame) -> Downlink | str:
        """A downlink in clear, or why it is none for this device. What is opened has moved the counter."""
        if frame.direction is not Direction.DOWN:
            return "an uplink"
        if frame.fhdr.dev_addr != self.dev_addr:
            return f"for DevAddr {frame.fhdr.dev_addr}"
        uses_a = self.is_1_1 and bool(frame.f_port)
        last = self._a_f_cnt_down if uses_a else self._n_f_cnt_down
        name = ("AFCntDown" if uses_a else "NFCntDown") if self.is_1_1 else "FCntDown"
        f_cnt = _next_with(last, frame.fhdr.f_cnt_16)
        if f_cnt is None:
            return f"{name} is used up"
        ack = frame.fhdr.f_ctrl.ack
        if not self._mic_fits(frame, f_cnt, ack=ack):
            if last is not None and self._mic_fits(frame, f_cnt - LAP, ack=ack):
                return f"{name} {f_cnt - LAP} after {last}: used before"
            return f"wrong MIC for {name} {f_cnt}"
        if last is not None and f_cnt - last >= self._max_gap:
            return f"{name} {f_cnt} after {last}: too many are missing"
        if ack and self.confirmed_f_cnt is None:
            return "acknowledges, and no uplink waits for it"
        if frame.f_port == 0 and frame.fhdr.f_opts:
            return "MAC commands both in FOpts and on FPort 0"
        if uses_a:
            self._a_f_cnt_down = f_cnt
        else:
            self._n_f_cnt_down = f_cnt
        return self._opened(frame, f_cnt)

    def _opened(self, frame: DataFrame, f_cnt: int) -> Downlink:
        down, f_opts = Direction.DOWN, frame.fhdr.f_opts
        if self.is_1_1 and f_opts:
            key = self._nwk_s_enc_key
            f_opts = crypt_f_opts(key, down, self.dev_addr, f_cnt, frame.f_port, f_opts)
        key = self._app_s_key if frame.f_port else self._nwk_s_enc_key
        payload = crypt_frm_payload(key, down, self.dev_addr, f_cnt, frame.frm_payload)
        if frame.confirmed:
            self.acknowledges = f_cnt
        ack = frame.fhdr.f_ctrl.ack
        if ack:
            self.confirmed_f_cnt = None
        return Downlink(f_cnt, frame.f_port, payload, f_opts, frame.confirmed, ack)

    def _mic_fits(self, frame: DataFrame, f_cnt: int, *, ack: bool) -> bool:
        if f_cnt < 0:
            return False
        if not self.is_1_1:
            right = downlink_mic_1_0(self._s_nwk_s_int_key, self.dev_addr, f_cnt, frame.message)
        else:
            conf_f_cnt = (self.confirmed_f_cnt or 0) & 0xFFFF if ack else 0
            right = downlink_mic_1_1(
                self._s_nwk_s_int_key, self.dev_addr, f_cnt, frame.message, conf_f_cnt=conf_f_cnt
            )
        return right == frame.mic

    @property
    def s_nwk_s_int_key(self) -> AES128:
        """What rejoin requests of types 0 and 2 are signed with."""
        return self._s_nwk_s_int_key


def personalised(session: Session, version: LoRaWANVersion) -> DeviceSession:
    """The session of an ABP device."""
    keys = SessionKeys(
        session.f_nwk_s_int_key, session.s_nwk_s_int_key, session.nwk_s_enc_key, session.app_s_key
    )
    f_cnt_up = 0 if session.f_cnt_up is None else session.f_cnt_up + 1
    is_1_1 = session.lorawan == "1.1"
    return DeviceSession(session.dev_addr, None, keys, version, is_1_1=is_1_1, f_cnt_up=f_cnt_up)


def _next_with(last: int | None, on_air: int) -> int | None:
    """The smallest counter above `last` that ends in these 16 bits."""
    f_cnt = on_air if last is None else last - last % LAP + on_air
    if last is not None and f_cnt <= last:
        f_cnt += LAP
    return f_cnt if f_cnt <= MAX_F_CNT else None
