"""A tenant's readings and uplinks, read row by row: the database keeps the rest (a server-side cursor).

Statements are put together of this module's own text; values are parameters.
"""
# ruff: noqa: S608

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality

ROWS_A_TRIP: Final = 2000

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
    return _stream(connection, _NEWEST_READINGS if query.limit else _READINGS, tenant, query, "interval_end")


def uplinks(connection: psycopg.Connection, tenant: str, query: Query) -> Iterator[dict[str, Any]]:
    """Uplinks with UPLINK_KEYS in JSON's types (inside a transaction of the tenant).

    `receptions` names every gateway that heard the frame, the one whose batch came first at its head.
    """
    return _stream(connection, _NEWEST_UPLINKS if query.limit else _UPLINKS, tenant, query, "received_at")


def _stream(
    connection: psycopg.Connection, statement: str, tenant: str, query: Query, time: str
) -> Iterator[dict[str, Any]]:
    conditions = ["tenant = %(tenant)s"]
    if query.dev_eui is not None:
        conditions.append("dev_eui = %(dev_eui)s")
    if query.since is not None:
        conditions.append(f"{time} >= %(since)s")
    if query.until is not None:
        conditions.append(f"{time} < %(until)s")
    parameters = {
        "tenant": tenant,
        "dev_eui": None if query.dev_eui is None else bytes(query.dev_eui),
        "since": query.since,
        "until": query.until,
        "limit": query.limit,
    }
    text = statement.replace("{conditions}", " AND ".join(conditions))
    name = f"rows_{secrets.token_hex(4)}"
    with connection.cursor(name, row_factory=dict_row) as cursor:
        cursor.itersize = ROWS_A_TRIP
        cursor.execute(sql.SQL(text), {k: v for k, v in parameters.items() if f"%({k})s" in text})
        yield from cursor


def _rfc3339(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


_TIME_QUALITY = (
    f"(ARRAY[{', '.join(repr(quality.name.lower()) for quality in TimeQuality)}])[u.time_quality + 1]"
)

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
ORDER BY r.dev_eui, r.quantity, r.channel, r.interval_end"""

# The newest few of each series out of the index, and of these the newest: a tenant with years of readings
# answers as fast as one with a day of them. The series themselves are found by stepping over the index.
_NEWEST_READINGS = f"""
WITH RECURSIVE series AS (
    (SELECT dev_eui, quantity, channel FROM readings WHERE tenant = %(tenant)s
     ORDER BY dev_eui, quantity, channel LIMIT 1)
    UNION ALL
    SELECT n.* FROM series s CROSS JOIN LATERAL (
        SELECT dev_eui, quantity, channel FROM readings
        WHERE tenant = %(tenant)s AND (dev_eui, quantity, channel) > (s.dev_eui, s.quantity, s.channel)
        ORDER BY dev_eui, quantity, channel LIMIT 1) n
)
SELECT {_READING}
FROM (SELECT n.* FROM series s CROSS JOIN LATERAL (
          SELECT * FROM readings
          WHERE dev_eui = s.dev_eui AND quantity = s.quantity AND channel = s.channel AND {{conditions}}
          ORDER BY interval_end DESC LIMIT %(limit)s) n
      ORDER BY interval_end DESC, dev_eui, quantity, channel LIMIT %(limit)s) r {_ITS_UPLINK}
ORDER BY r.interval_end DESC, r.dev_eui, r.quantity, r.channel"""

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
