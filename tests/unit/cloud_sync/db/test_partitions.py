"""Months."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.db.partitions import MONTHS_AHEAD, MONTHS_BACK, around, following, months, name_of


@given(st.dates(date(1990, 1, 1), date(2100, 12, 31)))
def test_the_months_around_a_day(today: date) -> None:
    first, last = around(today)
    all_months = list(months(first, last))
    assert len(all_months) == MONTHS_BACK + 1 + MONTHS_AHEAD
    assert today.replace(day=1) == all_months[MONTHS_BACK]
    assert all(following(a) == b for a, b in pairwise(all_months))
    assert len(set(map(name_of, all_months))) == len(all_months)


def test_a_year_ends() -> None:
    assert list(months(date(2026, 11, 30), date(2027, 1, 1))) == [
        date(2026, 11, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
    ]
