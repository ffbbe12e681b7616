"""`cloud-sync`: errors become text and an exit status here, and nowhere else."""

from __future__ import annotations

import os
import sys
import traceback

from cloud_sync.errors import CloudBug, CloudError


def main() -> None:
    """Run the command and exit with the status that `cloud_sync.errors` documents."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit status and never raises."""
    try:
        from cloud_sync.cli.app import run_command_line

        status = run_command_line(arguments)
        sys.stdout.flush()
    except CloudError as error:
        return report(error)
    except (KeyboardInterrupt, BrokenPipeError):
        return _quiet_exit()
    except Exception as error:  # noqa: BLE001  the last line of defence: name it, keep locals out of the log
        traceback.print_tb(error.__traceback__)
        return report(CloudBug(f"unexpected {type(error).__name__}: {error}"))
    return status


def report(error: CloudError) -> int:
    """Say what is wrong and what to do next; returns the exit status."""
    sys.stderr.write(f"cloud-sync: {error}\n")
    if error.hint:
        sys.stderr.write(f"  → {error.hint}\n")
    return error.exit_code


def _quiet_exit() -> int:
    """The reader of our pipe has gone, or somebody pressed Ctrl-C: nothing to report."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


if __name__ == "__main__":
    main()
