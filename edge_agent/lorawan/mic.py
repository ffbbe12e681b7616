"""Message integrity codes: the first 4 bytes of an AES-CMAC.

Data frames: section 4.4 of LoRaWAN 1.0.4 and of 1.1. Joins: section 6.2 of both.
`message` is always the PHYPayload without its last 4 bytes; `f_cnt` is the 32-bit counter.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.identifiers import DevAddr
from edge_codecs.identifiers import JoinEUI

_B_BLOCK = struct.Struct("<BHBBB4sIBB").pack  # 49, ConfFCnt, TxDr, TxCh, Dir, DevAddr, FCnt, 00, length


def _b_block(
    direction: int,
    dev_addr: DevAddr,
    f_cnt: int,
    length: int,
    conf_f_cnt: int = 0,
    tx_dr: int = 0,
    tx_ch: int = 0,
) -> bytes:
    return _B_BLOCK(0x49, conf_f_cnt, tx_dr, tx_ch, direction, dev_addr[::-1], f_cnt, 0, length)


def uplink_mic_1_0(nwk_s_key: AES128, dev_addr: DevAddr, f_cnt: int, message: bytes) -> bytes:
    """MIC of an uplink under LoRaWAN 1.0.x."""
    return nwk_s_key.cmac(_b_block(0, dev_addr, f_cnt, len(message)) + message)[:4]


def downlink_mic_1_0(nwk_s_key: AES128, dev_addr: DevAddr, f_cnt: int, message: bytes) -> bytes:
    """MIC of a downlink under LoRaWAN 1.0.x."""
    return nwk_s_key.cmac(_b_block(1, dev_addr, f_cnt, len(message)) + message)[:4]


def uplink_mic_half_f(f_nwk_s_int_key: AES128, dev_addr: DevAddr, f_cnt: int, message: bytes) -> bytes:
    """cmacF[0..1], the last 2 bytes of a 1.1 uplink's MIC: what a forwarding network can check."""
    return f_nwk_s_int_key.cmac(_b_block(0, dev_addr, f_cnt, len(message)) + message)[:2]


def uplink_mic_half_s(
    s_nwk_s_int_key: AES128,
    dev_addr: DevAddr,
    f_cnt: int,
    message: bytes,
    *,
    conf_f_cnt: int,
    tx_dr: int,
    tx_ch: int,
) -> bytes:
    """cmacS[0..1], the first 2 bytes of a 1.1 uplink's MIC.

    `conf_f_cnt` is the low 16 bits of the counter of the confirmed downlink that the frame acknowledges
    (FCtrl.ACK), 0 without. `tx_dr` and `tx_ch` are the indices of data rate and channel that the device
    sent with.
    """
    block = _b_block(0, dev_addr, f_cnt, len(message), conf_f_cnt, tx_dr, tx_ch)
    return s_nwk_s_int_key.cmac(block + message)[:2]


def uplink_mic_1_1(
    f_nwk_s_int_key: AES128,
    s_nwk_s_int_key: AES128,
    dev_addr: DevAddr,
    f_cnt: int,
    message: bytes,
    *,
    conf_f_cnt: int = 0,
    tx_dr: int,
    tx_ch: int,
) -> bytes:
    """MIC of an uplink under LoRaWAN 1.1: cmacS[0..1] | cmacF[0..1]."""
    half_s = uplink_mic_half_s(
        s_nwk_s_int_key, dev_addr, f_cnt, message, conf_f_cnt=conf_f_cnt, tx_dr=tx_dr, tx_ch=tx_ch
    )
    return half_s + uplink_mic_half_f(f_nwk_s_int_key, dev_addr, f_cnt, message)


def uplink_mic_fits_1_1(
    f_nwk_s_int_key: AES128,
    s_nwk_s_int_key: AES128,
    dev_addr: DevAddr,
    f_cnt: int,
    message: bytes,
    mic: bytes,
    *,
    conf_f_cnt: int,
    tx_indices: Iterable[tuple[int, int]],
) -> bool:
    """Whether both halves of a 1.1 uplink's MIC fit, the S half with one of the given (TxDr, TxCh)."""
    if uplink_mic_half_f(f_nwk_s_int_key, dev_addr, f_cnt, message) != mic[2:]:
        return False
    half_s = mic[:2]
    return any(
        uplink_mic_half_s(
            s_nwk_s_int_key, dev_addr, f_cnt, message, conf_f_cnt=conf_f_cnt, tx_dr=tx_dr, tx_ch=tx_ch
        )
        == half_s
        for tx_dr, tx_ch in tx_indices
    )


def downlink_mic_1_1(
    s_nwk_s_int_key: AES128, dev_addr: DevAddr, f_cnt: int, message: bytes, *, conf_f_cnt: int = 0
) -> bytes:
    """MIC of a downlink under LoRaWAN 1.1. `conf_f_cnt` as in an uplink, of the confirmed uplink."""
    return s_nwk_s_int_key.cmac(_b_block(1, dev_addr, f_cnt, len(message), conf_f_cnt) + message)[:4]


def join_request_mic(root_key: AES128, message: bytes) -> bytes:
    """MIC of a join request: AppKey under 1.0.x, NwkKey under 1.1."""
    return root_key.cmac(message)[:4]


def rejoin_request_mic(key: AES128, message: bytes) -> bytes:
    """MIC of a rejoin request: SNwkSIntKey for types 0 and 2, JSIntKey for type 1."""
    return key.cmac(message)[:4]


def join_accept_mic_1_0(root_key: AES128, message: bytes) -> bytes:
    """MIC of a join accept under 1.0.x (AppKey), and of one to a 1.1 device with OptNeg unset (NwkKey)."""
    return root_key.cmac(message)[:4]


def join_accept_mic_1_1(
    js_int_key: AES128, join_req_type: int, join_eui: JoinEUI, dev_nonce: int, message: bytes
) -> bytes:
    """MIC of a join accept under 1.1 with OptNeg set.

    `join_req_type` is 0xFF in answer to a join request, else the rejoin type, and `dev_nonce` then the
    RJcount.
    """
    head = bytes((join_req_type,)) + join_eui.to_air() + dev_nonce.to_bytes(2, "little")
    return js_int_key.cmac(head + message)[:4]
