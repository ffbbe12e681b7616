"""Quarantined rows placed again, once the assignments are right.

Theory of operation. A row that was nobody's when it came counts as stored: its gateway has let go of it. All
that a table needs of it is in the batch that its gateway signed, kept as nobody's evidence. The row is taken
out of there, into a batch of the refused rows alone, and goes the receiver's way: placed by the registry as
it is now, packed, copied, and inserted the careful way, since other gateways may have brought the frame
meanwhile.

Rows and settled entries are one transaction, MOST_ROWS at a time: broken off and run again, nothing is lost
or doubled. Entries are chosen and settled as the operator, records are written as the receiver; nobody's
evidence shows in a scope of its own. A row that is refused for another reason than before is a new entry.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import psycopg
from psycopg import sql

from cloud_sync.db import quarantine, registry, tenant_rows
from cloud_sync.db.arrivals import Arrivals, Turns, prepare
from cloud_sync.db.connection import OPERATOR, RECEIVER, Scope, connect, transaction
from cloud_sync.db.outcome import Verified
from cloud_sync.db.placement import Refusal
from cloud_sync.db.quarantine import RefusedRow
from cloud_sync.db.tenant_rows import NotNew
from cloud_sync.errors import ServiceUnavailable
from edge_codecs.batch import parse_header
from edge_codecs.identifiers import DevEUI
from edge_codecs.manifest import MAX_RANGES, Manifest, RowRange
from edge_codecs.rows import decode_columns, encode_rows

MOST_ROWS = 10_000
ATTEMPTS = 6
CANNOT_STORE = "cannot_store"
NO_EVIDENCE = "no_evidence"
"""The batch is not in the evidence, or is not the one that was counted as stored."""

_Source = tuple[bytes, bytes, int]
"""Gateway, stream, number of a batch."""


@dataclass(slots=True)
class Retried:
    """What became of the entries that were looked at."""

    placed: int = 0
    """Rows that are a tenant's now: in its records, or in its quarantine if they contradict these."""
    open: Counter[str] = field(default_factory=Counter)
    """Rows that are still nobody's, by the reason that holds now."""

    def add(self, other: Retried) -> None:
        """Count these as well."""
        self.placed += other.placed
        self.open += other.open


@dataclass(frozen=True, slots=True)
class _Entry:
    id: int
    reason: str


def retry(dsn: str, now_ms: int, *, reason: Refusal | None = None, device: DevEUI | None = None) -> Retried:
    """Place the open entries (of this reason, of this device) again; `now_ms` is UTC milliseconds.

    The login must be able to act as receiver and as operator. Raises ServiceUnavailable or
    ConfigurationError.
    """
    done, turns, after = Retried(), Turns(), 0
    reasons = [r.value for r in Refusal] if reason is None else [reason.value]
    dev_eui = None if device is None else bytes(device)
    with connect(dsn, RECEIVER) as connection:
        with transaction(connection):
            tenant_rows.prepare(connection)
            _act(connection, OPERATOR, Scope.OPERATOR)
            (last,) = connection.execute("SELECT max(id) FROM quarantine").fetchone() or (None,)
        while found := _open(connection, (reasons, dev_eui, dev_eui, after, last)):
            after = found[-1][0]
            try:
                done.add(_attempt(connection, [number for number, _ in found], turns, now_ms))
            except (psycopg.DataError, psycopg.IntegrityError):
                for numbers in _by_batch(found):
                    done.add(_alone(connection, numbers, turns, now_ms))
    return done


def _open(connection: psycopg.Connection, wanted: tuple[object, ...]) -> list[tuple[int, _Source]]:
    with transaction(connection):
        _act(connection, OPERATOR, Scope.OPERATOR)
        rows = connection.execute(_OPEN, (*wanted, MOST_ROWS)).fetchall()
    return [(number, (gateway, stream, batch)) for number, gateway, stream, batch in rows]


def _by_batch(found: Sequence[tuple[int, _Source]]) -> list[list[int]]:
    batches: dict[_Source, list[int]] = defaultdict(list)
    for number, source in found:
        batches[source].append(number)
    return list(batches.values())


def _alone(connection: psycopg.Connection, numbers: Sequence[int], turns: Turns, now_ms: int) -> Retried:
    """Entries of one batch, which may have a value that the database refuses: these stay as they are."""
    try:
        return _attempt(connection, numbers, turns, now_ms)
    except (psycopg.DataError, psycopg.IntegrityError):
        return Retried(0, Counter({CANNOT_STORE: len(numbers)}))


