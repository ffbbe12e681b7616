"""init, config, version."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.output import AsJson, Configuration, print_facts, print_json, settings_of
from edge_agent.errors import UsageError
from edge_agent.lorawan.regions import REGIONS
from edge_agent.settings import DEFAULT_FILE, STATE_DIRECTORY, Gateway, Settings
from edge_codecs.identifiers import GatewayId

config_app = typer.Typer(help="Check or show the configuration.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(init)
    app.command()(version)
    app.add_typer(config_app, name="config")


def init(
    gateway_id: Annotated[str, typer.Option("--gateway-id", help="EUI-64 of this gateway, 16 hex digits")],
    region: Annotated[str, typer.Option(help="LoRaWAN region: " + ", ".join(REGIONS))] = "EU868",
    host: Annotated[
        str | None, typer.Option(help="the broker's host name; without it nothing is synced")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="the broker's port")] = 8883,
    state: Annotated[Path, typer.Option(help="folder for keys and store")] = STATE_DIRECTORY,
    control_socket: Annotated[
        Path | None, typer.Option(help="Unix socket of the running agent; the default suits systemd")
    ] = None,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Make a commented configuration and this gateway's keys.

    Example: edge-agent init --gateway-id 00800000a0001234 --host broker.example.org
    """
    from edge_agent.provision import provision  # X.509 is needed here alone

    try:
        identifier = GatewayId.parse(gateway_id)
    except ValueError as error:
        raise UsageError(
            str(error), hint="It is printed on the gateway, or see its packet forwarder"
        ) from None
    if region not in REGIONS:
        raise UsageError(f"there is no region {region!r}", hint=f"Give one of: {', '.join(REGIONS)}")
    made = provision(config, state, identifier, host, port, control_socket, region)
    if as_json:
        print_json({name: str(getattr(made, name)) for name in made.__slots__})
        return
    typer.echo(f"Made {made.configuration} and keys in {state}.")
    typer.echo(f"Next: register {made.identity} at the cloud: cloud-sync gateway add {made.identity.name}")
    typer.echo(
        f"      and put the files that it answers with (ca.crt, gateway.crt, receiver.json) into {state}."
    )
    typer.echo("      Then add sensors: edge-agent device add, and start: edge-agent run")


@config_app.command("check")
def check(config: Configuration = DEFAULT_FILE) -> None:
    """Read the configuration and say whether it is right, files that it names included.

    Example: edge-agent config check --config /etc/edge-agent/config.toml
    """
    from edge_agent.store.key_provider import load_store_key

    settings = settings_of(config)
    load_store_key(settings.store.key_file)
    if settings.sync is not None:
        from edge_agent.sync.identity import load_identity

        load_identity(settings.gateway.id, settings.sync)
    typer.echo("The configuration is fine.")


@config_app.command("show")
def show(
    example: Annotated[bool, typer.Option("--example", help="all keys with their defaults")] = False,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Print the configuration in force as commented TOML, environment included.

    Example: edge-agent config show --example
    """
    from edge_agent.config_text import render

    settings = Settings(gateway=Gateway(id="00800000a0001234")) if example else settings_of(config)
    if as_json:
        print_json(settings.model_dump(mode="json"))
    else:
        typer.echo(render(settings), nl=False)


def version(as_json: AsJson = False) -> None:
    """Print the versions of the agent and of what it stands on.

    Example: edge-agent version --json
    """
    import platform

    import sqlcipher3

    facts = {
        "edge-agent": importlib.metadata.version("clipr-gateway"),
        "python": platform.python_version(),
        "sqlite": sqlcipher3.sqlite_version,
        "cryptography": importlib.metadata.version("cryptography"),
        "paho-mqtt": importlib.metadata.version("paho-mqtt"),
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)
