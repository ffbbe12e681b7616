"""What every command prints with: JSON, tables, facts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 200
"""Of a table that goes into a file or a pipe."""


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_lines(values: Iterable[Any]) -> None:
    """JSON lines."""
    for value in values:
        print_json(value)


def print_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], empty: str) -> None:
    """A table for people; `empty` is said when there are no rows."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text("" if row[column] is None else str(row[column])) for column in columns))
    if not table.row_count:
        typer.echo(empty)
        return
    Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False).print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one a line."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {'' if value is None else value}")


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A database row in JSON's types: bytes as hex, times as RFC 3339 in UTC."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case datetime():
            return time_text(value)
    return value


def time_text(time: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
