"""Joining, from the device's side (TS001-1.0.4, section 6.2; LoRaWAN 1.1, section 6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.join_accept import EncryptedJoinAccept, JoinAccept
from edge_agent.lorawan.join_request import JoinRequest
from edge_agent.lorawan.key_derivation import join_server_keys, session_keys_1_0, session_keys_1_1
from edge_agent.lorawan.mic import (
    join_accept_mic_1_0,
    join_accept_mic_1_1,
    join_request_mic,
    rejoin_request_mic,
)
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.rejoin_request import RejoinRequest
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.simulate.class_a_session import DeviceSession

JOIN_REQUEST = 0xFF  # JoinReqType under the MIC of a 1.1 join accept
MAX_COUNT = 0xFFFF  # DevNonce and RJcount


@dataclass(frozen=True, slots=True)
class Asked:
    """A join or rejoin request that waits for its accept. `nonce` is its DevNonce or RJcount."""

    join_req_type: int  # JOIN_REQUEST, or the rejoin type
    nonce: int

    @property
    def rejoin_type(self) -> int | None:
        """None for a join request."""
        return None if self.join_req_type == JOIN_REQUEST else self.join_req_type


@dataclass(frozen=True, slots=True)
class Accepted:
    """A join accept that is right, and the session that follows from it."""

    accept: JoinAccept
    session: DeviceSession


class Joiner:
    """What a device keeps for its lifetime: root keys, DevNonce, JoinNonce, RJcount1."""

    def __init__(self, registration: Registration, rng: Random) -> None:
        self.registration = registration
        self.dev_nonce = 0  # the next one, where it rises
        self.join_nonce: int | None = None  # the last one taken
        self.rj_count_0 = 0
        self.rj_count_1 = 0
        self._rng = rng
        self._join_key = AES128(registration.join_key)
        self._is_1_1 = registration.version is LoRaWANVersion.V1_1
        if registration.nwk_key is not None:
            keys = join_server_keys(registration.nwk_key, registration.dev_eui)
            self._js_int_key, self._js_enc_key = AES128(keys.js_int_key), AES128(keys.js_enc_key)

    def request(self) -> tuple[bytes, Asked]:
        """A join request. Raises ValueError when no DevNonce is left."""
        version = self.registration.version
        if version.dev_nonce_rises:
            nonce = self.dev_nonce
            if nonce > MAX_COUNT:
                raise ValueError("the device has used all its DevNonces")
            self.dev_nonce = nonce + 1
        else:
            nonce = self._rng.getrandbits(16)
        unsigned = JoinRequest(self.registration.join_eui, self.registration.dev_eui, nonce, b"")
        mic = join_request_mic(self._join_key, unsigned.message)
        return unsigned.message + mic, Asked(JOIN_REQUEST, nonce)

    def rejoin_request(self, rejoin_type: int, session: DeviceSession) -> tuple[bytes, Asked]:
        """A rejoin request of type 0, 1 or 2. Raises ValueError when no RJcount is left."""
        if not session.is_1_1:
            raise ValueError("only a session of LoRaWAN 1.1 can be joined anew")
        registration = self.registration
        if rejoin_type == 1:
            nonce, self.rj_count_1 = self.rj_count_1, self.rj_count_1 + 1
            unsigned = RejoinRequest(1, None, registration.join_eui, registration.dev_eui, nonce, b"")
        else:
            nonce, self.rj_count_0 = self.rj_count_0, self.rj_count_0 + 1
            unsigned = RejoinRequest(rejoin_type, session.net_id, None, registration.dev_eui, nonce, b"")
        if nonce > MAX_COUNT:
            raise ValueError("the device has used all its RJcounts")
        key = self._js_int_key if rejoin_type == 1 else session.s_nwk_s_int_key
        return unsigned.message + rejoin_request_mic(key, unsigned.message), Asked(rejoin_type, nonce)

    def open(self, frame: EncryptedJoinAccept, asked: Asked) -> Accepted | str:
        """What a join accept gives, or why it is not taken. Remembers the JoinNonce of one that is."""
        key = self._join_key if asked.rejoin_type is None else self._js_enc_key
        accept = frame.decrypt(key)
        opt_neg = self._is_1_1 and accept.opt_neg
        if asked.rejoin_type is not None and not opt_neg:
            return "a rejoin request is answered without OptNeg"
        if accept.mic != self._mic(accept, asked, opt_neg=opt_neg):
            return "a join accept for another device, or with a wrong MIC"
        rises = self.registration.version.dev_nonce_rises
        if rises and self.join_nonce is not None and accept.join_nonce <= self.join_nonce:
            return f"JoinNonce {accept.join_nonce} after {self.join_nonce}: it must rise"
        if not rises and accept.join_nonce == self.join_nonce:
            return f"JoinNonce {accept.join_nonce} a second time"
        return Accepted(accept, self._session(accept, asked, opt_neg=opt_neg))

    def take(self, accepted: Accepted) -> None:
        """The accept is in force."""
        self.join_nonce = accepted.accept.join_nonce
        self.rj_count_0 = 0

    def _mic(self, accept: JoinAccept, asked: Asked, *, opt_neg: bool) -> bytes:
        if not opt_neg:
            return join_accept_mic_1_0(self._join_key, accept.message)
        join_eui = self.registration.join_eui
        return join_accept_mic_1_1(
            self._js_int_key, asked.join_req_type, join_eui, asked.nonce, accept.message
        )

    def _session(self, accept: JoinAccept, asked: Asked, *, opt_neg: bool) -> DeviceSession:
        own = self.registration
        if opt_neg:
            assert own.nwk_key is not None
            keys = session_keys_1_1(own.nwk_key, own.app_key, accept.join_nonce, own.join_eui, asked.nonce)
        else:
            keys = session_keys_1_0(own.join_key, accept.join_nonce, accept.net_id, asked.nonce)
        return DeviceSession(accept.dev_addr, accept.net_id, keys, own.version, is_1_1=opt_neg)
