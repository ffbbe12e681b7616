"""A device as far as its MAC parameters go: it does as the specification says, or refuses as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import (
    MAX_EIRP_DBM,
    DevStatusAns,
    DevStatusReq,
    DlChannelAns,
    DlChannelReq,
    DutyCycleAns,
    DutyCycleReq,
    LinkADRAns,
    LinkADRReq,
    NewChannelAns,
    NewChannelReq,
    RXParamSetupAns,
    RXParamSetupReq,
    RXTimingSetupAns,
    RXTimingSetupReq,
    TXParamSetupAns,
    TXParamSetupReq,
    build_mac_commands,
)
from edge_agent.lorawan.region import Region
from edge_agent.network.moment import Moment
from edge_agent.network.outcome import Admitted
from edge_codecs.identifiers import DevEUI
from tests.rig.lorawan_frames import heard

STICKY = (RXParamSetupAns, RXTimingSetupAns, TXParamSetupAns, DlChannelAns)
DEV_EUI = DevEUI(bytes(range(8)))


def moment(seconds: float = 1_000.0, utc_ms: int | None = 1_800_000_000_000) -> Moment:
    """So long after the host's start; the UTC clock runs along."""
    wall_ms = 1_800_000_000_000 + int(seconds * 1000)
    return Moment(int(seconds * 1e9), None if utc_ms is None else utc_ms + int(seconds * 1000), wall_ms)


def uplink(
    f_cnt: int,
    commands: Iterable[MACCommand] = (),
    *,
    adr: bool = True,
    adr_ack_req: bool = False,
    data_rate: str = "SF7BW125",
    frequency_hz: int = 868_100_000,
    snr_db: float | None = 5.0,
    seconds: float = 1_000.0,
) -> Admitted:
    """An uplink that carries these commands in FOpts, or on FPort 0 where they are too long."""
    raw = build_mac_commands(commands)
    on_port_0 = len(raw) > 15
    air = bytes((0x40, 1, 2, 3, 4, 0)) + (f_cnt & 0xFFFF).to_bytes(2, "little") + bytes(4)
    frame = replace(
        heard(air, frequency_hz=frequency_hz, data_rate=data_rate),
        snr_db=snr_db,
        monotonic_ns=int(seconds * 1e9),
    )
    return Admitted(
        DEV_EUI,
        1,
        f_cnt,
        confirmed=False,
        adr=adr,
        f_opts=b"" if on_port_0 else raw,
        f_port=0 if on_port_0 else None,
        payload=raw if on_port_0 else b"",
        message=None,
        flaw=None,
        frame=frame,
        codec="clipr",
        codec_version=1,
        adr_ack_req=adr_ack_req,
    )


