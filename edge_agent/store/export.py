"""Readings as text for other programs: CSV and JSON lines. Never keys."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import Final, TextIO

from edge_agent.store.reader import KeptReading

COLUMNS: Final = (
    "dev_eui",
    "channel",
    "quantity",
    "unit",
    "interval_end",
    "interval_s",
    "minimum",
    "maximum",
    "last",
    "f_cnt",
    "gateway_id",
    "rssi_dbm",
    "snr_db",
    "received_at",
    "time_quality",
)

_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(readings: Iterable[KeptReading], file: TextIO) -> int:
    """A header line and a line a reading (RFC 4180); returns how many readings.

    Text that a spreadsheet would take for a formula is disarmed by an apostrophe before it. Numbers stay
    numbers: a negative temperature is none.
    """
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    count = 0
    for reading in readings:
        entry = reading.as_dict()
        writer.writerow([disarmed(entry[column]) for column in COLUMNS])
        count += 1
    return count


def disarmed(value: object) -> object:
    """`value`, with an apostrophe before text that a spreadsheet would run."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA_SIGNS):
        return "'" + value
    return value


def write_json_lines(readings: Iterable[KeptReading], file: TextIO) -> int:
    """A JSON object a line, keys as `readings --json`; returns how many."""
    count = 0
    for reading in readings:
        file.write(json.dumps(reading.as_dict(), ensure_ascii=False) + "\n")
        count += 1
    return count
