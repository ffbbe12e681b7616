"""One tenant's rows out of the incoming tables into its records.

Theory of operation. PostgreSQL refuses COPY into a table with row-level security, so rows are copied into
temporary tables first and go on by INSERT … SELECT under the tenant's setting. Most of what a plain INSERT
takes is the index, and ON CONFLICT DO NOTHING looks into it twice (measured: 7.2 against 3.9 µs a reading).
Almost every row is new, so the fast way inserts plainly; a duplicate key ends the transaction, which is then
done again the careful way:

    uplinks     ON CONFLICT DO NOTHING; a row that was not taken is another gateway's reception of the same
                frame, the same row again, or a contradiction (quarantine), and its readings are not taken
    readings    not if an interval out of the sensor's memory fills that place; ON CONFLICT DO NOTHING
    history     only where no reading of that device and channel ends within half an interval

What the planner believes of a temporary table decides nothing: the careful way allows index lookups only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class EventRow(NamedTuple):
    """An event of a sensor (fPort 11), in the order of the statement's arrays."""

    dev_eui: bytes
    session: int
    f_cnt: int
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

    @property
    def parameters(self) -> dict[str, object]:
        """Of the statements that take incoming rows."""
        return {"tenant": self.tenant, "turn": self.number}


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


def meet_history(connection: psycopg.Connection, turns: Sequence[Turn]) -> list[Turn]:
    """Those turns with a report that may meet an interval that came out of its sensor's memory earlier."""
    with connection.pipeline():
        asked = []
        for turn in turns:
            enter_tenant(connection, turn.tenant)
            parameters = {"tenant": turn.tenant, "devices": list(map(bytes, turn.devices))}
            asked.append(_execute(connection, tenant_sql.SPANS, parameters))
    return [turn for turn, spans in zip(turns, asked, strict=True) if any(_meets(turn, *s) for s in spans)]


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
    met = _execute(connection, tenant_sql.NEW_UPLINKS, parameters).rowcount < turn.uplinks
    if met:
        _execute(connection, tenant_sql.RECEPTIONS, parameters)
        _execute(connection, tenant_sql.CONFLICTS, parameters)
        _execute(connection, tenant_sql.FORGET_READINGS, parameters)
        _execute(connection, tenant_sql.FORGET_HISTORY, parameters)
    if turn.readings:
        _execute(connection, tenant_sql.NEW_READINGS, parameters)
        _execute(connection, tenant_sql.READING_CONFLICTS, parameters)
    if turn.history:
        _execute(connection, tenant_sql.HISTORY, parameters)
        _execute(connection, tenant_sql.WIDEN_SPANS, parameters)
    insert_rest(connection, turn)
    return met


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
