"""Data rates as small numbers: LoRa "SF7BW125" and the one FSK rate of LoRaWAN."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_BANDWIDTHS_KHZ: Final = (125, 250, 500, 203, 406, 812, 1625)

TEXT_OF: Final = MappingProxyType(
    {0: "50000"}
    | {
        spreading + 16 * number: f"SF{spreading}BW{bandwidth}"
        for number, bandwidth in enumerate(_BANDWIDTHS_KHZ)
        for spreading in range(5, 13)
    }
)
"""Number on the wire -> text. LoRa: spreading factor + 16 × index of the bandwidth; 0 is FSK at 50 kbit/s."""

NUMBER_OF: Final = MappingProxyType({text: number for number, text in TEXT_OF.items()})
