"""How long a frame is on air (LoRa: SX1276 datasheet, section 4.1.1.7; SF5 and SF6: SX1261/2, 6.1.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

CodingRate = Literal["4/5", "4/6", "4/7", "4/8"]

FSK_FRAMING_BYTES = 11
"""Preamble 5, sync word 3, length 1 and CRC 2 around an FSK payload, in both directions."""


@dataclass(frozen=True, slots=True)
class Modulation:
    """LoRa settings of one transmission.

    `low_data_rate_optimise` None: by the rule, on where a symbol takes longer than 16 ms. `crc`: uplinks
    carry one, downlinks do not. `preamble_symbols` does not count the symbols of sync word and start.
    """

    spreading_factor: int  # 5…12
    bandwidth_hz: int = 125_000
    coding_rate: CodingRate = "4/5"
    preamble_symbols: int = 8
    explicit_header: bool = True
    crc: bool = True
    low_data_rate_optimise: bool | None = None

    @property
    def symbol_us(self) -> float:
        """Length of one symbol in microseconds."""
        return (1 << self.spreading_factor) * 1e6 / self.bandwidth_hz

    @property
    def optimised(self) -> bool:
        """Whether low data rate optimisation is in force."""
        return self.symbol_us > 16_000 if self.low_data_rate_optimise is None else self.low_data_rate_optimise


def payload_symbols(length: int, modulation: Modulation) -> int:
    """Symbols of header and payload of a PHYPayload of `length` bytes, without preamble."""
    spreading_factor = modulation.spreading_factor
    small = spreading_factor < 7  # SF5 and SF6 spend no symbols on alignment
    bits = 8 * length - 4 * spreading_factor + 16 * modulation.crc + 20 * modulation.explicit_header
    bits += 0 if small else 8
    per_group = 4 * (spreading_factor - 2 * modulation.optimised)
    parity = int(modulation.coding_rate[-1])
    return 8 + max(ceil(bits / per_group) * parity, 0)


def airtime_us(length: int, modulation: Modulation) -> int:
    """Time on air of a PHYPayload of `length` bytes, in microseconds."""
    preamble = modulation.preamble_symbols + (6.25 if modulation.spreading_factor < 7 else 4.25)
    return round((preamble + payload_symbols(length, modulation)) * modulation.symbol_us)


def fsk_airtime_us(length: int, bit_rate: int) -> int:
    """Time on air of a PHYPayload of `length` bytes in FSK of `bit_rate` bit/s, in microseconds."""
    return ceil((length + FSK_FRAMING_BYTES) * 8 * 1_000_000 / bit_rate)


def downlink_airtime_us(length: int, data_rate: str) -> int:
    """Time on air of a downlink of `length` bytes: LoRa ones ("SF9BW125") have no CRC, FSK is bit/s."""
    if data_rate.isdigit():
        return fsk_airtime_us(length, int(data_rate))
    return airtime_us(length, replace(modulation_of(data_rate), crc=False))


def modulation_of(data_rate: str) -> Modulation:
    """Settings out of "SF7BW125". Raises ValueError for anything else, FSK among it."""
    spreading_factor, separator, bandwidth_khz = data_rate.removeprefix("SF").partition("BW")
    if not (
        data_rate.startswith("SF") and separator and spreading_factor.isdigit() and bandwidth_khz.isdigit()
    ):
        raise ValueError(f"no LoRa data rate: {data_rate!r}; one looks like SF7BW125")
    if not 5 <= int(spreading_factor) <= 12 or not int(bandwidth_khz):
        raise ValueError(f"no LoRa data rate: {data_rate!r}; spreading factors are 5 to 12")
    return Modulation(int(spreading_factor), int(bandwidth_khz) * 1000)
