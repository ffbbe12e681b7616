"""The configuration, read by a process of its own.

pydantic and what it loads take megabytes (docs/adr/0004-memory.md), and the daemon needs them once. So a
forked child reads and checks, and answers with plain values, while the parent already loads its other parts.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from edge_agent.errors import AgentBug, AgentError, ConfigurationError

if TYPE_CHECKING:
    from edge_agent.settings import Settings

_ERRORS = {ConfigurationError.exit_code: ConfigurationError}


class SettingsApart:
    """Starts to read at once; `result` waits for the end. Make it before there are threads."""

    def __init__(self, file: Path) -> None:
        self._pipe, answer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._pipe)
            _answer(file, answer)
        os.close(answer)

    def result(self) -> Settings:
        """The settings, by the same names. Raises ConfigurationError."""
        with os.fdopen(self._pipe, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(self._child, 0)
        if status != 0 or not answer:
            raise AgentBug(f"the process that reads the configuration ended with status {status}")
        content = pickle.loads(answer)  # noqa: S301  our own child wrote it
        if "error" in content:
            raise _ERRORS.get(content["exit_code"], AgentError)(content["error"], hint=content["hint"])
        return cast("Settings", _named(content["settings"]))


def _answer(file: Path, pipe: int) -> None:
    """In the child: write the answer and end, whatever happens, without the parent's clean-up."""
    status = 1
    try:
        from edge_agent.settings import load

        try:
            content: dict[str, Any] = {"settings": load(file).model_dump()}
        except AgentError as error:
            content = {"error": str(error), "hint": error.hint, "exit_code": error.exit_code}
        with os.fdopen(pipe, "wb") as out:
            out.write(pickle.dumps(content))
        status = 0
    finally:
        os._exit(status)


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: _named(inner) for name, inner in value.items()})
    return [_named(inner) for inner in value] if isinstance(value, list) else value
