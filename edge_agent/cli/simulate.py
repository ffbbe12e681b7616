"""simulate: sensors that are not there, sent as a packet forwarder would send them."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.output import AsJson, print_facts, print_json
from edge_agent.devices_file import write_devices
from edge_agent.errors import UsageError
from edge_agent.simulate.plan import GATEWAY, Simulation
from edge_agent.simulate.simulation import devices_of
from edge_agent.simulate.simulation import simulate as play
from edge_codecs.identifiers import EUI64

DEV_NONCE_S = 60
"""Without another word DevNonces begin with the minutes of the clock: a later run goes on above."""


def _share(what: str) -> Any:
    return typer.Option(min=0.0, max=1.0, help=f"share of {what}, 0 … 1")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command()(simulate)


def simulate(
    sensors: Annotated[int, typer.Option(min=1, help="how many Clip'R sensors")] = 1,
    abp: Annotated[
        bool, typer.Option("--abp", help="sensors that have sessions already and only speak: for load")
    ] = False,
    host: Annotated[str, typer.Option(help="where the agent's Semtech UDP port is")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="that port")] = 1700,
    seed: Annotated[int, typer.Option(help="same seed, same sensors, keys and readings")] = 1,
    forwarder: Annotated[str, typer.Option(help="EUI of the packet forwarder")] = str(GATEWAY),
    first_sensor: Annotated[int, typer.Option(min=0, help="number of the first sensor")] = 0,
    f_cnt_start: Annotated[int, typer.Option(min=0, help="with --abp: first frame counter")] = 0,
    dev_nonce_start: Annotated[
        int | None,
        typer.Option(min=0, max=0xFFFF, help="first DevNonce of sensors whose DevNonce rises; by the clock"),
    ] = None,
    interval_s: Annotated[int, typer.Option(min=1, help="report interval in the sensor's own time")] = 900,
    speed_up: Annotated[float, typer.Option(min=0.001, help="how much faster sensors live")] = 1.0,
    rate: Annotated[
        float, typer.Option(min=0.0, help="with --abp: uplinks a second over all sensors; 0: by interval")
    ] = 0.0,
    uplinks: Annotated[int, typer.Option(min=0, help="end after so many; 0: never")] = 0,
    duration_s: Annotated[float, typer.Option(min=0.0, help="end after so long; 0: never")] = 0.0,
    calm_s: Annotated[
        float, typer.Option(min=0.0, help="seconds at the end in which nothing is lost on the air")
    ] = 0.0,
    start_ms: Annotated[int, typer.Option(min=0, help="UTC of the first moment, ms since 1970; 0: now")] = 0,
    loss: Annotated[float, _share("frames that never reach the gateway")] = 0.0,
    downlink_loss: Annotated[float, _share("the gateway's frames that no sensor hears")] = 0.0,
    duplicates: Annotated[float, _share("frames that are heard twice")] = 0.0,
    bad_crc: Annotated[float, _share("frames with a damaged copy beside the sound one")] = 0.0,
    foreign: Annotated[float, _share("strangers' frames for each of ours")] = 0.0,
    replays: Annotated[float, _share("old frames that an attacker sends again")] = 0.0,
    confirmed: Annotated[float, _share("uplinks that ask for an acknowledgement")] = 0.0,
    bundle: Annotated[int, typer.Option(min=1, max=200, help="most frames in a datagram")] = 1,
    ledger: Annotated[
        Path | None,
        typer.Option(help="write what the agent must store, and what sensors measured (JSON lines)"),
    ] = None,
    devices: Annotated[
        Path | None, typer.Option(help="only write the devices file for `edge-agent device import`")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play Clip'R sensors, to prove a gateway without one: they join, report, listen and remember.

    Their windows are in real time, so give them intervals of 10 s and more. Nothing is kept between runs.
    Example: edge-agent simulate --sensors 3 --devices devices.json
    then: edge-agent device import devices.json && edge-agent simulate --sensors 3 --interval-s 10
    """
    try:
        gateway = EUI64.parse(forwarder)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if dev_nonce_start is None:
        dev_nonce_start = int(time.time()) // DEV_NONCE_S % 0xFFFF
    plan = Simulation(
        activation="abp" if abp else "otaa",
        sensors=sensors,
        seed=seed,
        gateway=gateway,
        first_sensor=first_sensor,
        f_cnt_start=f_cnt_start,
        dev_nonce_start=dev_nonce_start,
        interval_s=interval_s,
        speed_up=speed_up,
        rate_per_s=rate,
        uplinks=uplinks,
        duration_s=duration_s,
        calm_s=calm_s,
        start_ms=start_ms,
        loss=loss,
        downlink_loss=downlink_loss,
        duplicates=duplicates,
        bad_crc=bad_crc,
        foreign=foreign,
        replays=replays,
        confirmed=confirmed,
        bundle=bundle,
    )
    if devices is not None:
        write_devices(devices, devices_of(plan))
        typer.echo(f"Wrote {sensors} devices with their keys to {devices}.")
        return
    outcome = play(plan, host, port, ledger=ledger)
    if as_json:
        print_json(asdict(outcome))
    else:
        print_facts({name.replace("_", " "): value for name, value in asdict(outcome).items()})
    if outcome.datagrams and outcome.unacknowledged == outcome.datagrams:
        raise UsageError(
            f"nobody at {host}:{port} answered", hint="Is the agent running? Try: edge-agent status"
        )
