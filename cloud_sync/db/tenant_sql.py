"""The statements of tenant_rows.py. Names of columns are put in here, values never: they are parameters."""
# ruff: noqa: S608, SIM905  (every name comes out of this module; a list of names reads best as words)

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cloud_sync.db.copy_rows import CHANNELS, HISTORY_COLUMNS, UPLINK_COLUMNS


def _list(names: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in names)


_SOURCE: Final = "gateway stream batch row".split()
_KEY: Final = "dev_eui session f_cnt".split()
_INTERVAL: Final = "interval_end interval_s channel minimum maximum".split()
_RADIO: Final = "received_at frequency_hz data_rate rssi_dbm snr_db time_quality".split()
_RECEPTION: Final = [*_KEY, *_SOURCE, *_RADIO]
_UPLINK: Final = _list([*_RECEPTION, *"f_port payload codec codec_version historical".split()])
_READING: Final = _list([*_KEY, *_INTERVAL, "last", "historical"])
_REFUSED: Final = [*_SOURCE, *_KEY, *"received_at f_port payload".split()]

INCOMING: Final = (
    # what rows are chosen by comes first, then what is of fixed size: a row is unpacked as far as it is read
    """
CREATE TEMPORARY TABLE incoming_uplinks (
    turn integer, channels smallint, historical boolean, interval_s integer, received_at timestamptz,
    session bigint, f_cnt bigint, "row" bigint, batch bigint, frequency_hz bigint, rssi_dbm smallint,
    time_quality smallint, f_port smallint, codec_version smallint, dev_eui bytea,
    minimum_0 numeric, maximum_0 numeric, last_0 numeric,
    minimum_1 numeric, maximum_1 numeric, last_1 numeric,
    minimum_2 numeric, maximum_2 numeric, last_2 numeric,
    gateway bytea, stream bytea, data_rate text, codec text, payload bytea, snr_db real,
    round integer DEFAULT 0, met text  -- of the careful way
) ON COMMIT DELETE ROWS""",
    # a report's channels, one by one, with what else is known of the uplink
    "CREATE TEMPORARY VIEW incoming_readings WITH (security_invoker) AS"
    + " UNION ALL ".join(
        f"""
SELECT turn, historical, {_list(_REFUSED)}, received_at AS interval_end, interval_s,
    {channel}::smallint AS channel, minimum_{channel} AS minimum, maximum_{channel} AS maximum,
    last_{channel} AS last
FROM incoming_uplinks WHERE channels & {1 << channel} <> 0"""
        for channel in range(CHANNELS)
    ),
    """
CREATE TEMPORARY TABLE incoming_history (
    turn integer, gateway bytea, stream bytea, "row" bigint, dev_eui bytea, session bigint, f_cnt bigint,
    interval_end timestamptz, interval_s integer, channel smallint, minimum numeric, maximum numeric
) ON COMMIT DELETE ROWS""",
)
COPY_UPLINKS: Final = f"COPY incoming_uplinks ({_list(UPLINK_COLUMNS)}) FROM STDIN (FORMAT binary)"
COPY_HISTORY: Final = f"COPY incoming_history ({_list(HISTORY_COLUMNS)}) FROM STDIN (FORMAT binary)"

INDEX_LOOKUPS_ONLY: Final = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_material', 'off', true)"""

# the fast way: what is not new ends the transaction
UPLINKS: Final = f"""
INSERT INTO uplinks (tenant, {_UPLINK})
SELECT %(tenant)s, {_UPLINK} FROM incoming_uplinks WHERE turn = %(turn)s"""
_INTO_READINGS: Final = f"INSERT INTO readings (tenant, quantity, unit, from_history, {_READING})"
READINGS: Final = f"""{_INTO_READINGS}
SELECT %(tenant)s, 'temperature', '°C', false, {_READING}
FROM incoming_readings WHERE turn = %(turn)s"""

