"""All sessions, by DevAddr, each with its keys at work and its counter.

Several devices may share a DevAddr: it is short, and networks hand it out anew. Only the MIC tells whose a
frame is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.frm_payload import crypt_f_opts, crypt_frm_payload
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.mic import uplink_mic_1_0, uplink_mic_fits_1_1, uplink_mic_half_f
from edge_agent.lorawan.session import Session
from edge_agent.network.outcome import Admitted
from edge_agent.network.tx_indices import tx_indices
from edge_codecs.clipr import CODECS, Message
from edge_codecs.identifiers import DevEUI

RECENT = 8  # uplinks of a device whose repetitions are recognised as such


class Activation:
    """One session at work.

    `f_cnt_up` is the highest counter taken. `recent` holds the last ones, each with the last 2 bytes of its
    MIC: under 1.1 a repetition on another channel differs in the first two.
    """

    __slots__ = ("_app", "_enc", "_f_int", "_s_int", "decode", "f_cnt_up", "recent", "session")

    def __init__(self, session: Session, decode: Callable[[int, bytes], Message]) -> None:
        self.session = session
        self.decode = decode
        self.f_cnt_up = session.f_cnt_up
        self.recent: deque[tuple[int, bytes]] = deque(maxlen=RECENT)
        self._f_int = AES128(session.f_nwk_s_int_key)
        if session.lorawan == "1.0":
            self._s_int = self._enc = self._f_int
        else:
            self._s_int = AES128(session.s_nwk_s_int_key)
            self._enc = AES128(session.nwk_s_enc_key)
        self._app = AES128(session.app_s_key)

    def signed(self, f_cnt: int, message: bytes, mic: bytes, frequency_hz: int, data_rate: str) -> bool:
        """Whether the MIC is this device's, over `message` with the 32-bit counter `f_cnt`.

        Under 1.1 both halves must fit; `tx_indices` says how the second is checked. ConfFCnt enters it as
        0: no confirmed downlink has been sent, so that nobody has one to acknowledge.
        """
        session = self.session
        if session.lorawan == "1.0":
            return uplink_mic_1_0(self._f_int, session.dev_addr, f_cnt, message) == mic
        return uplink_mic_fits_1_1(
            self._f_int,
            self._s_int,
            session.dev_addr,
            f_cnt,
            message,
            mic,
            conf_f_cnt=0,
            tx_indices=tx_indices(frequency_hz, data_rate),
        )

    def half_signed(self, f_cnt: int, message: bytes, mic: bytes) -> bool:
        """Whether the FNwkSIntKey half of a 1.1 MIC fits; by itself it proves little."""
        return uplink_mic_half_f(self._f_int, self.session.dev_addr, f_cnt, message) == mic[2:]

    def clear_f_opts(self, f_cnt: int, f_port: int | None, f_opts: bytes) -> bytes:
        """FOpts in clear; under 1.0.x they always are."""
        if not f_opts or self.session.lorawan == "1.0":
            return f_opts
        return crypt_f_opts(self._enc, Direction.UP, self.session.dev_addr, f_cnt, f_port, f_opts)

    def clear_frm_payload(self, f_cnt: int, f_port: int, frm_payload: bytes) -> bytes:
        """FRMPayload in clear."""
        key = self._app if f_port else self._enc
        return crypt_frm_payload(key, Direction.UP, self.session.dev_addr, f_cnt, frm_payload)


class Activations:
    """All sessions. Holds the keys of present devices only: a removed device's are let go."""

    def __init__(self, sessions: Sequence[Session] = ()) -> None:
        self._by_dev_eui: dict[DevEUI, Activation] = {}
        self._by_dev_addr: dict[DevAddr, tuple[Activation, ...]] = {}
        for session in sessions:
            self.add(session)

    def add(self, session: Session) -> None:
        """Know a session; it replaces the device's former one.

        Raises ValueError for a codec or a LoRaWAN version that there is not.
        """
        decode = CODECS.get((session.codec, session.codec_version))
        if decode is None:
            raise ValueError(f"there is no codec {session.codec!r} of version {session.codec_version}")
        if session.lorawan not in ("1.0", "1.1"):
            raise ValueError(f'LoRaWAN is "1.0" or "1.1", not {session.lorawan!r}')
        self.remove(session.dev_eui)
        activation = Activation(session, decode)
        self._by_dev_eui[session.dev_eui] = activation
        self._by_dev_addr[session.dev_addr] = (*self.at(session.dev_addr), activation)

    def remove(self, dev_eui: DevEUI) -> None:
        """Forget the device's session and its keys; nothing happens where there is none."""
        gone = self._by_dev_eui.pop(dev_eui, None)
        if gone is None:
            return
        dev_addr = gone.session.dev_addr
        left = tuple(one for one in self._by_dev_addr[dev_addr] if one is not gone)
        if left:
            self._by_dev_addr[dev_addr] = left
        else:
            del self._by_dev_addr[dev_addr]

    def sessions(self) -> list[Session]:
        """The sessions as they stand, each with its highest counter."""
        return [replace(one.session, f_cnt_up=one.f_cnt_up) for one in self._by_dev_eui.values()]

    def twin(self, session: Session) -> DevEUI | None:
        """Another device with the same DevAddr and signing key: their frames cannot be told apart."""
        key = session.f_nwk_s_int_key
        for other in self.at(session.dev_addr):
            if other.session.dev_eui != session.dev_eui and other.session.f_nwk_s_int_key == key:
                return other.session.dev_eui
        return None

    def at(self, dev_addr: DevAddr) -> tuple[Activation, ...]:
        """The sessions with this address, in the order in which they were added."""
        return self._by_dev_addr.get(dev_addr, ())

    def __contains__(self, dev_eui: object) -> bool:
        return dev_eui in self._by_dev_eui

    def advance(self, admitted: Admitted) -> None:
        """Move the device's counter to an admitted uplink, so that no frame up to it is taken again.

        Nothing happens where the device or its session is gone meanwhile, or has moved further.
        """
        activation = self._by_dev_eui.get(admitted.dev_eui)
        if activation is None or activation.session.number != admitted.session:
            return
        if activation.f_cnt_up is None or admitted.f_cnt > activation.f_cnt_up:
            activation.f_cnt_up = admitted.f_cnt
            activation.recent.append((admitted.f_cnt, admitted.frame.phy_payload[-2:]))
