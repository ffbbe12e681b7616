"""Answers on their way to the air: the door and a forwarder over real UDP, in virtual time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from edge_agent.lorawan.regions.eu868 import EU868
from edge_agent.network.answer import Transmitted, TxResult, Window
from edge_agent.transmitter import MAX_ANSWERS, Transmitter
from tests.fakes import virtual_time
from tests.fakes.forwarder import ACCEPT, EUI, SILENT, Reply, refuse
from tests.fakes.virtual_clock import VirtualClock
from tests.rig.answers import RX1, RX2, answer, uplink
from tests.rig.transmitter import Bench, run


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
        assert bench.windows == [tmst]

    run(story, counter_us=counter_us)


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


def test_what_was_sent_is_on_file_at_once_and_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "duty-cycle.json"

    def on_file() -> int:
        [transmitter] = json.loads(file.read_text())["transmitters"]
        return sum(map(len, transmitter["spent"].values()))

    async def story(bench: Bench) -> None:
        await bench.send(answer(await bench.hear()))
        await bench.hear()  # the loop has gone round
        assert on_file() == 1
        await asyncio.sleep(0.2)
        await bench.send(answer(await bench.hear()))
        await bench.hear()
        assert on_file() == 1  # it is written once a second

    run(story, file=file)
    assert on_file() == 2


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
            # the kernel's word on how long a datagram waited is real time
            assert bench.now == pytest.approx(1005 + number / 10, abs=0.05)
        assert bench.windows == pytest.approx([5_000_000 + number * 100_000 for number in range(30)])

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
    later = Window("RX2", 9_000_000, 869_525_000, "SF12BW125", 29.0)

    async def main() -> None:
        bench = Bench()
        async with bench.running():
            bench.forwarder.replies += [(Reply({"error": "TX_FREQ"}, after_s=1.9),), *[SILENT] * 24]
            bench.transmitter.send(answer(await bench.hear(), windows=(RX1, later)))
            for _ in range(24):
                await asyncio.sleep(0.075)
                bench.transmitter.send(answer(await bench.hear()))
            await asyncio.sleep(0.15)  # RX1 of the first is refused, its RX2 waits behind 24 others
            bench.transmitter.send(answer(await bench.hear()))
        results = [bench.results.get_nowait() for _ in range(26)]
        assert [result.result for result in results] == [
            TxResult.STOPPED, *[TxResult.NO_TX_ACK] * 23, *[TxResult.STOPPED] * 2
        ]  # fmt: skip
        assert {result.detail for result in results} == {"the agent ended"}
        assert bench.results.empty()

    virtual_time.run(main)


def test_an_end_is_told_to_those_that_found_no_room() -> None:
    async def main() -> None:
        bench = Bench()
        async with bench.running():
            heard = await bench.hear()
            for _ in range(MAX_ANSWERS + 3):
                bench.transmitter.send(answer(heard))
        results = [bench.results.get_nowait().result for _ in range(MAX_ANSWERS + 3)]
        assert results == [TxResult.QUEUE_FULL] * 3 + [TxResult.STOPPED] * MAX_ANSWERS

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
