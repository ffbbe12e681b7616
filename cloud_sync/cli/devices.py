"""device add, list, assign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cloud_sync.cli.arguments import (
    AsJson,
    Configuration,
    From,
    Label,
    OptionalTenant,
    Site,
    Tenant,
    as_operator,
    dev_eui,
    moment_or_now,
    settings_of,
)
from cloud_sync.cli.output import plain, print_lines, print_table
from cloud_sync.cli.quarantine import tell_waiting
from cloud_sync.db import quarantine, registrar, registry
from cloud_sync.device_list import parse_devices
from cloud_sync.errors import ConfigurationError, UsageError
from cloud_sync.settings import DEFAULT_FILE
from edge_codecs.identifiers import DevEUI

app = typer.Typer(help="Sensors: which and whose.", no_args_is_help=True, rich_markup_mode=None)

Device = Annotated[str, typer.Argument(metavar="DEVEUI", help="DevEUI, 16 hex digits")]


@app.command("add")
def add(
    device: Annotated[str | None, typer.Argument(metavar="DEVEUI", help="DevEUI, 16 hex digits")] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="one DevEUI a line, or the devices file of a gateway, whose keys are not read; "
            '"-": standard input',
        ),
    ] = None,
    tenant: OptionalTenant = None,
    site: Site = None,
    since: From = None,
    label: Label = "",
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Register sensors, and let them belong to a tenant. Either all of a file are added, or none.

    What a sensor measured before --from goes to quarantine: it was nobody's.

    Example: cloud-sync device add 70b3d57ed0000001 --tenant city-hospital --site ward-7
    """
    if (device is None) == (file is None):
        raise UsageError("either a DevEUI or --file", hint="See: cloud-sync device add --help")
    if tenant is None and (site, since, label) != (None, None, ""):
        raise UsageError("--site, --from and --label need --tenant")
    devices = _listed(file) if file is not None else [dev_eui(device or "")]
    begin = moment_or_now(since)
    with as_operator(settings_of(config)) as connection:
        new = sum(registry.add_device(connection, one) for one in devices)
        if tenant is not None:
            registrar.assign(connection, devices, tenant, site, begin, label)
        waiting = quarantine.waiting(connection, devices)
    known = len(devices) - new
    typer.echo(f"Registered {_count(new)}" + (f"; knew {_count(known)} already." if known else "."))
    if tenant is not None:
        place = f"tenant {tenant}{f', site {site}' if site else ''}"
        typer.echo(f"{'It belongs' if len(devices) == 1 else 'They belong'} to {place}.")
        tell_waiting(waiting, devices, begin)


@app.command("list")
def list_devices(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """List the sensors and whose they are today.

    Example: cloud-sync device list --json
    """
    with as_operator(settings_of(config)) as connection:
        devices = [plain(row) for row in registry.listed(connection, "devices")]
    if as_json:
        print_lines(devices)
        return
    columns = ("dev_eui", "tenant", "site", "label", "since")
    print_table(columns, devices, "There are no devices yet: cloud-sync device add")


@app.command("assign")
def assign(
    device: Device,
    tenant: Tenant,
    site: Site = None,
    since: From = None,
    label: Label = "",
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Let a sensor belong to a tenant from a time on; the assignment before it ends there.

    Example: cloud-sync device assign 70b3d57ed0000001 --tenant city-hospital --from 2026-12-01T00:00:00Z
    """
    identifier, begin = dev_eui(device), moment_or_now(since)
    with as_operator(settings_of(config)) as connection:
        changed = registrar.assign(connection, [identifier], tenant, site, begin, label)
        waiting = quarantine.waiting(connection, [identifier])
    verb = "belongs" if changed else "belonged already"
    typer.echo(f"Device {identifier} {verb} to tenant {tenant}.")
    tell_waiting(waiting, [identifier], begin)


def _listed(file: Path) -> list[DevEUI]:
    if str(file) == "-":
        return parse_devices(sys.stdin.read(), "standard input")
    try:
        return parse_devices(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {file}: {error.strerror}", hint="Give the path of a text or JSON file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text", hint="Save it as UTF-8") from None


def _count(number: int) -> str:
    return f"{number} device{'' if number == 1 else 's'}"
