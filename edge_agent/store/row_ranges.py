"""Sets of row numbers as ranges. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_codecs.manifest import RowRange


def ranges_of(numbers: Iterable[int]) -> list[RowRange]:
    """Rising numbers as the fewest ranges."""
    ranges: list[RowRange] = []
    first = last = 0
    for number in numbers:
        if number == last + 1 and first:
            last = number
            continue
        if first:
            ranges.append(RowRange(first, last - first + 1))
        first = last = number
    if first:
        ranges.append(RowRange(first, last - first + 1))
    return ranges


def merged(ranges: Iterable[RowRange]) -> list[RowRange]:
    """Any ranges that do not overlap, in order, neighbours joined."""
    joined: list[RowRange] = []
    for rows in sorted(ranges, key=lambda one: one.first):
        if joined and joined[-1].last + 1 == rows.first:
            joined[-1] = RowRange(joined[-1].first, joined[-1].count + rows.count)
        else:
            joined.append(rows)
    return joined


def without(ranges: Sequence[RowRange], taken: Sequence[RowRange]) -> list[RowRange]:
    """What is left of `ranges` without `taken`; both rise and do not overlap."""
    left: list[RowRange] = []
    for rows in ranges:
        first = rows.first
        for gone in taken:
            if gone.last < first or gone.first > rows.last:
                continue
            if gone.first > first:
                left.append(RowRange(first, gone.first - first))
            first = gone.last + 1
        if first <= rows.last:
            left.append(RowRange(first, rows.last - first + 1))
    return left


def to_text(ranges: Iterable[RowRange]) -> str:
    """As the store keeps them: "first+count first+count"."""
    return " ".join(f"{rows.first}+{rows.count}" for rows in ranges)


def from_text(text: str) -> tuple[RowRange, ...]:
    """Raises ValueError for what `to_text` did not write."""
    pairs = (part.split("+") for part in text.split(" "))
    return tuple(RowRange(int(first), int(count)) for first, count in pairs)
