"""Receipts against the golden vectors; what must be refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_codecs.batch import StreamId
from edge_codecs.faults import BatchFault, ReceiptError
from edge_codecs.identifiers import GatewayId
from edge_codecs.receipt import Detail, Receipt, Verdict, sign_receipt, verify_receipt
from tests.unit.edge_codecs.batch_vectors import RECEIPT_KEY, VECTORS, named


def _receipt_of(vector: dict[str, Any]) -> Receipt:
    return Receipt(
        GatewayId.parse(vector["gateway"]),
        StreamId(bytes.fromhex(vector["stream"])),
        vector["up_to"],
        bytes.fromhex(vector["batch_hash"]),
        vector["receiver_time_ms"],
        Verdict[vector["verdict"].upper()],
        Detail[vector["detail"].upper()],
        vector["batch"],
    )


GOLDEN = _receipt_of(VECTORS["receipts"][0])


@pytest.mark.parametrize("vector", VECTORS["receipts"], ids=named)
def test_golden_receipt(vector: dict[str, Any]) -> None:
    receipt, data = _receipt_of(vector), bytes.fromhex(vector["receipt"])
    assert verify_receipt(data, RECEIPT_KEY.verify_key) == receipt
    assert sign_receipt(receipt, RECEIPT_KEY) == data


@pytest.mark.parametrize("vector", VECTORS["refused_receipts"], ids=named)
def test_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(ReceiptError):
        verify_receipt(bytes.fromhex(vector["receipt"]), RECEIPT_KEY.verify_key)


def test_no_bit_can_be_altered() -> None:
    data = sign_receipt(GOLDEN, RECEIPT_KEY)
    for bit in range(8 * len(data)):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ReceiptError):
            verify_receipt(bytes(altered), RECEIPT_KEY.verify_key)


@pytest.mark.parametrize(
    "change",
    [
        {"up_to": -1},
        {"up_to": 0},
        {"batch_hash": b""},
        {"batch_hash": bytes(31)},
        {"receiver_time_ms": -1},
        {"batch": 1 << 63},
    ],
)
def test_writer_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        sign_receipt(replace(GOLDEN, **change), RECEIPT_KEY)


def test_every_fault_has_a_detail() -> None:
    assert {Detail.of(fault).name for fault in BatchFault} == {fault.name for fault in BatchFault}


def test_detail_of_a_later_version_is_other() -> None:
    data = sign_receipt(replace(GOLDEN, detail=Detail.OTHER), RECEIPT_KEY)
    body = bytearray(data[:-64])
    assert body[-2] == 255
    body[-2] = 99
    signed = bytes(body) + RECEIPT_KEY.sign(b"clipr receipt signature 1\x00" + bytes(body))
    assert verify_receipt(signed, RECEIPT_KEY.verify_key).detail is Detail.OTHER
