"""One micro-batch: admit each message, keep all in one transaction, answer each stream once.

A message is acknowledged when what it asked for is committed, be it as records or in quarantine. If the
database is away nothing is acknowledged and the same messages are tried again. If one batch breaks the
transaction the others must not wait for it: the micro-batch is halved until the culprit is alone, and that
one goes into quarantine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg

from cloud_sync.admission import BROKEN, Admitted, NotAdmitted, admit
from cloud_sync.db.records import BatchOutcome, Outcome, Refused, Verified
from cloud_sync.db.registry import Registry
from cloud_sync.errors import CloudError
from edge_codecs.batch import SealingPrivateKey, SigningKey, StreamId
from edge_codecs.identifiers import GatewayId
from edge_codecs.receipt import Detail, Receipt, Verdict, sign_receipt

log = logging.getLogger("cloud_sync")

POISON = "poison"
MAX_REFUSALS_PER_MINUTE = 60  # kept of one gateway; what goes beyond is counted only


class RecordsDoor(Protocol):
    """The database, as the receiver sees it."""

    def refresh(self) -> Registry:
        """The registry as of now."""

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


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """Bytes to publish on the receipt topic of `gateway`."""

    gateway: GatewayId
    data: bytes


@dataclass(slots=True)
class Tally:
    """What was done since the start."""

    batches: int = 0
    duplicates: int = 0
    gaps: int = 0
    refused: int = 0
    refused_not_kept: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What to tell a stream, before all of a micro-batch is known about it."""

    verdict: Verdict
    detail: Detail
    batch: int


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
        now_ms = self._clock_ms()
        gateways = self._records.refresh().gateways
        verified: list[Verified] = []
        refusals: list[Refused] = []
        answers = _Answers()
        for message in messages:
            admission = admit(message.topic, message.payload, gateways, self._sealing_keys, now_ms)
            if isinstance(admission, Admitted):
                verified.append(_verified(admission, now_ms))
            else:
                self._refuse(admission, message.payload, now_ms, refusals, answers)
        rows: dict[tuple[GatewayId, bytes, int], int] = {
            (b.manifest.gateway, b.manifest.stream, b.manifest.number): len(b.columns) for b in verified
        }
        for outcome in self._process(verified, refusals, now_ms, answers):
            self._count(outcome, rows)
            answers.outcome(outcome)
        return [
            SignedReceipt(receipt.gateway, sign_receipt(receipt, self._receipt_key))
            for receipt in answers.receipts(self._clock_ms())
        ]

    def _refuse(
        self,
        outcome: NotAdmitted,
        wire: bytes,
        now_ms: int,
        refusals: list[Refused],
        answers: _Answers,
    ) -> None:
        self.tally.refused += 1
        if outcome.reason == BROKEN:
            log.error("a message on the topic of %s broke a check: %s", outcome.gateway, outcome.detail)
        if self._allowance.allows(outcome.gateway, now_ms):
            log.warning("refused, from %s: %s: %s", outcome.gateway, outcome.reason, outcome.detail)
            refusals.append(Refused(outcome.gateway, outcome.reason, outcome.detail, wire, now_ms))
        else:
            self.tally.refused_not_kept += 1
        if outcome.header is not None:
            detail = Detail.of(outcome.fault) if outcome.fault is not None else Detail.OTHER
            answers.refused(outcome.header.gateway, outcome.header.stream, outcome.header.number, detail)

    def _process(
        self, batches: Sequence[Verified], refusals: Sequence[Refused], now_ms: int, answers: _Answers
    ) -> list[BatchOutcome]:
        """One transaction; several only if one batch breaks it."""
        try:
            return self._records.process(batches, refusals)
        except CloudError:
            raise
        except Exception as error:
            if not batches or not _is_poison(error):
                raise
            log.exception("a micro-batch of %d broke the transaction", len(batches))
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
        answers: _Answers,
    ) -> list[BatchOutcome]:
        manifest = batch.manifest
        detail = f"batch {manifest.number} of stream {manifest.stream}: {type(error).__name__}"
        wire = batch.header + batch.signature + manifest.rows
        poison = Refused(manifest.gateway, POISON, detail, wire, now_ms)
        outcomes = self._records.process((), (*refusals, poison))
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


class _Answers:
    """One receipt per stream, however many of its batches came: the furthest point, and the worst news."""

    def __init__(self) -> None:
        self._far: dict[tuple[GatewayId, StreamId], tuple[int, bytes]] = {}
        self._news: dict[tuple[GatewayId, StreamId], list[_Answer]] = {}

    def outcome(self, outcome: BatchOutcome) -> None:
        key = (outcome.gateway, StreamId(outcome.stream))
        if outcome.up_to >= self._far.get(key, (0, b""))[0]:
            self._far[key] = (outcome.up_to, outcome.up_to_hash)
        match outcome.outcome:
            case Outcome.STORED:
                answer = _Answer(Verdict.STORED, Detail.NONE, 0)
            case Outcome.DUPLICATE:
                answer = _Answer(Verdict.STORED, Detail.DUPLICATE, outcome.number)
            case Outcome.GAP:
                answer = _Answer(Verdict.RESEND, Detail.GAP, outcome.number)
            case Outcome.REFUSED:
                answer = _refusal(outcome)
        self._news.setdefault(key, []).append(answer)

    def refused(self, gateway: GatewayId, stream: StreamId, number: int, detail: Detail) -> None:
        self._news.setdefault((gateway, stream), []).append(_Answer(Verdict.REFUSED, detail, number))

    def receipts(self, now_ms: int) -> list[Receipt]:
        receipts = []
        for (gateway, stream), news in self._news.items():
            up_to, up_to_hash = self._far.get((gateway, stream), (0, b""))
            # a gap that another batch of the same micro-batch has closed is no news
            open_news = [a for a in news if not (a.verdict is Verdict.RESEND and a.batch <= up_to)]
            worst = max(open_news, key=lambda a: a.verdict, default=_Answer(Verdict.STORED, Detail.NONE, 0))
            receipts.append(
                Receipt(
                    gateway=gateway,
                    stream=stream,
                    up_to=up_to,
                    batch_hash=up_to_hash,
                    receiver_time_ms=now_ms,
                    verdict=worst.verdict,
                    detail=worst.detail,
                    batch=worst.batch,
                )
            )
        return receipts


_REASONS = {
    "batch_conflict": Detail.BATCH_CONFLICT,
    "chain_broken": Detail.CHAIN_BROKEN,
    "gateway_unknown": Detail.UNKNOWN_GATEWAY,
    "gateway_revoked": Detail.REVOKED_GATEWAY,
}


def _refusal(outcome: BatchOutcome) -> _Answer:
    """A batch that came too early to be kept is asked for again; everything else is refused."""
    if outcome.reason == "too_early":
        return _Answer(Verdict.RESEND, Detail.GAP, outcome.number)
    return _Answer(Verdict.REFUSED, _REASONS.get(outcome.reason or "", Detail.OTHER), outcome.number)


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
