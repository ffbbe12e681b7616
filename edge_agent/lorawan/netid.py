"""NetID, and which DevAddr belongs to it (LoRaWAN 1.0.4, section 6.1.1; Backend Interfaces, section 13)."""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.lorawan.identifiers import AirIdentifier, DevAddr


class _AddressPlan(NamedTuple):
    """How a NetID of one type shows in a DevAddr: `type` ones and a zero, then NwkID, then NwkAddr."""

    id_bits: int  # of the NetID's 21
    nwk_id_bits: int  # of the DevAddr, the low bits of the NetID's ID


_PLANS = (
    _AddressPlan(6, 6),
    _AddressPlan(6, 6),
    _AddressPlan(9, 9),
    _AddressPlan(21, 11),
    _AddressPlan(21, 12),
    _AddressPlan(21, 13),
    _AddressPlan(21, 15),
    _AddressPlan(21, 17),
)


class NetID(AirIdentifier):
    """The number of a network: 3 bytes."""

    __slots__ = ()

    LENGTH = 3
    EXAMPLE = "000013"

    @property
    def type(self) -> int:
        """The 3 most significant bits, 0…7: how large the network's address block is."""
        return self[0] >> 5

    @property
    def id(self) -> int:
        """The network's number within its type: 6, 9 or 21 bits."""
        return int.from_bytes(self, "big") & ((1 << _PLANS[self.type].id_bits) - 1)

    @property
    def prefix(self) -> tuple[int, int]:
        """What each DevAddr of the network starts with: (bits as a number, how many bits)."""
        nwk_id_bits = _PLANS[self.type].nwk_id_bits
        ones_and_zero = ((1 << self.type) - 1) << 1
        nwk_id = self.id & ((1 << nwk_id_bits) - 1)
        return ones_and_zero << nwk_id_bits | nwk_id, self.type + 1 + nwk_id_bits

    def covers(self, dev_addr: DevAddr) -> bool:
        """Whether `dev_addr` is out of this network's address block."""
        prefix, bits = self.prefix
        return int.from_bytes(dev_addr, "big") >> (32 - bits) == prefix

    def dev_addr(self, nwk_addr: int) -> DevAddr:
        """The network's DevAddr number `nwk_addr`. Raises ValueError where the block has no such number."""
        prefix, bits = self.prefix
        if not 0 <= nwk_addr < 1 << (32 - bits):
            raise ValueError(f"NetID {self} has {32 - bits} bits of NwkAddr; {nwk_addr} needs more")
        return DevAddr((prefix << (32 - bits) | nwk_addr).to_bytes(4, "big"))
