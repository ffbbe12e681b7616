"""One tenant's rows out of the incoming tables into its records.

Theory of operation. PostgreSQL refuses COPY into a table with row-level security, so rows are copied into
temporary tables first and go on by INSERT … SELECT under the tenant's setting. A plain INSERT costs half of
ON CONFLICT DO NOTHING (measured: 3.7 against 7.2 µs a reading), and almost every row is new: so the fast way
inserts plainly, and a duplicate key ends the transaction, which is then done again the careful way:

    uplinks     ON CONFLICT DO NOTHING; a row that was not taken is another gateway's reception of the same frame,
                the same row again, or a contradiction (quarantine); its readings are not taken either
    readings    not if an interval out of the sensor's memory fills that place already; ON CONFLICT DO NOTHING
    history     only where no reading of that device and channel ends within half an interval

Nothing is decided by what a query planner thinks of a temporary table: the careful way allows index lookups only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from cloud_sync.db.copy_rows import HEAD, READING_COLUMNS, TAIL, UPLINK_COLUMNS
from cloud_sync.db.outcome import Verified
from cloud_sync.db.quarantine import RefusedRow
from edge_codecs.identifiers import DevEUI


@dataclass(slots=True)
class EventRow:
    """An event of a sensor (fPort 11); temperatures in hundredths of a degree."""

    dev_eui: DevEUI
    session: int
    f_cnt: int
    stream: bytes
    row: int
    occurred_ms: int
    kind: str
    channel: int
    temperature: int | None
    duration_s: int | None
    extreme: int | None
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


def prepare(connection: psycopg.Connection) -> None:
    """Make the incoming tables; they belong to this connection and are empty after each transaction."""
    for statement in _INCOMING:
        connection.execute(statement)


def copy_uplinks(connection: psycopg.Connection, tuples: Sequence[bytes]) -> None:
    """Fill `incoming_uplinks`."""
    _copy(connection, _COPY_UPLINKS, tuples)


def copy_readings(connection: psycopg.Connection, tuples: Sequence[bytes]) -> None:
    """Fill `incoming_readings`."""
    _copy(connection, _COPY_READINGS, tuples)


def copy_history(connection: psycopg.Connection, tuples: Sequence[bytes]) -> None:
    """Fill `incoming_history`."""
    _copy(connection, _COPY_HISTORY, tuples)


def _copy(connection: psycopg.Connection, statement: str, tuples: Sequence[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(b"".join([HEAD, *tuples, TAIL]))


def meets_history(connection: psycopg.Connection, turn: Turn) -> bool:
    """Whether a report of this turn may meet an interval that came out of its sensor's memory earlier."""
    spans = connection.execute(_SPANS, ([bytes(device) for device in turn.devices],)).fetchall()
    for device, earliest, latest, longest_s in spans:
        first_ms, last_ms = turn.devices[DevEUI(device)]
        margin = longest_s * 1000
        if first_ms - margin <= latest.timestamp() * 1000 and last_ms + margin >= earliest.timestamp() * 1000:
            return True
    return False


def insert_fast(connection: psycopg.Connection, turn: Turn) -> None:
    """All rows are new: raises psycopg.errors.UniqueViolation if one is not."""
    connection.execute(_UPLINKS, (turn.tenant, turn.number))
    if turn.readings:
        connection.execute(_READINGS, (turn.tenant, turn.number))


def insert_careful(connection: psycopg.Connection, turn: Turn) -> bool:
    """Take what is new and find a place for what is not. Returns whether anything was not new."""
    connection.execute(_INDEX_LOOKUPS_ONLY)
    parameters = {"tenant": turn.tenant, "turn": turn.number}
    met = False
    if connection.execute(_UPLINKS + _IF_NEW, (turn.tenant, turn.number)).rowcount < turn.uplinks:
        met = True
        connection.execute(_RECEPTIONS, parameters)
        connection.execute(_CONFLICTS, parameters)
        for table in ("incoming_readings", "incoming_history"):
            connection.execute(_FORGET.replace("{table}", table), parameters)
    if turn.readings:
        connection.execute(_READINGS_BESIDE_HISTORY, parameters)
        connection.execute(_READING_CONFLICTS, parameters)
    if turn.history:
        connection.execute(_HISTORY, parameters)
        connection.execute(_WIDEN_SPANS, parameters)
    return met


def insert_events(connection: psycopg.Connection, turn: Turn) -> None:
    """The events whose uplinks were taken."""
    e = turn.events
    connection.execute(
        _EVENTS,
        (
            turn.tenant,
            [bytes(x.dev_eui) for x in e],
            [x.session for x in e],
            [x.f_cnt for x in e],
            [x.stream for x in e],
            [x.row for x in e],
            [datetime.fromtimestamp(x.occurred_ms / 1000, UTC) for x in e],
            [x.kind for x in e],
            [x.channel for x in e],
            [x.temperature for x in e],
            [x.duration_s for x in e],
            [x.extreme for x in e],
            [x.historical for x in e],
            turn.tenant,
        ),
    )


