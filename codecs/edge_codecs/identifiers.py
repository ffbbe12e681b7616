"""EUI-64 identifiers; each its own type, so that one cannot stand in for another."""

from __future__ import annotations

import re
from typing import Self

_EUI64 = re.compile(r"[0-9a-fA-F]{2}(?:[-:]?[0-9a-fA-F]{2}){7}")


class EUI64(bytes):
    """8 bytes, most significant first; text is 16 lower-case hex digits (IEEE EUI-64).

    Over the air LoRaWAN sends them least significant byte first: `from_air`, `to_air`.
    Two identifiers are equal only if their types are: a DevEUI never equals a JoinEUI.
    """

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        """Take 8 bytes, most significant first. Raises ValueError."""
        if len(raw) != 8:
            raise ValueError(f"{cls.__name__} is 8 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 16 hex digits, optionally in pairs with dashes or colons. Raises ValueError."""
        text = text.strip()
        if not _EUI64.fullmatch(text):
            raise ValueError(f"{cls.__name__} is 16 hex digits such as 70b3d57ed0000001, not {text!r}")
        return cls(bytes.fromhex(text.replace("-", "").replace(":", "")))

    @classmethod
    def from_air(cls, raw: bytes) -> Self:
        """Take the 8 bytes as LoRaWAN sends them, least significant first."""
        return cls(raw[::-1])

    def to_air(self) -> bytes:
        """The 8 bytes as LoRaWAN sends them, least significant first."""
        return self[::-1]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and bytes.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = bytes.__hash__

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"

    def __format__(self, spec: str) -> str:
        return format(self.hex(), spec)


class DevEUI(EUI64):
    """The end-device identifier (LoRaWAN 1.0.4, section 6.1.1.2)."""

    __slots__ = ()


class JoinEUI(EUI64):
    """The join server identifier; AppEUI before 1.0.4 (LoRaWAN 1.0.4, section 6.1.1.1)."""

    __slots__ = ()


class GatewayId(EUI64):
    """A gateway: certificate CN, broker username and topic level at once."""

    __slots__ = ()
