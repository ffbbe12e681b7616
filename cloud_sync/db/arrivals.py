"""Accepted batches on their way into the incoming tables: each row to its tenant's turn, or refused."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import chain

from cloud_sync.db.copy_rows import BatchRows, HistoryInterval
from cloud_sync.db.outcome import Verified
from cloud_sync.db.placement import AHEAD_MS, EARLIEST_MS, Placement, place
from cloud_sync.db.quarantine import RefusedRow
from cloud_sync.db.registry import Registry
from cloud_sync.db.tenant_rows import EventRow, Turn
from edge_codecs.batch import Lane
from edge_codecs.clipr import Event, History, Message
from edge_codecs.columns import RowColumns
from edge_codecs.identifiers import DevEUI


class Arrivals:
    """The rows of one transaction."""

    def __init__(self, registry: Registry, now_ms: int) -> None:
        self._registry = registry
        self._now_ms = now_ms
        self._turns: dict[str, Turn] = {}
        self._ordinal = 0
        self._history_ends: dict[tuple[str, DevEUI, int], list[int]] = {}
        self.uplinks: list[bytes] = []
        self.readings: list[bytes] = []
        self.history: list[bytes] = []
        self.refused: list[RefusedRow] = []
        """Rows of nobody."""
        self.nobodys: list[Verified] = []
        """Batches whose rows do not all belong to one tenant."""

    @property
    def turns(self) -> list[Turn]:
        """One a tenant, in an order that all receivers share."""
        return [self._turns[tenant] for tenant in sorted(self._turns)]

    def add(self, batch: Verified) -> None:
        """Place the rows of `batch`. Raises Unstorable."""
        manifest, columns = batch.manifest, batch.columns
        gateway = self._registry.gateways[manifest.gateway]
        placement = place(gateway, self._registry.devices, columns, self._now_ms)
        rows = BatchRows(
            columns,
            list(chain.from_iterable(range(r.first, r.first + r.count) for r in manifest.ranges)),
            range(self._ordinal, self._ordinal + len(columns)),
            gateway=manifest.gateway,
            stream=manifest.stream,
            number=manifest.number,
            historical=manifest.lane == Lane.BACKLOG,
            stored_at_ms=self._now_ms,
        )
        self._ordinal += len(columns)
        for tenant, chosen in placement.tenants.items():
            self._take(self._turn(tenant), batch, rows, chosen)
        self.refused += [_refused(batch, rows, row, reason) for row, reason in placement.refused]
        self._keep_evidence(batch, placement)

    def add_broken(self, batch: Verified) -> None:
        """Keep only the evidence of a batch whose rows no table can hold."""
        self.nobodys.append(batch)

    def _turn(self, tenant: str) -> Turn:
        if tenant not in self._turns:
            self._turns[tenant] = Turn(len(self._turns), tenant)
        return self._turns[tenant]

    def _keep_evidence(self, batch: Verified, placement: Placement) -> None:
        if len(placement.tenants) == 1 and not placement.refused:
            (tenant,) = placement.tenants
            self._turns[tenant].evidence.append(batch)
        else:
            self.nobodys.append(batch)

    def _take(self, turn: Turn, batch: Verified, rows: BatchRows, chosen: Sequence[int] | None) -> None:
        columns = batch.columns
        self.uplinks.append(rows.uplinks(turn.number, chosen))
        turn.uplinks += len(columns) if chosen is None else len(chosen)
        tuples, count = rows.readings(turn.number, chosen)
        self.readings.append(tuples)
        turn.readings += count
        _note_devices(turn, columns)
        wanted = None if chosen is None else set(chosen)
        for row, message in columns.others:
            if wanted is None or row in wanted:
                self._take_message(turn, batch, rows, row, message)

    def _take_message(self, turn: Turn, batch: Verified, rows: BatchRows, row: int, message: Message) -> None:
        columns = batch.columns
        device = columns.devices[columns.device[row]]
        received_ms = columns.received_ms[row]
        if isinstance(message, Event):
            turn.events.append(
                EventRow(
                    device.dev_eui,
                    device.session,
                    columns.f_cnt[row],
                    batch.manifest.stream,
                    rows.row_numbers[row],
                    received_ms - message.age_s * 1000,
                    message.kind.name.lower(),
                    message.channel,
                    message.temperature,
                    message.duration_s,
                    message.extreme,
                    batch.manifest.lane == Lane.BACKLOG,
                )
            )
        elif isinstance(message, History):
            intervals = list(_intervals(message))
            if intervals[0].end_ms > received_ms + AHEAD_MS or intervals[-1].end_ms < EARLIEST_MS:
                turn.refused.append(_refused(batch, rows, row, "history_implausible"))
                return
            ends = self._history_ends.setdefault((turn.tenant, device.dev_eui, message.channel), [])
            fresh = [interval for interval in intervals if _add_end(ends, interval)]
            self.history.append(rows.history(turn.number, row, fresh))
            turn.history += len(fresh)


def _intervals(message: History) -> Iterable[HistoryInterval]:
    for age, interval in enumerate(message.intervals):
        end_ms = (message.newest_end_s - age * message.interval_s) * 1000
        yield HistoryInterval(message.channel, end_ms, message.interval_s, interval.minimum, interval.maximum)


def _add_end(ends: list[int], interval: HistoryInterval) -> bool:
    """Whether no interval of this transaction ends within half an interval; keeps `ends` sorted."""
    half_ms = interval.interval_s * 500
    at = bisect_left(ends, interval.end_ms)
    if any(abs(end_ms - interval.end_ms) < half_ms for end_ms in ends[max(at - 1, 0) : at + 1]):
        return False
    ends.insert(at, interval.end_ms)
    return True


def _note_devices(turn: Turn, columns: RowColumns) -> None:
    first_ms, last_ms = min(columns.received_ms), max(columns.received_ms)
    for device in columns.devices:
        known = turn.devices.get(device.dev_eui, (first_ms, last_ms))
        turn.devices[device.dev_eui] = (min(known[0], first_ms), max(known[1], last_ms))


def _refused(batch: Verified, rows: BatchRows, row: int, reason: str) -> RefusedRow:
    columns = batch.columns
    device = columns.devices[columns.device[row]]
    f_port, payload = rows.payloads[row]
    return RefusedRow(
        reason,
        batch.manifest.gateway,
        batch.manifest.stream,
        batch.manifest.number,
        rows.row_numbers[row],
        device.dev_eui,
        device.session,
        columns.f_cnt[row],
        columns.received_ms[row],
        f_port,
        payload,
    )
