"""device import: many sensors by the file, all or none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.device_add import STDIN, added_text, count_of
from edge_agent.cli.output import AsJson, Configuration, print_json, settings_of
from edge_agent.devices import DeviceDesk
from edge_agent.devices_file import DevicesFile, Fault, check_devices, read_text
from edge_agent.errors import AgentError
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.settings import DEFAULT_FILE


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command("import")(import_devices)


def import_devices(
    file: Annotated[
        Path, typer.Argument(help='devices with keys, JSON or CSV; "-": standard input', metavar="FILE")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be added and every fault, and change nothing")
    ] = False,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Add many sensors by a file: all of them, or none if anything is wrong.

    CSV names its columns in the first line. A sensor that joins has dev_eui, join_eui, app_key (LoRaWAN 1.1:
    nwk_key, too) and, if it is not 1.0.3, lorawan. One that is activated already (ABP) has dev_eui,
    dev_addr, nwk_s_key, app_s_key. Exit status 1 if there are faults.
    Example: edge-agent device import devices.csv --dry-run
    """
    found = check_devices(sys.stdin.read() if str(file) == STDIN else read_text(file))
    desk = DeviceDesk(settings_of(config))
    devices = [device for _, device in found.devices]
    faults = _all_faults(found, desk)
    if not faults and not dry_run:
        desk.add(devices)
    wrong = {fault.place for fault in faults}
    told = [_facts(*placed) for placed in found.devices if placed[0] not in wrong]
    if as_json:
        shown = [{"place": fault.place, "fault": fault.text} for fault in faults]
        if dry_run:
            print_json({"would_add": told, "faults": shown})
        else:
            print_json({"added": [] if faults else told, "faults": shown})
    else:
        if dry_run:
            typer.echo(f"{'Fine' if faults else 'Would add'}: {count_of(told)}")
            for facts in told:
                typer.echo("  " + "  ".join(facts.values()))
        elif not faults:
            typer.echo(added_text(devices))
            if str(file) != STDIN:
                typer.echo(f"{file} holds keys: delete it, or keep it where nobody else can read it.")
        for fault in faults:
            typer.echo(str(fault))
    if faults:
        raise AgentError(
            f"{len(faults)} fault{'' if len(faults) == 1 else 's'}, so nothing "
            + ("would be added" if dry_run else "is added"),
            hint="Mend the file and try again; --dry-run says what is left",
        )


def _all_faults(found: DevicesFile, desk: DeviceDesk) -> list[Fault]:
    """Those of the file, and what stands against its devices here; by place."""
    places = {str(device.dev_eui): place for place, device in found.devices}
    here = desk.conflicts([device for _, device in found.devices])
    faults = [*found.faults, *(Fault(places[one.dev_eui], f"{one.text}. {one.hint}") for one in here)]
    return sorted(faults, key=lambda fault: fault.position)


def _facts(place: str, device: Session | Registration) -> dict[str, str]:
    """What a person checks before it is added."""
    facts = {"place": place, "dev_eui": str(device.dev_eui)}
    if isinstance(device, Registration):
        return facts | {
            "activation": "OTAA",
            "lorawan": str(device.version),
            "join_eui": str(device.join_eui),
        }
    return facts | {"activation": "ABP", "lorawan": device.lorawan, "dev_addr": str(device.dev_addr)}
