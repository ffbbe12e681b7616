"""One micro-batch: admit each message, keep all in one transaction, answer each stream once.

A message is acknowledged when what it asked for is committed, be it as records or in quarantine. While one
micro-batch is being committed the next may be opened (`begin`); answers are given in order (`finish`). If the
database is away nothing is acknowledged and the same messages are tried again (`take`). If one batch breaks
the transaction the others must not wait for it: the micro-batch is halved until the culprit is alone, and
that one goes into quarantine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import psycopg

from cloud_sync.admission import BROKEN, Admitted, NotAdmitted, admit
from cloud_sync.answers import Answers
from cloud_sync.db.outcome import BatchOutcome, Outcome, Refused, Verified
from cloud_sync.db.registry import Registry
from cloud_sync.errors import CloudError
from edge_codecs.batch import SealingPrivateKey, SigningKey
from edge_codecs.identifiers import GatewayId
from edge_codecs.receipt import Detail, sign_receipt

log = logging.getLogger("cloud_sync")

POISON = "poison"
MAX_REFUSALS_PER_MINUTE = 60  # kept of one gateway; what goes beyond is counted only


class RecordsDoor(Protocol):
    """The database, as the receiver sees it."""

    @property
    def registry(self) -> Registry:
        """The registry as of the last transaction."""

    def refresh(self) -> Registry:
        """The registry as of now; waits for what was submitted."""

    def submit(
        self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()
    ) -> Future[list[BatchOutcome]]:
        """As `process`, without waiting."""

    def process(self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()) -> list[BatchOutcome]:
        """Keep all in one transaction. Raises ServiceUnavailable if the database is away."""


class Incoming(Protocol):
    """A message of the broker."""

    @property
    def topic(self) -> str:
        """Where it came on."""

    @property
    def payload(self) -> bytes:
        """Its bytes."""


Message = TypeVar("Message", bound=Incoming)


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """Bytes to publish on the receipt topic of `gateway`."""

    gateway: GatewayId
    data: bytes


@dataclass(slots=True)
class Tally:
    """What was done since the start."""

    batches: int = 0
    rows: int = 0
    duplicates: int = 0
    gaps: int = 0
    refused: int = 0
    refused_not_kept: int = 0


@dataclass(slots=True)
class _Opened:
    """A micro-batch after admission."""

    now_ms: int
    verified: list[Verified] = field(default_factory=list)
    not_admitted: list[tuple[NotAdmitted, bytes]] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Underway(Generic[Message]):
    """A micro-batch that the database works at."""

    messages: Sequence[Message]
    _opened: _Opened
    _submitted: Future[list[BatchOutcome]]


class Ingest:
    """Takes micro-batches. `clock_ms` gives UTC in milliseconds since 1970."""

    def __init__(
        self,
        records: RecordsDoor,
        sealing_keys: Mapping[int, SealingPrivateKey],
        receipt_key: SigningKey,
        clock_ms: Callable[[], int],
    ) -> None:
        self.tally = Tally()
        self._records = records
        self._sealing_keys = sealing_keys
        self._receipt_key = receipt_key
        self._clock_ms = clock_ms
        self._allowance = _Allowance(MAX_REFUSALS_PER_MINUTE)

    def take(self, messages: Sequence[Incoming]) -> list[SignedReceipt]:
        """Keep all of it; once this returns it is committed and the messages may be acknowledged.

        Raises ServiceUnavailable if the database is away, and what shows that no single batch is at fault.
        """
        opened = self._open(messages, self._records.refresh())
        answers = Answers()
        outcomes = self._process(opened.verified, opened.refusals, opened.now_ms, answers)
        return self._answer(opened, outcomes, answers)

    def begin(self, messages: Sequence[Message], *, idle: bool) -> Underway[Message]:
        """Open a micro-batch and hand it to the database. `idle`: nothing else is under way.

        Raises ServiceUnavailable; then `take` the same messages.
        """
        opened = self._open(messages, self._records.refresh() if idle else self._records.registry)
        if opened.not_admitted and not idle:  # perhaps the registry knows more by now
            opened = self._open(messages, self._records.refresh())
        return Underway(messages, opened, self._records.submit(opened.verified, opened.refusals))

    def finish(self, underway: Underway[Message]) -> list[SignedReceipt] | None:
        """Wait for the database; as `take`. None if it was in vain: then `take` the same messages."""
        try:
            outcomes = underway._submitted.result()  # noqa: SLF001  nobody else may ask for it
        except Exception as error:  # noqa: BLE001  `take` meets it again, and knows what to do
            log.warning("a transaction failed (%s); taking its messages again", type(error).__name__)
            return None
        return self._answer(underway._opened, outcomes, Answers())  # noqa: SLF001

    def _open(self, messages: Sequence[Incoming], registry: Registry) -> _Opened:
        opened = _Opened(self._clock_ms())
        for message in messages:
            outcome = admit(
                message.topic, message.payload, registry.gateways, self._sealing_keys, opened.now_ms
            )
            if isinstance(outcome, Admitted):
                opened.verified.append(_verified(outcome, opened.now_ms))
            else:
                opened.not_admitted.append((outcome, message.payload))
        for refusal, wire in opened.not_admitted:
            if self._allowance.allows(refusal.gateway, opened.now_ms):
                opened.refusals.append(
                    Refused(refusal.gateway, refusal.reason, refusal.detail, wire, opened.now_ms)
                )
        return opened

    def _answer(
        self, opened: _Opened, outcomes: Sequence[BatchOutcome], answers: Answers
    ) -> list[SignedReceipt]:
        """Receipts for all streams; called after COMMIT."""
        for refused in opened.refusals:
            level = logging.ERROR if refused.reason == BROKEN else logging.WARNING
            log.log(level, "refused, from %s: %s: %s", refused.gateway, refused.reason, refused.detail)
        self.tally.refused += len(opened.not_admitted)
        self.tally.refused_not_kept += len(opened.not_admitted) - len(opened.refusals)
        for refusal, _ in opened.not_admitted:
            if (header := refusal.header) is not None:
                detail = Detail.of(refusal.fault) if refusal.fault is not None else Detail.OTHER
                answers.refused(header.gateway, header.stream, header.number, detail)
        rows: dict[tuple[GatewayId, bytes, int], int] = {
            (b.manifest.gateway, b.manifest.stream, b.manifest.number): len(b.columns)
            for b in opened.verified
        }
        for outcome in outcomes:
            self._count(outcome, rows)
            answers.outcome(outcome)
        return [
            SignedReceipt(receipt.gateway, sign_receipt(receipt, self._receipt_key))
            for receipt in answers.receipts(self._clock_ms())
        ]

    def _process(
        self, batches: Sequence[Verified], refusals: Sequence[Refused], now_ms: int, answers: Answers
    ) -> list[BatchOutcome]:
        """One transaction; several only if one batch breaks it."""
        try:
            return self._records.process(batches, refusals)
        except CloudError:
            raise
        except Exception as error:
            if not batches or not _is_poison(error):
                raise
            log.error("%s broke a transaction of %d batches", type(error).__name__, len(batches))
            if len(batches) > 1:
                middle = len(batches) // 2
                first = self._process(batches[:middle], refusals, now_ms, answers)
                return first + self._process(batches[middle:], (), now_ms, answers)
            return self._quarantine(batches[0], refusals, error, now_ms, answers)

    def _quarantine(
        self,
        batch: Verified,
        refusals: Sequence[Refused],
        error: Exception,
        now_ms: int,
        answers: Answers,
    ) -> list[BatchOutcome]:
        manifest = batch.manifest
        detail = f"batch {manifest.number} of stream {manifest.stream}: {type(error).__name__}"
        wire = batch.header + batch.signature + manifest.rows
        outcomes = self._records.process(
            (), (*refusals, Refused(manifest.gateway, POISON, detail, wire, now_ms))
        )
        log.error("quarantined, from %s: %s", manifest.gateway, detail)
        self.tally.refused += 1
        answers.refused(manifest.gateway, manifest.stream, manifest.number, Detail.OTHER)
        return outcomes

    def _count(self, outcome: BatchOutcome, rows: Mapping[tuple[GatewayId, bytes, int], int]) -> None:
        match outcome.outcome:
            case Outcome.STORED:
                self.tally.batches += 1
                self.tally.rows += rows.get((outcome.gateway, outcome.stream, outcome.number), 0)
            case Outcome.DUPLICATE:
                self.tally.duplicates += 1
            case Outcome.GAP:
                self.tally.gaps += 1
            case Outcome.REFUSED:
                self.tally.refused += 1


def _verified(admitted: Admitted, now_ms: int) -> Verified:
    return Verified(
        manifest=admitted.manifest,
        header=admitted.header,
        signature=admitted.signature,
        columns=admitted.columns,
        received_ms=now_ms,
    )


def _is_poison(error: Exception) -> bool:
    """Whether one batch's content may be the cause. A fault of the database itself is nobody's batch."""
    if isinstance(error, psycopg.Error):
        return isinstance(error, psycopg.DataError | psycopg.IntegrityError)
    return True


class _Allowance:
    """How many refusals of one gateway are kept in a minute: a flood must not fill the database."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._minute = 0
        self._used: dict[GatewayId | None, int] = {}

    def allows(self, gateway: GatewayId | None, now_ms: int) -> bool:
        """Whether one more may be kept; counts it."""
        minute = now_ms // 60_000
        if minute != self._minute:
            self._minute, self._used = minute, {}
        self._used[gateway] = self._used.get(gateway, 0) + 1
        return self._used[gateway] <= self._per_minute
