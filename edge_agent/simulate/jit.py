"""How a packet forwarder takes downlinks: its just-in-time queue, with the reference's constants. Pure.

As in packet_forwarder 2.1.0 of sx1302_hal: a time that has passed is TOO_EARLY, because it is 71 minutes
ahead in unsigned arithmetic, and a queue that is full answers COLLISION_PACKET.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, replace

from edge_agent.lorawan.airtime import airtime_us, modulation_of

LEAST_AHEAD_US = 42_500
MOST_AHEAD_US = 512_000_000
QUEUED = 32
GUARD_US = 2_500  # to start the transmitter, and to spare
FREQUENCIES_HZ = range(863_000_000, 870_000_001)

_LAP_US = 1 << 32


@dataclass(frozen=True, slots=True)
class Transmission:
    """One frame to send: `at_us` is the concentrator's counter, 32 bits or counted on."""

    phy_payload: bytes
    at_us: int
    frequency_hz: int
    data_rate: str
    inverted: bool  # only then do devices hear it
    airtime_us: int


def parse_txpk(body: bytes) -> Transmission | None:
    """Read the JSON of a PULL_RESP. None for what the reference forwarder does not even answer."""
    try:
        txpk = json.loads(body)["txpk"]
        data = txpk["data"]
        phy_payload = b64decode(data + "=" * (-len(data) % 4))[: int(txpk["size"])]
        data_rate = txpk["datr"]
        return Transmission(
            phy_payload,
            int(txpk["tmst"]),
            round(float(txpk["freq"]) * 1_000_000),
            data_rate,
            bool(txpk.get("ipol", False)),
            downlink_airtime_us(len(phy_payload), data_rate),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def downlink_airtime_us(length: int, data_rate: str) -> int:
    """Time on air of a downlink, which has no CRC. Raises ValueError for an unknown data rate."""
    if data_rate.isdigit():
        return (length + 9) * 8 * 1_000_000 // int(data_rate)
    return airtime_us(length, replace(modulation_of(data_rate), crc=False))


class JitQueue:
    """What waits for its time. `now_us` counts on for ever; a transmission's 32 bits are put beside it."""

    def __init__(self) -> None:
        self._queue: list[Transmission] = []

    def take(self, asked: Transmission, now_us: int) -> Transmission | str:
        """The transmission with its time counted on, or the word of refusal."""
        self._queue = [one for one in self._queue if one.at_us + one.airtime_us > now_us]
        if asked.frequency_hz not in FREQUENCIES_HZ:
            return "TX_FREQ"
        ahead_us = (asked.at_us - now_us) % _LAP_US
        if ahead_us < LEAST_AHEAD_US:
            return "TOO_LATE"
        if ahead_us > MOST_AHEAD_US:
            return "TOO_EARLY"
        taken = replace(asked, at_us=now_us + ahead_us)
        begin_us, end_us = taken.at_us - GUARD_US, taken.at_us + taken.airtime_us + GUARD_US
        if len(self._queue) >= QUEUED or any(
            one.at_us < end_us and begin_us < one.at_us + one.airtime_us for one in self._queue
        ):
            return "COLLISION_PACKET"
        self._queue.append(taken)
        return taken
