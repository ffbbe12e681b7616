"""The frame inspector's JSON and its words."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.inspector import KEY_NAMES, describe, inspect_frame
from tests.rig import lorawan_reference

FILE = Path(__file__).parents[2] / "vectors" / "lorawan.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())["vectors"]
PINNED = {
    "id",
    "mtype",
    "dev_addr",
    "adr",
    "ack",
    "f_cnt",
    "f_opts",
    "frm_payload",
    "f_port",
    "join_eui",
    "dev_eui",
    "dev_nonce",
    "join_nonce",
    "net_id",
    "mic_ok",
    "reason",
}
SECRET = "5ec4e7" + "0" * 20 + "5ec4e7"


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_our_vectors(vector: dict[str, Any]) -> None:
    answer = inspect_frame(vector["request"] | {"id": vector["id"]})
    assert {name: answer.get(name) for name in vector["answer"]} == vector["answer"]
    assert answer["id"] == vector["id"]
    assert answer.keys() >= PINNED
    json.dumps(answer)


def test_the_file_is_what_the_reference_makes() -> None:
    assert json.loads(FILE.read_text()) == lorawan_reference.document()


def frame(f_cnt: int = 5, f_port: int = 10, payload: bytes = b"") -> tuple[str, dict[str, str]]:
    keys = {"NwkSKey": bytes(range(16)), "AppSKey": bytes(range(16, 32))}
    payload = payload or bytes.fromhex("11016E038416A817701702")
    raw = lorawan_reference.data_frame(
        4, "1.0", keys, bytes.fromhex("260b1234"), 0x80, f_cnt, b"\x02", f_port, payload
    )
    return raw.hex(), {name: key.hex() for name, key in keys.items()}


def test_a_missing_key_is_not_a_wrong_mic() -> None:
    text, keys = frame()
    answer = inspect_frame({"hex": text})
    assert (answer["mic_ok"], answer["reason"], answer["frm_payload"]) == (None, None, None)
    answer = inspect_frame({"hex": text, "keys": {"NwkSKey": keys["NwkSKey"]}})
    assert (answer["mic_ok"], answer["frm_payload"]) == (True, None)


def test_a_1_1_mic_fits_without_knowing_data_rate_and_channel() -> None:
    vector = next(
        v
        for v in VECTORS
        if v["request"].get("lorawan") == "1.1"
        and v["answer"]["mtype"] == "ConfirmedDataUp"
        and not v["answer"]["ack"]
    )
    assert inspect_frame(vector["request"] | {"context": {}})["mic_ok"] is True
    wrong = vector["request"]["context"]["tx_ch"] ^ 1
    context = vector["request"]["context"] | {"tx_ch": wrong}
    assert inspect_frame(vector["request"] | {"context": context})["mic_ok"] is False


def test_a_join_accept_in_clear_is_recognised() -> None:
    vector = next(v for v in VECTORS if v["id"] == "join-accept-0")
    key = bytes.fromhex(vector["request"]["keys"]["AppKey"])
    raw = bytes.fromhex(vector["request"]["hex"])
    clear = raw[:1] + lorawan_reference.encrypt_block(key, raw[1:])
    answer = inspect_frame(vector["request"] | {"hex": clear.hex()})
    assert (answer["mic_ok"], answer["encrypted"]) == (True, False)
    assert answer["dev_addr"] == vector["answer"]["dev_addr"]


def test_a_join_accept_with_a_wrong_key_shows_no_noise() -> None:
    vector = next(v for v in VECTORS if v["id"] == "join-accept-0")
    answer = inspect_frame(vector["request"] | {"keys": {"AppKey": "00" * 16}})
    assert (answer["mic_ok"], answer["reason"]) == (False, "mic_failed")
    assert (answer["dev_addr"], answer["net_id"], answer["join_nonce"]) == (None, None, None)


def test_numbers_may_be_hex_text() -> None:
    vector = next(v for v in VECTORS if v["id"] == "join-accept-1")
    context = vector["request"]["context"]
    context = context | {"dev_nonce": f"{context['dev_nonce']:04x}"}
    assert inspect_frame(vector["request"] | {"context": context})["mic_ok"] is True


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ([], "JSON object"),
        ({}, "hex"),
        ({"hex": 5}, "hex"),
        ({"hex": "4"}, "hex"),
        ({"hex": "00", "lorawan": "2.0"}, "lorawan"),
        ({"hex": "00", "keys": [SECRET]}, "keys"),
        ({"hex": "00", "keys": {SECRET: "NwkSKey"}}, "keys"),
        ({"hex": "00", "keys": {"NwkSKey": SECRET + "00"}}, "NwkSKey"),
        ({"hex": "00", "keys": {"NwkSKey": 7}}, "NwkSKey"),
        ({"hex": "00", "f_cnt_msb": 65536}, "f_cnt_msb"),
        ({"hex": "00", "f_cnt_msb": True}, "f_cnt_msb"),
        ({"hex": "00", "context": {"tx_dr": "zz"}}, "tx_dr"),
        ({"hex": "00", "context": {"join_eui": "12"}}, "JoinEUI"),
    ],
)
def test_an_unreadable_request_is_answered(request_: Any, says: str) -> None:
    answer = inspect_frame(request_)
    assert answer.keys() == {"id", "error"}
    assert says in answer["error"]
    assert SECRET not in str(answer)


def test_description_in_words() -> None:
    text, keys = frame()
    lines = describe(text, keys=keys)
    story = "\n".join(lines)
    for word in (
        "ConfirmedDataUp",
        "260b1234",
        "FCnt",
        "ADR",
        "LinkCheckReq",
        "MIC fits",
        "yes",
        "report",
        "58",
    ):
        assert word in story
    assert not any(key in story for key in keys.values())


def test_description_takes_base64_in_both_alphabets_without_padding() -> None:
    text, keys = frame(payload=bytes.fromhex("fbff") * 3, f_port=99)
    raw = bytes.fromhex(text)
    want = describe(text, keys=keys)
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        assert describe(encoded.decode(), keys=keys) == want
        assert describe(encoded.decode().rstrip("="), keys=keys) == want
    assert any("not decoded" in line for line in want)


def test_description_explains_a_wrong_upper_counter() -> None:
    text, keys = frame(f_cnt=65536 * 2 + 9)
    story = "\n".join(describe(text, keys=keys))
    assert "mic_fits_other_upper_counter" in story
    assert "131081" in story
    assert "interval_s" not in story


def test_description_without_keys_shows_what_can_be_seen() -> None:
    text, _ = frame()
    story = "\n".join(describe(text))
    assert "encrypted" in story
    assert "not known" in story


@pytest.mark.parametrize("text", ["?", "40f", "YAAAA", "zz", "4034120b26000100015551020304g0"])
def test_what_is_neither_hex_nor_base64(text: str) -> None:
    with pytest.raises(ValueError, match="hex"):
        describe(text)


def test_no_bytes_at_all_are_described() -> None:
    assert any("too_short" in line for line in describe(""))


def test_a_bad_key_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="NwkSKey") as caught:
        describe("00", keys={"NwkSKey": SECRET + "00"})
    assert SECRET not in str(caught.value)


def test_key_names_are_the_specifications() -> None:
    assert {
        "NwkSKey",
        "AppSKey",
        "FNwkSIntKey",
        "SNwkSIntKey",
        "NwkSEncKey",
        "AppKey",
        "NwkKey",
        "JSIntKey",
    } <= set(KEY_NAMES)
