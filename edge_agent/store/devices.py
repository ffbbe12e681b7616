"""Devices as the network has them, and when they were heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edge_agent.errors import UsageError
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.device import Device, JoinNonces, NetworkSession
from edge_agent.store import downlinks
from edge_agent.store.connection import Database, Row
from edge_agent.store.counters import Seen
from edge_agent.store.rows import SPAN, spanned_date
from edge_agent.store.sessions import SESSION, insert_session, network_session
from edge_codecs.identifiers import DevEUI, JoinEUI

_DEVICE: Final = (
    "d.dev_eui, d.join_eui, d.version, d.region_revision, d.app_key, d.nwk_key, d.codec, d.codec_version, "
    "d.last_session, d.dev_nonce, d.rj_count_1"
)
_FORMER: Final = "SELECT last_session, dev_nonce, rj_count_1, n_f_cnt_down, a_f_cnt_down FROM former_devices"


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device, and when it was heard last."""

    device: Device
    uplinks: int
    """Frames taken since it was added."""
    last_seen_ms: int | None
    """UTC of the last frame taken; None before the first one, or while it has no date yet."""
    rssi_dbm: int | None
    snr_db: float | None


def load(
    database: Database, seen: Mapping[DevEUI, Seen], dev_eui: DevEUI | None = None
) -> dict[DevEUI, Device]:
    """All devices by DevEUI, or the one; `seen` is what the tables do not say yet."""
    where, only = ("", ()) if dev_eui is None else ("WHERE dev_eui = ?", (bytes(dev_eui),))
    rows = database.all(f"SELECT {_DEVICE} FROM devices d {where} ORDER BY dev_eui", only)  # noqa: S608
    codecs = {DevEUI(row[0]): (row[6], row[7]) for row in rows}
    sessions: dict[DevEUI, NetworkSession] = {}
    given: dict[DevEUI, list[NetworkSession]] = {}
    for raw, pending, *columns in database.each(
        f"SELECT s.dev_eui, s.pending, {SESSION} FROM sessions s {where} ORDER BY s.session",  # noqa: S608
        only,
    ):
        if codec := codecs.get(DevEUI(raw)):
            kept = network_session(DevEUI(raw), *codec, tuple(columns))
            if pending:
                given.setdefault(DevEUI(raw), []).append(kept)
            else:
                sessions[DevEUI(raw)] = kept
    for known, newer in seen.items():
        if known in sessions:
            present = sessions[known]
            sessions[known] = replace(present, session=replace(present.session, f_cnt_up=newer.f_cnt))
    nonces: dict[DevEUI, set[int]] = {}
    for raw, dev_nonce in database.each(f"SELECT dev_eui, dev_nonce FROM dev_nonces {where}", only):  # noqa: S608
        nonces.setdefault(DevEUI(raw), set()).add(dev_nonce)
    waiting = downlinks.waiting(database, dev_eui)
    found: dict[DevEUI, Device] = {}
    for row in rows:
        one = DevEUI(row[0])
        found[one] = replace(
            _device(row, frozenset(nonces.get(one, ()))),
            session=sessions.get(one),
            pending=tuple(given.get(one, ())),
            downlinks=tuple(waiting.get(one, ())),
        )
    return found


def _device(row: Row, dev_nonces: frozenset[int]) -> Device:
    raw, join_eui, version, revision, app_key, nwk_key, codec, codec_version, *numbers = row
    dev_eui = DevEUI(raw)
    if app_key is None:
        return Device(dev_eui)
    last_session, dev_nonce, rj_count_1 = numbers
    registration = Registration(
        dev_eui,
        JoinEUI(join_eui),
        LoRaWANVersion(version),
        AES128Key(app_key),
        None if nwk_key is None else AES128Key(nwk_key),
        revision,
        codec,
        codec_version,
    )
    return Device(dev_eui, registration, JoinNonces(last_session, dev_nonce, dev_nonces, rj_count_1))


def rivals(
    database: Database, seen: Mapping[DevEUI, Seen], new: Sequence[Session | Registration]
) -> list[Device]:
    """The devices that are here with a DevEUI or a DevAddr of these; no other is looked at."""
    here: dict[DevEUI, Device] = {}
    for one in new:
        here |= load(database, seen, one.dev_eui)
        if isinstance(one, Session):
            for (raw,) in database.all(
                "SELECT DISTINCT dev_eui FROM sessions WHERE dev_addr = ?", (bytes(one.dev_addr),)
            ):
                here |= load(database, seen, DevEUI(raw))
    return list(here.values())


def entries(
    database: Database, seen: Mapping[DevEUI, Seen], dev_eui: DevEUI | None = None
) -> list[DeviceEntry]:
    """All devices by DevEUI, or the one; `seen` is what the tables do not say yet."""
    found = load(database, seen, dev_eui)
    where, only = ("", ()) if dev_eui is None else ("WHERE d.dev_eui = ?", (bytes(dev_eui),))
    rows = database.all(
        f"SELECT d.dev_eui, d.uplinks, d.rssi_dbm, d.snr_tenths, d.seen_ms, d.seen_ns, {SPAN} "  # noqa: S608
        f"FROM devices d LEFT JOIN spans s ON s.number = d.seen_span {where} ORDER BY d.dev_eui",
        only,
    )
    return [
        _entry(database, found[dev_eui], tuple(row), seen.get(dev_eui))
        for raw, *row in rows
        if (dev_eui := DevEUI(raw)) in found
    ]


