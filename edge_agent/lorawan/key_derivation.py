"""Session keys and join server keys out of root keys.

LoRaWAN 1.0.4, section 6.2.6; LoRaWAN 1.1, sections 6.1.1.3, 6.1.1.4 and 6.2.3. Each key is one AES block: a
number, then what both sides know of the join, then zeros. Nonces are numbers: JoinNonce 24 bits, DevNonce
16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.aes128 import AES128, BLOCK
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.netid import NetID
from edge_codecs.identifiers import DevEUI, JoinEUI


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The four session keys; under LoRaWAN 1.0.x the three network keys are one and the same NwkSKey."""

    f_nwk_s_int_key: AES128Key
    s_nwk_s_int_key: AES128Key
    nwk_s_enc_key: AES128Key
    app_s_key: AES128Key


@dataclass(frozen=True, slots=True)
class JoinServerKeys:
    """What a 1.1 device and its join server keep for a lifetime beside the root keys."""

    js_int_key: AES128Key
    js_enc_key: AES128Key


def session_keys_1_0(root_key: AES128Key, join_nonce: int, net_id: NetID, dev_nonce: int) -> SessionKeys:
    """Keys under LoRaWAN 1.0.x (AppKey), and of a 1.1 device in a 1.0 network (NwkKey)."""
    aes = AES128(root_key)
    join = join_nonce.to_bytes(3, "little") + net_id.to_air() + dev_nonce.to_bytes(2, "little")
    nwk_s_key = _derive(aes, 0x01, join)
    return SessionKeys(nwk_s_key, nwk_s_key, nwk_s_key, _derive(aes, 0x02, join))


def session_keys_1_1(
    nwk_key: AES128Key, app_key: AES128Key, join_nonce: int, join_eui: JoinEUI, dev_nonce: int
) -> SessionKeys:
    """Keys under LoRaWAN 1.1. In answer to a rejoin request `dev_nonce` is its RJcount."""
    network = AES128(nwk_key)
    join = join_nonce.to_bytes(3, "little") + join_eui.to_air() + dev_nonce.to_bytes(2, "little")
    return SessionKeys(
        f_nwk_s_int_key=_derive(network, 0x01, join),
        s_nwk_s_int_key=_derive(network, 0x03, join),
        nwk_s_enc_key=_derive(network, 0x04, join),
        app_s_key=_derive(AES128(app_key), 0x02, join),
    )


def join_server_keys(nwk_key: AES128Key, dev_eui: DevEUI) -> JoinServerKeys:
    """JSIntKey (MIC of join accepts and type 1 rejoins) and JSEncKey (join accepts that answer a rejoin)."""
    aes = AES128(nwk_key)
    return JoinServerKeys(
        js_int_key=_derive(aes, 0x06, dev_eui.to_air()), js_enc_key=_derive(aes, 0x05, dev_eui.to_air())
    )


def _derive(aes: AES128, number: int, what_both_know: bytes) -> AES128Key:
    return AES128Key(aes.encrypt((bytes((number,)) + what_both_know).ljust(BLOCK, b"\0")))
