"""What a stream is told after a micro-batch: one receipt, however many of its batches came. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_sync.db.outcome import BatchOutcome, Outcome
from edge_codecs.batch import StreamId
from edge_codecs.identifiers import GatewayId
from edge_codecs.receipt import Detail, Receipt, Verdict

_REASONS = {
    "batch_conflict": Detail.BATCH_CONFLICT,
    "chain_broken": Detail.CHAIN_BROKEN,
    "gateway_unknown": Detail.UNKNOWN_GATEWAY,
    "gateway_revoked": Detail.REVOKED_GATEWAY,
}


@dataclass(frozen=True, slots=True)
class _News:
    verdict: Verdict
    detail: Detail
    batch: int


_ALL_IS_WELL = _News(Verdict.STORED, Detail.NONE, 0)


class Answers:
    """Collects outcomes; `receipts` says of each stream the furthest point and the worst news."""

    def __init__(self) -> None:
        self._far: dict[tuple[GatewayId, StreamId], tuple[int, bytes]] = {}
        self._news: dict[tuple[GatewayId, StreamId], list[_News]] = {}

    def outcome(self, outcome: BatchOutcome) -> None:
        """What the records made of a batch."""
        key = (outcome.gateway, StreamId(outcome.stream))
        if outcome.up_to >= self._far.get(key, (0, b""))[0]:
            self._far[key] = (outcome.up_to, outcome.up_to_hash)
        self._news.setdefault(key, []).append(_news(outcome))

    def refused(self, gateway: GatewayId, stream: StreamId, number: int, detail: Detail) -> None:
        """A batch that never reached the records."""
        self._news.setdefault((gateway, stream), []).append(_News(Verdict.REFUSED, detail, number))

    def receipts(self, now_ms: int) -> list[Receipt]:
        """One a stream. `now_ms` is the receiver's time, UTC."""
        return [self._receipt(gateway, stream, now_ms) for gateway, stream in self._news]

    def _receipt(self, gateway: GatewayId, stream: StreamId, now_ms: int) -> Receipt:
        up_to, up_to_hash = self._far.get((gateway, stream), (0, b""))
        worst = _ALL_IS_WELL
        for news in self._news[gateway, stream]:
            closed = (
                news.verdict is Verdict.RESEND and news.batch <= up_to
            )  # by another of the same micro-batch
            if not closed and (news.verdict > worst.verdict or worst is _ALL_IS_WELL):
                worst = news
        return Receipt(gateway, stream, up_to, up_to_hash, now_ms, worst.verdict, worst.detail, worst.batch)


def _news(outcome: BatchOutcome) -> _News:
    match outcome.outcome:
        case Outcome.STORED:
            return _ALL_IS_WELL
        case Outcome.DUPLICATE:
            return _News(Verdict.STORED, Detail.DUPLICATE, outcome.number)
        case Outcome.GAP:
            return _News(Verdict.RESEND, Detail.GAP, outcome.number)
        case Outcome.REFUSED:
            detail = _REASONS.get(outcome.reason or "", Detail.OTHER)
            return _News(Verdict.REFUSED, detail, outcome.number)
