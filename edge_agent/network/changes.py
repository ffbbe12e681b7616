"""What a decision changes: on disk, in one transaction, before any answer goes to the radio.

A power cut between two steps then loses an answer, never a nonce or a counter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from edge_agent.network.device import DownlinkState, NetworkSession
from edge_agent.network.mac_state import MacState
from edge_codecs.identifiers import DevEUI


@dataclass(frozen=True, slots=True)
class JoinAnswered:
    """A join or rejoin request was taken: its nonce is used, a JoinNonce is given, a session is pending.

    `pending` is kept beside earlier ones, at most MAX_PENDING; its session's number is `join_nonce`. Of
    `dev_nonce`, `rj_count_0` (of the present session) and `rj_count_1` one is set: what the request carried.
    """

    dev_eui: DevEUI
    join_nonce: int
    pending: NetworkSession
    dev_nonce: int | None = None
    rj_count_0: int | None = None
    rj_count_1: int | None = None


@dataclass(frozen=True, slots=True)
class SessionTaken:
    """The device used a pending session: that is its session now, all that were given before it are gone."""

    dev_eui: DevEUI
    session: int


@dataclass(frozen=True, slots=True)
class CountersReserved:
    """Downlink counters below these bounds may be used from now on."""

    dev_eui: DevEUI
    session: int
    n_f_cnt_down: int
    a_f_cnt_down: int


@dataclass(frozen=True, slots=True)
class MacChanged:
    """What device and network agree on, or have asked each other, is different now."""

    dev_eui: DevEUI
    session: int
    mac: MacState


@dataclass(frozen=True, slots=True)
class ConfirmedSent:
    """A confirmed downlink with this 32-bit counter is about to be sent."""

    dev_eui: DevEUI
    session: int
    conf_f_cnt: int


@dataclass(frozen=True, slots=True)
class DownlinkChanged:
    """A queued downlink was tried, acknowledged or given up."""

    number: int
    state: DownlinkState
    tries: int
    f_cnt_down: int | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HistoryAsked:
    """A sensor has heard once more that it is asked for the intervals of a gap that ends at `to_ms`."""

    dev_eui: DevEUI
    channel: int
    to_ms: int


Change: TypeAlias = (
    JoinAnswered
    | SessionTaken
    | CountersReserved
    | MacChanged
    | ConfirmedSent
    | DownlinkChanged
    | HistoryAsked
)
