"""`make bench`: figures and ratios against a baseline of the same run. JSON goes to bench-out/bench.json."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

MODULES = {
    "edge_path": "the full edge path, datagram in → committed in the encrypted store",
    "radio": "radio: datagrams to dated frames",
    "admit": "LoRaWAN: what a frame costs to decide",
    "network": "the network server beside admit, and what a join costs",
    "downlinks": "from an uplink to its answer at the packet forwarder, a real agent",
    "store_rate": "the encrypted store beside raw fsync",
    "million": "the store alone with a million readings: memory and opening",
    "agent_start": "the whole agent with a million readings: start and memory",
    "batch_bytes": "batch bytes a reading beside JSON a message",
    "records": "receiver beside a bare COPY of the same rows",
    "catch_up": "catching up: full store → committed rows",
}


def main() -> int:
    """Run all, or those named as arguments."""
    chosen = sys.argv[1:] or list(MODULES)
    console = Console()
    figures = {}
    for name in chosen:
        console.print(f"[bold]{MODULES[name]}[/bold] …")
        figures[name] = importlib.import_module(f"tests.bench.{name}").run()
        console.print(_table(figures[name]))
    out = Path("bench-out")
    out.mkdir(exist_ok=True)
    (out / "bench.json").write_text(json.dumps(figures, indent=2) + "\n")
    console.print(f"All figures: {out / 'bench.json'}")
    return 0


def _table(figures: object, prefix: str = "") -> Table:
    table = Table(box=None, show_header=False)
    for name, value in _flat(figures, prefix):
        table.add_row(f"  {name}", f"{value:,}" if isinstance(value, int | float) else str(value))
    return table


def _flat(value: object, prefix: str) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{prefix} {key}".strip())]
    if isinstance(value, list):
        return [pair for number, inner in enumerate(value) for pair in _flat(inner, f"{prefix} {number}")]
    return [(prefix, value)]


if __name__ == "__main__":
    sys.exit(main())