# the careful way
ROUNDS: Final = """
WITH i AS MATERIALIZED (
    SELECT ctid AS at, row_number() OVER (PARTITION BY dev_eui, f_cnt ORDER BY ctid) - 1 AS round
    FROM incoming_uplinks WHERE turn = %(turn)s
), later AS (
    UPDATE incoming_uplinks SET round = i.round FROM i WHERE incoming_uplinks.ctid = i.at AND i.round > 0
)
SELECT max(round) + 1 FROM i"""
"""Rows of one device and counter are taken one after another, in the order in which they came."""
MEET: Final = """
WITH met AS MATERIALIZED (
    SELECT DISTINCT ON (i.ctid) i.ctid AS at, u.session,
        CASE WHEN (u.f_port, u.payload) <> (i.f_port, i.payload) THEN 'conflict'
             WHEN u.gateway <> i.gateway THEN 'heard' ELSE 'same' END AS met
    FROM incoming_uplinks i JOIN uplinks u
        ON u.tenant = %(tenant)s AND (u.dev_eui, u.f_cnt) = (i.dev_eui, i.f_cnt)
    WHERE i.turn = %(turn)s AND i.round = %(round)s
        AND abs(extract(epoch FROM u.received_at - i.received_at)) <= %(same_s)s
        AND (u.session = i.session OR (u.f_port, u.payload) = (i.f_port, i.payload) AND u.stream <> i.stream)
    ORDER BY i.ctid, (u.f_port, u.payload) = (i.f_port, i.payload) DESC,
        abs(extract(epoch FROM u.received_at - i.received_at))
)
UPDATE incoming_uplinks i SET met = met.met, session = met.session, channels = 0
FROM met WHERE i.ctid = met.at"""
"""Find the uplink that a row is the same frame as, or contradicts."""
RENUMBER: Final = """
WITH taken AS MATERIALIZED (
    SELECT i.ctid AS at, (
        SELECT max(every.session) + 1 FROM uplinks every
        WHERE every.tenant = %(tenant)s AND (every.dev_eui, every.f_cnt) = (i.dev_eui, i.f_cnt)
    ) AS session
    FROM incoming_uplinks i JOIN uplinks u
        ON u.tenant = %(tenant)s AND (u.dev_eui, u.f_cnt, u.session) = (i.dev_eui, i.f_cnt, i.session)
    WHERE i.turn = %(turn)s AND i.round = %(round)s AND i.met IS NULL
)
UPDATE incoming_uplinks i SET session = taken.session FROM taken WHERE i.ctid = taken.at"""
"""A frame whose key an uplink of another life has goes under the next free session."""
NEW_UPLINKS: Final = f"{UPLINKS} AND round = %(round)s AND met IS NULL"
RECEPTIONS: Final = f"""
INSERT INTO receptions (tenant, {_list(_RECEPTION)})
SELECT %(tenant)s, {_list(_RECEPTION)} FROM incoming_uplinks WHERE turn = %(turn)s AND met = 'heard'
ON CONFLICT DO NOTHING"""
CONFLICTS: Final = f"""
INSERT INTO quarantine (tenant, reason, detail, seen_at, {_list(_REFUSED)})
SELECT %(tenant)s, 'conflict',
    'stored payload ' || encode(u.payload, 'hex') || ' from gateway ' || encode(u.gateway, 'hex'),
    now(), {_list(_REFUSED, "i.")}
FROM incoming_uplinks i JOIN uplinks u
    ON u.tenant = %(tenant)s AND (u.dev_eui, u.f_cnt, u.session) = (i.dev_eui, i.f_cnt, i.session)
WHERE i.turn = %(turn)s AND i.met = 'conflict'"""

