"""Connections in a role: psycopg's errors become ours here, and never carry the connection string."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import psycopg
from psycopg import sql

from cloud_sync.errors import ConfigurationError, ServiceUnavailable

OWNER = "clipr_owner"
RECEIVER = "clipr_receiver"
OPERATOR = "clipr_operator"
DOSSIER = "clipr_dossier"
AUDITOR = "clipr_auditor"

CONNECT_TIMEOUT_S = 10


def connect(dsn: str, role: str | None = None) -> psycopg.Connection:
    """Connect in autocommit mode and take `role`, whose rights alone then count.

    Raises ServiceUnavailable (no server), ConfigurationError (refused, no such role, not migrated).
    """
    try:
        connection = psycopg.connect(
            dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="cloud-sync"
        )
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "[database] dsn is not a connection string",
            hint='Such as "host=/run/postgresql dbname=clipr user=cloud_sync"',
        ) from None
    except psycopg.OperationalError as error:
        raise _not_connected(error) from None
    try:
        if role is not None:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        # PostgreSQL's optimiser sees temporary tables of unknown size; compiling plans for them never pays
        connection.execute(
            "SELECT set_config('search_path', 'clipr, public', false), set_config('jit', 'off', false)"
        )
    except psycopg.Error as error:
        connection.close()
        raise ConfigurationError(
            f"the database login may not act as {role}: {error.diag.message_primary}",
            hint=f"First: cloud-sync db migrate. Then, as an administrator: GRANT {role} TO <login>",
        ) from None
    return connection


class Scope(StrEnum):
    """What is nobody's and shows to one role each."""

    PLANT = "plant"
    """Streams, batches and who is assigned to whom: the receiver."""
    OPERATOR = "operator"
    """Registry and quarantine: the operator."""
    RETRY = "retry"
    """Nobody's evidence, whose rows are to be placed again: the receiver."""


@contextmanager
def transaction(
    connection: psycopg.Connection, *, tenant: str | None = None, scope: Scope | None = None
) -> Iterator[None]:
    """One transaction, in which `tenant`'s rows show, or what `scope` means. Both end with it."""
    with errors(), connection.transaction():
        if tenant is not None:
            enter_tenant(connection, tenant)
        if scope is not None:
            connection.execute("SELECT set_config('clipr.scope', %s, true)", (scope.value,))
        yield


def enter_tenant(connection: psycopg.Connection, tenant: str) -> None:
    """From here to the end of this transaction (never longer), rows of `tenant` show and no others."""
    connection.execute("SELECT set_config('clipr.tenant', %s, true)", (tenant,))


@contextmanager
def errors() -> Iterator[None]:
    """Turn "the database is away" into ServiceUnavailable and "not migrated" into ConfigurationError."""
    try:
        yield
    except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
        raise  # the transaction can be tried again at once
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.InvalidSchemaName,
    ) as error:
        raise ConfigurationError(
            f"the database is not migrated: {error.diag.message_primary}", hint="Run: cloud-sync db migrate"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"the database refused: {error.diag.message_primary}",
            hint="Which role a login needs: docs/cloud.md",
        ) from error
    except (psycopg.OperationalError, psycopg.errors.AdminShutdown) as error:
        raise ServiceUnavailable(
            f"the database went away: {_first_line(error)}",
            hint="Is PostgreSQL running? We try again after a restart",
        ) from error


def _not_connected(error: psycopg.OperationalError) -> ConfigurationError | ServiceUnavailable:
    text = _first_line(error)
    if any(
        sign in text
        for sign in ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password")
    ):
        return ConfigurationError(f"the database refused the login: {text}", hint="Look at [database] dsn")
    return ServiceUnavailable(
        f"no database answers: {text}", hint="Is PostgreSQL running where [database] dsn points? See its log"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
