"""config example, check, show; version; run."""

from __future__ import annotations

import importlib.metadata
import platform

import typer

from cloud_sync.cli.arguments import AsJson, Configuration, settings_of
from cloud_sync.cli.output import print_facts, print_json
from cloud_sync.config_text import example, render
from cloud_sync.db.dsn import without_secrets
from cloud_sync.settings import DEFAULT_FILE, CloudSettings

config_app = typer.Typer(
    help="Print, check or show the configuration.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(run)
    app.command()(version)
    app.add_typer(config_app, name="config")


@config_app.command("example")
def print_example() -> None:
    """Print a commented configuration with every key and its default.

    Example: cloud-sync config example > /etc/cloud-sync/config.toml
    """
    typer.echo(example(), nl=False)


@config_app.command("check")
def check(config: Configuration = DEFAULT_FILE) -> None:
    """Read the configuration and say whether it is right, the receiver's keys and certificate included.

    Example: cloud-sync config check --config /etc/cloud-sync/config.toml
    """
    from cloud_sync.mqtt import Broker
    from cloud_sync.pki.keys import load_keys

    settings = settings_of(config)
    mqtt = settings.mqtt
    load_keys(settings.keys.directory)
    Broker(mqtt.host, mqtt.port, mqtt.ca_file, mqtt.certificate_file, mqtt.key_file).tls_context()
    typer.echo("The configuration is fine.")


@config_app.command("show")
def show(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Print the configuration in force as commented TOML, environment included and passwords left out.

    Example: cloud-sync config show --json
    """
    settings = _without_secrets(settings_of(config))
    if as_json:
        print_json(settings.model_dump(mode="json"))
    else:
        typer.echo(render(settings), nl=False)


def run(config: Configuration = DEFAULT_FILE) -> None:
    """Receive batches and keep them as records, until SIGTERM.

    Example: cloud-sync run --config /etc/cloud-sync/config.toml
    """
    import logging

    from cloud_sync import receiver

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    receiver.run(settings_of(config))


def version(as_json: AsJson = False) -> None:
    """Print the versions of the receiver and of what it stands on.

    Example: cloud-sync version --json
    """
    facts = {"cloud-sync": importlib.metadata.version("clipr-gateway"), "python": platform.python_version()}
    facts |= {
        name: importlib.metadata.version(name)
        for name in ("psycopg", "cryptography", "paho-mqtt", "pydantic")
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def _without_secrets(settings: CloudSettings) -> CloudSettings:
    database = settings.database.model_copy(update={"dsn": without_secrets(settings.database.dsn)})
    return settings.model_copy(update={"database": database})
