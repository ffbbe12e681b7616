"""Rows that come before the clock is in step are dated when it is, never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.store.reader import Reader
from edge_agent.store.store import Store
from edge_codecs.manifest import Lane
from edge_codecs.reading import TimeQuality, Uplink
from tests.rig.store import KEY, START_MS, Now, clock, open_store, session, uplink

SYNC, UNKNOWN = TimeQuality.SYNCHRONISED, TimeQuality.UNKNOWN


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = open_store(path, now=Now(1e6))
    store.add_device(session(0))
    yield store
    store.close()


def rows(path: Path) -> list[Uplink]:
    with Reader.open(path, KEY) as reader:
        return list(reader.uplinks())


def dates(path: Path) -> list[tuple[int, TimeQuality]]:
    return [(row.received_ms - START_MS, row.time_quality) for row in rows(path)]


def test_rows_wait_for_the_clock_and_are_dated_by_it(store: Store, path: Path) -> None:
    store.keep([uplink(0, 1, at_s=10), uplink(0, 2, at_s=20)], None)
    assert (store.pending().rows_unresolved, store.pending().oldest_ms) == (2, None)
    assert store.form_batch(10, 10_000, Lane.BACKLOG) is None
    assert dates(path) == []
    assert store.clock_in_step(clock(100)) == 2
    assert dates(path) == [(10_000, SYNC), (20_000, SYNC)]
    assert (store.pending().rows_unresolved, store.pending().oldest_ms) == (0, START_MS + 10_000)
    batch = store.form_batch(10, 10_000, Lane.BACKLOG)
    assert batch is not None
    assert batch.count == 2


def test_in_step_with_nothing_waiting_changes_nothing(store: Store) -> None:
    store.keep([uplink(0, 1, at_s=10)], clock(20))
    assert store.clock_in_step(clock(30)) == 0


def test_gps_dates_a_row_whatever_the_clock_says(store: Store, path: Path) -> None:
    store.keep([uplink(0, 1, at_s=10, gps_ms=START_MS + 77)], None)
    store.keep([uplink(0, 2, at_s=10, gps_ms=START_MS + 78)], clock(50))
    assert dates(path) == [(77, TimeQuality.GPS), (78, TimeQuality.GPS)]


def test_rows_with_and_without_a_date_in_one_burst(store: Store, path: Path) -> None:
    store.keep([uplink(0, 1, at_s=10), uplink(0, 2, at_s=11, gps_ms=START_MS + 9)], None)
    assert store.pending().rows_unresolved == 1
    store.clock_in_step(clock(20))
    assert dates(path) == [(10_000, SYNC), (9, TimeQuality.GPS)]


def test_a_clock_that_loses_its_source_is_not_believed_until_it_is_back(store: Store, path: Path) -> None:
    """30 days without a time source; the oscillator is 10 ppm slow, which is 26 s by then."""
    store.keep([uplink(0, 1, at_s=0)], clock(0))
    month_s = 30 * 86_400
    seen_s = month_s * (1 - 10e-6)
    store.keep([uplink(0, 2, at_s=seen_s / 2)], None)
    assert len(dates(path)) == 1
    store.clock_in_step(clock(seen_s, boot_ms=START_MS + round((month_s - seen_s) * 1000)))
    assert abs(dates(path)[1][0] - month_s * 500) <= 2


def test_rows_outlive_a_restart_of_the_agent_within_one_boot(store: Store, path: Path) -> None:
    store.keep([uplink(0, 1, at_s=10)], None)
    store.close()
    again = open_store(path, now=Now(1e6))
    assert again.pending().rows_unresolved == 1
    again.keep([uplink(0, 2, at_s=20)], None)
    assert again.clock_in_step(clock(30)) == 2
    again.close()
    assert dates(path) == [(10_000, SYNC), (20_000, SYNC)]


def test_a_power_cut_before_the_clock_was_ever_in_step_leaves_an_upper_bound(
    store: Store, path: Path
) -> None:
    store.keep([uplink(0, 1, at_s=10), uplink(0, 2, at_s=40)], None)
    store.close()
    later_ms = START_MS + 3_600_000
    again = open_store(path, boot="boot-2", now=Now(1e6))
    again.keep([uplink(0, 3, at_s=5)], None)
    assert again.clock_in_step(clock(60, boot="boot-2", boot_ms=later_ms)) == 3
    again.close()
    assert dates(path) == [(3_570_000, UNKNOWN), (3_600_000, UNKNOWN), (3_605_000, SYNC)]


def test_two_boots_without_a_clock_stay_in_order(store: Store, path: Path) -> None:
    store.keep([uplink(0, 1, at_s=10)], None)
    store.close()
    second = open_store(path, boot="boot-2", now=Now(1e6))
    second.keep([uplink(0, 2, at_s=500)], None)
    second.close()
    third = open_store(path, boot="boot-3", now=Now(1e6))
    assert third.clock_in_step(clock(60, boot="boot-3", boot_ms=START_MS + 1_000_000)) == 2
    third.close()
    assert dates(path) == [(500_000, UNKNOWN), (1_000_000, UNKNOWN)]


def test_a_boot_that_was_in_step_before_its_power_cut_is_dated_by_that(store: Store, path: Path) -> None:
    store.keep([uplink(0, 1, at_s=10)], clock(11))
    store.keep([uplink(0, 2, at_s=3600)], None)
    store.close()
    again = open_store(path, boot="boot-2", now=Now(1e6))
    again.clock_in_step(clock(60, boot="boot-2", boot_ms=START_MS + 9_000_000))
    again.close()
    assert dates(path) == [(10_000, SYNC), (3_600_000, SYNC)]


@pytest.mark.parametrize("years", [-30, 10])
def test_a_clock_that_is_far_off_changes_no_order_and_no_number(store: Store, path: Path, years: int) -> None:
    off_ms = round(years * 365.25 * 86_400_000)
    store.keep([uplink(0, 1, at_s=1)], clock(1, boot_ms=START_MS + off_ms))
    assert store.keep([uplink(0, 2, at_s=2)], clock(2)) == 2
    assert [row.f_cnt for row in rows(path)] == [1, 2]
    batch = store.form_batch(10, 10_000, Lane.BACKLOG)
    assert batch is not None
    assert batch.count == 2


def test_a_clock_before_1970_or_beyond_9999_does_not_stop_the_batches(store: Store) -> None:
    store.keep([uplink(0, 1, at_s=1)], clock(1, boot_ms=-(10**15)))
    store.keep([uplink(0, 2, at_s=2)], clock(2, boot_ms=10**18))
    batch = store.form_batch(10, 10_000, Lane.BACKLOG)
    assert batch is not None
    assert batch.count == 2