def _entry(database: Database, device: Device, row: Row, newer: Seen | None) -> DeviceEntry:
    uplinks, rssi_dbm, tenths, seen_ms, seen_ns, *span = row
    if newer is not None:
        uplinks += newer.frames
        rssi_dbm, tenths, seen_ms, seen_ns = newer.rssi_dbm, newer.snr_tenths, newer.seen_ms, newer.seen_ns
        span = [None]
        if newer.seen_span is not None:
            found = database.one(f"SELECT {SPAN} FROM spans s WHERE number = ?", (newer.seen_span,))  # noqa: S608
            span = list(found or span)
    if seen_ms is None and span[-1] is not None:
        seen_ms, _ = spanned_date(seen_ns, *span)
    return DeviceEntry(device, uplinks, seen_ms, rssi_dbm, None if tenths is None else tenths / 10)


def add(database: Database, new: Session | Registration) -> Device:
    """Add one device, within the caller's transaction. Raises UsageError if it is here.

    The numbers of one that was here before go on where they ended.
    """
    dev_eui = new.dev_eui
    if database.value("SELECT count(*) FROM devices WHERE dev_eui = ?", (bytes(dev_eui),)):
        raise UsageError(
            f"device {dev_eui} is here already",
            hint=f"To give it other keys, remove it first: edge-agent device remove {dev_eui}",
        )
    former = database.one(f"{_FORMER} WHERE dev_eui = ?", (bytes(dev_eui),))
    if isinstance(new, Session):
        if former is not None:
            new = replace(new, number=max(new.number, former[0] + 1))
        _insert(database, new, new.number, former)
        bounds = (0, 0) if former is None else former[3:]
        insert_session(database, NetworkSession(new, None, *bounds), pending=False)
    else:
        _insert(database, new, 0 if former is None else former[0], former)
    return load(database, {}, dev_eui)[dev_eui]


def _insert(database: Database, new: Session | Registration, last_session: int, former: Row | None) -> None:
    root: Row = (None,) * 5
    if isinstance(new, Registration):
        root = (
            bytes(new.join_eui),
            new.version.value,
            new.region_revision,
            bytes(new.app_key),
            None if new.nwk_key is None else bytes(new.nwk_key),
        )
    dev_nonce, rj_count_1 = (None, None) if former is None else former[1:3]
    database.execute(
        "INSERT INTO devices (dev_eui, join_eui, version, region_revision, app_key, nwk_key, codec, "
        "codec_version, last_session, dev_nonce, rj_count_1) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (bytes(new.dev_eui), *root, new.codec, new.codec_version, last_session, dev_nonce, rj_count_1),
    )


def remove(database: Database, dev_eui: DevEUI) -> None:
    """Forget one device, its keys and all that is kept of it but its uplinks and where its numbers ended.

    Within the caller's transaction. Raises UsageError.
    """
    expect(database, dev_eui)
    database.execute(
        "INSERT INTO former_devices "
        "(dev_eui, last_session, dev_nonce, rj_count_1, n_f_cnt_down, a_f_cnt_down) "
        "SELECT dev_eui, last_session, dev_nonce, rj_count_1, "
        "(SELECT coalesce(max(n_f_cnt_down), 0) FROM sessions s WHERE s.dev_eui = d.dev_eui), "
        "(SELECT coalesce(max(a_f_cnt_down), 0) FROM sessions s WHERE s.dev_eui = d.dev_eui) "
        "FROM devices d WHERE dev_eui = ? "
        "ON CONFLICT (dev_eui) DO UPDATE SET last_session = max(last_session, excluded.last_session), "
        "dev_nonce = excluded.dev_nonce, rj_count_1 = excluded.rj_count_1, "
        "n_f_cnt_down = excluded.n_f_cnt_down, a_f_cnt_down = excluded.a_f_cnt_down",
        (bytes(dev_eui),),
    )
    for table in ("devices", "sessions", "downlinks", "coverage", "history_asked", "rejections"):
        database.execute(f"DELETE FROM {table} WHERE dev_eui = ?", (bytes(dev_eui),))  # noqa: S608 - our names


def reset(database: Database, dev_eui: DevEUI) -> Device:
    """Let one device begin anew, within the caller's transaction. Raises UsageError.

    One that joins may use its DevNonces and RJcounts again; JoinNonce goes on. One with keys of its own
    counts from 0, both ways, under the next session number, and its parameters are those of its region.
    """
    expect(database, dev_eui)
    raw = (bytes(dev_eui),)
    if database.value("SELECT app_key IS NULL FROM devices WHERE dev_eui = ?", raw):
        database.execute("UPDATE devices SET last_session = last_session + 1 WHERE dev_eui = ?", raw)
        database.execute(
            "UPDATE sessions SET session = (SELECT last_session FROM devices WHERE dev_eui = ?1), "
            "f_cnt_up = NULL, mac = NULL, n_f_cnt_down = 0, a_f_cnt_down = 0, conf_f_cnt = NULL "
            "WHERE dev_eui = ?1",
            raw,
        )
    else:
        database.execute("DELETE FROM dev_nonces WHERE dev_eui = ?", raw)
        database.execute("UPDATE devices SET dev_nonce = NULL, rj_count_1 = NULL WHERE dev_eui = ?", raw)
        database.execute("UPDATE sessions SET rj_count_0 = NULL WHERE dev_eui = ?", raw)
    return load(database, {}, dev_eui)[dev_eui]


def expect(database: Database, dev_eui: DevEUI) -> None:
    """Raises UsageError if the device is not here."""
    if not database.value("SELECT count(*) FROM devices WHERE dev_eui = ?", (bytes(dev_eui),)):
        raise UsageError(f"there is no device {dev_eui}", hint="See: edge-agent device list")
