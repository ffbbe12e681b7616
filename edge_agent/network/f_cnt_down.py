"""FCntDown, handed out so that no crash repeats one (LoRaWAN 1.0.4 and 1.1, section 4.3.1.5)."""

from __future__ import annotations

from edge_agent.lorawan.fcnt import MAX_F_CNT

RESERVED_AHEAD = 32
"""Counters that the disk is told of at once. A restart skips what is left of them; a device bears a gap of
16384 (MAX_FCNT_GAP), and an SD card is spared 31 of 32 writes."""


class FCntDown:
    """One downlink counter. `bound` is on disk: no counter from there on was ever used."""

    __slots__ = ("bound", "next")

    def __init__(self, bound: int) -> None:
        self.next = self.bound = bound

    @property
    def left(self) -> bool:
        """Whether 32 bits hold another one; without, the device must join anew."""
        return self.next <= MAX_F_CNT

    def take(self) -> int:
        """The next counter. Where it moves the bound, the disk must have the new one before it is sent."""
        taken = self.next
        assert taken <= MAX_F_CNT, "asked for a counter though none is left"
        self.next = taken + 1
        if self.next > self.bound:
            self.bound = min(taken + RESERVED_AHEAD, MAX_F_CNT + 1)
        return taken
