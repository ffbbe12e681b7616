"""Batches on their way into the incoming tables: each row to its tenant's turn, or refused.

`prepare` is the expensive half and needs no database: the receiver does it for the next batches while
PostgreSQL is busy with those before. `Arrivals` joins what was prepared within a transaction.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from cloud_sync.db.copy_rows import BatchRows, HistoryInterval, Unstorable
from cloud_sync.db.outcome import Verified
from cloud_sync.db.placement import (
    AHEAD_MS,
    EARLIEST_MS,
    interval_ends_ms,
    occurred_ms,
    place,
    tenancy_at,
)
from cloud_sync.db.quarantine import RefusedRow
from cloud_sync.db.registry import Registry, Tenancy
from cloud_sync.db.tenant_rows import EventRow, Turn, hundredths, utc
from edge_codecs.batch import Lane
from edge_codecs.clipr import Event, History
from edge_codecs.identifiers import DevEUI


class Turns:
    """Numbers for tenants: what marks their rows in the incoming tables."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, tenant: str) -> int:
        """Always the same for a tenant."""
        return self._numbers.setdefault(tenant, len(self._numbers))


@dataclass(slots=True)
class Part:
    """One tenant's rows of one batch."""

    uplinks: bytes
    reading_count: int
    uplink_count: int
    devices: dict[DevEUI, tuple[int, int]]
    """First and last time of reception, UTC milliseconds, of each device's rows."""
    sessions: dict[DevEUI, set[int]]
    history: list[tuple[int, DevEUI, list[HistoryInterval]]] = field(default_factory=list)
    """(row, device, intervals newest first)."""
    events: list[EventRow] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)


@dataclass(slots=True)
class Prepared:
    """A batch, placed by the registry of one version and packed for COPY."""

    batch: Verified
    registry_version: int
    rows: BatchRows | None = None
    unstorable: bool = False
    """It has a value that no table holds: only its evidence is kept."""
    parts: dict[str, Part] = field(default_factory=dict)
    refused: list[RefusedRow] = field(default_factory=list)
    """Rows of nobody."""

    @property
    def owner(self) -> str | None:
        """The tenant of all rows; None if there is not one."""
        return next(iter(self.parts)) if len(self.parts) == 1 and not self.refused else None


def prepare(batch: Verified, registry: Registry, turns: Turns, now_ms: int) -> Prepared:
    """Place and pack the rows of `batch`."""
    prepared = Prepared(batch, registry.version)
    gateway = registry.gateways.get(batch.manifest.gateway)
    if gateway is None:
        return prepared
    manifest, columns = batch.manifest, batch.columns
    rows = BatchRows(
        columns,
        list(chain.from_iterable(range(r.first, r.first + r.count) for r in manifest.ranges)),
        gateway=manifest.gateway,
        stream=manifest.stream,
        number=manifest.number,
        historical=manifest.lane == Lane.BACKLOG,
    )
    placement = place(gateway, registry.devices, columns, now_ms)
    try:
        for tenant, chosen in placement.tenants.items():
            prepared.parts[tenant] = _part(batch, rows, turns.number(tenant), chosen, registry.devices)
    except Unstorable:
        return Prepared(batch, registry.version, unstorable=True)
    prepared.refused = [_refused(batch, rows, row, reason) for row, reason in placement.refused]
    prepared.rows = rows
    return prepared


def _part(
    batch: Verified,
    rows: BatchRows,
    turn: int,
    chosen: Sequence[int] | None,
    tenancies: Mapping[DevEUI, Sequence[Tenancy]],
) -> Part:
    columns = batch.columns
    count = len(columns) if chosen is None else len(chosen)
    devices = [
        columns.devices[number]
        for number in (
            range(len(columns.devices)) if chosen is None else {columns.device[row] for row in chosen}
        )
    ]
    times = columns.received_ms if chosen is None else [columns.received_ms[row] for row in chosen]
    span = min(times), max(times)
    part = Part(*rows.uplinks(turn, chosen), count, {device.dev_eui: span for device in devices}, {})
    for device in devices:
        part.sessions.setdefault(device.dev_eui, set()).add(device.session)
    wanted = None if chosen is None else set(chosen)
    for row, message in columns.others:
        if wanted is not None and row not in wanted:
            continue
        dev_eui = columns.devices[columns.device[row]].dev_eui
        if isinstance(message, Event):
            if tenancy_at(tenancies[dev_eui], occurred_ms(message, columns.received_ms[row])) is None:
                part.refused.append(_refused(batch, rows, row, "part_unassigned"))
            else:
                part.events.append(_event(batch, rows, row, message))
        elif isinstance(message, History):
            intervals = list(_intervals(message))
            if (
                intervals[0].end_ms > columns.received_ms[row] + AHEAD_MS
                or intervals[-1].end_ms < EARLIEST_MS
            ):
                part.refused.append(_refused(batch, rows, row, "history_implausible"))
            else:
                # placement has refused what is another tenant's
                placed = [i for i in intervals if tenancy_at(tenancies[dev_eui], i.end_ms) is not None]
                if len(placed) < len(intervals):
                    part.refused.append(_refused(batch, rows, row, "part_unassigned"))
                if placed:
                    part.history.append((row, dev_eui, placed))
    return part


