"""What one frame costs before it is decided: CPU µs to parse and to date. `python -m tests.bench.radio`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from edge_agent.radio.counter_map import CounterMap
from edge_agent.radio.forwarder import Forwarder
from edge_agent.radio.gwmp import PushData, parse_datagram, push_data
from edge_agent.simulate.plan import GATEWAY, Simulation
from edge_agent.simulate.scenario import receptions

ROUNDS = 7
FRAMES = 2550
START_MS = 1_795_512_833_000


def run() -> dict[str, float | int]:
    """Microseconds of CPU per frame, the best of some rounds, by how many frames a datagram holds."""
    plan = Simulation(sensors=100, rate_per_s=500, uplinks=FRAMES)
    rxpks = [reception.rxpk for reception in receptions(plan, START_MS)]
    figures: dict[str, float | int] = {"frames": FRAMES}
    for together in (1, 10, 255):
        datagrams = [
            push_data(b"ab", GATEWAY, f'{{"rxpk":[{",".join(rxpks[at : at + together])}]}}')
            for at in range(0, FRAMES, together)
        ]
        messages = [message for d in datagrams if isinstance(message := parse_datagram(d), PushData)]
        figures[f"parse_{together}_us"] = _best(lambda d=datagrams: [parse_datagram(one) for one in d])
        figures[f"date_and_hand_over_{together}_us"] = _best(lambda m=messages: _hand_over(m))
    figures["counter_map_us"] = _best(_date)
    return figures


def _hand_over(messages: list[PushData]) -> None:
    forwarder = Forwarder(GATEWAY, "bench")
    for number, message in enumerate(messages):
        forwarder.push(message, number * 100_000_000, lambda: None)


def _date() -> None:
    counter_map = CounterMap()
    for number in range(FRAMES):
        counter_map.date([number * 100_000], number * 100_000)


def _best(work: Callable[[], object]) -> float:
    spent_s = []
    for _ in range(ROUNDS):
        start_s = time.process_time()
        work()
        spent_s.append(time.process_time() - start_s)
    return round(min(spent_s) / FRAMES * 1e6, 2)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
