"""A simulation from plan to outcome: the door that the command line, the demo and the tests use."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge_agent.simulate.forwarder import HEARTBEAT_S, Ledger, PacketForwarder, datagrams
from edge_agent.simulate.plan import Outcome, Simulation
from edge_agent.simulate.scenario import devices_of, receptions, sessions_of
from edge_agent.simulate.world import World

__all__ = ["Outcome", "Simulation", "devices_of", "sessions_of", "simulate"]

Progress = Callable[[Outcome], None]


def simulate(
    simulation: Simulation,
    host: str,
    port: int,
    *,
    ledger: Path | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Send the simulation to host:port as a packet forwarder would, take downlinks, count acknowledgements.

    Appends JSON lines to `ledger`: each uplink that the agent must store, before it is sent, {"dev_eui",
    "session", "f_cnt", "f_port", "payload", "sent_at", "gateway"}; and of sensors that join each interval
    that they have measured, {"dev_eui", "channel", "interval_end_ms", "interval_s", "minimum", "maximum"}.
    Blocks; run it in a thread or in its own process. Raises ServiceUnavailable when the address cannot be
    used.
    """
    start_ms = simulation.start_ms or time.time_ns() // 1_000_000
    with contextlib.ExitStack() as stack:
        forwarder = stack.enter_context(contextlib.closing(PacketForwarder(simulation.gateway, host, port)))
        lines = stack.enter_context(ledger.open("a", encoding="ascii")) if ledger else None
        play = _listening if simulation.joins else _speaking
        play(simulation, start_ms, forwarder, lines, progress, should_stop)
        return forwarder.finish(progress)


def _speaking(
    simulation: Simulation,
    start_ms: int,
    forwarder: PacketForwarder,
    ledger: Ledger | None,
    progress: Progress | None,
    should_stop: Callable[[], bool],
) -> None:
    """Sensors that only speak: each group when its time has come. Nobody hears what the gateway sends."""
    forwarder.start()
    for group in datagrams(receptions(simulation, start_ms), simulation.bundle):
        due_us = round(group[0].at_s * 1_000_000)
        while True:
            if should_stop():
                return
            forwarder.beat(progress)
            now_us = forwarder.counter_us
            if now_us >= due_us and forwarder.is_free:
                break
            forwarder.listen(min(HEARTBEAT_S, max(due_us - now_us, 1_000) / 1_000_000))
        forwarder.send_group(group, ledger)


def _listening(
    simulation: Simulation,
    start_ms: int,
    forwarder: PacketForwarder,
    ledger: Ledger | None,
    progress: Progress | None,
    should_stop: Callable[[], bool],
) -> None:
    """Sensors that join: time passes, they speak, and hear what goes on air in their windows."""
    world = World(simulation, start_ms)
    forwarder.on_air = world.transmit
    forwarder.start()
    end_us = round(simulation.duration_s * 1_000_000)
    while not should_stop():
        forwarder.beat(progress)
        now_us = forwarder.counter_us
        if end_us and now_us >= end_us:
            return
        for group in datagrams(world.advance(now_us), simulation.bundle):
            forwarder.send_group(group, ledger)
        forwarder.outcome = replace(
            forwarder.outcome,
            joined=world.joined,
            intervals=world.intervals,
            downlinks_heard=world.downlinks_heard,
        )
        if simulation.uplinks and forwarder.outcome.uplinks >= simulation.uplinks:
            return
        wait_us = world.next_us - forwarder.counter_us
        forwarder.listen(min(HEARTBEAT_S, max(wait_us, 1_000) / 1_000_000))
