"""Where a stream stands: the newest numbers and the head of the chain, read once and kept in memory.

A row's number in the stream is its `id` less `base`. Ids never repeat in a file: the highest that ever went
is kept, and the last batch is never deleted, so numbers and chain survive when all rows are pruned.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edge_agent.store.connection import Database
from edge_agent.store.counters import save_counters, uncounted
from edge_agent.store.doubt import pass_over
from edge_agent.store.row_ranges import from_text, merged, ranges_of
from edge_codecs.identifiers import GatewayId
from edge_codecs.manifest import RowRange, StreamId

_MACHINE_FILES = (Path("/etc/machine-id"), Path("/sys/firmware/devicetree/base/serial-number"))


def this_machine() -> bytes:
    """What tells this machine from one that runs a copy of its card; empty where nothing does."""
    found = b""
    for file in _MACHINE_FILES:
        try:
            found += file.read_bytes().strip(b"\x00\n")
        except OSError:
            continue
    return found


@dataclass(slots=True)
class Head:
    """The state of the stream. Changed only after the transaction that changed the disk."""

    stream: StreamId
    gateway: GatewayId
    base: int
    last_id: int
    rows_gone: int
    frontier: int  # stream number: no row beyond it is in a batch
    last_batch: int
    last_hash: bytes  # b"" before the first batch
    confirmed: int

    @property
    def last_row(self) -> int:
        """The highest row number of the stream."""
        return self.last_id - self.base

    @classmethod
    def load(cls, database: Database) -> Self:
        """Read it: a few look-ups, however many rows there are."""
        row = database.one(
            "SELECT stream, gateway, base, highest_id, rows_gone, confirmed FROM life WHERE number = 1"
        )
        assert row is not None
        stream, gateway, base, highest_id, rows_gone, confirmed = row
        last_id = max(highest_id, database.value("SELECT coalesce(max(id), 0) FROM uplinks"))
        batch = database.one("SELECT number, hash, frontier FROM batches ORDER BY number DESC LIMIT 1")
        number, batch_hash, frontier = batch or (0, b"", 0)
        return cls(
            StreamId(stream),
            GatewayId(gateway),
            base,
            last_id,
            rows_gone,
            frontier,
            number,
            batch_hash,
            confirmed,
        )


def begin_life(database: Database, gateway: GatewayId) -> None:
    """The first stream of a new file."""
    database.execute(
        "INSERT INTO life VALUES (1, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, NULL)",
        (secrets.token_bytes(8), bytes(gateway), this_machine()),
    )


def why_new_stream(database: Database, gateway: GatewayId) -> str | None:
    """Why this file cannot go on with its stream: somebody else may do so. None if it can."""
    row = database.one("SELECT gateway, machine, copied FROM life WHERE number = 1")
    assert row is not None
    if row[2]:
        return "the store is a backup or was salvaged"
    if GatewayId(row[0]) != gateway:
        return "the store was another gateway's"
    if row[1] != this_machine():
        return "the store lies on another machine"
    return None


def begin_stream(
    database: Database, gateway: GatewayId, loose: Sequence[RowRange] | None = None, *, only_one: bool = False
) -> StreamId:
    """Begin a new life, within the caller's transaction; returns its id.

    `only_one`: no other store can have gone on with the old one, so that its counters hold. Else what another
    may have given is passed over (`doubt`).

    Rows without a receipt (`loose`, if the caller knows them better) become rows 1 … n of the new stream, in
    their order; to be neighbours they get new ids where others lie between them. Confirmed rows stay for the
    retention period, below `base`. The old stream's batches go: nobody may send them any more.
    """
    head = Head.load(database)
    save_counters(database, uncounted(database), head.last_id)
    if not only_one:
        pass_over(database)
    runs = _present(database, head, unconfirmed(database, head) if loose is None else loose)
    if len(runs) == 1 and runs[0].last == head.last_id:
        base, last_id, moved = runs[0].first - 1, head.last_id, 0
    else:
        base = last_id = head.last_id
        moved = sum(run.count for run in runs)
        for run in runs:
            database.execute(
                "UPDATE uplinks SET id = id + ? WHERE id BETWEEN ? AND ?",
                (last_id + 1 - run.first, run.first, run.last),
            )
            last_id += run.count
    stream = secrets.token_bytes(8)
    database.execute("DELETE FROM batches")
    database.execute("DELETE FROM holes")
    database.execute(
        "UPDATE life SET stream = ?, gateway = ?, machine = ?, copied = 0, base = ?, highest_id = ?, "
        "rows_gone = rows_gone + ?, counted = ?, confirmed = 0 WHERE number = 1",
        (stream, bytes(gateway), this_machine(), base, last_id, moved, last_id),
    )
    return StreamId(stream)


def _present(database: Database, head: Head, ranges: Sequence[RowRange]) -> list[RowRange]:
    """Runs of ids that are there, of rows with these numbers: all of them, unless the store was damaged."""
    runs: list[RowRange] = []
    for rows in ranges:
        first, last = head.base + rows.first, head.base + rows.last
        if (
            database.value("SELECT count(*) FROM uplinks WHERE id BETWEEN ? AND ?", (first, last))
            == rows.count
        ):
            runs.append(RowRange(first, rows.count))
        else:
            ids = database.each("SELECT id FROM uplinks WHERE id BETWEEN ? AND ? ORDER BY id", (first, last))
            runs += ranges_of(row_id for (row_id,) in ids)
    return merged(runs)


def unconfirmed(database: Database, head: Head) -> list[RowRange]:
    """The rows of the stream that have no receipt, batched or not."""
    ranges = unbatched(database, head)
    batches = database.each("SELECT ranges FROM batches WHERE number > ?", (head.confirmed,))
    ranges += [rows for (text,) in batches for rows in from_text(text)]
    return merged(ranges)


def unbatched(database: Database, head: Head) -> list[RowRange]:
    """The rows of the stream that are in no batch."""
    ranges = [
        RowRange(first, last - first + 1)
        for first, last in database.each("SELECT first, last FROM holes ORDER BY first")
    ]
    if head.last_row > head.frontier:
        ranges.append(RowRange(head.frontier + 1, head.last_row - head.frontier))
    return ranges
