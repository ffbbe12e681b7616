"""What to simulate, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from edge_agent.errors import UsageError
from edge_codecs.identifiers import EUI64

GATEWAY = EUI64(bytes.fromhex("0200fffe51000001"))  # locally administered: nobody's
Activation: TypeAlias = Literal["abp", "otaa"]
_SHARES = ("loss", "downlink_loss", "duplicates", "bad_crc", "foreign", "replays", "confirmed")


@dataclass(frozen=True, slots=True)
class Simulation:
    """The whole plan. Raises UsageError for an impossible one.

    `activation` "abp": sensors that have their sessions and only speak, for load; the same plan gives the
    same bytes. A sensor's life begins at `start_ms` and runs `speed_up` times faster than the clock: with an
    interval of 900 s and a speed-up of 900 it reports every second. `rate_per_s` instead sets the pace of all
    frames of all sensors together, and the speed-up follows from it. Intervals in a sensor's history lie
    before `start_ms`, so they never meet a report of the same time.

    "otaa": class A devices that join, listen and do as they are told, in real time: their windows are the
    concentrator's. `speed_up` makes water and intervals faster, and reports say the interval that it really
    is, `interval_s` / `speed_up`. In the last `calm_s` of `duration_s` nothing is lost, and a sensor's first
    report never is: so every interval measured can be in the records at the end.

    Ends after `uplinks` frames that the agent must store (0: no limit) or `duration_s` seconds by the clock
    (0: no limit).
    """

    activation: Activation = "abp"
    sensors: int = 1
    seed: int = 1
    gateway: EUI64 = GATEWAY
    first_sensor: int = 0  # simulations of one seed are told apart by the numbers of their sensors
    f_cnt_start: int = 0  # abp
    dev_nonce_start: int = 0  # otaa: the sensors have used those below
    interval_s: int = 900
    speed_up: float = 1.0
    rate_per_s: float = 0.0  # abp
    uplinks: int = 0
    duration_s: float = 0.0
    calm_s: float = 0.0
    start_ms: int = 0  # UTC of the beginning; 0: now, and then the bytes differ from run to run
    loss: float = 0.0  # share of frames that never reach the gateway
    downlink_loss: float = 0.0  # share of the gateway's frames that no sensor hears
    duplicates: float = 0.0  # share heard twice
    bad_crc: float = 0.0  # share with a damaged copy beside the sound one
    foreign: float = 0.0  # frames that are not ours, for each of ours
    replays: float = 0.0  # old frames sent again by an attacker, for each of ours
    confirmed: float = 0.0  # share of uplinks that ask for an acknowledgement
    bundle: int = 1  # most frames in one datagram

    def __post_init__(self) -> None:
        for share in _SHARES:
            if not 0 <= getattr(self, share) <= 1:
                raise UsageError(f"{share.replace('_', '-')} is a share between 0 and 1")
        limits = {
            "sensors": (1, 100_000),
            "first_sensor": (0, 10_000_000),
            "seed": (0, 0xFFFFFF),
            "f_cnt_start": (0, 0xFFFF_FFFF),
            "dev_nonce_start": (0, 0xFFFF),
            "interval_s": (1, 65_535),
            "bundle": (1, 200),  # of the 255 that a forwarder may send; fits into a datagram
        }
        for name, (lowest, highest) in limits.items():
            if not lowest <= getattr(self, name) <= highest:
                raise UsageError(f"{name.replace('_', '-')} is a number from {lowest} to {highest}")
        if self.speed_up <= 0 or self.rate_per_s < 0 or self.uplinks < 0 or self.duration_s < 0:
            raise UsageError("speed-up is above 0; rate, uplinks and duration are not below 0")
        if self.joins and (self.rate_per_s or self.f_cnt_start):
            raise UsageError(
                "sensors that join have neither a rate nor a first frame counter",
                hint="Set their pace by interval-s and speed-up, or play load with --abp",
            )

    @property
    def joins(self) -> bool:
        """Whether the sensors join over the air."""
        return self.activation == "otaa"

    @property
    def report_interval_s(self) -> int:
        """What reports of sensors that join say: seconds by the clock."""
        return max(1, round(self.interval_s / self.speed_up))

    @property
    def numbers(self) -> range:
        """The sensors' numbers."""
        return range(self.first_sensor, self.first_sensor + self.sensors)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sent, and what the gateway said to it."""

    uplinks: int = 0  # frames that the agent must store: the ledger's lines of uplinks
    signalling: int = 0  # join requests, and frames with MAC commands alone
    lost: int = 0
    duplicates: int = 0
    bad_crc: int = 0
    foreign: int = 0
    replays: int = 0
    joined: int = 0  # join accepts that a sensor took
    intervals: int = 0  # measured, over all channels: the ledger's other lines
    downlinks: int = 0  # that the gateway sent
    downlinks_refused: int = 0
    downlinks_heard: int = 0  # by the sensor they are for
    datagrams: int = 0
    unacknowledged: int = 0  # datagrams without PUSH_ACK
