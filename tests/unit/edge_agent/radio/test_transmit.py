"""Frames to packet forwarders: what is written, whose word counts, and what the kernel keeps meanwhile."""

import asyncio
import contextlib
import os
import socket

import pytest

from edge_agent.clock import Clock
from edge_agent.network.answer import TxResult
from edge_agent.network.duty_cycle import OnAir
from edge_agent.radio.duty_cycle_file import DutyCycleFile, ForwarderKey
from edge_agent.radio.gwmp import TxAck
from edge_agent.radio.semtech_udp import SemtechUdp
from edge_agent.radio.tx_acks import TOKENS, AwaitedTxAcks
from edge_agent.radio.txpk import TxFrame, TxOutcome, outcome_of, txpk
from tests.fakes.forwarder import EUI, FakeForwarder

FRAME = TxFrame(EUI, "127.0.0.1", b"\x60\x01\x02\x03", 5_000_000, 868_100_000, "SF9BW125", 14.0)
HERE, ELSEWHERE = ("127.0.0.1", 1), ("127.0.0.1", 2)


def test_fsk_has_a_crc_and_no_polarity():
    frame = TxFrame(EUI, "127.0.0.1", b"\x60\x01\x02\x03", 5, 868_800_000, "50000", -0.5)
    assert txpk(frame) == {
        "imme": False, "tmst": 5, "freq": 868.8, "rfch": 0, "powe": -1, "modu": "FSK", "datr": 50_000,
        "fdev": 25_000, "size": 4, "data": "YAECAw==",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "warning", "value", "outcome"),
    [
        ("", "", None, TxOutcome(TxResult.SENT)),
        ("", "TX_POWER", 27, TxOutcome(TxResult.SENT, "TX_POWER 27 dBm")),
        ("", "TX_POWER", None, TxOutcome(TxResult.SENT, "TX_POWER")),
        ("TX_POWER", "", None, TxOutcome(TxResult.TX_POWER, "TX_POWER")),
        ("\x1b[2Jé", "", None, TxOutcome(TxResult.REFUSED, "??2J?")),
    ],
)
def test_a_forwarders_word(error, warning, value, outcome):
    assert outcome_of(TxAck(EUI, b"ab", error, warning, value)) == outcome


def test_no_token_is_awaited_twice():
    async def give_all():
        acks = AwaitedTxAcks(TOKENS - 2)
        tokens = [acks.expect(EUI, HERE)[0] for _ in range(TOKENS)]
        assert tokens[:3] == [b"\xff\xfe", b"\xff\xff", b"\0\0"]
        assert len(set(tokens)) == TOKENS
        with pytest.raises(RuntimeError):
            acks.expect(EUI, HERE)
        acks.forget(b"\x12\x34")
        assert acks.expect(EUI, HERE)[0] == b"\x12\x34"

    asyncio.run(give_all())


def test_a_word_counts_once_and_from_one_place():
    async def ask():
        acks = AwaitedTxAcks(0)
        token, ack = acks.expect(EUI, HERE)
        word = TxAck(EUI, token, "TOO_LATE", "", None)
        assert not acks.take(word, ELSEWHERE)
        assert not acks.take(TxAck(EUI, b"zz", "", "", None), HERE)
        assert acks.take(word, HERE)
        assert not acks.take(TxAck(EUI, token, "", "", None), HERE)
        assert await ack == word
        acks.forget(token)
        assert not acks.take(word, HERE)

    asyncio.run(ask())


def test_a_word_does_not_wait_for_frames_on_their_way_to_the_disk():
    async def story():
        radio = SemtechUdp(Clock("trusted"), port=0)
        with FakeForwarder(radio.address) as forwarder, contextlib.closing(radio):
            bursts = radio.bursts()
            forwarder.pull()
            forwarder.hear(1)
            await anext(bursts)
            for number in range(2, 50):
                forwarder.hear(number)  # and nobody asks for them
            assert await radio.transmit(FRAME, wait_s=10) == TxOutcome(TxResult.SENT)
            forwarder.hear(50)
            assert len(await anext(bursts)) > 0
            await bursts.aclose()

    asyncio.run(asyncio.wait_for(story(), 20))


