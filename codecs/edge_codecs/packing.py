"""Integers in few bytes: varints, and columns of a smallest value and offsets from it of equal bit width.

A column of one value is a varint and nothing else, so a batch of one row pays for no structure. A longer
column is

    head byte    bit 7: table; bits 0-6: width of an offset in bits, 0 … 64
    smallest     varint (signed columns: zigzag)
    if table     varint number of distinct values - 1, then their offsets, rising; the head's width is that of
                 these, and what follows are indices into the table, as wide as the largest needs
    offsets      plane by plane

The width, as a sum of powers of two, gives the planes: 11 bits are a plane of 8, one of 2, one of 1. The
widest comes first and holds the lowest bits of every offset. Planes of 8 bits and more are little-endian
integers; narrower ones fill bytes from their lowest bits, padded with 0 to a whole byte. So that reading and
writing run in the interpreter's C loops, not value by value. The writer takes the table where that is
shorter.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, repeat, zip_longest
from operator import add
from typing import Final

MAX_WIDTH: Final = 64
_TABLE: Final = 0x80
_TYPECODES: Final = {8: "B", 16: "H", 32: "I", 64: "Q"}


class Malformed(ValueError):
    """The bytes are not what this module writes; the text says where."""


def zigzag(value: int) -> int:
    """Signed to unsigned, small stays small: 0, -1, 1, -2 → 0, 1, 2, 3."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def varint(value: int) -> bytes:
    """An unsigned integer, 7 bits a byte, lowest first, the top bit set on all but the last byte."""
    if value < 0:
        raise ValueError(f"{value} in an unsigned column")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def pack_column(values: Sequence[int], *, signed: bool = False) -> bytes:
    """Write a column. Raises ValueError for a negative value in an unsigned one, or values too far apart."""
    if not values:
        return b""
    smallest = min(values)
    base = varint(zigzag(smallest) if signed else smallest)
    if len(values) == 1:
        return base
    width = (max(values) - smallest).bit_length()
    if width > MAX_WIDTH:
        raise ValueError("values too far apart for one column")
    plain = bytes([width]) + base + _pack([value - smallest for value in values], width)
    distinct = sorted(set(values))
    index_width = (len(distinct) - 1).bit_length()
    if index_width * len(values) + width * len(distinct) >= width * len(values):
        return plain
    index = {value: position for position, value in enumerate(distinct)}
    table = _pack([value - smallest for value in distinct], width)
    indices = _pack([index[value] for value in values], index_width)
    tabled = bytes([_TABLE | width]) + base + varint(len(distinct) - 1) + table + indices
    return min(plain, tabled, key=len)


class Reader:
    """A cursor over bytes that never reads past their end. Every method raises Malformed."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._offset + count
        if end > len(self._data):
            raise Malformed(f"ends at byte {len(self._data)}, in the middle of something")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def varint(self) -> int:
        """An unsigned integer below 2^64, in its shortest form."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise Malformed("number of more than 64 bits")
        if value >> 64 or (byte == 0 and shift):
            raise Malformed("number not in its shortest form, or of more than 64 bits")
        return value

    def column(self, count: int, *, signed: bool = False) -> list[int]:
        """A column of `count` values."""
        if count == 0:
            return []
        if count == 1:
            return [self._base(signed=signed)]
        head = self.byte()
        width = head & ~_TABLE
        if width > MAX_WIDTH:
            raise Malformed(f"column of {width} bits")
        base = self._base(signed=signed)
        if not head & _TABLE:
            return self.offsets(count, width, base)
        size = self.varint() + 1
        if size > count:
            raise Malformed("table longer than its column")
        table = self.offsets(size, width, base)
        try:
            return list(map(table.__getitem__, self.offsets(count, (size - 1).bit_length(), 0)))
        except IndexError:
            raise Malformed("index beyond its table") from None

    def offsets(self, count: int, width: int, base: int) -> list[int]:
        """`count` values of `width` bits, each added to `base`."""
        values: Iterable[int] | None = repeat(base, count) if base or not width else None
        for bits, shift in _planes(width):
            plane = _unpack_plane(self.take((count * bits + 7) // 8), count, bits, shift)
            values = plane if values is None else map(add, values, plane)
        return list(values or ())

    def end(self) -> None:
        """Nothing may follow."""
        if self._offset != len(self._data):
            raise Malformed(f"{len(self._data) - self._offset} bytes after the end")

    def _base(self, *, signed: bool) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1) if signed else value


def _planes(width: int) -> Iterator[tuple[int, int]]:
    """(bits, shift) of each plane, widest first."""
    shift = 0
    for bits in (64, 32, 16, 8, 4, 2, 1):
        if width & bits:
            yield bits, shift
            shift += bits


def _pack(values: Sequence[int], width: int) -> bytes:
    parts = []
    for bits, shift in _planes(width):
        mask = (1 << bits) - 1
        plane = [value >> shift & mask for value in values] if width != bits else values
        parts.append(_pack_plane(plane, bits))
    return b"".join(parts)


def _pack_plane(plane: Sequence[int], bits: int) -> bytes:
    if bits in _TYPECODES:
        return _little_endian(array(_TYPECODES[bits], plane)).tobytes()
    while bits < 8:
        plane = [low | high << bits for low, high in zip_longest(plane[::2], plane[1::2], fillvalue=0)]
        bits *= 2
    return bytes(plane)


def _unpack_plane(data: bytes, count: int, bits: int, shift: int) -> Sequence[int]:
    if bits in _TYPECODES:
        plane: Sequence[int] = _little_endian(array(_TYPECODES[bits], data))
        return [value << shift for value in plane] if shift else plane
    plane = list(chain.from_iterable(map(_nibbles(bits, shift).__getitem__, data)))
    if any(plane[count:]):
        raise Malformed("padding is not 0")
    return plane[:count]


@cache
def _nibbles(bits: int, shift: int) -> list[tuple[int, ...]]:
    """Byte -> the values of 1, 2 or 4 bits in it, lowest first, each moved up by `shift`."""
    mask = (1 << bits) - 1
    return [tuple((byte >> at & mask) << shift for at in range(0, 8, bits)) for byte in range(256)]


def _little_endian(values: array[int]) -> array[int]:
    if sys.byteorder == "big":
        values.byteswap()
    return values
