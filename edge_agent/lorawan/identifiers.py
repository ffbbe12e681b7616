"""DevAddr and NetID (LoRaWAN 1.0.4, section 6.1.1; NetID types: Backend Interfaces 1.1, section 13)."""

from __future__ import annotations

from typing import Self


class DevAddr(bytes):
    """4 bytes, most significant first; text is 8 lower-case hex digits. Over the air it is reversed."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        """Take 4 bytes, most significant first. Raises ValueError."""
        if len(raw) != 4:
            raise ValueError(f"DevAddr is 4 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 8 hex digits, most significant first. Raises ValueError."""
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise ValueError(f"DevAddr is 8 hex digits such as 260b1234, not {text!r}") from None

    @classmethod
    def from_air(cls, raw: bytes) -> Self:
        """Take the 4 bytes as LoRaWAN sends them, least significant first."""
        return cls(raw[::-1])

    def to_air(self) -> bytes:
        """The 4 bytes as LoRaWAN sends them, least significant first."""
        return self[::-1]

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"DevAddr({self.hex()})"