SESSIONS: Final = """
SELECT dev_eui, session FROM device_sessions
WHERE tenant = %(tenant)s AND dev_eui = ANY (%(devices)s::bytea[])"""
NEW_SESSIONS: Final = """
INSERT INTO device_sessions (tenant, dev_eui, session)
SELECT %(tenant)s, d.dev_eui, d.session FROM unnest(%(devices)s::bytea[], %(sessions)s::bigint[])
    AS d (dev_eui, session)
ON CONFLICT DO NOTHING"""
NEW_NUMBERS: Final = """
INSERT INTO device_sessions (tenant, dev_eui, session)
SELECT DISTINCT %(tenant)s, dev_eui, session FROM incoming_uplinks WHERE turn = %(turn)s AND met IS NULL
ON CONFLICT DO NOTHING"""
HEARD_OTHERWISE: Final = """
SELECT EXISTS (
    SELECT FROM incoming_uplinks i CROSS JOIN LATERAL (
        SELECT FROM uplinks u
        WHERE u.tenant = %(tenant)s AND u.dev_eui = i.dev_eui AND u.f_cnt = i.f_cnt
            AND u.session <> i.session AND u.stream <> i.stream AND u.payload = i.payload
            AND abs(extract(epoch FROM u.received_at - i.received_at)) <= %(same_s)s
        OFFSET 0
    ) u
    WHERE i.turn = %(turn)s AND i.dev_eui = ANY (%(devices)s::bytea[])
)"""
"""Whether a frame of a device with several sessions is in the records under another one of them."""
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('clipr.careful ' || %(tenant)s, 0))"
"""Two receivers compare frames of one tenant one after the other."""

_NEAR: Final = """
    SELECT 1 FROM readings r
    WHERE r.tenant = %(tenant)s AND r.dev_eui = i.dev_eui AND r.quantity = 'temperature'
        AND r.channel = i.channel
        AND r.interval_end > i.earliest AND r.interval_end < i.latest"""
"""A reading of the same device and channel that ends within half an interval."""


def _bounded(incoming: str) -> str:
    """`incoming` with half an interval around its end as plain columns.

    Under row-level security only leakproof comparisons reach an index. Of two timestamps they are, of a
    timestamp and a sum they are not; MATERIALIZED keeps the sum out of the comparison.
    """
    return f"""
WITH i AS MATERIALIZED (
    SELECT *, interval_end - make_interval(secs => interval_s / 2.0) AS earliest,
           interval_end + make_interval(secs => interval_s / 2.0) AS latest
    FROM {incoming} WHERE turn = %(turn)s)"""


NEW_READINGS: Final = f"""{_bounded("incoming_readings")} {_INTO_READINGS}
SELECT %(tenant)s, 'temperature', '°C', false, {_READING}
FROM i WHERE NOT EXISTS ({_NEAR} AND (r.from_history OR (r.session, r.f_cnt) = (i.session, i.f_cnt)))
ON CONFLICT DO NOTHING"""
_BLOCKS: Final = """
        SELECT r.* FROM readings r
        WHERE r.tenant = %(tenant)s AND r.dev_eui = i.dev_eui AND r.quantity = 'temperature'
            AND r.channel = i.channel AND r.interval_end >= i.earliest AND r.interval_end <= i.latest"""
"""What may be in the place of an incoming reading."""
COMPLETED: Final = f"""{_bounded("incoming_readings")}, found AS MATERIALIZED (
    SELECT DISTINCT ON (r.dev_eui, r.channel, r.interval_end) r.dev_eui, r.channel, r.interval_end,
        i.last, i.session, i.f_cnt, i.historical
    FROM i CROSS JOIN LATERAL ({_BLOCKS}
            AND r.from_history AND r.interval_end > i.earliest AND r.interval_end < i.latest
        ORDER BY abs(extract(epoch FROM r.interval_end - i.interval_end)) LIMIT 1
    ) r
    WHERE r.interval_s = i.interval_s AND (r.minimum, r.maximum) IS NOT DISTINCT FROM (i.minimum, i.maximum)
    ORDER BY r.dev_eui, r.channel, r.interval_end, abs(extract(epoch FROM r.interval_end - i.interval_end))
)
UPDATE readings r SET last = found.last, session = found.session, f_cnt = found.f_cnt, from_history = false,
    historical = found.historical
FROM found
WHERE r.tenant = %(tenant)s AND r.dev_eui = found.dev_eui AND r.channel = found.channel
    AND r.interval_end = found.interval_end AND r.quantity = 'temperature'"""
