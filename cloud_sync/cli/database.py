"""db migrate, db partitions, db check."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

import typer

from cloud_sync.cli.arguments import AsJson, Configuration, settings_of
from cloud_sync.cli.output import print_lines, print_table
from cloud_sync.db import isolation, partitions
from cloud_sync.db.connection import OWNER, connect, errors
from cloud_sync.db.migrate import migrate
from cloud_sync.errors import CloudError, UsageError
from cloud_sync.settings import DEFAULT_FILE

app = typer.Typer(help="The database itself.", no_args_is_help=True, rich_markup_mode=None)

MOST_MONTHS = 600


@app.command("migrate")
def migrate_command(config: Configuration = DEFAULT_FILE) -> None:
    """Make or update roles, tables and the partitions around today. Safe to run again.

    The login must own the database and may create roles.

    Example: cloud-sync db migrate
    """
    done = migrate(settings_of(config).database.dsn)
    for name in done.applied:
        typer.echo(f"applied {name}")
    if done.partitions:
        typer.echo(f"made {len(done.partitions)} partitions: {done.partitions[0]} … {done.partitions[-1]}")
    if not done.applied and not done.partitions:
        typer.echo("The database is up to date.")


@app.command("partitions")
def partitions_command(
    first: Annotated[str, typer.Option("--from", help="first month, such as 2024-01")],
    last: Annotated[str, typer.Option("--to", help="last month, such as 2024-12")],
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Give months that are long past, or far ahead, a partition of their own; their readings move into it.

    `db migrate` keeps the months around today ready; readings of others lie in one partition together.

    Example: cloud-sync db partitions --from 2024-01 --to 2024-12
    """
    begin, end = _month(first), _month(last)
    if not 0 <= (end.year - begin.year) * 12 + end.month - begin.month < MOST_MONTHS:
        raise UsageError(f"{first} … {last} is not 1 to {MOST_MONTHS} months")
    with connect(settings_of(config).database.dsn, OWNER) as connection, errors():
        made = partitions.ensure(connection, begin, end)
    typer.echo(f"made {', '.join(made)}" if made else "All of them are there already.")


@app.command("check")
def check_command(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Look for anything in the database that could show one tenant's rows to another.

    Exit status 1 if there is something.

    Example: cloud-sync db check
    """
    with connect(settings_of(config).database.dsn) as connection, errors():
        faults = isolation.faults(connection)
    rows = [{"object": fault.name, "fault": fault.sentence} for fault in faults]
    if as_json:
        print_lines(rows)
    else:
        print_table(("object", "fault"), rows, "Tenants are kept apart: no fault found.")
    if faults:
        raise CloudError(
            f"tenants are not kept apart: {len(faults)} faults",
            hint="Undo what was changed by hand, and look again: cloud-sync db check",
        )


def _month(text: str) -> date:
    match = re.fullmatch(r"(20[0-9]{2})-(0[1-9]|1[0-2])", text)
    if match is None:
        raise UsageError(f"{text!r} is no month from 2000 on", hint="Write it like 2024-01")
    return date(int(match[1]), int(match[2]), 1)
