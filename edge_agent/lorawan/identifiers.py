"""DevAddr (LoRaWAN 1.0.4, section 6.1.1), and what it has in common with NetID."""

from __future__ import annotations

from typing import ClassVar, Self


class AirIdentifier(bytes):
    """A few bytes, most significant first; text is lower-case hex digits. Over the air they are reversed."""

    __slots__ = ()

    LENGTH: ClassVar[int]  # bytes
    EXAMPLE: ClassVar[str]  # for the error of who typed another

    def __new__(cls, raw: bytes) -> Self:
        """Take the bytes, most significant first. Raises ValueError for another length."""
        if len(raw) != cls.LENGTH:
            raise ValueError(f"{cls.__name__} is {cls.LENGTH} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read hex digits, most significant first. Raises ValueError."""
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            digits = 2 * cls.LENGTH
            raise ValueError(
                f"{cls.__name__} is {digits} hex digits such as {cls.EXAMPLE}, not {text!r}"
            ) from None

    @classmethod
    def from_air(cls, raw: bytes) -> Self:
        """Take the bytes as LoRaWAN sends them, least significant first."""
        return cls(raw[::-1])

    def to_air(self) -> bytes:
        """The bytes as LoRaWAN sends them, least significant first."""
        return self[::-1]

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"


class DevAddr(AirIdentifier):
    """The address of a device in its network: 4 bytes."""

    __slots__ = ()

    LENGTH = 4
    EXAMPLE = "260b1234"
