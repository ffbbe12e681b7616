"""Readings a second into the records, beside a bare binary COPY of the same readings in the same run.

    python -m tests.bench.records

The comparison is unkind on purpose: the bare COPY writes finished tuples into the partitioned table as its
owner, without row-level security, and keeps nothing else. The records find the tenant of each row and write
uplinks (payload, radio metadata), readings, batch, chain and evidence, under forced row-level security, and
would have noticed every duplicate. Included are the steps before: rows to columns, the batch's hash. Both
take turns, a block of transactions each, so that what else the machine does meets both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import psutil
import psycopg

from cloud_sync.db.connection import connect
from cloud_sync.db.records import BatchOutcome, Outcome, Records, Verified
from edge_codecs.batch import Manifest
from edge_codecs.rows import decode_columns
from tests.rig.batches import NOW_MS, Gateway, register, steady
from tests.rig.postgres import Postgres, migrated_database

TENANTS = 4
DEVICES = 20
"""Of each tenant."""
CHANNELS = 2
"""Of a report: so many readings."""
TRANSACTIONS = 8
"""In a block."""
BLOCKS = 4
SHAPES = {"batches_of_100_reports": (100, 40), "batches_of_1000_reports": (1000, 8)}
"""Reports a batch, batches a transaction: a busy day, and what comes behind an outage. The receiver takes up
to 256 messages or 8 MiB in a transaction."""


def run(blocks: int = BLOCKS) -> dict[str, Any]:
    """Readings per second of each way, their ratio, and CPU time by process, for each shape of batches."""
    return {name: _compare(*shape, blocks) for name, shape in SHAPES.items()}


def _compare(reports: int, batches: int, blocks: int) -> dict[str, Any]:
    with Postgres() as server, migrated_database(server) as bare, migrated_database(server) as ours:
        sources, twins = list(_sources(ours)), list(_sources(bare))
        records = Records.connect(ours)
        with connect(bare) as copying, connect(ours) as watching:
            table = _BareTable(copying, bare)
            copied = [table.block(_transactions(twins, reports, batches)) for _ in range(blocks)]
            for connection in (copying, watching):
                connection.execute("CHECKPOINT")
            backend = records._connection.info.backend_pid
            copy_s, store_s, cpu = [], [], dict.fromkeys(("copy", "store", "python"), 0.0)
            for block in copied:
                transactions = _transactions(sources, reports, batches)
                before = _cpu_s(copying.info.backend_pid)
                copy_s.append(table.copy(block))
                cpu["copy"] += _cpu_s(copying.info.backend_pid) - before
                before, python = _cpu_s(backend), time.process_time()
                store_s.append(_store(records, transactions))
                cpu["store"] += _cpu_s(backend) - before
                cpu["python"] += time.process_time() - python
            total = blocks * TRANSACTIONS * batches * reports * CHANNELS
            for connection in (copying, watching):
                (count,) = connection.execute("SELECT count(*) FROM readings").fetchone() or (0,)
                assert count == total, count
        records.close()
    return {
        "bare_copy_readings_per_s": round(total / sum(copy_s)),
        "records_readings_per_s": round(total / sum(store_s)),
        "ratio": round(sum(copy_s) / sum(store_s), 3),
        "ratio_by_block": [round(c / s, 3) for c, s in zip(copy_s, store_s, strict=True)],
        "cpu_us_per_reading": {
            "bare_copy_backend": round(cpu["copy"] / total * 1e6, 2),
            "records_backend": round(cpu["store"] / total * 1e6, 2),
            "records_python": round(cpu["python"] / total * 1e6, 2),
        },
        "readings_per_transaction": batches * reports * CHANNELS,
        "tenants_per_transaction": TENANTS,
    }


def _sources(dsn: str) -> Iterator[tuple[Gateway, Iterator[Any]]]:
    for tenant in range(TENANTS):
        devices = range(1 + tenant * DEVICES, 1 + (tenant + 1) * DEVICES)
        gateway = Gateway(tenant + 1)
        register(dsn, f"tenant-{tenant}", [gateway], devices)
        yield gateway, steady(devices, CHANNELS, seed=tenant, begin=datetime.now(UTC) - timedelta(days=300))


def _transactions(
    sources: list[tuple[Gateway, Iterator[Any]]], reports: int, batches: int
) -> list[list[Verified]]:
    """A block of transactions of batches of all tenants' gateways, in turns."""
    return [
        [
            gateway.batch(list(islice(uplinks, reports)))
            for _ in range(batches // TENANTS)
            for gateway, uplinks in sources
        ]
        for _ in range(TRANSACTIONS)
    ]


class _BareTable:
    """The same table, and its owner's COPY of tuples that PostgreSQL itself had written out."""

    def __init__(self, connection: psycopg.Connection, dsn: str) -> None:
        self._connection = connection
        self._dsn = dsn

    def block(self, transactions: list[list[Verified]]) -> list[bytes]:
        """The finished tuples of a block, in the order in which they came; one item a transaction."""
        records = Records.connect(self._dsn)
        chunks = []
        for batches in transactions:
            records.process(batches)
            with self._connection.cursor() as cursor, cursor.copy(_TUPLES) as copy:
                chunks.append(b"".join(copy))
            self.empty()
        records.close()
        return chunks

    def empty(self) -> None:
        """Forget all readings and uplinks."""
        self._connection.execute("TRUNCATE readings, uplinks")

    def copy(self, chunks: list[bytes]) -> float:
        """Seconds that it takes, one transaction a chunk."""
        begin = time.perf_counter()
        for chunk in chunks:
            with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.write(chunk)
        return time.perf_counter() - begin


def _store(records: Records, transactions: list[list[Verified]]) -> float:
    """Seconds that it takes; the next batches are opened while PostgreSQL is busy with those before."""
    begin = time.perf_counter()
    futures: list[Future[list[BatchOutcome]]] = []
    for batches in transactions:
        futures.append(records.submit([_decoded(batch) for batch in batches]))
        if len(futures) > 1:
            futures[-2].result()
    futures[-1].result()
    took_s = time.perf_counter() - begin
    assert all(outcome.outcome is Outcome.STORED for future in futures for outcome in future.result())
    return took_s


def _decoded(batch: Verified) -> Verified:
    """The receiver's work after the signature: rows to columns, the batch's hash."""
    m = batch.manifest
    manifest = Manifest(m.gateway, m.stream, m.number, m.lane, m.ranges, m.previous, m.rows)
    columns = decode_columns(m.rows, m.count)
    return Verified(manifest, batch.header, batch.signature, columns, NOW_MS)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


_TUPLES = b"""
COPY (SELECT r.* FROM readings r JOIN uplinks u USING (tenant, dev_eui, session, f_cnt)
      ORDER BY u.batch, u.tenant, u."row", r.channel) TO STDOUT (FORMAT binary)"""
_COPY = b"COPY readings FROM STDIN (FORMAT binary)"

if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
