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
_RADIO: Final = "received_at frequency_hz data_rate rssi_dbm snr_db time_quality".split()
_RECEPTION: Final = [*_KEY, *_SOURCE, *_RADIO]
_UPLINK: Final = _list([*_RECEPTION, *"f_port payload codec codec_version historical".split()])
_HISTORY: Final = _list([*_KEY, *"interval_end interval_s channel minimum maximum".split()])
_READING: Final = f'{_HISTORY}, "last", "historical"'
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
    gateway bytea, stream bytea, data_rate text, codec text, payload bytea, snr_db real
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
NEW_UPLINKS: Final = f"{UPLINKS} ON CONFLICT DO NOTHING"
_MET: Final = """
FROM incoming_uplinks i JOIN uplinks u
    ON u.tenant = %(tenant)s AND (u.dev_eui, u.session, u.f_cnt) = (i.dev_eui, i.session, i.f_cnt)
WHERE i.turn = %(turn)s AND (u.gateway, u.stream, u."row") <> (i.gateway, i.stream, i."row")"""
"""Incoming rows whose uplink is in the records out of another row."""
RECEPTIONS: Final = f"""
INSERT INTO receptions (tenant, {_list(_RECEPTION)})
SELECT %(tenant)s, {_list(_RECEPTION, "i.")} {_MET}
    AND (u.f_port, u.payload) = (i.f_port, i.payload) AND u.gateway <> i.gateway
ON CONFLICT DO NOTHING"""
CONFLICTS: Final = f"""
INSERT INTO quarantine (tenant, reason, detail, seen_at, {_list(_REFUSED)})
SELECT %(tenant)s, 'conflict',
    'stored payload ' || encode(u.payload, 'hex') || ' from gateway ' || encode(u.gateway, 'hex'),
    now(), {_list(_REFUSED, "i.")} {_MET}
    AND (u.f_port, u.payload) <> (i.f_port, i.payload)"""
FORGET_READINGS: Final = """
UPDATE incoming_uplinks i SET channels = 0
FROM uplinks u
WHERE i.turn = %(turn)s AND u.tenant = %(tenant)s
    AND (u.dev_eui, u.session, u.f_cnt) = (i.dev_eui, i.session, i.f_cnt)
    AND (u.gateway, u.stream, u."row") <> (i.gateway, i.stream, i."row")"""
FORGET_HISTORY: Final = """
DELETE FROM incoming_history i
USING uplinks u
WHERE i.turn = %(turn)s AND u.tenant = %(tenant)s
    AND (u.dev_eui, u.session, u.f_cnt) = (i.dev_eui, i.session, i.f_cnt)
    AND (u.gateway, u.stream, u."row") <> (i.gateway, i.stream, i."row")"""

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
FROM i WHERE NOT EXISTS ({_NEAR} AND r.from_history)
ON CONFLICT DO NOTHING"""
READING_CONFLICTS: Final = f"""
INSERT INTO quarantine (tenant, reason, detail, seen_at, {_list(_REFUSED)})
SELECT %(tenant)s, 'reading_conflict',
    'channel ' || i.channel || ': the reading of this interval end came with counter ' || r.f_cnt,
    now(), {_list(_REFUSED, "i.")}
FROM incoming_readings i
JOIN readings r ON r.tenant = %(tenant)s AND r.dev_eui = i.dev_eui AND r.quantity = 'temperature'
    AND r.channel = i.channel AND r.interval_end = i.interval_end
WHERE i.turn = %(turn)s AND NOT r.from_history AND (r.session, r.f_cnt) <> (i.session, i.f_cnt)"""

HISTORY: Final = f"""{_bounded("incoming_history")}
INSERT INTO readings (tenant, quantity, unit, from_history, historical, {_HISTORY})
SELECT %(tenant)s, 'temperature', '°C', true, true, {_HISTORY}
FROM i WHERE NOT EXISTS ({_NEAR})
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
SELECT %(tenant)s, e.dev_eui, e.session, e.f_cnt, e.occurred_at, e.kind, e.channel, e.temperature,
       e.duration_s, e.extreme, e.historical
FROM unnest(%(dev_eui)s::bytea[], %(session)s::bigint[], %(f_cnt)s::bigint[], %(stream)s::bytea[],
            %(row)s::bigint[], %(occurred_at)s::timestamptz[], %(kind)s::text[], %(channel)s::smallint[],
            %(temperature)s::numeric[], %(duration_s)s::integer[], %(extreme)s::numeric[],
            %(historical)s::boolean[])
    AS e (dev_eui, session, f_cnt, stream, "row", occurred_at, kind, channel, temperature, duration_s,
          extreme, historical)
JOIN uplinks u ON u.tenant = %(tenant)s AND (u.dev_eui, u.session, u.f_cnt, u.stream, u."row")
    = (e.dev_eui, e.session, e.f_cnt, e.stream, e."row")
ON CONFLICT DO NOTHING"""
EVIDENCE: Final = """
INSERT INTO evidence (tenant, gateway, stream, number, header, signature, rows)
SELECT %(tenant)s, * FROM unnest(%(gateway)b::bytea[], %(stream)b::bytea[], %(number)b::bigint[],
                                 %(header)b::bytea[], %(signature)b::bytea[], %(rows)b::bytea[])"""
