"""Joins and rejoins: which request is answered, and with what (LoRaWAN 1.0.4, section 6.2; 1.1, section 6.2).

DevNonce must never be taken twice from a device: before 1.0.4 it is random, so all are remembered; from
1.0.4 on it rises, so the highest is. RJcount0 rises within a session, RJcount1 over the life of the device.
JoinNonce counts up by one with each accept: 1.0.4 and 1.1 devices refuse one that does not rise, and earlier
ones derive their keys from it. The signature is checked before the nonce, so that nobody else can use one up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_accept import JoinAccept
from edge_agent.lorawan.join_request import JoinRequest
from edge_agent.lorawan.key_derivation import join_server_keys, session_keys_1_0, session_keys_1_1
from edge_agent.lorawan.mic import (
    join_accept_mic_1_0,
    join_accept_mic_1_1,
    join_request_mic,
    rejoin_request_mic,
)
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.rejoin_request import RejoinRequest
from edge_agent.lorawan.session import Session
from edge_agent.network.activation import Activation
from edge_agent.network.changes import JoinAnswered
from edge_agent.network.device import JoinNonces, NetworkSession
from edge_agent.network.mac_state import MacState, after_join
from edge_agent.network.policy import Policy
from edge_agent.network.reason import Reason

MAX_JOIN_NONCE = 0xFF_FFFF
JOIN_REQ_TYPE = 0xFF  # in the MIC of a 1.1 join accept that answers a join request

Refusal = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that is answered: what changes on disk, and the join accept to send once it is there."""

    change: JoinAnswered
    nonces: JoinNonces
    phy_payload: bytes


def refusal_of_join(request: JoinRequest, registration: Registration, nonces: JoinNonces) -> Refusal | None:
    """Why a join request is not answered; None if it is."""
    if join_request_mic(AES128(registration.join_key), request.message) != request.mic:
        return Reason.JOIN_MIC_FAILED, "the DevEUI is here, the key is another"
    if request.join_eui != registration.join_eui:
        detail = f"the device says JoinEUI {request.join_eui}, registered is {registration.join_eui}"
        return Reason.JOIN_EUI_DIFFERS, detail
    if registration.version.dev_nonce_rises:
        if nonces.dev_nonce is not None and request.dev_nonce <= nonces.dev_nonce:
            return (
                Reason.NONCE_USED,
                f"DevNonce {request.dev_nonce}; the last one taken is {nonces.dev_nonce}",
            )
    elif request.dev_nonce in nonces.dev_nonces:
        return Reason.NONCE_USED, f"DevNonce {request.dev_nonce} was taken before"
    return _no_join_nonce_left(nonces)


def refusal_of_rejoin(
    request: RejoinRequest,
    registration: Registration,
    nonces: JoinNonces,
    present: Activation | None,
    policy: Policy,
) -> Refusal | None:
    """Why a rejoin request is not answered; None if it is. `present` is the device's session in use."""
    if registration.nwk_key is None:
        return Reason.JOIN_NOT_SERVED, f"LoRaWAN {registration.version} knows no rejoin request"
    if request.rejoin_type == 1:
        key = AES128(join_server_keys(registration.nwk_key, registration.dev_eui).js_int_key)
        if rejoin_request_mic(key, request.message) != request.mic:
            return Reason.JOIN_MIC_FAILED, "the DevEUI is here, the key is another"
        if request.join_eui != registration.join_eui:
            detail = f"the device says JoinEUI {request.join_eui}, registered is {registration.join_eui}"
            return Reason.JOIN_EUI_DIFFERS, detail
        last = nonces.rj_count_1
    else:
        if present is None or not present.signed_rejoin(request.message, request.mic):
            return Reason.JOIN_MIC_FAILED, "a rejoin request of no session that is known here"
        if request.net_id != policy.net_id:
            return Reason.JOIN_NOT_SERVED, f"the device says NetID {request.net_id}, ours is {policy.net_id}"
        last = present.rj_count_0
    if last is not None and request.rj_count <= last:
        return Reason.NONCE_USED, f"RJcount {request.rj_count}; the last one taken is {last}"
    return _no_join_nonce_left(nonces)


def _no_join_nonce_left(nonces: JoinNonces) -> Refusal | None:
    if nonces.join_nonce >= MAX_JOIN_NONCE:
        return Reason.JOIN_NONCES_EXHAUSTED, f"{nonces.join_nonce} join accepts were given"
    return None


