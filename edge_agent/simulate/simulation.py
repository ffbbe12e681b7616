"""A simulation from plan to outcome: the door that the command line, the demo and the tests use."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from edge_agent.simulate.forwarder import PacketForwarder, datagrams
from edge_agent.simulate.plan import Outcome, Simulation
from edge_agent.simulate.scenario import receptions, sessions_of

__all__ = ["Outcome", "Simulation", "sessions_of", "simulate"]


def simulate(
    simulation: Simulation,
    host: str,
    port: int,
    *,
    ledger: Path | None = None,
    progress: Callable[[Outcome], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Send the simulation to host:port as a packet forwarder would, and count its acknowledgements.

    Appends each uplink that the agent must store to `ledger`, JSON lines {"dev_eui", "f_cnt", "f_port",
    "payload", "sent_at", "gateway"}, before it is sent. Blocks; run it in a thread or in its own process.
    Raises ServiceUnavailable when the address cannot be used.
    """
    start_ms = simulation.start_ms or time.time_ns() // 1_000_000
    with contextlib.ExitStack() as stack:
        forwarder = stack.enter_context(contextlib.closing(PacketForwarder(simulation.gateway, host, port)))
        lines = stack.enter_context(ledger.open("a", encoding="ascii")) if ledger else None
        groups = datagrams(receptions(simulation, start_ms), simulation.bundle)
        return forwarder.run(groups, lines, progress, should_stop)
