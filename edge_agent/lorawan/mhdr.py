"""MHDR: message type and major version (LoRaWAN 1.0.4, section 4.2)."""

from __future__ import annotations

import enum

LORAWAN_R1 = 0  # the only Major that there is


class MType(enum.IntEnum):
    """Bits 7–5 of the first byte. `text` is its spelling in the frame inspector."""

    JOIN_REQUEST = 0
    JOIN_ACCEPT = 1
    UNCONFIRMED_DATA_UP = 2
    UNCONFIRMED_DATA_DOWN = 3
    CONFIRMED_DATA_UP = 4
    CONFIRMED_DATA_DOWN = 5
    REJOIN_REQUEST = 6
    PROPRIETARY = 7

    @property
    def text(self) -> str:
        """The specification's name without blanks, such as "UnconfirmedDataUp"."""
        return self.name.title().replace("_", "")


class Direction(enum.IntEnum):
    """Dir, as it stands in the blocks under MIC and cipher (LoRaWAN 1.0.4, section 4.4.1)."""

    UP = 0
    DOWN = 1


MTYPES = tuple(MType)  # indexing a tuple is several times faster than calling an enum


def mhdr(mtype: MType) -> bytes:
    """The MHDR byte of a LoRaWAN R1 frame."""
    return bytes((mtype << 5 | LORAWAN_R1,))
