"""What a class A device sends, when it listens, and what it makes of a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from edge_agent.lorawan.airtime import airtime_us, modulation_of
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.netid import NetID

TOLERANCE_US = 1_000
"""How far from its window's opening a downlink may begin. Some symbols would do; networks aim well."""

_LAP_US = 1 << 32  # the concentrator's counter


@dataclass(frozen=True, slots=True)
class Sent:
    """An uplink on the air. `end_us` is the concentrator's counter at its end, what windows are timed by.

    `data_rate` is the text that front ends use. `f_cnt` is None for join and rejoin requests.
    """

    phy_payload: bytes
    frequency_hz: int
    data_rate: str
    end_us: int
    eirp_dbm: float
    f_cnt: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A receive window: a downlink must begin at `begin_us`, on this frequency, at this data rate."""

    name: str  # "RX1" or "RX2"
    begin_us: int
    frequency_hz: int
    data_rate: str
    data_rate_index: int

    def missed_by(self, at_us: int, frequency_hz: int, data_rate: str) -> str:
        """Why a transmission that begins at `at_us` is not heard in this window; "" if it is.

        Both times may be the counter's 32 bits, or counted on.
        """
        late_us = (at_us - self.begin_us + _LAP_US // 2) % _LAP_US - _LAP_US // 2
        if abs(late_us) > TOLERANCE_US:
            return f"{self.name} opens {abs(late_us)} µs {'before' if late_us > 0 else 'after'} it"
        if frequency_hz != self.frequency_hz:
            return f"{self.name} is on {self.frequency_hz} Hz, not {frequency_hz}"
        if data_rate != self.data_rate:
            return f"{self.name} is at {self.data_rate}, not {data_rate}"
        return ""


@dataclass(frozen=True, slots=True)
class Joined:
    """A join accept was taken: a new session. `rejoin_type` is None in answer to a join request."""

    dev_addr: DevAddr
    net_id: NetID
    join_nonce: int
    rejoin_type: int | None
    window: str


@dataclass(frozen=True, slots=True)
class Received:
    """A downlink was taken. `f_port` is None without payload, 0 and `payload` empty for MAC commands alone.

    `commands` are those that the device has obeyed or refused; `unknown` is what it could not read.
    """

    f_port: int | None
    payload: bytes
    ack: bool
    confirmed: bool
    f_cnt: int
    commands: tuple[MACCommand, ...]
    unknown: bytes
    window: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame that the device has thrown away, and why."""

    why: str


Heard: TypeAlias = Joined | Received | Ignored


def on_air_us(length: int, data_rate: str) -> int:
    """Time on air of an uplink of `length` bytes; FSK is given as bit/s."""
    if data_rate.isdigit():  # preamble 5, sync word 3, length 1 and CRC 2 bytes around it
        return (length + 11) * 8 * 1_000_000 // int(data_rate)
    return airtime_us(length, modulation_of(data_rate))


def fitting(windows: Iterable[Window], at_us: int, frequency_hz: int, data_rate: str) -> Window | Ignored:
    """The window in which a transmission is heard, or why there is none."""
    reasons = []
    for window in windows:
        reason = window.missed_by(at_us, frequency_hz, data_rate)
        if not reason:
            return window
        reasons.append(reason)
    return Ignored("; ".join(reasons) or "no window is open")
