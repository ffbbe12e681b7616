"""quarantine list, show: what could not be taken, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from cloud_sync.cli.arguments import AsJson, Configuration, as_operator, settings_of
from cloud_sync.cli.output import plain, print_facts, print_json, print_lines, print_table
from cloud_sync.db import quarantine
from cloud_sync.errors import UsageError
from cloud_sync.settings import DEFAULT_FILE

app = typer.Typer(
    help="What could not be taken; nothing is dropped.", no_args_is_help=True, rich_markup_mode=None
)

SHOWN_HEX = 64


@app.command("list")
def list_entries(
    reason: Annotated[str | None, typer.Option("--reason", help="only this reason")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="how many at most, newest first")] = 100,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """List what could not be taken, the newest first.

    Example: cloud-sync quarantine list --reason device_unassigned
    """
    with as_operator(settings_of(config)) as connection:
        entries = [plain(row) for row in quarantine.entries(connection, reason=reason, limit=limit)]
    if as_json:
        print_lines(entries)
        return
    columns = ("id", "seen_at", "reason", "tenant", "gateway", "dev_eui", "f_cnt", "detail")
    print_table(columns, entries, "Nothing is in quarantine.")


@app.command("show")
def show(
    number: Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="id of the entry")],
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Show one entry with everything that is known of it.

    Example: cloud-sync quarantine show 17
    """
    with as_operator(settings_of(config)) as connection:
        row = quarantine.entry(connection, number)
    if row is None:
        raise UsageError(f"there is no entry {number}", hint="See: cloud-sync quarantine list")
    entry = plain(row)
    if as_json:
        print_json(entry)
        return
    wire = entry["wire"]
    if wire is not None and len(wire) > SHOWN_HEX:
        entry["wire"] = f"{wire[:SHOWN_HEX]}… ({len(wire) // 2} bytes; whole with --json)"
    print_facts({name: value for name, value in entry.items() if value is not None})
