"""Whatever arrives, the parser returns a value."""

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.radio.gwmp import (
    NotGwmp,
    PullData,
    PushData,
    TxAck,
    acknowledgement,
    parse_datagram,
    push_data,
)
from edge_agent.radio.rxpk import RxPk
from edge_codecs.identifiers import EUI64

GATEWAY = EUI64(bytes(range(8)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "jver", "tmst", "time", "tmms", "chan", "rfch", "freq", "mid", "stat", "modu", "datr", "codr", "rssi",
    "rssis", "lsnr", "foff", "size", "data", "rsig", "ant",
]  # fmt: skip
SOUND = {"tmst": 1, "freq": 868.1, "stat": 1, "datr": "SF7BW125", "lsnr": 5.5, "rssi": -60, "data": "QA=="}


@given(st.binary(max_size=300))
def test_any_bytes(datagram):
    acknowledgement(datagram)
    assert isinstance(parse_datagram(datagram), PushData | PullData | TxAck | NotGwmp)


@given(st.sampled_from([1, 2]), st.sampled_from([0, 2, 5]), st.binary(max_size=200))
def test_any_body_behind_a_header(version, kind, body):
    assert not isinstance(parse_datagram(bytes((version, 0, 0, kind)) + GATEWAY + body), NotGwmp)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), JSON)
def test_any_values_between_sound_neighbours(strange, stat):
    strange = {**SOUND, **strange}
    body = json.dumps({"rxpk": [SOUND, strange, SOUND], "stat": stat})
    push = parse_datagram(push_data(b"ab", GATEWAY, body))
    assert isinstance(push, PushData)
    assert len(push.rxpks) + len(push.flaws) == 3
    assert push.rxpks[0].phy_payload == push.rxpks[-1].phy_payload == b"\x40"
    assert all(isinstance(rxpk, RxPk) and json.loads(rxpk.raw) for rxpk in push.rxpks)


@given(st.binary(max_size=255), st.booleans(), st.booleans())
def test_base64_of_either_alphabet_with_padding_or_without(payload, url_safe, padded):
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(payload).decode()
    body = json.dumps({"rxpk": [{**SOUND, "data": text if padded else text.rstrip("=")}]})
    push = parse_datagram(push_data(b"ab", GATEWAY, body))
    assert [rxpk.phy_payload for rxpk in push.rxpks] == [payload]


@given(st.data())
def test_a_body_cut_or_damaged_anywhere_keeps_what_stands_before(data):
    elements = [json.dumps({**SOUND, "tmst": number}, separators=(",", ":")) for number in range(4)]
    body = '{"rxpk":[' + ",".join(elements) + "]}"
    cut = data.draw(st.integers(0, len(body) - 1))
    push = parse_datagram(push_data(b"ab", GATEWAY, body[:cut]))
    whole = sum(cut >= len('{"rxpk":[') + sum(map(len, elements[:n])) + n - 1 for n in range(1, 5))
    assert [rxpk.counter_us for rxpk in push.rxpks] == list(range(whole))
    assert push.flaws
