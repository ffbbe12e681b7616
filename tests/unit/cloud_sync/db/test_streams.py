"""Exactly once by counting, whatever order batches come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.db.outcome import Outcome
from cloud_sync.db.streams import MAX_EARLY, Stream, sort_out
from tests.rig.batches import Gateway, uplink

GATEWAY = Gateway(1)
BATCHES = [GATEWAY.batch([uplink(1, n)]) for n in range(8)]
KEY = (GATEWAY.id, bytes(GATEWAY.stream))


def fresh() -> dict:
    return {KEY: Stream(GATEWAY.id, bytes(GATEWAY.stream), 0, b"")}


def later(stream: Stream) -> dict:
    """What the database gives to the next transaction."""
    following = Stream(stream.gateway, stream.stream, stream.last_number, stream.last_hash)
    following.early = dict(stream.early)
    following.hashes = {batch.manifest.number: batch.hash for batch in BATCHES}
    return {KEY: following}


@given(st.lists(st.lists(st.sampled_from(BATCHES), max_size=5), max_size=6))
def test_any_order_with_repetitions_and_holes(transactions: list) -> None:
    streams, taken, seen = fresh(), [], set()
    for batches in transactions:
        outcomes = sort_out(streams, batches)
        seen |= {batch.manifest.number for batch in batches}
        up_to = next(n for n in range(9) if n + 1 not in seen)
        stream = streams[KEY]
        taken += [batch.manifest.number for batch in stream.accepted]
        assert taken == list(range(1, up_to + 1)), "each once, in order, as soon as it can be"
        assert stream.last_hash == (BATCHES[up_to - 1].hash if up_to else b"")
        for batch, outcome in zip(batches, outcomes, strict=True):
            assert (outcome.number, outcome.up_to, outcome.expected) == (
                batch.manifest.number,
                up_to,
                up_to + 1,
            )
            expected = (
                {Outcome.STORED, Outcome.DUPLICATE} if batch.manifest.number <= up_to else {Outcome.GAP}
            )
            assert outcome.outcome in expected
        streams = later(stream)


def test_what_waits_is_bounded() -> None:
    gateway = Gateway(2)
    batches = [gateway.batch([uplink(1, n)]) for n in range(MAX_EARLY + 10)]
    streams = {(gateway.id, bytes(gateway.stream)): Stream(gateway.id, bytes(gateway.stream), 0, b"")}
    sort_out(streams, batches[1:])
    (stream,) = streams.values()
    assert len(stream.early) == MAX_EARLY
    assert min(stream.early) == 2
