"""store check, backup, restore, export, new-stream."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.output import AsJson, Configuration, print_json, settings_of
from edge_agent.cli.readings import read_query
from edge_agent.devices import open_store
from edge_agent.errors import AgentError, UsageError
from edge_agent.settings import DEFAULT_FILE, Settings
from edge_agent.store.key_provider import StoreKey, load_store_key

app = typer.Typer(help="The encrypted store.", no_args_is_help=True, rich_markup_mode=None)


def _key(settings: Settings) -> StoreKey:
    return load_store_key(settings.store.key_file).key


@app.command("check")
def check(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Authenticate every page, and check structure, row numbers and the chain of batches.

    Example: edge-agent store check
    """
    from edge_agent.store.check import check as look

    settings = settings_of(config)
    report = look(settings.store.path, _key(settings))
    if as_json:
        print_json(report.as_dict())
    else:
        typer.echo(
            f"{report.rows} rows, {report.batches} batches: {'sound' if report.sound else 'NOT sound'}"
        )
        for finding in report.findings:
            typer.echo(f"  {finding}")
    if not report.sound:
        raise AgentError(
            "the store is damaged",
            hint="Start the agent: it sets the file aside and reads what can be read into a new one",
        )


@app.command("backup")
def backup(
    target: Annotated[Path, typer.Argument(help="file to make; encrypted with the same key")],
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Copy the store while the agent runs.

    Example: edge-agent store backup /mnt/usb/store-backup.db
    """
    from edge_agent.store.backup import backup as copy

    settings = settings_of(config)
    size = copy(settings.store.path, _key(settings), target)
    typer.echo(f"Wrote {target} ({size} bytes). It opens with this store's key only: keep that key, too.")


@app.command("restore")
def restore(
    source: Annotated[Path, typer.Argument(help="a file that `store backup` made")],
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Put a backup in the store's place; the present store is set aside. Stop the agent first.

    Example: edge-agent store restore /mnt/usb/store-backup.db
    """
    from edge_agent.store.backup import restore as put_back

    settings = settings_of(config)
    aside = put_back(source, settings.store.path, _key(settings))
    typer.echo(f"Restored {settings.store.path}." + (f" What was there is now {aside}." if aside else ""))


@app.command("export")
def export(
    form: Annotated[str, typer.Option("--format", help='"csv", "jsonl", or "sqlite"')] = "csv",
    output: Annotated[Path | None, typer.Option("--output", help="file; without it standard output")] = None,
    device: Annotated[str | None, typer.Option("--device", help="only this DevEUI")] = None,
    since: Annotated[str | None, typer.Option("--since", help="received at or after, RFC 3339")] = None,
    until: Annotated[str | None, typer.Option("--until", help="received before, RFC 3339")] = None,
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Write readings for other programs. Keys are never in it.

    Example: edge-agent store export --format csv --output readings.csv
    """
    from edge_agent.store.export import write_csv, write_json_lines
    from edge_agent.store.reader import Reader

    writer = {"csv": write_csv, "jsonl": write_json_lines}.get(form)
    if writer is None and form != "sqlite":
        raise UsageError(f'--format is "csv", "jsonl" or "sqlite", not {form!r}')
    if form == "sqlite" and output is None:
        raise UsageError("a SQLite file needs a name", hint="Give --output FILE")
    settings = settings_of(config)
    with Reader.open(settings.store.path, _key(settings)) as reader:
        readings = reader.readings(read_query(device, since, until, None))
        if output is None:
            assert writer is not None
            writer(readings, sys.stdout)
            return
        if writer is None:
            from edge_agent.store.export_sqlite import write_sqlite

            count = write_sqlite(readings, output)
        else:
            with output.open("w", encoding="utf-8", newline="") as file:
                count = writer(readings, file)
    typer.echo(f"Wrote {count} readings to {output}.")


@app.command("new-stream")
def new_stream(config: Configuration = DEFAULT_FILE) -> None:
    """Begin a new life of the store, after it was copied or restored by hand. Stop the agent first.

    Readings without a receipt are sent again; the cloud knows them by their frames and keeps each once.
    Example: edge-agent store new-stream
    """
    store = open_store(settings_of(config))
    try:
        typer.echo(f"The stream is now {store.begin_stream().hex()}.")
    finally:
        store.close()
