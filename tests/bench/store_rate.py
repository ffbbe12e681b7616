"""How fast the encrypted store keeps uplinks, beside the bare fsync of the same disk in the same run.

The bare figure is what any store must pay that says "kept" only when it is on the disk: append 100 bytes to a
file and fsync it. Slices of both alternate, so that a busy neighbour hits both; figures are medians.

    python -m tests.bench.store_rate [FOLDER]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from edge_agent.store.store import Store
from edge_codecs.manifest import Lane
from tests.rig.store import GATEWAY, KEY, Now, clock, session, uplink

DEVICES = 100
GROUPS = (1, 10, 50, 100)
FSYNC_BYTES = 100


def run(folder: Path | None = None, slices: int = 15, commits_a_slice: int = 100) -> dict[str, Any]:
    """Rates by rows a commit, each beside bare fsync; and what forming and confirming batches costs."""
    with tempfile.TemporaryDirectory(prefix="store-rate-", dir=folder) as name:
        path = Path(name) / "store.db"
        now = Now()
        store = Store.open(
            path,
            KEY,
            gateway=GATEWAY,
            max_bytes=2_000_000_000,
            retention_days=400,
            boot="bench",
            now_ns=now,
        )
        try:
            store.add_devices([session(number) for number in range(DEVICES)])
            f_cnt = Counter()
            figures: dict[str, Any] = {"rows_a_commit": {}}
            for group in GROUPS:
                figures["rows_a_commit"][group] = _beside_fsync(
                    store, Path(name), group, f_cnt, slices, commits_a_slice
                )
            now.at_s = 1e6
            figures["batches_of_1000_rows"] = _batches(store)
        finally:
            store.close()
    figures["ratio_at_one_row"] = figures["rows_a_commit"][1]["commits_by_fsyncs"]
    return figures


class Counter:
    """Frame counters, rising for all devices together."""

    def __init__(self) -> None:
        self.value = 0

    def next(self) -> int:
        """The next value."""
        self.value += 1
        return self.value


def _beside_fsync(
    store: Store, folder: Path, group: int, f_cnt: Counter, slices: int, commits: int
) -> dict[str, float]:
    fsyncs, keeps = [], []
    with (folder / "raw").open("ab", buffering=0) as raw:
        for _ in range(slices):
            bursts = [_burst(group, f_cnt) for _ in range(commits)]
            in_step = clock(f_cnt.value)
            fsyncs.append(commits / _seconds(lambda: _fsyncs(raw, commits)))
            keeps.append(
                commits / _seconds(lambda b=bursts, c=in_step: [store.keep(burst, c) for burst in b])
            )  # type: ignore[misc]
    return {
        "rows_per_s": round(median(keeps) * group),
        "fsyncs_per_s": round(median(fsyncs)),
        "commits_by_fsyncs": round(median(k / f for k, f in zip(keeps, fsyncs, strict=True)), 2),
    }


def _burst(group: int, f_cnt: Counter) -> list[Any]:
    counters = [f_cnt.next() for _ in range(group)]
    return [uplink(counter % DEVICES, counter, at_s=counter) for counter in counters]


def _fsyncs(raw: Any, count: int) -> None:
    for _ in range(count):
        raw.write(bytes(FSYNC_BYTES))
        os.fsync(raw.fileno())


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _batches(store: Store) -> dict[str, float]:
    """Form all there is; then confirm it, batch by batch."""
    formed = []
    start = time.perf_counter()
    while batch := store.form_batch(1_000, 64 * 1024, Lane.BACKLOG):
        formed.append(batch)
    form_s = time.perf_counter() - start
    rows = sum(batch.count for batch in formed)
    confirm_s = _seconds(lambda: [store.receipt(batch.number, batch.hash, 0) for batch in formed])
    return {
        "formed_rows_per_s": round(rows / form_s),
        "confirmed_rows_per_s": round(rows / confirm_s),
    }


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]) if len(sys.argv) > 1 else None), indent=2))
