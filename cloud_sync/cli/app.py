"""All commands joined."""

from __future__ import annotations

import os

import typer
import typer.main

from cloud_sync.cli import authority, database, devices, gateways, keys, quarantine, records, setup, tenants
from cloud_sync.cli.arguments import CONFIG_VARIABLE, Configuration
from cloud_sync.errors import UsageError
from cloud_sync.settings import DEFAULT_FILE

app = typer.Typer(
    name="cloud-sync", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
for commands in (setup, records):
    commands.register(app)
for name, group in (
    ("db", database.app),
    ("tenant", tenants.tenant_app),
    ("site", tenants.site_app),
    ("gateway", gateways.app),
    ("device", devices.app),
    ("quarantine", quarantine.app),
    ("ca", authority.app),
    ("keys", keys.app),
):
    app.add_typer(group, name=name)


@app.callback()
def _common(config: Configuration = DEFAULT_FILE) -> None:
    """Receiver of sealed batches, and the desk of its operator: tenants, gateways, sensors, records."""
    os.environ[CONFIG_VARIABLE] = str(config)  # the default of the command's own --config


def run_command_line(arguments: list[str]) -> int:
    """Run one command. Returns the exit status; raises CloudError."""
    command = typer.main.get_command(app)
    before = os.environ.get(CONFIG_VARIABLE)
    try:
        outcome = command.main(args=arguments, prog_name="cloud-sync", standalone_mode=False)
    except typer.Abort:
        return 1
    except typer.TyperException as error:
        if error.format_message().startswith("Usage: "):  # no command at all is answered with the help
            typer.echo(error.format_message())
            return UsageError.exit_code
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "cloud-sync"
        raise UsageError(error.format_message(), hint=f"See: {path} --help") from None
    finally:
        os.environ.pop(CONFIG_VARIABLE, None)
        if before is not None:
            os.environ[CONFIG_VARIABLE] = before
    return outcome if isinstance(outcome, int) else 0
