"""A class A end device by the specification: LoRaWAN 1.0.3, 1.0.4 and 1.1, joining (OTAA) or not (ABP). Pure.

It is written from the device's side and shares nothing with the network server but the frames, ciphers and
region tables, so that it judges the server. What a real device would silently throw away is `Ignored`, with
the reason. Time is the concentrator's counter in µs, 32 bits or counted on.
"""

from __future__ import annotations

from random import Random

from edge_agent.lorawan import mac_commands as mac
from edge_agent.lorawan.gps_time import unix_ms_of_gps_ms
from edge_agent.lorawan.join_accept import EncryptedJoinAccept
from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.malformed import MalformedFrame
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.phypayload import DataFrame, parse
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.simulate.class_a_air import (
    Heard,
    Ignored,
    Joined,
    Received,
    Sent,
    Window,
    fitting,
    on_air_us,
)
from edge_agent.simulate.class_a_join import Asked, Joiner
from edge_agent.simulate.class_a_mac import MAC, MINOR
from edge_agent.simulate.class_a_radio import Channel, Radio
from edge_agent.simulate.class_a_session import Downlink, Uplink, personalised

__all__ = ["ClassADevice", "Heard", "Ignored", "Joined", "Received", "Sent", "Window"]

JOIN_ACCEPT_DELAY_S = 5  # RX1; RX2 is a second later
LISTENS_US = 300_000  # in RX2, until no preamble can come any more
MAC_PORT = 0
MAX_F_PORT = 223
_GPS_SECOND_MS = 1000


