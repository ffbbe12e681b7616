"""LoRaWAN: whatever bytes arrive, and one crypto library against the other."""

from __future__ import annotations

import json
from dataclasses import replace

from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.inspector import inspect_frame
from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.cflist import parse_cflist
from edge_agent.lorawan.fcnt import LAP, full_f_cnt, other_f_cnts
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_accept import EncryptedJoinAccept, JoinAccept
from edge_agent.lorawan.key_derivation import join_server_keys, session_keys_1_0, session_keys_1_1
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.keywrap import unwrap, wrap
from edge_agent.lorawan.mac_commands import build_mac_commands, parse_mac_commands
from edge_agent.lorawan.malformed import MalformedFrame
from edge_agent.lorawan.mhdr import Direction, MType
from edge_agent.lorawan.mic import (
    join_accept_mic_1_0,
    join_accept_mic_1_1,
    join_request_mic,
    rejoin_request_mic,
)
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.phypayload import DataFrame, MACPayload, parse, parse_mac_payload
from edge_agent.lorawan.session import Session
from edge_agent.network.admit import Activations, Admitted, Rejected, admit
from edge_agent.network.reason import Reason
from edge_codecs.identifiers import DevEUI, JoinEUI
from tests.rig import lorawan_reference as reference
from tests.rig.lorawan_frames import heard, phy_payload

KEY = st.binary(min_size=16, max_size=16)
DEV_ADDR = st.binary(min_size=4, max_size=4)
EUI = st.binary(min_size=8, max_size=8)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)
LIKE_A_FRAME = st.tuples(st.sampled_from(bytes(range(0, 256, 32))), st.binary(max_size=80)).map(
    lambda parts: bytes(parts[:1]) + parts[1]
)
ANY_FRAME = st.binary(max_size=300) | LIKE_A_FRAME


@given(ANY_FRAME)
def test_any_bytes_are_a_frame_or_the_one_error(raw: bytes) -> None:
    try:
        frame = parse(raw)
    except MalformedFrame as error:
        assert str(error)
        return
    reserved = 0x1F if frame.mtype is MType.PROPRIETARY else 0x1C
    assert frame.to_bytes() == bytes([raw[0] & ~reserved]) + raw[1:]


@given(st.binary(max_size=40))
def test_any_bytes_are_a_mac_payload_or_the_one_error(raw: bytes) -> None:
    try:
        mac_payload = parse_mac_payload(raw)
    except MalformedFrame:
        return
    assert isinstance(mac_payload, MACPayload)


