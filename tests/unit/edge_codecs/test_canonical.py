"""The part of CBOR that we take, and everything that we do not."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from edge_codecs import canonical
from edge_codecs.canonical import NotCanonical


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ([], "80"),
        ([0, 23, 24, 255, 256], "850017181818ff190100"),
        ([65_535, 65_536, (1 << 32) - 1, 1 << 32], "8419ffff1a000100001affffffff1b0000000100000000"),
        ([(1 << 63) - 1], "811b7fffffffffffffff"),
        ([b"", b"\x01", bytes(24)], "834041015818" + "00" * 24),
        ([[1, 2], [], [b"\x00"]], "838201028081" + "4100"),
    ],
)
def test_known_bytes(value: list[Any], encoded: str) -> None:
    assert canonical.dumps(value).hex() == encoded
    assert canonical.loads(bytes.fromhex(encoded), 100) == value


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("", "does not begin with an array"),
        ("00", "does not begin with an array"),
        ("a0", "does not begin with an array"),
        ("c080", "does not begin with an array"),
        ("f6", "does not begin with an array"),
        ("81", "in the middle"),
        ("8118", "cut off"),
        ("8119 01", "cut off"),
        ("8142 00", "in the middle"),
        ("815b 7fffffffffffffff 00", "in the middle"),
        ("9b 7fffffffffffffff 00", "in the middle"),
        ("811817", "too long for its value"),
        ("8119 00ff", "too long for its value"),
        ("811a 0000ffff", "too long for its value"),
        ("811b 00000000ffffffff", "too long for its value"),
        ("811b 8000000000000000", "too large"),
        ("9801 00", "too long for its value"),
        ("815801 00", "too long for its value"),
        ("8120", "major type 1"),
        ("8160", "major type 3"),
        ("81a0", "major type 5"),
        ("81a2 00 00 00 00", "major type 5"),
        ("81c2 41 01", "major type 6"),
        ("81c4 82 1a 05f5e100 01", "major type 6"),
        ("81d823 63 612b24", "major type 6"),
        ("81d81c 81 d81d 00", "major type 6"),
        ("81f4", "major type 7"),
        ("81f6", "major type 7"),
        ("81f93c00", "major type 7"),
        ("81fb3ff0000000000000", "major type 7"),
        ("9f ff", "indefinite"),
        ("815f ff", "indefinite"),
        ("811c", "indefinite or reserved"),
        ("81818180", "arrays in arrays in arrays"),
        ("8000", "1 bytes after the array"),
    ],
)
def test_refused(encoded: str, why: str) -> None:
    with pytest.raises(NotCanonical, match=why):
        canonical.loads(bytes.fromhex(encoded), 100)


def test_prefix_tells_where_it_ends() -> None:
    assert canonical.loads_prefix(b"\x81\x07rest", 100) == ([7], 2)


def test_nothing_beyond_the_limit_is_looked_at() -> None:
    with pytest.raises(NotCanonical, match="in the middle"):
        canonical.loads_prefix(b"\x98\x64" + bytes(100), 50)


@pytest.mark.parametrize("hostile", [b"\x9b\x40" + bytes(1031), b"\x81" * 1024, b"\x82" * 1024])
def test_hostile_sizes_are_refused_in_bounded_memory(hostile: bytes) -> None:
    """A few bytes that promise 2^62 items, or nest as deep as the limit allows."""
    tracemalloc.start()
    try:
        with pytest.raises(NotCanonical):
            canonical.loads_prefix(hostile, 1024)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000
