"""What every command shares: the configuration option, JSON, tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_agent.errors import UsageError
from edge_agent.settings import Settings, load
from edge_codecs.identifiers import DevEUI

Configuration = Annotated[
    Path, typer.Option("--config", envvar="EDGE_AGENT_CONFIG", help="configuration file")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs")]


def settings_of(config: Path) -> Settings:
    """The configuration of a command."""
    return load(config)


def dev_eui_of(text: str) -> DevEUI:
    """A DevEUI as it was typed. Raises UsageError."""
    try:
        return DevEUI.parse(text)
    except ValueError as error:
        raise UsageError(str(error), hint="See: edge-agent device list") from None


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_lines(values: Iterable[Any]) -> None:
    """JSON lines, each flushed: a reader sees it at once."""
    for value in values:
        print_json(value)
        sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table for people; `empty` is said when there are no rows."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    if not table.row_count:
        typer.echo(empty)
        return
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    console.print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values, one a line."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {'' if value is None else value}")
