"""Every command explains itself, and the manual knows it."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from cloud_sync.cli.app import app

MANUAL = (Path(__file__).parents[3] / "docs" / "cloud-commands.md").read_text()
ROOT = typer.main.get_command(app)
EVERYWHERE = {"--config", "--json", "--help"}


def commands(command: Any = ROOT, path: str = "cloud-sync") -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from commands(one, f"{path} {name}")


COMMANDS = dict(commands())


def sections() -> dict[str, str]:
    """By command, without its arguments: the text below its heading."""
    found = re.findall(
        r"^### `(cloud-sync [a-z -]+?)(?: [A-Z][A-Za-z.]*)?`\n(.*?)(?=^##|\Z)", MANUAL, re.M | re.S
    )
    return dict(found)


def examples() -> Iterator[str]:
    """Each command line in help and manual."""
    for path, command in COMMANDS.items():
        (example,) = re.findall(r"^Example: (cloud-sync .*)$", command.help, re.M)
        assert example.startswith(path), example
        yield example
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", MANUAL, re.M | re.S):
        for line in block.splitlines():
            found = re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )?(cloud-sync .*)$", line)
            if found:
                yield found[1]


def test_what_there_is() -> None:
    assert set(COMMANDS) == {
        f"cloud-sync {name}"
        for name in (
            *("run", "version", "readings", "uplinks"),
            *("config example", "config check", "config show", "db migrate", "db partitions", "db check"),
            *("tenant add", "tenant list", "site add", "site list"),
            *("gateway add", "gateway list", "gateway assign", "gateway revoke"),
            *("device add", "device list", "device assign", "quarantine list", "quarantine show"),
            "quarantine retry",
            *("ca init", "ca issue-server", "ca issue-receiver", "keys init", "keys add", "keys show"),
        )
    }


@pytest.mark.parametrize("path", COMMANDS)
def test_command_explains_itself(path: str) -> None:
    command = COMMANDS[path]
    sentence = command.help.partition("\n")[0]
    assert re.fullmatch(r"[A-Z].*\.", sentence), sentence
    for parameter in command.params:
        assert parameter.help, f"{path}: {parameter.name}"
    assert inspect.getdoc(command.callback)


@pytest.mark.parametrize("path", COMMANDS)
def test_command_stands_in_the_manual_with_its_options(path: str) -> None:
    section = sections()[path]
    assert section.strip()
    options = {option for p in COMMANDS[path].params for option in p.opts if option.startswith("--")}
    general = EVERYWHERE | ({"--directory"} if path.startswith("cloud-sync ca ") else set())
    for option in options - general:
        known = {"--site", "--from", "--label", "--since", "--until"} & {option} and "as above" in section
        assert f"`{option}`" in section or known, f"{option} of {path}"


def test_manual_knows_no_other_command_and_no_other_option() -> None:
    assert set(sections()) == set(COMMANDS)
    options = {option for c in COMMANDS.values() for p in c.params for option in p.opts} | EVERYWHERE
    assert set(re.findall(r"`(--[a-z-]+)`", MANUAL)) <= options


@pytest.mark.parametrize("example", sorted(set(examples())))
def test_example_is_right(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "identity.json").touch()
    command: Any = ROOT
    _, *words = shlex.split(example.partition(" > ")[0])
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


def test_every_command_that_reads_speaks_json() -> None:
    for path, command in COMMANDS.items():
        has_json = any("--json" in parameter.opts for parameter in command.params)
        reads = path.split()[-1] in ("readings", "uplinks", "version", "list", "show") or path.endswith(
            ("db check", "quarantine retry")
        )
        assert has_json == reads, path
