"""Each command has help with an example, and stands in the manual."""

import re
from pathlib import Path

import pytest
import typer.main

from edge_agent.cli.app import app

MANUAL = (Path(__file__).resolve().parents[3] / "docs" / "edge-commands.md").read_text()


def _commands(group, path):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_commands(typer.main.get_command(app), ()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example(path):
    assert f"Example: edge-agent {' '.join(path)}" in COMMANDS[path].help


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_it_is_in_the_manual_with_its_options(path):
    section = re.search(rf"^### `{' '.join(path)}`$(.*?)(?=^#|\Z)", MANUAL, re.MULTILINE | re.DOTALL)
    assert section, f"docs/edge-commands.md has no section for {' '.join(path)}"
    for parameter in COMMANDS[path].params:
        for option in parameter.opts:
            if option.startswith("--") and option not in ("--help", "--config"):
                assert f"`{option}" in section[1], f"{option} is not explained"


def test_the_manual_has_no_command_that_is_not_there():
    named = re.findall(r"^### `(.+)`$", MANUAL, re.MULTILINE)
    assert set(named) == {" ".join(path) for path in COMMANDS}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_option_takes_a_key(path):
    for parameter in COMMANDS[path].params:
        assert "key" not in parameter.name or parameter.name == "keys"  # a file's name
