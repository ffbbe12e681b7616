"""Records in memory: the receiver's side of the database, streams and quarantine without tenants."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from cloud_sync.db.records import BatchOutcome, Outcome, Refused, Verified
from cloud_sync.db.registry import GatewayRecord, Registry
from cloud_sync.errors import ServiceUnavailable
from tests.rig.gateway import WireGateway


@dataclass
class FakeRecords:
    """`away` times the database is away; `poison` holds batch numbers that break every transaction."""

    gateways: dict = field(default_factory=dict)
    away: int = 0
    poison: set[int] = field(default_factory=set)
    failure: Exception = field(default_factory=lambda: OverflowError("integer out of range"))
    streams: dict = field(default_factory=dict)
    early: dict = field(default_factory=dict)
    stored: list[Verified] = field(default_factory=list)
    quarantine: list[Refused] = field(default_factory=list)
    transactions: int = 0
    known: Registry = field(default_factory=lambda: Registry(0, {}, {}))

    def register(self, gateway: WireGateway, revoked_at_ms: int | None = None) -> None:
        raw = gateway.signing_key.verify_key.raw
        self.gateways[gateway.id] = GatewayRecord(gateway.id, raw, revoked_at_ms, ())

    @property
    def registry(self) -> Registry:
        return self.known

    def submit(
        self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()
    ) -> Future[list[BatchOutcome]]:
        future: Future[list[BatchOutcome]] = Future()
        try:
            future.set_result(self.process(batches, refusals))
        except Exception as error:
            future.set_exception(error)
        return future

    def refresh(self) -> Registry:
        self.known = Registry(1, dict(self.gateways), {})
        return self.known

    def process(self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()) -> list[BatchOutcome]:
        self.transactions += 1
        if self.away:
            self.away -= 1
            raise ServiceUnavailable("the database went away", hint="Is PostgreSQL running?")
        if any(batch.manifest.number in self.poison for batch in batches):
            raise self.failure
        self.quarantine += refusals
        return [self._take(batch) for batch in batches]

    def _take(self, batch: Verified) -> BatchOutcome:
        manifest = batch.manifest
        key = (manifest.gateway, bytes(manifest.stream))
        up_to, last = self.streams.get(key, (0, b""))
        outcome, reason = Outcome.DUPLICATE, None
        if manifest.number == up_to + 1 and not manifest.follows(last):
            outcome, reason = Outcome.REFUSED, "chain_broken"
        elif manifest.number > up_to:
            outcome = Outcome.GAP
            self.early.setdefault(key, {})[manifest.number] = batch
            while (upcoming := self.early[key].pop(up_to + 1, None)) is not None:
                up_to, last = upcoming.manifest.number, upcoming.hash
                self.stored.append(upcoming)
            if manifest.number <= up_to:
                outcome = Outcome.STORED
        self.streams[key] = (up_to, last)
        return BatchOutcome(
            manifest.gateway, key[1], manifest.number, outcome, up_to, last, up_to + 1, reason
        )
