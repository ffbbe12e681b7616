"""Readings a second into the records, beside a bare binary COPY of the same readings in the same run.

    python -m tests.bench.records

The comparison is unkind on purpose: the bare COPY writes finished tuples into the partitioned table as its
owner, without row-level security, and keeps nothing else. `process` decodes the batch's rows, finds the
tenant, writes uplinks (payload, radio metadata), readings, batch, chain and evidence, under forced row-level
security, and would have noticed every duplicate.
"""

from __future__ import annotations

import cProfile
import io
import json
import os
import pstats
import statistics
import time
from itertools import islice
from typing import Any

import psycopg

from cloud_sync.db.connection import connect
from cloud_sync.db.records import Outcome, Records, Verified
from edge_codecs.batch import Manifest
from edge_codecs.rows import decode_columns
from tests.rig.batches import NOW_MS, Gateway, register, steady
from tests.rig.postgres import Postgres, migrated_database

TENANTS = 4
DEVICES = 20
REPORTS = 100
"""Reports in a batch."""
CHANNELS = 2
BATCHES = 40
"""Batches in a transaction."""
TRANSACTIONS = 10
ROUNDS = 3


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Figures: readings per second of each way, their ratio, and where `process` spends its time."""
    ratios, bare, ours = [], [], []
    stages: dict[str, float] = {}
    with Postgres() as server:
        for number in range(rounds):
            with migrated_database(server) as dsn:
                batches = _batches(dsn)
                copied = _bare_copy(dsn, batches)
            with migrated_database(server) as dsn:
                stored = _process(dsn, _batches(dsn), stages if number == rounds - 1 else None)
            bare.append(copied)
            ours.append(stored)
            ratios.append(stored / copied)
    return {
        "bare_copy_readings_per_s": round(statistics.median(bare)),
        "records_readings_per_s": round(statistics.median(ours)),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "readings_per_batch": REPORTS * CHANNELS,
        "batches_per_transaction": BATCHES,
        "tenants_per_transaction": TENANTS,
        "microseconds_per_reading": stages,
    }


def _batches(dsn: str) -> list[list[Verified]]:
    """Transactions of batches of all tenants' gateways, in turns."""
    sources = []
    for tenant in range(TENANTS):
        devices = range(1 + tenant * DEVICES, 1 + (tenant + 1) * DEVICES)
        gateway = Gateway(tenant + 1)
        register(dsn, f"tenant-{tenant}", [gateway], devices)
        sources.append((gateway, steady(devices, CHANNELS, seed=tenant)))
    return [
        [
            gateway.batch(list(islice(uplinks, REPORTS)))
            for _ in range(BATCHES // TENANTS)
            for gateway, uplinks in sources
        ]
        for _ in range(TRANSACTIONS)
    ]


def _bare_copy(dsn: str, transactions: list[list[Verified]]) -> float:
    """COPY of finished tuples, a transaction for as many readings as ours has; readings per second."""
    with connect(dsn) as connection, connection.cursor() as cursor:
        # the tuples as PostgreSQL itself would send them: what `process` makes of the batches
        records = Records.connect(dsn)
        for batches in transactions:
            records.process(batches)
        records.close()
        chunks = []
        per_transaction = BATCHES * REPORTS * CHANNELS
        for number in range(TRANSACTIONS):
            # in the order in which they came
            query = f"""COPY (SELECT r.* FROM readings r JOIN uplinks u USING (tenant, dev_eui, session, f_cnt)
                        ORDER BY r.interval_end, r.tenant, r.dev_eui, r.channel
                        OFFSET {number * per_transaction} LIMIT {per_transaction}) TO STDOUT (FORMAT binary)"""
            with cursor.copy(query.encode()) as copy:
                chunks.append(b"".join(copy))
        connection.execute("TRUNCATE readings")
        connection.execute("CHECKPOINT")
        begin = time.perf_counter()
        for chunk in chunks:
            with cursor.copy(b"COPY readings FROM STDIN (FORMAT binary)") as copy:
                copy.write(chunk)
        took_s = time.perf_counter() - begin
        _expect_all(connection)
    return TRANSACTIONS * per_transaction / took_s


def _process(dsn: str, transactions: list[list[Verified]], stages: dict[str, float] | None) -> float:
    records = Records.connect(dsn)
    with connect(dsn) as connection:
        connection.execute("CHECKPOINT")
        profile = cProfile.Profile() if os.environ.get("BENCH_PROFILE") else None
        begin = time.perf_counter()
        if profile:
            profile.enable()
        futures = []
        for batches in transactions:
            # as the receiver does: open and pack the next batches while PostgreSQL is busy with those before
            futures.append(records.submit([_decoded(batch) for batch in batches]))
            for future in futures[-2:-1]:
                future.result()
        assert all(o.outcome is Outcome.STORED for future in futures for o in future.result())
        if profile:
            profile.disable()
        took_s = time.perf_counter() - begin
        _expect_all(connection)
    records.close()
    count = TRANSACTIONS * BATCHES * REPORTS * CHANNELS
    if profile:
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(25)
        print(text.getvalue())
    if stages is not None:
        stages["total"] = round(took_s / count * 1e6, 2)
    return count / took_s


def _decoded(batch: Verified) -> Verified:
    """The receiver's work after the signature: rows to columns, the batch's hash."""
    m = batch.manifest
    manifest = Manifest(m.gateway, m.stream, m.number, m.lane, m.ranges, m.previous, m.rows)
    columns = decode_columns(m.rows, m.count)
    return Verified(manifest, batch.header, batch.signature, columns, NOW_MS)


def _expect_all(connection: psycopg.Connection) -> None:
    (count,) = connection.execute("SELECT count(*) FROM readings").fetchone() or (0,)
    assert count == TRANSACTIONS * BATCHES * REPORTS * CHANNELS, count


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