@dataclass
class MacDevice:
    """Its parameters, and what it will say next.

    `refuses` says of a command which of its answer's bits are to be cleared. `ignores` are CIDs that it does
    not know: it stops reading there, as devices do.
    """

    region: Region
    rx1_delay_s: int
    rx1_dr_offset: int
    rx2_data_rate: int
    rx2_frequency_hz: int
    channels: dict[int, tuple[int, int, int]]
    enabled: set[int]
    max_eirp_dbm: float
    uplink_dwell_time: bool = False
    downlink_dwell_time: bool = False
    downlinks_hz: dict[int, int] = field(default_factory=dict)
    data_rate: int = 0
    tx_power: int = 0
    nb_trans: int = 1
    max_duty_cycle: int = 0
    adr: bool = True
    f_cnt: int = 0
    refuses: Callable[[MACCommand], set[str]] = lambda _command: set()
    ignores: frozenset[int] = frozenset()
    once: list[MACCommand] = field(default_factory=list)
    sticky: list[MACCommand] = field(default_factory=list)
    spoke_on: int = 0

    def speak(self, *, snr_db: float = 5.0, seconds: float = 1_000.0) -> tuple[Admitted, list[MACCommand]]:
        """The next uplink and the commands in it, on an enabled channel that has the data rate if any."""
        commands = [*self.sticky, *self.once]
        self.once = []
        ranges = {index: self._range(index) for index in self.enabled}
        fitting = [index for index, (low, high) in ranges.items() if low <= self.data_rate <= high]
        index = sorted(fitting or self.enabled)[self.f_cnt % len(fitting or self.enabled)]
        self.f_cnt += 1
        said = uplink(
            self.f_cnt,
            commands,
            adr=self.adr,
            data_rate=self.region.data_rates_up[self.data_rate],
            frequency_hz=self._uplink_hz(index),
            snr_db=snr_db,
            seconds=seconds,
        )
        self.spoke_on = index
        return said, commands

    def hear(self, commands: Iterable[MACCommand]) -> None:
        """A downlink: sticky answers end, the commands are taken in order."""
        self.sticky = []
        block: list[LinkADRReq] = []
        for command in [*commands, None]:
            if block and not isinstance(command, LinkADRReq):
                self._link_adr(block)
                block = []
            if command is None or command.cid in self.ignores:
                break
            if isinstance(command, LinkADRReq):
                block.append(command)
            else:
                self._take(command)

    def rx1_hz(self) -> int:
        """Where RX1 of the last uplink is."""
        index = self.spoke_on
        return self.downlinks_hz.get(index, self.region.rx1_frequency_hz(self._uplink_hz(index)))

    def _uplink_hz(self, index: int) -> int:
        if index in self.channels:
            return self.channels[index][0]
        return self.region.default_channels[index].frequency_hz

    def _range(self, index: int) -> tuple[int, int]:
        if index in self.channels:
            return self.channels[index][1:]
        channel = self.region.default_channels[index]
        return channel.min_data_rate, channel.max_data_rate

    def _there(self) -> set[int]:
        return set(self.channels) | set(range(len(self.region.default_channels)))

    def _link_adr(self, block: list[LinkADRReq]) -> None:
        enabled: frozenset[int] | None = frozenset(self.enabled)
        for command in block:
            enabled = enabled and self.region.masked(enabled, command.ch_mask_cntl, command.ch_mask)
        last, no = block[-1], self.refuses(block[-1])
        channels = bool(enabled) and enabled <= self._there() and "channels" not in no
        data_rate = last.data_rate in (15, *self.region.data_rates_up) and "data_rate" not in no
        power = last.tx_power in range(self.region.max_tx_power + 1) and "tx_power" not in no
        if not self.adr:
            data_rate = power = False
        answer = LinkADRAns(channels, data_rate, power)
        self.once += [answer] * len(block)
        if channels and (not self.adr or (data_rate and power)):
            self.enabled = set(enabled or ())
        if channels and data_rate and power:
            self.data_rate = self.data_rate if last.data_rate == 15 else last.data_rate
            self.tx_power, self.nb_trans = last.tx_power, last.nb_trans

    def _take(self, command: MACCommand) -> None:
        no = self.refuses(command)
        match command:
            case DevStatusReq():
                self.once.append(DevStatusAns(254, 7))
            case DutyCycleReq():
                self.max_duty_cycle = command.max_duty_cycle
                self.once.append(DutyCycleAns())
            case RXTimingSetupReq():
                self.rx1_delay_s = command.delay_s or 1
                self.sticky.append(RXTimingSetupAns())
            case TXParamSetupReq():
                self.uplink_dwell_time = command.uplink_dwell_time
                self.downlink_dwell_time = command.downlink_dwell_time
                self.max_eirp_dbm = MAX_EIRP_DBM[command.max_eirp]
                self.sticky.append(TXParamSetupAns())
            case RXParamSetupReq():
                answer = RXParamSetupAns("frequency" not in no, "data_rate" not in no, "offset" not in no)
                self.sticky.append(answer)
                if not no & {"frequency", "data_rate", "offset"}:
                    self.rx1_dr_offset, self.rx2_data_rate = command.rx1_dr_offset, command.rx2_data_rate
                    self.rx2_frequency_hz = command.frequency
            case NewChannelReq():
                self._new_channel(command, no)
            case DlChannelReq():
                exists = command.ch_index in self._there()
                self.sticky.append(DlChannelAns("frequency" not in no, exists))
                if exists and "frequency" not in no:
                    self.downlinks_hz[command.ch_index] = command.frequency
                    if command.frequency == self.region.rx1_frequency_hz(self._uplink_hz(command.ch_index)):
                        del self.downlinks_hz[command.ch_index]

    def _new_channel(self, command: NewChannelReq, no: set[str]) -> None:
        index = command.ch_index
        fine = len(self.region.default_channels) <= index < self.region.max_channels
        answer = NewChannelAns(fine and "frequency" not in no, "data_rate" not in no)
        self.once.append(answer)
        if answer.channel_frequency_ok and answer.data_rate_range_ok:
            self.downlinks_hz.pop(index, None)
            self.channels.pop(index, None)
            self.enabled.discard(index)
            if command.frequency:
                self.channels[index] = (command.frequency, command.min_dr, command.max_dr)
                self.enabled.add(index)
