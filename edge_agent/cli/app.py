"""All commands joined."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import typer
import typer.main

from edge_agent.cli import devices, inspect, live, readings, setup, simulate, store
from edge_agent.cli.output import Configuration
from edge_agent.errors import UsageError
from edge_agent.settings import DEFAULT_FILE

app = typer.Typer(
    name="edge-agent", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
for commands in (setup, live, readings, inspect, simulate):
    commands.register(app)
app.add_typer(devices.app, name="device")
app.add_typer(store.app, name="store")


@app.callback()
def _common(config: Configuration = DEFAULT_FILE) -> None:
    """LoRaWAN edge agent: frames in, readings kept and carried to the cloud."""
    os.environ["EDGE_AGENT_CONFIG"] = str(config)  # the default of the command's own --config


@cache
def _command() -> Any:  # typer does not export the type
    """All of it as one command; to make it takes longer than most commands."""
    return typer.main.get_command(app)


def run_command_line(arguments: list[str]) -> int:
    """Run one command. Returns the exit status; raises AgentError."""
    try:
        outcome = _command().main(args=arguments, prog_name="edge-agent", standalone_mode=False)
    except typer.Abort:
        return 1
    except typer.TyperException as error:
        if error.format_message().startswith("Usage: "):  # no command at all is answered with the help
            typer.echo(error.format_message())
            return UsageError.exit_code
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "edge-agent"
        raise UsageError(error.format_message(), hint=f"See: {path} --help") from None
    return outcome if isinstance(outcome, int) else 0
