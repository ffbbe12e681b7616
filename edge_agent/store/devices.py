"""Devices: their sessions with keys, when they were heard, and what was not taken of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from edge_agent.errors import UsageError
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.session import Session
from edge_agent.network.reason import Reason
from edge_agent.store.connection import Database, Row
from edge_agent.store.counters import Seen
from edge_agent.store.rows import SPAN, spanned_date
from edge_codecs.identifiers import DevEUI

_SESSION: Final = (
    "d.dev_eui, d.dev_addr, d.lorawan, d.f_nwk_s_int_key, d.s_nwk_s_int_key, d.nwk_s_enc_key, d.app_s_key, "
    "d.session, d.f_cnt_up, d.codec, d.codec_version"
)


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device, and when it was heard last."""

    session: Session
    uplinks: int
    """Frames taken since it was added."""
    last_seen_ms: int | None
    """UTC of the last frame taken; None before the first one, or while it has no date yet."""
    rssi_dbm: int | None
    snr_db: float | None


@dataclass(frozen=True, slots=True)
class RejectionSum:
    """How often frames were not taken for one reason, and when last (UTC by this host's clock)."""

    reason: Reason
    count: int
    last_seen_ms: int


def entries(database: Database, seen: Mapping[DevEUI, Seen]) -> list[DeviceEntry]:
    """All devices, by DevEUI; `seen` is what the table does not say yet."""
    rows = database.all(
        f"SELECT {_SESSION}, d.uplinks, d.rssi_dbm, d.snr_tenths, d.seen_ms, d.seen_ns, {SPAN} "  # noqa: S608
        "FROM devices d LEFT JOIN spans s ON s.number = d.seen_span ORDER BY d.dev_eui"
    )
    return [_entry(database, row, seen.get(DevEUI(row[0]))) for row in rows]


def _entry(database: Database, row: Row, newer: Seen | None) -> DeviceEntry:
    session = _session(row[:11])
    uplinks, rssi_dbm, tenths, seen_ms, seen_ns, *span = row[11:]
    if newer is not None:
        session = replace(session, f_cnt_up=newer.f_cnt)
        uplinks += newer.frames
        rssi_dbm, tenths, seen_ms, seen_ns = newer.rssi_dbm, newer.snr_tenths, newer.seen_ms, newer.seen_ns
        span = [None]
        if newer.seen_span is not None:
            found = database.one(f"SELECT {SPAN} FROM spans s WHERE number = ?", (newer.seen_span,))  # noqa: S608
            span = list(found or span)
    if seen_ms is None and span[-1] is not None:
        seen_ms, _ = spanned_date(seen_ns, *span)
    return DeviceEntry(session, uplinks, seen_ms, rssi_dbm, None if tenths is None else tenths / 10)


def _session(row: Row) -> Session:
    dev_eui, dev_addr, lorawan, f_int, s_int, enc, app, number, f_cnt_up, codec, codec_version = row
    return Session(
        DevEUI(dev_eui),
        DevAddr(dev_addr),
        lorawan,
        AES128Key(f_int),
        AES128Key(s_int),
        AES128Key(enc),
        AES128Key(app),
        number,
        f_cnt_up,
        codec,
        codec_version,
    )


def add(database: Database, session: Session) -> Session:
    """Add one device, within the caller's transaction. Raises UsageError if it is here."""
    dev_eui = bytes(session.dev_eui)
    if database.value("SELECT count(*) FROM devices WHERE dev_eui = ?", (dev_eui,)):
        raise UsageError(
            f"device {session.dev_eui} is here already",
            hint=f"To give it other keys, remove it first: edge-agent device remove {session.dev_eui}",
        )
    former = database.one("SELECT session FROM former_devices WHERE dev_eui = ?", (dev_eui,))
    if former is not None:
        session = replace(session, number=max(session.number, former[0] + 1))
    database.execute(
        "INSERT INTO devices (dev_eui, dev_addr, lorawan, f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key, "
        "app_s_key, session, f_cnt_up, codec, codec_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            dev_eui,
            bytes(session.dev_addr),
            session.lorawan,
            bytes(session.f_nwk_s_int_key),
            bytes(session.s_nwk_s_int_key),
            bytes(session.nwk_s_enc_key),
            bytes(session.app_s_key),
            session.number,
            session.f_cnt_up,
            session.codec,
            session.codec_version,
        ),
    )
    return session


def remove(database: Database, dev_eui: DevEUI) -> None:
    """Forget one device, its keys and rejections, within the caller's transaction. Raises UsageError."""
    session = _present(database, dev_eui)
    database.execute("DELETE FROM devices WHERE dev_eui = ?", (bytes(dev_eui),))
    database.execute("DELETE FROM rejections WHERE dev_eui = ?", (bytes(dev_eui),))
    database.execute(
        "INSERT INTO former_devices (dev_eui, session) VALUES (?, ?) "
        "ON CONFLICT (dev_eui) DO UPDATE SET session = max(session, excluded.session)",
        (bytes(dev_eui), session.number),
    )


def reset(database: Database, dev_eui: DevEUI) -> Session:
    """Let one device count anew, within the caller's transaction. Raises UsageError."""
    session = _present(database, dev_eui)
    session = replace(session, number=session.number + 1, f_cnt_up=None)
    database.execute(
        "UPDATE devices SET session = ?, f_cnt_up = NULL WHERE dev_eui = ?", (session.number, bytes(dev_eui))
    )
    return session


def _present(database: Database, dev_eui: DevEUI) -> Session:
    row = database.one(f"SELECT {_SESSION} FROM devices d WHERE d.dev_eui = ?", (bytes(dev_eui),))  # noqa: S608
    if row is None:
        raise UsageError(f"there is no device {dev_eui}", hint="See: edge-agent device list")
    return _session(row)


def count_rejections(
    database: Database, counts: Mapping[tuple[DevEUI | None, Reason], tuple[int, int]]
) -> None:
    """Add to the sums, within the caller's transaction."""
    database.execute_many(
        "INSERT INTO rejections (dev_eui, reason, count, last_seen_ms) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (dev_eui, reason) DO UPDATE SET count = count + excluded.count, "
        "last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)",
        [
            (bytes(dev_eui or b""), reason.value, count, last_seen_ms)
            for (dev_eui, reason), (count, last_seen_ms) in counts.items()
        ],
    )


def rejections(database: Database, dev_eui: DevEUI | None) -> list[RejectionSum]:
    """Sums by reason, most frequent first: of one device, or of all frames."""
    rows = database.all(
        "SELECT reason, sum(count), max(last_seen_ms) FROM rejections WHERE ?1 IS NULL OR dev_eui = ?1 "
        "GROUP BY reason ORDER BY sum(count) DESC, reason",
        (None if dev_eui is None else bytes(dev_eui),),
    )
    known = {reason.value for reason in Reason}
    return [RejectionSum(Reason(reason), count, last) for reason, count, last in rows if reason in known]