@given(ANY_FRAME, st.booleans(), KEY)
def test_any_bytes_are_inspected_and_decided(raw: bytes, new: bool, key: bytes) -> None:
    names = ("FNwkSIntKey", "SNwkSIntKey", "NwkSEncKey", "NwkKey") if new else ("NwkSKey", "AppKey")
    keys = {name: key.hex() for name in (*names, "AppSKey")}
    request = {"id": 1, "hex": raw.hex(), "lorawan": "1.1" if new else "1.0", "keys": keys}
    answer = inspect_frame(request | {"context": {"tx_dr": 5, "tx_ch": 0}})
    assert "error" not in answer
    json.dumps(answer)
    session = Session(
        DevEUI(bytes(8)),
        DevAddr.from_air(raw[1:5].ljust(4, b"\0")),
        "1.1" if new else "1.0",
        *[AES128Key(key)] * 4,
    )
    outcome = admit(heard(raw), Activations([session]))
    assert isinstance(outcome, Rejected) or answer["mic_ok"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
LIKE_A_REQUEST = st.fixed_dictionaries(
    {"hex": st.binary(max_size=30).map(bytes.hex) | JSON},
    optional=dict.fromkeys(("id", "lorawan", "f_cnt_msb"), JSON)
    | {
        "keys": JSON | st.dictionaries(st.sampled_from(("NwkSKey", "AppKey")), JSON),
        "context": JSON | st.dictionaries(st.sampled_from(("tx_dr", "join_eui", "dev_nonce")), JSON),
    },
)


@given(JSON | LIKE_A_REQUEST)
def test_any_json_is_answered(request: object) -> None:
    answer = inspect_frame(request)
    assert "id" in answer
    assert ("error" in answer) != ("mtype" in answer)


@given(st.binary(max_size=60), st.sampled_from(Direction))
def test_any_bytes_are_read_as_mac_commands(raw: bytes, direction: Direction) -> None:
    commands, rest = parse_mac_commands(direction, raw)
    assert raw.endswith(rest)
    built = build_mac_commands(commands)
    assert len(built) + len(rest) == len(raw)
    assert parse_mac_commands(direction, built) == (commands, b"")


@given(st.binary(min_size=16, max_size=16))
def test_any_cflist_is_read_and_built_again(raw: bytes) -> None:
    cf_list = parse_cflist(raw)
    assert parse_cflist(cf_list.to_bytes()) == cf_list
    if raw[-1] != 1:  # masks leave a reserved byte
        assert cf_list.to_bytes() == raw


@given(st.none() | U32, U16)
def test_the_rebuilt_counter_is_the_next_that_fits(last: int | None, on_air: int) -> None:
    full = full_f_cnt(last, on_air)
    if full is None:
        assert last is not None
        assert last + LAP > 0xFFFF_FFFF
        return
    assert full & 0xFFFF == on_air
    lowest = -1 if last is None else last
    assert lowest < full <= lowest + LAP


@given(st.none() | U32, U16)
def test_other_counters_fit_and_are_others(last: int | None, on_air: int) -> None:
    others = list(other_f_cnts(last, on_air))
    assert len(others) == len(set(others)) <= 40
    assert full_f_cnt(last, on_air) not in others
    assert all(other & 0xFFFF == on_air and 0 <= other <= 0xFFFF_FFFF for other in others)
    if last is not None and last >= LAP:
        assert on_air in others


@given(KEY, st.binary(max_size=300))
def test_cmac_of_both_libraries(key: bytes, message: bytes) -> None:
    aes = AES128(AES128Key(key))
    assert aes.cmac(message) == reference.cmac(key, message) == aes.cmac(message)


@given(
    KEY,
    st.binary(max_size=5).flatmap(lambda seed: st.binary(min_size=16 * len(seed), max_size=16 * len(seed))),
)
def test_blocks_of_both_libraries(key: bytes, blocks: bytes) -> None:
    aes, other = AES128(AES128Key(key)), AES.new(key, AES.MODE_ECB)
    assert aes.encrypt(blocks) == other.encrypt(blocks)
    assert aes.decrypt(blocks) == other.decrypt(blocks)


@given(
    KEY | st.binary(min_size=32, max_size=32),
    st.sampled_from((16, 24, 32)).flatmap(lambda n: st.binary(min_size=n, max_size=n)),
)
def test_key_wrap_of_both_libraries(kek: bytes, key: bytes) -> None:
    wrapped = wrap(kek, key)
    assert wrapped == AES.new(kek, AES.MODE_KW).seal(key)
    assert unwrap(kek, wrapped) == key


FIELDS = st.fixed_dictionaries(
    {
        "f_cnt": U32,
        "f_opts": st.binary(max_size=15),
        "f_port": st.none() | st.integers(0, 255),
        "payload": st.binary(max_size=222),
        "adr": st.booleans(),
        "ack": st.booleans(),
        "conf_f_cnt": U16,
        "tx_dr": st.integers(0, 15),
        "tx_ch": st.integers(0, 255),
    }
)
DATA = st.sampled_from([*MType][2:6])


@given(st.sampled_from(("1.0", "1.1")), st.tuples(KEY, KEY, KEY, KEY), DEV_ADDR, DATA, FIELDS)
def test_data_frames_of_both_implementations(
    lorawan: str, keys: tuple[bytes, ...], dev_addr: bytes, mtype: MType, fields: dict
) -> None:
    f_int, s_int, enc, app = (AES128Key(key) for key in keys)
    if lorawan == "1.0":
        s_int = enc = f_int
    session = Session(DevEUI(bytes(8)), DevAddr(dev_addr), lorawan, f_int, s_int, enc, app)
    ours = phy_payload(session, mtype=mtype, **fields)
    named = {"FNwkSIntKey": f_int, "SNwkSIntKey": s_int, "NwkSEncKey": enc, "AppSKey": app}
    if lorawan == "1.0":
        named = {"NwkSKey": f_int, "AppSKey": app}
    theirs = reference.data_frame(
        mtype,
        lorawan,
        {name: bytes(key) for name, key in named.items()},
        dev_addr,
        fields["adr"] << 7 | fields["ack"] << 5,
        fields["f_cnt"],
        fields["f_opts"],
        fields["f_port"],
        fields["payload"],
        fields["conf_f_cnt"],
        fields["tx_dr"],
        fields["tx_ch"],
    )
    assert ours == theirs


@given(KEY, KEY, EUI, EUI, U16, st.integers(0, 0xFFFFFF), st.binary(min_size=3, max_size=3), DEV_ADDR)
def test_joins_of_both_implementations(
    root: bytes,
    second: bytes,
    join_eui: bytes,
    dev_eui: bytes,
    nonce: int,
    join_nonce: int,
    net_id: bytes,
    dev_addr: bytes,
) -> None:
    key, js_int = AES128(AES128Key(root)), AES128(AES128Key(second))
    raw = reference.join_request(root, join_eui, dev_eui, nonce)
    request = parse(raw)
    assert not isinstance(request, (DataFrame, EncryptedJoinAccept))
    assert join_request_mic(key, raw[:-4]) == raw[-4:]
    for kind, network in ((0, net_id), (1, join_eui), (2, net_id)):
        raw = reference.rejoin_request(root, kind, network, dev_eui, nonce)
        assert parse(raw).to_bytes() == raw
        assert rejoin_request_mic(key, raw[:-4]) == raw[-4:]
    accept = JoinAccept(join_nonce, NetID(net_id), DevAddr(dev_addr), 3, 9, False, 5)
    accept = replace(accept, mic=join_accept_mic_1_0(key, accept.message))
    raw = accept.encrypt(key).to_bytes()
    assert raw == reference.join_accept(root, root, b"", join_nonce, net_id, dev_addr, 0x39, 5)
    accept = replace(accept, opt_neg=True)
    mic = join_accept_mic_1_1(js_int, 0xFF, JoinEUI(join_eui), nonce, accept.message)
    accept = replace(accept, mic=mic)
    head = b"\xff" + join_eui[::-1] + nonce.to_bytes(2, "little")
    raw = accept.encrypt(key).to_bytes()
    assert raw == reference.join_accept(root, second, head, join_nonce, net_id, dev_addr, 0xB9, 5)


@given(KEY, KEY, EUI, U16, st.integers(0, 0xFFFFFF), st.binary(min_size=3, max_size=3))
def test_derived_keys_of_both_implementations(
    nwk: bytes, app: bytes, eui: bytes, dev_nonce: int, join_nonce: int, net_id: bytes
) -> None:
    jn, dn = reference.le(join_nonce, 3), reference.le(dev_nonce, 2)
    old = session_keys_1_0(AES128Key(app), join_nonce, NetID(net_id), dev_nonce)
    assert old.f_nwk_s_int_key == old.nwk_s_enc_key == reference.derive(app, 1, jn, net_id[::-1], dn)
    assert old.app_s_key == reference.derive(app, 2, jn, net_id[::-1], dn)
    new = session_keys_1_1(AES128Key(nwk), AES128Key(app), join_nonce, JoinEUI(eui), dev_nonce)
    assert new.f_nwk_s_int_key == reference.derive(nwk, 1, jn, eui[::-1], dn)
    assert new.s_nwk_s_int_key == reference.derive(nwk, 3, jn, eui[::-1], dn)
    assert new.nwk_s_enc_key == reference.derive(nwk, 4, jn, eui[::-1], dn)
    assert new.app_s_key == reference.derive(app, 2, jn, eui[::-1], dn)
    server = join_server_keys(AES128Key(nwk), DevEUI(eui))
    assert server.js_enc_key == reference.derive(nwk, 5, eui[::-1])
    assert server.js_int_key == reference.derive(nwk, 6, eui[::-1])


COUNTERS = st.integers(0, 40) | st.integers(65_500, 65_600) | st.integers(131_000, 131_200)


@given(st.sampled_from(("1.0", "1.1")), st.none() | COUNTERS, st.lists(COUNTERS, max_size=25))
def test_no_counter_is_ever_taken_twice_or_backwards(
    lorawan: str, last: int | None, counters: list[int]
) -> None:
    key = AES128Key(bytes(16))
    session = Session(DevEUI(bytes(8)), DevAddr(bytes(4)), lorawan, key, key, key, key, f_cnt_up=last)
    activations = Activations([session])
    for f_cnt in counters:
        outcome = admit(heard(phy_payload(session, f_cnt)), activations)
        floor = -1 if last is None else last
        if isinstance(outcome, Admitted):
            assert outcome.f_cnt == f_cnt > floor
            activations.advance(outcome)
            last = f_cnt
        else:
            assert outcome.f_cnt == f_cnt
            if f_cnt > floor:
                assert f_cnt > floor + LAP
                assert outcome.reason is Reason.MIC_FITS_OTHER_UPPER_COUNTER
            else:
                assert outcome.reason in (Reason.REPLAY, Reason.DUPLICATE)
    assert activations.sessions()[0].f_cnt_up == last
