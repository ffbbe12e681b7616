"""MAC commands of a class A device: what it answers, asks and repeats (TS001, chapter 5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from edge_agent.lorawan import mac_commands as mac
from edge_agent.lorawan.fhdr import MAX_F_OPTS
from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.simulate.class_a_radio import Radio

ADR_ACK_LIMIT = 64
ADR_ACK_DELAY = 32
MINOR = 1  # of LoRaWAN 1.1, in ResetInd and RekeyInd

_CIDS_1_0 = frozenset({0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0D})
_CIDS_1_1 = _CIDS_1_0 | {0x01, 0x0B, 0x0C, 0x0E, 0x0F}
_STICKY = (mac.RXParamSetupAns, mac.RXTimingSetupAns, mac.DlChannelAns)
"""Answers that are repeated in every uplink until a downlink proves that one was heard."""


class MAC:
    """The commands of one device. `battery` is what DevStatusAns says: 0 external power, 255 not measured."""

    def __init__(self, radio: Radio, version: LoRaWANVersion) -> None:
        self.radio = radio
        self.battery = 254
        self.link_check: mac.LinkCheckAns | None = None
        self.force_rejoin: mac.ForceRejoinReq | None = None
        self.rejoin_params: mac.RejoinParamSetupReq | None = None
        self._is_1_1 = version is LoRaWANVersion.V1_1
        self._cids = _CIDS_1_1 if self._is_1_1 else _CIDS_1_0
        self.reset()

    def reset(self, introduction: MACCommand | None = None) -> None:
        """Nothing asked or owed any more. `introduction` (1.1) is sent until the network confirms it."""
        self.introduction = introduction
        self.adr_ack_limit, self.adr_ack_delay = ADR_ACK_LIMIT, ADR_ACK_DELAY
        self.asked: list[MACCommand] = []
        self._owed: list[MACCommand] = []

    def pending(self, room: int = MAX_F_OPTS) -> list[MACCommand]:
        """What the next uplink carries, in at most `room` bytes.

        Answers stand in the order of their requests; the row ends before the first that does not fit.
        """
        introduction = [] if self.introduction is None else [self.introduction]
        row: list[MACCommand] = []
        for one in (*introduction, *self._owed, *self.asked):
            room -= 1 + one.length
            if room < 0:
                break
            row.append(one)
        return row

    def sent(self, commands: Sequence[MACCommand]) -> None:
        """An uplink with these has gone out: answers are given once, but for the sticky ones.

        An answer that did not fit is dropped with them; the network asks again.
        """
        self._owed = [answer for answer in self._owed if isinstance(answer, _STICKY)]
        self.asked = [one for one in self.asked if one not in commands]

    def take(self, raw: bytes, snr_db: float) -> tuple[tuple[MACCommand, ...], bytes]:
        """Obey the commands of a downlink; returns them and the bytes from the first unknown one on.

        A downlink is there, so what was repeated until one came is not any more.
        """
        self._owed = []
        commands, rest = mac.parse_mac_commands(Direction.DOWN, raw)
        known = [one.cid in self._cids for one in commands]
        if not all(known):  # its length is unknown to the device, so reading ends there
            end = known.index(False)
            rest = b"".join(one.to_bytes() for one in commands[end:]) + rest
            commands = commands[:end]
        had_link_adr = False
        for kind, group in groupby(commands, type):
            block = list(group)
            if kind is mac.LinkADRReq:
                self._link_adr(block, first=not had_link_adr)
                had_link_adr = True
            else:
                for one in block:
                    self._obey(one, snr_db)
        return tuple(commands), rest

    def _link_adr(self, block: Sequence[MACCommand], *, first: bool) -> None:
        requests = [one for one in block if isinstance(one, mac.LinkADRReq)]
        answer = self.radio.link_adr(requests) if first else mac.LinkADRAns(False, False, False)  # noqa: FBT003
        self._owed += [answer] * (1 if self._is_1_1 else len(requests))

    def _obey(self, request: MACCommand, snr_db: float) -> None:
        if answer := self._answer(request, snr_db):
            self._owed.append(answer)

    def _answer(self, request: MACCommand, snr_db: float) -> MACCommand | None:
        """Change what the request changes; what to say to it, if anything."""
        radio = self.radio
        match request:
            case mac.RXParamSetupReq():
                return radio.rx_param_setup(request)
            case mac.RXTimingSetupReq():
                radio.rx1_delay_s = request.delay_s or 1
                return mac.RXTimingSetupAns()
            case mac.DevStatusReq():
                return mac.DevStatusAns(self.battery, max(-32, min(31, round(snr_db))))
            case mac.DutyCycleReq():
                radio.max_duty_cycle = request.max_duty_cycle
                return mac.DutyCycleAns()
            case mac.NewChannelReq() if not radio.region.is_fixed_plan:
                return radio.new_channel(request)
            case mac.DlChannelReq() if not radio.region.is_fixed_plan:
                return radio.dl_channel(request)
            case mac.TXParamSetupReq() if radio.region.has_tx_param_setup:
                radio.tx_param_setup(request)
                return mac.TXParamSetupAns()
            case mac.ADRParamSetupReq():
                self.adr_ack_limit, self.adr_ack_delay = 1 << request.limit_exp, 1 << request.delay_exp
                return mac.ADRParamSetupAns()
            case mac.RejoinParamSetupReq():
                self.rejoin_params = request
                return mac.RejoinParamSetupAns(time_ok=False)
        self._note(request)
        return None

    def _note(self, command: MACCommand) -> None:
        """Commands without an answer: the network's own answers, and the order to rejoin."""
        match command:
            case mac.LinkCheckAns():
                self.link_check = command
            case mac.ForceRejoinReq():
                self.force_rejoin = command
            case mac.RekeyConf() | mac.ResetConf():
                if self.introduction is not None and self.introduction.cid == command.cid:
                    self.introduction = None if 0 < command.minor <= MINOR else self.introduction
