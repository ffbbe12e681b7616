"""What could not be taken, with its reason; nothing is dropped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cloud_sync.db.outcome import QUARANTINE_WIRE_BYTES, Refused, Verified
from edge_codecs.identifiers import DevEUI, GatewayId

SENTENCES: Mapping[str, str] = {
    "time_unknown": "Power went at the gateway before its clock was in step: its time is not known.",
    "time_implausible": "Dated before 2020, or more than a day ahead of the receiver's clock.",
    "gateway_unassigned": "The gateway belonged to no tenant then. Assign it: cloud-sync gateway assign",
    "device_unassigned": "The device belonged to no tenant then. Assign it: cloud-sync device assign",
    "other_tenancy": "Part of it is of a time when the device was another tenant's; who may see it?",
    "part_unassigned": "Left out: what is of a time when the device was nobody's. The rest is kept.",
    "tenant_mismatch": "Device and gateway belonged to different tenants then. Mend one of the assignments.",
    "conflict": "Another payload under the same device, session and counter is in the records already.",
    "reading_conflict": "Another uplink's reading of that channel and time is in the records already.",
    "history_implausible": "Its memory has intervals before 2020 or after they were sent: wrong clock.",
    "batch_conflict": "A batch of this number is stored with other content. Was the gateway's store copied?",
    "chain_broken": "The batch does not follow the one before: one in between was altered or left out.",
    "cannot_store": "No table holds a value of this batch; its rows are in the evidence. Please tell us.",
    "gateway_unknown": "The gateway is not registered. Register it: cloud-sync gateway add",
    "gateway_revoked": "The gateway's registration was revoked.",
}
"""What a reason means and what to do; a reason of the wire format speaks for itself."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One row of an accepted batch that is nobody's record."""

    reason: str
    gateway: GatewayId
    stream: bytes
    batch: int
    row: int
    dev_eui: DevEUI
    session: int
    f_cnt: int
    received_ms: int
    f_port: int
    payload: bytes


def keep_rows(connection: psycopg.Connection, tenant: str | None, rows: Sequence[RefusedRow]) -> None:
    """Keep them as `tenant`'s (whose setting holds), or as nobody's (plant scope)."""
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            _KEEP_ROW,
            [
                (
                    tenant,
                    row.reason,
                    SENTENCES[row.reason],
                    bytes(row.gateway),
                    row.stream,
                    row.batch,
                    row.row,
                    bytes(row.dev_eui),
                    row.session,
                    row.f_cnt,
                    _time(row.received_ms),
                    row.f_port,
                    row.payload,
                )
                for row in rows
            ],
        )


def keep_messages(connection: psycopg.Connection, refusals: Iterable[Refused]) -> None:
    """Keep whole messages as nobody's (plant scope); the same content for the same reason once."""
    for refused in refusals:
        wire = refused.wire[:QUARANTINE_WIRE_BYTES]
        digest = hashlib.sha256((refused.gateway or b"") + refused.wire).digest()
        gateway = None if refused.gateway is None else bytes(refused.gateway)
        detail = refused.detail.replace("\0", "\\0")
        connection.execute(
            _KEEP_MESSAGE, (refused.reason, detail, _time(refused.received_ms), gateway, wire, digest)
        )


def keep_batches(connection: psycopg.Connection, refused: Iterable[tuple[Verified, str]]) -> None:
    """Keep verified batches that contradict what is stored, as their evidence."""
    keep_messages(
        connection,
        (
            Refused(
                batch.manifest.gateway,
                reason,
                f"{SENTENCES[reason]} (stream {batch.manifest.stream}, batch {batch.manifest.number})",
                batch.header + batch.signature + batch.manifest.rows,
                batch.received_ms,
            )
            for batch, reason in refused
        ),
    )


def entries(
    connection: psycopg.Connection, *, reason: str | None = None, limit: int = 100, settled: bool = False
) -> list[dict[str, Any]]:
    """The newest open entries, newest first (operator scope), without payload and message.

    With `settled` those that are settled, too.
    """
    condition = sql.SQL("TRUE") if reason is None else sql.SQL("reason = {}").format(sql.Literal(reason))
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            sql.SQL(
                """SELECT id, tenant, reason, detail, seen_at, gateway, stream, batch, "row", dev_eui,
                          session, f_cnt, received_at, f_port, settled_at
                   FROM quarantine WHERE {} AND ({} OR settled_at IS NULL) ORDER BY id DESC LIMIT {}"""
            ).format(condition, sql.Literal(settled), sql.Literal(limit))
        ).fetchall()


def entry(connection: psycopg.Connection, number: int) -> dict[str, Any] | None:
    """One entry with everything in it (operator scope)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM quarantine WHERE id = %s", (number,)).fetchone()


def waiting(
    connection: psycopg.Connection, things: Sequence[GatewayId | DevEUI]
) -> tuple[int, datetime | None]:
    """How many rows of these wait for an assignment, and when the oldest was received (operator scope)."""
    column = "gateway" if things and isinstance(things[0], GatewayId) else "dev_eui"
    query = sql.SQL(
        """SELECT count(*), min(received_at) FROM quarantine
           WHERE settled_at IS NULL AND tenant IS NULL AND {} = ANY (%s)
               AND reason IN ('device_unassigned', 'gateway_unassigned', 'tenant_mismatch')"""
    ).format(sql.Identifier(column))
    count, oldest = connection.execute(query, (list(map(bytes, things)),)).fetchone() or (0, None)
    return count, oldest


def _time(utc_ms: int) -> datetime | None:
    """None for what no calendar holds."""
    try:
        return datetime.fromtimestamp(utc_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


_KEEP_ROW = """
INSERT INTO quarantine (tenant, reason, detail, seen_at, gateway, stream, batch, "row", dev_eui, session,
                        f_cnt, received_at, f_port, payload)
VALUES (%s, %s, %s, now(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_KEEP_MESSAGE = """
INSERT INTO quarantine (reason, detail, seen_at, gateway, wire, wire_sha256) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING"""
