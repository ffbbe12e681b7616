"""The one error of the frame parsers."""

from __future__ import annotations

import enum


class Fault(enum.Enum):
    """What is wrong with bytes that are no frame."""

    TOO_SHORT = "too_short"
    """Fewer bytes than the message type needs."""
    NOT_LORAWAN_R1 = "not_lorawan_r1"
    """MHDR names a major version that does not exist."""
    MALFORMED = "malformed"
    """Lengths or types inside contradict each other."""


class MalformedFrame(ValueError):
    """These bytes are no LoRaWAN R1 frame. `fault` says in which way; the text says it to a person."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
