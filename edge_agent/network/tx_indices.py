"""TxDr and TxCh: what a 1.1 device says it sent with, and what the gateway can know of it.

Under LoRaWAN 1.1 half of an uplink's MIC covers the indices of the data rate and of the channel that the
device used. The gateway sees a spreading factor and a frequency. In 863…870 MHz the data rate index follows
from the spreading factor, but a channel's index is a matter between the device and whoever gave it its
channels; elsewhere even the data rates count differently by region.

So every index that the region allows is tried, the likeliest first, and one must fit. The alternative, to
do without that half, would leave 16 bits to guess, which a sender at SF7 does within an hour. Trying 16
channels leaves 28 bits, and 16 data rates by 96 channels (where the region is not known) still 21. The
trials come only after the other half has fitted, so that strangers' frames do not cost them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

from edge_agent.lorawan import eu868

_MAX_DATA_RATES = 16
_MAX_CHANNELS = 96  # CN470; US915 and AU915 have 72
_TOLERANCE_HZ = 10_000  # a twentieth of the distance between channels


@lru_cache(maxsize=256)
def tx_indices(frequency_hz: int, data_rate: str) -> tuple[tuple[int, int], ...]:
    """Every (TxDr, TxCh) that a frame heard like this may have been sent with, likeliest first."""
    data_rate_index = eu868.DATA_RATES.get(data_rate)
    if frequency_hz not in eu868.BAND_HZ or data_rate_index is None:
        return tuple(product(range(_MAX_DATA_RATES), range(_MAX_CHANNELS)))
    default = [
        index
        for index, channel_hz in enumerate(eu868.DEFAULT_CHANNELS_HZ)
        if abs(frequency_hz - channel_hz) < _TOLERANCE_HZ
    ]
    others = [*range(3, eu868.MAX_CHANNELS), 0, 1, 2]
    channels = default + [index for index in others if index not in default]
    return tuple((data_rate_index, channel) for channel in channels)
