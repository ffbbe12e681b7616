"""LoRaWAN frames once more, after the text of the specification and with pycryptodome.

A second opinion for tests: it shares no line with edge_agent and is written for the eye, not for speed. All
arguments and results are bytes or numbers; identifiers are most significant byte first. `python -m
tests.rig.lorawan_reference` writes tests/vectors/lorawan.json.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from Crypto.Cipher import AES
from Crypto.Hash import CMAC

UP, DOWN = 0, 1


def cmac(key: bytes, message: bytes) -> bytes:
    return CMAC.new(key, message, ciphermod=AES).digest()


def encrypt_block(key: bytes, block: bytes) -> bytes:
    return AES.new(key, AES.MODE_ECB).encrypt(block)


def le(number: int, length: int) -> bytes:
    return number.to_bytes(length, "little")


def keystream_xor(key: bytes, kind: int, direction: int, dev_addr: bytes, f_cnt: int, text: bytes) -> bytes:
    """1.0.4 section 4.3.3 (kind 0); 1.1 section 4.3.1.6 with its erratum on FCntDown (kind 1 or 2)."""
    out = bytearray()
    for offset in range(0, len(text), 16):
        a = bytearray(16)
        a[0] = 1
        a[4] = kind
        a[5] = direction
        a[6:10] = dev_addr[::-1]
        a[10:14] = le(f_cnt, 4)
        a[15] = offset // 16 + 1
        stream = encrypt_block(key, bytes(a))
        out += bytes(x ^ y for x, y in zip(text[offset : offset + 16], stream, strict=False))
    return bytes(out)


def b_block(
    direction: int, dev_addr: bytes, f_cnt: int, length: int, conf_f_cnt: int = 0, dr: int = 0, ch: int = 0
) -> bytes:
    """1.0.4 and 1.1 section 4.4: B0, and B1 where the middle bytes are given."""
    b = bytearray(16)
    b[0] = 0x49
    b[1:3] = le(conf_f_cnt, 2)
    b[3] = dr
    b[4] = ch
    b[5] = direction
    b[6:10] = dev_addr[::-1]
    b[10:14] = le(f_cnt, 4)
    b[15] = length
    return bytes(b)


def data_frame(
    mtype: int,
    lorawan: str,
    keys: dict[str, bytes],
    dev_addr: bytes,
    f_ctrl: int,
    f_cnt: int,
    f_opts: bytes,
    f_port: int | None,
    payload: bytes,
    conf_f_cnt: int = 0,
    tx_dr: int = 0,
    tx_ch: int = 0,
) -> bytes:
    """A PHYPayload out of clear parts. `f_ctrl` is without FOptsLen; `conf_f_cnt` counts only with ACK."""
    direction = UP if mtype in (2, 4) else DOWN
    nwk = "NwkSKey" if lorawan == "1.0" else "NwkSEncKey"
    if lorawan == "1.1":
        kind = 2 if direction == DOWN and f_port else 1
        f_opts = keystream_xor(keys["NwkSEncKey"], kind, direction, dev_addr, f_cnt, f_opts)
    message = bytes([mtype << 5]) + dev_addr[::-1] + bytes([f_ctrl | len(f_opts)]) + le(f_cnt & 0xFFFF, 2)
    message += f_opts
    if f_port is not None:
        key = keys["AppSKey"] if f_port else keys[nwk]
        message += bytes([f_port]) + keystream_xor(key, 0, direction, dev_addr, f_cnt, payload)
    conf = conf_f_cnt if f_ctrl & 0x20 else 0
    n = len(message)
    if lorawan == "1.0":
        mic = cmac(keys["NwkSKey"], b_block(direction, dev_addr, f_cnt, n) + message)[:4]
    elif direction == DOWN:
        mic = cmac(keys["SNwkSIntKey"], b_block(DOWN, dev_addr, f_cnt, n, conf) + message)[:4]
    else:
        cmac_s = cmac(keys["SNwkSIntKey"], b_block(UP, dev_addr, f_cnt, n, conf, tx_dr, tx_ch) + message)
        cmac_f = cmac(keys["FNwkSIntKey"], b_block(UP, dev_addr, f_cnt, n) + message)
        mic = cmac_s[:2] + cmac_f[:2]
    return message + mic


def join_request(key: bytes, join_eui: bytes, dev_eui: bytes, dev_nonce: int) -> bytes:
    """1.0.4 section 6.2.5."""
    message = b"\x00" + join_eui[::-1] + dev_eui[::-1] + le(dev_nonce, 2)
    return message + cmac(key, message)[:4]


def rejoin_request(key: bytes, kind: int, network: bytes, dev_eui: bytes, rj_count: int) -> bytes:
    """1.1 section 6.2.4; `network` is NetID (types 0, 2) or JoinEUI (type 1)."""
    message = b"\xc0" + bytes([kind]) + network[::-1] + dev_eui[::-1] + le(rj_count, 2)
    return message + cmac(key, message)[:4]


def join_accept(
    encryption_key: bytes,
    mic_key: bytes,
    mic_head: bytes,
    join_nonce: int,
    net_id: bytes,
    dev_addr: bytes,
    dl_settings: int,
    rx_delay: int,
    cf_list: bytes = b"",
) -> bytes:
    """1.0.4 section 6.2.6; 1.1 section 6.2.3. `mic_head` is JoinReqType | JoinEUI | DevNonce under 1.1."""
    body = le(join_nonce, 3) + net_id[::-1] + dev_addr[::-1] + bytes([dl_settings, rx_delay]) + cf_list
    mic = cmac(mic_key, mic_head + b"\x20" + body)[:4]
    return b"\x20" + AES.new(encryption_key, AES.MODE_ECB).decrypt(body + mic)


def derive(key: bytes, number: int, *parts: bytes) -> bytes:
    """One AES block of a number, the parts and zeros: how each derived key is made."""
    return encrypt_block(key, (bytes([number]) + b"".join(parts)).ljust(16, b"\0"))


MTYPES = {2: "UnconfirmedDataUp", 3: "UnconfirmedDataDown", 4: "ConfirmedDataUp", 5: "ConfirmedDataDown"}


def _data_vector(roll: random.Random, number: int) -> dict[str, Any]:
    lorawan = ("1.0", "1.1")[number % 2]
    mtype = 2 + number // 2 % 4
    names = ("NwkSKey",) if lorawan == "1.0" else ("FNwkSIntKey", "SNwkSIntKey", "NwkSEncKey")
    keys = {name: roll.randbytes(16) for name in (*names, "AppSKey")}
    dev_addr, f_cnt = roll.randbytes(4), roll.choice((0, 1, 65535, 65536, roll.getrandbits(32)))
    f_port = roll.choice((None, 0, 1, 10, 223, 224))
    f_opts = b"" if f_port == 0 else roll.randbytes(roll.choice((0, 0, 1, 5, 15)))
    payload = b"" if f_port is None else roll.randbytes(roll.choice((0, 1, 15, 16, 17, 51, 222)))
    flags = roll.getrandbits(4) << 4
    context = {
        "conf_f_cnt": roll.getrandbits(16),
        "tx_dr": roll.randrange(16),
        "tx_ch": roll.randrange(96),
    }
    if lorawan == "1.0":
        context = {}
    frame = data_frame(
        mtype, lorawan, keys, dev_addr, flags, f_cnt, f_opts, f_port, payload, **(context or {})
    )
    return {
        "id": f"data-{number:02d}",
        "request": {
            "hex": frame.hex(),
            "lorawan": lorawan,
            "keys": {name: key.hex() for name, key in keys.items()},
            "f_cnt_msb": f_cnt >> 16,
            "context": context,
        },
        "answer": {
            "mtype": MTYPES[mtype],
            "dev_addr": dev_addr.hex(),
            "adr": bool(flags & 0x80),
            "ack": bool(flags & 0x20),
            "f_cnt": f_cnt,
            "f_opts": f_opts.hex(),
            "f_port": f_port,
            "frm_payload": payload.hex(),
            "mic_ok": True,
            "reason": None,
        },
    }


def _join_vectors(roll: random.Random, number: int) -> list[dict[str, Any]]:
    root, js_int, s_int = (roll.randbytes(16) for _ in range(3))
    join_eui, dev_eui, net_id, dev_addr = (roll.randbytes(n) for n in (8, 8, 3, 4))
    nonce, join_nonce = roll.getrandbits(16), roll.getrandbits(24)
    lorawan = ("1.0", "1.1")[number % 2]
    root_name = {"1.0": "AppKey", "1.1": "NwkKey"}[lorawan]
    request = {"lorawan": lorawan, "keys": {root_name: root.hex()}}
    vectors = [
        {
            "id": f"join-request-{number}",
            "request": request | {"hex": join_request(root, join_eui, dev_eui, nonce).hex()},
            "answer": {
                "mtype": "JoinRequest",
                "join_eui": join_eui.hex(),
                "dev_eui": dev_eui.hex(),
                "dev_nonce": nonce,
                "mic_ok": True,
            },
        }
    ]
    cf_list = (
        b""
        if number < 2
        else b"".join(le(f // 100, 3) for f in range(867_100_000, 868_000_000, 200_000)) + b"\0"
    )
    opt_neg = 0x80 if lorawan == "1.1" else 0
    head = b"\xff" + join_eui[::-1] + le(nonce, 2) if opt_neg else b""
    accept = join_accept(
        root, js_int if opt_neg else root, head, join_nonce, net_id, dev_addr, opt_neg | 0x13, 5, cf_list
    )
    keys = {root_name: root.hex()} | ({"JSIntKey": js_int.hex()} if opt_neg else {})
    answer = {
        "mtype": "JoinAccept",
        "join_nonce": join_nonce,
        "net_id": net_id.hex(),
        "dev_addr": dev_addr.hex(),
        "rx1_dr_offset": 1,
        "rx2_data_rate": 3,
        "opt_neg": bool(opt_neg),
        "rx_delay_s": 5,
        "mic_ok": True,
    }
    if cf_list:
        frequencies = list(range(867_100_000, 868_000_000, 200_000))
        answer["cf_list"] = {"type": 0, "frequencies_hz": frequencies, "channel_masks": []}
    context = {"join_req_type": 255, "join_eui": join_eui.hex(), "dev_nonce": nonce} if opt_neg else {}
    vectors.append(
        {
            "id": f"join-accept-{number}",
            "request": {"lorawan": lorawan, "keys": keys, "hex": accept.hex(), "context": context},
            "answer": answer,
        }
    )
    kind = number % 3
    network, key, name = (join_eui, js_int, "JSIntKey") if kind == 1 else (net_id, s_int, "SNwkSIntKey")
    vectors.append(
        {
            "id": f"rejoin-request-{number}",
            "request": {
                "lorawan": "1.1",
                "keys": {name: key.hex()},
                "hex": rejoin_request(key, kind, network, dev_eui, nonce).hex(),
            },
            "answer": {
                "mtype": "RejoinRequest",
                "rejoin_type": kind,
                "net_id": None if kind == 1 else net_id.hex(),
                "join_eui": join_eui.hex() if kind == 1 else None,
                "dev_eui": dev_eui.hex(),
                "rj_count": nonce,
                "mic_ok": True,
            },
        }
    )
    return vectors


def _broken_vectors(roll: random.Random) -> list[dict[str, Any]]:
    keys = {"NwkSKey": roll.randbytes(16), "AppSKey": roll.randbytes(16)}
    dev_addr = roll.randbytes(4)
    frame = data_frame(2, "1.0", keys, dev_addr, 0, 3 * 65536 + 7, b"", 10, b"\x11", 0)
    shown = {name: key.hex() for name, key in keys.items()}

    def broken(name: str, raw: bytes, **answer: object) -> dict[str, Any]:
        return {"id": name, "request": {"hex": raw.hex(), "keys": shown}, "answer": answer}

    return [
        broken("empty", b"", mtype=None, reason="too_short", mic_ok=None),
        broken("short-data-frame", frame[:11], mtype="UnconfirmedDataUp", reason="too_short"),
        broken("short-join-request", bytes(22), mtype="JoinRequest", reason="too_short"),
        broken("long-join-request", bytes(24), mtype="JoinRequest", reason="malformed"),
        broken("major-3", b"\x43" + frame[1:], mtype="UnconfirmedDataUp", reason="not_lorawan_r1"),
        broken("f-opts-beyond-end", frame[:5] + b"\x0f" + frame[6:14], reason="malformed"),
        broken("rejoin-type-3", b"\xc0\x03" + bytes(17), mtype="RejoinRequest", reason="malformed"),
        broken("256-bytes", frame + bytes(256 - len(frame)), reason="malformed"),
        broken(
            "altered", frame[:-5] + bytes([frame[-5] ^ 1]) + frame[-4:], mic_ok=False, reason="mic_failed"
        ),
        broken(
            "other-upper-counter",
            frame,
            mic_ok=False,
            reason="mic_fits_other_upper_counter",
            fitting_f_cnt=3 * 65536 + 7,
        ),
        broken("proprietary", b"\xe0" + roll.randbytes(9), mtype="Proprietary", mic_ok=None, reason=None),
    ]


def vectors() -> list[dict[str, Any]]:
    """Always the same ones."""
    roll = random.Random(1_004)
    made = [_data_vector(roll, number) for number in range(48)]
    for number in range(6):
        made += _join_vectors(roll, number)
    return made + _broken_vectors(roll)


def document() -> dict[str, Any]:
    """tests/vectors/lorawan.json."""
    return {
        "provenance": "Made by tests/rig/lorawan_reference.py after LoRaWAN 1.0.4 and 1.1 with pycryptodome, "
        "which shares no line with the agent. Keys and identifiers are random numbers.",
        "schema": "`request` as `edge-agent frame --lines` takes it; `answer`: what its answer must hold.",
        "vectors": vectors(),
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
    sys.stdout.write("\n")
