"""A tenant's readings and uplinks, read row by row: the database keeps the rest (a server-side cursor).

Statements are put together of this module's own text; values are parameters.
"""
# ruff: noqa: S608

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality

ROWS_A_TRIP: Final = 2000
NARROWING_DAYS: Final = (1, 31, 366)

READING_KEYS: Final = (
    *("dev_eui", "channel", "quantity", "unit", "interval_end", "interval_s", "minimum", "maximum", "last"),
    *("f_cnt", "gateway_id", "rssi_dbm", "snr_db", "received_at", "time_quality"),
)
UPLINK_KEYS: Final = (
    *("dev_eui", "session", "f_cnt", "f_port", "payload", "received_at", "gateway_id", "receptions"),
)


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows. `since` holds, `until` no longer; `limit` is how many at most, the newest first.

    Without a limit they come by device, channel and time, which is the order of the index: no sorting.
    """

    dev_eui: DevEUI | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


def readings(connection: psycopg.Connection, tenant: str, query: Query) -> Iterator[dict[str, Any]]:
    """Readings with READING_KEYS in JSON's types (inside a transaction of the tenant)."""
    if query.limit is None:
        return _stream(connection, _READINGS, tenant, query, "interval_end")
    return _stream(connection, _NEWEST_READINGS, tenant, _narrowed(connection, tenant, query), "interval_end")


def uplinks(connection: psycopg.Connection, tenant: str, query: Query) -> Iterator[dict[str, Any]]:
    """Uplinks with UPLINK_KEYS in JSON's types (inside a transaction of the tenant).

    `receptions` names every gateway that heard the frame, the one whose batch came first at its head.
    """
    statement = _UPLINKS if query.limit is None else _NEWEST_UPLINKS
    return _stream(connection, statement, tenant, query, "received_at")


def _narrowed(connection: psycopg.Connection, tenant: str, query: Query) -> Query:
    """With `since` as late as the limit allows.

    No index has the time of all devices in order, but a month is a partition: those that hold older readings
    than the newest few are not read.
    """
    newest = query.until or datetime.now(UTC)
    for days in NARROWING_DAYS:
        since = newest - timedelta(days=days)
        if query.since is not None and since <= query.since:
            break
        narrow = replace(query, since=since)
        text, values = _bound(_COUNT_READINGS, tenant, narrow, "interval_end")
        if connection.execute(text, values).fetchone() == (query.limit,):
            return narrow
    return query


def _stream(
    connection: psycopg.Connection, statement: str, tenant: str, query: Query, time: str
) -> Iterator[dict[str, Any]]:
    if query.limit is None:
        connection.execute(_ALONG_THE_INDEX)
    with connection.cursor(f"rows_{secrets.token_hex(4)}", row_factory=dict_row) as cursor:
        cursor.itersize = ROWS_A_TRIP
        cursor.execute(*_bound(statement, tenant, query, time))
        yield from cursor


def _bound(statement: str, tenant: str, query: Query, time: str) -> tuple[sql.SQL, dict[str, object]]:
    """The statement with its conditions on the column `time`, and the values that it names."""
    conditions = ["tenant = %(tenant)s"]
    if query.dev_eui is not None:
        conditions.append("dev_eui = %(dev_eui)s")
    if query.since is not None:
        conditions.append(f"{time} >= %(since)s")
    if query.until is not None:
        conditions.append(f"{time} < %(until)s")
    text = statement.replace("{conditions}", " AND ".join(conditions))
    values = {
        "tenant": tenant,
        "dev_eui": None if query.dev_eui is None else bytes(query.dev_eui),
        "since": query.since,
        "until": query.until,
        "limit": query.limit,
    }
    return sql.SQL(text), {name: value for name, value in values.items() if f"%({name})s" in text}


def _rfc3339(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


_TIME_QUALITY = (
    f"(ARRAY[{', '.join(repr(quality.name.lower()) for quality in TimeQuality)}])[u.time_quality + 1]"
)

# For the rest of the transaction: the first row comes at once and the last as cheaply, whatever the planner
# thinks of how many there are. Else it sorts all of them first, on disk if there are many.
_ALONG_THE_INDEX = b"""
SELECT set_config(name, 'off', true)
FROM unnest(ARRAY['enable_sort', 'enable_incremental_sort', 'enable_hashjoin', 'enable_mergejoin']) AS name"""

_READING = f"""
    encode(r.dev_eui, 'hex') AS dev_eui, r.channel, r.quantity::text AS quantity, r.unit::text AS unit,
    {_rfc3339("r.interval_end")} AS interval_end, r.interval_s,
    r.minimum::float8 AS minimum, r.maximum::float8 AS maximum, r.last::float8 AS last,
    r.f_cnt, encode(u.gateway, 'hex') AS gateway_id, u.rssi_dbm, u.snr_db,
    {_rfc3339("u.received_at")} AS received_at, {_TIME_QUALITY} AS time_quality"""
_ITS_UPLINK = """
    JOIN uplinks u ON (u.tenant, u.dev_eui, u.session, u.f_cnt) = (r.tenant, r.dev_eui, r.session, r.f_cnt)"""

_READINGS = f"""
SELECT {_READING}
FROM (SELECT * FROM readings WHERE {{conditions}}) r {_ITS_UPLINK}
ORDER BY r.dev_eui, r.channel, r.interval_end, r.quantity"""

_NEWEST_READINGS = f"""
SELECT {_READING}
FROM (SELECT * FROM readings WHERE {{conditions}}
      ORDER BY interval_end DESC, dev_eui, channel, quantity LIMIT %(limit)s) r {_ITS_UPLINK}
ORDER BY r.interval_end DESC, r.dev_eui, r.channel, r.quantity"""
_COUNT_READINGS = "SELECT count(*) FROM (SELECT 1 FROM readings WHERE {conditions} LIMIT %(limit)s) newest"

_RECEPTION = f"""
    jsonb_build_object('gateway_id', encode(gateway, 'hex'), 'received_at', {_rfc3339("received_at")},
                       'rssi_dbm', rssi_dbm, 'snr_db', round(snr_db::numeric, 1))"""
_UPLINK = f"""
    encode(u.dev_eui, 'hex') AS dev_eui, u.session, u.f_cnt, u.f_port, encode(u.payload, 'hex') AS payload,
    {_rfc3339("u.received_at")} AS received_at, encode(u.gateway, 'hex') AS gateway_id,
    jsonb_build_array({_RECEPTION.replace("(gateway", "(u.gateway")}) || coalesce(
        (SELECT jsonb_agg({_RECEPTION} ORDER BY gateway) FROM receptions c
         WHERE (c.tenant, c.dev_eui, c.session, c.f_cnt) = (u.tenant, u.dev_eui, u.session, u.f_cnt)),
        '[]') AS receptions"""
_UPLINKS = f"""
SELECT {_UPLINK}
FROM uplinks u WHERE {{conditions}} ORDER BY u.dev_eui, u.session, u.f_cnt"""
_NEWEST_UPLINKS = f"""
SELECT {_UPLINK}
FROM (SELECT * FROM uplinks WHERE {{conditions}} ORDER BY received_at DESC LIMIT %(limit)s) u
ORDER BY u.received_at DESC, u.dev_eui"""
