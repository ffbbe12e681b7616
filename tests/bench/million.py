"""A million readings in the store: what they cost in memory, and how soon the next one is kept.

Each figure comes from a process of its own that opens the store, keeps one uplink, then works for a while as
the agent does (bursts, batches, receipts, pruning). The time is from the start of Python to the uplink on the
disk; the memory is the resident set at the end.

    python -m tests.bench.million [ROWS]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edge_agent.store.store import Store
from edge_codecs.manifest import Lane
from tests.rig.store import GATEWAY, KEY, Now, clock, session, uplink

DEVICES = 100
BURST = 500
PROBES = 3


def run(rows: int = 1_000_000, folder: Path | None = None) -> dict[str, Any]:
    """Beside each other: an empty store and one with `rows` rows, a tenth of them not yet confirmed."""
    with tempfile.TemporaryDirectory(prefix="million-", dir=folder) as name:
        empty, full = Path(name) / "empty.db", Path(name) / "full.db"
        fill(empty, 0)
        started = time.perf_counter()
        fill(full, rows)
        fill_s = time.perf_counter() - started
        figures = {"empty": _best(empty, 0), "full": _best(full, rows // DEVICES + 1)}
        size = full.stat().st_size
    return {
        "rows": rows,
        "bytes_a_row_on_disk": round(size / max(rows, 1), 1),
        "filled_rows_per_s": round(rows / fill_s),
        "first_uplink_s": {which: probe["first_uplink_s"] for which, probe in figures.items()},
        "rss_mb": {which: probe["rss_mb"] for which, probe in figures.items()},
        "rss_growth_mb": round(figures["full"]["rss_mb"] - figures["empty"]["rss_mb"], 2),
    }


def fill(path: Path, rows: int) -> None:
    """Keep `rows` uplinks, batch nine tenths of them and confirm these batches."""
    now = Now(1e9)
    store = _open(path, now)
    store.add_devices([session(number) for number in range(DEVICES)])
    for first in range(0, rows, BURST):
        burst = [uplink(n % DEVICES, n // DEVICES, at_s=n) for n in range(first, min(first + BURST, rows))]
        store.keep(burst, clock(first))
    formed = 0
    while formed < rows * 9 // 10:
        batch = store.form_batch(1_000, 64 * 1024, Lane.BACKLOG)
        assert batch is not None
        formed += batch.count
        store.receipt(batch.number, batch.hash, 0)
    store.close()


def _open(path: Path, now: Now) -> Store:
    return Store.open(
        path,
        KEY,
        gateway=GATEWAY,
        max_bytes=2_000_000_000,
        retention_days=400,
        boot="bench",
        now_ns=now,
    )


def _best(path: Path, f_cnt: int) -> dict[str, float]:
    probes = []
    for number in range(PROBES):
        command = [
            sys.executable,
            "-m",
            "tests.bench.million",
            "--probe",
            str(path),
            str(f_cnt + number * 1000),
        ]
        probes.append(
            json.loads(subprocess.run([*command, repr(time.time())], check=True, capture_output=True).stdout)
        )
    return {key: min(probe[key] for probe in probes) for key in probes[0]}


def probe(path: Path, f_cnt: int, started: float) -> dict[str, float]:
    """What one process sees."""
    now = Now(1e9)
    store = _open(path, now)
    store.keep([uplink(0, f_cnt, at_s=1e9)], clock(1e9))
    first_uplink_s = time.time() - started
    for number in range(1, 200):
        store.keep([uplink(device, f_cnt + number, at_s=1e9) for device in range(0, DEVICES, 4)], clock(1e9))
    for lane in (Lane.LIVE, Lane.BACKLOG) * 10:
        batch = store.form_batch(1_000, 64 * 1024, lane)
        if batch is not None:
            store.receipt(batch.number, batch.hash, 0)
    store.prune(0)
    store.status()
    store.checkpoint()
    resident = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    store.close()
    return {"first_uplink_s": round(first_uplink_s, 3), "rss_mb": round(int(resident.split()[1]) / 1024, 2)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--probe"]:
        print(json.dumps(probe(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
    else:
        print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000), indent=2))
