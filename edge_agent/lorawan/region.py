"""What a region says: channels, data rates, receive windows, powers, the law (RP002-1.0.4, section 2).

A region is data. The regions differ in one thing that is more than data: most let the network give devices
their channels (`Region`, a dynamic plan), some number every channel beforehand (`FixedPlan`).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from edge_agent.lorawan.cflist import FREQUENCIES, CFList
from edge_agent.lorawan.mhdr import Direction

ALL_CHANNELS = 6
"""ChMaskCntl that turns on every channel a device of a dynamic plan has, whatever ChMask says."""

_TOLERANCE_HZ = 10_000  # a twentieth of the distance between channels


@dataclass(frozen=True, slots=True)
class PlanChannel:
    """A channel of uplinks: its centre and the data rates that may be used there."""

    frequency_hz: int
    min_data_rate: int
    max_data_rate: int


@dataclass(frozen=True, slots=True)
class SubBand:
    """A stretch of spectrum, `low_hz` inclusive to `high_hz` exclusive, and what the law allows there.

    `duty_cycle` is the share of an hour that one transmitter may be on air, 1.0 without limit.
    `max_eirp_dbm` holds for the gateway; a device may be held to less.
    """

    low_hz: int
    high_hz: int
    duty_cycle: float
    max_eirp_dbm: float


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Region:
    """A region with a dynamic channel plan; a region is equal to itself only.

    `default_channels` are those of every device from the start, by index; `extra_channels` are what this
    network adds, from the next index on. `data_rates_up` and `data_rates_down` name index and text
    ("SF7BW125"; bit/s of FSK, "50000"); ADR goes up to `adr_max_data_rate`. TXPower n means `max_eirp_dbm`
    − 2n dB, n up to `max_tx_power`.

    `rx1_data_rates` has a row for each data rate of the uplink, a column for each RX1DROffset.
    `max_frm_payloads` is N by data rate, for devices that a repeater may carry. The tables named `dwell` hold
    while a dwell time of 400 ms is in force; without them it changes nothing.

    Where the region knows TXParamSetupReq, `uplink_dwell_time` and `downlink_dwell_time` are what this
    network asks for. A device begins with `default_dwell_time` in both directions.
    """

    name: str
    band_hz: range
    default_channels: tuple[PlanChannel, ...]
    extra_channels: tuple[PlanChannel, ...]
    max_channels: int
    data_rates_up: Mapping[int, str]
    data_rates_down: Mapping[int, str]
    rx1_data_rates: Mapping[int, tuple[int, ...]]
    max_frm_payloads: Mapping[int, int]
    rx2_frequency_hz: int
    rx2_data_rate: int
    max_eirp_dbm: float
    max_tx_power: int
    adr_max_data_rate: int
    sub_bands: tuple[SubBand, ...]
    rx1_data_rates_dwell: Mapping[int, tuple[int, ...]] | None = None
    max_frm_payloads_dwell: Mapping[int, int] | None = None
    has_tx_param_setup: bool = False
    uplink_dwell_time: bool = False
    downlink_dwell_time: bool = False
    default_dwell_time: bool = False

    def __repr__(self) -> str:
        return f"<region {self.name}>"

    @property
    def is_fixed_plan(self) -> bool:
        """Whether all channels are numbered beforehand (US915, AU915)."""
        return False

    @property
    def max_rx1_dr_offset(self) -> int:
        """The highest RX1DROffset."""
        return len(next(iter(self.rx1_data_rates.values()))) - 1

    def data_rate_up(self, text: str) -> int | None:
        """Index of an uplink's data rate, None where the region has no such."""
        return next((index for index, known in self.data_rates_up.items() if known == text), None)

    def rx1_data_rate(self, up_data_rate: int, offset: int, downlink_dwell_time: bool) -> int:  # noqa: FBT001
        """Data rate of RX1 after an uplink at `up_data_rate`. Raises LookupError beyond the table."""
        table = (downlink_dwell_time and self.rx1_data_rates_dwell) or self.rx1_data_rates
        return table[up_data_rate][offset]

    def rx1_frequency_hz(self, uplink_hz: int) -> int:
        """Frequency of RX1: the uplink's, unless a DlChannelReq said otherwise."""
        return uplink_hz

    def channel_indices(self, uplink_hz: int) -> tuple[int, ...]:
        """The default channels that an uplink heard at this frequency may have used."""
        return tuple(
            index
            for index, channel in enumerate(self.default_channels)
            if abs(uplink_hz - channel.frequency_hz) < _TOLERANCE_HZ
        )

    def max_frm_payload(self, direction: Direction, data_rate: int, dwell_time: bool) -> int:  # noqa: FBT001
        """N: the longest FRMPayload in bytes, with FPort and without FOpts. A MACPayload holds 8 more.

        0 for a data rate that may not be used, be it unknown in this direction or too slow for the dwell
        time.
        """
        names = self.data_rates_up if direction is Direction.UP else self.data_rates_down
        table = (dwell_time and self.max_frm_payloads_dwell) or self.max_frm_payloads
        return table.get(data_rate, 0) if data_rate in names else 0

    def sub_band(self, frequency_hz: int) -> SubBand | None:
        """The sub-band of a frequency, None where nobody may send."""
        return next((band for band in self.sub_bands if band.low_hz <= frequency_hz < band.high_hz), None)

    def cf_list(self, channel_block: int = 0) -> CFList | None:
        """What a join accept says of channels: the first five extra ones; blocks are of fixed plans."""
        frequencies = [channel.frequency_hz for channel in self.extra_channels[:FREQUENCIES]]
        frequencies += [0] * (FREQUENCIES - len(frequencies))
        return CFList(0, frequencies_hz=tuple(frequencies)) if self.extra_channels else None

    def link_adr_masks(self, enabled: Set[int]) -> tuple[tuple[int, int], ...]:
        """ChMaskCntl and ChMask of the LinkADRReq block that leaves exactly these channels on.

        Raises ValueError for a channel that the plan cannot have.
        """
        self._require(enabled)
        return ((0, mask_of(enabled, 0, self.max_channels)),)

    def masked(self, enabled: Set[int], ch_mask_cntl: int, ch_mask: int) -> frozenset[int] | None:
        """The channels that are on after one LinkADRReq, if `enabled` were before; None where reserved.

        Every index that a mask names is there, of channels that the device lacks, too: that is the device's
        to refuse, and after `ALL_CHANNELS` to leave out.
        """
        if ch_mask_cntl == ALL_CHANNELS:
            return frozenset(range(self.max_channels))
        return bits(ch_mask) if ch_mask_cntl == 0 else None

    def _require(self, enabled: Set[int]) -> None:
        if strange := sorted(enabled - set(range(self.max_channels))):
            raise ValueError(f"{self.name} has channels 0 to {self.max_channels - 1}, not {strange[0]}")


def mask_of(channels: Set[int], first: int, length: int) -> int:
    """The mask that names these channels, as far as they are `length` from `first` on; bit 0 is `first`."""
    return sum(1 << bit for bit in range(length) if first + bit in channels)


def bits(mask: int, first: int = 0) -> frozenset[int]:
    """The channels that a mask names, bit 0 being channel `first`."""
    return frozenset(first + bit for bit in range(mask.bit_length()) if mask >> bit & 1)
