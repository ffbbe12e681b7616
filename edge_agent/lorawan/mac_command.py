"""MAC commands in FOpts, or in FRMPayload on FPort 0 (LoRaWAN 1.0.4, chapter 5; LoRaWAN 1.1, chapter 5).

A command is its CID and a payload of fixed length. Read as one little-endian number, each payload is a row
of bit fields; a command class names them, and `command` makes reader and writer out of that. Reserved bits
are ignored when reading and sent as 0. The commands, and reading rows of them, are in `mac_commands`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, TypeVar, dataclass_transform, get_type_hints

from edge_agent.lorawan.frequency import frequency_hz, frequency_steps
from edge_agent.lorawan.mhdr import Direction


class Bits(NamedTuple):
    """Where a field stands: lowest bit (8·byte + bit) and width. `frequency`: 24 bits that mean hertz."""

    first: int
    width: int = 1
    signed: bool = False
    frequency: bool = False


class MACCommand:
    """Base of all commands."""

    __slots__ = ()
    cid: ClassVar[int]
    direction: ClassVar[Direction]
    length: ClassVar[int]  # bytes of the payload
    layout: ClassVar[tuple[tuple[str, type, Bits], ...]]

    @property
    def name(self) -> str:
        """The specification's name."""
        return type(self).__name__

    def fields(self) -> dict[str, int | bool]:
        """The fields by name."""
        return {name: getattr(self, name) for name, _, _ in self.layout}

    @classmethod
    def from_payload(cls, payload: bytes) -> MACCommand:
        """Read the `length` bytes behind the CID."""
        number = int.from_bytes(payload, "little")
        return cls(*[_read(number, kind, bits) for _, kind, bits in cls.layout])

    def to_bytes(self) -> bytes:
        """CID and payload. Raises ValueError where a field's value does not fit."""
        number = 0
        for name, _, bits in self.layout:
            number |= _written(name, getattr(self, name), bits) << bits.first
        return bytes((self.cid,)) + number.to_bytes(self.length, "little")


_Command = TypeVar("_Command", bound=type[MACCommand])
KNOWN: dict[tuple[Direction, int], type[MACCommand]] = {}
"""Every command class, by direction and CID."""


@dataclass_transform(frozen_default=True)
def command(cid: int, direction: Direction, length: int = 0) -> Callable[[_Command], _Command]:
    """Make a class of annotated fields a frozen dataclass and enter it in KNOWN."""

    def register(cls: _Command) -> _Command:
        made: Any = dataclass(frozen=True, slots=True)(cls)
        hints = get_type_hints(made, include_extras=True)
        layout = []
        for field in fields(made):
            kind, bits = hints[field.name].__origin__, hints[field.name].__metadata__[0]
            layout.append((field.name, kind, bits))
        made.cid, made.direction, made.length, made.layout = cid, direction, length, tuple(layout)
        KNOWN[direction, cid] = made
        known: _Command = made
        return known

    return register


def _read(number: int, kind: type, bits: Bits) -> int | bool:
    value = number >> bits.first & ((1 << bits.width) - 1)
    if bits.signed and value >> (bits.width - 1):
        value -= 1 << bits.width
    if bits.frequency:
        return frequency_hz(value)
    return bool(value) if kind is bool else value


def _written(name: str, value: int, bits: Bits) -> int:
    if bits.frequency:
        return frequency_steps(value)
    low, high = (-(1 << bits.width - 1), 1 << bits.width - 1) if bits.signed else (0, 1 << bits.width)
    if not low <= value < high:
        raise ValueError(f"{name} is {low}…{high - 1}, not {value}")
    return value & ((1 << bits.width) - 1)
