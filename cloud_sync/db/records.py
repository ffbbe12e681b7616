"""Verified batches in, tenant-scoped records out: each reading exactly once, in one transaction.

Within the transaction: the registry's version, the streams (locked, in one order), which batches are next;
one binary COPY of all rows of all batches; per tenant a few statements under that tenant's setting; last the
streams' new state. Receipts may be sent once `process` has returned, or the future of `submit` has a result.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Self

import psycopg

from cloud_sync.db import quarantine, registry, streams, tenant_rows
from cloud_sync.db.arrivals import Arrivals, Prepared, Turns, prepare
from cloud_sync.db.connection import RECEIVER, Scope, connect, errors, transaction
from cloud_sync.db.outcome import QUARANTINE_WIRE_BYTES, BatchOutcome, Outcome, Refused, Verified
from cloud_sync.db.registry import Registry
from cloud_sync.db.tenant_rows import NotNew, Turn
from cloud_sync.errors import ServiceUnavailable
from edge_codecs.identifiers import GatewayId

__all__ = ["QUARANTINE_WIRE_BYTES", "BatchOutcome", "Outcome", "Records", "Refused", "Verified"]

ATTEMPTS = 6
SWITCH_S = 0.0005
"""The thread that talks to the database mostly waits; when an answer comes it must not wait its turn as well,
behind the caller's packing, for Python's usual 5 ms."""
WARY_FOR = 50
"""After an uplink that was not new, so many of the tenant's next transactions go the careful way."""


