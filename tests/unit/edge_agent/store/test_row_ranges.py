"""Ranges of row numbers against plain sets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.store.row_ranges import from_text, merged, ranges_of, to_text, without
from edge_codecs.manifest import RowRange

NUMBERS = st.sets(st.integers(1, 60))


def numbers_of(ranges: list[RowRange] | tuple[RowRange, ...]) -> set[int]:
    return {number for rows in ranges for number in range(rows.first, rows.last + 1)}


@given(NUMBERS)
def test_ranges_hold_the_same_numbers_and_are_the_fewest(numbers: set[int]) -> None:
    ranges = ranges_of(sorted(numbers))
    assert numbers_of(ranges) == numbers
    assert all(after.first > before.last + 1 for before, after in pairwise(ranges))


@given(NUMBERS, NUMBERS)
def test_without_is_the_difference_of_sets(numbers: set[int], taken: set[int]) -> None:
    left = without(ranges_of(sorted(numbers)), ranges_of(sorted(taken)))
    assert numbers_of(left) == numbers - taken
    assert all(rows.count > 0 for rows in left)


@given(st.lists(NUMBERS, max_size=3))
def test_merged_is_the_union_of_sets(parts: list[set[int]]) -> None:
    disjoint: list[set[int]] = []
    for part in parts:
        disjoint.append(part - set().union(*disjoint))
    joined = merged(rows for part in disjoint for rows in ranges_of(sorted(part)))
    assert joined == ranges_of(sorted(set().union(*disjoint)))


@given(NUMBERS.filter(bool))
def test_text_says_the_same(numbers: set[int]) -> None:
    ranges = tuple(ranges_of(sorted(numbers)))
    assert from_text(to_text(ranges)) == ranges
