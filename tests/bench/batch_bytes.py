"""What a reading costs on the wire, and what it costs to write and read it.

Twenty Clip'Rs on one pipe each, one report every 15 minutes, jittered; temperatures, RSSI, SNR and battery
walk at random. Bytes are those of the MQTT payload: header, seal, signature and rows. Beside it JSON, one
message a reading, with the keys of `readings --json`, neither signed nor sealed. Times are the best of
several rounds, in process time.

    python -m tests.bench.batch_bytes
"""

from __future__ import annotations

import heapq
import json
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import mean
from typing import Any

from edge_codecs.batch import (
    Lane,
    Manifest,
    RowRange,
    SealingPrivateKey,
    SigningKey,
    StreamId,
    open_batch,
    parse_header,
    seal,
    verify,
)
from edge_codecs.clipr import CentiCelsius, Extremes, Flag, Report
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.reading import TimeQuality, Uplink, readings_of
from edge_codecs.rows import decode_columns, decode_rows, encode_rows

SIZES = (1, 10, 100, 1000)
GATEWAY = GatewayId.parse("0016c001f1000001")
STREAM = StreamId(bytes(range(8)))
FREQUENCIES_HZ = tuple(range(867_100_000, 868_600_000, 200_000))
SIGNING_KEY = SigningKey(bytes(range(32)))
SEALING_KEY = SealingPrivateKey(1, bytes(range(32)))
BATCH_NUMBER = 10_000
"""A gateway some months old: a larger number takes more bytes."""
FIRST_ROW = 200_000
PARTS = 8
"""How many batches of each size are measured."""


