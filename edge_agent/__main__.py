"""`edge-agent`: the daemon by a short way, everything else by the command line.

`edge-agent run` imports no command line: on the gateway each megabyte counts.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from edge_agent.errors import AgentBug, AgentError
from edge_agent.settings_apart import SettingsApart


def main() -> None:
    """Run and exit with the status that `edge_agent.errors` documents."""
    sys.exit(_guarded(sys.argv[1:]))


def _guarded(arguments: list[str]) -> int:
    try:
        if configuration := _plain_run(arguments):
            apart = SettingsApart(configuration)
            from edge_agent import daemon  # loads while the child reads

            daemon.main(apart.result())
            return 0
        from edge_agent.cli.app import run_command_line

        return run_command_line(arguments)
    except AgentError as error:
        return report(error)
    except (KeyboardInterrupt, BrokenPipeError):
        return _quiet_exit()
    except Exception as error:  # noqa: BLE001  the last line of defence: name it, keep locals out of the log
        for cause in _causes(error):
            traceback.print_tb(cause.__traceback__)
            report(AgentBug(f"unexpected {type(cause).__name__}: {cause}"))
        return AgentBug.exit_code


def _causes(error: BaseException) -> list[BaseException]:
    """The errors in a group, or the one that there is."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    return [error]


def report(error: AgentError) -> int:
    """Say what is wrong and what to do next; returns the exit status."""
    sys.stderr.write(f"edge-agent: {error}\n")
    if error.hint:
        sys.stderr.write(f"  → {error.hint}\n")
    return error.exit_code


def _plain_run(arguments: list[str]) -> Path | None:
    """The configuration file if this is `run [--config FILE]` and nothing else, else None."""
    match arguments:
        case ["run"]:
            return Path(os.environ.get("EDGE_AGENT_CONFIG", "/etc/edge-agent/config.toml"))
        case ["run", "--config", file] | ["--config", file, "run"]:
            return Path(file)
        case _:
            return None


def _quiet_exit() -> int:
    """The reader of our pipe has gone, or somebody pressed Ctrl-C: nothing to report."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


if __name__ == "__main__":
    main()
