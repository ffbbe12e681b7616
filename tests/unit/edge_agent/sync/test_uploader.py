"""The uploader between a store and a link in memory, in virtual time; the other end is held by the test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.errors import ConfigurationError, ServiceUnavailable
from edge_agent.sync.identity import Broker, SyncIdentity
from edge_agent.sync.link import LinkFault, NotTaken, ReceiptCame, Taken
from edge_agent.sync.progress import FORGETFUL_MS
from edge_agent.sync.uploader import LINGER_S, LIVE_ROOM, MAX_ROWS, Uploader
from edge_agent.sync.window import SIZE
from edge_codecs.batch import Lane, SealingPrivateKey, SigningKey, StreamId, parse_header
from edge_codecs.identifiers import GatewayId
from edge_codecs.receipt import Detail, Verdict
from tests.fakes.link import FakeConnection, FakeLink
from tests.fakes.receiver import FakeReceiver
from tests.fakes.store import FakeStore
from tests.fakes.uplinks import T0_MS, uplink
from tests.fakes.virtual_time import run

GATEWAY = GatewayId.parse("70b3d57ed0000001")
SIGNING, SEALING, RECEIPTS = SigningKey.generate(), SealingPrivateKey.generate(3), SigningKey.generate()


@dataclass
class Bench:
    """The uploader and everything around it. Receipts come `delay_s` after a batch."""

    store: FakeStore = field(default_factory=lambda: FakeStore(GATEWAY, StreamId(b"stream 1")))
    link: FakeLink = field(default_factory=FakeLink)
    rows_per_s: int = 100_000
    delay_s: float = 0.05
    receiver: FakeReceiver = field(
        default_factory=lambda: FakeReceiver(SIGNING.verify_key, SEALING, RECEIPTS)
    )

    def __post_init__(self) -> None:
        broker = Broker("broker.test", 8883, Path("ca"), Path("crt"), Path("key"))
        identity = SyncIdentity(
            GATEWAY, broker, SIGNING, SEALING.public_key, RECEIPTS.verify_key, self.rows_per_s
        )
        self.loop = asyncio.get_running_loop()
        self.uploader = Uploader(
            self.store, self.link, identity, self, roll=lambda: 0.5, monotonic=self.loop.time
        )

    @property
    def now(self) -> float:
        return self.loop.time()

    def wall_ms(self) -> int:
        return self.receiver.now_ms - 42_000  # this gateway's clock is 42 s behind the receiver's

    async def answer(self, connection: FakeConnection, *, receipts: bool = True) -> None:
        """Play broker and receiver until cancelled."""
        while True:
            number, wire = await connection.sent.get()
            connection.say(Taken(number))
            self.receiver.now_ms += 1
            receipt = self.receiver.receive(wire)
            if receipts:
                self.loop.call_later(self.delay_s, connection.say, ReceiptCame(receipt))

    async def until(self, condition: Callable[[], object], timeout_s: float = 10_000.0) -> None:
        start = self.now
        while not condition():
            assert self.now < start + timeout_s, f"waited in vain; {self.uploader.state()}"
            await asyncio.sleep(0.01 + (self.now - start) / 100)


def bench(story: Callable[[Bench], Awaitable[None]], **options) -> None:
    """Run a story beside a running uploader."""

    async def main() -> None:
        made = Bench(**options)
        task = asyncio.create_task(made.uploader.run())
        told = asyncio.ensure_future(story(made))
        done, _ = await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        for each in (task, told):
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each
        assert told in done, "the uploader ended by itself"

    run(main)


def restarted(*stories: Callable[[Bench], Awaitable[None]]) -> None:
    """Stories one after the other, each beside an uploader of its own over the same store and receiver."""

    async def main() -> None:
        store = FakeStore(GATEWAY, StreamId(b"stream 1"))
        receiver = FakeReceiver(SIGNING.verify_key, SEALING, RECEIPTS)
        for story in stories:
            store.wake = asyncio.Event()
            made = Bench(store=store, receiver=receiver)
            task = asyncio.create_task(made.uploader.run())
            await story(made)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    run(main)


@contextlib.asynccontextmanager
async def answering(b: Bench, connection: FakeConnection, *, receipts: bool = True):
    task = asyncio.create_task(b.answer(connection, receipts=receipts))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_single_reading_is_offered_within_two_seconds_and_freed_by_its_receipt():
    async def story(b: Bench) -> None:
        async with answering(b, b.link.up()):
            await b.until(lambda: b.uploader.state().connected)
            await asyncio.sleep(500)
            kept_at = b.now
            b.store.keep([uplink(1)])
            await b.until(lambda: b.receiver.seen == [1])
            assert b.now - kept_at < 2.0
            await b.until(lambda: b.store.receipted == 1)
        state = b.uploader.state()
        assert (state.rows_confirmed, state.confirmed_up_to, state.batches_in_flight) == (1, 1, 0)
        assert state.clock_offset_ms == 42_000
        assert state.last_error is None
        assert b.receiver.uplinks == b.store.rows

    bench(story)


def test_what_comes_within_the_linger_shares_a_batch():
    async def story(b: Bench) -> None:
        async with answering(b, b.link.up()):
            await b.until(lambda: b.uploader.state().connected)
            for n in range(10):
                b.store.keep([uplink(n)])
                await asyncio.sleep(LINGER_S / 20)
            await b.until(lambda: len(b.receiver.uplinks) == 10)
        assert b.receiver.seen == [1]

    bench(story)


def test_an_idle_link_sends_nothing_and_hardly_wakes():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        await b.until(lambda: b.uploader.state().connected)
        asked = 0
        form = b.store.form_batch

        async def counted(*arguments):
            nonlocal asked
            asked += 1
            return await form(*arguments)

        b.store.form_batch = counted
        await asyncio.sleep(3600)
        assert connection.sent.empty()
        assert asked <= 2 * 60

    bench(story)


def test_a_backlog_is_caught_up_in_full_batches_and_live_rows_go_ahead():
    async def story(b: Bench) -> None:
        b.store.keep([uplink(n) for n in range(20 * MAX_ROWS)])
        b.store.live_from = 20 * MAX_ROWS + 1
        b.delay_s = 0.5
        async with answering(b, b.link.up()):
            await b.until(lambda: len(b.receiver.seen) > 6)
            b.store.keep([uplink(70_000)])
            before = b.receiver.up_to
            await b.until(lambda: any(u.f_cnt == 70_000 for u in b.receiver.uplinks))
            assert b.receiver.up_to - before <= SIZE  # it waited for what was under way, for nothing else
            assert len(b.receiver.uplinks) < 20 * MAX_ROWS
            await b.until(lambda: b.store.receipted == 21)
        assert len(b.receiver.uplinks) == 20 * MAX_ROWS + 1
        assert {batch.count for batch in b.store.batches if batch.lane is Lane.BACKLOG} == {MAX_ROWS}

    bench(story, rows_per_s=2 * MAX_ROWS)


def test_the_backlog_leaves_room_for_live_batches_even_when_no_receipt_comes():
    async def story(b: Bench) -> None:
        b.store.keep([uplink(n) for n in range(40 * MAX_ROWS)])
        b.store.live_from = 40 * MAX_ROWS + 1
        async with answering(b, b.link.up()):
            await b.until(lambda: b.store.receipted >= 20)  # the pace has risen to its most
        b.link.down()
        connection = b.link.up()
        async with answering(b, connection, receipts=False):
            b.store.keep([uplink(70_000)])
            await b.until(lambda: any(u.f_cnt == 70_000 for u in b.receiver.uplinks), timeout_s=60)
        assert (
            sum(batch.lane is Lane.BACKLOG for batch in b.store.batches[b.store.receipted :])
            <= SIZE - LIVE_ROOM
        )

    async def with_cut(b: Bench) -> None:
        first = b.link.up
        connections: list[FakeConnection] = []

        def up(**options):
            connections.append(first(**options))
            return connections[-1]

        b.link.up = up
        b.link.down = lambda: connections[-1].cut()
        await story(b)

    bench(with_cut)


def test_the_backlog_keeps_its_rate():
    async def story(b: Bench) -> None:
        b.store.keep([uplink(n) for n in range(10 * MAX_ROWS)])
        b.store.live_from = 10 * MAX_ROWS + 1
        started = b.now
        async with answering(b, b.link.up()):
            await b.until(lambda: b.store.receipted == 10)
        assert b.now - started >= (10 * MAX_ROWS - MAX_ROWS) / 1000 - 2

    bench(story, rows_per_s=1000)


def test_after_a_cut_only_what_the_broker_had_not_taken_goes_again():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        b.store.keep([uplink(1)])
        number, wire = await connection.sent.get()
        connection.say(Taken(number))
        taken_receipt = b.receiver.receive(wire)
        b.store.keep([uplink(2)])
        await connection.sent.get()  # batch 2 never arrives
        connection.cut()
        again = b.link.up(session_present=True)
        await b.until(lambda: not again.sent.empty())
        assert connection.closed
        again.say(ReceiptCame(taken_receipt))
        async with answering(b, again):
            await b.until(lambda: b.store.receipted == 2)
        assert b.receiver.seen == [1, 2]
        assert b.uploader.state().batches_sent_again == 1
        assert b.uploader.state().connects == 2

    bench(story)


def test_a_lost_receipt_is_asked_for_by_sending_again():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        b.store.keep([uplink(1)])
        async with answering(b, connection, receipts=False):
            await b.until(lambda: b.receiver.seen == [1])
        async with answering(b, connection):
            await b.until(lambda: b.store.receipted == 1, timeout_s=60)
        assert b.receiver.seen == [1, 1]
        assert len(b.receiver.uplinks) == 1

    bench(story)


def test_a_restarted_agent_sends_again_what_has_no_receipt():
    async def first(b: Bench) -> None:
        async with answering(b, b.link.up(), receipts=False):
            b.store.keep([uplink(1)])
            await b.until(lambda: b.receiver.seen == [1])

    async def second(b: Bench) -> None:
        async with answering(b, b.link.up()):
            await b.until(lambda: b.store.receipted == 1)
        assert b.receiver.seen == [1, 1]
        assert len(b.receiver.uplinks) == 1

    restarted(first, second)


def test_resend_sends_again_from_the_first_missing():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        wires = []
        for n in (1, 2):
            b.store.keep([uplink(n)])
            wires.append(await connection.sent.get())
            connection.say(Taken(n))
        connection.say(ReceiptCame(b.receiver.receive(wires[1][1])))  # 2 came, 1 did not: resend from 1
        async with answering(b, connection):
            await b.until(lambda: b.store.receipted == 2, timeout_s=10)
        assert b.receiver.seen == [2, 1]

    bench(story)


def test_a_refusing_receiver_stops_the_stream_loudly_and_nothing_is_lost():
    async def story(b: Bench) -> None:
        b.receiver.refuse = {2}
        async with answering(b, b.link.up()):
            b.store.keep([uplink(1)])
            await b.until(lambda: b.store.receipted == 1)
            b.store.keep([uplink(2)])
            await b.until(lambda: b.uploader.state().stopped)
            state = b.uploader.state()
            assert state.last_error == "the receiver refuses batch 2: batch conflict"
            assert "quarantine" in state.hint
            b.store.keep([uplink(3)])
            await asyncio.sleep(4 * 3600)
            assert len(b.store.batches) == 2
            assert 3 < b.receiver.seen.count(2) < 20
            b.receiver.refuse.clear()
            await b.until(lambda: b.store.receipted == 3)
        assert not b.uploader.state().stopped
        assert b.uploader.state().last_error is None
        assert b.receiver.uplinks == b.store.rows

    bench(story)


def test_a_refusal_counts_even_if_it_knows_less_than_we_do():
    """A receiver that refuses before it has asked the database does not know how far the stream is."""

    async def story(b: Bench) -> None:
        connection = b.link.up()
        async with answering(b, connection):
            b.store.keep([uplink(1)])
            await b.until(lambda: b.store.receipted == 1)
        b.store.keep([uplink(2)])
        await connection.sent.get()
        connection.say(Taken(2))
        fresh = FakeReceiver(SIGNING.verify_key, SEALING, RECEIPTS)
        refusal = fresh.say(GATEWAY, b.store.stream_id, Verdict.REFUSED, Detail.REVOKED_GATEWAY, 2)
        connection.say(ReceiptCame(refusal))
        await b.until(lambda: b.uploader.state().stopped)
        assert "revoked gateway" in b.uploader.state().last_error

    bench(story)


def test_a_broker_that_refuses_the_topic_stops_the_stream():
    fault = LinkFault("the broker refuses this topic: is the gateway id the certificate's CN?", "look")

    async def story(b: Bench) -> None:
        connection = b.link.up()
        b.store.keep([uplink(1)])
        await connection.sent.get()
        connection.say(NotTaken(1, fault))
        await b.until(lambda: b.uploader.state().stopped)
        assert b.uploader.state().last_error == fault.message
        async with answering(b, connection):  # somebody mended the access rules
            await b.until(lambda: b.store.receipted == 1)
        assert not b.uploader.state().stopped
        assert b.uploader.state().last_error is None

    bench(story)


def test_receipts_that_are_not_ours_free_nothing():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        b.store.keep([uplink(1)])
        _, wire = await connection.sent.get()
        connection.say(Taken(1))
        genuine = b.receiver.receive(wire)
        forger = FakeReceiver(SIGNING.verify_key, SEALING, SigningKey.generate())
        forged = forger.receive(wire)
        other_stream = b.receiver.say(GATEWAY, StreamId(b"stream 2"), Verdict.STORED, Detail.NONE, 1)
        other_gateway = b.receiver.say(
            GatewayId.parse("70b3d57ed0000002"), b.store.stream_id, Verdict.STORED, Detail.NONE, 1
        )
        altered = bytes([genuine[0] ^ 1]) + genuine[1:]
        bad = [forged, other_stream, other_gateway, altered, b"", b"\x00" * 600]
        for data in bad:
            connection.say(ReceiptCame(data))
        await b.until(lambda: b.uploader.state().receipts_ignored == len(bad))
        assert b.store.receipted == 0
        connection.say(ReceiptCame(genuine))
        await b.until(lambda: b.store.receipted == 1)

    bench(story)


def test_an_old_receipt_changes_nothing():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        b.store.keep([uplink(1)])
        _, wire = await connection.sent.get()
        connection.say(Taken(1))
        old = b.receiver.receive(wire)
        connection.say(ReceiptCame(old))
        b.store.keep([uplink(2)])
        async with answering(b, connection):
            await b.until(lambda: b.store.receipted == 2)
        connection.say(ReceiptCame(old))
        await b.until(lambda: b.uploader.state().receipts_ignored == 1)
        assert b.uploader.state().confirmed_up_to == 2

    bench(story)


def test_a_receipt_for_a_batch_that_is_not_ours_is_an_error_for_a_person():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        b.store.keep([uplink(1)])
        await connection.sent.get()
        connection.say(Taken(1))
        b.receiver.up_to, b.receiver.up_to_hash = 9, bytes(32)
        connection.say(
            ReceiptCame(b.receiver.say(GATEWAY, b.store.stream_id, Verdict.STORED, Detail.NONE, 9))
        )
        await b.until(lambda: b.uploader.state().last_error)
        assert b.uploader.state().last_error == "the receiver confirms a batch that is not ours"
        assert b.store.receipted == 0

    bench(story)


def test_the_link_is_tried_again_ever_more_rarely_and_the_cause_is_shown():
    fault = LinkFault("nobody listens at broker.test:8883", "Is the broker running?")

    async def story(b: Bench) -> None:
        times = []
        for _ in range(12):
            tries = b.link.tries
            b.link.down(fault)
            await b.until(lambda: b.link.tries > tries)  # noqa: B023
            times.append(b.now)
        state = b.uploader.state()
        assert (state.connected, state.last_error, state.hint) == (False, fault.message, fault.hint)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert gaps[0] < 5
        assert 100 < gaps[-1] <= 301
        async with answering(b, b.link.up()):
            await b.until(lambda: b.uploader.state().connected)
            assert b.uploader.state().last_error is None

    bench(story)


def test_a_spoilt_certificate_file_does_not_end_the_agent():
    async def story(b: Bench) -> None:
        connect = b.link.connect

        async def spoilt():
            b.link.connect = connect
            raise ConfigurationError("gateway.crt holds no certificate", hint="copy it again")

        b.link.connect = spoilt
        connection = b.link.up()
        connection.cut()
        await b.until(lambda: b.link.tries > 0)
        async with answering(b, b.link.up()):
            await b.until(lambda: b.uploader.state().connected)

    bench(story)


def test_each_sending_has_a_fresh_seal_around_the_same_batch():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        b.store.keep([uplink(1)])
        _, first = await connection.sent.get()
        connection.cut()
        again = b.link.up()
        _, second = await again.sent.get()
        assert first != second
        assert parse_header(first) == parse_header(second)
        assert b.receiver.receive(first) == b.receiver.receive(second)

    bench(story)


@pytest.mark.parametrize("window", [1, 3])
def test_a_broker_that_takes_little_at_once_is_not_overrun(window):
    async def story(b: Bench) -> None:
        b.store.keep([uplink(n) for n in range(8 * MAX_ROWS)])
        connection = b.link.up(window=window)
        await b.until(lambda: connection.sent.qsize() >= window)
        await asyncio.sleep(300)
        assert connection.sent.qsize() == window
        async with answering(b, connection):
            await b.until(lambda: b.store.receipted == 8)
        assert b.receiver.seen == list(range(1, 9))

    bench(story)


def test_connections_that_never_last_raise_a_suspicion():
    async def story(b: Bench) -> None:
        hints = []
        for n in range(1, 6):
            connection = b.link.up(session_present=True)
            await b.until(lambda: b.uploader.state().connects == n)  # noqa: B023
            await asyncio.sleep(120 if n == 4 else 5)
            connection.cut()
            await b.until(lambda: not b.uploader.state().connected)
            hints.append(b.uploader.state().hint)
        suspicion = "This happens soon after each connection: is a copy of this gateway running elsewhere?"
        assert hints == [None, None, suspicion, None, None]

    bench(story)


async def confirm(b: Bench, batches: int) -> None:
    """Keep and confirm a row a batch, one after the other."""
    for _ in range(batches):
        number = len(b.store.batches) + 1
        b.store.keep([uplink(len(b.store.rows))])
        await b.until(lambda: b.store.receipted == number)  # noqa: B023


async def at_least(b: Bench, rows: int) -> None:
    await b.until(lambda: len(b.receiver.uplinks) >= rows and not b.uploader.state().batches_in_flight)


@pytest.mark.parametrize("left", [0, 1, 39])
def test_a_restored_cloud_is_sent_what_it_has_lost(left, caplog):
    async def story(b: Bench) -> None:
        async with answering(b, b.link.up()):
            await confirm(b, 40)  # more than the window holds
            b.receiver.restore(left)
            b.store.keep([uplink(40)])
            await at_least(b, 41)
        assert b.receiver.uplinks == b.store.rows
        state = b.uploader.state()
        assert (state.confirmed_up_to, b.store.receipted) == (41, 41)
        assert state.batches_forgotten == 40 - left
        assert state.forgotten_ms > T0_MS
        assert state.last_error is None  # all is well again

    bench(story)
    assert [f"forgotten batches {left + 1} to 40" in r.message for r in caplog.records] == [True]


def test_while_a_restored_cloud_is_filled_again_the_rate_of_the_backlog_holds_and_new_rows_follow():
    async def story(b: Bench) -> None:
        b.store.keep([uplink(n) for n in range(10 * MAX_ROWS)])
        async with answering(b, b.link.up()):
            await b.until(lambda: b.store.receipted == 10)
            b.receiver.restore(0)
            started = b.now
            b.store.keep([uplink(70_000)])
            await b.until(lambda: b.uploader.state().batches_forgotten)
            b.store.keep([uplink(70_001)])
            await at_least(b, 10 * MAX_ROWS + 2)
        assert b.now - started >= 9 * MAX_ROWS / 1000 - 2
        assert b.receiver.uplinks == b.store.rows

    bench(story, rows_per_s=1000)


def test_a_refusal_ends_when_the_receiver_has_forgotten_earlier_batches():
    """Gateway and records are gone: it is refused until it is registered, and then everything goes again."""

    async def story(b: Bench) -> None:
        async with answering(b, b.link.up()):
            await confirm(b, 3)
            b.receiver.restore(0)
            b.receiver.refuse = {4}
            b.store.keep([uplink(3)])
            await b.until(lambda: b.uploader.state().stopped)
            b.receiver.refuse.clear()
            await at_least(b, 4)
        assert not b.uploader.state().stopped
        assert b.receiver.uplinks == b.store.rows

    bench(story)


@pytest.mark.parametrize("pruned", [2, 3, 8, 9])
def test_where_the_missing_batches_are_pruned_all_that_is_kept_goes_as_a_new_stream(pruned):
    async def story(b: Bench) -> None:
        async with answering(b, b.link.up()):
            await confirm(b, 10)
            b.store.pruned = pruned
            b.receiver.restore(1)
            b.store.keep([uplink(10)])
            await at_least(b, 1 + 11 - pruned)
            assert b.store.stream_id != StreamId(b"stream 1")
            assert [u.f_cnt for u in b.receiver.uplinks] == [0, *range(pruned, 11)]
            await confirm(b, 1)  # and it goes on
        assert b.uploader.state().batches_forgotten == 9
        assert b.uploader.state().confirmed_up_to == len(b.store.batches)

    bench(story)


def test_a_receipt_that_says_less_counts_only_if_it_is_clearly_newer():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        async with answering(b, connection):
            await confirm(b, 3)
        confirmed_ms = b.receiver.now_ms
        b.receiver.restore(1, later_ms=0)
        for late_ms in (-1000, 0, FORGETFUL_MS):
            b.receiver.now_ms = confirmed_ms + late_ms
            for verdict in (Verdict.STORED, Verdict.RESEND):
                connection.say(
                    ReceiptCame(b.receiver.say(GATEWAY, b.store.stream_id, verdict, Detail.GAP, 3))
                )
        await b.until(lambda: b.uploader.state().receipts_ignored == 6)
        assert (b.store.receipted, b.uploader.state().last_error) == (3, None)
        b.receiver.now_ms += 1
        connection.say(ReceiptCame(b.receiver.say(GATEWAY, b.store.stream_id, Verdict.RESEND, Detail.GAP, 4)))
        await b.until(lambda: b.uploader.state().batches_forgotten)
        assert (b.store.receipted, b.uploader.state().confirmed_up_to) == (1, 1)
        assert "forgotten batches 2 to 3" in b.uploader.state().last_error
        assert "backup" in b.uploader.state().hint

    bench(story)


def test_a_receipt_from_before_the_loss_does_not_confirm_again_what_was_lost():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        async with answering(b, connection):
            await confirm(b, 3)
        old = b.receiver.say(GATEWAY, b.store.stream_id, Verdict.STORED, Detail.NONE, 3)
        b.receiver.restore(1)
        connection.say(ReceiptCame(b.receiver.say(GATEWAY, b.store.stream_id, Verdict.RESEND, Detail.GAP, 4)))
        await b.until(lambda: b.uploader.state().batches_forgotten)
        connection.say(ReceiptCame(old))
        await b.until(lambda: b.uploader.state().receipts_ignored)
        assert b.store.receipted == 1
        async with answering(b, connection):
            b.receiver.now_ms += 1
            await at_least(b, 3)
        assert b.receiver.uplinks == b.store.rows

    bench(story)


def test_a_receiver_of_another_history_is_not_sent_ours_again():
    async def story(b: Bench) -> None:
        connection = b.link.up()
        async with answering(b, connection):
            await confirm(b, 3)
        b.receiver.restore(1)
        b.receiver.up_to_hash = bytes(32)
        connection.say(ReceiptCame(b.receiver.say(GATEWAY, b.store.stream_id, Verdict.RESEND, Detail.GAP, 4)))
        await b.until(lambda: b.uploader.state().last_error)
        assert b.uploader.state().last_error == "the receiver confirms a batch that is not ours"
        assert b.store.receipted == 3

    bench(story)


async def three_confirmed(b: Bench) -> None:
    async with answering(b, b.link.up()):
        await confirm(b, 3)


def test_a_restarted_agent_knows_an_old_receipt_when_it_comes_again(caplog):
    async def second(b: Bench) -> None:
        connection = b.link.up()
        await b.until(lambda: b.uploader.state().connected)
        assert b.uploader.state().confirmed_up_to == 3
        late = FakeReceiver(SIGNING.verify_key, SEALING, RECEIPTS)
        late.up_to, late.up_to_hash = 1, b.store.batches[0].hash
        connection.say(ReceiptCame(late.say(GATEWAY, b.store.stream_id, Verdict.STORED, Detail.NONE, 1)))
        await b.until(lambda: b.uploader.state().receipts_ignored == 1)
        assert b.uploader.state().last_error is None
        assert b.store.receipted == 3

    restarted(three_confirmed, second)
    assert caplog.records == []


def test_a_cloud_that_was_restored_while_the_agent_was_down_is_filled_again():
    async def second(b: Bench) -> None:
        b.receiver.restore(1)
        b.store.keep([uplink(3)])
        async with answering(b, b.link.up()):
            await at_least(b, 4)
        assert b.receiver.uplinks == b.store.rows

    restarted(three_confirmed, second)


def test_a_restarted_agent_does_not_believe_what_the_cloud_has_lost_since():
    async def lose(b: Bench) -> None:
        connection = b.link.up()
        olds.append(b.receiver.say(GATEWAY, b.store.stream_id, Verdict.STORED, Detail.NONE, 3))
        b.receiver.restore(1)
        connection.say(ReceiptCame(b.receiver.say(GATEWAY, b.store.stream_id, Verdict.RESEND, Detail.GAP, 4)))
        await b.until(lambda: b.store.receipted == 1)

    async def second(b: Bench) -> None:
        connection = b.link.up()
        await b.until(lambda: b.uploader.state().connected)
        connection.say(ReceiptCame(olds[0]))
        await b.until(lambda: b.uploader.state().receipts_ignored == 1)
        assert b.store.receipted == 1

    olds: list[bytes] = []
    restarted(three_confirmed, lose, second)


def test_after_a_restart_more_batches_than_the_window_holds_go_in_order():
    async def form(b: Bench) -> None:
        for n in range(50):
            b.store.keep([uplink(n)])
            await b.store.form_batch(MAX_ROWS, 65_536, Lane.LIVE)

    async def send(b: Bench) -> None:
        b.store.keep([uplink(50)])
        async with answering(b, b.link.up()):
            await at_least(b, 51)
        assert b.receiver.seen == list(range(1, 52))

    restarted(form, send)


def test_a_full_store_ends_the_uploader():
    class Full(FakeStore):
        async def receipt(self, up_to, batch_hash, receiver_time_ms):
            raise ServiceUnavailable("the store is full")

    async def main() -> None:
        b = Bench(store=Full(GATEWAY, StreamId(b"stream 1")))
        task = asyncio.create_task(b.uploader.run())
        b.store.keep([uplink(1)])
        async with answering(b, b.link.up()):
            with pytest.raises(ServiceUnavailable):
                await task

    run(main)