class Sensor:
    """One device: where its walk stands."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.chance = chance
        self.dev_eui = DevEUI.parse(f"70b3d57ed005{number * 97 + 16:04x}")
        self.f_cnt = chance.randrange(100, 20_000)
        self.centi = (5800 if number % 2 else 1500) + chance.randrange(-300, 300)
        self.is_hot = bool(number % 2)
        self.rssi_dbm = chance.randrange(-115, -70)
        self.snr_db = chance.uniform(-5, 9)
        self.data_rate = chance.choice(["SF7BW125"] * 3 + ["SF9BW125", "SF10BW125"])
        self.battery = chance.randrange(100, 118)

    def uplink(self, received_ms: int) -> Uplink:
        chance = self.chance
        self.f_cnt += 1 if chance.random() < 0.98 else 2  # now and then a frame is not heard
        self.centi = min(max(self.centi + round(chance.gauss(0, 40)), 800), 6500)
        is_flushed = self.is_hot and chance.random() < 0.2
        spread = 20 + abs(round(chance.gauss(0, 120))) + (chance.randrange(500) if is_flushed else 0)
        last = self.centi + chance.randrange(spread + 1)
        flags = Flag.CLOCK_IN_STEP | (Flag.FLUSH_SEEN if is_flushed else Flag(0))
        temperatures = map(CentiCelsius, (self.centi, self.centi + spread, last))
        return Uplink(
            self.dev_eui,
            0,
            self.f_cnt,
            received_ms,
            TimeQuality.SYNCHRONISED,
            chance.choice(FREQUENCIES_HZ),
            self.data_rate,
            self.rssi_dbm + round(chance.gauss(0, 2.5)),
            round(round((self.snr_db + chance.gauss(0, 1.2)) * 4) / 4, 1),
            "clipr",
            1,
            Report(int(flags), self.battery - (chance.random() < 0.2), 900, (Extremes(0, *temperatures),)),
        )


def reports(seed: int, devices: int = 20) -> Iterator[Uplink]:
    """Reports in the order of their arrival, without end."""
    chance = random.Random(seed)
    sensors = [Sensor(number, chance) for number in range(devices)]
    due = [(1_764_000_000_000 + chance.randrange(900_000), number) for number in range(devices)]
    heapq.heapify(due)
    while True:
        received_ms, number = due[0]
        yield sensors[number].uplink(received_ms)
        heapq.heapreplace(due, (received_ms + 900_000 + chance.randrange(-5000, 5001), number))


def json_bytes(uplink: Uplink) -> int:
    """The readings of an uplink as compact JSON, one message each."""
    when = datetime.fromtimestamp(uplink.received_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return sum(
        len(
            json.dumps(
                {
                    "dev_eui": str(reading.dev_eui),
                    "channel": reading.channel,
                    "quantity": reading.quantity,
                    "unit": reading.unit,
                    "interval_end": when.replace("+00:00", "Z"),
                    "interval_s": reading.interval_s,
                    "minimum": float(reading.minimum or 0),
                    "maximum": float(reading.maximum or 0),
                    "last": float(reading.last or 0),
                    "f_cnt": uplink.f_cnt,
                    "gateway_id": str(GATEWAY),
                    "rssi_dbm": uplink.rssi_dbm,
                    "snr_db": uplink.snr_db,
                    "received_at": when.replace("+00:00", "Z"),
                    "time_quality": uplink.time_quality.name.lower(),
                },
                separators=(",", ":"),
                ensure_ascii=False,
            ).encode()
        )
        for reading in readings_of(uplink)
    )


def _manifest(uplinks: list[Uplink]) -> Manifest:
    return Manifest(
        GATEWAY,
        STREAM,
        BATCH_NUMBER,
        Lane.LIVE,
        (RowRange(FIRST_ROW, len(uplinks)),),
        bytes(range(16)),
        encode_rows(uplinks),
    )


def _microseconds(work: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time_ns()
        work()
        best = min(best, time.process_time_ns() - begin)
    return best / 1000


def _measure(size: int) -> dict[str, Any]:
    source = reports(seed=size)
    batches = [[next(source) for _ in range(size)] for _ in range(PARTS if size > 1 else 200)]
    manifests = list(map(_manifest, batches))
    wires = [len(seal(manifest, SIGNING_KEY, SEALING_KEY.public_key)) for manifest in manifests]
    uplinks, manifest = batches[-1], manifests[-1]
    wire = seal(manifest, SIGNING_KEY, SEALING_KEY.public_key)
    header = parse_header(wire)
    opened = open_batch(wire, header, SEALING_KEY)
    if decode_rows(manifest.rows, size) != uplinks:
        raise AssertionError("the rows did not survive")
    rounds = max(10, 2000 // size)
    json_each = mean(json_bytes(uplink) for batch in batches for uplink in batch)
    times = {
        "encode_us": _microseconds(lambda: encode_rows(uplinks), rounds) / size,
        "decode_columns_us": _microseconds(lambda: decode_columns(manifest.rows, size), rounds) / size,
        "decode_objects_us": _microseconds(lambda: decode_rows(manifest.rows, size), rounds) / size,
        "sign_and_seal_us_per_batch": _microseconds(
            lambda: seal(manifest, SIGNING_KEY, SEALING_KEY.public_key), rounds
        ),
        "open_and_verify_us_per_batch": _microseconds(
            lambda: (parse_header(wire), open_batch(wire, header, SEALING_KEY)), rounds
        )
        + _microseconds(lambda: verify(opened, SIGNING_KEY.verify_key), rounds),
    }
    return {
        "readings": size,
        "batch_bytes": {"smallest": min(wires), "mean": round(mean(wires), 1), "largest": max(wires)},
        "bytes_per_reading": round(mean(wires) / size, 2),
        "rows_bytes_per_reading": round(mean(len(m.rows) for m in manifests) / size, 2),
        "json_bytes_per_reading": round(json_each, 1),
        "times_smaller_than_json": round(json_each * size / mean(wires), 1),
        **{name: round(value, 2) for name, value in times.items()},
    }


def run() -> dict[str, Any]:
    """Bytes and microseconds per reading, by batch size; with the goals and whether they are met."""
    sizes = {str(size): _measure(size) for size in SIZES}
    return {
        "sizes": sizes,
        "goals": {
            "single_at_most_200_bytes": sizes["1"]["batch_bytes"]["largest"] <= 200,
            "hundred_at_most_13_bytes_per_reading": sizes["100"]["bytes_per_reading"] <= 13,
        },
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
