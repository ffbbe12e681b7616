"""readings, uplinks: what is in a tenant's records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cloud_sync.cli.arguments import (
    AsJson,
    Configuration,
    Tenant,
    as_reader,
    dev_eui,
    moment,
    settings_of,
)
from cloud_sync.cli.output import print_lines, print_table
from cloud_sync.db import readings as records
from cloud_sync.db.readings import Query
from cloud_sync.settings import DEFAULT_FILE

ROWS_FOR_PEOPLE = 100

Device = Annotated[str | None, typer.Option("--device", help="only this DevEUI")]
Since = Annotated[str | None, typer.Option("--since", help="at or after this time, RFC 3339")]
Until = Annotated[str | None, typer.Option("--until", help="before this time, RFC 3339")]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, help=f"how many at most, newest first; default: {ROWS_FOR_PEOPLE}, all with --json"
    ),
]

READING_COLUMNS = (
    *("interval_end", "dev_eui", "channel", "quantity", "minimum", "maximum", "last", "unit", "interval_s"),
    *("gateway_id", "rssi_dbm", "snr_db", "time_quality"),
)
UPLINK_COLUMNS = (
    *("received_at", "dev_eui", "session", "f_cnt", "f_port", "payload", "gateway_id", "receptions"),
)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(readings)
    app.command()(uplinks)


def readings(
    tenant: Tenant,
    device: Device = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Show a tenant's readings. The times are those of the end of the interval.

    Example: cloud-sync readings --tenant city-hospital --since 2026-11-01T00:00:00Z --json
    """
    settings, query = settings_of(config), _query(device, since, until, limit, as_json)
    with as_reader(settings, tenant) as connection:
        _print(records.readings(connection, tenant, query), READING_COLUMNS, as_json)


def uplinks(
    tenant: Tenant,
    device: Device = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Show a tenant's uplinks with their payload, and every gateway that heard each.

    Example: cloud-sync uplinks --tenant city-hospital --device 70b3d57ed0000001 --json
    """
    settings, query = settings_of(config), _query(device, since, until, limit, as_json)
    with as_reader(settings, tenant) as connection:
        rows = records.uplinks(connection, tenant, query)
        if not as_json:
            rows = ({**row, "receptions": len(row["receptions"])} for row in rows)
        _print(rows, UPLINK_COLUMNS, as_json)


def _query(
    device: str | None, since: str | None, until: str | None, limit: int | None, as_json: bool
) -> Query:
    return Query(
        dev_eui=None if device is None else dev_eui(device),
        since=None if since is None else moment(since),
        until=None if until is None else moment(until),
        limit=limit or (None if as_json else ROWS_FOR_PEOPLE),
    )


def _print(rows: Iterator[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        print_lines(rows)
        return
    print_table(columns, rows, "There are none.")
