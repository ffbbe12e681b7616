"""EU863-870 as data (Regional Parameters RP002-1.0.4, section 2.4)."""

from __future__ import annotations

BAND_HZ = range(863_000_000, 870_000_001)

DEFAULT_CHANNELS_HZ = (868_100_000, 868_300_000, 868_500_000)
"""Channels 0, 1 and 2 of every device; the others are the network's to give."""

MAX_CHANNELS = 16

DATA_RATES = {
    "SF12BW125": 0,
    "SF11BW125": 1,
    "SF10BW125": 2,
    "SF9BW125": 3,
    "SF8BW125": 4,
    "SF7BW125": 5,
    "SF7BW250": 6,
    "50000": 7,  # FSK, bit/s
    "SF6BW125": 12,  # RP002-1.0.5
    "SF5BW125": 13,
}
"""Data rate index by the text that front ends use. 8…11 are LR-FHSS, which an SX1302 does not hear."""
