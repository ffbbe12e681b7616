"""device list, show, remove, reset, and the others: with the agent running or not."""

from __future__ import annotations

from typing import Any

import typer

from edge_agent.cli import device_add, device_import, downlinks
from edge_agent.cli.downlinks import Device, downlink_lines
from edge_agent.cli.output import (
    AsJson,
    Configuration,
    dev_eui_of,
    print_facts,
    print_json,
    print_table,
    settings_of,
)
from edge_agent.devices import DeviceDesk
from edge_agent.settings import DEFAULT_FILE

app = typer.Typer(help="Sensors of this gateway.", no_args_is_help=True, rich_markup_mode=None)
device_add.register(app)
device_import.register(app)

_SHOWN_DOWNLINKS = 3


@app.command("list")
def list_devices(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """List the sensors, and when each was heard last.

    Example: edge-agent device list --json
    """
    devices = DeviceDesk(settings_of(config)).devices()
    if as_json:
        print_json(devices)
        return
    columns = ("dev_eui", "state", "lorawan", "last_seen", "rssi_dbm", "snr_db", "battery", "not_taken")
    print_table(
        columns,
        ([{**device, "state": _state(device)}[c] for c in columns] for device in devices),
        "There are no devices yet. Add one: edge-agent device add",
    )


@app.command("show")
def show(dev_eui: Device, config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show one sensor: its session, its link, what it was told, and why frames of it were not taken.

    Example: edge-agent device show 70b3d57ed0000001
    """
    device = DeviceDesk(settings_of(config)).show(dev_eui_of(dev_eui))
    if as_json:
        print_json(device)
        return
    print_facts(_facts(device))
    for entry in device["downlinks"][-_SHOWN_DOWNLINKS:]:
        for line in downlink_lines("told:", entry):
            typer.echo(line)
    for entry in device["frames_not_taken"]:
        typer.echo(f"not taken: {entry['reason']} {entry['count']} times, last {entry['last_seen']}")
        typer.echo(f"           {entry['sentence']}")


@app.command("remove")
def remove(dev_eui: Device, config: Configuration = DEFAULT_FILE) -> None:
    """Remove a sensor and its keys. Its readings stay.

    Example: edge-agent device remove 70b3d57ed0000001
    """
    DeviceDesk(settings_of(config)).remove(dev_eui_of(dev_eui))
    typer.echo(f"Removed {dev_eui}.")


@app.command("reset")
def reset(dev_eui: Device, config: Configuration = DEFAULT_FILE) -> None:
    """Let a sensor that you know was reset begin anew: to join, or to count its frames.

    Until then its frames are "reset or replay", its join requests "nonce used": a recording would look the
    same.
    Example: edge-agent device reset 70b3d57ed0000001
    """
    if DeviceDesk(settings_of(config)).reset(dev_eui_of(dev_eui)):
        typer.echo(
            f"{dev_eui} may join anew. Switch it off and on, and see: edge-agent device show {dev_eui}"
        )
    else:
        typer.echo(f"{dev_eui} may count from 0 again.")


downlinks.register(app)


_JOIN_STATES = {
    "waiting": "not joined",
    "answered": "join answered",
    "answered again": "joins anew",
    "joined": "joined",
}
_JOIN_SENTENCES = {
    "waiting": "not joined yet: switch it on near the gateway",
    "answered": "answered, its first frame is awaited",
    "answered again": "joined, and answered anew",
    "joined": "joined",
}


def _state(device: dict[str, Any]) -> str:
    return _JOIN_STATES[device["join"]] if device["join"] is not None else "ABP"


def _facts(device: dict[str, Any]) -> dict[str, object]:
    """One fact a line, short enough for a phone; what is not known is left out."""
    seen = device["last_seen"] or ("not yet" if not device["uplinks"] else "waits for its date")
    facts: dict[str, object] = {"DevEUI": device["dev_eui"]}
    if device["join"] is not None:
        facts |= {
            "kind": f"joins (OTAA), LoRaWAN {device['lorawan']}",
            "JoinEUI": device["join_eui"],
            "edition": device["region_revision"],
            "join": _JOIN_SENTENCES[device["join"]],
        }
    else:
        facts["kind"] = f"activated already (ABP), LoRaWAN {device['lorawan']}"
    facts |= {
        "DevAddr": device["dev_addr"],
        "session": device["session"],
        "codec": device["codec"],
        "last heard": seen,
        "counter": device["f_cnt_up"],
        "frames": device["uplinks"],
        "signal": _unit(device["rssi_dbm"], "dBm"),
        "SNR": _unit(device["snr_db"], "dB"),
        "battery": device["battery"],
        "margin": _unit(device["margin_db"], "dB at the sensor"),
        "as of": device["status_at"],
        "data rate": device["data_rate"],
        "power": _unit(device["tx_power_dbm"], "dBm"),
        "NbTrans": device["nb_trans"],
        "queued": device["queued"],
    }
    return {name: value for name, value in facts.items() if value is not None}


def _unit(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:g} {unit}"
