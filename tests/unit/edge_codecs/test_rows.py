"""Rows against the golden vectors, at their limits, and hostile ones."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
import zstandard

from edge_codecs.clipr import CentiCelsius, Extremes, Report, Undecoded, decode
from edge_codecs.faults import BatchError, BatchFault
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import Uplink
from edge_codecs.rows import MAX_ROWS, decode_columns, decode_rows, encode_rows
from tests.unit.edge_codecs.batch_vectors import VECTORS, named, uplinks_of

ROWS: list[dict[str, Any]] = VECTORS["rows"]
ONE: Uplink = uplinks_of(ROWS[0])[0]
MIXED: list[Uplink] = uplinks_of(ROWS[1])


@pytest.mark.parametrize("vector", ROWS, ids=named)
def test_golden_rows_decode_for_ever(vector: dict[str, Any]) -> None:
    uplinks = uplinks_of(vector)
    assert decode_rows(bytes.fromhex(vector["encoded"]), len(uplinks)) == uplinks


@pytest.mark.parametrize("vector", ROWS, ids=named)
def test_golden_rows_are_written_alike(vector: dict[str, Any]) -> None:
    """The body byte for byte; zstd may pack it otherwise in another release."""
    encoded, golden = encode_rows(uplinks_of(vector)), bytes.fromhex(vector["encoded"])
    assert _body(encoded) == _body(golden)


def _body(rows: bytes) -> bytes:
    return zstandard.decompress(rows[1:]) if rows[0] & 1 else rows[1:]


def test_payloads_are_rebuilt_bit_for_bit() -> None:
    columns = decode_columns(encode_rows(MIXED), len(MIXED))
    assert columns.payloads() == [
        (row["f_port"], bytes.fromhex(row["payload"])) for row in ROWS[1]["uplinks"]
    ]


def test_columns_of_a_mixed_batch() -> None:
    columns = decode_columns(bytes.fromhex(ROWS[1]["encoded"]), len(MIXED))
    assert len(columns.devices) == 4
    assert columns.reports.row == [0, 1, 5]
    assert columns.reports.channel_row == [0, 0, 1, 5, 5]
    assert columns.reports.channel_report == [0, 0, 1, 2, 2]
    assert columns.reports.channel == [0, 1, 0, 0, 1]
    assert columns.reports.minimum == [5600, 1800, None, 5000, 1800]
    assert columns.reports.bitmap == [3, 1, 11]
    assert [row for row, _ in columns.others] == [2, 3, 4, 6]


def test_largest_batch_survives() -> None:
    """8192 rows of the widest values that there are."""
    far = replace(ONE, dev_eui=DevEUI(b"\xff" * 8), session=0xFFFF_FFFF, f_cnt=0, received_ms=0)
    rows = [replace(ONE, f_cnt=0xFFFF_FFFF), far] * (MAX_ROWS // 2)
    assert decode_rows(encode_rows(rows), MAX_ROWS) == rows


def test_largest_payloads_stay_below_the_bomb_limit() -> None:
    rows = [replace(ONE, f_cnt=number, message=Undecoded(99, bytes([number]) * 255)) for number in range(200)]
    assert decode_rows(encode_rows(rows), 200) == rows


def test_three_channels_with_noise_stay_below_the_bomb_limit() -> None:
    def noisy(seed: int) -> Uplink:
        spread = [CentiCelsius((seed * 7919 + channel * 104_729) % 6000) for channel in range(3)]
        channels = tuple(
            Extremes(channel, CentiCelsius(-low), low, low) for channel, low in enumerate(spread)
        )
        channels = tuple(replace(e, minimum=max(e.minimum or 0, CentiCelsius(-4000))) for e in channels)
        return replace(
            ONE,
            dev_eui=DevEUI((seed * 0x9E37_79B9_7F4A_7C15 % (1 << 64)).to_bytes(8)),
            session=seed * 2_654_435_761 % (1 << 32),
            message=Report(seed % 256, seed * 31 % 256, seed % 65_535 + 1, channels),
        )

    rows = list(map(noisy, range(500)))
    assert decode_rows(encode_rows(rows), 500) == rows


def test_compressed_only_where_it_helps() -> None:
    assert encode_rows([ONE])[0] & 1 == 0
    many = encode_rows([replace(ONE, f_cnt=number) for number in range(500)])
    assert len(many) < len(_body(many)) or many[0] & 1 == 0


def test_snr_is_kept_to_a_tenth() -> None:
    assert decode_rows(encode_rows([replace(ONE, snr_db=7.249)]), 1)[0].snr_db == 7.2


def test_an_undecoded_payload_is_read_once_it_can_be() -> None:
    payload = bytes.fromhex("11016e038416a817701702")
    rows = [replace(ONE, message=Undecoded(10, payload))]
    assert decode_rows(encode_rows(rows), 1) == [replace(ONE, message=decode(10, payload))]


@pytest.mark.parametrize(
    "change",
    [
        {"f_cnt": -1},
        {"f_cnt": 1 << 32},
        {"session": 1 << 32},
        {"received_ms": -1},
        {"received_ms": 1 << 48},
        {"frequency_hz": -1},
        {"frequency_hz": 1 << 40},
        {"data_rate": ""},
        {"data_rate": "x" * 64},
        {"rssi_dbm": 1 << 15},
        {"snr_db": 4000.0},
        {"codec": "other"},
        {"codec": ""},
        {"message": Undecoded(256, b"")},
        {"message": Undecoded(99, bytes(256))},
        {"message": Report(0, 0, 1, ())},
    ],
)
def test_writer_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        encode_rows([replace(ONE, **change)])


@pytest.mark.parametrize("count", [0, MAX_ROWS + 1])
def test_writer_refuses_a_number_of_rows(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1"):
        encode_rows([ONE] * count)


@pytest.mark.parametrize("count", [0, -1, MAX_ROWS + 1, 1 << 62])
def test_reader_refuses_a_number_of_rows(count: int) -> None:
    with pytest.raises(BatchError) as caught:
        decode_rows(encode_rows([ONE]), count)
    assert caught.value.reason is BatchFault.BAD_ROWS


@pytest.mark.parametrize("count", [1, 8, MAX_ROWS])
def test_bomb_is_refused_in_bounded_memory(count: int) -> None:
    frame = zstandard.ZstdCompressor(level=1).compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BatchError) as caught:
            decode_rows(b"\x01" + frame, count)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason is BatchFault.BOMB
    assert peak < 100_000


def test_few_bytes_cannot_ask_for_many_rows_of_text() -> None:
    """Columns of width 0 cost nothing to send; what they unpack to is bounded by the number of rows."""
    rows = encode_rows([ONE] * MAX_ROWS)
    assert len(rows) < 120
    tracemalloc.start()
    try:
        decode_columns(rows, MAX_ROWS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


# One row, field by field (docs/wire.md): DevEUI, session, f_cnt, received_ms, traits, frequency, data rate,
# RSSI, SNR, then the report: bitmap, flags, battery, interval, minimum, spread, last.
_EUI = "70b3d57ed0000001"
_RADIO = "00 01 00 01 01 07 06 00"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (f"{_EUI} 00 01 00 01 01 7f 06 00 01 00 00 01 00 00 00", "unknown data rate"),
        (f"{_EUI} 00 01 00 05 01 07 06 00 01 00 00 01 00 00 00", "unknown traits"),
        (f"{_EUI} 00 01 00 11 01 07 06 00 01 00 00 01 00 00 00", "unknown traits"),
        (f"{_EUI} 8080808010 01 00 01 01 07 06 00 01 00 00 01 00 00 00", "session out of range"),
        (f"{_EUI} 8000 01 00 01 01 07 06 00 01 00 00 01 00 00 00", "shortest form"),
        (f"{_EUI} ffffffffffffffffff7f 01 00 01 01 07 06 00 01 00 00 01 00 00 00", "64 bits"),
        (f"{_EUI} {_RADIO} 08 00 00 01", "impossible channel bitmap"),
        (f"{_EUI} {_RADIO} 21 00 00 01 00 00 00", "impossible channel bitmap"),
        (f"{_EUI} {_RADIO} 8001 00 00 01 00 00 00", "bitmap out of range"),
        (f"{_EUI} {_RADIO} 01 8002 00 01 00 00 00", "flags out of range"),
        (f"{_EUI} {_RADIO} 01 00 8002 01 00 00 00", "battery out of range"),
        (f"{_EUI} {_RADIO} 01 00 00 00 00 00 00", "interval_s out of range"),
        (f"{_EUI} {_RADIO} 01 00 00 01 00 00 01", "last above maximum"),
        (f"{_EUI} {_RADIO} 01 00 00 01 a8c301 01 00", "temperatures out of range"),
        (f"{_EUI} {_RADIO} 01 00 00 01 c13e 00 00", "temperatures out of range"),
        (f"{_EUI} {_RADIO} 01 00 00 01 00 00 00 00", "after the end"),
        (f"{_EUI} {_RADIO} 01 00 00 01 00 00", "in the middle"),
        (f"{_EUI} 00 01 00 09 01 07 06 00 0a 0b 11016e038416a817701702", "a report among the other"),
        (f"{_EUI} 00 01 00 09 01 07 06 00 63 02 11", "in the middle"),
    ],
)
def test_impossible_row_is_refused(body: str, detail: str) -> None:
    with pytest.raises(BatchError) as caught:
        decode_rows(b"\x00" + bytes.fromhex(body), 1)
    assert caught.value.reason is BatchFault.BAD_ROWS
    assert detail in caught.value.detail


def test_the_row_that_those_are_made_from_is_possible() -> None:
    (row,) = decode_rows(bytes.fromhex(f"00 {_EUI} {_RADIO} 01 00 00 01 00 00 00"), 1)
    assert row.message == Report(0, 0, 1, (Extremes(0, *[CentiCelsius(0)] * 3),))


# Two rows: number of devices, their indices, DevEUIs …; a column is head, smallest, planes.
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("00", "0 devices in 2 rows"),
        ("03", "3 devices in 2 rows"),
        ("02 00 00", "do not fit"),
        ("02 02 00 08", "do not fit"),
        ("02 01 00 06", "padding is not 0"),
        ("02 41 00", "column of 65 bits"),
        ("02 81 00 02", "table longer than its column"),
        ("02 81 00 00 01 02", "do not fit"),
        ("02 01 00 02 00 05 00 00", "the same device twice"),
    ],
)
def test_impossible_device_table_is_refused(body: str, detail: str) -> None:
    with pytest.raises(BatchError) as caught:
        decode_rows(b"\x00" + bytes.fromhex(body), 2)
    assert caught.value.reason is BatchFault.BAD_ROWS
    assert detail in caught.value.detail
