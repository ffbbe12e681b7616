"""Columns: the bytes that docs/wire.md shows, and the limits."""

from __future__ import annotations

import pytest

from edge_codecs.packing import Malformed, Reader, pack_column, varint


@pytest.mark.parametrize(
    ("values", "signed", "encoded"),
    [
        ([], False, ""),
        ([0], False, "00"),
        ([300], False, "ac02"),
        ([-1], True, "01"),
        ([7, 7, 7], False, "0007"),
        ([5, 6, 8, 5], False, "02 05 34"),  # 0, 1, 3, 0 in 2 bits each
        ([-1, 0, 1], True, "02 01 24"),  # 0, 1, 2 from -1
        ([0, 255], False, "08 00 00ff"),
        ([1, 0x101], False, "09 01 0000 02"),  # a plane of 8 bits, then one of 1 bit
        ([0, 0xFFFF], False, "10 00 0000 ffff"),
        ([10, 900, 10, 900, 10, 900, 10, 900], False, "8a 0a 01 007a 0c aa"),
        ([0, 1 << 63], False, "40 00 0000000000000000 0000000000000080"),
    ],
)
def test_known_bytes(values: list[int], signed: bool, encoded: str) -> None:
    assert pack_column(values, signed=signed).hex() == encoded.replace(" ", "")
    reader = Reader(bytes.fromhex(encoded))
    assert reader.column(len(values), signed=signed) == values
    reader.end()


@pytest.mark.parametrize("value", [0, 127, 128, 16_383, 16_384, (1 << 64) - 1])
def test_varint_survives(value: int) -> None:
    assert Reader(varint(value)).varint() == value


@pytest.mark.parametrize(
    ("encoded", "count", "why"),
    [
        ("", 1, "in the middle"),
        ("80", 1, "in the middle"),
        ("8000", 1, "shortest form"),
        ("ffffffffffffffffff02", 1, "64 bits"),
        ("ffffffffffffffffffff01", 1, "64 bits"),
        ("41 00", 2, "column of 65 bits"),
        ("02 05 b4", 3, "padding is not 0"),
        ("80 00 02", 2, "table longer"),
        ("82 00 02 24 3f", 3, "index beyond its table"),
        ("08 00 00", 2, "in the middle"),
    ],
)
def test_refused(encoded: str, count: int, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        Reader(bytes.fromhex(encoded)).column(count)


def test_nothing_may_follow() -> None:
    reader = Reader(b"\x00\x00")
    reader.byte()
    with pytest.raises(Malformed, match="1 bytes after the end"):
        reader.end()


@pytest.mark.parametrize(
    ("values", "signed"), [([-1], False), ([0, 1 << 65], False), ([-(1 << 63), 1 << 64], True)]
)
def test_writer_refuses(values: list[int], signed: bool) -> None:
    with pytest.raises(ValueError, match=r"unsigned|far apart"):
        pack_column(values, signed=signed)
