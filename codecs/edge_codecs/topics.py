"""MQTT topics. The gateway id is a topic level, its certificate's CN and its broker username at once.

A tenant appears in no topic: the receiver looks it up.
"""

from __future__ import annotations

import re
from typing import Final

from edge_codecs.identifiers import GatewayId

ROOT: Final = "clipr/v1"
UPLINK_FILTER: Final = f"{ROOT}/+/up"
"""What the receiver subscribes to."""
STATE_FILTER: Final = f"{ROOT}/+/state"
"""What an observer of gateway states subscribes to."""

_TOPIC = re.compile(rf"{ROOT}/([0-9a-f]{{16}})/(?:up|receipt|state|down)")


def uplink_topic(gateway: GatewayId) -> str:
    """Batches, gateway to receiver."""
    return f"{ROOT}/{gateway}/up"


def receipt_topic(gateway: GatewayId) -> str:
    """Signed receipts, receiver to gateway."""
    return f"{ROOT}/{gateway}/receipt"


def state_topic(gateway: GatewayId) -> str:
    """Whether the gateway is connected; retained, and the broker's last will for it."""
    return f"{ROOT}/{gateway}/state"


def down_topic(gateway: GatewayId) -> str:
    """Orders, cloud to gateway."""
    return f"{ROOT}/{gateway}/down"


def gateway_of(topic: str) -> GatewayId | None:
    """The gateway that one of the four topics belongs to; None for any other text, however alike."""
    match = _TOPIC.fullmatch(topic)
    return GatewayId(bytes.fromhex(match[1])) if match else None
