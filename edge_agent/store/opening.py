"""From a path to a database that is ready: made if there is none, mended if damaged, with its stream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge_agent.store import migrations
from edge_agent.store.connection import Database, NoRoom, connect
from edge_agent.store.errors import StoreDamaged, StoreFull
from edge_agent.store.files import LOG_SUFFIXES, beside, damage_marker, free_name, new_file
from edge_agent.store.head import begin_life, begin_stream, why_new_stream
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.salvage import salvage_locked
from edge_agent.store.space import ballast_of
from edge_codecs.identifiers import GatewayId

log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")


def open_and_load(
    path: Path,
    key: StoreKey,
    gateway: GatewayId,
    max_bytes: int,
    load: Callable[[Database], Loaded],
    *,
    new_stream: bool,
) -> Loaded:
    """Open for writing and `load` what the caller needs of it; the caller holds the lock.

    Damage that shows by then is mended. Raises ConfigurationError, StoreFull, StoreDamaged.
    """
    try:
        try:
            return _opened(path, key, gateway, load, new_stream=new_stream)
        except StoreDamaged:
            salvage_locked(path, key)
        except NoRoom:
            if not ballast_of(path, max_bytes).drop():
                raise
        return _opened(path, key, gateway, load, new_stream=new_stream)
    except NoRoom:
        raise StoreFull(f"no room to open {path}") from None


def _opened(
    path: Path, key: StoreKey, gateway: GatewayId, load: Callable[[Database], Loaded], *, new_stream: bool
) -> Loaded:
    marker = damage_marker(path)
    if not path.exists() or path.stat().st_size == 0:
        _make(path, key, gateway)
    if marker.exists():
        salvage_locked(path, key)
    database = connect(path, key, write=True, damage_marker=marker)
    try:
        migrations.migrate(database, migrations.released())
        _settle_stream(database, gateway, asked_for=new_stream)
        return load(database)
    except BaseException:
        database.close()
        raise


def _settle_stream(database: Database, gateway: GatewayId, *, asked_for: bool) -> None:
    """Begin a new stream where somebody else may continue this one."""
    reason = "it was asked for" if asked_for else why_new_stream(database, gateway)
    if reason is not None:
        with database.transaction():
            stream = begin_stream(database, gateway)
        log.warning("%s begins a new stream %s: %s", database.path, stream, reason)


def _make(path: Path, key: StoreKey, gateway: GatewayId) -> None:
    for suffix in LOG_SUFFIXES:  # a log without its file must not be replayed into another
        if beside(path, suffix).exists():
            beside(path, suffix).replace(free_name(path, f"stray{suffix}"))
    with new_file(path, key) as database, database.transaction():
        begin_life(database, gateway)
