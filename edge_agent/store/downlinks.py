"""Application messages that wait for devices to say something, and what became of the last ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from edge_agent.errors import UsageError
from edge_agent.network.changes import DownlinkChanged
from edge_agent.network.device import DownlinkState, QueuedDownlink
from edge_agent.store.connection import Database, Row
from edge_codecs.identifiers import DevEUI

MAX_PAYLOAD_BYTES: Final = 222
"""The most that any region carries at any data rate; less fits at slow ones."""
MAX_WAITING: Final = 16
DONE_KEPT: Final = 20

_COLUMNS: Final = "number, dev_eui, f_port, payload, confirmed, created_ms, state, tries, f_cnt_down, detail"
_DONE: Final = "(state IN ('acknowledged', 'failed') OR (state = 'sent' AND NOT confirmed))"


def waiting(database: Database, dev_eui: DevEUI | None) -> dict[DevEUI, list[QueuedDownlink]]:
    """Those that are not done, in order, of one device or of each."""
    only = "" if dev_eui is None else "dev_eui = ? AND"
    rows = database.each(
        f"SELECT {_COLUMNS} FROM downlinks WHERE {only} NOT {_DONE} ORDER BY number",  # noqa: S608
        () if dev_eui is None else (bytes(dev_eui),),
    )
    found: dict[DevEUI, list[QueuedDownlink]] = {}
    for row in rows:
        entry = _entry(row)
        found.setdefault(entry.dev_eui, []).append(entry)
    return found


def of_device(database: Database, dev_eui: DevEUI) -> list[QueuedDownlink]:
    """Those that are not done, and the newest of the others, in order."""
    rows = database.all(
        f"SELECT {_COLUMNS} FROM downlinks WHERE dev_eui = ?1 AND (NOT {_DONE} OR number IN ("  # noqa: S608
        f"SELECT number FROM downlinks WHERE dev_eui = ?1 AND {_DONE} ORDER BY number DESC LIMIT ?2)) "
        "ORDER BY number",
        (bytes(dev_eui), DONE_KEPT),
    )
    return [_entry(row) for row in rows]


def queue(database: Database, entry: QueuedDownlink) -> QueuedDownlink:
    """Keep one more, within the caller's transaction; returns it with its number. Raises UsageError."""
    if not 1 <= entry.f_port <= 223:
        raise UsageError(f"FPort {entry.f_port} is not for applications", hint="Give one from 1 to 223")
    if len(entry.payload) > MAX_PAYLOAD_BYTES:
        raise UsageError(
            f"{len(entry.payload)} bytes are more than a downlink carries",
            hint=f"{MAX_PAYLOAD_BYTES} at most, and 51 at the slowest data rates",
        )
    dev_eui = bytes(entry.dev_eui)
    if len(waiting(database, entry.dev_eui).get(entry.dev_eui, ())) >= MAX_WAITING:
        raise UsageError(
            f"{MAX_WAITING} messages wait for {entry.dev_eui} already",
            hint=f"They go when it is heard. To drop them: edge-agent device queue {entry.dev_eui} --clear",
        )
    number = 1 + int(database.value("SELECT last_downlink FROM life"))
    database.execute("UPDATE life SET last_downlink = ?", (number,))
    database.execute(
        f"INSERT INTO downlinks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our names
        (
            number,
            dev_eui,
            entry.f_port,
            entry.payload,
            int(entry.confirmed),
            entry.created_ms,
            entry.state.value,
            entry.tries,
            entry.f_cnt_down,
            entry.detail,
        ),
    )
    database.execute(
        f"DELETE FROM downlinks WHERE dev_eui = ?1 AND {_DONE} AND number NOT IN ("  # noqa: S608 - our names
        f"SELECT number FROM downlinks WHERE dev_eui = ?1 AND {_DONE} ORDER BY number DESC LIMIT ?2)",
        (dev_eui, DONE_KEPT),
    )
    return replace(entry, number=number)


def changed(database: Database, change: DownlinkChanged) -> None:
    """Keep what became of one; what is done, or gone, stays so."""
    database.execute(
        "UPDATE downlinks SET state = ?, tries = ?, f_cnt_down = ?, detail = ? "  # noqa: S608 - our names
        f"WHERE number = ? AND NOT {_DONE}",
        (change.state.value, change.tries, change.f_cnt_down, change.detail, change.number),
    )


def give_up(database: Database, detail: str, dev_eui: DevEUI | None = None) -> int:
    """All that is not done, of one device or of each, is done with; returns how many."""
    return database.execute(
        "UPDATE downlinks SET state = ?1, detail = ?2 "  # noqa: S608 - our names
        f"WHERE (?3 IS NULL OR dev_eui = ?3) AND NOT {_DONE}",
        (DownlinkState.FAILED.value, detail, None if dev_eui is None else bytes(dev_eui)),
    )


def _entry(row: Row) -> QueuedDownlink:
    number, dev_eui, f_port, payload, confirmed, created_ms, state, tries, f_cnt_down, detail = row
    return QueuedDownlink(
        number,
        DevEUI(dev_eui),
        f_port,
        payload,
        bool(confirmed),
        created_ms,
        DownlinkState(state),
        tries,
        f_cnt_down,
        detail,
    )
