from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sync.progress import FORGETFUL_MS, Progress
from edge_codecs.identifiers import GatewayId
from edge_codecs.manifest import StreamId
from edge_codecs.receipt import Receipt, Verdict

GATEWAY, STREAM = GatewayId.parse("70b3d57ed0000001"), StreamId(b"stream 1")
T_MS = 1_790_000_000_000


def receipt(up_to: int, at_ms: int, verdict: Verdict = Verdict.STORED) -> Receipt:
    return Receipt(GATEWAY, STREAM, up_to, bytes(32) if up_to else b"", at_ms, verdict)


def hear(progress: Progress, heard: Receipt) -> bool:
    """As the uploader does; returns whether the cloud is taken to have lost batches."""
    if progress.outdated(heard):
        return False
    if progress.lost(heard):
        progress.went_back(heard.up_to, heard)
        return True
    progress.confirmed(heard)
    return False


RISING = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 500_000)), min_size=1, max_size=12)


@given(steps=RISING, skew_ms=st.integers(0, FORGETFUL_MS), data=st.data())
def test_receivers_that_lose_nothing_are_never_taken_to_have_lost_something(steps, skew_ms, data):
    """Whatever is late, in another order or heard several times; each receiver's clock off by its own bit."""
    up_to, at_ms, said = 0, T_MS, []
    for more, later_ms in steps:
        up_to, at_ms = up_to + more, at_ms + later_ms
        said.append(receipt(up_to, at_ms + data.draw(st.sampled_from([0, skew_ms]))))
    progress = Progress()
    for heard in data.draw(st.lists(st.sampled_from(said), max_size=30)):
        assert not hear(progress, heard)
    for heard in said:
        assert not hear(progress, heard)
    assert progress.up_to == up_to


@given(before=RISING, lost=st.integers(1, 40), after=RISING, data=st.data())
def test_what_a_restored_cloud_has_not_stored_again_is_never_held_as_confirmed(before, lost, after, data):
    up_to, at_ms, old = 1, T_MS, [receipt(1, T_MS)]
    for more, later_ms in before:
        up_to, at_ms = up_to + more, at_ms + later_ms
        old.append(receipt(up_to, at_ms))
    progress = Progress()
    for heard in old:
        hear(progress, heard)
    up_to, at_ms = max(up_to - lost, 0), at_ms + FORGETFUL_MS + 1
    assert hear(progress, receipt(up_to, at_ms, Verdict.RESEND))
    for more, later_ms in after:
        up_to, at_ms = up_to + more, at_ms + later_ms + 1
        for late in data.draw(st.lists(st.sampled_from(old), max_size=3)):
            hear(progress, late)
        assert not hear(progress, receipt(up_to, at_ms))
        assert progress.up_to == up_to


@pytest.mark.parametrize("verdict", [Verdict.STORED, Verdict.RESEND])
def test_it_takes_a_minute_to_say_less(verdict):
    progress = Progress(5, T_MS)
    assert progress.outdated(receipt(4, T_MS + FORGETFUL_MS, verdict))
    newer = receipt(4, T_MS + FORGETFUL_MS + 1, verdict)
    assert not progress.outdated(newer)
    assert progress.lost(newer)


def test_a_refusal_says_nothing_of_how_far_the_stream_is():
    refusal = receipt(0, T_MS + 10 * FORGETFUL_MS, Verdict.REFUSED)
    progress = Progress(5, T_MS)
    assert not progress.outdated(refusal)
    assert not progress.lost(refusal)
    progress.confirmed(refusal)
    assert progress == Progress(5, T_MS)
