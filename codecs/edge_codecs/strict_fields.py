"""Strict validation of the fields that strangers send.

By the engine of pydantic without its class layer: the same strictness, and megabytes less in an agent that
needs two small models of the wire and nothing else of it (docs/adr/0004-memory.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import CoreSchema, SchemaValidator, core_schema


def strict_fields(fields: Mapping[str, CoreSchema]) -> SchemaValidator:
    """A validator of dicts with exactly these fields, in strict mode: nothing is converted.

    `validate_python` returns the dict or raises pydantic_core.ValidationError, a ValueError.
    """
    return SchemaValidator(
        core_schema.typed_dict_schema(
            {name: core_schema.typed_dict_field(schema) for name, schema in fields.items()},
            strict=True,
            total=True,
            extra_behavior="forbid",
            config=core_schema.CoreConfig(strict=True),
        )
    )
