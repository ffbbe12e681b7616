"""Radio parameters of a class A device, and how the network's MAC commands change them (TS001, chapter 5).

Written from the device's side of the specification, masks of channels included, so that it checks a network
server and does not repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.lorawan import mac_commands as mac
from edge_agent.lorawan.cflist import CFList
from edge_agent.lorawan.join_accept import JoinAccept
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.region import Region

UP, DOWN = Direction.UP, Direction.DOWN
KEEP = 15  # DataRate or TXPower of LinkADRReq: as it is


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of the device. `downlink_hz` is None where RX1 follows the region's rule."""

    uplink_hz: int
    min_data_rate: int
    max_data_rate: int
    downlink_hz: int | None = None
    enabled: bool = True


class Radio:
    """What the device sends and listens with. `data_rate` is the first one, None the fastest usual."""

    def __init__(self, region: Region, data_rate: int | None) -> None:
        self.region = region
        self.first_data_rate = region.default_channels[0].max_data_rate if data_rate is None else data_rate
        self.reset()

    def reset(self) -> None:
        """As the region begins."""
        region = self.region
        self.channels: dict[int, Channel] = {}
        self.enable_default_channels()
        self.data_rate = self.first_data_rate
        self.tx_power = 0
        self.nb_trans = 1
        self.max_duty_cycle = 0
        self.rx1_delay_s = 1
        self.rx1_dr_offset = 0
        self.rx2_data_rate = region.rx2_data_rate
        self.rx2_frequency_hz = region.rx2_frequency_hz
        self.uplink_dwell_time = self.downlink_dwell_time = region.default_dwell_time
        self.max_eirp_dbm = float(region.max_eirp_dbm)

    def enable_default_channels(self) -> None:
        """Default channels on, others as they are; all of a fixed plan are default channels."""
        for index, plan in enumerate(self.region.default_channels):
            known = self.channels.get(index)
            self.channels[index] = (
                replace(known, enabled=True)
                if known
                else Channel(plan.frequency_hz, plan.min_data_rate, plan.max_data_rate)
            )

    def usable(self, data_rate: int) -> list[int]:
        """Indices of enabled channels for this data rate."""
        return [
            index
            for index, channel in sorted(self.channels.items())
            if channel.enabled and channel.min_data_rate <= data_rate <= channel.max_data_rate
        ]

    def settle(self) -> None:
        """Where no channel is left to send on, the default ones are on again, at a data rate of theirs."""
        if not self.usable(self.data_rate):
            self.enable_default_channels()
        if not self.usable(self.data_rate):
            self.data_rate = self.first_data_rate

    def slower_data_rate(self) -> int | None:
        """The next data rate down that some enabled channel takes, None at the lowest."""
        for data_rate in range(self.data_rate - 1, -1, -1):
            if self.usable(data_rate) and self.region.max_frm_payload(UP, data_rate, self.uplink_dwell_time):
                return data_rate
        return None

    def rx1_hz(self, channel: Channel) -> int:
        """Where RX1 is after an uplink on this channel."""
        if channel.downlink_hz is not None:
            return channel.downlink_hz
        return self.region.rx1_frequency_hz(channel.uplink_hz)

    def rx1_data_rate(self, up_data_rate: int) -> int:
        """RX1's data rate after an uplink at this one."""
        return self.region.rx1_data_rate(up_data_rate, self.rx1_dr_offset, self.downlink_dwell_time)

    def take_join_accept(self, accept: JoinAccept) -> str:
        """Put DLSettings, RxDelay and CFList in force on a fresh radio, or say what is wrong with them."""
        region = self.region
        if accept.rx1_dr_offset > region.max_rx1_dr_offset:
            return f"{region.name} has no RX1DROffset {accept.rx1_dr_offset}"
        if accept.rx2_data_rate not in region.data_rates_down:
            return f"{region.name} has no downlink data rate {accept.rx2_data_rate}"
        data_rate = self.data_rate
        self.reset()
        self.data_rate = data_rate
        self.rx1_delay_s = accept.rx_delay_s or 1
        self.rx1_dr_offset = accept.rx1_dr_offset
        self.rx2_data_rate = accept.rx2_data_rate
        if accept.cf_list is not None:
            self._take_cf_list(accept.cf_list)
        return ""

    def _take_cf_list(self, cf_list: CFList) -> None:
        if cf_list.type == 0 and not self.region.is_fixed_plan:
            first = len(self.region.default_channels)
            plan = self.region.default_channels[0]
            for index, frequency_hz in enumerate(cf_list.frequencies_hz, first):
                if frequency_hz in self.region.band_hz:
                    self.channels[index] = Channel(frequency_hz, plan.min_data_rate, plan.max_data_rate)
        elif cf_list.type == 1 and self.region.is_fixed_plan:
            on = {16 * block + bit for block, mask in enumerate(cf_list.channel_masks) for bit in _bits(mask)}
            self._enable(on & self.channels.keys())

    def _enable(self, on: set[int]) -> None:
        for index, channel in self.channels.items():
            self.channels[index] = replace(channel, enabled=index in on)

    def link_adr(self, block: Sequence[mac.LinkADRReq]) -> mac.LinkADRAns:
        """One block of LinkADRReq, taken as a whole or not at all. Rates and powers are those of its last."""
        last = block[-1]
        on: set[int] | None = {index for index, channel in self.channels.items() if channel.enabled}
        for request in block:
            on = None if on is None else self._masked(on, request)
        channels_right = bool(on) and on is not None and on <= self.channels.keys()
        data_rate = self.data_rate if last.data_rate == KEEP else last.data_rate
        carrying = [self.channels[i] for i in (on or ()) if i in self.channels]
        data_rate_right = (
            data_rate in self.region.data_rates_up
            and self.region.max_frm_payload(UP, data_rate, self.uplink_dwell_time) > 0
            and any(one.min_data_rate <= data_rate <= one.max_data_rate for one in carrying)
        )
        tx_power = self.tx_power if last.tx_power == KEEP else last.tx_power
        power_right = tx_power <= self.region.max_tx_power
        if channels_right and data_rate_right and power_right:
            self._enable(on or set())
            self.data_rate, self.tx_power, self.nb_trans = data_rate, tx_power, last.nb_trans or 1
        return mac.LinkADRAns(channels_right, data_rate_right, power_right)

    def _masked(self, on: set[int], request: mac.LinkADRReq) -> set[int] | None:
        """The channels that are on after one LinkADRReq; None where ChMaskCntl means nothing here."""
        control, mask = request.ch_mask_cntl, _bits(request.ch_mask)
        if not self.region.is_fixed_plan:
            return {0: mask, 6: set(self.channels)}.get(control)
        if control < 5:  # 16 channels; those of 500 kHz in the last block are 8
            block = set(range(16 * control, 16 * control + 16))
            return on - block | {16 * control + bit for bit in mask}
        wide = {64 + bit for bit in mask}
        if control == 5:  # 8 channels of 125 kHz and the one of 500 kHz between them
            banks = {8 * bank + bit for bank in mask for bit in range(8)}
            return banks | {64 + bank for bank in mask}
        return {6: set(range(64)) | wide, 7: wide}.get(control)

    def rx_param_setup(self, request: mac.RXParamSetupReq) -> mac.RXParamSetupAns:
        """Second window and offset of the first: all three, or none."""
        answer = mac.RXParamSetupAns(
            channel_ack=request.frequency in self.region.band_hz,
            rx2_data_rate_ack=request.rx2_data_rate in self.region.data_rates_down,
            rx1_dr_offset_ack=request.rx1_dr_offset <= self.region.max_rx1_dr_offset,
        )
        if answer.channel_ack and answer.rx2_data_rate_ack and answer.rx1_dr_offset_ack:
            self.rx1_dr_offset, self.rx2_data_rate = request.rx1_dr_offset, request.rx2_data_rate
            self.rx2_frequency_hz = request.frequency
        return answer

    def new_channel(self, request: mac.NewChannelReq) -> mac.NewChannelAns:
        """Make, change or remove a channel; the default ones stay."""
        own = len(self.region.default_channels) <= request.ch_index < self.region.max_channels
        rates = {request.min_dr, request.max_dr}
        answer = mac.NewChannelAns(
            channel_frequency_ok=own and (not request.frequency or request.frequency in self.region.band_hz),
            data_rate_range_ok=request.min_dr <= request.max_dr and rates <= self.region.data_rates_up.keys(),
        )
        if answer.channel_frequency_ok and answer.data_rate_range_ok:
            if request.frequency:
                channel = Channel(request.frequency, request.min_dr, request.max_dr)
                self.channels[request.ch_index] = channel
            else:
                self.channels.pop(request.ch_index, None)
        return answer

    def dl_channel(self, request: mac.DlChannelReq) -> mac.DlChannelAns:
        """Another frequency of RX1 for a channel that there is."""
        channel = self.channels.get(request.ch_index)
        answer = mac.DlChannelAns(request.frequency in self.region.band_hz, channel is not None)
        if answer.channel_frequency_ok and channel is not None:
            self.channels[request.ch_index] = replace(channel, downlink_hz=request.frequency)
        return answer

    def tx_param_setup(self, request: mac.TXParamSetupReq) -> None:
        """Dwell times and power."""
        self.uplink_dwell_time = request.uplink_dwell_time
        self.downlink_dwell_time = request.downlink_dwell_time
        self.max_eirp_dbm = float(mac.MAX_EIRP_DBM[request.max_eirp])
        fastest = max(self.region.data_rates_up)
        while not self.region.max_frm_payload(UP, self.data_rate, self.uplink_dwell_time):
            self.data_rate = min(self.data_rate + 1, fastest)


def _bits(mask: int) -> set[int]:
    return {bit for bit in range(16) if mask >> bit & 1}
