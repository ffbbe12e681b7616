"""Frame counters: as durable as the uplinks that carry them, without a second page to write for each.

An uplink's row says its counter, so the row alone makes both durable in one transaction. The tables follow
every few hundred uplinks, and whenever a session begins; `life.counted` is the last uplink that they know,
and those behind it are read again when the store is opened. That halves what each uplink costs the card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.clock import ClockReading
from edge_agent.errors import AgentBug
from edge_agent.network.outcome import Admitted
from edge_agent.store.connection import Database
from edge_agent.store.dating import Anchor
from edge_agent.store.rows import clamped_ms, snr_tenths
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality

SAVE_EVERY: Final = 500
"""Uplinks between two times that the tables are brought up to date."""

_NOWHERE: Final = (None, None)

Taken = Mapping[DevEUI, Sequence[int]]
"""Sessions that begin, by device, in their order."""
Dated = Sequence[tuple[Admitted, tuple[int, TimeQuality] | None]]


@dataclass(slots=True)
class Seen:
    """What is newer of a device than its table says. Not frozen, for that costs each uplink a microsecond."""

    session: int
    f_cnt: int
    frames: int
    seen_ms: int | None
    seen_ns: int
    seen_span: int | None
    rssi_dbm: int
    snr_tenths: int | None


def dated_by(uplinks: Sequence[Admitted], clock: ClockReading | None) -> Dated:
    """Each with UTC in ms at the end of reception: by the concentrator's GPS, else by a clock in step."""
    anchor = None if clock is None else Anchor(clock.monotonic_ns, clock.utc_ms, clock.quality)
    dated: list[tuple[Admitted, tuple[int, TimeQuality] | None]] = []
    for uplink in uplinks:
        frame = uplink.frame
        if frame.gps_ms is not None:
            dated.append((uplink, (clamped_ms(frame.gps_ms), TimeQuality.GPS)))
        elif anchor is None:
            dated.append((uplink, None))
        else:
            dated.append((uplink, (clamped_ms(anchor.utc_ms_at(frame.monotonic_ns)), anchor.quality)))
    return dated


class Counters:
    """The highest counter of each session in force, and what the tables do not know. There is one writer."""

    def __init__(self, database: Database) -> None:
        self.unsaved: dict[DevEUI, Seen] = uncounted(database)
        rows = database.each(
            "SELECT d.dev_eui, s.session, s.f_cnt_up FROM devices d "
            "LEFT JOIN sessions s ON s.dev_eui = d.dev_eui AND s.pending = 0"
        )
        self._highest: dict[DevEUI, tuple[int | None, int | None]] = {
            DevEUI(dev_eui): (session, f_cnt_up) for dev_eui, session, f_cnt_up in rows
        }
        self._take(self.unsaved)
        self._rows = sum(seen.frames for seen in self.unsaved.values())

    def __contains__(self, dev_eui: object) -> bool:
        """Whether the device is here."""
        return dev_eui in self._highest

    def judge(self, dated: Dated, span: int | None, taken: Taken) -> dict[DevEUI, Seen]:
        """What these uplinks make newer; changes nothing.

        `taken` are sessions that begin with one of them. A device that was removed or reset meanwhile keeps
        what it has. Raises AgentBug for a counter that is not above the last, and for a session that did not
        begin: such a frame must never have been admitted.
        """
        newer: dict[DevEUI, Seen] = {}
        for uplink, date in dated:
            dev_eui, f_cnt = uplink.dev_eui, uplink.f_cnt
            last = newer.get(dev_eui)
            session, highest = (
                self._highest.get(dev_eui, _NOWHERE) if last is None else (last.session, last.f_cnt)
            )
            if uplink.session != session:
                if session is not None and uplink.session < session:
                    continue
                if uplink.session not in taken.get(dev_eui, ()):
                    if session is not None:
                        raise AgentBug(f"session {uplink.session} of {dev_eui} did not begin")
                    continue
                highest = None
            if highest is not None and f_cnt <= highest:
                raise AgentBug(f"counter {f_cnt} of {dev_eui} was taken before")
            before = last or self.unsaved.get(dev_eui)
            frame = uplink.frame
            newer[dev_eui] = Seen(
                uplink.session,
                f_cnt,
                1 if before is None else before.frames + 1,
                date[0] if date else None,
                frame.monotonic_ns,
                None if date else span,
                frame.rssi_dbm,
                snr_tenths(frame),
            )
        return newer

    def due(self, rows: int, *, has_row: bool) -> bool:
        """Whether the tables must follow now: it is time, or an uplink has no row to say its counter."""
        return not has_row or self._rows + rows >= SAVE_EVERY

    def kept(self, newer: Mapping[DevEUI, Seen], rows: int, taken: Taken, *, saved: bool) -> None:
        """These uplinks are on disk, and these sessions began."""
        for dev_eui, sessions in taken.items():
            self._highest[dev_eui] = (sessions[-1], None)
        self._take(newer)
        if saved:
            self.saved()
        else:
            self.unsaved |= newer
            self._rows += rows

    def saved(self) -> None:
        """The tables know all."""
        self.unsaved = {}
        self._rows = 0

    def set(self, dev_eui: DevEUI, session: int | None, f_cnt_up: int | None) -> None:
        """A device was added or reset; `session` is None where it has none yet."""
        self._highest[dev_eui] = (session, f_cnt_up)

    def forget(self, dev_eui: DevEUI) -> None:
        """A device was removed."""
        del self._highest[dev_eui]

    def _take(self, newer: Mapping[DevEUI, Seen]) -> None:
        for dev_eui, seen in newer.items():
            self._highest[dev_eui] = (seen.session, seen.f_cnt)


