"""readings: what is in the store, decoded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from edge_agent.cli.output import (
    AsJson,
    Configuration,
    dev_eui_of,
    print_lines,
    print_table,
    settings_of,
)
from edge_agent.device_facts import utc
from edge_agent.errors import UsageError
from edge_agent.network.gap import Gap
from edge_agent.settings import DEFAULT_FILE, Settings
from edge_agent.store.export import COLUMNS
from edge_agent.store.key_provider import load_store_key
from edge_agent.store.reader import Query, Reader
from edge_codecs.identifiers import DevEUI


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command()(readings)


def readings(
    device: Annotated[str | None, typer.Option("--device", help="only this DevEUI")] = None,
    since: Annotated[str | None, typer.Option("--since", help="received at or after, RFC 3339")] = None,
    until: Annotated[str | None, typer.Option("--until", help="received before, RFC 3339")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="how many at most, newest")] = None,
    holes: Annotated[
        bool, typer.Option("--holes", help="show the intervals that are missing, and whether they will come")
    ] = False,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Show readings of the store, with the agent running or not; or what is missing between them.

    Example: edge-agent readings --device 70b3d57ed0000001 --limit 10
    """
    settings = settings_of(config)
    if holes:
        if since is not None or until is not None or limit is not None:
            raise UsageError(
                "--holes goes with --device and --json only", hint="Leave --since, --until and --limit out"
            )
        _show_holes(settings, None if device is None else dev_eui_of(device), as_json=as_json)
        return
    query = read_query(device, since, until, limit)
    with Reader.open(settings.store.path, load_store_key(settings.store.key_file).key) as reader:
        entries = (entry.as_dict() for entry in reader.readings(query))
        if as_json:
            print_lines(entries)
            return
        print_table(COLUMNS, ([entry[c] for c in COLUMNS] for entry in entries), "There are no readings yet.")


def _show_holes(settings: Settings, dev_eui: DevEUI | None, *, as_json: bool) -> None:
    with Reader.open(settings.store.path, load_store_key(settings.store.key_file).key) as reader:
        gaps = reader.gaps(dev_eui)
        if dev_eui is not None and not reader.devices(dev_eui):
            raise UsageError(f"there is no device {dev_eui}", hint="See: edge-agent device list")
    if as_json:
        print_lines(_hole(gap) for gap in gaps)
        return
    columns = ("dev_eui", "channel", "from", "to", "intervals", "state")
    print_table(columns, ([_hole(gap)[c] for c in columns] for gap in gaps), "No interval is missing.")
    if gaps and not (settings.network.downlinks and settings.network.history):
        typer.echo("Sensors are not asked for them: see downlinks and history in [network].")
    elif any(not gap.given_up for gap in gaps):
        typer.echo("The sensors are asked with the answers to their next uplinks.")


def _hole(gap: Gap) -> dict[str, object]:
    """The keys of `readings --holes --json`."""
    state = "given_up" if gap.given_up else "asking" if gap.asked else "waiting"
    return {
        "dev_eui": str(gap.dev_eui),
        "channel": gap.channel,
        "from": utc(gap.from_ms),
        "to": utc(gap.to_ms),
        "interval_s": gap.interval_s,
        "intervals": gap.intervals,
        "asked": gap.asked,
        "state": state,
    }


def read_query(device: str | None, since: str | None, until: str | None, limit: int | None) -> Query:
    """Options as a query. Raises UsageError."""
    try:
        dev_eui = DevEUI.parse(device) if device is not None else None
    except ValueError as error:
        raise UsageError(str(error)) from None
    return Query(
        dev_eui=dev_eui,
        since_ms=_milliseconds(since),
        until_ms=_milliseconds(until),
        newest_first=limit is not None,
        limit=limit,
    )


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time", hint="Write it like 2026-11-24T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
