"""The command line of the cloud side in this process: what it prints and how it ends."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_sync.__main__ import run


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        """JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Desk:
    """Runs commands with a configuration whose files all lie in `folder`."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        self.dsn = dsn
        self.configuration = folder / "config.toml"
        self.configuration.write_text(
            f"""
[database]
dsn = {json.dumps(dsn)}
[mqtt]
ca_file = "{folder}/ca/ca.crt"
certificate_file = "{folder}/receiver.crt"
key_file = "{folder}/receiver.key"
[keys]
directory = "{folder}/keys"
[ca]
directory = "{folder}/ca"
"""
        )

    def __call__(self, *arguments: object) -> Done:
        """Run a command that reads the configuration, whatever comes of it."""
        return without_configuration(*arguments, "--config", self.configuration)

    def fine(self, *arguments: object) -> Done:
        """Run a command that must succeed."""
        done = self(*arguments)
        assert done.status == 0, done.err
        assert done.err == ""
        return done


def without_configuration(*arguments: object) -> Done:
    """Run a command just so."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run([str(argument) for argument in arguments])
    return Done(status, out.getvalue(), err.getvalue())
