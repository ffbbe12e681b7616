"""What the network keeps of a device: registration, nonces, sessions, and what waits to be sent to it.

Everything here is a value; `changes` says how one follows from another, and the store keeps both.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.network.mac_state import MacState
from edge_codecs.identifiers import DevEUI

MAX_PENDING = 8
"""Sessions given and not used yet that are kept for one device. More than one, because nobody knows which of
the accepts it heard: one may answer a recording of a join request that had never reached the gateway."""


@dataclass(frozen=True, slots=True)
class JoinNonces:
    """What a join must never use twice.

    `join_nonce` is the last one given, 24 bits, 0 before the first. `dev_nonce` is the highest one taken of a
    device whose DevNonce rises; `dev_nonces` are all taken of one whose DevNonce is random. `rj_count_1` is
    the highest RJcount1 (1.1).
    """

    join_nonce: int = 0
    dev_nonce: int | None = None
    dev_nonces: frozenset[int] = frozenset()
    rj_count_1: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkSession:
    """One session with what the network knows beside its keys.

    `mac` None: as the region begins (ABP). The downlink counters are bounds on disk: every counter below may
    have been used, none from there on. Under 1.0.x only `n_f_cnt_down` counts. `conf_f_cnt` is the 32-bit
    counter of the last confirmed downlink. `rj_count_0` is the highest RJcount0 of this session (1.1).
    """

    session: Session
    mac: MacState | None = None
    n_f_cnt_down: int = 0
    a_f_cnt_down: int = 0
    conf_f_cnt: int | None = None
    rj_count_0: int | None = None


class DownlinkState(enum.Enum):
    """Where a queued downlink stands; the value is its name on disk and in JSON."""

    WAITING = "waiting"  # for the device to say something
    SENT = "sent"  # confirmed: its acknowledgement is awaited; else done
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"  # given up, `detail` says why


@dataclass(frozen=True, slots=True)
class QueuedDownlink:
    """One application message for a device. `number` is the store's, 0 before it is stored.

    `created_ms` is this host's UTC, for people. `f_cnt_down` is the counter of the last sending.
    """

    number: int
    dev_eui: DevEUI
    f_port: int
    payload: bytes
    confirmed: bool
    created_ms: int
    state: DownlinkState = DownlinkState.WAITING
    tries: int = 0
    f_cnt_down: int | None = None
    detail: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing more happens to it."""
        if self.state is DownlinkState.SENT:
            return not self.confirmed
        return self.state is not DownlinkState.WAITING


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the store has it. `registration` is None for one activated by personalisation (ABP).

    `session` is None before the first valid uplink of the first session; `pending` is what later join accepts
    gave, oldest first, until the device uses one. `downlinks` are those not done, in order.
    """

    dev_eui: DevEUI
    registration: Registration | None = None
    nonces: JoinNonces = JoinNonces()
    session: NetworkSession | None = None
    pending: tuple[NetworkSession, ...] = ()
    downlinks: tuple[QueuedDownlink, ...] = ()
