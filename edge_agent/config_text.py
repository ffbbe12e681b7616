"""The configuration as commented TOML, made from the settings model: file and code cannot drift."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel

from edge_agent.settings import Settings, Sync

_HEAD = (
    "# Configuration of edge-agent. Every key can be overridden by the environment:",
    "# EDGE_AGENT__SYNC__HOST=… for [sync] host, and so on. Unknown keys are errors.",
)


def render(settings: Settings) -> str:
    """`settings` as TOML that reads back to the same settings, each key below what it means."""
    parts = ["\n".join(_HEAD)]
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            parts.append(_table(f"[{name}]", value))
        elif isinstance(value, list):
            parts.extend(_table(f"[[{name}]]", entry) for entry in value)
        elif NoneType in get_args(field.annotation):
            parts.append(_commented(_table(f"[{name}]", Sync(host="broker.example.org"))))
    return "\n\n".join(parts) + "\n"


def _table(title: str, model: BaseModel) -> str:
    lines = [f"# {type(model).__doc__ or ''}".rstrip(), title]
    for name, field in type(model).model_fields.items():
        if field.description:
            lines += textwrap.wrap(field.description, 100, initial_indent="# ", subsequent_indent="# ")
        value = getattr(model, name)
        if value is None:  # TOML has no word for it
            lines.append(f"#{name} = {_value((field.examples or [''])[0])}")
        else:
            lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)  # TOML's strings, numbers, booleans and lists are JSON's


def _commented(text: str) -> str:
    return "\n".join(line if line.startswith("# ") else f"#{line}" for line in text.splitlines())
