"""What one frame costs to decide: CPU µs per `admit`, by kind of frame. `python -m tests.bench.admit`."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.phypayload import parse
from edge_agent.lorawan.session import Session
from edge_agent.network.admit import Activations, Admitted, Rejected, admit
from edge_agent.network.reason import Reason
from edge_agent.network.rx_frame import Crc, RxFrame
from tests.rig.lorawan_frames import REPORT, heard, new_session, phy_payload

DEVICES = 100
ROUNDS = 5
FRAMES = 2000
THREE_CHANNELS = bytes.fromhex("1718730384") + 3 * bytes.fromhex("15e017701644")
NET_IDS = (NetID.parse("000013"),)


def run() -> dict[str, float | int]:
    """Microseconds of CPU per frame, the best of some rounds; `advance` included where a frame is taken."""
    roll = random.Random(1)
    old = [new_session(roll) for _ in range(DEVICES)]
    new = [new_session(roll, lorawan="1.1") for _ in range(DEVICES)]
    shared = [new_session(roll, dev_addr=old[0].dev_addr) for _ in range(DEVICES)]
    stranger = new_session(roll, dev_addr=DevAddr.parse("78000001"))
    parsed = _frames(old, FRAMES)
    wrong = heard(phy_payload(replace(old[0], f_nwk_s_int_key=stranger.f_nwk_s_int_key), 1))
    twice = heard(phy_payload(old[0], 0))
    return {
        "devices": DEVICES,
        "frames": FRAMES,
        "parse_us": _best(lambda: [parse(frame.phy_payload) for frame in parsed], FRAMES),
        "report_1_0_us": _taking(old, _frames(old, FRAMES)),
        "report_1_0_three_channels_us": _taking(old, _frames(old, FRAMES, THREE_CHANNELS)),
        "report_1_1_us": _taking(new, _frames(new, FRAMES)),
        "report_1_1_ninth_channel_us": _taking(new, _frames(new, FRAMES, tx_ch=8, frequency_hz=867_100_000)),
        "report_1_0_address_shared_by_100_us": _taking(shared, _frames(shared, FRAMES)),
        "bad_crc_us": _refusing(Reason.BAD_CRC, old, replace(twice, crc=Crc.BAD)),
        "foreign_net_id_us": _refusing(Reason.FOREIGN_NET_ID, old, heard(phy_payload(stranger, 1))),
        "duplicate_us": _refusing(Reason.DUPLICATE, old, twice, taken=twice),
        "mic_failed_us": _refusing(Reason.MIC_FAILED, old, wrong),
        "mic_failed_address_shared_by_100_us": _refusing(Reason.MIC_FAILED, shared, wrong),
    }


def _frames(
    sessions: Sequence[Session],
    count: int,
    payload: bytes = REPORT,
    tx_ch: int = 0,
    frequency_hz: int = 868_100_000,
) -> list[RxFrame]:
    """Frames of all devices in turn, each with rising counters."""
    made = []
    for number in range(count):
        session = sessions[number % len(sessions)]
        raw = phy_payload(session, number // len(sessions), payload, tx_ch=tx_ch)
        made.append(heard(raw, frequency_hz=frequency_hz))
    return made


def _taking(sessions: Sequence[Session], frames: Sequence[RxFrame]) -> float:
    def once() -> Callable[[], None]:
        activations = Activations(sessions)
        for session in sessions:  # contexts of the keys are made with the first frame
            admit(heard(phy_payload(session, 0)), activations)

        def work() -> None:
            for frame in frames:
                outcome = admit(frame, activations, NET_IDS)
                assert isinstance(outcome, Admitted), outcome
                activations.advance(outcome)

        return work

    return min(_best(once(), len(frames), rounds=1) for _ in range(ROUNDS))


def _refusing(
    reason: Reason, sessions: Sequence[Session], frame: RxFrame, taken: RxFrame | None = None
) -> float:
    activations = Activations(sessions)
    if taken is not None:
        outcome = admit(taken, activations)
        assert isinstance(outcome, Admitted), outcome
        activations.advance(outcome)
    refused = admit(frame, activations, NET_IDS)
    assert isinstance(refused, Rejected), refused
    assert refused.reason is reason, refused
    count = 300

    def work() -> None:
        for _ in range(count):
            admit(frame, activations, NET_IDS)

    return _best(work, count)


def _best(work: Callable[[], object], count: int, rounds: int = ROUNDS) -> float:
    best = float("inf")
    for _ in range(rounds):
        start_ns = time.process_time_ns()
        work()
        best = min(best, (time.process_time_ns() - start_ns) / 1000 / count)
    return round(best, 2)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
