"""Columns told as first value and steps, group by group: what one device says changes little over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, compress
from operator import ne, sub


@dataclass(frozen=True, slots=True)
class Grouping:
    """Entries by group, groups in rising order of their key, entries of a group in their own order.

    A column of n entries in g groups travels as g first values and n - g steps from one to the next.
    """

    order: Sequence[int]
    """Entry numbers, sorted by group."""
    group: Sequence[int]
    """Group number of each entry."""
    step: Sequence[int]
    """How many steps, of all groups, come before each entry."""
    starts: Sequence[int]
    """Where each group begins in `order`."""

    @classmethod
    def by(cls, keys: Sequence[int]) -> Grouping:
        """Group the entries whose keys are equal."""
        order = sorted(range(len(keys)), key=keys.__getitem__)
        rank = {key: number for number, key in enumerate(sorted(set(keys)))}
        group = list(map(rank.__getitem__, keys))
        sorted_groups = list(map(group.__getitem__, order))
        position = sorted(range(len(keys)), key=order.__getitem__)
        step = list(map(sub, position, group))
        begins = map(ne, sorted_groups, chain((-1,), sorted_groups))
        return cls(order, group, step, list(compress(range(len(keys)), begins)))

    def split(self, values: Sequence[int]) -> tuple[list[int], list[int]]:
        """(first values, steps) of a column."""
        ordered = list(map(values.__getitem__, self.order))
        firsts = [ordered[start] for start in self.starts]
        steps = list(map(sub, ordered[1:], ordered))
        for start in reversed(self.starts[1:]):
            del steps[start - 1]
        return firsts, steps

    def join(self, firsts: Sequence[int], steps: Sequence[int]) -> list[int]:
        """The column of these first values and steps."""
        sums = list(accumulate(steps, initial=0))
        bases = [first - sums[before] for first, before in zip(firsts, self._steps_before(), strict=True)]
        return [bases[group] + sums[step] for group, step in zip(self.group, self.step, strict=True)]

    def _steps_before(self) -> Iterator[int]:
        return (start - number for number, start in enumerate(self.starts))
