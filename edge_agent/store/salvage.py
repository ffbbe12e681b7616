"""A damaged store: set it aside, never delete it; read what can be read, row by row, into a new one.

A page that fails its authentication takes the rows on it along, and leaves the connection unusable. So
reading goes on behind the damage with a new connection, in steps shorter than a page holds rows. Pages
of the schema, which say where the tables begin, can be made anew (`schema_pages`).

The coverage is not copied but worked out again from the rows. Numbers that must not be used twice go up, as
in a copy (`doubt`).

Every step can be repeated: the marker file names where the damaged store is set aside, first as a second name
of the same file, so that there is a store at `path` at every moment.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_agent.store.connection import PAGE_BYTES, Database, NoRoom, Row, connect
from edge_agent.store.errors import StoreDamaged, StoreFull
from edge_agent.store.files import LOG_SUFFIXES, beside, damage_marker, free_name, new_file, sync_folder
from edge_agent.store.head import Head, begin_life, begin_stream
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.lock import WriterLock
from edge_agent.store.mending import mend
from edge_agent.store.row_ranges import from_text, merged, without
from edge_agent.store.schema_pages import copy_with_new_schema_pages
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.manifest import RowRange

log = logging.getLogger(__name__)

_CHUNK: Final = 500
_STRIDE: Final = 4
"""Fewer rows than most pages hold."""
_LONGEST_STRIDE: Final = 1024
_MOST_ROWS_A_PAGE: Final = 32
_NOBODY: Final = GatewayId(bytes(8))

_TABLES: Final = {
    "boots": "number",
    "spans": "number",
    "devices": "number",
    "sessions": "number",
    "dev_nonces": "number",
    "downlinks": "number",
    "former_devices": "number",
    "rejections": "number",
    "batches": "number",
    "uplinks": "id",
}


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What came over, and where the damaged file is now."""

    set_aside: Path
    rows: int
    rows_lost: int | None
    """None where even their number was lost."""
    devices: int
    devices_lost: tuple[DevEUI, ...]
    """Those whose keys were lost: they have to be added again."""
    damaged: tuple[str, ...]
    """Tables that could not be read in full."""


def salvage(path: Path, key: StoreKey) -> Salvaged | None:
    """Put a new store with a new stream in the place of the damaged one.

    `Store.open` does it by itself. None if an interrupted salvage was only to be finished. The agent must not
    run. Raises StoreLocked, ConfigurationError, StoreFull.
    """
    with WriterLock(path):
        return salvage_locked(path, key)


def salvage_locked(path: Path, key: StoreKey) -> Salvaged | None:
    """The same, for who holds the lock."""
    aside = _set_aside(path)
    if aside is None:
        return None
    source = _Source(aside, key)
    try:
        with new_file(path, key) as target, target.transaction():
            salvaged = _copy(source, target, aside)
    except NoRoom:
        raise StoreFull(f"no room for a copy of the damaged store {aside}") from None
    finally:
        source.remove()
    damage_marker(path).unlink()
    log.error(
        "the store was damaged: %d rows and %d devices are saved, %s rows lost; "
        "devices that lost their keys: %s; not readable in full: %s; the damaged file is %s",
        salvaged.rows,
        salvaged.devices,
        "an unknown number of" if salvaged.rows_lost is None else salvaged.rows_lost,
        ", ".join(map(str, salvaged.devices_lost)) or "none",
        ", ".join(salvaged.damaged) or "nothing",
        aside,
    )
    return salvaged


def _set_aside(path: Path) -> Path | None:
    """Give the damaged file a second name, and its log with it; None if a new store is in place already."""
    marker = damage_marker(path)
    name = marker.read_text("utf-8") if marker.exists() else ""
    aside = path.with_name(name) if name else free_name(path, "damaged")
    if not name:
        marker.write_text(aside.name, "utf-8")
        with marker.open("rb") as file:
            os.fsync(file.fileno())
        sync_folder(path.parent)
    if not aside.exists():
        os.link(path, aside)
    elif not aside.samefile(path):
        marker.unlink()
        return None
    if beside(path, "-wal").exists():
        beside(path, "-wal").replace(beside(aside, "-wal"))
    beside(path, "-shm").unlink(missing_ok=True)
    sync_folder(path.parent)
    return aside


