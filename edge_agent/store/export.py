"""Readings as text for other programs: CSV and JSON lines. Never keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from edge_agent.store.reader import KeptReading

COLUMNS = (
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


def write_csv(readings: Iterable[KeptReading], file: TextIO) -> int:
    """A header line and a line a reading (RFC 4180); returns how many. Text that a spreadsheet would take
    for a formula is disarmed by an apostrophe."""
    raise NotImplementedError


def write_json_lines(readings: Iterable[KeptReading], file: TextIO) -> int:
    """A JSON object a line, keys as `readings --json`; returns how many."""
    raise NotImplementedError
