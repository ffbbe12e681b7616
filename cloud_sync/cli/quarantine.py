"""quarantine list, show, retry: what could not be taken, why, and how it comes in after all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from cloud_sync.cli.arguments import AsJson, Configuration, as_operator, dev_eui, settings_of
from cloud_sync.cli.output import plain, print_facts, print_json, print_lines, print_table, time_text
from cloud_sync.db import quarantine
from cloud_sync.db.placement import Refusal
from cloud_sync.db.retry import retry as place_again
from cloud_sync.errors import UsageError
from cloud_sync.settings import DEFAULT_FILE
from edge_codecs.identifiers import DevEUI, GatewayId

app = typer.Typer(
    help="What could not be taken; nothing is dropped.", no_args_is_help=True, rich_markup_mode=None
)

SHOWN_HEX = 64


@app.command("list")
def list_entries(
    reason: Annotated[str | None, typer.Option("--reason", help="only this reason")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="how many at most, newest first")] = 100,
    settled: Annotated[bool, typer.Option("--all", help="also those that were settled")] = False,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """List what could not be taken, the newest first.

    Example: cloud-sync quarantine list --reason device_unassigned
    """
    with as_operator(settings_of(config)) as connection:
        found = quarantine.entries(connection, reason=reason, limit=limit, settled=settled)
    entries = [plain(row) for row in found]
    if as_json:
        print_lines(entries)
        return
    columns = ["id", "seen_at", "reason", "tenant", "gateway", "dev_eui", "f_cnt", "detail"]
    if settled:
        columns.insert(2, "settled_at")
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


@app.command("retry")
def retry(
    reason: Annotated[
        Refusal | None, typer.Option("--reason", help="only rows that were refused for this reason")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="only rows of this DevEUI")] = None,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Place rows that were nobody's again, after assignments were put right.

    Rows that belong to a tenant now become its records, and their entries are settled; the others stay.
    It may run beside receivers, and again. The login needs clipr_operator and clipr_receiver.

    Example: cloud-sync quarantine retry --device 70b3d57ed0000001
    """
    only = None if device is None else dev_eui(device)
    dsn = settings_of(config).database.dsn
    done = place_again(dsn, time.time_ns() // 1_000_000, reason=reason, device=only)
    if as_json:
        print_json({"placed": done.placed, "open": dict(sorted(done.open.items()))})
        return
    looked_at = done.placed + done.open.total()
    if not looked_at:
        typer.echo("There are no such rows in quarantine.")
        return
    typer.echo(f"Placed {done.placed} of {looked_at} {'row' if looked_at == 1 else 'rows'}.")
    still = [{"rows": count, "still": name, "why": _why(name)} for name, count in done.open.most_common()]
    if still:
        print_table(("rows", "still", "why"), still, "")


def tell_waiting(
    waiting: tuple[int, datetime | None], things: Sequence[GatewayId | DevEUI], begin: datetime
) -> None:
    """Say that rows of `things`, assigned from `begin` on, are in quarantine; see quarantine.waiting."""
    count, oldest = waiting
    if oldest is None:
        return
    only = f" --device {things[0]}" if len(things) == 1 and isinstance(things[0], DevEUI) else ""
    typer.echo(
        f"{count} {'row is' if count == 1 else 'rows are'} in quarantine, the oldest of {time_text(oldest)}. "
        f"Next: cloud-sync quarantine retry{only}"
    )
    if oldest < begin:
        typer.echo(
            f"What is older than {time_text(begin)} is still nobody's: assign it with an earlier --from."
        )


def _why(reason: str) -> str:
    return quarantine.SENTENCES.get(reason, "Its batch is not in the evidence as it came. Please tell us.")
