"""Join request (LoRaWAN 1.0.4, section 6.2.5)."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.malformed import Fault, MalformedFrame
from edge_agent.lorawan.mhdr import MType, mhdr
from edge_codecs.identifiers import DevEUI, JoinEUI

LENGTH = 23  # bytes of the PHYPayload


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A device asks to join. `dev_nonce` is 16 bits; the frame is in clear."""

    join_eui: JoinEUI
    dev_eui: DevEUI
    dev_nonce: int
    mic: bytes

    @property
    def mtype(self) -> MType:
        """Always JOIN_REQUEST."""
        return MType.JOIN_REQUEST

    @property
    def message(self) -> bytes:
        """The PHYPayload without its MIC: what the MIC is over."""
        nonce = self.dev_nonce.to_bytes(2, "little")
        return mhdr(MType.JOIN_REQUEST) + self.join_eui.to_air() + self.dev_eui.to_air() + nonce

    def to_bytes(self) -> bytes:
        """The PHYPayload."""
        return self.message + self.mic


def parse_join_request(phy_payload: bytes) -> JoinRequest:
    """Read a PHYPayload whose MType is join request. Raises MalformedFrame."""
    if len(phy_payload) != LENGTH:
        fault = Fault.TOO_SHORT if len(phy_payload) < LENGTH else Fault.MALFORMED
        raise MalformedFrame(fault, f"a join request is {LENGTH} bytes, not {len(phy_payload)}")
    return JoinRequest(
        JoinEUI.from_air(phy_payload[1:9]),
        DevEUI.from_air(phy_payload[9:17]),
        int.from_bytes(phy_payload[17:19], "little"),
        phy_payload[19:],
    )
