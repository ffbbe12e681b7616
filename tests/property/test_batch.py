"""Batch and receipt: one altered byte anywhere, or any bytes at all, give the one documented error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_codecs import canonical
from edge_codecs.batch import Lane, Manifest, RowRange, StreamId, open_batch, parse_header, seal, verify
from edge_codecs.faults import BatchError, ReceiptError
from edge_codecs.identifiers import GatewayId
from edge_codecs.receipt import Detail, Receipt, Verdict, sign_receipt, verify_receipt
from tests.unit.edge_codecs.batch_vectors import GATEWAY_KEY, RECEIPT_KEY, SEALING_KEY, VECTORS, receive

NUMBER = st.integers(1, (1 << 63) - 1)
EIGHT = st.binary(min_size=8, max_size=8)
WIRES = [bytes.fromhex(vector["wire"]) for vector in VECTORS["batches"]]


@st.composite
def ranges(draw: st.DrawFn) -> tuple[RowRange, ...]:
    behind, drawn = 1, []
    for _ in range(draw(st.integers(1, 64))):
        first = behind + draw(st.integers(0, 1 << 40))
        drawn.append(RowRange(first, draw(st.integers(1, 8192 // 64))))
        behind = drawn[-1].last + 1
    return tuple(drawn)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    number = draw(NUMBER | st.just(1))
    previous = b"" if number == 1 else draw(st.binary(min_size=16, max_size=16))
    gateway, stream = GatewayId(draw(EIGHT)), StreamId(draw(EIGHT))
    return Manifest(
        gateway,
        stream,
        number,
        draw(st.sampled_from(Lane)),
        draw(ranges()),
        previous,
        draw(st.binary(max_size=300)),
    )


@given(manifests())
def test_batch_survives(manifest: Manifest) -> None:
    wire = seal(manifest, GATEWAY_KEY, SEALING_KEY.public_key)
    header = parse_header(wire)
    assert wire.startswith(header.encoded)
    assert verify(open_batch(wire, header, SEALING_KEY), GATEWAY_KEY.verify_key) == manifest


@given(st.sampled_from(WIRES), st.data())
def test_altered_batch_is_refused(wire: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(wire) - 1))
    altered = wire[:at] + bytes([wire[at] ^ data.draw(st.integers(1, 255))]) + wire[at + 1 :]
    assert _refused(altered)


@given(st.sampled_from(WIRES), st.data())
def test_batch_cut_or_lengthened_is_refused(wire: bytes, data: st.DataObject) -> None:
    assert _refused(wire[: data.draw(st.integers(0, len(wire) - 1))])
    assert _refused(wire + data.draw(st.binary(min_size=1, max_size=5)))


def _refused(wire: bytes) -> bool:
    try:
        receive(wire)
    except BatchError:
        return True
    return False


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"\x89\x01\x01\x48" + tail))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    try:
        header = parse_header(data)
    except BatchError:
        return
    assert data.startswith(header.encoded)


ITEMS = st.recursive(
    st.integers(0, (1 << 63) - 1) | st.binary(max_size=30),
    lambda item: st.lists(item, max_size=4),
    max_leaves=20,
)


@given(st.binary(max_size=100) | st.lists(ITEMS, max_size=6).map(canonical.dumps))
def test_canonical_bytes_have_one_form(data: bytes) -> None:
    try:
        value = canonical.loads(data, 1000)
    except canonical.NotCanonical:
        return
    assert canonical.dumps(value) == data


@given(st.data())
def test_receipt_survives(data: st.DataObject) -> None:
    up_to = data.draw(st.integers(0, (1 << 63) - 1))
    receipt = Receipt(
        GatewayId(data.draw(EIGHT)),
        StreamId(data.draw(EIGHT)),
        up_to,
        data.draw(st.binary(min_size=32, max_size=32)) if up_to else b"",
        data.draw(st.integers(0, (1 << 63) - 1)),
        data.draw(st.sampled_from(Verdict)),
        data.draw(st.sampled_from(Detail)),
        data.draw(st.integers(0, (1 << 63) - 1)),
    )
    assert verify_receipt(sign_receipt(receipt, RECEIPT_KEY), RECEIPT_KEY.verify_key) == receipt


@given(st.binary(max_size=200))
def test_any_signed_bytes_are_a_receipt_or_refused(body: bytes) -> None:
    """Even the receiver's own key cannot make the reader stumble."""
    signed = body + RECEIPT_KEY.sign(b"clipr receipt signature 1\x00" + body)
    try:
        receipt = verify_receipt(signed, RECEIPT_KEY.verify_key)
    except ReceiptError:
        return
    assert sign_receipt(receipt, RECEIPT_KEY) == signed
