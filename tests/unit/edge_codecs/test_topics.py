"""Topics, and that nothing alike passes for one."""

from __future__ import annotations

import pytest

from edge_codecs import topics
from edge_codecs.identifiers import GatewayId

GATEWAY = GatewayId.parse("0016c001f1000001")


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        (topics.uplink_topic, "clipr/v1/0016c001f1000001/up"),
        (topics.receipt_topic, "clipr/v1/0016c001f1000001/receipt"),
        (topics.state_topic, "clipr/v1/0016c001f1000001/state"),
        (topics.down_topic, "clipr/v1/0016c001f1000001/down"),
    ],
)
def test_topics(topic: object, text: str) -> None:
    assert callable(topic)
    assert topic(GATEWAY) == text
    assert topics.gateway_of(text) == GATEWAY
    assert type(topics.gateway_of(text)) is GatewayId


@pytest.mark.parametrize(
    "text",
    [
        "",
        "clipr/v1/0016C001F1000001/up",
        "clipr/v1/0016c001f100000/up",
        "clipr/v1/0016c001f10000011/up",
        "clipr/v1/+/up",
        "clipr/v1/0016c001f1000001/up/",
        "clipr/v1/0016c001f1000001/up\n",
        "clipr/v1/0016c001f1000001/other",
        "clipr/v2/0016c001f1000001/up",
        "/clipr/v1/0016c001f1000001/up",
        "clipr/v1//up",
        "clipr/v1/0016c001f1000001",
        "clipr/v1/٠016c001f1000001/up",
    ],
)
def test_other_topics_belong_to_nobody(text: str) -> None:
    assert topics.gateway_of(text) is None


def test_filters() -> None:
    assert topics.UPLINK_FILTER == "clipr/v1/+/up"
    assert topics.STATE_FILTER == "clipr/v1/+/state"
