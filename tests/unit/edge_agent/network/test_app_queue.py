"""What becomes of messages whose radio does not say whether it has sent them."""

from __future__ import annotations

from edge_agent.network.app_queue import AppQueue
from edge_agent.network.device import DownlinkState, QueuedDownlink
from edge_codecs.identifiers import DevEUI


def queue(*, confirmed: bool) -> AppQueue:
    """With one message, on its way."""
    one = AppQueue([QueuedDownlink(1, DevEUI(bytes(8)), 22, b"\x10", confirmed, created_ms=0)])
    one.sending(5, on_air_ns=100)
    return one


def test_an_unconfirmed_message_that_may_have_been_sent_does_not_go_again() -> None:
    waiting = queue(confirmed=False)
    change = waiting.perhaps_sent(1, "no_tx_ack")
    assert change is not None
    assert (change.state, change.detail) == (DownlinkState.FAILED, "no_tx_ack: it may have been sent")
    assert waiting.next is None
    assert len(waiting) == 0


def test_a_confirmed_message_that_may_have_been_sent_is_done_when_it_is_acknowledged() -> None:
    waiting = queue(confirmed=True)
    change = waiting.perhaps_sent(1, "no_tx_ack")
    assert change is not None
    assert (change.state, change.tries, change.detail) == (DownlinkState.WAITING, 0, "no_tx_ack")
    change = waiting.heard(ack=True, received_ns=200)
    assert change is not None
    assert change.state is DownlinkState.ACKNOWLEDGED


def test_a_confirmed_message_that_may_have_been_sent_goes_again_without_an_acknowledgement() -> None:
    waiting = queue(confirmed=True)
    waiting.perhaps_sent(1, "no_tx_ack")
    assert waiting.heard(ack=False, received_ns=200) is None
    assert waiting.next is not None
    assert waiting.heard(ack=True, received_ns=300) is None  # of something else


def test_a_refused_message_is_not_acknowledged_by_what_comes_next() -> None:
    waiting = queue(confirmed=True)
    waiting.not_sent(1, "too_late")
    assert waiting.heard(ack=True, received_ns=200) is None
    assert waiting.next is not None


def test_a_message_that_was_dropped_meanwhile_changes_nothing() -> None:
    waiting = queue(confirmed=True)
    waiting.clear()
    assert waiting.perhaps_sent(1, "no_tx_ack") is None