def insert_evidence(connection: psycopg.Connection, tenant: str | None, batches: Iterable[Verified]) -> None:
    """The batches as their gateways signed them; `tenant` None: nobody's (plant scope)."""
    batches = list(batches)
    connection.execute(
        _EVIDENCE,
        (
            tenant,
            [bytes(b.manifest.gateway) for b in batches],
            [bytes(b.manifest.stream) for b in batches],
            [b.manifest.number for b in batches],
            [b.header for b in batches],
            [b.signature for b in batches],
            [b.manifest.rows for b in batches],
        ),
    )


_INCOMING = (
    """CREATE TEMPORARY TABLE incoming_uplinks (
    turn smallint, gateway bytea, stream bytea, batch bigint, historical boolean, stored_at timestamptz,
    dev_eui bytea, session bigint, codec text, codec_version smallint,
    ordinal integer, "row" bigint, f_cnt bigint, received_at timestamptz, rssi_dbm smallint, time_quality smallint,
    snr_db real, frequency_hz bigint, data_rate text, f_port smallint, payload bytea
) ON COMMIT DELETE ROWS""",
    *(
        f"""CREATE TEMPORARY TABLE {table} (
    turn smallint, historical boolean, dev_eui bytea, session bigint, ordinal integer, f_cnt bigint,
    interval_end timestamptz, interval_s integer, channel smallint, minimum numeric, maximum numeric, last numeric
) ON COMMIT DELETE ROWS"""
        for table in ("incoming_readings", "incoming_history")
    ),
)


def _columns(names: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in names)


_COPY_UPLINKS = f"COPY incoming_uplinks ({_columns(UPLINK_COLUMNS)}) FROM STDIN (FORMAT binary)"
_COPY_READINGS = f"COPY incoming_readings ({_columns(READING_COLUMNS)}) FROM STDIN (FORMAT binary)"
_COPY_HISTORY = f"COPY incoming_history ({_columns(READING_COLUMNS)}) FROM STDIN (FORMAT binary)"

_INDEX_LOOKUPS_ONLY = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_material', 'off', true)"""

_TAKEN_UPLINK = tuple(name for name in UPLINK_COLUMNS if name not in ("turn", "ordinal"))
_UPLINKS = f"""
INSERT INTO uplinks (tenant, {_columns(_TAKEN_UPLINK)})
SELECT %s, {_columns(_TAKEN_UPLINK)} FROM incoming_uplinks WHERE turn = %s"""
_IF_NEW = " ON CONFLICT DO NOTHING"

_TAKEN_READING = tuple(name for name in READING_COLUMNS if name not in ("turn", "ordinal"))
_READING_TARGET = f"INSERT INTO readings (tenant, quantity, unit, from_history, {_columns(_TAKEN_READING)})"
_READINGS = f"""{_READING_TARGET}
SELECT %s, 'temperature', '°C', false, {_columns(_TAKEN_READING)} FROM incoming_readings WHERE turn = %s"""

# uplinks that are in the records already, out of another row than the incoming one
_MET = """
FROM incoming_uplinks i JOIN uplinks u
    ON u.tenant = %(tenant)s AND (u.dev_eui, u.session, u.f_cnt) = (i.dev_eui, i.session, i.f_cnt)
WHERE i.turn = %(turn)s AND (u.gateway, u.stream, u."row") <> (i.gateway, i.stream, i."row")"""
_SAME = " AND (u.f_port, u.payload) = (i.f_port, i.payload)"

_RECEPTION = (
    "dev_eui", "session", "f_cnt", "gateway", "received_at", "stream", "batch", "row", "frequency_hz", "data_rate",
    "rssi_dbm", "snr_db", "time_quality", "stored_at",
)  # fmt: skip
_RECEPTIONS = f"""
INSERT INTO receptions (tenant, {_columns(_RECEPTION)})
SELECT %(tenant)s, {_columns(_RECEPTION, "i.")} {_MET}{_SAME} AND u.gateway <> i.gateway ON CONFLICT DO NOTHING"""

_QUARANTINED = (
    "stored_at", "gateway", "stream", "batch", "row", "dev_eui", "session", "f_cnt", "received_at", "f_port", "payload",
)  # fmt: skip
_CONFLICTS = f"""
INSERT INTO quarantine (tenant, reason, detail, seen_at, {_columns(_QUARANTINED[1:])})
SELECT %(tenant)s, 'conflict', 'stored payload ' || encode(u.payload, 'hex') || ' from gateway '
    || encode(u.gateway, 'hex'), {_columns(_QUARANTINED, "i.")} {_MET} AND NOT (true{_SAME})"""
