import asyncio
import json

import pytest

from edge_agent.clock import Clock
from edge_agent.errors import ConfigurationError
from edge_agent.network.rx_frame import Crc
from edge_agent.radio.replay import Replay

RXPK = {"freq": 868.1, "stat": 1, "datr": "SF9BW125", "lsnr": -3.5, "rssi": -101, "data": "QAECAw=="}


def replay(tmp_path, *lines):
    file = tmp_path / "frames.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    return Replay(Clock("trusted"), file)


def frames(front_end):
    async def take():
        return [frame async for frame in front_end.frames()]

    return asyncio.run(take())


def test_frames_keep_their_distances_and_end_now(tmp_path):
    counters = [4_294_000_000, 4_294_960_000, 1_032_704, 1_032_704, 61_032_704]  # over the wrap
    front_end = replay(tmp_path, *(json.dumps({**RXPK, "tmst": counter}) for counter in counters))
    before_ns = Clock("trusted").monotonic_ns()
    dates = [frame.monotonic_ns for frame in frames(front_end)]
    assert before_ns <= dates[-1] <= Clock("trusted").monotonic_ns()
    assert [date - dates[0] for date in dates] == [
        0,
        960_000_000,
        2_000_000_000,
        2_000_000_000,
        62_000_000_000,
    ]


def test_recorded_utc_counts(tmp_path):
    front_end = replay(
        tmp_path,
        json.dumps({**RXPK, "tmst": 1, "tmms": 1_479_548_051_000}),
        json.dumps({**RXPK, "tmst": 2, "time": "2026-11-24T09:33:53.250Z"}),
        json.dumps({**RXPK, "stat": -1}),
    )
    first, second, third = frames(front_end)
    assert first.gps_ms == 1_795_512_833_000
    assert second.gps_ms == 1_795_512_833_250
    assert (third.gps_ms, third.crc, third.counter_us) == (None, Crc.BAD, None)
    assert first.source == front_end.name
    assert json.loads(first.raw)["tmms"] == 1_479_548_051_000


def test_nobody_waits_for_an_answer_to_a_recording(tmp_path):
    assert [frame.counter_us for frame in frames(replay(tmp_path, json.dumps({**RXPK, "tmst": 5})))] == [None]


def test_what_was_replayed_can_be_replayed(tmp_path):
    first = frames(replay(tmp_path, json.dumps({**RXPK, "tmst": 5})))
    second = frames(replay(tmp_path, *(frame.raw for frame in first)))
    assert [frame.raw for frame in first] == [frame.raw for frame in second]


def test_broken_lines_are_counted_and_passed_over(tmp_path):
    sound = json.dumps(RXPK)
    front_end = replay(tmp_path, sound, "", "{", "[]", '{"data":5}', f'{{"rxpk":[{sound},{sound}]}}', sound)
    assert len(frames(front_end)) == 4
    assert front_end.status()["flaws"] == {"not_json": 1, "not_an_object": 1, "data": 1}
    assert front_end.status()["frames"] == 4


def test_many_frames_come_in_bursts_and_can_be_stopped(tmp_path):
    async def first_burst():
        front_end = replay(tmp_path, *(json.dumps({**RXPK, "tmst": n}) for n in range(1000)))
        bursts = []
        async for burst in front_end.bursts():
            bursts.append(len(burst))
            front_end.stop()
        return bursts

    assert asyncio.run(first_burst()) == [64]
    assert len(frames(replay(tmp_path, *(json.dumps({**RXPK, "tmst": n}) for n in range(1000))))) == 1000


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read"):
        Replay(Clock("trusted"), tmp_path / "none.jsonl")
