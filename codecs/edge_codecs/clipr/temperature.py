"""Temperature `t16`: signed 16 bits, 1/100 °C, -40.00 … +125.00 °C, 0x8000 = no valid sample."""

from __future__ import annotations

from typing import Final

from edge_codecs.clipr.message import CentiCelsius, DecodeError

LOWEST: Final = -4_000
HIGHEST: Final = 12_500
NO_SAMPLE: Final = -0x8000


def from_t16(raw: int) -> CentiCelsius | None:
    """The temperature of a signed 16-bit field, None for no valid sample. Raises DecodeError out of range."""
    if LOWEST <= raw <= HIGHEST:
        return CentiCelsius(raw)
    if raw == NO_SAMPLE:
        return None
    raise DecodeError(f"temperature {raw / 100:.2f} °C is out of range")


def to_t16(temperature: CentiCelsius | None) -> int:
    """The signed 16-bit field of a temperature. Raises ValueError out of range."""
    if temperature is None:
        return NO_SAMPLE
    if not LOWEST <= temperature <= HIGHEST:
        raise ValueError(f"temperature {temperature / 100:.2f} °C is out of range")
    return temperature
