"""Keys, and what stands on a label: typed at a terminal, or a line each from standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from edge_agent.errors import UsageError
from edge_agent.lorawan.keys import AES128Key

ROOT_KEYS = {"1.0": ("AppKey",), "1.1": ("NwkKey", "AppKey")}
SESSION_KEYS = {
    "1.0": ("NwkSKey", "AppSKey"),
    "1.1": ("FNwkSIntKey", "SNwkSIntKey", "NwkSEncKey", "AppSKey"),
}

_TRIES = 3


class Answers:
    """Answers to the questions `names`, in that order. Raises UsageError where standard input has others.

    At a terminal keys are asked for unseen, and again if one is mistyped.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._lines: list[str] | None = None
        if sys.stdin.isatty():
            return
        self._lines = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
        if len(self._lines) != len(names):
            there = "1 is" if len(self._lines) == 1 else f"{len(self._lines)} are"
            raise UsageError(
                f"standard input must hold the keys only, {len(names)} lines; {there} there",
                hint=f"A line each: {', '.join(names)}",
            )

    def text(self, name: str) -> str:
        """The next answer, seen while it is typed."""
        return self._lines.pop(0) if self._lines is not None else str(typer.prompt(name))

    def key(self, name: str) -> AES128Key:
        """The next answer, a key."""
        if self._lines is not None:
            return _key(name, self._lines.pop(0))
        for _ in range(_TRIES - 1):
            try:
                return _key(name, typer.prompt(name, hide_input=True))
            except UsageError as error:
                typer.echo(f"{error}. Once more, please.", err=True)
        return _key(name, typer.prompt(name, hide_input=True))


def _key(name: str, text: str) -> AES128Key:
    try:
        return AES128Key.parse(text)
    except ValueError:
        raise UsageError(
            f"{name} is 32 hex digits; what came is none ({len(text)} characters)",
            hint="The sensor's supplier gives the keys; blanks, dashes and colons between pairs are fine",
        ) from None
