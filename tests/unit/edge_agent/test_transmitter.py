"""Answers on their way to the air: the door and a forwarder over real UDP, in virtual time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from edge_agent.lorawan.regions.eu868 import EU868
from edge_agent.network.answer import Transmitted, TxResult, Window
from edge_agent.transmitter import MAX_ANSWERS, Transmitter
from edge_codecs.identifiers import EUI64
from tests.fakes import virtual_time
from tests.fakes.forwarder import ACCEPT, EUI, SILENT, TWICE, Reply, late, refuse, warn
from tests.fakes.virtual_clock import VirtualClock
from tests.rig.answers import RX1, RX2, answer, uplink
from tests.rig.transmitter import Bench, run

OTHER = EUI64.parse("aa555a0000000102")
QUICK = (
    Window("RX1", 1_000_000, 868_100_000, "SF7BW125", 16.0),
    Window("RX2", 2_000_000, 869_525_000, "SF12BW125", 29.0),
)


def windows(bench: Bench) -> list[int]:
    return [txpk["tmst"] for txpk in bench.forwarder.downlinks]


def test_an_answer_goes_into_rx1() -> None:
    async def story(bench: Bench) -> None:
        heard = await bench.hear()
        to_send = answer(heard, b"\x60\x01\x02\xff\xfe")
        assert await bench.send(to_send) == Transmitted(to_send, TxResult.SENT, RX1)
        assert bench.forwarder.downlinks == [
            {
                "imme": False, "tmst": 5_000_000, "freq": 868.1, "rfch": 0, "powe": 13, "modu": "LORA",
                "datr": "SF7BW125", "codr": "4/5", "ipol": True, "ncrc": True, "size": 5, "data": "YAEC//4=",
            }
        ]  # fmt: skip
        assert bench.now == 1000  # handed over at once

    run(story, antenna_gain_dbi=2.15)


@pytest.mark.parametrize(("counter_us", "tmst"), [((1 << 32) - 1, 4_999_999), ((1 << 32) - 5_000_000, 0)])
def test_the_counter_wraps_before_the_window(counter_us: int, tmst: int) -> None:
    async def story(bench: Bench) -> None:
        result = await bench.send(answer(await bench.hear()))
        assert (result.result, result.window) == (TxResult.SENT, RX1)
        assert windows(bench) == [tmst]

    run(story, counter_us=counter_us)


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
        assert windows(bench) == [5_000_000, 6_000_000, 25_000_000, 26_000_000]
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


def test_before_pull_data_there_is_no_way() -> None:
    async def story(bench: Bench) -> None:
        heard = await bench.hear()
        refused = await bench.send(answer(heard))
        assert (refused.result, refused.detail) == (TxResult.NO_ROUTE, f"{EUI} at 127.0.0.1")
        bench.forwarder.pull()
        await bench.hear()  # the radio has read both
        assert (await bench.send(answer(heard))).result is TxResult.SENT

    run(story, pull=False)


def test_a_radio_that_cannot_send() -> None:
    async def story(bench: Bench) -> None:
        heard = uplink(1000 * 10**9, source="replay frames.jsonl")
        refused = await bench.send(answer(heard))
        assert (refused.result, refused.detail) == (
            TxResult.NO_TRANSMITTER,
            "replay frames.jsonl cannot send",
        )
        heard = uplink(1000 * 10**9, None, source=bench.radio.name)
        refused = await bench.send(answer(heard))
        assert (refused.result, refused.detail) == (TxResult.NO_TRANSMITTER, "the uplink has no tmst")

    run(story)


def test_too_late_for_both_windows() -> None:
    async def story(bench: Bench) -> None:
        heard = await bench.hear()
        await asyncio.sleep(4.9577)
        only_rx2 = await bench.send(answer(heard))
        assert (only_rx2.window, only_rx2.detail) == (RX2, "RX1 too_late, RX2 sent")
        await asyncio.sleep(1)
        refused = await bench.send(answer(heard))
        assert (refused.result, refused.detail) == (TxResult.TOO_LATE, "RX1 too_late, RX2 too_late")

    run(story)


def test_a_window_that_is_taken() -> None:
    async def story(bench: Bench) -> None:
        heard = await bench.hear()
        assert (await bench.send(answer(heard))).window == RX1
        second = await bench.send(answer(heard))
        assert (second.window, second.detail) == (RX2, "RX1 collision, RX2 sent")
        third = await bench.send(answer(heard))
        assert (third.result, third.detail) == (TxResult.COLLISION, "RX1 collision, RX2 collision")

    run(story)


def test_a_refused_window_is_free_again() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies.append(refuse("TX_POWER"))
        heard = await bench.hear()
        assert (await bench.send(answer(heard))).window == RX2
        assert (await bench.send(answer(heard))).window == RX1

    run(story)


def test_the_law_is_kept_over_a_restart(tmp_path: Path) -> None:
    long = bytes(255)  # 0.4 s on air, of 36 s an hour

    async def use_up(bench: Bench) -> None:
        sent = 0
        while (await bench.send(answer(await bench.hear(), long))).window is RX1:
            sent += 1
            await asyncio.sleep(1)
        assert 85 < sent < 95
        percent = bench.transmitter.status()["transmitters"][0]["duty_cycle_percent"]
        assert percent["868-868.6"] > 98

    async def goes_on(bench: Bench) -> None:
        result = await bench.send(answer(await bench.hear(), long))
        assert (result.window, result.detail) == (RX2, "RX1 duty_cycle, RX2 sent")

    async def begins_anew(bench: Bench) -> None:
        assert (await bench.send(answer(await bench.hear(), long))).window == RX1

    async def main() -> None:
        file, port = tmp_path / "duty-cycle.json", 0
        for boot, story in (("boot", use_up), ("boot", goes_on), ("other", begins_anew)):
            bench = Bench(file=file, boot=boot, port=port)
            port = bench.radio.address[1]
            async with bench.running():
                await story(bench)

    virtual_time.run(main)


def test_nobody_waits_for_anothers_word() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [SILENT, ACCEPT]
        first = answer(await bench.hear())
        bench.transmitter.send(first)
        await asyncio.sleep(0.5)
        second = answer(await bench.hear())
        result = await bench.send(second)
        assert (result.answer, result.result, bench.now) == (second, TxResult.SENT, 1000.5)
        assert (await bench.results.get()).answer is first

    run(story)


def test_the_forwarder_is_not_flooded() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(30):
            bench.transmitter.send(answer(await bench.hear()))
            await asyncio.sleep(0.1)
        for _ in range(24):
            assert (await bench.results.get()).window is RX1
        assert bench.results.empty()
        assert bench.transmitter.status()["transmitters"][0]["waiting"] == 6
        for number in range(6):  # each as soon as the first at the forwarder goes on air
            assert (await bench.results.get()).window is RX1
            assert bench.now == pytest.approx(1005 + number / 10)
        assert windows(bench) == pytest.approx([5_000_000 + number * 100_000 for number in range(30)])

    run(story)


def test_more_than_can_ever_be_sent() -> None:
    async def story(bench: Bench) -> None:
        heard = await bench.hear()
        for _ in range(MAX_ANSWERS + 3):
            bench.transmitter.send(answer(heard))
        results = [(await bench.results.get()).result for _ in range(MAX_ANSWERS + 3)]
        assert results.count(TxResult.QUEUE_FULL) == 3
        assert results.count(TxResult.SENT) == 2
        assert bench.results.empty()

    run(story)


def test_an_end_is_told_to_everybody() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.running():
            bench.forwarder.replies.extend([SILENT] * 24)
            for _ in range(25):
                bench.transmitter.send(answer(await bench.hear()))
                await asyncio.sleep(0.075)
            bench.transmitter.send(answer(await bench.hear()))
        results = [bench.results.get_nowait() for _ in range(26)]
        assert [result.result for result in results] == [TxResult.NO_TX_ACK] * 24 + [TxResult.STOPPED] * 2
        assert {result.detail for result in results} == {"the agent ended"}
        assert bench.results.empty()

    virtual_time.run(main)


def test_a_bug_in_one_answer_ends_the_part() -> None:
    async def broken(_result: Transmitted) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        transmitter = Transmitter([], EU868, VirtualClock(), broken)
        transmitter.send(answer(uplink(0)))
        with pytest.raises(ExceptionGroup) as errors:
            await transmitter.run()
        assert errors.group_contains(ZeroDivisionError)

    virtual_time.run(main)


def test_status() -> None:
    async def story(bench: Bench) -> None:
        bench.forwarder.replies += [ACCEPT, refuse("TX_FREQ"), refuse("TX_FREQ")]
        await bench.send(answer(await bench.hear()))
        await asyncio.sleep(2)
        await bench.send(answer(await bench.hear()))
        await asyncio.sleep(2.5)
        status = bench.transmitter.status()
        json.dumps(status)
        assert status["results"] == {"sent": 1, "tx_freq": 1}
        assert status["waiting"] == 0
        assert status["last_failure"] == {
            "result": "tx_freq",
            "detail": "RX1 tx_freq (TX_FREQ), RX2 tx_freq (TX_FREQ)",
            "what": "acknowledgement",
            "dev_eui": "70b3d57ed0000001",
            "s_ago": 2.5,
        }
        [one] = status["transmitters"]
        assert (one["source"], one["eui"], one["host"]) == (bench.radio.name, str(EUI), "127.0.0.1")
        assert (one["waiting"], one["at_forwarder"]) == (0, 1)
        assert one["duty_cycle_percent"]["868-868.6"] == 0.1

    run(story)


def test_each_result_has_a_sentence_and_stands_in_the_manual() -> None:
    manual = " ".join((Path(__file__).parents[3] / "docs" / "radio.md").read_text().split())
    for result in TxResult:
        assert f"| `{result.value}` | {' '.join(result.sentence.split())} |" in manual