class Records:
    """The receiver's door to the database: one connection, used by one thread of its own.

    All methods are called by one thread, too; `registry` shows what the last transaction saw.
    """

    @classmethod
    def connect(cls, dsn: str) -> Self:
        """Connect and take the receiver's role. Raises ServiceUnavailable or ConfigurationError."""
        connection = connect(dsn, RECEIVER)
        sys.setswitchinterval(SWITCH_S)
        try:
            return cls(connection)
        except BaseException:
            connection.close()
            raise

    def __init__(self, connection: psycopg.Connection, clock_ms: Callable[[], int] | None = None) -> None:
        """Use `connection`, which must be in autocommit mode and in the receiver's role."""
        self._connection = connection
        self._clock_ms = clock_ms or (lambda: time.time_ns() // 1_000_000)
        self._turns = Turns()
        self._wary: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(1, "records")
        with errors():
            tenant_rows.prepare(connection)
        with transaction(connection, scope=Scope.PLANT):
            self._registry = registry.snapshot(connection)

    @property
    def registry(self) -> Registry:
        """The registry as of the last transaction."""
        return self._registry

    def refresh(self) -> Registry:
        """Load the registry again if its version moved: one row read if it did not."""
        return self._thread.submit(self._refresh_alone).result()

    def process(self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()) -> list[BatchOutcome]:
        """Keep all of it in ONE transaction; the outcomes are in the order of `batches`, valid on return.

        A batch with a value that no table holds is found by taking the batches one by one. It counts as
        stored, so that its stream goes on, but its rows are in quarantine and in the evidence only. Raises
        ServiceUnavailable if the database is away: nothing may be acknowledged then.
        """
        return self.submit(batches, refusals).result()

    def submit(
        self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()
    ) -> Future[list[BatchOutcome]]:
        """As `process`, but come back as soon as the rows are packed: the caller may open the next batches.

        The transactions are made one after the other, in the order of the calls. If one fails, so may the
        next: whoever submits ahead must be ready to submit both again.
        """
        now_ms = self._clock_ms()
        prepared = [prepare(batch, self._registry, self._turns, now_ms) for batch in batches]
        return self._thread.submit(self._store, prepared, refusals)

    def close(self) -> None:
        """Wait for what was submitted, then end the connection."""
        self._thread.shutdown()
        self._connection.close()

    def _refresh_alone(self) -> Registry:
        with transaction(self._connection, scope=Scope.PLANT):
            self._refresh()
        return self._registry

    def _refresh(self) -> None:
        if registry.version(self._connection) != self._registry.version:
            self._registry = registry.snapshot(self._connection)

    def _store(self, prepared: Sequence[Prepared], refusals: Sequence[Refused]) -> list[BatchOutcome]:
        try:
            return self._attempt(prepared, refusals)
        except (psycopg.DataError, psycopg.IntegrityError):
            self._attempt([], refusals)
        outcomes: list[BatchOutcome] = []
        for one in prepared:
            try:
                outcomes += self._attempt([one])
            except (psycopg.DataError, psycopg.IntegrityError):
                outcomes += self._attempt([replace(one, rows=None, parts={}, refused=[], unstorable=True)])
        return outcomes

    def _attempt(self, prepared: Sequence[Prepared], refusals: Sequence[Refused] = ()) -> list[BatchOutcome]:
        for _ in range(ATTEMPTS):
            try:
                with transaction(self._connection, scope=Scope.PLANT):
                    return self._process(prepared, refusals)
            except NotNew as error:
                self._wary.update(dict.fromkeys(error.tenants, WARY_FOR))
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                continue
        raise ServiceUnavailable(
            "the database kept refusing the transaction", hint="Look at PostgreSQL's log"
        )

    def _process(self, prepared: Sequence[Prepared], refusals: Sequence[Refused]) -> list[BatchOutcome]:
        now_ms = self._clock_ms()
        self._refresh()
        quarantine.keep_messages(self._connection, refusals)
        batches = [one.batch for one in prepared]
        barred = {id(b): reason for b in batches if (reason := self._barred(b.manifest.gateway))}
        quarantine.keep_batches(self._connection, [(b, barred[id(b)]) for b in batches if id(b) in barred])
        admitted = [batch for batch in batches if id(batch) not in barred]
        locked = streams.lock(self._connection, admitted) if admitted else {}
        decided = iter(streams.sort_out(locked, admitted))
        outcomes = [_refuse(b, barred[id(b)]) if id(b) in barred else next(decided) for b in batches]
        for stream in locked.values():
            quarantine.keep_batches(self._connection, stream.refused)
        accepted = [batch for stream in locked.values() for batch in stream.accepted]
        if accepted:
            self._keep(accepted, {id(one.batch): one for one in prepared}, now_ms)
        if locked:
            streams.save(self._connection, locked.values(), now_ms)
        return outcomes

    def _barred(self, gateway: GatewayId) -> str | None:
        record = self._registry.gateways.get(gateway)
        if record is None:
            return "gateway_unknown"
        return None if record.revoked_at_ms is None else "gateway_revoked"

    def _keep(self, accepted: Sequence[Verified], prepared: dict[int, Prepared], now_ms: int) -> None:
        connection = self._connection
        arrivals = Arrivals(self._turns)
        for batch in accepted:
            one = prepared.get(id(batch))  # a batch that had to wait for a missing one is not among them
            if one is None or (one.registry_version != self._registry.version and not one.unstorable):
                one = prepare(batch, self._registry, self._turns, now_ms)
            if one.unstorable:
                quarantine.keep_batches(connection, [(batch, "cannot_store")])
            arrivals.add(one)
        if arrivals.uplinks:
            tenant_rows.copy_uplinks(connection, arrivals.uplinks)
        if arrivals.history:
            tenant_rows.copy_history(connection, arrivals.history)
        self._take_turns(arrivals.turns)
        quarantine.keep_rows(connection, None, arrivals.refused)
        if arrivals.nobodys:
            tenant_rows.insert_evidence(connection, None, arrivals.nobodys)

    def _take_turns(self, turns: Sequence[Turn]) -> None:
        wary = [turn for turn in turns if turn.history or self._wary.get(turn.tenant)]
        others = [turn for turn in turns if turn not in wary]
        wary += tenant_rows.need_care(self._connection, others)
        tenant_rows.insert_fast(self._connection, [turn for turn in others if turn not in wary])
        for turn in wary:
            met = tenant_rows.insert_careful(self._connection, turn)
            self._wary[turn.tenant] = WARY_FOR if met else max(self._wary.get(turn.tenant, 0) - 1, 0)


def _refuse(batch: Verified, reason: str) -> BatchOutcome:
    """Unknown or revoked: nothing is told of what is stored."""
    manifest = batch.manifest
    return BatchOutcome(
        manifest.gateway, bytes(manifest.stream), manifest.number, Outcome.REFUSED, 0, b"", 1, reason
    )
