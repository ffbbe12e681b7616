"""Verified batches in, tenant-scoped records out: each reading exactly once, in one transaction.

The order within the transaction: the registry's version, the streams (locked, in one order), which batches are
next, whose rows they are; then one binary COPY of all rows of all batches, and per tenant a few statements
under that tenant's setting; last the streams' new state. Receipts may be sent after `process` has returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Self

import psycopg

from cloud_sync.db import quarantine, registry, streams, tenant_rows
from cloud_sync.db.arrivals import Arrivals
from cloud_sync.db.connection import RECEIVER, Scope, connect, enter_tenant, errors, transaction
from cloud_sync.db.copy_rows import Unstorable
from cloud_sync.db.outcome import QUARANTINE_WIRE_BYTES, BatchOutcome, Outcome, Refused, Verified
from cloud_sync.db.registry import Registry
from cloud_sync.db.tenant_rows import Turn
from cloud_sync.errors import ServiceUnavailable
from edge_codecs.identifiers import GatewayId

__all__ = ["QUARANTINE_WIRE_BYTES", "BatchOutcome", "Outcome", "Records", "Refused", "Verified"]

ATTEMPTS = 6
CAREFUL_FOR = 50
"""After a row that was not new, the tenant's next transactions go the careful way, so many in a row."""


class Records:
    """The receiver's door to the database; one connection, one thread."""

    @classmethod
    def connect(cls, dsn: str) -> Self:
        """Connect and take the receiver's role. Raises ServiceUnavailable or ConfigurationError."""
        return cls(connect(dsn, RECEIVER))

    def __init__(self, connection: psycopg.Connection, clock_ms: Callable[[], int] | None = None) -> None:
        """Use `connection`, which must be in autocommit mode and in the receiver's role."""
        self._connection = connection
        self._clock_ms = clock_ms or (lambda: time.time_ns() // 1_000_000)
        self._careful: dict[str, int] = {}
        self._turn: Turn | None = None
        with errors():
            tenant_rows.prepare(connection)
            with transaction(connection, scope=Scope.PLANT):
                self._registry = registry.snapshot(connection)

    @property
    def registry(self) -> Registry:
        """The registry as of the last `refresh` or `process`."""
        return self._registry

    def refresh(self) -> Registry:
        """Load the registry again if its version moved: one row read if it did not."""
        with transaction(self._connection, scope=Scope.PLANT):
            self._refresh()
        return self._registry

    def _refresh(self) -> None:
        if registry.version(self._connection) != self._registry.version:
            self._registry = registry.snapshot(self._connection)

    def process(self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()) -> list[BatchOutcome]:
        """Keep all of it in ONE transaction; the outcomes are in the order of `batches`, valid on return.

        A batch with a value that no table holds is found by taking the batches one by one. It counts as stored,
        so that its stream goes on, but its rows are in quarantine and in the evidence only. Raises ServiceUnavailable if the database is away: nothing may be acknowledged then.
        """
        try:
            return self._attempt(batches, refusals)
        except (psycopg.DataError, Unstorable):
            self._attempt([], refusals)
        outcomes: list[BatchOutcome] = []
        for batch in batches:
            try:
                outcomes += self._attempt([batch])
            except (psycopg.DataError, Unstorable):
                outcomes += self._attempt([batch], broken=True)
        return outcomes

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _attempt(
        self, batches: Sequence[Verified], refusals: Sequence[Refused] = (), *, broken: bool = False
    ) -> list[BatchOutcome]:
        for _ in range(ATTEMPTS):
            try:
                with transaction(self._connection, scope=Scope.PLANT):
                    return self._process(batches, refusals, broken=broken)
            except psycopg.errors.UniqueViolation:
                if self._turn is None:
                    raise
                self._careful[self._turn.tenant] = CAREFUL_FOR
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                continue
        raise ServiceUnavailable(
            "the database kept refusing the transaction", hint="Look at PostgreSQL's log"
        )

    def _process(
        self, batches: Sequence[Verified], refusals: Sequence[Refused], *, broken: bool
    ) -> list[BatchOutcome]:
        now_ms = self._clock_ms()
        self._turn = None
        self._refresh()
        barred = {id(batch): reason for batch in batches if (reason := self._barred(batch.manifest.gateway))}
        quarantine.keep_messages(self._connection, refusals)
        quarantine.keep_batches(self._connection, [(b, barred[id(b)]) for b in batches if id(b) in barred])
        admitted = [batch for batch in batches if id(batch) not in barred]
        locked = streams.lock(self._connection, admitted) if admitted else {}
        decided = iter(streams.sort_out(locked, admitted))
        outcomes = [_barred(b, barred[id(b)]) if id(b) in barred else next(decided) for b in batches]
        for stream in locked.values():
            quarantine.keep_batches(self._connection, stream.refused)
        accepted = [batch for stream in locked.values() for batch in stream.accepted]
        if accepted:
            self._keep(accepted, now_ms, broken=broken)
        if locked:
            streams.save(self._connection, locked.values(), now_ms)
        return outcomes

    def _barred(self, gateway: GatewayId) -> str | None:
        record = self._registry.gateways.get(gateway)
        if record is None:
            return "gateway_unknown"
        return None if record.revoked_at_ms is None else "gateway_revoked"

    def _keep(self, accepted: Sequence[Verified], now_ms: int, *, broken: bool) -> None:
        arrivals = Arrivals(self._registry, now_ms)
        for batch in accepted:
            if not broken:
                arrivals.add(batch)
            else:
                quarantine.keep_batches(self._connection, [(batch, "cannot_store")])
                arrivals.add_broken(batch)
        connection = self._connection
        if arrivals.uplinks:
            tenant_rows.copy_uplinks(connection, arrivals.uplinks)
            tenant_rows.copy_readings(connection, arrivals.readings)
        if arrivals.history:
            tenant_rows.copy_history(connection, arrivals.history)
        for turn in arrivals.turns:
            self._take_turn(turn, now_ms)
        self._turn = None
        quarantine.keep_rows(connection, None, arrivals.refused, now_ms)
        if arrivals.nobodys:
            tenant_rows.insert_evidence(connection, None, arrivals.nobodys)

    def _take_turn(self, turn: Turn, now_ms: int) -> None:
        connection, tenant = self._connection, turn.tenant
        self._turn = turn
        enter_tenant(connection, tenant)
        wary = self._careful.get(tenant, 0)
        if wary or turn.history or tenant_rows.meets_history(connection, turn):
            met = tenant_rows.insert_careful(connection, turn)
            self._careful[tenant] = CAREFUL_FOR if met else max(wary - 1, 0)
        else:
            tenant_rows.insert_fast(connection, turn)
        if turn.events:
            tenant_rows.insert_events(connection, turn)
        if turn.evidence:
            tenant_rows.insert_evidence(connection, tenant, turn.evidence)
        quarantine.keep_rows(connection, tenant, turn.refused, now_ms)


def _barred(batch: Verified, reason: str) -> BatchOutcome:
    """Unknown or revoked: nothing is told of what is stored."""
    manifest = batch.manifest
    return BatchOutcome(
        manifest.gateway, bytes(manifest.stream), manifest.number, Outcome.REFUSED, 0, b"", 1, reason
    )
