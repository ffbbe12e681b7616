"""What `status` says of downlinks, and `tail` of frames and answers, for people."""

import asyncio

import pytest

from edge_agent.cli.live import downlink_facts, tail_line
from edge_agent.health.tail import Tail
from edge_agent.network.answer import Answer, Transmitted, TxResult, Window
from edge_agent.network.outcome import Joined, Rejected
from edge_agent.network.reason import Reason
from tests.rig.store import dev_eui, session, uplink

STATUS = {
    "results": {"sent": 12, "collision": 2, "too_late": 0},
    "refusals": {},
    "waiting": 1,
    "last_failure": {
        "result": "collision",
        "detail": "RX1 collision, RX2 collision",
        "what": "join accept",
        "dev_eui": "70b3d57ed0000001",
        "s_ago": 61.0,
    },
    "transmitters": [{"duty_cycle_percent": {"869.4-869.65": 3.1, "868-868.6": 0.0}}],
}


def test_what_was_not_sent_is_told_with_its_reason():
    facts = downlink_facts(STATUS)
    assert facts == {
        "downlinks": "12 sent since the start, 1 on their way",
        "  not sent: collision": 2,
        "  last not sent": "join accept for 70b3d57ed0000001, 61.0 s ago: RX1 collision, RX2 collision",
        "  which means": TxResult.COLLISION.sentence,
        "  on air 869.4-869.65 MHz": "3.1 % of what the law allows in an hour",
    }


def test_a_gateway_that_never_failed_says_little():
    quiet = {**STATUS, "results": {"sent": 3}, "last_failure": None, "waiting": 0, "transmitters": []}
    assert downlink_facts(quiet) == {"downlinks": "3 sent since the start"}


def test_a_gateway_that_only_listens_says_so():
    assert downlink_facts(None) == {"downlinks": "off: this gateway only listens"}


UPLINK = uplink(1, 7)
RX1 = Window("RX1", 1_000_000, 868_100_000, "SF7BW125", 14.0)
ANSWER = Answer(dev_eui(1), UPLINK.frame, b"", (RX1,), "acknowledgement", 1, 5)


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (UPLINK, "taken      70b3d57ed0000001 #7      868.1 MHz SF7BW125 -80 dBm +7.5 dB  report"),
        (
            Joined(dev_eui(1), session(1).dev_addr, 3, None, UPLINK.frame),
            "joined     70b3d57ed0000001 as 00000001  868.1 MHz SF7BW125 -80 dBm +7.5 dB  join",
        ),
        (
            Rejected(Reason.UNKNOWN_DEV_ADDR, UPLINK.frame, detail="who"),
            "not taken  unknown          unknown_dev_addr: who  868.1 MHz SF7BW125 -80 dBm +7.5 dB",
        ),
        (
            Transmitted(ANSWER, TxResult.SENT, RX1),
            "sent       70b3d57ed0000001 #5      868.1 MHz SF7BW125  acknowledgement in RX1",
        ),
        (
            Transmitted(ANSWER, TxResult.TOO_LATE, None, "RX1 too_late, RX2 too_late"),
            "not sent   70b3d57ed0000001 acknowledgement: too_late (RX1 too_late, RX2 too_late)",
        ),
    ],
)
def test_a_line_of_tail(shown, line):
    async def told():
        tail = Tail()
        events = tail.watch({})
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        tail.show(shown)
        event = await waiting
        await events.aclose()
        return event

    assert tail_line(asyncio.run(told())).startswith(line)


def test_a_slow_terminal_is_told_what_it_missed():
    assert tail_line({"missed": 3}) == "(3 frames not shown: this terminal is too slow)"
