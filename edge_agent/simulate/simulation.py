"""What to simulate, and what came of it. (signatures)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.lorawan.session import Session
from edge_codecs.identifiers import EUI64


@dataclass(frozen=True, slots=True)
class Simulation:
    """The whole plan; the same plan gives the same bytes. Shares are of 0 … 1.

    Each sensor's report interval lasts `interval_s` of its own life; its life runs `speed_up` times faster
    than the clock. `rate_per_s` instead of 0 sets the pace of uplinks over all sensors and overrides the pace
    that follows from the two. Ends after `uplinks` uplinks (0: never) or `duration_s` (0: never).
    """

    sensors: int = 1
    seed: int = 1
    gateway: EUI64 = EUI64(bytes.fromhex("aa555a0000000101"))
    first_sensor: int = 0  # sensors of different simulations must not overlap
    f_cnt_start: int = 0
    interval_s: int = 900
    speed_up: float = 1.0
    rate_per_s: float = 0.0
    uplinks: int = 0
    duration_s: float = 0.0
    start_ms: int = 0  # UTC of the first moment; 0: now (then bytes differ from run to run)
    loss: float = 0.0  # never reaches the gateway
    duplicates: float = 0.0  # heard twice
    bad_crc: float = 0.0  # a broken copy beside the good one
    foreign: float = 0.0  # frames of others' devices, per own frame
    replays: float = 0.0  # an old frame sent again by an attacker
    bundle: int = 1  # most frames in one datagram


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sent, and what the gateway said to it."""

    uplinks: int  # frames that the agent must store: the ledger's lines
    lost: int
    duplicates: int
    bad_crc: int
    foreign: int
    replays: int
    datagrams: int
    unacknowledged: int  # datagrams without PUSH_ACK


def sessions_of(simulation: Simulation) -> list[Session]:
    """The devices to enter with the agent: what the devices file holds."""
    raise NotImplementedError


def simulate(
    simulation: Simulation,
    host: str,
    port: int,
    *,
    ledger: Path | None = None,
    progress: Callable[[Outcome], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Send the simulation to host:port as a packet forwarder would, and wait for its acknowledgements.

    Appends each uplink that the agent must store to `ledger` (JSON lines). Blocks; run it in a thread or in
    its own process.
    """
    raise NotImplementedError
