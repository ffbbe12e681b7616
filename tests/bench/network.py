"""What the network server costs beside `admit`: CPU µs a frame. `python -m tests.bench.network`."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_agent.lorawan.mhdr import MType
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.admit import Activations, admit
from edge_agent.network.device import Device, NetworkSession
from edge_agent.network.mac_state import after_join
from edge_agent.network.moment import Moment
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.outcome import Admitted, Joined
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import RxFrame
from edge_agent.simulate.class_a import ClassADevice
from tests.rig.lorawan_frames import heard, new_session, phy_payload
from tests.rig.site import T0_MS, moment, new_registration, rx_frame

DEVICES = 100
ROUNDS = 5
FRAMES = 2000
SNR_DB = 3.0  # at SF7 neither power nor data rate can be better: there is nothing to ask for
REGION = REGIONS["EU868"]
POLICY = Policy(status_every_h=0)
NOW = Moment(2_000_000_000, T0_MS, T0_MS)


def run() -> dict[str, float | int]:
    """Microseconds of CPU a frame, the best of some rounds."""
    roll = random.Random(1)
    old = [new_session(roll) for _ in range(DEVICES)]
    new = [new_session(roll, lorawan="1.1") for _ in range(DEVICES)]
    figures: dict[str, float | int] = {"devices": DEVICES, "frames": FRAMES}
    for name, sessions in (("1_0", old), ("1_1", new)):
        reports = _frames(sessions, MType.UNCONFIRMED_DATA_UP)
        alone_us = _best(lambda s=sessions, r=reports: _admitting(s, r))
        silent_us = _best(lambda s=sessions, r=reports: _receiving(s, r, answered=False))
        confirmed = _frames(sessions, MType.CONFIRMED_DATA_UP)
        figures[f"admit_{name}_us"] = alone_us
        figures[f"receive_{name}_us"] = silent_us
        figures[f"receive_{name}_beside_admit"] = round(silent_us / alone_us, 2)
        figures[f"receive_{name}_and_acknowledge_us"] = _best(
            lambda s=sessions, c=confirmed: _receiving(s, c, answered=True)
        )
    for version in (LoRaWANVersion.V1_0_3, LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1):
        figures[f"join_{version.value}_us".replace(".", "_")] = _best(lambda v=version: _joining(v), 300)
    return figures


def _frames(sessions: Sequence[Session], mtype: MType) -> list[RxFrame]:
    """Frames of all devices in turn with rising counters, from 1; the ADR bit is set."""
    made = []
    for number in range(FRAMES):
        session = sessions[number % len(sessions)]
        raw = phy_payload(session, 1 + number // len(sessions), mtype=mtype, adr=True)
        made.append(replace(heard(raw), counter_us=number, snr_db=SNR_DB))
    return made


def _admitting(sessions: Sequence[Session], frames: Sequence[RxFrame]) -> Callable[[], None]:
    activations = Activations(sessions)
    for session in sessions:  # contexts of the keys are made with the first frame
        admit(heard(phy_payload(session, 0)), activations)

    def work() -> None:
        for frame in frames:
            outcome = admit(frame, activations, ())
            assert isinstance(outcome, Admitted), outcome
            activations.advance(outcome)

    return work


def _receiving(
    sessions: Sequence[Session], frames: Sequence[RxFrame], *, answered: bool
) -> Callable[[], None]:
    server = NetworkServer(REGION, POLICY, (), random.Random(1).randrange)
    for session in sessions:
        mac = after_join(REGION, POLICY)
        server.add(Device(session.dev_eui, session=NetworkSession(session, mac)))
        server.receive(replace(heard(phy_payload(session, 0, adr=True)), snr_db=SNR_DB), NOW)

    def work() -> None:
        for frame in frames:
            decision = server.receive(frame, NOW)
            assert (decision.answer is not None) is answered, decision

    return work


def _joining(version: LoRaWANVersion) -> Callable[[], None]:
    roll = random.Random(1)
    server = NetworkServer(REGION, POLICY, (), random.Random(1).randrange)
    requests = []
    for _ in range(300):
        registration = new_registration(roll, version)
        server.add(Device(registration.dev_eui, registration))
        requests.append(rx_frame(ClassADevice(registration, REGION, roll).join_request(1_000_000)))

    def work() -> None:
        for request in requests:
            decision = server.receive(request, moment(2_000_000))
            assert isinstance(decision.outcome, Joined), decision.outcome

    return work


def _best(make: Callable[[], Callable[[], None]], count: int = FRAMES) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        work = make()
        start_ns = time.process_time_ns()
        work()
        best = min(best, (time.process_time_ns() - start_ns) / 1000 / count)
    return round(best, 2)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