class _Source:
    """The damaged file: a connection that is replaced when it breaks."""

    def __init__(self, path: Path, key: StoreKey) -> None:
        self._path = path
        self._key = key
        self._database: Database | None = None
        self._repaired: Path | None = None
        self.most_rows = path.stat().st_size // PAGE_BYTES * _MOST_ROWS_A_PAGE
        try:
            self._database = connect(path, key)
        except StoreDamaged:
            self._repaired = self._path = copy_with_new_schema_pages(path, key)

    def all(self, sql: str, values: tuple[object, ...] = ()) -> list[Row]:
        """Raises StoreDamaged; then the next call begins anew."""
        if self._database is None:
            self._database = connect(self._path, self._key)
        try:
            return self._database.all(sql, values)
        except StoreDamaged:
            self.close()
            raise

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def remove(self) -> None:
        """Close it for good."""
        self.close()
        if self._repaired is not None:
            for suffix in ("", *LOG_SUFFIXES):
                beside(self._repaired, suffix).unlink(missing_ok=True)


def _copy(source: _Source, target: Database, aside: Path) -> Salvaged:
    damaged: list[str] = []
    life = _life(source, target)
    if life is None:
        damaged.append("life")
    for table, key in _TABLES.items():
        lost = False
        for rows in _readable(source, table, key):
            if rows is None:
                lost = True
            else:
                _insert(target, table, rows)
        if lost:
            damaged.append(table)
    devices_lost = tuple(mend(target))
    head = Head.load(target)
    lost_rows = None
    count = target.value("SELECT count(*) FROM uplinks")
    if life is not None:
        lost_rows = max(head.last_id - head.rows_gone - count, 0)
    target.execute("UPDATE life SET rows_gone = ?", (head.last_id - count,))
    begin_stream(target, head.gateway, _loose(target, head))
    devices = target.value("SELECT count(*) FROM devices")
    return Salvaged(aside, count, lost_rows, devices, devices_lost, tuple(damaged))


def _life(source: _Source, target: Database) -> Row | None:
    """Copy the one row of `life`; without it the stream starts from nothing, and all rows go again."""
    begin_life(target, _NOBODY)
    try:
        rows = source.all(
            "SELECT gateway, base, highest_id, rows_gone, counted, last_downlink, confirmed FROM life"
        )
    except StoreDamaged:
        return None
    if not rows:
        return None
    target.execute(
        "UPDATE life SET gateway = ?, base = ?, highest_id = ?, rows_gone = ?, counted = ?, "
        "last_downlink = ?, confirmed = ?",
        rows[0],
    )
    return rows[0]


def _readable(source: _Source, table: str, key: str) -> Iterator[list[Row] | None]:
    """Rows by the chunk; None where some cannot be read."""
    query = f"SELECT * FROM {table} WHERE {key} >= ? ORDER BY {key} LIMIT {_CHUNK}"  # noqa: S608 - our names
    position = 0
    while True:
        try:
            rows = source.all(query, (position,))
        except StoreDamaged:
            good, behind = _before_damage(source, query, position)
            yield good
            yield None
            if behind is None:
                return
            position = behind
            continue
        if not rows:
            return
        yield rows
        position = rows[-1][0] + 1


def _before_damage(source: _Source, query: str, position: int) -> tuple[list[Row], int | None]:
    """(rows from `position` on that can be read, first key behind the damage; None: there is none)."""
    one = query.replace(f"LIMIT {_CHUNK}", "LIMIT 1")
    good: list[Row] = []
    while (row := _try(source, one, position)) is not None:
        if not row:
            return good, None
        good += row
        position = row[0][0] + 1
    bad, end, tries = position, position + source.most_rows, 0
    while bad < end:
        stride = min(_STRIDE << tries // 256, _LONGEST_STRIDE)
        if _try(source, one, bad + stride) is not None:
            return good, _first_good(source, one, bad, bad + stride)
        bad += stride
        tries += 1
    return good, None


def _first_good(source: _Source, one: str, bad: int, good: int) -> int:
    """Where reading works again, between a key that fails and one that does not."""
    while good - bad > 1:
        middle = (bad + good) // 2
        if _try(source, one, middle) is None:
            bad = middle
        else:
            good = middle
    return good


def _try(source: _Source, query: str, position: int) -> list[Row] | None:
    try:
        return source.all(query, (position,))
    except StoreDamaged:
        return None


def _insert(target: Database, table: str, rows: list[Row]) -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        target.execute_many(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)  # noqa: S608 - our names


def _loose(target: Database, head: Head) -> list[RowRange]:
    """Rows of which nothing says that the cloud has them."""
    if head.last_row < 1:
        return []
    batches = target.each("SELECT ranges FROM batches WHERE number <= ?", (head.confirmed,))
    confirmed = merged(rows for (text,) in batches for rows in from_text(text))
    return without([RowRange(1, head.last_row)], confirmed)
