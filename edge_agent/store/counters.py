"""Frame counters: as durable as the uplinks that carry them, without a second page to write for each.

An uplink's row says its counter, so the row alone makes both durable in one transaction. The table of devices
follows every few hundred uplinks; `life.counted` is the last one that it knows, and those behind it are read
again when the store is opened. That halves what each uplink costs the card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.errors import AgentBug
from edge_agent.network.outcome import Admitted
from edge_agent.store.connection import Database
from edge_agent.store.rows import snr_tenths
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality

SAVE_EVERY: Final = 500
"""Uplinks between two times that the table of devices is brought up to date."""

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


class Counters:
    """The highest counter of each device, and what the table does not know yet. There is one writer."""

    def __init__(self, database: Database) -> None:
        self.unsaved: dict[DevEUI, Seen] = uncounted(database)
        rows = database.each("SELECT dev_eui, session, f_cnt_up FROM devices")
        self._highest: dict[DevEUI, tuple[int, int | None]] = {
            DevEUI(dev_eui): (session, f_cnt_up) for dev_eui, session, f_cnt_up in rows
        }
        self._take(self.unsaved)
        self._rows = sum(seen.frames for seen in self.unsaved.values())

    def judge(self, dated: Dated, span: int | None) -> dict[DevEUI, Seen]:
        """What these uplinks make newer; changes nothing.

        A device that was removed or reset meanwhile keeps what it has. Raises AgentBug for a counter that is
        not above the last: such a frame must never have been admitted.
        """
        newer: dict[DevEUI, Seen] = {}
        for uplink, date in dated:
            dev_eui, f_cnt = uplink.dev_eui, uplink.f_cnt
            present = self._highest.get(dev_eui)
            if present is None or present[0] != uplink.session:
                continue
            before = newer.get(dev_eui) or self.unsaved.get(dev_eui)
            highest = present[1] if dev_eui not in newer else newer[dev_eui].f_cnt
            if highest is not None and f_cnt <= highest:
                raise AgentBug(f"counter {f_cnt} of {dev_eui} was taken before")
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
        """Whether the table must follow now: it is time, or an uplink has no row to say its counter."""
        return not has_row or self._rows + rows >= SAVE_EVERY

    def kept(self, newer: Mapping[DevEUI, Seen], rows: int, *, saved: bool) -> None:
        """These uplinks are on disk."""
        self._take(newer)
        if saved:
            self.saved()
        else:
            self.unsaved |= newer
            self._rows += rows

    def saved(self) -> None:
        """The table knows all."""
        self.unsaved = {}
        self._rows = 0

    def set(self, dev_eui: DevEUI, session: int, f_cnt_up: int | None) -> None:
        """A device was added or reset."""
        self._highest[dev_eui] = (session, f_cnt_up)

    def forget(self, dev_eui: DevEUI) -> None:
        """A device was removed."""
        del self._highest[dev_eui]

    def _take(self, newer: Mapping[DevEUI, Seen]) -> None:
        for dev_eui, seen in newer.items():
            self._highest[dev_eui] = (seen.session, seen.f_cnt)


def uncounted(database: Database) -> dict[DevEUI, Seen]:
    """What the uplinks behind `life.counted` say of the devices that are here."""
    rows = database.each(
        "SELECT u.dev_eui, u.session, u.f_cnt, u.received_ms, u.monotonic_ns, u.span, u.rssi_dbm, "
        "u.snr_tenths FROM uplinks u JOIN devices d ON d.dev_eui = u.dev_eui AND d.session = u.session "
        "WHERE u.id > (SELECT counted FROM life) AND u.f_cnt > coalesce(d.f_cnt_up, -1) ORDER BY u.id"
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
    """Bring the table of devices up to date, within the caller's transaction."""
    database.execute_many(
        "UPDATE devices SET f_cnt_up = ?, uplinks = uplinks + ?, seen_ms = ?, seen_ns = ?, seen_span = ?, "
        "rssi_dbm = ?, snr_tenths = ? WHERE dev_eui = ? AND session = ?",
        [
            (
                seen.f_cnt,
                seen.frames,
                seen.seen_ms,
                seen.seen_ns,
                seen.seen_span,
                seen.rssi_dbm,
                seen.snr_tenths,
                bytes(dev_eui),
                seen.session,
            )
            for dev_eui, seen in unsaved.items()
        ],
    )
    database.execute("UPDATE life SET counted = ?", (last_id,))
