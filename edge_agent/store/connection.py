"""The door to SQLCipher: the only file that knows the driver.

Two traps are closed here. A build without SQLCipher ignores the key without a word, so the store refuses to
open unless `cipher_version` answers and the file is no plain SQLite. And a page that fails its authentication
leaves the connection unusable, so `StoreDamaged` is final: close, and open anew.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn

from sqlcipher3 import dbapi2

from edge_agent.errors import AgentBug, AgentError, ConfigurationError, ServiceUnavailable
from edge_agent.store.errors import StoreDamaged
from edge_agent.store.key_provider import StoreKey

PAGE_BYTES: Final = 1024
"""A commit writes whole pages: small ones spare the card, and cost the store a few per cent of its size."""
SALT_BYTES: Final = 16
_LOG_INDEX_BYTES: Final = 32_768
_PLAIN_HEADER: Final = b"SQLite format 3\x00"

# Primary result codes, https://sqlite.org/rescode.html
_BUSY, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 8, 10, 11, 13, 14, 26
_UNREADABLE: Final = (_CORRUPT, _NOTADB, _IOERR | 1 << 8, _IOERR | 2 << 8)
"""What is there is not what was written, or the card cannot read it any more (IOERR_READ, …_SHORT_READ)."""

_SHARED: Final = ("PRAGMA temp_store = MEMORY", "PRAGMA cache_size = -1024", "PRAGMA busy_timeout = 10000")
_WRITER: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)

Row = tuple[Any, ...]


class NoRoom(Exception):
    """The disk, or the cap, has no room for what was to be written. Nothing of it is."""


class Database:
    """One connection. Raises AgentError kinds and NoRoom, never the driver's errors."""

    def __init__(self, connection: Any, path: Path, damage_marker: Path | None) -> None:
        self.path = path
        self._connection = connection
        self._damage_marker = damage_marker

    def execute(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        try:
            return int(self._connection.execute(sql, values).rowcount)
        except dbapi2.Error as error:
            self._raise(error)

    def execute_many(self, sql: str, values: Sequence[Sequence[object]]) -> int:
        """Run one statement for each of `values`; returns how many rows that changed."""
        try:
            return int(self._connection.executemany(sql, values).rowcount)
        except dbapi2.Error as error:
            self._raise(error)

    def all(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query: for those that are known to be few."""
        try:
            rows: list[Row] = self._connection.execute(sql, values).fetchall()
        except dbapi2.Error as error:
            self._raise(error)
        return rows

    def one(self, sql: str, values: Sequence[object] = ()) -> Row | None:
        """The first row of a query."""
        try:
            cursor = self._connection.execute(sql, values)
            row: Row | None = cursor.fetchone()
            cursor.close()
        except dbapi2.Error as error:
            self._raise(error)
        return row

    def value(self, sql: str, values: Sequence[object] = ()) -> Any:
        """The first value of a query that always has a row."""
        row = self.one(sql, values)
        assert row is not None
        return row[0]

    def each(self, sql: str, values: Sequence[object] = ()) -> Generator[Row, None, None]:
        """The rows of a query, one at a time. Reads from one snapshot until it ends or is closed."""
        cursor = self._connection.cursor()
        try:
            try:
                cursor.execute(sql, values)
                yield from cursor
            except dbapi2.Error as error:
                self._raise(error)
        finally:
            cursor.close()

    def roll_back(self) -> None:
        """End a transaction, if one is open, as if it had not been."""
        if self._connection.in_transaction:
            with contextlib.suppress(dbapi2.Error):
                self._connection.execute("ROLLBACK")

    def transaction(self) -> Transaction:
        """All or nothing; on disk when it is left."""
        return Transaction(self)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several queries that see the same state."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(dbapi2.Error):
                self._connection.execute("ROLLBACK")

    def copy_to(self, target: Database) -> None:
        """Copy the whole database, from one snapshot."""
        try:
            self._connection.backup(target._connection)
        except dbapi2.Error as error:
            self._raise(error)

    def close(self) -> None:
        """Close; the last connection writes the log back."""
        with contextlib.suppress(dbapi2.Error):
            self._connection.close()

    def _raise(self, error: dbapi2.Error) -> NoReturn:
        code = _code(error)
        if code & 0xFF == _FULL or (code & 0xFF == _IOERR and _disk_is_full(self.path)):
            raise NoRoom from None
        if code in _UNREADABLE and self._damage_marker is not None:
            with contextlib.suppress(OSError):
                self._damage_marker.touch()
        raise _translated(code, str(error), self.path) from None


class Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when an exception passes. A class, as each uplink enters one."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._database.roll_back()
            return
        try:
            self._database.execute("COMMIT")
        except BaseException:
            self._database.roll_back()
            raise


def _code(error: dbapi2.Error) -> int:
    """The extended result code."""
    return int(getattr(error, "sqlite_errorcode", 0))


def _disk_is_full(path: Path) -> bool:
    """SQLite reports a full disk as an I/O error where it is about its index of the log."""
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize < _LOG_INDEX_BYTES


def _translated(code: int, text: str, path: Path) -> AgentError:
    if code in _UNREADABLE:
        return StoreDamaged(f"{path} is damaged")
    kind = code & 0xFF
    if kind == _READONLY:
        return ServiceUnavailable(
            f"{path} cannot be written: {text}",
            hint="Is the disk mounted read-only? A dying card does that: dmesg | tail",
        )
    if kind == _IOERR:
        return ServiceUnavailable(
            f"the disk fails under {path}: {text}", hint="Look at the kernel's messages: dmesg | tail"
        )
    if kind == _CANTOPEN:
        return ConfigurationError(
            f"cannot open {path}", hint="Does the folder exist, and may this user write in it?"
        )
    if kind == _BUSY:
        return ServiceUnavailable(f"{path} is busy", hint="Try again")
    return AgentBug(f"the store refused a statement: {text}")


def connect(path: Path, key: StoreKey, *, write: bool = False, damage_marker: Path | None = None) -> Database:
    """Open an existing file, or with `write` make it.

    Raises ConfigurationError (none there, plain SQLite, another key) and StoreDamaged.
    """
    header = _header(path)
    if header is None and not write:
        raise ConfigurationError(f"there is no store at {path}", hint="The agent makes it at its first start")
    if header == _PLAIN_HEADER:
        raise ConfigurationError(
            f"{path} is a plain SQLite file, not an encrypted store",
            hint="Move it away, or correct store.path; the agent makes a new store",
        )
    try:
        mode = "rwc" if write else "ro"
        connection = dbapi2.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    except dbapi2.Error as error:
        raise _translated(_CANTOPEN, str(error), path) from None
    database = Database(connection, path, damage_marker)
    try:
        _unlock(database, key, header)
        for pragma in _SHARED + (_WRITER if write else ("PRAGMA query_only = ON",)):
            database.execute(pragma)
        if write and database.value("PRAGMA journal_mode = WAL") != "wal":
            raise ServiceUnavailable(f"{path} lies on a file system that SQLite's log cannot use")
    except BaseException:
        database.close()
        raise
    return database


def _header(path: Path) -> bytes | None:
    """The first bytes; None where there is no file, or an empty one."""
    try:
        with path.open("rb") as file:
            return file.read(SALT_BYTES) or None
    except FileNotFoundError:
        return None
    except (PermissionError, IsADirectoryError):
        raise ConfigurationError(
            f"cannot read {path}", hint="Run as root, or as the user edge-agent; store.path names a file"
        ) from None


def _unlock(database: Database, key: StoreKey, header: bytes | None) -> None:
    """Give the key, and prove that it is this file's."""
    connection = database._connection  # noqa: SLF001 - same file, before anybody else has it
    connection.execute("PRAGMA cipher_log = off")  # it would write to standard error
    connection.set_key(_key_text(key))
    connection.execute(f"PRAGMA cipher_page_size = {PAGE_BYTES}")
    if not connection.execute("PRAGMA cipher_version").fetchone():
        raise AgentBug("this Python has no SQLCipher: readings would be kept in clear")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except dbapi2.DatabaseError as error:
        code = _code(error)
        if code == _NOTADB and header != key.salt and not _any_page_is_ours(connection, database.path):
            raise ConfigurationError(
                f"{database.path} was made with another store key",
                hint="Put the key back that this store was made with; without it nobody can read the store",
            ) from None
        database._raise(error)  # noqa: SLF001


def _key_text(key: StoreKey) -> str:
    """SQLCipher's way to take a raw key and its salt: no passphrase, no derivation."""
    return f"x'{key.hex()}{key.salt.hex()}'"


def _any_page_is_ours(connection: Any, path: Path) -> bool:
    pages = -(-path.stat().st_size // PAGE_BYTES)
    faults = connection.execute("PRAGMA cipher_integrity_check").fetchall()
    return len(faults) < pages


def page_faults(path: Path, key: StoreKey) -> list[str]:
    """Pages of the file that do not authenticate. The log's pages are authenticated when they are read.

    A page may be caught while the agent writes it back, so only what is found twice counts.
    """
    faults: set[str] | None = None
    for _ in range(2):
        connection = dbapi2.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA cipher_log = off")
            connection.set_key(_key_text(key))
            connection.execute(f"PRAGMA cipher_page_size = {PAGE_BYTES}")
            found = {text for (text,) in connection.execute("PRAGMA cipher_integrity_check")}
        finally:
            connection.close()
        faults = found if faults is None else faults & found
        if not faults:
            break
    return sorted(faults or ())


__all__ = ["PAGE_BYTES", "SALT_BYTES", "Database", "NoRoom", "Row", "connect", "page_faults"]
