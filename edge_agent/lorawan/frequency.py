"""Frequencies as MAC commands and CFList carry them: 24 bits (LoRaWAN 1.0.4, section 5.4; RP002-1.0.4).

In steps of 100 Hz; in the 2.4 GHz band in steps of 200 Hz, since 24 bits would not reach otherwise. Read as
100 Hz, those numbers would mean 1.20 … 1.25 GHz, where no region has channels.
"""

from __future__ import annotations

STEP_HZ = 100
STEP_2_4_GHZ_HZ = 200
BAND_2_4_GHZ = range(2_400_000_000, 2_500_000_001)


def frequency_hz(steps: int) -> int:
    """Hertz out of the number sent, 0 … 16777215."""
    if steps * STEP_2_4_GHZ_HZ in BAND_2_4_GHZ:
        return steps * STEP_2_4_GHZ_HZ
    return steps * STEP_HZ


def frequency_steps(hertz: int) -> int:
    """The number to send. Raises ValueError where no number says this frequency exactly."""
    steps, rest = divmod(hertz, STEP_2_4_GHZ_HZ if hertz in BAND_2_4_GHZ else STEP_HZ)
    if rest or not 0 <= steps < 1 << 24 or frequency_hz(steps) != hertz:
        raise ValueError(f"{hertz} Hz cannot be sent: it takes a multiple of 100 Hz (2.4 GHz band: 200 Hz)")
    return steps