def _attempt(connection: psycopg.Connection, numbers: Sequence[int], turns: Turns, now_ms: int) -> Retried:
    for _ in range(ATTEMPTS):
        try:
            with transaction(connection):
                return _place(connection, numbers, turns, now_ms)
        except (NotNew, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            continue  # a receiver brought the same frame at this moment, or we were in each other's way
    raise ServiceUnavailable(
        "the database kept refusing the transaction", hint="Look at PostgreSQL's log, and run it again"
    )


def _place(connection: psycopg.Connection, numbers: Sequence[int], turns: Turns, now_ms: int) -> Retried:
    _act(connection, OPERATOR, Scope.OPERATOR)
    entries = _lock(connection, numbers)
    _act(connection, RECEIVER, Scope.RETRY)
    asked = _columns(entries)
    evidence = {
        (gateway, stream, number): (header, signature, rows)
        for gateway, stream, number, header, signature, rows in connection.execute(_EVIDENCE, asked)
    }
    _act(connection, RECEIVER, Scope.PLANT)
    hashes = {
        (gateway, stream, n): digest for gateway, stream, n, digest in connection.execute(_HASHES, asked)
    }
    known = registry.snapshot(connection)

    done, arrivals = Retried(), Arrivals(turns)
    settled: list[int] = []
    moved: list[RefusedRow] = []
    for source, rows in entries.items():
        batch = _verified(*evidence[source], now_ms) if source in evidence else None
        if batch is None or hashes.get(source) != batch.hash:
            done.open[NO_EVIDENCE] += len(rows)
            continue
        for part in _parts(batch, sorted(rows)):
            prepared = prepare(part, known, turns, now_ms)
            if prepared.rows is None:
                done.open[CANNOT_STORE] += part.manifest.count
                continue
            arrivals.add(prepared)
            refused = {row.row: row for row in prepared.refused}
            for number in prepared.rows.row_numbers:
                entry, again = rows[number], refused.get(number)
                if again is None:
                    done.placed += 1
                    settled.append(entry.id)
                    continue
                done.open[str(again.reason)] += 1
                if again.reason != entry.reason:
                    moved.append(again)
                    settled.append(entry.id)
    _write(connection, arrivals)
    quarantine.keep_rows(connection, None, moved)
    _act(connection, OPERATOR, Scope.OPERATOR)
    connection.execute(_SETTLE, (settled,))
    return done


def _write(connection: psycopg.Connection, arrivals: Arrivals) -> None:
    """As the receiver does with a batch that is not new. Its evidence is kept already."""
    if arrivals.uplinks:
        tenant_rows.copy_uplinks(connection, arrivals.uplinks)
    if arrivals.history:
        tenant_rows.copy_history(connection, arrivals.history)
    for turn in arrivals.turns:
        turn.evidence.clear()
        tenant_rows.insert_careful(connection, turn)


def _lock(connection: psycopg.Connection, numbers: Sequence[int]) -> Mapping[_Source, dict[int, _Entry]]:
    """Those of the entries that nobody else has settled, by batch and row."""
    found: dict[_Source, dict[int, _Entry]] = defaultdict(dict)
    for entry, reason, gateway, stream, batch, row in connection.execute(_LOCK, (list(numbers),)):
        found[gateway, stream, batch][row] = _Entry(entry, reason)
    return found


def _columns(sources: Mapping[_Source, object]) -> tuple[list[bytes], list[bytes], list[int]]:
    return [s[0] for s in sources], [s[1] for s in sources], [s[2] for s in sources]


def _verified(header: bytes, signature: bytes, rows: bytes, now_ms: int) -> Verified:
    """A batch out of the evidence; it was verified before it came there."""
    manifest = parse_header(header).manifest(rows)
    return Verified(manifest, header, signature, decode_columns(rows, manifest.count), now_ms)


def _parts(batch: Verified, rows: Sequence[int]) -> Iterator[Verified]:
    """`batch` with nothing but `rows` (numbers, rising) in it, in as many parts as their ranges take."""
    manifest = batch.manifest
    numbers = chain.from_iterable(range(r.first, r.first + r.count) for r in manifest.ranges)
    uplinks = dict(zip(numbers, batch.columns.uplinks(), strict=True))
    ranges = _ranges(rows)
    while some := tuple(islice(ranges, MAX_RANGES)):
        chosen = encode_rows([uplinks[n] for r in some for n in range(r.first, r.first + r.count)])
        part = Manifest(
            manifest.gateway, manifest.stream, manifest.number, manifest.lane, some, manifest.previous, chosen
        )
        columns = decode_columns(chosen, part.count)
        yield Verified(part, batch.header, batch.signature, columns, batch.received_ms)


def _ranges(rows: Sequence[int]) -> Iterator[RowRange]:
    first = count = 0
    for row in rows:
        if count and row == first + count:
            count += 1
            continue
        if count:
            yield RowRange(first, count)
        first, count = row, 1
    if count:
        yield RowRange(first, count)


def _act(connection: psycopg.Connection, role: str, scope: Scope) -> None:
    """From here to the end of the transaction, or to the next of these."""
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
    connection.execute("SELECT set_config('clipr.scope', %s, true)", (scope.value,))


_OPEN = """
SELECT id, gateway, stream, batch FROM quarantine
WHERE settled_at IS NULL AND "row" IS NOT NULL AND tenant IS NULL AND reason = ANY (%s)
    AND (%s::bytea IS NULL OR dev_eui = %s) AND id > %s AND id <= %s
ORDER BY id LIMIT %s"""
_LOCK = """
SELECT id, reason, gateway, stream, batch, "row" FROM quarantine
WHERE id = ANY (%s) AND settled_at IS NULL ORDER BY id FOR UPDATE"""
_EVIDENCE = """
SELECT e.gateway, e.stream, e.number, e.header, e.signature, e.rows
FROM evidence e JOIN unnest(%s::bytea[], %s::bytea[], %s::bigint[]) AS asked (gateway, stream, number)
    USING (gateway, stream, number)
WHERE e.tenant IS NULL"""
_HASHES = """
SELECT b.gateway, b.stream, b.number, b.hash
FROM batches b JOIN unnest(%s::bytea[], %s::bytea[], %s::bigint[]) AS asked (gateway, stream, number)
    USING (gateway, stream, number)"""
_SETTLE = "UPDATE quarantine SET settled_at = now() WHERE id = ANY (%s)"
