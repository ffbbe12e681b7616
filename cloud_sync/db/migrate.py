"""Numbered SQL, applied in order under an advisory lock; a file that changed after its release is refused."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import resources

import psycopg
from psycopg import sql

from cloud_sync.db import partitions
from cloud_sync.db.connection import OWNER, connect, errors
from cloud_sync.errors import ConfigurationError

MINIMUM_SERVER = 150000
_LOCK = 0x636C697072  # any constant; the same in every receiver's migration
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of cloud_sync/db/schema."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration did."""

    applied: list[str]
    partitions: list[str]


def migrations() -> list[Migration]:
    """All numbered files, in order."""
    folder = resources.files("cloud_sync.db") / "schema"
    found = [
        Migration(int(match[1]), entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if (match := _NAME.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


def migrate(dsn: str, *, today: date | None = None) -> Migrated:
    """Bring the database up to date: roles, schema, partitions. Safe at every start, and by several at once.

    The login must be the database's owner and may create roles (or be a superuser, for a first try).
    Raises ConfigurationError if it may not, or if a file that is applied already has changed.
    """
    connection = connect(dsn)
    with connection, errors():
        if connection.info.server_version < MINIMUM_SERVER:
            raise ConfigurationError(
                f"the server is PostgreSQL {connection.info.server_version // 10000}",
                hint="It must be 15 or newer",
            )
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))  # released with the connection
        with connection.transaction():
            connection.execute(_roles())
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        connection.execute(
            "SELECT set_config('clipr.scope', 'migration', false)"
        )  # this connection ends with us
        applied = _apply(connection)
        made = partitions.ensure(connection, *partitions.around(today or datetime.now(UTC).date()))
    return Migrated(applied, made)


def _roles() -> bytes:
    return (resources.files("cloud_sync.db") / "schema" / "roles.sql").read_bytes()


def _apply(connection: psycopg.Connection) -> list[str]:
    applied: list[str] = []
    with connection.transaction():
        if connection.execute("SELECT to_regclass('clipr.schema_migrations')").fetchone() == (None,):
            connection.execute(_LEDGER.encode())
        rows = connection.execute("SELECT number, checksum FROM clipr.schema_migrations").fetchall()
        known: dict[int, str] = dict(rows)
        for migration in migrations():
            if migration.number in known:
                if known[migration.number] != migration.checksum:
                    raise ConfigurationError(
                        f"{migration.name} changed after it was applied",
                        hint="Install the release that this database was migrated with, or a later one",
                    )
                continue
            connection.execute(migration.text.encode())
            connection.execute(
                "INSERT INTO clipr.schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
                (migration.number, migration.name, migration.checksum),
            )
            applied.append(migration.name)
        if unknown := set(known) - {migration.number for migration in migrations()}:
            raise ConfigurationError(
                f"the database is newer than this program (migration {max(unknown)})",
                hint="Install the newer release",
            )
    return applied


_LEDGER = """
CREATE TABLE clipr.schema_migrations (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE clipr.schema_migrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE clipr.schema_migrations FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_keeps ON clipr.schema_migrations FOR ALL TO clipr_owner
    USING ((SELECT current_setting('clipr.scope', true)) = 'migration')
    WITH CHECK ((SELECT current_setting('clipr.scope', true)) = 'migration');
"""
