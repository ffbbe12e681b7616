"""Copies of the store, encrypted with the same key, made while the agent runs; and the way back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edge_agent.errors import AgentError, ConfigurationError
from edge_agent.store.check import check
from edge_agent.store.connection import NoRoom, connect
from edge_agent.store.errors import StoreDamaged, StoreFull
from edge_agent.store.files import LOG_SUFFIXES, beside, damage_marker, free_name, put_in_place, sync_folder
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.lock import WriterLock


def backup(path: Path, key: StoreKey, target: Path) -> int:
    """Copy the store to `target`, which must not exist; returns its bytes. The agent may run.

    The copy is marked as one: whoever opens it begins a new stream. Raises ConfigurationError, StoreDamaged.
    """
    if target.exists():
        raise ConfigurationError(f"{target} exists already", hint="Give another name: nothing is overwritten")
    part = beside(target, ".part")
    source = connect(path, key)
    try:
        _make(part)
        copy = connect(part, key, write=True)
        try:
            source.copy_to(copy)
            copy.execute("UPDATE life SET copied = 1")
            copy.all("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        finally:
            copy.close()
        put_in_place(part, target)
    except NoRoom:
        raise StoreFull(f"no room for {target}", hint="Free that disk, or choose another") from None
    finally:
        source.close()
        for leftover in (part, *(beside(part, suffix) for suffix in LOG_SUFFIXES)):
            leftover.unlink(missing_ok=True)
    return target.stat().st_size


def _make(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {part.parent}: {error.strerror}", hint="Does the folder exist?"
        ) from None


def restore(source: Path, path: Path, key: StoreKey) -> Path | None:
    """Put a backup in the store's place; returns where the present store was set aside, if there was one.

    The agent must not run. Raises StoreLocked, StoreDamaged (the backup), ConfigurationError.
    """
    with WriterLock(path):
        report = check(source, key)
        if not report.sound:
            raise StoreDamaged(
                f"the backup {source} is damaged: {report.findings[0]}", hint="Take another backup"
            )
        part = beside(path, ".restored")
        try:
            shutil.copyfile(source, part)
            part.chmod(0o600)
            owner = path.parent.stat()
            if os.geteuid() == 0:
                os.chown(part, owner.st_uid, owner.st_gid)
            _mark_as_copy(part, key)
            aside = _set_aside(path)
            put_in_place(part, path)
        except OSError as error:
            raise AgentError(f"cannot restore to {path}: {error.strerror}", hint="Is there room?") from None
        finally:
            part.unlink(missing_ok=True)
        damage_marker(path).unlink(missing_ok=True)
    return aside


def _mark_as_copy(part: Path, key: StoreKey) -> None:
    """A file that was copied by hand may not be marked yet."""
    database = connect(part, key, write=True)
    try:
        database.execute("UPDATE life SET copied = 1")
        database.all("PRAGMA journal_mode = DELETE")
    finally:
        database.close()


def _set_aside(path: Path) -> Path | None:
    """Give the present store another name, with its log: a log must never meet another file."""
    if not path.exists():
        return None
    aside = free_name(path, "before-restore")
    os.link(path, aside)
    for suffix in LOG_SUFFIXES:
        if beside(path, suffix).exists():
            beside(path, suffix).replace(beside(aside, suffix))
    sync_folder(path.parent)
    return aside
