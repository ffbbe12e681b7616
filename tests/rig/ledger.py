"""What was sent, held against what the records hold."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Balance:
    """What was sent and what was found, counted. Zero beside `sent` and `stored` is what everybody wants."""

    sent: int
    stored: int
    lost: int
    duplicated: int
    altered: int
    unexpected: int

    @property
    def right(self) -> bool:
        """Whether all that was sent is there exactly once, unaltered, and nothing else is."""
        return self.sent > 0 and not (self.lost or self.duplicated or self.altered or self.unexpected)


Key = tuple[str, int]  # DevEUI, 32-bit frame counter
ReadingKey = tuple[str, int, int]  # and channel
Values = tuple[float | None, ...]  # minimum, maximum, last


def sent(ledgers: Iterable[Path]) -> dict[Key, str]:
    """Payload (hex) of each uplink that simulators say they sent and that an agent must keep."""
    uplinks: dict[Key, str] = {}
    for ledger in ledgers:
        for line in ledger.read_text().splitlines():
            entry = json.loads(line)
            if "payload" in entry:
                uplinks[entry["dev_eui"], entry["f_cnt"]] = entry["payload"]
    return uplinks


def balance(expected: dict[Key, str], found: Iterable[tuple[str, int, str]]) -> Balance:
    """Compare with (DevEUI, frame counter, payload hex) of each uplink in the records."""
    rows = list(found)
    times = Counter((dev_eui, f_cnt) for dev_eui, f_cnt, _ in rows)
    return Balance(
        sent=len(expected),
        stored=len(times.keys() & expected.keys()),
        lost=len(expected.keys() - times.keys()),
        duplicated=sum(count - 1 for count in times.values()),
        altered=sum((e, f) in expected and expected[e, f] != payload for e, f, payload in rows),
        unexpected=len(times.keys() - expected.keys()),
    )


def readings_sent(uplinks: dict[Key, str]) -> dict[ReadingKey, Values]:
    """What the reports among these uplinks say of each channel, in °C, decoded by hand."""
    readings: dict[ReadingKey, Values] = {}
    for (dev_eui, f_cnt), payload in uplinks.items():
        data = bytes.fromhex(payload)
        if not is_report(data):
            continue
        position = 5
        for channel in range(3):
            if data[0] >> channel & 1:
                triple = struct.unpack_from(">hhh", data, position)
                readings[dev_eui, f_cnt, channel] = tuple(None if t == -0x8000 else t / 100 for t in triple)
                position += 6
    return readings


def is_report(data: bytes) -> bool:
    """By its length: 5 bytes and 6 a channel, with the channels of its bitmap (no other message has both)."""
    return len(data) >= 11 and len(data) == 5 + 6 * (data[0] & 7).bit_count()


def readings_balance(expected: dict[ReadingKey, Values], found: Iterable[Mapping[str, Any]]) -> Balance:
    """Compare with entries of `readings --json`; those of other uplinks than these (history) do not count."""
    uplinks = {(dev_eui, f_cnt) for dev_eui, f_cnt, _ in expected}
    rows = [entry for entry in found if (entry["dev_eui"], entry["f_cnt"]) in uplinks]
    times = Counter((entry["dev_eui"], entry["f_cnt"], entry["channel"]) for entry in rows)
    values = {
        (entry["dev_eui"], entry["f_cnt"], entry["channel"]): (
            entry["minimum"],
            entry["maximum"],
            entry["last"],
        )
        for entry in rows
    }
    return Balance(
        sent=len(expected),
        stored=len(times.keys() & expected.keys()),
        lost=len(expected.keys() - times.keys()),
        duplicated=sum(count - 1 for count in times.values()),
        altered=sum(key in expected and expected[key] != value for key, value in values.items()),
        unexpected=len(times.keys() - expected.keys()),
    )


@dataclass(frozen=True, slots=True)
class IntervalBalance:
    """Intervals that sensors measured, held against the records."""

    measured: int
    in_records: int
    brought_back: int  # of those in the records: out of a sensor's memory
    missing: int
    twice: int
    altered: int  # other extremes than measured

    @property
    def right(self) -> bool:
        """Whether each interval is in the records, once and as it was measured."""
        return self.measured > 0 and not (self.missing or self.twice or self.altered)


def intervals_measured(ledgers: Iterable[Path]) -> list[dict[str, Any]]:
    """Each interval that simulated sensors say they measured."""
    lines = [line for ledger in ledgers for line in ledger.read_text().splitlines()]
    return [entry for entry in map(json.loads, lines) if "interval_end_ms" in entry]


def interval_balance(
    measured: Iterable[Mapping[str, Any]], found: Iterable[Mapping[str, Any]]
) -> IntervalBalance:
    """Compare with entries of `readings --json`. Times may differ by less than half an interval."""
    records: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for entry in found:
        records.setdefault((entry["dev_eui"], entry["channel"]), []).append(entry)
    counts: Counter[str] = Counter()
    for interval in measured:
        near = [
            entry
            for entry in records.get((interval["dev_eui"], interval["channel"]), [])
            if abs(_ms(entry["interval_end"]) - interval["interval_end_ms"]) < 500 * interval["interval_s"]
        ]
        extremes = (interval["minimum"], interval["maximum"])
        counts["measured"] += 1
        counts["in_records"] += bool(near)
        counts["brought_back"] += any(entry["last"] is None for entry in near) and extremes[0] is not None
        counts["twice"] += len(near) > 1
        counts["altered"] += any((entry["minimum"], entry["maximum"]) != extremes for entry in near)
    missing = counts["measured"] - counts["in_records"]
    return IntervalBalance(
        counts["measured"],
        counts["in_records"],
        counts["brought_back"],
        missing,
        counts["twice"],
        counts["altered"],
    )


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
