"""What `status` says of downlinks, for people."""

from edge_agent.cli.live import downlink_facts
from edge_agent.network.answer import TxResult

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
