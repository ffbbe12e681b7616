"""Rejoin request (LoRaWAN 1.1, section 6.2.4)."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.malformed import Fault, MalformedFrame
from edge_agent.lorawan.mhdr import MType, mhdr
from edge_agent.lorawan.netid import NetID
from edge_codecs.identifiers import DevEUI, JoinEUI

LENGTHS = {0: 19, 1: 24, 2: 19}  # bytes of the PHYPayload by rejoin type


@dataclass(frozen=True, slots=True)
class RejoinRequest:
    """A device in use asks to join anew. Types 0 and 2 name the NetID, type 1 the JoinEUI.

    `rj_count` is RJcount0 or RJcount1, 16 bits. The frame is in clear.
    """

    rejoin_type: int
    net_id: NetID | None
    join_eui: JoinEUI | None
    dev_eui: DevEUI
    rj_count: int
    mic: bytes

    @property
    def mtype(self) -> MType:
        """Always REJOIN_REQUEST."""
        return MType.REJOIN_REQUEST

    @property
    def message(self) -> bytes:
        """The PHYPayload without its MIC: what the MIC is over."""
        network = self.join_eui if self.net_id is None else self.net_id
        assert network is not None, "a rejoin request names a NetID or a JoinEUI"
        head = mhdr(MType.REJOIN_REQUEST) + bytes((self.rejoin_type,))
        return head + network.to_air() + self.dev_eui.to_air() + self.rj_count.to_bytes(2, "little")

    def to_bytes(self) -> bytes:
        """The PHYPayload."""
        return self.message + self.mic


def parse_rejoin_request(phy_payload: bytes) -> RejoinRequest:
    """Read a PHYPayload whose MType is rejoin request. Raises MalformedFrame."""
    if len(phy_payload) < 2:
        raise MalformedFrame(Fault.TOO_SHORT, "a rejoin request starts with its type; there is none")
    rejoin_type = phy_payload[1]
    length = LENGTHS.get(rejoin_type)
    if length is None:
        raise MalformedFrame(Fault.MALFORMED, f"there is no rejoin request of type {rejoin_type}")
    if len(phy_payload) != length:
        fault = Fault.TOO_SHORT if len(phy_payload) < length else Fault.MALFORMED
        text = f"a rejoin request of type {rejoin_type} is {length} bytes, not {len(phy_payload)}"
        raise MalformedFrame(fault, text)
    dev_eui = DevEUI.from_air(phy_payload[-14:-6])
    rj_count = int.from_bytes(phy_payload[-6:-4], "little")
    network = phy_payload[2:-14]
    if rejoin_type == 1:
        return RejoinRequest(1, None, JoinEUI.from_air(network), dev_eui, rj_count, phy_payload[-4:])
    return RejoinRequest(rejoin_type, NetID.from_air(network), None, dev_eui, rj_count, phy_payload[-4:])
