"""The door for packet forwarders, over real sockets on loopback."""

import asyncio
import json
import logging
import socket
import time

import pytest

from edge_agent.clock import Clock
from edge_agent.errors import ConfigurationError, ServiceUnavailable
from edge_agent.radio.gwmp import pull_data, push_data
from edge_agent.radio.semtech_udp import WAITING_DATAGRAMS, SemtechUdp
from edge_codecs.identifiers import EUI64
from edge_codecs.reading import TimeQuality

GATEWAY = EUI64.parse("aa555a0000000101")
OTHER = EUI64.parse("aa555a0000000102")


def rxpk(number, **more):
    return {
        "tmst": number,
        "freq": 868.1,
        "stat": 1,
        "datr": "SF7BW125",
        "rssi": -60,
        "data": "QAECAw==",
        **more,
    }


def body(*rxpks):
    return json.dumps({"rxpk": list(rxpks)}, separators=(",", ":"))


@pytest.fixture
def radio():
    door = SemtechUdp(Clock("trusted"), port=0)
    yield door
    door.close()


@pytest.fixture
def forwarder(radio):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.connect(radio.address)
        door.settimeout(5)
        yield door


async def collect(radio, frames):
    """Bursts until so many frames are there."""
    bursts = []
    async with asyncio.timeout(20):
        async for burst in radio.bursts():
            bursts.append(burst)
            if sum(map(len, bursts)) >= frames:
                radio.stop()
    return bursts


def test_frames_of_one_datagram_come_together(radio, forwarder):
    forwarder.send(push_data(b"ab", GATEWAY, body(*map(rxpk, range(255)))))
    bursts = asyncio.run(collect(radio, 255))
    assert [len(burst) for burst in bursts] == [255]
    assert [frame.counter_us for frame in bursts[0]] == list(range(255))
    assert bursts[0][0].source == radio.name == f"semtech_udp 127.0.0.1:{radio.address[1]}"
    assert forwarder.recv(100) == b"\x02ab\x01"


def test_frames_one_by_one(radio, forwarder):
    async def take():
        frames = radio.frames()
        counters = [(await anext(frames)).counter_us for _ in range(2)]
        await frames.aclose()
        return counters

    forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(3), rxpk(4))))
    assert asyncio.run(take()) == [3, 4]


def test_both_versions_are_acknowledged_before_any_frame_is_taken(radio, forwarder):
    async def read_nothing():
        bursts = radio.bursts()
        waiting = asyncio.ensure_future(anext(bursts))
        for version in (1, 2):
            await asyncio.to_thread(forwarder.send, push_data(b"ab", GATEWAY, body(rxpk(1)), version))
            assert await asyncio.to_thread(forwarder.recv, 100) == bytes((version, *b"ab", 1))
            await asyncio.to_thread(forwarder.send, pull_data(b"cd", GATEWAY, version))
            assert await asyncio.to_thread(forwarder.recv, 100) == bytes((version, *b"cd", 4))
        await waiting
        await bursts.aclose()

    asyncio.run(read_nothing())


def test_a_slow_consumer_stops_the_reading_not_the_frames(radio, forwarder):
    count = WAITING_DATAGRAMS * 2

    async def slow():
        counters = []
        async with asyncio.timeout(20):
            async for burst in radio.bursts():
                if not counters:
                    for number in range(1, count):
                        forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(number))))
                    while radio.status()["pauses"] == 0:
                        await asyncio.sleep(0.001)
                    assert radio.status()["waiting"] < WAITING_DATAGRAMS + 64
                counters += [frame.counter_us for frame in burst]
                if len(counters) == count:
                    radio.stop()
        return counters

    forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(0))))
    assert asyncio.run(slow()) == list(range(count))
    assert radio.status()["kernel_dropped"] == 0


def test_what_the_kernel_drops_is_counted(radio, forwarder):
    radio._udp._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for number in range(200):
        forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(number))))

    async def take_all():
        bursts = radio.bursts()
        taken = len(await anext(bursts))
        forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(1))))  # tells of those before
        taken += len(await anext(bursts))
        await bursts.aclose()
        return taken

    taken = asyncio.run(take_all())
    assert taken < 200
    assert radio.status()["kernel_dropped"] == 201 - taken


def test_several_forwarders_have_each_their_own_counters(radio, forwarder):
    forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(5_000_000))))
    forwarder.send(push_data(b"ab", OTHER, body(rxpk(4_000_000_000))))
    forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(5_000_000 - 3_000_000))))
    [frames] = asyncio.run(collect(radio, 3))
    now_ns = frames[1].monotonic_ns
    assert abs(frames[0].monotonic_ns - now_ns) < 500_000_000
    assert frames[0].monotonic_ns - frames[2].monotonic_ns == pytest.approx(3e9, abs=1e7)
    assert [f.eui for f in radio.forwarders()] == [GATEWAY, OTHER]


def test_datagrams_that_waited_in_the_kernel_are_dated_by_their_arrival(radio, forwarder):
    clock = Clock("trusted")
    forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(1))))
    sent_ns = clock.monotonic_ns()
    while clock.monotonic_ns() - sent_ns < 300_000_000:
        time.sleep(0.01)
    [[frame]] = asyncio.run(collect(radio, 1))
    assert abs(frame.monotonic_ns - sent_ns) < 100_000_000


