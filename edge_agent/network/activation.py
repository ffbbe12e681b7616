"""One session at work: keys ready for use, counters, and what device and network agree on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.frm_payload import crypt_f_opts, crypt_frm_payload
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.mic import (
    downlink_mic_1_0,
    downlink_mic_1_1,
    uplink_mic_1_0,
    uplink_mic_fits_1_1,
    uplink_mic_half_f,
)
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.session import Session
from edge_agent.network.adr import AdrHistory
from edge_agent.network.device import NetworkSession
from edge_agent.network.f_cnt_down import FCntDown
from edge_agent.network.mac_state import MacState
from edge_agent.network.rx_frame import RxFrame
from edge_agent.network.tx_indices import tx_indices
from edge_codecs.clipr import CODECS, Message

RECENT = 8  # uplinks of a device whose repetitions are recognised as such


class Activation:
    """One session at work.

    `f_cnt_up` is the highest counter taken. `recent` holds the last ones, each with the last 2 bytes of its
    MIC: under 1.1 a repetition on another channel differs in the first two. `confirmed` is the last uplink if
    it asked for an acknowledgement: its counter, when it was heard last, how often it was acknowledged.
    """

    __slots__ = (
        "_app",
        "_enc",
        "_f_int",
        "_region",
        "_s_int",
        "a_f_cnt_down",
        "adr",
        "conf_f_cnts",
        "confirmed",
        "decode",
        "f_cnt_up",
        "mac",
        "n_f_cnt_down",
        "recent",
        "rj_count_0",
        "session",
    )

    def __init__(self, kept: NetworkSession, mac: MacState, region: Region) -> None:
        """`mac` is in force where `kept` holds none. Raises ValueError for an unknown codec or version."""
        session = kept.session
        self.session = session
        self.decode = _decoder(session)
        self.f_cnt_up = session.f_cnt_up
        self.recent: deque[tuple[int, bytes]] = deque(maxlen=RECENT)
        self.confirmed: tuple[int, int, int] | None = None
        self.mac = kept.mac or mac
        self.adr = AdrHistory()
        self.n_f_cnt_down = FCntDown(kept.n_f_cnt_down)
        self.a_f_cnt_down = self.n_f_cnt_down if self.is_1_0 else FCntDown(kept.a_f_cnt_down)
        self.conf_f_cnts: tuple[int, ...] = () if kept.conf_f_cnt is None else (kept.conf_f_cnt,)
        self.rj_count_0 = kept.rj_count_0
        self._region = region
        self._f_int = AES128(session.f_nwk_s_int_key)
        if self.is_1_0:
            self._s_int = self._enc = self._f_int
        else:
            self._s_int = AES128(session.s_nwk_s_int_key)
            self._enc = AES128(session.nwk_s_enc_key)
        self._app = AES128(session.app_s_key)

    @property
    def is_1_0(self) -> bool:
        """One network key, one downlink counter, FOpts in clear; else as in LoRaWAN 1.1."""
        return self.session.lorawan == "1.0"

    def signed(self, f_cnt: int, message: bytes, mic: bytes, frame: RxFrame, *, ack: bool = False) -> bool:
        """Whether the MIC is this device's, over `message` with the 32-bit counter `f_cnt`.

        Under 1.1 both halves must fit; `tx_indices` says how the second is checked. An uplink that
        acknowledges (`ack`) is signed over the counter of the confirmed downlink, too: the last one, or the
        one before if the device repeats the uplink because it did not hear the last.
        """
        if self.is_1_0:
            return uplink_mic_1_0(self._f_int, self.session.dev_addr, f_cnt, message) == mic
        return any(
            uplink_mic_fits_1_1(
                self._f_int,
                self._s_int,
                self.session.dev_addr,
                f_cnt,
                message,
                mic,
                conf_f_cnt=conf_f_cnt & 0xFFFF,
                tx_indices=tx_indices(frame.frequency_hz, frame.data_rate, self._region),
            )
            for conf_f_cnt in (ack and self.conf_f_cnts) or (0,)
        )

    def confirmed_sent(self, f_cnt: int) -> None:
        """A confirmed downlink with this counter is about to be sent."""
        self.conf_f_cnts = (f_cnt, *self.conf_f_cnts[:1])

    def half_signed(self, f_cnt: int, message: bytes, mic: bytes) -> bool:
        """Whether the FNwkSIntKey half of a 1.1 MIC fits; by itself it proves little."""
        return uplink_mic_half_f(self._f_int, self.session.dev_addr, f_cnt, message) == mic[2:]

    def clear_f_opts(self, f_cnt: int, f_port: int | None, f_opts: bytes) -> bytes:
        """FOpts of an uplink in clear; under 1.0.x they always are."""
        return self._crypt_f_opts(Direction.UP, f_cnt, f_port, f_opts)

    def clear_frm_payload(self, f_cnt: int, f_port: int, frm_payload: bytes) -> bytes:
        """FRMPayload of an uplink in clear."""
        return self._crypt_frm_payload(Direction.UP, f_cnt, f_port, frm_payload)

    def downlink_f_opts(self, f_cnt: int, f_port: int | None, f_opts: bytes) -> bytes:
        """FOpts of a downlink as on air."""
        return self._crypt_f_opts(Direction.DOWN, f_cnt, f_port, f_opts)

    def downlink_frm_payload(self, f_cnt: int, f_port: int, frm_payload: bytes) -> bytes:
        """FRMPayload of a downlink as on air."""
        return self._crypt_frm_payload(Direction.DOWN, f_cnt, f_port, frm_payload)

    def downlink_mic(self, f_cnt: int, message: bytes, acknowledged: int | None) -> bytes:
        """MIC of a downlink. `acknowledged` is the 32-bit counter of the uplink that it acknowledges."""
        if self.is_1_0:
            return downlink_mic_1_0(self._f_int, self.session.dev_addr, f_cnt, message)
        conf_f_cnt = 0 if acknowledged is None else acknowledged & 0xFFFF
        return downlink_mic_1_1(self._s_int, self.session.dev_addr, f_cnt, message, conf_f_cnt=conf_f_cnt)

    def signed_rejoin(self, message: bytes, mic: bytes) -> bool:
        """Whether a rejoin request of type 0 or 2 is this session's (SNwkSIntKey)."""
        return not self.is_1_0 and self._s_int.cmac(message)[:4] == mic

    def _crypt_f_opts(self, direction: Direction, f_cnt: int, f_port: int | None, f_opts: bytes) -> bytes:
        if not f_opts or self.is_1_0:
            return f_opts
        return crypt_f_opts(self._enc, direction, self.session.dev_addr, f_cnt, f_port, f_opts)

    def _crypt_frm_payload(self, direction: Direction, f_cnt: int, f_port: int, text: bytes) -> bytes:
        key = self._app if f_port else self._enc
        return crypt_frm_payload(key, direction, self.session.dev_addr, f_cnt, text)


def _decoder(session: Session) -> Callable[[int, bytes], Message]:
    decode = CODECS.get((session.codec, session.codec_version))
    if decode is None:
        raise ValueError(f"there is no codec {session.codec!r} of version {session.codec_version}")
    if session.lorawan not in ("1.0", "1.1"):
        raise ValueError(f'LoRaWAN is "1.0" or "1.1", not {session.lorawan!r}')
    return decode
