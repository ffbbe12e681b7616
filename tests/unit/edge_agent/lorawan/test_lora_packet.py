"""3,000 random frames against an independent implementation: the npm package lora-packet.

It is looked for in the folder LORA_PACKET_DIR, else in .tools/node/node_modules/lora-packet.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_agent.inspector import inspect_frame
from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.cflist import CFList
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_accept import JoinAccept
from edge_agent.lorawan.join_request import JoinRequest
from edge_agent.lorawan.key_derivation import join_server_keys, session_keys_1_0, session_keys_1_1
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.mhdr import MType
from edge_agent.lorawan.mic import (
    join_accept_mic_1_0,
    join_accept_mic_1_1,
    join_request_mic,
    rejoin_request_mic,
)
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.rejoin_request import RejoinRequest
from edge_codecs.identifiers import DevEUI, JoinEUI
from tests.rig.lorawan_frames import new_session, phy_payload

ROOT = Path(__file__).parents[4]
PACKAGE = Path(os.environ.get("LORA_PACKET_DIR", ROOT / ".tools/node/node_modules/lora-packet"))
NODE = shutil.which("node")
DATA_FRAMES, JOIN_FRAMES, DERIVATIONS = 2400, 600, 100

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not PACKAGE.is_dir(),
        reason=f"no {PACKAGE}: npm install --prefix .tools/node lora-packet@0.9.3, or set LORA_PACKET_DIR",
    ),
]


def judge(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What lora-packet says of each request, by one process."""
    assert NODE is not None
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    script = ROOT / "tests/rig/lora_packet.js"
    done = subprocess.run(
        [NODE, script, PACKAGE.resolve()],
        input=lines,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [request["id"] for request in requests]
    assert not [answer for answer in answers if "error" in answer]
    return answers


def spoilt(roll: random.Random, raw: bytes) -> bytes:
    """One bit of what the MIC covers, or of the MIC, turned; lengths and types stay."""
    at = roll.choice((2, 3, 6, len(raw) - 6, len(raw) - 1))
    return raw[:at] + bytes([raw[at] ^ 1 << roll.randrange(8)]) + raw[at + 1 :]


def data_request(roll: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A frame with what we put into it."""
    lorawan = roll.choice(("1.0", "1.1"))
    session = new_session(roll, lorawan=lorawan)
    f_cnt = roll.choice((0, 65535, 65536, roll.getrandbits(16), roll.getrandbits(32), 2**32 - 1))
    f_port = roll.choice((None, 0, 1, 10, roll.randrange(1, 256)))
    f_opts = b"" if f_port == 0 else roll.randbytes(roll.choice((0, 0, 1, 7, 15)))
    payload = b"" if f_port is None else roll.randbytes(roll.choice((0, 1, 15, 16, 17, roll.randrange(200))))
    ack, adr = roll.random() < 0.5, roll.random() < 0.5
    context = {
        "conf_f_cnt": roll.getrandbits(16),
        "tx_dr": roll.randrange(16),
        "tx_ch": roll.randrange(256),
    }
    mtype = roll.choice((*MType,)[2:6])
    raw = phy_payload(
        session, f_cnt, payload, f_port=f_port, f_opts=f_opts, mtype=mtype, adr=adr, ack=ack, **context
    )
    good = roll.random() < 0.85
    keys = {"AppSKey": session.app_s_key.hex()}
    if lorawan == "1.0":
        keys["NwkSKey"] = session.f_nwk_s_int_key.hex()
    else:
        keys |= {
            "FNwkSIntKey": session.f_nwk_s_int_key.hex(),
            "SNwkSIntKey": session.s_nwk_s_int_key.hex(),
            "NwkSEncKey": session.nwk_s_enc_key.hex(),
        }
    request = {
        "id": number,
        "kind": "data",
        "hex": (raw if good else spoilt(roll, raw)).hex(),
        "lorawan": lorawan,
        "keys": keys,
        "f_cnt_msb": f_cnt >> 16,
        "context": context,
    }
    sent = {
        "mtype": mtype.text,
        "dev_addr": str(session.dev_addr),
        "adr": adr,
        "ack": ack,
        "f_cnt": f_cnt,
        "f_port": f_port,
        "f_opts": f_opts.hex(),
        "frm_payload": payload.hex(),
        "mic_ok": True,
    }
    return request, sent if good else {"mic_ok": False}


def test_data_frames() -> None:
    roll = random.Random(20)
    made = [data_request(roll, number) for number in range(DATA_FRAMES)]
    verdicts = judge([request for request, _ in made])
    for (request, sent), verdict in zip(made, verdicts, strict=True):
        ours = inspect_frame(request)
        assert {name: ours[name] for name in sent} == sent, request
        assert {name: ours[name] for name in verdict} == verdict, request
    good = [verdict["mic_ok"] for verdict in verdicts]
    assert DATA_FRAMES // 2 < sum(good) < DATA_FRAMES


def join_request(roll: random.Random, number: int) -> dict[str, Any]:
    root, js_int, s_int = (AES128Key(roll.randbytes(16)) for _ in range(3))
    join_eui, dev_eui = JoinEUI(roll.randbytes(8)), DevEUI(roll.randbytes(8))
    net_id, dev_addr = NetID(roll.randbytes(3)), DevAddr(roll.randbytes(4))
    nonce = roll.getrandbits(16)
    new = roll.random() < 0.5
    keys = {("NwkKey" if new else "AppKey"): root.hex()}
    context = {"join_req_type": 255, "join_eui": str(join_eui), "dev_nonce": nonce}
    kind = roll.randrange(3)
    if kind == 0:
        request = JoinRequest(join_eui, dev_eui, nonce, b"")
        raw = request.message + join_request_mic(AES128(root), request.message)
    elif kind == 1:
        rejoin_type = roll.randrange(3)
        named = (None, join_eui) if rejoin_type == 1 else (net_id, None)
        rejoin = RejoinRequest(rejoin_type, *named, dev_eui, nonce, b"")
        keys = {"JSIntKey": js_int.hex(), "SNwkSIntKey": s_int.hex()}
        key = js_int if rejoin_type == 1 else s_int
        raw = rejoin.message + rejoin_request_mic(AES128(key), rejoin.message)
    else:
        frequencies = tuple(100 * roll.getrandbits(23) for _ in range(5))
        accept = JoinAccept(
            join_nonce=roll.getrandbits(24),
            net_id=net_id,
            dev_addr=dev_addr,
            rx1_dr_offset=roll.randrange(8),
            rx2_data_rate=roll.randrange(16),
            opt_neg=new,
            rx_delay_s=roll.randrange(16),
            cf_list=CFList(0, frequencies) if roll.random() < 0.5 else None,
        )
        if new:
            keys["JSIntKey"] = js_int.hex()
            mic = join_accept_mic_1_1(AES128(js_int), 0xFF, join_eui, nonce, accept.message)
        else:
            mic = join_accept_mic_1_0(AES128(root), accept.message)
        raw = b"\x20" + AES128(root).decrypt(accept.body + mic)
    if roll.random() < 0.15:
        raw = spoilt(roll, raw)
    return {
        "id": number,
        "kind": "join",
        "hex": raw.hex(),
        "lorawan": "1.1" if new else "1.0",
        "keys": keys,
        "context": context,
    }


def test_joins() -> None:
    roll = random.Random(21)
    requests = [join_request(roll, number) for number in range(JOIN_FRAMES)]
    good = 0
    for request, verdict in zip(requests, judge(requests), strict=True):
        ours = inspect_frame(request)
        if ours["mtype"] == "JoinAccept" and not verdict["mic_ok"]:
            # A spoilt one decrypts to noise, OptNeg among it; we show none of it.
            assert ours["mic_ok"] is not True
            continue
        assert {name: ours[name] for name in verdict} == verdict, request
        good += verdict["mic_ok"]
    assert JOIN_FRAMES // 2 < good < JOIN_FRAMES


def test_derived_keys() -> None:
    roll = random.Random(22)
    lengths = {
        "AppKey": 16,
        "NwkKey": 16,
        "join_nonce": 3,
        "dev_nonce": 2,
        "net_id": 3,
        "join_eui": 8,
        "dev_eui": 8,
    }
    requests = [
        {"id": number, "kind": "keys"} | {name: roll.randbytes(n).hex() for name, n in lengths.items()}
        for number in range(DERIVATIONS)
    ]
    for request, verdict in zip(requests, judge(requests), strict=True):
        app, nwk = AES128Key.parse(request["AppKey"]), AES128Key.parse(request["NwkKey"])
        join_nonce, dev_nonce = int(request["join_nonce"], 16), int(request["dev_nonce"], 16)
        old = session_keys_1_0(app, join_nonce, NetID.parse(request["net_id"]), dev_nonce)
        now = session_keys_1_1(nwk, app, join_nonce, JoinEUI.parse(request["join_eui"]), dev_nonce)
        server = join_server_keys(nwk, DevEUI.parse(request["dev_eui"]))
        assert verdict["old"] == {"AppSKey": old.app_s_key.hex(), "NwkSKey": old.f_nwk_s_int_key.hex()}
        assert verdict["now"] == {
            "AppSKey": now.app_s_key.hex(),
            "FNwkSIntKey": now.f_nwk_s_int_key.hex(),
            "SNwkSIntKey": now.s_nwk_s_int_key.hex(),
            "NwkSEncKey": now.nwk_s_enc_key.hex(),
        }
        assert verdict["server"] == {
            "JSIntKey": server.js_int_key.hex(),
            "JSEncKey": server.js_enc_key.hex(),
        }