_FORGET = f"""
DELETE FROM {{table}} r WHERE r.turn = %(turn)s AND r.ordinal IN (SELECT i.ordinal {_MET})"""

_READINGS_BESIDE_HISTORY = f"""{_READING_TARGET}
SELECT %(tenant)s, 'temperature', '°C', false, {_columns(_TAKEN_READING)}
FROM incoming_readings i
WHERE turn = %(turn)s AND NOT EXISTS (
    SELECT 1 FROM readings r
    WHERE r.tenant = %(tenant)s AND r.dev_eui = i.dev_eui AND r.quantity = 'temperature' AND r.channel = i.channel
        AND r.interval_end > i.interval_end - make_interval(secs => i.interval_s / 2.0)
        AND r.interval_end < i.interval_end + make_interval(secs => i.interval_s / 2.0) AND r.from_history
) ON CONFLICT DO NOTHING"""
_READING_CONFLICTS = f"""
INSERT INTO quarantine (tenant, reason, detail, seen_at, {_columns(_QUARANTINED[1:])})
SELECT %(tenant)s, 'reading_conflict', 'channel ' || i.channel || ': the reading of this interval end came with counter '
    || r.f_cnt, {_columns(_QUARANTINED, "w.")}
FROM incoming_readings i
JOIN readings r ON r.tenant = %(tenant)s AND r.dev_eui = i.dev_eui AND r.quantity = 'temperature'
    AND r.channel = i.channel AND r.interval_end = i.interval_end
JOIN incoming_uplinks w ON w.ordinal = i.ordinal
WHERE i.turn = %(turn)s AND NOT r.from_history AND (r.session, r.f_cnt) <> (i.session, i.f_cnt)"""

_HISTORY = f"""{_READING_TARGET}
SELECT %(tenant)s, 'temperature', '°C', true, {_columns(_TAKEN_READING)}
FROM incoming_history i
WHERE turn = %(turn)s AND NOT EXISTS (
    SELECT 1 FROM readings r
    WHERE r.tenant = %(tenant)s AND r.dev_eui = i.dev_eui AND r.quantity = 'temperature' AND r.channel = i.channel
        AND r.interval_end > i.interval_end - make_interval(secs => i.interval_s / 2.0)
        AND r.interval_end < i.interval_end + make_interval(secs => i.interval_s / 2.0)
) ON CONFLICT DO NOTHING"""
_SPANS = """
SELECT dev_eui, min(earliest), max(latest), max(longest_s) FROM history_spans
WHERE tenant = current_setting('clipr.tenant') AND dev_eui = ANY (%s::bytea[]) GROUP BY dev_eui"""
_WIDEN_SPANS = """
INSERT INTO history_spans AS s (tenant, dev_eui, channel, earliest, latest, longest_s)
SELECT %(tenant)s, dev_eui, channel, min(interval_end), max(interval_end), max(interval_s)
FROM incoming_history WHERE turn = %(turn)s GROUP BY dev_eui, channel
ON CONFLICT (tenant, dev_eui, channel) DO UPDATE SET earliest = least(s.earliest, excluded.earliest),
    latest = greatest(s.latest, excluded.latest), longest_s = greatest(s.longest_s, excluded.longest_s)"""

_EVENTS = """
INSERT INTO events (tenant, dev_eui, session, f_cnt, occurred_at, kind, channel, temperature, duration_s, extreme,
                    historical)
SELECT %s, e.dev_eui, e.session, e.f_cnt, e.occurred_at, e.kind, e.channel, e.temperature / 100.0, e.duration_s,
       e.extreme / 100.0, e.historical
FROM unnest(%s::bytea[], %s::bigint[], %s::bigint[], %s::bytea[], %s::bigint[], %s::timestamptz[], %s::text[],
            %s::smallint[], %s::numeric[], %s::integer[], %s::numeric[], %s::boolean[])
    AS e (dev_eui, session, f_cnt, stream, "row", occurred_at, kind, channel, temperature, duration_s, extreme, historical)
JOIN uplinks u ON u.tenant = %s AND (u.dev_eui, u.session, u.f_cnt, u.stream, u."row")
    = (e.dev_eui, e.session, e.f_cnt, e.stream, e."row")
ON CONFLICT DO NOTHING"""

_EVIDENCE = """
INSERT INTO evidence (tenant, gateway, stream, number, header, signature, rows)
SELECT %s, * FROM unnest(%s::bytea[], %s::bytea[], %s::bigint[], %s::bytea[], %s::bytea[], %s::bytea[])"""
