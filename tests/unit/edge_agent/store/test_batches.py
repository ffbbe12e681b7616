"""Batches: which rows, in which order, chained; and what a receipt lets go."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from edge_agent.store.check import check
from edge_agent.store.errors import ReceiptMismatch
from edge_agent.store.store import FormedBatch, Store
from edge_codecs.manifest import MAX_RANGES, Lane, Manifest, RowRange, link
from edge_codecs.rows import decode_rows
from tests.rig.store import (
    GATEWAY,
    KEY,
    START_MS,
    Now,
    clock,
    dev_eui,
    f_cnts_up,
    open_store,
    session,
    uplink,
)

LIVE, BACKLOG = Lane.LIVE, Lane.BACKLOG
MANY, BYTES = 1_000, 64 * 1024
DAY_MS = 86_400_000


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path, now: Now) -> Iterator[Store]:
    store = open_store(path, now=now)
    store.add_devices([session(n) for n in range(3)])
    yield store
    store.close()


class Feed:
    """Keeps rows, each with the next counter of device 0."""

    def __init__(self, store: Store, now: Now) -> None:
        self.store, self.now, self.f_cnt = store, now, 0

    def __call__(self, count: int, at_s: float, *, undated: bool = False) -> None:
        burst = [uplink(0, self.f_cnt + n, at_s=at_s) for n in range(count)]
        self.f_cnt += count
        self.now.at_s = max(self.now.at_s, at_s)
        if count:
            self.store.keep(burst, None if undated else clock(at_s))


@pytest.fixture
def feed(store: Store, now: Now) -> Feed:
    return Feed(store, now)


def form(store: Store, lane: Lane, max_rows: int = MANY, max_bytes: int = BYTES) -> FormedBatch:
    batch = store.form_batch(max_rows, max_bytes, lane)
    assert batch is not None
    return batch


def spans(batch: FormedBatch) -> list[tuple[int, int]]:
    return [(rows.first, rows.last) for rows in batch.ranges]


def drain(store: Store, lane: Lane, max_rows: int = MANY) -> list[FormedBatch]:
    batches = []
    while (batch := store.form_batch(max_rows, BYTES, lane)) is not None:
        batches.append(batch)
    return batches


def test_an_empty_store_forms_nothing(store: Store) -> None:
    assert store.form_batch(MANY, BYTES, LIVE) is None
    assert store.form_batch(MANY, BYTES, BACKLOG) is None
    assert store.pending().oldest_ms is None


def test_fresh_rows_are_live_and_old_ones_backlog(store: Store, feed: Feed, now: Now) -> None:
    feed(3, at_s=0)
    feed(2, at_s=100)
    assert spans(form(store, LIVE)) == [(4, 5)]
    assert store.form_batch(MANY, BYTES, LIVE) is None
    assert spans(form(store, BACKLOG)) == [(1, 3)]
    assert store.form_batch(MANY, BYTES, BACKLOG) is None


def test_live_rows_are_not_taken_by_the_backlog(store: Store, feed: Feed) -> None:
    feed(2, at_s=100)
    assert store.form_batch(MANY, BYTES, BACKLOG) is None
    assert spans(form(store, LIVE)) == [(1, 2)]


def test_live_rows_that_nobody_took_in_time_become_backlog(store: Store, feed: Feed, now: Now) -> None:
    feed(2, at_s=0)
    now.at_s = 61
    assert store.form_batch(MANY, BYTES, LIVE) is None
    assert spans(form(store, BACKLOG)) == [(1, 2)]


def test_a_frame_that_the_forwarder_held_back_is_no_live_one(store: Store, feed: Feed, now: Now) -> None:
    feed(1, at_s=1000)
    feed(1, at_s=10)
    feed(1, at_s=1000)
    assert spans(form(store, LIVE)) == [(1, 1), (3, 3)]
    assert spans(form(store, BACKLOG)) == [(2, 2)]


def test_rows_of_an_earlier_boot_are_backlog(store: Store, feed: Feed, path: Path) -> None:
    feed(2, at_s=10)
    store.close()
    again = open_store(path, boot="boot-2", now=Now(20))
    again.keep([uplink(0, 99, at_s=20)], clock(20, boot="boot-2"))
    assert spans(form(again, LIVE)) == [(3, 3)]
    assert spans(form(again, BACKLOG)) == [(1, 2)]
    again.close()


def test_many_live_rows_go_in_order_and_all(store: Store, feed: Feed) -> None:
    feed(25, at_s=100)
    assert [spans(batch) for batch in drain(store, LIVE, max_rows=10)] == [[(1, 10)], [(11, 20)], [(21, 25)]]


def test_live_overtakes_backlog_and_every_row_goes_once(store: Store, feed: Feed, now: Now) -> None:
    feed(50, at_s=0)
    now.at_s = 500
    taken: list[int] = []
    for step in range(5):
        feed(3, at_s=500 + step)
        for lane in (LIVE, BACKLOG):
            batch = store.form_batch(8, BYTES, lane)
            assert batch is not None
            taken += [n for rows in batch.ranges for n in range(rows.first, rows.last + 1)]
    now.at_s = 9999
    for batch in drain(store, BACKLOG, 8):
        taken += [n for rows in batch.ranges for n in range(rows.first, rows.last + 1)]
    assert sorted(taken) == list(range(1, 66))
    assert store.pending().rows_unbatched == 0


def test_undated_rows_are_passed_over_and_go_when_they_are_dated(store: Store, feed: Feed, now: Now) -> None:
    feed(2, at_s=0)
    feed(3, at_s=1, undated=True)
    feed(2, at_s=2)
    now.at_s = 100
    assert spans(form(store, BACKLOG)) == [(1, 2), (6, 7)]
    assert store.form_batch(MANY, BYTES, BACKLOG) is None
    assert store.pending().rows_unbatched == 3
    store.clock_in_step(clock(100))
    assert spans(form(store, BACKLOG)) == [(3, 5)]


def test_a_batch_holds_no_more_ranges_than_the_format(store: Store, now: Now) -> None:
    for n in range(100):
        store.keep([uplink(0, 2 * n, at_s=n, gps_ms=START_MS + n), uplink(0, 2 * n + 1, at_s=n)], None)
    now.at_s = 9999
    counts = [len(batch.ranges) for batch in drain(store, BACKLOG)]
    assert counts == [MAX_RANGES, 100 - MAX_RANGES]
    store.clock_in_step(clock(9999))
    assert sum(batch.count for batch in drain(store, BACKLOG)) == 100
    assert store.pending().rows_unbatched == 0


def test_a_batch_carries_what_was_kept(store: Store, feed: Feed, now: Now) -> None:
    feed(30, at_s=5)
    batch = form(store, LIVE)
    rows = decode_rows(batch.rows, batch.count)
    assert [row.f_cnt for row in rows] == list(range(30))
    assert {row.received_ms for row in rows} == {START_MS + 5000}
    assert {row.dev_eui for row in rows} == {dev_eui(0)}


@pytest.mark.parametrize("max_bytes", [1, 100, 400, 2_000])
def test_a_batch_keeps_to_its_bytes_and_loses_nothing(store: Store, now: Now, max_bytes: int) -> None:
    for n in range(60):
        store.keep([uplink(n % 3, n * 1013, at_s=n)], clock(n))
    now.at_s = 9999
    total = 0
    while (batch := store.form_batch(MANY, max_bytes, BACKLOG)) is not None:
        assert len(batch.rows) <= max_bytes or batch.count == 1
        total += batch.count
    assert total == 60


def test_numbers_and_hashes_make_a_chain(store: Store, feed: Feed, now: Now) -> None:
    for at_s in (0, 100, 200):
        feed(2, at_s=at_s)
        form(store, LIVE)
    batches = store.unreceipted()
    assert [batch.number for batch in batches] == [1, 2, 3]
    assert batches[0].previous == b""
    assert all(after.previous == link(before.hash) for before, after in pairwise(batches))
    for batch in batches:
        manifest = Manifest(
            GATEWAY, store.stream, batch.number, batch.lane, batch.ranges, batch.previous, batch.rows
        )
        assert manifest.hash == batch.hash


def test_a_batch_is_the_same_after_a_restart(store: Store, feed: Feed, path: Path) -> None:
    feed(5, at_s=0)
    formed = form(store, LIVE)
    store.close()
    again = open_store(path)
    assert again.unreceipted() == [formed]
    again.close()


def test_unreceipted_goes_on_from_a_number(store: Store, feed: Feed) -> None:
    feed(5, at_s=0)
    drain(store, LIVE, 1)
    assert [batch.number for batch in store.unreceipted(after=2, limit=2)] == [3, 4]
    assert store.unreceipted(after=5) == []


# Receipts


def test_a_receipt_confirms_all_batches_up_to_it(store: Store, feed: Feed, path: Path) -> None:
    feed(6, at_s=0)
    batches = drain(store, LIVE, 2)
    assert store.receipt(2, batches[1].hash, 5) == 4
    assert store.unreceipted() == [batches[2]]
    assert store.receipt(2, batches[1].hash, 5) == 0, "told again, it confirms nothing new"
    assert store.receipt(1, batches[0].hash, 5) == 0, "told late, it takes nothing back"
    pending = store.pending()
    assert (pending.batches_unreceipted, pending.oldest_ms) == (1, START_MS)
    store.close()
    again = open_store(path)
    assert again.unreceipted() == [batches[2]]
    assert again.receipt(3, batches[2].hash, 5) == 2
    assert again.pending().oldest_ms is None
    again.close()


def test_a_receipt_for_nothing_confirms_nothing(store: Store) -> None:
    assert store.receipt(0, b"", 5) == 0


def test_a_receipt_for_another_batch_is_refused(store: Store, feed: Feed) -> None:
    feed(2, at_s=0)
    batch = form(store, LIVE)
    for up_to, batch_hash in ((1, bytes(32)), (1, b""), (2, batch.hash)):
        with pytest.raises(ReceiptMismatch) as error:
            store.receipt(up_to, batch_hash, 5)
        assert "new-stream" in error.value.hint
    assert store.unreceipted() == [batch]


def test_a_cloud_that_was_restored_gets_its_batches_again(store: Store, feed: Feed) -> None:
    feed(6, at_s=0)
    batches = drain(store, LIVE, 2)
    store.receipt(3, batches[2].hash, 5)
    assert store.progress() == (3, 5)
    assert store.unconfirm(1) == 2
    assert store.progress() == (1, 5), "what the last receipt said stays known as the past"
    assert store.unreceipted() == batches[1:]
    assert store.unconfirm(3) == 0


# Pruning


def test_confirmed_rows_go_after_the_retention_period_and_not_before(
    store: Store, feed: Feed, path: Path
) -> None:
    feed(6, at_s=0)
    batches = drain(store, LIVE, 2)
    store.receipt(2, batches[1].hash, 5)
    assert store.prune(START_MS + 30 * DAY_MS) == 0
    assert store.prune(START_MS + 30 * DAY_MS + 1) == 4
    assert store.status().rows == 2
    assert store.unreceipted() == [batches[2]]
    assert check(path, KEY).sound


def test_rows_without_a_receipt_never_go(store: Store, feed: Feed, path: Path) -> None:
    feed(4, at_s=0)
    form(store, LIVE, 2)
    assert store.prune(START_MS + 10**12) == 0
    assert store.status().rows == 4


def test_numbers_chain_and_counters_outlive_the_pruning_of_all_rows(
    store: Store, feed: Feed, path: Path
) -> None:
    feed(4, at_s=0)
    batches = drain(store, LIVE, 2)
    store.receipt(2, batches[1].hash, 5)
    feed(1, at_s=0)
    last = form(store, LIVE)
    store.receipt(3, last.hash, 5)
    while store.prune(START_MS + 10**12):
        pass
    assert store.status().rows == 1, "the last batch stays: it is the head of the chain"
    store.close()
    again = open_store(path)
    assert f_cnts_up(again)[0] == 4
    assert again.keep([uplink(0, 5)], clock(0)) == 6
    batch = form(again, LIVE)
    assert (batch.number, batch.ranges, batch.previous) == (4, (RowRange(6, 1),), link(last.hash))
    again.receipt(4, batch.hash, 5)
    again.prune(START_MS + 10**12)
    again.close()
    assert check(path, KEY).sound


def test_the_highest_number_survives_though_its_row_went(
    store: Store, feed: Feed, path: Path, now: Now
) -> None:
    """The newest row goes in a live batch, an old one in the last batch: then the newest is pruned first."""
    feed(1, at_s=0)
    feed(1, at_s=100)
    form(store, LIVE)
    last = form(store, BACKLOG)
    store.receipt(2, last.hash, 5)
    assert store.prune(START_MS + 10**12) == 1
    store.close()
    again = open_store(path, now=now)
    assert again.status().rows == 1
    assert f_cnts_up(again)[0] == 1
    assert again.keep([uplink(0, 2, at_s=100)], clock(100)) == 3
    again.close()
    assert check(path, KEY).sound


def test_batches_that_were_pruned_cannot_be_taken_back(store: Store, feed: Feed) -> None:
    feed(6, at_s=0)
    batches = drain(store, LIVE, 2)
    store.receipt(3, batches[2].hash, 5)
    store.prune(START_MS + 10**12)
    with pytest.raises(ReceiptMismatch, match="not kept any more"):
        store.unconfirm(0)
    assert store.receipt(1, batches[0].hash, 5) == 0


def test_status_counts_without_counting(store: Store, feed: Feed) -> None:
    feed(6, at_s=0)
    batches = drain(store, LIVE, 2)
    store.receipt(1, batches[0].hash, 5)
    store.prune(START_MS + 10**12)
    status = store.status().as_dict()
    assert status["stream"] == store.stream.hex()
    assert (status["rows"], status["last_row"], status["last_batch"], status["confirmed_up_to"]) == (
        4,
        6,
        3,
        1,
    )
    assert 0 < status["bytes_used"] < status["bytes_max"]
    assert status["ballast"] is True
