"""PHYPayload: every message type, to and from bytes (LoRaWAN 1.0.4, section 4.1; LoRaWAN 1.1, section 4.1).

`parse` returns a frame or raises MalformedFrame, whatever bytes it is given. It checks no MIC and decrypts
nothing. Reserved bits of MHDR are ignored and not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from edge_agent.lorawan.fhdr import FHDR, FCtrl
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_accept import EncryptedJoinAccept, parse_encrypted_join_accept
from edge_agent.lorawan.join_request import JoinRequest, parse_join_request
from edge_agent.lorawan.malformed import Fault, MalformedFrame
from edge_agent.lorawan.mhdr import LORAWAN_R1, MTYPES, Direction, MType, mhdr
from edge_agent.lorawan.rejoin_request import RejoinRequest, parse_rejoin_request

FHDR_LENGTH = 7  # bytes, without FOpts
DATA_FRAME_LENGTH = 1 + FHDR_LENGTH + 4  # the least
MAX_LENGTH = 255  # bytes: the radio's length field is one byte

_UPLINKS = (MType.UNCONFIRMED_DATA_UP, MType.CONFIRMED_DATA_UP)
_CONFIRMED = (MType.CONFIRMED_DATA_UP, MType.CONFIRMED_DATA_DOWN)


class MACPayload(NamedTuple):
    """What stands between MHDR and MIC of a data frame. `f_port` is None where nothing follows FHDR."""

    fhdr: FHDR
    f_port: int | None
    frm_payload: bytes  # as on air: encrypted


@dataclass(frozen=True, slots=True)
class DataFrame:
    """A data frame, up or down. FOpts (1.1) and FRMPayload are as on air: encrypted."""

    mtype: MType
    fhdr: FHDR
    f_port: int | None
    frm_payload: bytes
    mic: bytes

    @property
    def direction(self) -> Direction:
        """Up from a device, or down to one."""
        return Direction.UP if self.mtype in _UPLINKS else Direction.DOWN

    @property
    def confirmed(self) -> bool:
        """The sender asks for an acknowledgement."""
        return self.mtype in _CONFIRMED

    @property
    def message(self) -> bytes:
        """The PHYPayload without its MIC: what the MIC is over. Raises ValueError as FHDR.to_bytes."""
        head = mhdr(self.mtype) + self.fhdr.to_bytes()
        if self.f_port is None:
            if self.frm_payload:
                raise ValueError("FRMPayload needs an FPort")
            return head
        return head + bytes((self.f_port,)) + self.frm_payload

    def to_bytes(self) -> bytes:
        """The PHYPayload."""
        return self.message + self.mic


@dataclass(frozen=True, slots=True)
class Proprietary:
    """A frame in a format of somebody's own. `payload` is everything after MHDR."""

    payload: bytes

    @property
    def mtype(self) -> MType:
        """Always PROPRIETARY."""
        return MType.PROPRIETARY

    def to_bytes(self) -> bytes:
        """The PHYPayload."""
        return mhdr(MType.PROPRIETARY) + self.payload


PHYPayload: TypeAlias = DataFrame | JoinRequest | EncryptedJoinAccept | RejoinRequest | Proprietary


def parse(phy_payload: bytes) -> PHYPayload:
    """Read a frame as it came over the air. Raises MalformedFrame and nothing else."""
    if not phy_payload:
        raise MalformedFrame(Fault.TOO_SHORT, "no bytes at all")
    if len(phy_payload) > MAX_LENGTH:
        raise MalformedFrame(Fault.MALFORMED, f"a frame is at most 255 bytes, not {len(phy_payload)}")
    first = phy_payload[0]
    mtype = MTYPES[first >> 5]
    if mtype is MType.PROPRIETARY:
        return Proprietary(phy_payload[1:])
    if first & 3 != LORAWAN_R1:
        raise MalformedFrame(Fault.NOT_LORAWAN_R1, f"major version {first & 3}; LoRaWAN R1 is 0")
    if mtype is MType.JOIN_REQUEST:
        return parse_join_request(phy_payload)
    if mtype is MType.JOIN_ACCEPT:
        return parse_encrypted_join_accept(phy_payload)
    if mtype is MType.REJOIN_REQUEST:
        return parse_rejoin_request(phy_payload)
    if len(phy_payload) < DATA_FRAME_LENGTH:
        text = f"a data frame is at least {DATA_FRAME_LENGTH} bytes, not {len(phy_payload)}"
        raise MalformedFrame(Fault.TOO_SHORT, text)
    fhdr, f_port, frm_payload = parse_mac_payload(phy_payload[1:-4])
    return DataFrame(mtype, fhdr, f_port, frm_payload, phy_payload[-4:])


def parse_mac_payload(mac_payload: bytes) -> MACPayload:
    """Read what stands between MHDR and MIC of a data frame. Raises MalformedFrame."""
    length = len(mac_payload)
    if length < FHDR_LENGTH:
        raise MalformedFrame(Fault.TOO_SHORT, f"a MACPayload is at least {FHDR_LENGTH} bytes, not {length}")
    f_ctrl = FCtrl(mac_payload[4])
    end = FHDR_LENGTH + (f_ctrl & 0x0F)
    if length < end:
        text = f"FCtrl says {f_ctrl.f_opts_len} bytes of FOpts; {length - FHDR_LENGTH} are there"
        raise MalformedFrame(Fault.MALFORMED, text)
    fhdr = FHDR(
        DevAddr.from_air(mac_payload[:4]), f_ctrl, mac_payload[5] | mac_payload[6] << 8, mac_payload[7:end]
    )
    if length == end:
        return MACPayload(fhdr, None, b"")
    return MACPayload(fhdr, mac_payload[end], mac_payload[end + 1 :])
