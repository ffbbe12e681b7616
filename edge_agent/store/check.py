"""Is the store what was written? With the agent running or not.

Every page is authenticated by its HMAC, SQLite checks the structure, and the numbers must add up: each
batch's rows are there, its hash is the hash of what it says, it follows the batch before, and each row of the
stream is in exactly one batch or in none, or was let go. Sessions are devices' own and have numbers that were
given; what is known of a channel does not overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_agent.store.connection import SALT_BYTES, Database, connect, page_faults
from edge_agent.store.errors import StoreDamaged
from edge_agent.store.head import Head, unbatched
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.migrations import expect_current, released
from edge_agent.store.row_ranges import from_text
from edge_codecs.identifiers import DevEUI
from edge_codecs.manifest import Lane, Manifest, RowRange, link

_MOST_FINDINGS: Final = 20


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `store check` found. `findings` is empty for a sound store."""

    rows: int
    batches: int
    findings: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def as_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "sound": self.sound,
            "rows": self.rows,
            "batches": self.batches,
            "findings": list(self.findings),
        }


def check(path: Path, key: StoreKey) -> CheckReport:
    """Authenticate every page, check structure, row numbers and the chain of batches.

    Raises ConfigurationError where there is no store, or the key is another's.
    """
    rows = batches = 0
    findings: list[str] = []
    try:
        database = connect(path, key)
    except StoreDamaged as error:
        return CheckReport(0, 0, (str(error), *_pages(path, key)))
    try:
        findings += _pages(path, key)
        expect_current(database, released())
        if not findings:
            findings += _structure(database)
        with database.snapshot():
            rows = database.value("SELECT count(*) FROM uplinks")
            batches = database.value("SELECT count(*) FROM batches")
            findings += _numbers(database)
            findings += _devices(database)
    except StoreDamaged as error:
        if not findings:
            findings.append(str(error))
    finally:
        database.close()
    return CheckReport(rows, batches, tuple(findings))


def _pages(path: Path, key: StoreKey) -> Iterator[str]:
    """Pages that do not authenticate, and the file's first bytes, which are known and in no page's HMAC."""
    with path.open("rb") as file:
        if file.read(SALT_BYTES) != key.salt:
            yield "the head of the file is not what was written"
    yield from page_faults(path, key)[:_MOST_FINDINGS]


def _structure(database: Database) -> list[str]:
    rows = database.all(f"PRAGMA integrity_check({_MOST_FINDINGS})")
    return [line for (text,) in rows for line in text.splitlines() if text != "ok"][:_MOST_FINDINGS]


def _numbers(database: Database) -> Iterator[str]:
    head = Head.load(database)
    expected = 0
    previous: tuple[int, bytes] | None = None
    batches = database.each(
        "SELECT number, lane, count, ranges, previous, hash, rows FROM batches ORDER BY number"
    )
    for number, lane, count, text, link_before, batch_hash, encoded in batches:
        ranges = from_text(text)
        if previous is not None and number != previous[0] + 1:
            yield f"batches between {previous[0]} and {number} are missing"
        elif previous is not None and link_before != link(previous[1]):
            yield f"batch {number} does not follow batch {previous[0]}"
        manifest = Manifest(head.gateway, head.stream, number, Lane(lane), ranges, link_before, encoded)
        if manifest.hash != batch_hash or manifest.count != count:
            yield f"batch {number} is not what was formed"
        yield from _all_there(database, head, ranges, f"batch {number}")
        expected += count
        previous = (number, batch_hash)
    loose = unbatched(database, head)
    yield from _all_there(database, head, loose, "no batch")
    expected += sum(rows.count for rows in loose)
    present = database.value("SELECT count(*) FROM uplinks WHERE id > ?", (head.base,))
    if present != expected:
        yield f"{present} rows are there, {expected} are in one batch or none"
    kept = database.value("SELECT count(*) FROM uplinks")
    if kept != head.last_id - head.rows_gone:
        yield f"{kept} rows are there, {head.last_id - head.rows_gone} were kept and not let go"


def _all_there(
    database: Database, head: Head, ranges: list[RowRange] | tuple[RowRange, ...], where: str
) -> Iterator[str]:
    for rows in ranges:
        there = database.value(
            "SELECT count(*) FROM uplinks WHERE id BETWEEN ? AND ?",
            (head.base + rows.first, head.base + rows.last),
        )
        if there != rows.count:
            yield f"of rows {rows.first} … {rows.last} (in {where}) {rows.count - there} are missing"


_DEVICE_FAULTS: Final = {
    "a session of {} is nobody's": (
        "SELECT dev_eui FROM sessions WHERE dev_eui NOT IN (SELECT dev_eui FROM devices)"
    ),
    "{} has no keys": (
        "SELECT dev_eui FROM devices d WHERE app_key IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM sessions s WHERE s.dev_eui = d.dev_eui AND s.pending = 0)"
    ),
    "{} has a session whose number was not given": (
        "SELECT dev_eui FROM devices d WHERE last_session < "
        "(SELECT max(session) FROM sessions s WHERE s.dev_eui = d.dev_eui)"
    ),
    "the session of {} is newer than the one that is to follow it": (
        "SELECT s.dev_eui FROM sessions s JOIN sessions p ON p.dev_eui = s.dev_eui AND p.pending = 1 "
        "WHERE s.pending = 0 AND s.session >= p.session"
    ),
    "{} has a downlink whose number was not given": (
        "SELECT dev_eui FROM downlinks WHERE number > (SELECT last_downlink FROM life)"
    ),
    "the coverage of {} overlaps": (
        "SELECT dev_eui FROM (SELECT dev_eui, from_ms, lag(to_ms) OVER "
        "(PARTITION BY dev_eui, channel ORDER BY from_ms) AS before_ms FROM coverage) "
        "WHERE from_ms <= before_ms"
    ),
}


def _devices(database: Database) -> Iterator[str]:
    for text, query in _DEVICE_FAULTS.items():
        for (dev_eui,) in database.all(f"{query} LIMIT {_MOST_FINDINGS}"):
            yield text.format(DevEUI(dev_eui))
