"""What a forwarder says of an answer, or does not say, and what becomes of the answer then."""

from __future__ import annotations

import asyncio

import pytest

from edge_agent.network.answer import Transmitted, TxResult, Window
from edge_codecs.identifiers import EUI64
from tests.fakes.forwarder import ACCEPT, SILENT, TWICE, Reply, late, refuse, warn
from tests.rig.answers import RX1, RX2, answer
from tests.rig.transmitter import Bench, run

OTHER = EUI64.parse("aa555a0000000102")
QUICK = (
    Window("RX1", 1_000_000, 868_100_000, "SF7BW125", 16.0),
    Window("RX2", 2_000_000, 869_525_000, "SF12BW125", 29.0),
)

REFUSALS = {
    "TOO_LATE": TxResult.TOO_LATE,
    "TOO_EARLY": TxResult.TOO_EARLY,
    "COLLISION_PACKET": TxResult.COLLISION,
    "COLLISION_BEACON": TxResult.COLLISION,
    "TX_FREQ": TxResult.TX_FREQ,
    "TX_POWER": TxResult.TX_POWER,
    "GPS_UNLOCKED": TxResult.GPS_UNLOCKED,
    "ANYTHING": TxResult.REFUSED,
}


@pytest.mark.parametrize(("word", "result"), REFUSALS.items())
def test_a_refusal_leads_to_rx2_and_a_second_one_is_named(word: str, result: TxResult) -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [refuse(word), ACCEPT, refuse(word), refuse(word)]
        first = answer(await bench.hear())
        tried = f"RX1 {result.value} ({word})"
        assert await bench.send(first) == Transmitted(first, TxResult.SENT, RX2, f"{tried}, RX2 sent")
        await asyncio.sleep(20)
        second = answer(await bench.hear())
        tried += f", RX2 {result.value} ({word})"
        assert await bench.send(second) == Transmitted(second, result, None, tried)
        assert bench.windows == [5_000_000, 6_000_000, 25_000_000, 26_000_000]
        assert (bench.now, bench.results.empty()) == (1020, True)
        assert bench.transmitter.status()["refusals"] == {
            f"RX1 {result.value}": 2,
            f"RX2 {result.value}": 1,
        }

    run(story)


@pytest.mark.parametrize(("windows_of", "until_s"), [((RX1, RX2), 2.0), (QUICK, 2 - 0.0425 - 0.05)])
def test_silence_leads_to_rx2_in_time(windows_of: tuple[Window, ...], until_s: float) -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [SILENT, ACCEPT]
        result = await bench.send(answer(await bench.hear(), windows=windows_of))
        assert (result.result, result.window) == (TxResult.SENT, windows_of[1])
        assert result.detail == "RX1 no_tx_ack, RX2 sent"
        assert bench.now - 1000 == pytest.approx(until_s, abs=0.005)  # the kernel's own time

    run(story)


def test_silence_to_both_windows_is_named() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [SILENT, SILENT]
        result = await bench.send(answer(await bench.hear()))
        assert (result.result, result.window) == (TxResult.NO_TX_ACK, None)
        assert result.detail == "RX1 no_tx_ack, RX2 no_tx_ack"
        assert bench.now - 1000 == pytest.approx(4)

    run(story)


def test_a_refusal_of_rx2_does_not_hide_that_rx1_may_have_been_sent() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [SILENT, refuse("COLLISION_PACKET")]
        result = await bench.send(answer(await bench.hear()))
        assert (result.result, result.window) == (TxResult.NO_TX_ACK, None)
        assert result.detail == "RX1 no_tx_ack, RX2 collision (COLLISION_PACKET)"

    run(story)


def test_who_says_nothing_may_have_sent() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies.append(SILENT)
        heard = await bench.hear()
        assert (await bench.send(answer(heard))).window == RX2
        refused = await bench.send(answer(heard))
        assert (refused.result, refused.detail) == (TxResult.COLLISION, "RX1 collision, RX2 collision")
        percent = bench.transmitter.status()["transmitters"][0]["duty_cycle_percent"]
        assert percent["868-868.6"] > 0

    run(story)


def test_a_late_word_is_waited_for() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies.append(late(1.9))
        result = await bench.send(answer(await bench.hear()))
        assert (result.result, result.window) == (TxResult.SENT, RX1)

    run(story)


def test_a_word_too_late_settles_nothing() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [late(2.5), SILENT]  # comes while RX2's is awaited
        result = await bench.send(answer(await bench.hear()))
        assert result.detail == "RX1 no_tx_ack, RX2 no_tx_ack"
        assert bench.radio.forwarders()[0].tx_acks_unexpected == 1

    run(story)


def test_a_word_said_twice_counts_once() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [TWICE, SILENT, SILENT]
        assert (await bench.send(answer(await bench.hear()))).result is TxResult.SENT
        await asyncio.sleep(20)
        again = await bench.send(answer(await bench.hear()))
        assert again.result is TxResult.NO_TX_ACK
        [known] = bench.radio.forwarders()
        assert (dict(known.tx_acks), known.tx_acks_unexpected) == ({"OK": 1}, 1)

    run(story)


@pytest.mark.parametrize(
    "reply", [Reply(token_plus=1), Reply(token_plus=-1), Reply(eui=OTHER), Reply(from_elsewhere=True)]
)
def test_nobody_else_may_say_it(reply: Reply) -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [(reply,), (reply,)]
        result = await bench.send(answer(await bench.hear()))
        assert result.detail == "RX1 no_tx_ack, RX2 no_tx_ack"
        assert sum(known.tx_acks_unexpected for known in bench.radio.forwarders()) == 2

    run(story)


def test_another_power_is_a_note() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies.append(warn("TX_POWER", 14))
        result = await bench.send(answer(await bench.hear()))
        assert (result.result, result.window) == (TxResult.SENT, RX1)
        assert result.detail == "RX1 sent (TX_POWER 14 dBm)"

    run(story)


def test_version_1_says_nothing() -> None:
    async def story(bench: Bench) -> None:
        result = await bench.send(answer(await bench.hear()))
        assert result.result is TxResult.SENT
        assert result.detail == "RX1 sent (version 1 has no TX_ACK)"
        bench.forwarder.read()
        assert bench.forwarder.tokens == [b"\0\0"]

    run(story, version=1)