def grant_join(
    request: JoinRequest,
    registration: Registration,
    nonces: JoinNonces,
    dev_addr: DevAddr,
    region: Region,
    policy: Policy,
) -> Grant:
    """Answer a join request that nothing speaks against."""
    join_nonce = nonces.join_nonce + 1
    if registration.version.dev_nonce_rises:
        used = replace(nonces, join_nonce=join_nonce, dev_nonce=request.dev_nonce)
    else:
        used = replace(nonces, join_nonce=join_nonce, dev_nonces=nonces.dev_nonces | {request.dev_nonce})
    kept = _session(registration, join_nonce, dev_addr, request.dev_nonce, policy)
    kept = replace(kept, mac=after_join(region, policy, knows_masks=registration.knows_channel_masks))
    accept = _accept(kept, join_nonce, region, policy)
    if region.is_fixed_plan and not registration.knows_channel_masks:
        accept = replace(accept, cf_list=None)
    change = JoinAnswered(registration.dev_eui, join_nonce, kept, dev_nonce=request.dev_nonce)
    return Grant(change, used, _signed(accept, registration, JOIN_REQ_TYPE, request.dev_nonce))


def grant_rejoin(
    request: RejoinRequest,
    registration: Registration,
    nonces: JoinNonces,
    present: Activation | None,
    dev_addr: DevAddr,
    region: Region,
    policy: Policy,
) -> Grant:
    """Answer a rejoin request that nothing speaks against. Type 2 keeps the radio parameters."""
    join_nonce = nonces.join_nonce + 1
    kept = _session(registration, join_nonce, dev_addr, request.rj_count, policy)
    if request.rejoin_type == 2:
        assert present is not None, "a rejoin of type 2 is signed by a session"
        kept = replace(kept, mac=present.mac)
        accept = _accept_as_it_is(kept, join_nonce, present.mac, policy)
    else:
        kept = replace(kept, mac=after_join(region, policy))
        accept = _accept(kept, join_nonce, region, policy)
    used = replace(nonces, join_nonce=join_nonce)
    change = JoinAnswered(registration.dev_eui, join_nonce, kept)
    if request.rejoin_type == 1:
        used = replace(used, rj_count_1=request.rj_count)
        change = replace(change, rj_count_1=request.rj_count)
    else:
        change = replace(change, rj_count_0=request.rj_count)
    return Grant(change, used, _signed(accept, registration, request.rejoin_type, request.rj_count))


def _session(
    registration: Registration, join_nonce: int, dev_addr: DevAddr, nonce: int, policy: Policy
) -> NetworkSession:
    if registration.nwk_key is None:
        keys = session_keys_1_0(registration.app_key, join_nonce, policy.net_id, nonce)
    else:
        keys = session_keys_1_1(
            registration.nwk_key, registration.app_key, join_nonce, registration.join_eui, nonce
        )
    return NetworkSession(
        Session(
            dev_eui=registration.dev_eui,
            dev_addr=dev_addr,
            lorawan=registration.version.minor,
            f_nwk_s_int_key=keys.f_nwk_s_int_key,
            s_nwk_s_int_key=keys.s_nwk_s_int_key,
            nwk_s_enc_key=keys.nwk_s_enc_key,
            app_s_key=keys.app_s_key,
            number=join_nonce,
            codec=registration.codec,
            codec_version=registration.codec_version,
        )
    )


def _accept(kept: NetworkSession, join_nonce: int, region: Region, policy: Policy) -> JoinAccept:
    mac = kept.mac
    assert mac is not None, "a join gives the parameters of its session"
    cf_list = region.cf_list(policy.channel_block)
    return replace(_accept_as_it_is(kept, join_nonce, mac, policy), cf_list=cf_list)


def _accept_as_it_is(kept: NetworkSession, join_nonce: int, mac: MacState, policy: Policy) -> JoinAccept:
    return JoinAccept(
        join_nonce=join_nonce,
        net_id=policy.net_id,
        dev_addr=kept.session.dev_addr,
        rx1_dr_offset=mac.rx1_dr_offset,
        rx2_data_rate=mac.rx2_data_rate,
        opt_neg=kept.session.lorawan == "1.1",
        rx_delay_s=mac.rx1_delay_s,
    )


def _signed(accept: JoinAccept, registration: Registration, join_req_type: int, nonce: int) -> bytes:
    """The PHYPayload: signed and encrypted with the keys that go with version and kind of request."""
    if registration.nwk_key is None:
        key = AES128(registration.app_key)
        return replace(accept, mic=join_accept_mic_1_0(key, accept.message)).encrypt(key).to_bytes()
    js_keys = join_server_keys(registration.nwk_key, registration.dev_eui)
    mic = join_accept_mic_1_1(
        AES128(js_keys.js_int_key), join_req_type, registration.join_eui, nonce, accept.message
    )
    enc_key = registration.nwk_key if join_req_type == JOIN_REQ_TYPE else js_keys.js_enc_key
    return replace(accept, mic=mic).encrypt(AES128(enc_key)).to_bytes()
