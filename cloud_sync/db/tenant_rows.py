"""One tenant's rows out of the incoming tables into its records.

Theory of operation. PostgreSQL refuses COPY into a table with row-level security, so rows are copied into
temporary tables first and go on by INSERT … SELECT under the tenant's setting. Most of what a plain INSERT
takes is the index, and ON CONFLICT DO NOTHING looks into it twice (measured: 7.2 against 3.9 µs a reading).
Almost every row is new, so the fast way inserts plainly; a duplicate key ends the transaction, which is then
done again the careful way:

    uplinks     each row is compared with those of the same device and counter that were received within an
                hour. The same payload: the same row again, or a further gateway's reception; another one
                under the same session: a contradiction (quarantine); the readings of neither are taken.
                What is left is new, and if its key is taken (a counter that began again) it gets the next
                free session number, under which its readings and events go, too
    readings    an interval out of the sensor's memory in that place is completed if it says the same; what
                does not get its place goes to quarantine with both values
    history     only where no reading of that device and channel ends within half an interval

What the planner believes of a temporary table decides nothing: the careful way allows index lookups only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import psycopg

from cloud_sync.db import quarantine, tenant_sql
from cloud_sync.db.connection import enter_tenant
from cloud_sync.db.copy_rows import HEAD, TAIL
from cloud_sync.db.outcome import Verified
from cloud_sync.db.quarantine import RefusedRow
from edge_codecs.identifiers import DevEUI

SAME_FRAME_S = 3600
"""Frames of one device, counter and payload are the same frame if received within this time of each other:
gateways' clocks differ. A counter that begins again seldom has the same payload so soon."""


class EventRow(NamedTuple):
    """An event of a sensor (fPort 11), in the order of the statement's arrays."""

    dev_eui: bytes
    f_cnt: int
    gateway: bytes
    stream: bytes
    row: int
    occurred_at: datetime
    kind: str
    channel: int
    temperature: Decimal | None
    duration_s: int | None
    extreme: Decimal | None
    historical: bool


@dataclass(slots=True)
class Turn:
    """What one tenant gets in this transaction."""

    number: int
    tenant: str
    uplinks: int = 0
    readings: int = 0
    history: int = 0
    events: list[EventRow] = field(default_factory=list)
    evidence: list[Verified] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    devices: dict[DevEUI, tuple[int, int]] = field(default_factory=dict)
    """First and last time of reception, UTC milliseconds, of each device's rows."""
    sessions: dict[DevEUI, set[int]] = field(default_factory=dict)
    """As the gateways number them."""

    @property
    def parameters(self) -> dict[str, object]:
        """Of the statements that take incoming rows."""
        return {"tenant": self.tenant, "turn": self.number, "same_s": SAME_FRAME_S}


class NotNew(Exception):
    """An uplink or reading of these tenants is in the records already; nothing of the transaction holds."""

    def __init__(self, tenants: Sequence[str]) -> None:
        super().__init__(", ".join(tenants))
        self.tenants = tenants


def prepare(connection: psycopg.Connection) -> None:
    """Make the incoming tables; they belong to this connection and are empty after each transaction."""
    for statement in tenant_sql.INCOMING:
        connection.execute(statement.encode())


def copy_uplinks(connection: psycopg.Connection, tuples: Sequence[bytes]) -> None:
    """Fill `incoming_uplinks`."""
    _copy(connection, tenant_sql.COPY_UPLINKS, tuples)


def copy_history(connection: psycopg.Connection, tuples: Sequence[bytes]) -> None:
    """Fill `incoming_history`."""
    _copy(connection, tenant_sql.COPY_HISTORY, tuples)


