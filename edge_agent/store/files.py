"""The files of a store: made whole, put in place whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.store.connection import Database, connect
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.migrations import migrate, released

LOG_SUFFIXES = ("-wal", "-shm")


def beside(path: Path, suffix: str) -> Path:
    """The file that belongs to `path`."""
    return path.with_name(path.name + suffix)


def damage_marker(path: Path) -> Path:
    """There while the store is known to be damaged; what it says is where the damaged file is set aside."""
    return beside(path, ".damaged")


def free_name(path: Path, suffix: str) -> Path:
    """A name beside `path` that is not taken: path.suffix-1, -2, …"""
    number = 1
    while (name := beside(path, f".{suffix}-{number}")).exists():
        number += 1
    return name


@contextmanager
def new_file(path: Path, key: StoreKey) -> Iterator[Database]:
    """A new store to fill; in the place of `path` as a whole, or not at all."""
    part = beside(path, ".new")
    for leftover in (part, *(beside(part, suffix) for suffix in LOG_SUFFIXES)):
        leftover.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    database = connect(part, key, write=True)
    try:
        migrate(database, released())
        yield database
        database.all("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        database.close()
    put_in_place(part, path)


def put_in_place(part: Path, path: Path) -> None:
    """Rename a finished file to `path`, on disk when this returns."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names in it are on disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