def uncounted(database: Database) -> dict[DevEUI, Seen]:
    """What the uplinks behind `life.counted` say of the sessions in force."""
    rows = database.each(
        "SELECT u.dev_eui, u.session, u.f_cnt, u.received_ms, u.monotonic_ns, u.span, u.rssi_dbm, "
        "u.snr_tenths FROM uplinks u "
        "JOIN sessions s ON s.dev_eui = u.dev_eui AND s.pending = 0 AND s.session = u.session "
        "WHERE u.id > (SELECT counted FROM life) AND u.f_cnt > coalesce(s.f_cnt_up, -1) ORDER BY u.id"
    )
    found: dict[DevEUI, Seen] = {}
    for raw, session, f_cnt, received_ms, monotonic_ns, span, rssi_dbm, tenths in rows:
        dev_eui = DevEUI(raw)
        before = found.get(dev_eui)
        if before is not None and f_cnt <= before.f_cnt:
            continue
        frames = 1 if before is None else before.frames + 1
        found[dev_eui] = Seen(
            session,
            f_cnt,
            frames,
            received_ms,
            monotonic_ns,
            span if received_ms is None else None,
            rssi_dbm,
            tenths,
        )
    return found


def save_counters(database: Database, unsaved: Mapping[DevEUI, Seen], last_id: int) -> None:
    """Bring the tables up to date, within the caller's transaction."""
    database.execute_many(
        "UPDATE sessions SET f_cnt_up = ? WHERE dev_eui = ? AND pending = 0 AND session = ?",
        [(seen.f_cnt, bytes(dev_eui), seen.session) for dev_eui, seen in unsaved.items()],
    )
    database.execute_many(
        "UPDATE devices SET uplinks = uplinks + ?, seen_ms = ?, seen_ns = ?, seen_span = ?, rssi_dbm = ?, "
        "snr_tenths = ? WHERE dev_eui = ?",
        [
            (
                seen.frames,
                seen.seen_ms,
                seen.seen_ns,
                seen.seen_span,
                seen.rssi_dbm,
                seen.snr_tenths,
                bytes(dev_eui),
            )
            for dev_eui, seen in unsaved.items()
        ],
    )
    database.execute("UPDATE life SET counted = ?", (last_id,))
