"""device add, list, show, remove, reset: with the agent running or not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.output import AsJson, Configuration, print_facts, print_json, print_table, settings_of
from edge_agent.devices import DeviceDesk
from edge_agent.devices_file import parse_devices, read_devices
from edge_agent.errors import UsageError
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.session import Session
from edge_agent.settings import DEFAULT_FILE
from edge_codecs.identifiers import DevEUI

app = typer.Typer(help="Sensors of this gateway.", no_args_is_help=True, rich_markup_mode=None)

KEYS_1_0 = ("NwkSKey", "AppSKey")
KEYS_1_1 = ("FNwkSIntKey", "SNwkSIntKey", "NwkSEncKey", "AppSKey")


@app.command("add")
def add(
    dev_eui: Annotated[str | None, typer.Option("--dev-eui", help="DevEUI, 16 hex digits")] = None,
    dev_addr: Annotated[str | None, typer.Option("--dev-addr", help="DevAddr, 8 hex digits")] = None,
    lorawan: Annotated[str, typer.Option("--lorawan", help='"1.0" or "1.1"')] = "1.0",
    f_cnt: Annotated[
        int | None,
        typer.Option(
            "--f-cnt", min=0, max=0xFFFF_FFFF, help="last frame counter used, if it is not a new sensor"
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help='devices with keys, JSON or CSV; "-": standard input')
    ] = None,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Add sensors that are activated by personalisation (ABP). Keys are asked for, or come in a file.

    Example: edge-agent device add --dev-eui 70b3d57ed0000001 --dev-addr 260b1234
    """
    if file is not None:
        if dev_eui or dev_addr:
            raise UsageError("either --file, or one device by --dev-eui and --dev-addr")
        sessions = (
            parse_devices(sys.stdin.read(), "standard input") if str(file) == "-" else read_devices(file)
        )
    else:
        sessions = [_asked(dev_eui, dev_addr, lorawan, f_cnt)]
    added = DeviceDesk(settings_of(config)).add(sessions)
    if as_json:
        print_json({"added": [str(identifier) for identifier in added]})
    else:
        typer.echo(f"Added {len(added)} device{'' if len(added) == 1 else 's'}.")


def _asked(dev_eui: str | None, dev_addr: str | None, lorawan: str, f_cnt: int | None) -> Session:
    if dev_eui is None or dev_addr is None:
        raise UsageError("--dev-eui and --dev-addr are needed, or --file")
    names = {"1.0": KEYS_1_0, "1.1": KEYS_1_1}.get(lorawan)
    if names is None:
        raise UsageError(f'--lorawan is "1.0" or "1.1", not {lorawan!r}')
    try:
        identifier, address = DevEUI.parse(dev_eui), DevAddr.parse(dev_addr)
        keys = _keys(names)
    except ValueError as error:
        raise UsageError(str(error)) from None
    network = keys["NwkSKey"] if lorawan == "1.0" else None
    return Session(
        dev_eui=identifier,
        dev_addr=address,
        lorawan=lorawan,
        f_nwk_s_int_key=network or keys["FNwkSIntKey"],
        s_nwk_s_int_key=network or keys["SNwkSIntKey"],
        nwk_s_enc_key=network or keys["NwkSEncKey"],
        app_s_key=keys["AppSKey"],
        f_cnt_up=f_cnt,
    )


def _keys(names: Sequence[str]) -> dict[str, AES128Key]:
    """By prompt, unseen; or a line each from standard input when it is no terminal."""
    if sys.stdin.isatty():
        return {name: AES128Key.parse(typer.prompt(name, hide_input=True)) for name in names}
    lines = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
    if len(lines) != len(names):
        raise UsageError(
            f"standard input holds {len(lines)} lines, not {len(names)}",
            hint=f"A line each: {', '.join(names)}",
        )
    return {name: AES128Key.parse(line) for name, line in zip(names, lines, strict=True)}


@app.command("list")
def list_devices(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """List the sensors, and when each was heard last.

    Example: edge-agent device list --json
    """
    devices = DeviceDesk(settings_of(config)).list()
    if as_json:
        print_json(devices)
        return
    columns = ("dev_eui", "dev_addr", "lorawan", "f_cnt_up", "last_seen", "rssi_dbm", "snr_db", "not_taken")
    print_table(
        columns, ([device.get(c) for c in columns] for device in devices), "There are no devices yet."
    )


@app.command("show")
def show(
    dev_eui: Annotated[str, typer.Argument(help="DevEUI, 16 hex digits")],
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Show one sensor, and why frames of it were not taken.

    Example: edge-agent device show 70b3d57ed0000001
    """
    device: dict[str, Any] = DeviceDesk(settings_of(config)).show(_dev_eui(dev_eui))
    if as_json:
        print_json(device)
        return
    reasons = device.pop("frames_not_taken")
    print_facts(device)
    for entry in reasons:
        typer.echo(f"not taken: {entry['reason']} {entry['count']} times, last {entry['last_seen']}")
        typer.echo(f"           {entry['sentence']}")


@app.command("remove")
def remove(
    dev_eui: Annotated[str, typer.Argument(help="DevEUI, 16 hex digits")],
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Remove a sensor and its keys. Its readings stay.

    Example: edge-agent device remove 70b3d57ed0000001
    """
    DeviceDesk(settings_of(config)).remove(_dev_eui(dev_eui))
    typer.echo(f"Removed {dev_eui}.")


@app.command("reset")
def reset(
    dev_eui: Annotated[str, typer.Argument(help="DevEUI, 16 hex digits")],
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Let a sensor that you know was reset start its frame counter anew.

    Until then its frames are "reset or replay": a recording would look the same.
    Example: edge-agent device reset 70b3d57ed0000001
    """
    DeviceDesk(settings_of(config)).reset(_dev_eui(dev_eui))
    typer.echo(f"{dev_eui} may count from 0 again.")


def _dev_eui(text: str) -> DevEUI:
    try:
        return DevEUI.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
