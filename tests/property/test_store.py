"""The store against a model: whatever is done to it in whichever order, every uplink goes out exactly once a
stream, numbers have no gaps, and nothing that was acknowledged is missing."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.store.check import check
from edge_agent.store.reader import Reader
from edge_agent.store.store import FormedBatch, Store
from edge_codecs.manifest import Lane, link
from edge_codecs.rows import decode_rows
from tests.rig.store import (
    KEY,
    START_MS,
    Now,
    clock,
    f_cnts_up,
    mac_only,
    open_store,
    session,
    uplink,
)

DEVICES = 3
BYTES = 2_000


class StoreModel(RuleBasedStateMachine):
    """`due`: uplinks that no batch of this stream has carried. `waiting`: batches without a receipt."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.path = self.folder / "store.db"
        self.now = Now(10.0)
        self.boot = 1
        self.f_cnt = [0] * DEVICES
        self.due: set[tuple[int, int]] = set()
        self.waiting: list[tuple[FormedBatch, set[tuple[int, int]]]] = []
        self.confirmed: set[tuple[int, int]] = set()
        self.numbers: set[int] = set()
        self.last: FormedBatch | None = None
        self.store: Store = self.opened()
        self.store.add_devices([session(n) for n in range(DEVICES)])

    def opened(self, *, new_stream: bool = False) -> Store:
        return open_store(
            self.path, boot=f"boot-{self.boot}", now=self.now, retention_days=0, new_stream=new_stream
        )

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            assert check(self.path, KEY).findings == ()
            shutil.rmtree(self.folder)

    def reading(self) -> object:
        return clock(self.now.at_s, boot=f"boot-{self.boot}", boot_ms=START_MS + self.boot * 10**9)

    # What the agent does

    @rule(
        burst=st.lists(st.tuples(st.integers(0, DEVICES - 1), st.booleans()), max_size=12),
        in_step=st.booleans(),
        late_s=st.sampled_from([0.0, 0.0, 300.0]),
    )
    def keep(self, burst: list[tuple[int, bool]], in_step: bool, late_s: float) -> None:
        uplinks = []
        for device, is_mac in burst:
            f_cnt, self.f_cnt[device] = self.f_cnt[device], self.f_cnt[device] + 1
            at_s = max(self.now.at_s - late_s, 0.0)
            if is_mac and f_cnt % 3 == 0:
                uplinks.append(mac_only(device, f_cnt, at_s=at_s))
            else:
                uplinks.append(uplink(device, f_cnt, at_s=at_s))
                self.due.add((device, f_cnt))
        before = self.store.status().last_row
        rows = sum(one.message is not None for one in uplinks)
        assert self.store.keep(uplinks, self.reading() if in_step else None) == before + rows  # type: ignore[arg-type]

    @rule(seconds=st.sampled_from([1.0, 20.0, 61.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now.at_s += seconds

    @rule()
    def the_clock_is_in_step(self) -> None:
        self.store.clock_in_step(self.reading())  # type: ignore[arg-type]
        assert self.store.pending().rows_unresolved == 0

    @rule(lane=st.sampled_from(Lane), max_rows=st.sampled_from([1, 3, 50]))
    def form(self, lane: Lane, max_rows: int) -> None:
        batch = self.store.form_batch(max_rows, BYTES, lane)
        if batch is None:
            return
        assert batch.number == (self.last.number + 1 if self.last else 1)
        assert batch.previous == link(self.last.hash if self.last else b"")
        numbers = [n for rows in batch.ranges for n in range(rows.first, rows.last + 1)]
        assert not self.numbers & set(numbers), "a row goes in one batch"
        self.numbers |= set(numbers)
        carried = {(row.dev_eui[-1], row.f_cnt) for row in decode_rows(batch.rows, batch.count)}
        assert len(carried) == batch.count == len(numbers) <= max_rows
        assert carried <= self.due
        self.due -= carried
        self.waiting.append((batch, carried))
        self.last = batch

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def receipt(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.waiting)))
        batch, _ = self.waiting[count - 1]
        rows = sum(len(carried) for _, carried in self.waiting[:count])
        assert self.store.receipt(batch.number, batch.hash, 1) == rows
        for _, carried in self.waiting[:count]:
            self.confirmed |= carried
        del self.waiting[:count]

    @rule()
    def prune(self) -> None:
        self.store.prune(START_MS + 10**13)

    @rule()
    def checkpoint(self) -> None:
        self.store.checkpoint()

    # What happens to it

    @rule(new_boot=st.booleans())
    def restart(self, new_boot: bool) -> None:
        self.store.close()
        if new_boot:
            self.boot += 1
            self.now.at_s = 5.0
        self.store = self.opened()

    @rule()
    def power_cut(self) -> None:
        main, log = self.path.read_bytes(), self.path.with_name("store.db-wal").read_bytes()
        self.store.close()
        self.path.write_bytes(main)
        self.path.with_name("store.db-wal").write_bytes(log)
        self.boot += 1
        self.now.at_s = 5.0
        self.store = self.opened()

    @rule(while_open=st.booleans())
    def new_stream(self, while_open: bool) -> None:
        old = self.store.stream
        if while_open:
            self.store.begin_stream()
        else:
            self.store.close()
            self.store = self.opened(new_stream=True)
        assert self.store.stream != old
        for _, carried in self.waiting:
            self.due |= carried
        self.waiting, self.numbers, self.last = [], set(), None

    # What always holds

    @invariant()
    def adds_up(self) -> None:
        if not hasattr(self, "store"):
            return
        pending, status = self.store.pending(), self.store.status()
        assert pending.rows_unbatched == len(self.due)
        assert pending.rows_unresolved <= len(self.due)
        assert pending.batches_unreceipted == len(self.waiting)
        assert self.store.unreceipted(limit=1000) == [batch for batch, _ in self.waiting]
        assert status.last_batch == (self.last.number if self.last else 0)
        assert self.numbers <= set(range(1, status.last_row + 1))
        assert len(self.numbers) + len(self.due) == status.last_row
        assert f_cnts_up(self.store) == [n - 1 if n else None for n in self.f_cnt]

    @precondition(lambda self: hasattr(self, "store"))
    @rule()
    def everything_is_there(self) -> None:
        with Reader.open(self.path, KEY) as reader:
            read = [(row.dev_eui[-1], row.f_cnt) for row in reader.uplinks()]
        assert len(read) == len(set(read))
        carried = {pair for _, pairs in self.waiting for pair in pairs}
        assert carried <= set(read) <= carried | self.due | self.confirmed
        assert self.store.pending().rows_unresolved == len(self.due - set(read))


StoreModel.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestStore = pytest.mark.slow(StoreModel.TestCase)
