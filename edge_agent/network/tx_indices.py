"""TxDr and TxCh: what a 1.1 device says it sent with, and what the gateway can know of it.

Under LoRaWAN 1.1 half of an uplink's MIC covers the indices of the data rate and of the channel that the
device used. The gateway sees a spreading factor and a frequency. Within a region the data rate index follows
from the spreading factor, but where the network gives devices their channels, a channel's index is a matter
between the device and whoever gave it; and even the data rates count differently by region.

So every index that the region allows is tried, the likeliest first, and one must fit. The alternative, to
do without that half, would leave 16 bits to guess, which a sender at SF7 does within an hour. Trying 16
channels leaves 28 bits, and 16 data rates by 96 channels (where the region is not known) still 21. The
trials come only after the other half has fitted, so that strangers' frames do not cost them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

from edge_agent.lorawan.region import Region

_MAX_DATA_RATES = 16
_MAX_CHANNELS = 96  # CN470; US915 and AU915 have 72


@lru_cache(maxsize=256)
def tx_indices(frequency_hz: int, data_rate: str, region: Region | None) -> tuple[tuple[int, int], ...]:
    """Every (TxDr, TxCh) that a frame heard like this may have been sent with, likeliest first.

    `region` None: not known.
    """
    data_rate_index = region.data_rate_up(data_rate) if region else None
    if region is None or data_rate_index is None or frequency_hz not in region.band_hz:
        return tuple(product(range(_MAX_DATA_RATES), range(_MAX_CHANNELS)))
    defaults = len(region.default_channels)
    here = region.channel_indices(frequency_hz)
    others = [*range(defaults, region.max_channels), *range(defaults)]
    channels = [*here, *(index for index in others if index not in here)]
    return tuple((data_rate_index, channel) for channel in channels)