class ClassADevice:
    """One device. The same arguments and calls give the same frames.

    `identity` is a Registration (it joins) or a Session (ABP). `version` is that of the registration; for a
    session it may be given. `data_rate` is the one to begin with, None the fastest of the default channels.
    """

    def __init__(
        self,
        identity: Registration | Session,
        region: Region,
        rng: Random,
        *,
        version: LoRaWANVersion | None = None,
        data_rate: int | None = None,
    ) -> None:
        is_registration = isinstance(identity, Registration)
        if version is None or is_registration:
            version = _version_of(identity)
        self.dev_eui = identity.dev_eui
        self.version = version
        self.adr = True
        self.radio = Radio(region, data_rate)
        self.mac = MAC(self.radio, version)
        self.joiner = Joiner(identity, rng) if isinstance(identity, Registration) else None
        self.session = personalised(identity, version) if isinstance(identity, Session) else None
        if self.session is not None and self.session.is_1_1:
            self.mac.reset(mac.ResetInd(MINOR))
        self.adr_ack_cnt = 0
        self._rng = rng
        self._windows: tuple[Window, ...] = ()
        self._asked: Asked | None = None
        self._last: Uplink | None = None
        self._time_asked_us: int | None = None  # end of an uplink with DeviceTimeReq that may be answered
        self._time: tuple[int, int] | None = None  # counter and GPS ms of one moment
        self._asks_time = False
        self._rekey_uplinks = 0

    @property
    def joined(self) -> bool:
        """Whether it has a session and does not just try to get its first."""
        return self.session is not None

    def windows(self) -> tuple[Window, ...]:
        """The windows of the last uplink, RX1 and RX2; none once a downlink was taken."""
        return self._windows

    def room(self) -> int:
        """The longest FRMPayload of the next uplink: what the data rate leaves beside MAC commands."""
        pending = sum(1 + one.length for one in self.mac.pending())
        return max(0, self._longest(self._next_data_rate()) - pending)

    def ask_time(self) -> None:
        """DeviceTimeReq in the next uplink."""
        self._ask(mac.DeviceTimeReq())

    def ask_link_check(self) -> None:
        """LinkCheckReq in the next uplink."""
        self._ask(mac.LinkCheckReq())

    def gps_ms(self, at_us: int) -> int | None:
        """GPS time in ms at a counter value (counted on), None before the network has told it."""
        return None if self._time is None else self._time[1] + (at_us - self._time[0]) // 1000

    def utc_ms(self, at_us: int) -> int | None:
        """UTC in ms since 1970 at a counter value, None before the network has told the time."""
        gps_ms = self.gps_ms(at_us)
        return None if gps_ms is None else unix_ms_of_gps_ms(gps_ms)

    def power_cycle(self) -> None:
        """Switch it off and on: session, parameters and time are forgotten, nonces are not."""
        if self.joiner is not None:
            self.session = None
        self._windows, self._last, self._asked = (), None, None
        self._time = self._time_asked_us = None
        self.adr_ack_cnt = 0
        self.radio.reset()
        self.mac.reset()

    def join_request(self, at_us: int) -> Sent:
        """Ask to join; a session that there was is forgotten. Raises ValueError for an ABP device."""
        if self.joiner is None:
            raise ValueError("a device activated by personalisation does not join")
        self.session = self._last = None
        self.radio.reset()
        self.mac.reset()
        phy_payload, self._asked = self.joiner.request()
        return self._transmit(at_us, phy_payload, *self._hop(), JOIN_ACCEPT_DELAY_S)

    def rejoin_request(self, at_us: int, rejoin_type: int) -> Sent:
        """Ask to join anew (1.1), the session goes on. Raises ValueError without a session of 1.1."""
        if self.joiner is None or self.session is None:
            raise ValueError("only a device that has joined can join anew")
        phy_payload, self._asked = self.joiner.rejoin_request(rejoin_type, self.session)
        return self._transmit(at_us, phy_payload, *self._hop(), JOIN_ACCEPT_DELAY_S)

    def send(
        self, at_us: int, f_port: int | None = None, payload: bytes = b"", *, confirmed: bool = False
    ) -> Sent:
        """The next uplink, with what the device owes and asks. Without FPort: MAC commands alone, or nothing.

        Closes windows that are open. Raises ValueError without a session, and for a payload that the data
        rate does not carry.
        """
        session = self.session
        if session is None:
            raise ValueError("not joined")
        if (payload and f_port is None) or (f_port is not None and not 1 <= f_port <= MAX_F_PORT):
            raise ValueError("a payload takes an FPort from 1 to 223")
        longest = self._longest(self._next_data_rate())
        if len(payload) > longest:
            rate = self.radio.region.data_rates_up[self._next_data_rate()]
            raise ValueError(f"{rate} carries {longest} bytes, not {len(payload)}")
        self._back_off()
        commands = self.mac.pending(min(15, longest - len(payload)))
        f_opts = mac.build_mac_commands(commands)
        if f_port is None and len(self.mac.pending(longest)) > len(commands):
            commands = self.mac.pending(longest)
            f_port, payload, f_opts = MAC_PORT, mac.build_mac_commands(commands), b""
        self._last = Uplink(
            session.f_cnt_up,
            f_port,
            payload,
            f_opts,
            confirmed,
            self.adr,
            self._wants_adr_ack(),
            session.acknowledges,
        )
        session.f_cnt_up += 1
        session.acknowledges = None
        session.confirmed_f_cnt = self._last.f_cnt if confirmed else None
        self.adr_ack_cnt += 1
        self.mac.sent(commands)
        self._asks_time = any(isinstance(one, mac.DeviceTimeReq) for one in commands)
        self._asked = None
        self._count_rekey()
        return self._transmit_last(at_us)

    def repeat(self, at_us: int) -> Sent:
        """The last uplink once more, on another channel (NbTrans, or a confirmed one without answer).

        Raises ValueError where there is none, or a downlink has come.
        """
        if self._last is None or self.session is None:
            raise ValueError("nothing to repeat")
        return self._transmit_last(at_us)

    def receive(
        self, phy_payload: bytes, at_us: int, frequency_hz: int, data_rate: str, *, snr_db: float = 8.0
    ) -> Heard:
        """A transmission that begins at `at_us`, and what the device makes of it."""
        window = fitting(self._windows, at_us, frequency_hz, data_rate)
        if isinstance(window, Ignored):
            return window
        try:
            frame = parse(phy_payload)
        except MalformedFrame as error:
            return Ignored(f"not LoRaWAN: {error}")
        match frame:
            case EncryptedJoinAccept():
                return self._take_join_accept(frame, window)
            case DataFrame():
                return self._take_data(frame, len(phy_payload), window, snr_db)
        return Ignored(f"a frame that devices send: {frame.mtype.text}")

    def _take_join_accept(self, frame: EncryptedJoinAccept, window: Window) -> Joined | Ignored:
        if self._asked is None or self.joiner is None:
            return Ignored("a join accept, and it has not asked for one")
        asked = self._asked
        accepted = self.joiner.open(frame, asked)
        if isinstance(accepted, str):
            return Ignored(accepted)
        accept = accepted.accept
        if asked.rejoin_type != 2:  # which leaves radio parameters as they are
            wrong = self.radio.take_join_accept(accept)
            if wrong:
                return Ignored(wrong)
        self.joiner.take(accepted)
        self.session = accepted.session
        self.mac.reset(mac.RekeyInd(MINOR) if self.session.is_1_1 else None)
        self.adr_ack_cnt = self._rekey_uplinks = 0
        self._windows, self._asked, self._last = (), None, None
        return Joined(accept.dev_addr, accept.net_id, accept.join_nonce, asked.rejoin_type, window.name)

    def _take_data(self, frame: DataFrame, length: int, window: Window, snr_db: float) -> Received | Ignored:
        if self.session is None:
            return Ignored("it has no session")
        region, dwell_time = self.radio.region, self.radio.downlink_dwell_time
        most = region.max_frm_payload(Direction.DOWN, window.data_rate_index, dwell_time) + 13
        if length > most:
            return Ignored(f"{length} bytes at {window.data_rate}, which carries {most}")
        downlink = self.session.open(frame)
        if isinstance(downlink, str):
            return Ignored(downlink)
        self.adr_ack_cnt = 0
        self._windows, self._last, self._asked = (), None, None
        return self._received(downlink, window, snr_db)

    def _received(self, downlink: Downlink, window: Window, snr_db: float) -> Received:
        on_port_0 = downlink.f_port == MAC_PORT
        commands, unknown = self.mac.take(downlink.payload if on_port_0 else downlink.f_opts, snr_db)
        for one in commands:
            if isinstance(one, mac.DeviceTimeAns) and self._time_asked_us is not None:
                gps_ms = one.gps_seconds * _GPS_SECOND_MS + one.fraction_256 * _GPS_SECOND_MS // 256
                self._time = (self._time_asked_us, gps_ms)
        return Received(
            downlink.f_port,
            b"" if on_port_0 else downlink.payload,
            downlink.ack,
            downlink.confirmed,
            downlink.f_cnt,
            commands,
            unknown,
            window.name,
        )

    def _transmit_last(self, at_us: int) -> Sent:
        assert self._last is not None
        assert self.session is not None
        data_rate, index = self._hop()
        phy_payload = self.session.build(self._last, data_rate, index)
        sent = self._transmit(at_us, phy_payload, data_rate, index, self.radio.rx1_delay_s)
        self._time_asked_us = sent.end_us if self._asks_time else None
        return sent

    def _transmit(self, at_us: int, phy_payload: bytes, data_rate: int, index: int, delay_s: int) -> Sent:
        radio = self.radio
        channel = radio.channels[index]
        text = radio.region.data_rates_up[data_rate]
        end_us = at_us + on_air_us(len(phy_payload), text)
        self._windows = self._open(channel, data_rate, end_us, delay_s)
        eirp_dbm = radio.max_eirp_dbm - 2 * radio.tx_power
        f_cnt = None if self._asked is not None or self._last is None else self._last.f_cnt
        return Sent(phy_payload, channel.uplink_hz, text, end_us, eirp_dbm, f_cnt)

    def _open(self, channel: Channel, data_rate: int, end_us: int, delay_s: int) -> tuple[Window, ...]:
        radio = self.radio
        names = radio.region.data_rates_down
        rx1_us = end_us + delay_s * 1_000_000
        rx1 = radio.rx1_data_rate(data_rate)
        rx2 = radio.rx2_data_rate
        return (
            Window("RX1", rx1_us, radio.rx1_hz(channel), names[rx1], rx1),
            Window("RX2", rx1_us + 1_000_000, radio.rx2_frequency_hz, names[rx2], rx2),
        )

    def _hop(self) -> tuple[int, int]:
        """Data rate and channel of the next transmission. Joins use every channel, 500 kHz ones too."""
        radio = self.radio
        if self.session is None and radio.region.is_fixed_plan:
            index = self._rng.choice(sorted(radio.channels))
            channel = radio.channels[index]
            return max(channel.min_data_rate, min(channel.max_data_rate, radio.data_rate)), index
        radio.settle()
        return radio.data_rate, self._rng.choice(radio.usable(radio.data_rate))

    def _longest(self, data_rate: int) -> int:
        return self.radio.region.max_frm_payload(Direction.UP, data_rate, self.radio.uplink_dwell_time)

    def _ask(self, command: MACCommand) -> None:
        if command not in self.mac.asked:
            self.mac.asked.append(command)

    def _wants_adr_ack(self) -> bool:
        if not self.adr or self.adr_ack_cnt < self.mac.adr_ack_limit:
            return False
        lowest_may_ask = self.version in (LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1)
        return lowest_may_ask or self.radio.slower_data_rate() is not None

    def _backs_off(self) -> bool:
        """Whether the next uplink is the one at which too many have gone unanswered."""
        over = self.adr_ack_cnt - self.mac.adr_ack_limit
        return self.adr and over >= self.mac.adr_ack_delay and over % self.mac.adr_ack_delay == 0

    def _next_data_rate(self) -> int:
        slower = self.radio.slower_data_rate()
        return (
            self.radio.data_rate if slower is None or self.radio.tx_power or not self._backs_off() else slower
        )

    def _back_off(self) -> None:
        """To be heard again: full power, then slower data rates, then the default channels, too."""
        if self._backs_off():
            radio, data_rate = self.radio, self._next_data_rate()
            if not radio.tx_power and data_rate == radio.data_rate:
                radio.nb_trans = 1
                radio.enable_default_channels()
            radio.tx_power, radio.data_rate = 0, data_rate

    def _count_rekey(self) -> None:
        """Without RekeyConf after ADR_ACK_LIMIT uplinks the device must join again (1.1, section 5.10)."""
        if isinstance(self.mac.introduction, mac.RekeyInd):
            self._rekey_uplinks += 1

    @property
    def must_join(self) -> bool:
        """No session, or one of 1.1 that the network has not confirmed in time."""
        return self.joiner is not None and (
            self.session is None
            or (self.mac.introduction is not None and self._rekey_uplinks >= self.mac.adr_ack_limit)
        )


def _version_of(identity: Registration | Session) -> LoRaWANVersion:
    if isinstance(identity, Registration):
        return identity.version
    return LoRaWANVersion.V1_1 if identity.lorawan == "1.1" else LoRaWANVersion.V1_0_4
