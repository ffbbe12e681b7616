"""Options that commands share, and their text as values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import psycopg
import typer

from cloud_sync.db.connection import DOSSIER, OPERATOR, Scope, connect, transaction
from cloud_sync.db.registrar import require_tenant
from cloud_sync.errors import UsageError
from cloud_sync.settings import CloudSettings, load
from edge_codecs.identifiers import EUI64, DevEUI, GatewayId

CONFIG_VARIABLE = "CLOUD_SYNC_CONFIG"

Configuration = Annotated[Path, typer.Option("--config", envvar=CONFIG_VARIABLE, help="configuration file")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs")]
Tenant = Annotated[str, typer.Option("--tenant", help="id of the tenant")]
OptionalTenant = Annotated[str | None, typer.Option("--tenant", help="id of the tenant that it belongs to")]
Site = Annotated[str | None, typer.Option("--site", help="id of the tenant's site where it is")]
From = Annotated[
    str | None, typer.Option("--from", help="since when it belongs to the tenant, RFC 3339; default: now")
]
Label = Annotated[str, typer.Option("--label", help="where it hangs, in the tenant's words")]

Identifier = TypeVar("Identifier", bound=EUI64)


def settings_of(config: Path) -> CloudSettings:
    """The configuration of a command. Raises ConfigurationError."""
    return load(config)


def moment(text: str) -> datetime:
    """A time as RFC 3339, in UTC; without a zone it is UTC. Raises UsageError."""
    try:
        time = datetime.fromisoformat(text)
        time = (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no time", hint="Write it like 2026-11-24T12:00:00Z") from None
    if not 1970 <= time.year <= 9998:  # what the database gives back, Python must hold
        raise UsageError(f"{text!r} is not between 1970 and 9998", hint="Write it like 2026-11-24T12:00:00Z")
    return time


def moment_or_now(text: str | None) -> datetime:
    """See moment; None is now."""
    return datetime.now(UTC) if text is None else moment(text)


def dev_eui(text: str) -> DevEUI:
    """Raises UsageError."""
    return _identifier(DevEUI, text)


def gateway_id(text: str) -> GatewayId:
    """Raises UsageError."""
    return _identifier(GatewayId, text)


@contextmanager
def as_operator(settings: CloudSettings) -> Iterator[psycopg.Connection]:
    """One transaction in which registry and quarantine show, and no reading."""
    with (
        connect(settings.database.dsn, OPERATOR) as connection,
        transaction(connection, scope=Scope.OPERATOR),
    ):
        yield connection


@contextmanager
def as_reader(settings: CloudSettings, tenant: str) -> Iterator[psycopg.Connection]:
    """One transaction in which the records of `tenant` show and no others. Raises UsageError if unknown."""
    with connect(settings.database.dsn, DOSSIER) as connection, transaction(connection, tenant=tenant):
        require_tenant(connection, tenant)
        yield connection


def _identifier(kind: type[Identifier], text: str) -> Identifier:
    try:
        return kind.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
