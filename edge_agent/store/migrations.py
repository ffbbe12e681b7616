"""The schema: numbered SQL files, applied in order, each with its checksum in the store."""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.errors import AgentBug, ConfigurationError
from edge_agent.store.connection import Database

_TABLE = """CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 BLOB NOT NULL
) STRICT"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `schema/`."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        """Files that were released are never edited; this tells if one was."""
        return hashlib.sha256(self.sql.encode()).digest()


def released() -> list[Migration]:
    """All files, in order."""
    folder = importlib.resources.files("edge_agent.store") / "schema"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda f: f.name)
    return [Migration(int(file.name[:4]), file.name, file.read_text("utf-8")) for file in files]


def migrate(database: Database, migrations: Sequence[Migration]) -> None:
    """Bring the schema up to date, in one transaction. Raises ConfigurationError for a newer one."""
    if not _missing(database, migrations):
        return
    with database.transaction():
        database.execute(_TABLE)
        for migration in _missing(database, migrations):
            for statement in _statements(migration.sql):
                database.execute(statement)
            database.execute(
                "INSERT INTO migrations VALUES (?, ?, ?)",
                (migration.number, migration.name, migration.sha256),
            )


def expect_current(database: Database, migrations: Sequence[Migration]) -> None:
    """Raises ConfigurationError unless the schema is the one that this version reads."""
    if _missing(database, migrations):
        raise ConfigurationError(
            f"{database.path} has an older schema",
            hint="Start the agent once: it brings the store up to date",
        )


def _missing(database: Database, migrations: Sequence[Migration]) -> list[Migration]:
    if not database.value("SELECT count(*) FROM sqlite_master WHERE name = 'migrations'"):
        return list(migrations)
    applied: dict[int, bytes] = dict(database.all("SELECT number, sha256 FROM migrations"))
    known = {migration.number for migration in migrations}
    if newer := applied.keys() - known:
        raise ConfigurationError(
            f"{database.path} was written by a newer version (schema {max(newer)})",
            hint="Install that version again; an older one cannot read the store",
        )
    for migration in migrations:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise AgentBug(f"schema/{migration.name} is not the file that made this store")
    return [migration for migration in migrations if migration.number not in applied]


def _statements(sql: str) -> Iterator[str]:
    """The statements of a script, each ended by a semicolon at a line's end.

    The driver's own way to run a script commits first.
    """
    statement = ""
    for line in sql.splitlines():
        code = line.partition("--")[0].rstrip()
        statement += code + "\n"
        if code.endswith(";"):
            yield statement
            statement = ""
    if statement.strip():
        raise AgentBug("a schema file ends within a statement")