def _copy(connection: psycopg.Connection, statement: str, tuples: Sequence[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(b"".join([HEAD, *tuples, TAIL]))


def need_care(connection: psycopg.Connection, turns: Sequence[Turn]) -> list[Turn]:
    """Those turns that the fast way could get wrong without noticing.

    A report may meet an interval that came out of its sensor's memory earlier, and a frame may be in the
    records under another session. New sessions of devices are noted on the way.
    """
    with connection.pipeline():
        asked = []
        for turn in turns:
            enter_tenant(connection, turn.tenant)
            parameters = {"tenant": turn.tenant, "devices": list(map(bytes, turn.devices))}
            spans = _execute(connection, tenant_sql.SPANS, parameters)
            asked.append((turn, spans, _execute(connection, tenant_sql.SESSIONS, parameters)))
    return [
        turn
        for turn, spans, sessions in asked
        if _heard_otherwise(connection, turn, sessions) or any(_meets(turn, *s) for s in spans)
    ]


def _heard_otherwise(connection: psycopg.Connection, turn: Turn, known: Iterable[tuple[bytes, int]]) -> bool:
    stored: dict[DevEUI, set[int]] = {}
    for dev_eui, session in known:
        stored.setdefault(DevEUI(dev_eui), set()).add(session)
    every = {dev_eui: turn.sessions[dev_eui] | stored.get(dev_eui, set()) for dev_eui in turn.sessions}
    if any(len(sessions) > 1 for sessions in turn.sessions.values()):
        return True
    several = [bytes(dev_eui) for dev_eui, sessions in every.items() if len(sessions) > 1]
    if several:
        enter_tenant(connection, turn.tenant)
        _execute(connection, tenant_sql.INDEX_LOOKUPS_ONLY)
        parameters = turn.parameters | {"devices": several}
        if _execute(connection, tenant_sql.HEARD_OTHERWISE, parameters).fetchone() == (True,):
            return True
    fresh = [
        (bytes(dev_eui), session)
        for dev_eui, sessions in sorted(turn.sessions.items())
        for session in sessions - stored.get(dev_eui, set())
    ]
    if fresh:
        enter_tenant(connection, turn.tenant)
        devices, sessions = map(list, zip(*fresh, strict=True))
        parameters = {"tenant": turn.tenant, "devices": devices, "sessions": sessions}
        _execute(connection, tenant_sql.NEW_SESSIONS, parameters)
    return False


def _meets(turn: Turn, device: bytes, earliest: datetime, latest: datetime, longest_s: int) -> bool:
    first_ms, last_ms = turn.devices[DevEUI(device)]
    margin_ms = longest_s * 1000
    return (
        first_ms - margin_ms <= latest.timestamp() * 1000
        and last_ms + margin_ms >= earliest.timestamp() * 1000
    )


def insert_fast(connection: psycopg.Connection, turns: Sequence[Turn]) -> None:
    """All rows are new: raises NotNew if one is not. All statements go in one round trip."""
    begun: list[tuple[Turn, psycopg.Cursor]] = []
    try:
        with connection.pipeline():
            for turn in turns:
                enter_tenant(connection, turn.tenant)
                begun.append((turn, _execute(connection, tenant_sql.UPLINKS, turn.parameters)))
                if turn.readings:
                    begun.append((turn, _execute(connection, tenant_sql.READINGS, turn.parameters)))
                insert_rest(connection, turn)
    except psycopg.errors.UniqueViolation:
        raise NotNew([turn.tenant for turn, cursor in begun if cursor.pgresult is None][:1]) from None


def insert_careful(connection: psycopg.Connection, turn: Turn) -> bool:
    """Take what is new and find a place for what is not. Returns whether there was an uplink not new."""
    enter_tenant(connection, turn.tenant)
    parameters = turn.parameters
    _execute(connection, tenant_sql.INDEX_LOOKUPS_ONLY)
    _execute(connection, tenant_sql.LOCK, parameters)
    met = _insert_uplinks(connection, turn)
    if turn.readings:
        _execute(connection, tenant_sql.COMPLETED, parameters)
        _execute(connection, tenant_sql.NEW_READINGS, parameters)
        _execute(connection, tenant_sql.READING_CONFLICTS, parameters)
    if turn.history:
        _execute(connection, tenant_sql.HISTORY, parameters)
        _execute(connection, tenant_sql.WIDEN_SPANS, parameters)
    insert_rest(connection, turn)
    return met


def _insert_uplinks(connection: psycopg.Connection, turn: Turn) -> bool:
    """Take the frames that are new. Returns whether there was one that is not, or whose key was taken."""
    (rounds,) = _execute(connection, tenant_sql.ROUNDS, turn.parameters).fetchone() or (0,)
    met = renumbered = 0
    try:
        for number in range(rounds or 0):
            parameters = turn.parameters | {"round": number}
            met += _execute(connection, tenant_sql.MEET, parameters).rowcount
            renumbered += _execute(connection, tenant_sql.RENUMBER, parameters).rowcount
            _execute(connection, tenant_sql.NEW_UPLINKS, parameters)
    except psycopg.errors.UniqueViolation:  # another receiver's, that was faster
        raise NotNew([turn.tenant]) from None
    if met:
        _execute(connection, tenant_sql.RECEPTIONS, turn.parameters)
        _execute(connection, tenant_sql.CONFLICTS, turn.parameters)
    _execute(connection, tenant_sql.NEW_NUMBERS, turn.parameters)
    return met + renumbered > 0


def insert_rest(connection: psycopg.Connection, turn: Turn) -> None:
    """Events whose uplinks were taken, evidence, and rows that are this tenant's but no record."""
    if turn.events:
        columns = zip(EventRow._fields, map(list, zip(*turn.events, strict=True)), strict=True)
        _execute(connection, tenant_sql.EVENTS, {"tenant": turn.tenant, **dict(columns)})
    if turn.evidence:
        insert_evidence(connection, turn.tenant, turn.evidence)
    quarantine.keep_rows(connection, turn.tenant, turn.refused)


def insert_evidence(connection: psycopg.Connection, tenant: str | None, batches: Sequence[Verified]) -> None:
    """The batches as their gateways signed them; `tenant` None: nobody's (plant scope)."""
    _execute(
        connection,
        tenant_sql.EVIDENCE,
        {
            "tenant": tenant,
            "gateway": [bytes(b.manifest.gateway) for b in batches],
            "stream": [bytes(b.manifest.stream) for b in batches],
            "number": [b.manifest.number for b in batches],
            "header": [b.header for b in batches],
            "signature": [b.signature for b in batches],
            "rows": [b.manifest.rows for b in batches],
        },
    )


def _execute(
    connection: psycopg.Connection, statement: str, parameters: Mapping[str, object] | None = None
) -> psycopg.Cursor:
    return connection.execute(statement.encode(), parameters)


def hundredths(value: int | None) -> Decimal | None:
    """Hundredths of a degree as the decimal that they are."""
    return None if value is None else Decimal(value).scaleb(-2)


def utc(milliseconds: int) -> datetime:
    """UTC milliseconds since 1970 as an aware datetime."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
