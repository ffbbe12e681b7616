"""device configure, reboot, queue: what a sensor is told, with the answer to its next uplink."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.output import AsJson, Configuration, dev_eui_of, print_json, settings_of
from edge_agent.devices import DeviceDesk
from edge_agent.errors import UsageError
from edge_agent.settings import DEFAULT_FILE
from edge_codecs.clipr import CentiCelsius, Configure, Downlink, Reboot, encode_downlink

_LOWEST, _HIGHEST = -40, 125  # °C
_OFF = "off"

Device = Annotated[str, typer.Argument(help="DevEUI, 16 hex digits")]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("configure")(configure)
    app.command("reboot")(reboot)
    app.command("queue")(queue)


def configure(
    dev_eui: Device,
    report_interval_s: Annotated[
        int, typer.Option(min=10, max=0xFFFF, help="seconds from report to report, 10 … 65535")
    ],
    sampling_interval_s: Annotated[
        int,
        typer.Option(min=1, max=0xFFFF, help="seconds from sample to sample, at most the report interval"),
    ],
    upper_limit: Annotated[
        str, typer.Option(help='alarm above so many °C, -40 … 125, such as 60 or 57.5; "off": none')
    ],
    lower_limit: Annotated[str, typer.Option(help='alarm below so many °C; "off": none')],
    confirmed: Annotated[
        bool,
        typer.Option(
            "--confirmed/--unconfirmed",
            help="send it until the sensor says that it has it, or once and hope",
        ),
    ] = True,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Set a sensor's intervals and alarm limits. It hears of it with the answer to its next uplink.

    The message holds all four values, so all four are asked for.
    Example: edge-agent device configure 70b3d57ed0000001 --report-interval-s 900
    --sampling-interval-s 10 --upper-limit 65 --lower-limit off
    """
    if sampling_interval_s > report_interval_s:
        raise UsageError(
            f"sampling every {sampling_interval_s} s is too seldom for a report every {report_interval_s} s",
            hint="A report tells of the samples since the last one: sample at least as often",
        )
    upper, lower = _limit("--upper-limit", upper_limit), _limit("--lower-limit", lower_limit)
    if upper is not None and lower is not None and lower >= upper:
        raise UsageError(
            f"--lower-limit {lower_limit} is not below --upper-limit {upper_limit}",
            hint="Were they swapped? An alarm that is not wanted is: off",
        )
    message = Configure(report_interval_s, sampling_interval_s, upper, lower)
    _tell(config, dev_eui, message, confirmed=confirmed, as_json=as_json)


def reboot(dev_eui: Device, config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Let a sensor start anew. It hears of it with the answer to its next uplink.

    It is told once (twice if the gateway itself loses power just then) and never asked to acknowledge: the
    acknowledgement would be lost with the session, so that the sensor would be told, and reboot, again. Its
    status message with the cause "by downlink" shows that it did. A sensor that is activated already (ABP)
    may count its frames from 0 then: device reset.
    Example: edge-agent device reboot 70b3d57ed0000001
    """
    _tell(config, dev_eui, Reboot(), confirmed=False, as_json=as_json)


def queue(
    dev_eui: Device,
    clear: Annotated[bool, typer.Option("--clear", help="drop what is not done yet")] = False,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Show what a sensor will be told, and what became of the last messages.

    Example: edge-agent device queue 70b3d57ed0000001
    """
    desk, identifier = DeviceDesk(settings_of(config)), dev_eui_of(dev_eui)
    if clear:
        cleared = desk.clear(identifier)
        if as_json:
            print_json({"cleared": cleared})
        else:
            typer.echo(f"Dropped {cleared} message{'' if cleared == 1 else 's'}.")
            if cleared:
                typer.echo("One that the radio has already goes all the same.")
        return
    entries = desk.downlinks(identifier)
    if as_json:
        print_json(entries)
        return
    if not entries:
        typer.echo("Nothing waits, and nothing was sent. To tell it something: edge-agent device configure")
    for entry in entries:
        for line in (*downlink_lines(f"#{entry['number']}", entry), f"   queued {entry['queued_at']}"):
            typer.echo(line)


def downlink_lines(title: str, entry: dict[str, Any]) -> list[str]:
    """A queued downlink and where it stands, one fact a line."""
    kind, _, facts = entry["what"].partition(": ")
    details = [*(facts.split(", ") if facts else ()), downlink_state(entry)]
    return [f"{title} {kind}", *(f"   {detail}" for detail in details)]


def downlink_state(entry: dict[str, Any]) -> str:
    """Where a queued downlink stands, for people."""
    tries = f" ({entry['tries']} tries)" if entry["tries"] > 1 else ""
    detail = f": {entry['detail']}" if entry["detail"] else ""
    match entry["state"]:
        case "waiting":
            said = "tried, and goes again with" if entry["tries"] or entry["detail"] else "waits for"
            return f"{said} the sensor's next uplink{tries}{detail}"
        case "sent" if entry["confirmed"]:
            return f"sent, the sensor has not acknowledged it yet{tries}"
        case "sent":
            return "sent once; whether it was heard is not asked"
        case "acknowledged":
            return f"acknowledged by the sensor{tries}"
        case _:
            return f"given up{detail}{tries}"


def _tell(config: Path, dev_eui: str, message: Downlink, *, confirmed: bool, as_json: bool) -> None:
    settings, identifier = settings_of(config), dev_eui_of(dev_eui)
    if not settings.network.downlinks:
        raise UsageError(
            "this gateway only listens: nothing would be sent",
            hint="Tell the sensor by the network server that answers it, or set [network] downlinks = true",
        )
    f_port, payload = encode_downlink(message)
    entry = DeviceDesk(settings).tell(identifier, f_port, payload, confirmed=confirmed)
    if as_json:
        print_json(entry)
        return
    typer.echo(f"Queued for {identifier}:")
    for line in downlink_lines(f"#{entry['number']}", entry):
        typer.echo(line)
    typer.echo("It goes with the answer to the sensor's next uplink: that may take a report interval.")
    typer.echo(f"See what became of it: edge-agent device queue {identifier}")


def _limit(option: str, text: str) -> CentiCelsius | None:
    if text.strip().lower() == _OFF:
        return None
    try:
        celsius = Decimal(text.strip().replace(",", "."))
        sound = _LOWEST <= celsius <= _HIGHEST and celsius == round(celsius, 2)
    except InvalidOperation:
        sound = False
    if not sound:
        raise UsageError(
            f"{option} is {_LOWEST} … {_HIGHEST} °C with at most two decimals, or off; not {text!r}",
            hint=f"Such as {option} 57.5",
        )
    return CentiCelsius(int(celsius * 100))
