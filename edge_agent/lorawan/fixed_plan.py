"""Regions that number all channels beforehand: 64 of 125 kHz, 8 of 500 kHz (RP002-1.0.4, 2.5 and 2.8)."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from edge_agent.lorawan.cflist import CFList
from edge_agent.lorawan.region import PlanChannel, Region, bits, mask_of

NARROW = 64  # channels 0…63, 125 kHz
WIDE = 8  # channels 64…71, 500 kHz
GROUP = 16  # channels that one ChMask names

NARROW_CHANNELS = frozenset(range(NARROW))
NARROW_ON, NARROW_OFF = 6, 7  # ChMaskCntl; ChMask then names the wide channels


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class FixedPlan(Region):
    """A region with a fixed channel plan. `downlink_channels_hz` are the eight of RX1."""

    downlink_channels_hz: tuple[int, ...]

    @property
    def is_fixed_plan(self) -> bool:
        """Whether all channels are numbered beforehand."""
        return True

    def rx1_frequency_hz(self, uplink_hz: int) -> int:
        """Frequency of RX1: the downlink channel of the uplink channel's number modulo 8.

        A frequency beside the plan counts as the channel next to it.
        """
        distances = [abs(uplink_hz - channel.frequency_hz) for channel in self.default_channels]
        return self.downlink_channels_hz[distances.index(min(distances)) % len(self.downlink_channels_hz)]

    def cf_list(self, channel_block: int = 0) -> CFList | None:
        """Masks that leave only one block of eight channels on; None with block 0: a device begins with all.

        A gateway of eight channels hears one block: narrow channels 8(n − 1)…8n − 1 and wide channel
        63 + n, n from 1 to 8. Raises ValueError for another block.
        """
        if channel_block == 0:
            return None
        if not 1 <= channel_block <= WIDE:
            raise ValueError(f"{self.name} has blocks of channels 1 to {WIDE}, not {channel_block}")
        first = 8 * (channel_block - 1)
        enabled = frozenset(range(first, first + 8)) | {NARROW + channel_block - 1}
        return CFList(1, channel_masks=tuple(mask_of(enabled, at, GROUP) for at in range(0, 80, GROUP)))

    def link_adr_masks(self, enabled: Set[int]) -> tuple[tuple[int, int], ...]:
        """ChMaskCntl and ChMask of the LinkADRReq block that leaves exactly these channels on.

        All narrow channels off or on, then the groups that differ; whichever is shorter. ChMaskCntl 5 would
        save a command at times, but devices of Regional Parameters 1.0.2 do not know it. Raises ValueError
        for a channel that there is not.
        """
        self._require(enabled)
        wide = mask_of(enabled, NARROW, WIDE)
        groups = [(cntl, mask_of(enabled, cntl * GROUP, GROUP)) for cntl in range(NARROW // GROUP)]
        from_off = ((NARROW_OFF, wide), *(group for group in groups if group[1] != 0))
        from_on = ((NARROW_ON, wide), *(group for group in groups if group[1] != 0xFFFF))
        return min(from_off, from_on, key=len)

    def masked(self, enabled: Set[int], ch_mask_cntl: int, ch_mask: int) -> frozenset[int] | None:
        """The channels that are on after one LinkADRReq, if `enabled` were before; None above 7.

        Bits of ChMask without a meaning are ignored.
        """
        before = frozenset(enabled)
        wide = bits(ch_mask % (1 << WIDE), first=NARROW)
        match ch_mask_cntl:
            case 0 | 1 | 2 | 3:  # one group
                first = ch_mask_cntl * GROUP
                return before.difference(range(first, first + GROUP)) | bits(ch_mask, first)
            case 4:  # the wide channels
                return before & NARROW_CHANNELS | wide
            case 5:  # blocks of eight narrow channels, each with the wide one among them
                return wide | {channel for channel in NARROW_CHANNELS if ch_mask >> channel // 8 & 1}
            case 6:  # NARROW_ON
                return NARROW_CHANNELS | wide
            case 7:  # NARROW_OFF
                return wide
            case _:
                return None


def narrow_channels(first_hz: int, max_data_rate: int) -> tuple[PlanChannel, ...]:
    """Channels 0…63 of a fixed plan, 200 kHz apart."""
    return tuple(PlanChannel(first_hz + 200_000 * index, 0, max_data_rate) for index in range(NARROW))


def wide_channels(first_hz: int, data_rate: int) -> tuple[PlanChannel, ...]:
    """Channels 64…71 of a fixed plan, 1.6 MHz apart."""
    return tuple(PlanChannel(first_hz + 1_600_000 * index, data_rate, data_rate) for index in range(WIDE))


def downlink_channels_hz(first_hz: int) -> tuple[int, ...]:
    """The eight channels of RX1 of a fixed plan, 600 kHz apart."""
    return tuple(first_hz + 600_000 * index for index in range(8))
