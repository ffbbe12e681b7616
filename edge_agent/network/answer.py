"""A downlink in answer to an uplink, and what became of it (class A: LoRaWAN 1.0.4, section 3.3)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from edge_agent.network.rx_frame import RxFrame
from edge_codecs.identifiers import DevEUI


@dataclass(frozen=True, slots=True)
class Window:
    """One receive window of the device. `delay_us` counts from the end of the uplink.

    `eirp_dbm` is the most that may be radiated there.
    """

    name: str  # "RX1" or "RX2"
    delay_us: int
    frequency_hz: int
    data_rate: str  # "SF9BW125", or bit/s of FSK such as "50000"
    eirp_dbm: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One PHYPayload for one device, in the windows that `uplink` opened; tried in order.

    `downlink` is the number of the queued downlink inside, None without. `f_cnt_down` is None for a join
    accept.
    """

    dev_eui: DevEUI
    uplink: RxFrame
    phy_payload: bytes
    windows: tuple[Window, ...]
    what: str  # "join accept", "acknowledgement", "MAC commands", "configure" …, for people
    session: int
    f_cnt_down: int | None = None
    downlink: int | None = None


class TxResult(enum.Enum):
    """What became of a transmission; the value is its name in counters, JSON and the manual."""

    SENT = "sent"
    TOO_LATE = "too_late"
    TOO_EARLY = "too_early"
    COLLISION = "collision"
    DUTY_CYCLE = "duty_cycle"
    TX_FREQ = "tx_freq"
    TX_POWER = "tx_power"
    GPS_UNLOCKED = "gps_unlocked"
    NO_TX_ACK = "no_tx_ack"
    NO_ROUTE = "no_route"
    REFUSED = "refused"
    QUEUE_FULL = "queue_full"
    NO_TRANSMITTER = "no_transmitter"
    STOPPED = "stopped"
    NO_COUNTER = "no_counter"

    @property
    def sentence(self) -> str:
        """What it means, and what to do."""
        return _SENTENCES[self]


_SENTENCES = {
    TxResult.SENT: "The packet forwarder took it for its time.",
    TxResult.TOO_LATE: (
        "It came to the packet forwarder too late for its time. Is the gateway overloaded, or is the "
        "forwarder on another machine? Keep both on one."
    ),
    TxResult.TOO_EARLY: (
        "The packet forwarder took its time for one too far ahead. Some forwarders say so of a time that has "
        "just passed: see too_late."
    ),
    TxResult.COLLISION: "The transmitter has another frame at that time. Some are normal.",
    TxResult.DUTY_CYCLE: (
        "The gateway has sent as much in the last hour as the law allows on that frequency. "
        "Fewer confirmed uplinks and faster data rates help."
    ),
    TxResult.TX_FREQ: (
        "Nobody may send on that frequency in this region, or the packet forwarder may not: look at "
        "tx_freq_min and tx_freq_max in its configuration."
    ),
    TxResult.TX_POWER: "The packet forwarder cannot send with that power. Look at its table of powers.",
    TxResult.GPS_UNLOCKED: "The packet forwarder wants GPS time for it and has none.",
    TxResult.NO_TX_ACK: (
        "The packet forwarder did not say whether it sends. Is transmission enabled in its configuration "
        "(tx_enable), and is it alive?"
    ),
    TxResult.NO_ROUTE: (
        "The packet forwarder has not asked for downlinks (PULL_DATA) yet. Does it know the right port "
        "(serv_port_down)?"
    ),
    TxResult.REFUSED: "The packet forwarder refused it for a reason of its own; its word is in the detail.",
    TxResult.QUEUE_FULL: "More answers wait than one transmitter can ever send.",
    TxResult.NO_TRANSMITTER: (
        "That radio cannot answer: it is a recording, or its frames come without the counter (tmst) that "
        "times an answer."
    ),
    TxResult.STOPPED: "The agent ended before it was handed over.",
    TxResult.NO_COUNTER: (
        "The session has used all its downlink counters: the device must join anew. One that is activated "
        "by personalisation needs new keys."
    ),
}


@dataclass(frozen=True, slots=True)
class Transmitted:
    """How an answer ended: the last window's result, and what was tried before it."""

    answer: Answer
    result: TxResult
    window: Window | None  # in which it was sent; None where it was not
    detail: str = ""  # such as "RX1 collision, RX2 no_tx_ack"