def test_rubbish_is_counted(radio, forwarder):
    for datagram in (b"", b"x", b"\x07" * 40, bytes((2, 0, 0, 1)) + GATEWAY):
        forwarder.send(datagram)
    forwarder.send(push_data(b"ab", GATEWAY, "{"))
    forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(1))))
    asyncio.run(collect(radio, 1))
    status = radio.status()
    json.dumps(status)
    assert status["not_gwmp"] == 4
    assert status["datagrams"] == 6
    assert status["forwarders"][0]["flaws"] == {"not_json": 1}


def test_strangers_cannot_fill_the_memory(radio, forwarder):
    for number in range(100):
        forwarder.send(push_data(b"ab", EUI64(number.to_bytes(8)), body(rxpk(1))))
    bursts = asyncio.run(collect(radio, 100))
    assert sum(map(len, bursts)) == 100
    assert len(radio.forwarders()) == 64
    assert radio.status()["too_many_forwarders"] == 36


def test_gps_becomes_an_anchor_for_the_clock(radio, forwarder):
    assert radio.gps() is None
    gps_ms = time.time_ns() // 1_000_000 - 315_964_800_000 + 18_000
    forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(1, tmms=gps_ms))))
    [[frame]] = asyncio.run(collect(radio, 1))
    anchor = radio.gps()
    assert anchor.quality is TimeQuality.GPS
    assert (anchor.monotonic_ns, anchor.utc_ms) == (frame.monotonic_ns, frame.gps_ms)


def test_the_counter_map_survives_a_restart(tmp_path):
    clock, file = Clock("trusted"), tmp_path / "maps.json"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forwarder:

        async def take(radio, *counters_us):
            frames = radio.frames()
            for counter_us in counters_us:
                forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(counter_us))))
                frame = await anext(frames)
            await frames.aclose()
            return frame

        first = SemtechUdp(clock, port=0, map_file=file)
        forwarder.connect(first.address)
        newest = asyncio.run(take(first, 900_000_000, 900_001_000, 900_002_000))
        first.close()
        second = SemtechUdp(clock, port=first.address[1], map_file=file)
        held_back = asyncio.run(take(second, 300_000_000))
        second.close()
    assert newest.monotonic_ns - held_back.monotonic_ns == pytest.approx(600e9, abs=1e9)


BOOT = Clock("trusted").boot
FORWARDER = {"eui": str(GATEWAY), "host": "127.0.0.1", "offset_us": 1, "prompt_us": 1, "protocol": 2}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"boot":"other","forwarders":[]}',
        "\x00",
        json.dumps({"boot": BOOT, "forwarders": [FORWARDER]}),
        json.dumps({"boot": BOOT, "forwarders": [{**FORWARDER, "downlink_port": 1 << 16}]}),
        json.dumps({"boot": BOOT, "forwarders": [{**FORWARDER, "downlink_port": 1, "protocol": 3}]}),
        json.dumps({"boot": BOOT, "forwarders": [{**FORWARDER, "downlink_port": 1, "offset_us": "x"}]}),
    ],
)
def test_a_useless_map_file_is_no_reason_to_stop(tmp_path, content):
    file = tmp_path / "maps.json"
    file.write_text(content)
    radio = SemtechUdp(Clock("trusted"), port=0, map_file=file)
    assert radio._known == {}
    radio.close()
    SemtechUdp(Clock("trusted"), port=0, map_file=tmp_path / "none" / "maps.json").close()


def test_stop_hands_over_what_is_in_the_kernel_of_its_own_socket(radio, forwarder):
    async def run():
        bursts = radio.bursts()
        forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(0))))
        counters = [frame.counter_us for frame in await anext(bursts)]
        for number in range(1, 50):
            forwarder.send(push_data(b"ab", GATEWAY, body(rxpk(number))))
        radio.stop()
        return counters + [frame.counter_us async for burst in bursts for frame in burst]

    assert asyncio.run(run()) == list(range(50))


def test_a_taken_port(radio):
    with pytest.raises(ServiceUnavailable, match="address already in use") as error:
        SemtechUdp(Clock("trusted"), port=radio.address[1])
    assert error.value.exit_code == 69
    assert f"sport = :{radio.address[1]}" in error.value.hint


def test_an_impossible_address():
    with pytest.raises(ConfigurationError, match="no IP address"):
        SemtechUdp(Clock("trusted"), bind="nowhere.example", port=0)
    with pytest.raises(ServiceUnavailable):
        SemtechUdp(Clock("trusted"), bind="192.0.2.1", port=0)


def test_ipv6_loopback():
    try:
        door = SemtechUdp(Clock("trusted"), bind="::1", port=0)
    except ServiceUnavailable:
        pytest.skip("this host has no IPv6")
    assert door.address[0] == "::1"
    door.close()


def test_an_open_port_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        SemtechUdp(Clock("trusted"), bind="127.0.0.1", port=0).close()
        assert not caplog.records
        SemtechUdp(Clock("trusted"), bind="0.0.0.0", port=0).close()
    assert "no authentication" in caplog.text


def test_an_inherited_socket_of_the_port_is_taken_and_others_left():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as others,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
    ):
        for door in (ours, others, stream):
            door.bind(("127.0.0.1", 0))
        inherited = [stream, others, ours]
        radio = SemtechUdp(Clock("trusted"), port=ours.getsockname()[1], inherited=inherited)
        assert radio.status()["inherited"] is True
        assert inherited == [stream, others]
        radio.close()
