"""CFList: the channels that a join accept gives (RP002-1.0.4, sections 2.4.4 and 2.5.4)."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.frequency import frequency_hz, frequency_steps

LENGTH = 16  # bytes, the last is CFListType
FREQUENCIES = 5
MASKS = 7


@dataclass(frozen=True, slots=True)
class CFList:
    """Channels of a join accept, by `type`.

    0: `frequencies_hz` of channels 3…7, 0 where none is given (dynamic plans such as EU868).
    1: `channel_masks`, 16 channels each (fixed plans such as US915).
    Any other type is reserved; a device ignores it, so it is kept as `unknown`.
    """

    type: int
    frequencies_hz: tuple[int, ...] = ()
    channel_masks: tuple[int, ...] = ()
    unknown: bytes = b""

    def to_bytes(self) -> bytes:
        """The 16 bytes as sent. Raises ValueError where they do not hold what was given."""
        match self.type:
            case 0:
                steps = [frequency_steps(frequency) for frequency in self.frequencies_hz]
                body = b"".join(step.to_bytes(3, "little") for step in steps)
            case 1:
                body = b"".join(mask.to_bytes(2, "little") for mask in self.channel_masks)
            case _:
                body = self.unknown
        if len(body) > LENGTH - 1:
            raise ValueError(f"a CFList holds {FREQUENCIES} frequencies or {MASKS} masks, not more")
        return body.ljust(LENGTH - 1, b"\0") + bytes((self.type,))


def parse_cflist(raw: bytes) -> CFList:
    """Read the 16 bytes of a CFList. Raises ValueError on another length, else never."""
    if len(raw) != LENGTH:
        raise ValueError(f"a CFList is {LENGTH} bytes, not {len(raw)}")
    match raw[-1]:
        case 0:
            steps = (int.from_bytes(raw[at : at + 3], "little") for at in range(0, 15, 3))
            return CFList(0, frequencies_hz=tuple(map(frequency_hz, steps)))
        case 1:
            masks = (int.from_bytes(raw[at : at + 2], "little") for at in range(0, 14, 2))
            return CFList(1, channel_masks=tuple(masks))
        case reserved:
            return CFList(reserved, unknown=raw[:-1])
