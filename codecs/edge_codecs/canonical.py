"""The small part of CBOR that headers and receipts are written in (RFC 8949, section 4.2.1).

Unsigned integers below 2^63, byte strings, arrays; every length in its shortest form, nothing indefinite. No
maps, so no duplicate keys; no tags, so nothing that a decoder would turn into a pattern, a date or a number
of a million digits. The shape is walked first, in one pass over bytes whose number is bounded, and only then
handed to the library.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

MAX_DEPTH: Final = 2
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_SMALLEST: Final = {24: 24, 25: 0x100, 26: 0x1_0000, 27: 0x1_0000_0000}
_UNSIGNED, _BYTES, _ARRAY = 0, 2, 4


class NotCanonical(ValueError):
    """The bytes are not of this part of CBOR; the text says where and why."""


def dumps(value: list[Any]) -> bytes:
    """Write an array of unsigned integers, byte strings and such arrays."""
    return cbor2.dumps(value, canonical=True)


def loads_prefix(data: bytes, limit: int) -> tuple[list[Any], int]:
    """Read the array that the bytes begin with; returns it and its length. Raises NotCanonical.

    The array may take at most `limit` bytes; what follows it is not looked at.
    """
    data = data[:limit]
    if not data or data[0] >> 5 != _ARRAY:
        raise NotCanonical("does not begin with an array")
    end = _walk(data)
    value = cbor2.loads(data[:end], allow_indefinite=False, max_depth=MAX_DEPTH + 1)
    if not isinstance(value, list) or dumps(value) != data[:end]:
        raise NotCanonical("not in canonical form")
    return value, end


def loads(data: bytes, limit: int) -> list[Any]:
    """Read bytes that are one array and nothing else. Raises NotCanonical."""
    value, end = loads_prefix(data, limit)
    if end != len(data):
        raise NotCanonical(f"{len(data) - end} bytes after the array")
    return value


def _walk(data: bytes) -> int:
    """The offset behind the first item, after having seen that every item in it is one that we take."""
    offset = 0
    open_items = [1]  # how many items are still to come, by depth
    while open_items:
        if open_items[-1] == 0:
            open_items.pop()
            continue
        open_items[-1] -= 1
        major, argument, offset = _head(data, offset)
        if major == _BYTES:
            offset += argument
        elif major == _ARRAY:
            if len(open_items) > MAX_DEPTH:
                raise NotCanonical("arrays in arrays in arrays")
            open_items.append(argument)
        elif major != _UNSIGNED:
            raise NotCanonical(f"major type {major} at byte {offset - 1} is not used in this format")
        if offset > len(data):
            raise NotCanonical("ends in the middle of an item")
    return offset


def _head(data: bytes, offset: int) -> tuple[int, int, int]:
    """(major type, argument, offset behind them) of the item that begins at the offset."""
    if offset >= len(data):
        raise NotCanonical("ends in the middle of an item")
    major, low = data[offset] >> 5, data[offset] & 0x1F
    offset += 1
    if low < 24:
        return major, low, offset
    if low not in _WIDTHS:
        raise NotCanonical("indefinite or reserved length")
    end = offset + _WIDTHS[low]
    argument = int.from_bytes(data[offset:end])
    if end > len(data) or argument < _SMALLEST[low] or argument >= 1 << 63:
        raise NotCanonical("a number or length that is cut off, too long for its value, or too large")
    return major, argument, end