"""A report outranks an interval out of the sensor's memory that says the same: it knows the last value."""
READING_CONFLICTS: Final = f"""{_bounded("incoming_readings")}
INSERT INTO quarantine (tenant, reason, detail, seen_at, {_list(_REFUSED)})
SELECT %(tenant)s, 'reading_conflict', format(
        'channel %%s: stored with counter %%s%%s, interval of %%s s, minimum %%s, maximum %%s, last %%s; '
        'this one of %%s s, minimum %%s, maximum %%s, last %%s',
        i.channel, r.f_cnt, CASE WHEN r.from_history THEN ' (out of the sensor''s memory)' END,
        r.interval_s, {_list(["minimum", "maximum", "last"], "r.")},
        i.interval_s, {_list(["minimum", "maximum", "last"], "i.")}),
    now(), {_list(_REFUSED, "i.")}
FROM i CROSS JOIN LATERAL ({_BLOCKS}
        AND (r.interval_end = i.interval_end OR (r.session, r.f_cnt) = (i.session, i.f_cnt)
            OR r.from_history AND r.interval_end > i.earliest AND r.interval_end < i.latest)
    ORDER BY (r.session, r.f_cnt) = (i.session, i.f_cnt) DESC,
        abs(extract(epoch FROM r.interval_end - i.interval_end))
    LIMIT 1
) r
WHERE (r.session, r.f_cnt) <> (i.session, i.f_cnt)"""
"""Whatever did not get its place: both values, for a person."""

HISTORY: Final = f"""{_bounded("incoming_history")}
INSERT INTO readings (tenant, quantity, unit, from_history, historical, {_list([*_KEY, *_INTERVAL])})
SELECT %(tenant)s, 'temperature', '°C', true, true, i.dev_eui, u.session, i.f_cnt, {_list(_INTERVAL, "i.")}
FROM i JOIN uplinks u ON u.tenant = %(tenant)s
    AND (u.dev_eui, u.f_cnt, u.gateway, u.stream, u."row")
        = (i.dev_eui, i.f_cnt, i.gateway, i.stream, i."row")
WHERE NOT EXISTS ({_NEAR})
ON CONFLICT DO NOTHING"""
SPANS: Final = """
SELECT dev_eui, min(earliest), max(latest), max(longest_s) FROM history_spans
WHERE tenant = %(tenant)s AND dev_eui = ANY (%(devices)s::bytea[]) GROUP BY dev_eui"""
WIDEN_SPANS: Final = """
INSERT INTO history_spans AS s (tenant, dev_eui, channel, earliest, latest, longest_s)
SELECT %(tenant)s, dev_eui, channel, min(interval_end), max(interval_end), max(interval_s)
FROM incoming_history WHERE turn = %(turn)s GROUP BY dev_eui, channel
ON CONFLICT (tenant, dev_eui, channel) DO UPDATE SET earliest = least(s.earliest, excluded.earliest),
    latest = greatest(s.latest, excluded.latest), longest_s = greatest(s.longest_s, excluded.longest_s)"""

EVENTS: Final = """
INSERT INTO events (tenant, dev_eui, session, f_cnt, occurred_at, kind, channel, temperature, duration_s,
                    extreme, historical)
SELECT %(tenant)s, e.dev_eui, u.session, e.f_cnt, e.occurred_at, e.kind, e.channel, e.temperature,
       e.duration_s, e.extreme, e.historical
FROM unnest(%(dev_eui)s::bytea[], %(f_cnt)s::bigint[], %(gateway)s::bytea[], %(stream)s::bytea[],
            %(row)s::bigint[], %(occurred_at)s::timestamptz[], %(kind)s::text[], %(channel)s::smallint[],
            %(temperature)s::numeric[], %(duration_s)s::integer[], %(extreme)s::numeric[],
            %(historical)s::boolean[])
    AS e (dev_eui, f_cnt, gateway, stream, "row", occurred_at, kind, channel, temperature, duration_s,
          extreme, historical)
JOIN uplinks u ON u.tenant = %(tenant)s AND (u.dev_eui, u.f_cnt, u.gateway, u.stream, u."row")
    = (e.dev_eui, e.f_cnt, e.gateway, e.stream, e."row")
ON CONFLICT DO NOTHING"""
EVIDENCE: Final = """
INSERT INTO evidence (tenant, gateway, stream, number, header, signature, rows)
SELECT %(tenant)s, * FROM unnest(%(gateway)b::bytea[], %(stream)b::bytea[], %(number)b::bigint[],
                                 %(header)b::bytea[], %(signature)b::bytea[], %(rows)b::bytea[])"""
