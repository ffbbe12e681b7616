"""Encryption of FRMPayload (LoRaWAN 1.0.4, section 4.3.3) and of FOpts (LoRaWAN 1.1, section 4.3.1.6).

Both are counter mode: a keystream of encrypted A blocks, combined with the text by exclusive or. So the same
function encrypts and decrypts.
"""

from __future__ import annotations

import struct

from edge_agent.lorawan.aes128 import AES128, BLOCK
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.mhdr import Direction

_A_BLOCK = struct.Struct(
    "<BIB4sIBB"
).pack  # 01, four bytes (the first tells FOpts), Dir, DevAddr, FCnt, 00, number


def crypt_frm_payload(key: AES128, direction: Direction, dev_addr: DevAddr, f_cnt: int, text: bytes) -> bytes:
    """Encrypt or decrypt FRMPayload.

    `key` is AppSKey for FPort 1…255, NwkSKey (1.1: NwkSEncKey) for FPort 0. `f_cnt` is the 32-bit counter.
    """
    return _crypt(key, 0, direction, dev_addr, f_cnt, text)


def crypt_f_opts(
    nwk_s_enc_key: AES128,
    direction: Direction,
    dev_addr: DevAddr,
    f_cnt: int,
    f_port: int | None,
    f_opts: bytes,
) -> bytes:
    """Encrypt or decrypt FOpts; LoRaWAN 1.1 only.

    `f_cnt` is FCntUp; on a downlink AFCntDown with FPort 1…255 and NFCntDown else. The two count apart, so
    the block names which.
    """
    a_f_cnt_down = direction is Direction.DOWN and f_port is not None and f_port > 0
    return _crypt(nwk_s_enc_key, 2 if a_f_cnt_down else 1, direction, dev_addr, f_cnt, f_opts)


def _crypt(key: AES128, block_kind: int, direction: int, dev_addr: DevAddr, f_cnt: int, text: bytes) -> bytes:
    length = len(text)
    if not length:
        return b""
    # Byte 4 of the block tells FOpts from FRMPayload; bytes 1–3 are 0.
    kind = block_kind << 24
    addr = dev_addr[::-1]
    if length <= BLOCK:
        blocks = _A_BLOCK(1, kind, direction, addr, f_cnt, 0, 1)
    else:
        numbers = range(1, (length + BLOCK - 1) // BLOCK + 1)
        blocks = b"".join([_A_BLOCK(1, kind, direction, addr, f_cnt, 0, number) for number in numbers])
    stream = key.encrypt(blocks)[:length]
    return (int.from_bytes(text, "little") ^ int.from_bytes(stream, "little")).to_bytes(length, "little")
