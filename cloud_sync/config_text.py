"""The configuration as commented TOML, made from the settings model: file and code cannot drift."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cloud_sync.settings import CloudSettings

_HEAD = (
    "# Configuration of cloud-sync. Every key can be overridden by the environment:",
    "# CLOUD_SYNC__MQTT__HOST=… for [mqtt] host, and so on. Unknown keys are errors.",
)


def render(settings: CloudSettings) -> str:
    """`settings` as TOML that reads back to the same settings, each key below what it means."""
    parts = ["\n".join(_HEAD)]
    parts += [_table(name, getattr(settings, name)) for name in CloudSettings.model_fields]
    return "\n\n".join(parts) + "\n"


def example() -> str:
    """All keys with their defaults, whatever the environment says: config/cloud-sync.example.toml."""
    return render(CloudSettings.model_construct())


def _table(name: str, section: BaseModel) -> str:
    lines = [f"# {type(section).__doc__ or ''}".rstrip(), f"[{name}]"]
    for key, field in type(section).model_fields.items():
        if field.description:
            lines += textwrap.wrap(field.description, 100, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"{key} = {_value(getattr(section, key))}")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Path):
        value = str(value)
    # TOML's strings, numbers and booleans are JSON's, but for one control character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
