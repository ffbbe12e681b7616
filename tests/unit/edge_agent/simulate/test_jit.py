"""What the software packet forwarder says to downlinks."""

import json

import pytest

from edge_agent.simulate.jit import JitQueue, Transmission, parse_txpk

LAP_US = 1 << 32
TXPK = {
    "imme": False, "tmst": 5_000_000, "freq": 868.1, "rfch": 0, "powe": 14, "modu": "LORA",
    "datr": "SF7BW125", "codr": "4/5", "ipol": True, "ncrc": True, "size": 17,
    "data": "IAECAwQFBgcICQoLDA0ODxA=",
}  # fmt: skip


def body(**changes):
    return json.dumps({"txpk": TXPK | changes}).encode()


def at(at_us, **changes):
    return parse_txpk(body(tmst=at_us % LAP_US, **changes))


def test_a_downlink_is_read():
    read = parse_txpk(body())
    assert read == Transmission(
        bytes([0x20, *range(1, 17)]), 5_000_000, 868_100_000, "SF7BW125", True, 46_336
    )
    assert parse_txpk(body(data=TXPK["data"].rstrip("="))) == read
    assert parse_txpk(body(datr="50000")).airtime_us == 26 * 8 * 20


@pytest.mark.parametrize("missing", ["tmst", "data", "size", "datr", "freq"])
def test_no_answer_at_all(missing):
    assert parse_txpk(json.dumps({"txpk": {k: v for k, v in TXPK.items() if k != missing}}).encode()) is None
    assert parse_txpk(b"not JSON") is None
    assert parse_txpk(b"[]") is None


@pytest.mark.parametrize("now_us", [0, LAP_US - 300_000, 5 * LAP_US + 7])
def test_how_far_ahead(now_us):
    def answer(ahead_us):
        taken = JitQueue().take(at(now_us + ahead_us), now_us)
        return taken if isinstance(taken, str) else taken.at_us - now_us

    assert answer(42_500) == 42_500
    assert answer(42_499) == "TOO_LATE"
    assert answer(0) == "TOO_LATE"
    assert answer(-1) == "TOO_EARLY"  # as the reference says of a time that has passed
    assert answer(512_000_000) == 512_000_000
    assert answer(512_000_001) == "TOO_EARLY"


def test_one_frame_at_a_time():
    queue = JitQueue()
    assert isinstance(queue.take(at(1_000_000), 0), Transmission)
    assert queue.take(at(1_040_000), 0) == "COLLISION_PACKET"
    assert queue.take(at(960_000), 0) == "COLLISION_PACKET"
    assert isinstance(queue.take(at(1_060_000), 0), Transmission)
    assert isinstance(queue.take(at(1_040_000 + LAP_US), 2_000_000 + LAP_US // 2), str)
    assert isinstance(queue.take(at(3_000_000), 2_000_000), Transmission)


def test_the_queue_is_bounded():
    queue = JitQueue()
    answers = [queue.take(at(1_000_000 * n), 0) for n in range(1, 40)]
    assert sum(isinstance(one, Transmission) for one in answers) == 32
    assert answers[-1] == "COLLISION_PACKET"


def test_a_frequency_that_the_radio_has_not():
    assert JitQueue().take(at(1_000_000, freq=915.0), 0) == "TX_FREQ"