def test_the_kernel_forgets_what_was_kept_and_nothing_else():
    """Words and requests stand between the frames in an inherited socket's queue: each counts as one."""

    def radio_on(manager):
        held = socket.socket(fileno=os.dup(manager.fileno()))
        return SemtechUdp(Clock("trusted"), port=manager.getsockname()[1], inherited=[held])

    def counters(burst):
        return [frame.counter_us for frame in burst]

    async def first_process(manager, forwarder):
        with contextlib.closing(radio_on(manager)) as radio:
            bursts = radio.bursts()
            forwarder.pull()
            forwarder.hear(1)
            assert counters(await anext(bursts)) == [1]
            assert await radio.transmit(FRAME, wait_s=10) == TxOutcome(TxResult.SENT)  # 1 is not on disk yet
            forwarder.hear(2)
            forwarder.pull()
            assert counters(await anext(bursts)) == [2]
            third = asyncio.ensure_future(anext(bursts))  # waits, and words come all the while
            for _ in range(3):
                assert await radio.transmit(FRAME, wait_s=10) == TxOutcome(TxResult.SENT)
            forwarder.hear(3)
            assert counters(await third) == [3]
            forwarder.pull()
            assert await radio.transmit(FRAME, wait_s=10) == TxOutcome(TxResult.SENT)
            forwarder.hear(4)
            await bursts.aclose()  # killed: 3 is not on disk

    async def second_process(manager):
        with contextlib.closing(radio_on(manager)) as radio:
            bursts = radio.bursts()
            assert counters(await anext(bursts)) == [3, 4]
            assert radio.status()["datagrams"] == 4
            assert radio.forwarders()[0].tx_acks_unexpected == 1  # of a downlink of the first
            await bursts.aclose()

    async def story():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as manager:
            manager.bind(("127.0.0.1", 0))
            with FakeForwarder(manager.getsockname()) as forwarder:
                await first_process(manager, forwarder)
                await second_process(manager)
                await second_process(manager)

    asyncio.run(asyncio.wait_for(story(), 20))


@pytest.mark.parametrize("version", [1, 2])
def test_a_new_process_knows_where_downlinks_go(tmp_path, version):
    async def hear(radio, forwarder, number):
        bursts = radio.bursts()
        for counter_us in range(number, number + 3):
            forwarder.hear(counter_us)
            await anext(bursts)
        return bursts

    async def story():
        file = tmp_path / "counters.json"
        first = SemtechUdp(Clock("trusted"), port=0, map_file=file)
        with FakeForwarder(first.address, version=version) as forwarder:
            forwarder.pull()
            await (await hear(first, forwarder, 0)).aclose()
            first.close()
            second = SemtechUdp(Clock("trusted"), port=first.address[1], map_file=file)
            with contextlib.closing(second):
                assert not second.has_route(EUI, "127.0.0.1")  # it may have gone
                bursts = await hear(second, forwarder, 3)
                assert second.has_route(EUI, "127.0.0.1")
                assert (await second.transmit(FRAME, wait_s=10)).result is TxResult.SENT
                forwarder.read()
                assert forwarder.downlinks == [txpk(FRAME)]
                await bursts.aclose()

    asyncio.run(asyncio.wait_for(story(), 20))


KEY = ForwarderKey("semtech_udp 127.0.0.1:1700", EUI, "127.0.0.1")


def test_the_account_of_an_hour_is_kept(tmp_path):
    path = tmp_path / "duty-cycle.json"
    spent = {"868-868.6": [OnAir(7, 3), OnAir(9, 1)]}
    DutyCycleFile(path, "boot").save({KEY: spent})
    assert DutyCycleFile(path, "boot").load() == {KEY: spent}
    assert DutyCycleFile(path, "other").load() == {}


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"boot":"boot","transmitters":[{}]}', '{"boot":"boot","transmitters":3}', "\0"],
)
def test_a_useless_account_is_no_reason_to_stop(tmp_path, content, caplog):
    path = tmp_path / "duty-cycle.json"
    path.write_text(content)
    assert DutyCycleFile(path, "boot").load() == {}
    assert "counts from now on" in caplog.text


def test_an_account_that_cannot_be_written_is_warned_of_once(tmp_path, caplog):
    file = DutyCycleFile(tmp_path / "none" / "duty-cycle.json", "boot")
    for _ in range(3):
        file.save({})
    assert len(caplog.records) == 1
    assert file.load() == {}