class Arrivals:
    """The rows of one transaction."""

    def __init__(self, turns: Turns) -> None:
        self._numbers = turns
        self._turns: dict[str, Turn] = {}
        self._history_ends: dict[tuple[str, DevEUI, int], list[int]] = {}
        self.uplinks: list[bytes] = []
        self.history: list[bytes] = []
        self.refused: list[RefusedRow] = []
        """Rows of nobody."""
        self.nobodys: list[Verified] = []
        """Batches whose rows do not all belong to one tenant."""

    @property
    def turns(self) -> list[Turn]:
        """One a tenant, in an order that all receivers share."""
        return [self._turns[tenant] for tenant in sorted(self._turns)]

    def add(self, prepared: Prepared) -> None:
        """Join what was prepared of one batch."""
        for tenant, part in prepared.parts.items():
            turn = self._turns.setdefault(tenant, Turn(self._numbers.number(tenant), tenant))
            self.uplinks.append(part.uplinks)
            turn.uplinks += part.uplink_count
            turn.readings += part.reading_count
            turn.events += part.events
            turn.refused += part.refused
            _note_devices(turn, part)
            self._add_history(turn, prepared, part)
        self.refused += prepared.refused
        if prepared.owner is None:
            self.nobodys.append(prepared.batch)
        else:
            self._turns[prepared.owner].evidence.append(prepared.batch)

    def _add_history(self, turn: Turn, prepared: Prepared, part: Part) -> None:
        assert prepared.rows is not None
        for row, dev_eui, intervals in part.history:
            ends = self._history_ends.setdefault((turn.tenant, dev_eui, intervals[0].channel), [])
            fresh = [interval for interval in intervals if _add_end(ends, interval)]
            self.history.append(prepared.rows.history(turn.number, row, fresh))
            turn.history += len(fresh)


def _event(batch: Verified, rows: BatchRows, row: int, event: Event) -> EventRow:
    columns = batch.columns
    device = columns.devices[columns.device[row]]
    return EventRow(
        bytes(device.dev_eui),
        columns.f_cnt[row],
        bytes(batch.manifest.gateway),
        bytes(batch.manifest.stream),
        rows.row_numbers[row],
        utc(occurred_ms(event, columns.received_ms[row])),
        event.kind.name.lower(),
        event.channel,
        hundredths(event.temperature),
        event.duration_s,
        hundredths(event.extreme),
        batch.manifest.lane == Lane.BACKLOG,
    )


def _intervals(message: History) -> Iterator[HistoryInterval]:
    for end_ms, interval in zip(interval_ends_ms(message), message.intervals, strict=True):
        yield HistoryInterval(message.channel, end_ms, message.interval_s, interval.minimum, interval.maximum)


def _add_end(ends: list[int], interval: HistoryInterval) -> bool:
    """Whether no interval of this transaction ends within half an interval; keeps `ends` sorted."""
    half_ms = interval.interval_s * 500
    at = bisect_left(ends, interval.end_ms)
    if any(abs(end_ms - interval.end_ms) < half_ms for end_ms in ends[max(at - 1, 0) : at + 1]):
        return False
    ends.insert(at, interval.end_ms)
    return True


def _note_devices(turn: Turn, part: Part) -> None:
    for dev_eui, (first_ms, last_ms) in part.devices.items():
        known = turn.devices.get(dev_eui, (first_ms, last_ms))
        turn.devices[dev_eui] = (min(known[0], first_ms), max(known[1], last_ms))
    for dev_eui, sessions in part.sessions.items():
        turn.sessions.setdefault(dev_eui, set()).update(sessions)


def _refused(batch: Verified, rows: BatchRows, row: int, reason: str) -> RefusedRow:
    columns = batch.columns
    device = columns.devices[columns.device[row]]
    f_port, payload = rows.payloads[row]
    return RefusedRow(
        reason,
        batch.manifest.gateway,
        bytes(batch.manifest.stream),
        batch.manifest.number,
        rows.row_numbers[row],
        device.dev_eui,
        device.session,
        columns.f_cnt[row],
        columns.received_ms[row],
        f_port,
        payload,
    )
