"""Clip'R payloads: what decodes encodes to the same bytes, and the other way round."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from edge_codecs import clipr
from edge_codecs.clipr import DecodeError
from tests.property import uplinks


def _payload_like() -> st.SearchStrategy[tuple[int, bytes]]:
    """Payloads that are likely to decode: the right version and plausible lengths, else random."""
    t16 = st.one_of(st.integers(-4000, 12_500), st.just(-0x8000), st.integers(-0x8000, 0x7FFF))
    words = st.lists(t16.map(struct.Struct(">h").pack), min_size=0, max_size=9).map(b"".join)
    head = st.tuples(st.integers(0, 15), st.binary(min_size=4, max_size=9)).map(
        lambda pair: bytes([0x10 | pair[0]]) + pair[1]
    )
    payload = st.tuples(head, words, st.binary(max_size=6)).map(b"".join)
    return st.tuples(st.sampled_from([10, 11, 12, 13]), payload | st.binary(max_size=40))


@given(_payload_like())
def test_any_payload_is_read_or_refused(case: tuple[int, bytes]) -> None:
    f_port, payload = case
    try:
        message = clipr.decode(f_port, payload)
    except DecodeError:
        return
    assert clipr.encode(message) == (f_port, payload)


@given(uplinks.messages())
def test_every_message_survives_both_ways(message: clipr.Message) -> None:
    f_port, payload = clipr.encode(message)
    assert clipr.decode(f_port, payload) == message
    # 40 intervals, every change of which is escaped: 4 bytes more than a frame holds, so a sensor sends fewer
    assert len(payload) <= 12 + 39 * 6


@given(uplinks.messages(), st.data())
def test_one_altered_byte_is_read_or_refused(message: clipr.Message, data: st.DataObject) -> None:
    f_port, payload = clipr.encode(message)
    at = data.draw(st.integers(0, len(payload) - 1))
    altered = payload[:at] + bytes([data.draw(st.integers(0, 255))]) + payload[at + 1 :]
    try:
        again = clipr.decode(f_port, altered)
    except DecodeError:
        return
    assert clipr.encode(again) == (f_port, altered)


@given(st.integers(0, 255), st.binary(max_size=12))
def test_any_downlink_is_read_or_refused(f_port: int, payload: bytes) -> None:
    try:
        message = clipr.decode_downlink(f_port, payload)
    except DecodeError:
        return
    assert clipr.encode_downlink(message) == (f_port, payload)


@given(uplinks.downlinks())
def test_every_downlink_survives_both_ways(message: clipr.Downlink) -> None:
    assert clipr.decode_downlink(*clipr.encode_downlink(message)) == message
