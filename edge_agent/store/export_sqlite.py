"""Readings as a plain SQLite file, for people who look with SQLite's own tools. Never keys."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlite_utils import Database

from edge_agent.errors import UsageError
from edge_agent.store.reader import KeptReading

KEY = ("dev_eui", "quantity", "channel", "interval_end", "f_cnt")


def write_sqlite(readings: Iterable[KeptReading], file: Path) -> int:
    """A table `readings` with the keys of `readings --json`; returns how many. The file is not encrypted.

    Raises UsageError if `file` is there already.
    """
    if file.exists():
        raise UsageError(f"{file} is there already", hint="Name a file that does not exist")
    database = Database(str(file))
    try:
        table = database.table("readings", pk=KEY)
        table.insert_all((reading.as_dict() for reading in readings), replace=True)
        return table.count if table.exists() else 0
    finally:
        database.close()
