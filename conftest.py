"""Code blocks of README.md and docs/ run as tests.

A ```python block runs as it stands. In a ```console block each line behind "$ " runs in a shell in a folder
of the document's own, with our commands on the PATH; what follows is what it prints, "…" for any text. A
`make` command is only asked what it would do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parent


def _run_console(example: Example) -> None:
    for command, expected in _commands(str(example.parsed)):
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CLICOLOR": "0",
        }
        folder = example.namespace["folder"]
        if command.startswith("make "):
            command, folder = f"make -n {command.removeprefix('make ')}", ROOT
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        printed = done.stdout + done.stderr
        if not expected:
            assert done.returncode == 0, f"{command} exited with {done.returncode}:\n{printed}"
            continue
        pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
        assert re.fullmatch(pattern, printed.strip(), re.DOTALL), f"{command} printed:\n{printed}"


def _commands(block: str) -> list[tuple[str, str]]:
    commands: list[tuple[str, str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], ""))
        else:
            command, expected = commands[-1]
            commands[-1] = (command, f"{expected}{line}\n")
    return commands


def _new_folder(namespace: dict[str, object]) -> None:
    namespace["holder"] = holder = tempfile.TemporaryDirectory(prefix="docs-")
    namespace["folder"] = holder.name


def _remove_folder(namespace: dict[str, object]) -> None:
    holder = namespace["holder"]
    assert isinstance(holder, tempfile.TemporaryDirectory)
    holder.cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser(language="console", evaluator=_run_console)],
    patterns=["*.md"],
    excludes=["CHANGELOG.md"],
    setup=_new_folder,
    teardown=_remove_folder,
).pytest()
