"""Whose rows are these? Decided by who gateway and device belonged to when each row was received.

What a row tells of another time (intervals out of a sensor's memory, an event that is reported late) goes by
that time and by the device alone: the gateway only carried it. A row that tells of another tenant's time is
refused as a whole, since its payload would show it.

Pure. The usual batch (one tenant, no change of assignment within it) is decided per device and not per row.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud_sync.db.registry import GatewayRecord, Tenancy
from edge_codecs.clipr import Event, History
from edge_codecs.columns import RowColumns
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality

EARLIEST_MS = 1_577_836_800_000
"""2020-01-01: no reading of ours is older."""
AHEAD_MS = 86_400_000
"""A row dated further ahead of the receiver's clock than this is not believed."""


class Refusal(enum.StrEnum):
    """Why a row is nobody's record; it goes to quarantine."""

    TIME_UNKNOWN = "time_unknown"
    """Power went at the gateway before its clock was in step: only an upper bound of the time is known."""
    TIME_IMPLAUSIBLE = "time_implausible"
    """Dated before 2020, or more than a day ahead of the receiver's clock."""
    GATEWAY_UNASSIGNED = "gateway_unassigned"
    """The gateway belonged to no tenant at that time."""
    DEVICE_UNASSIGNED = "device_unassigned"
    """The device belonged to no tenant at that time."""
    TENANT_MISMATCH = "tenant_mismatch"
    """Device and gateway belonged to different tenants at that time."""
    OTHER_TENANCY = "other_tenancy"
    """Part of the message is of a time when the device belonged to another tenant."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Rows by tenant (None instead of a list: all rows), and the rows that are refused."""

    tenants: Mapping[str, Sequence[int] | None]
    refused: Sequence[tuple[int, Refusal]]


def tenancy_at(tenancies: Sequence[Tenancy], at_ms: int) -> Tenancy | None:
    """The tenancy that was valid at `at_ms`; at most one is."""
    for tenancy in reversed(tenancies):  # the latest one is asked about most
        if tenancy.holds(at_ms):
            return tenancy
    return None


def interval_ends_ms(message: History) -> list[int]:
    """UTC milliseconds, newest first."""
    return [(message.newest_end_s - age * message.interval_s) * 1000 for age in range(len(message.intervals))]


def occurred_ms(event: Event, received_ms: int) -> int:
    """When it happened, UTC milliseconds."""
    return received_ms - event.age_s * 1000


def _of_another(tenant: str, device: Sequence[Tenancy], message: object, received_ms: int) -> bool:
    """Whether `message` tells of a time when the device was another's than `tenant`'s."""
    match message:
        case Event():
            times_ms = [occurred_ms(message, received_ms)]
        case History():
            times_ms = interval_ends_ms(message)
        case _:
            return False
    if _throughout(device, min(times_ms), max(times_ms)) == tenant:
        return False
    then = [tenancy_at(device, at_ms) for at_ms in times_ms]
    return any(tenancy is not None and tenancy.tenant != tenant for tenancy in then)


def decide(
    gateway: Sequence[Tenancy], device: Sequence[Tenancy], at_ms: int, quality: TimeQuality, now_ms: int
) -> str | Refusal:
    """The tenant of one row received at `at_ms`, or why there is none."""
    if quality == TimeQuality.UNKNOWN:
        return Refusal.TIME_UNKNOWN
    if not EARLIEST_MS <= at_ms <= now_ms + AHEAD_MS:
        return Refusal.TIME_IMPLAUSIBLE
    gateway_tenancy = tenancy_at(gateway, at_ms)
    if gateway_tenancy is None:
        return Refusal.GATEWAY_UNASSIGNED
    device_tenancy = tenancy_at(device, at_ms)
    if device_tenancy is None:
        return Refusal.DEVICE_UNASSIGNED
    if device_tenancy.tenant != gateway_tenancy.tenant:
        return Refusal.TENANT_MISMATCH
    return device_tenancy.tenant


def place(
    gateway: GatewayRecord, devices: Mapping[DevEUI, Sequence[Tenancy]], columns: RowColumns, now_ms: int
) -> Placement:
    """Place all rows of one batch. `now_ms` is the receiver's clock, UTC milliseconds."""
    tenant = _of_all(gateway, devices, columns, now_ms)
    if tenant is not None:
        return Placement({tenant: None}, ())
    tenants: dict[str, list[int]] = {}
    refused: list[tuple[int, Refusal]] = []
    tenancies = [devices.get(device.dev_eui, ()) for device in columns.devices]
    messages = dict(columns.others)
    rows = zip(columns.device, columns.received_ms, columns.time_quality, strict=True)
    for row, (device, at_ms, quality) in enumerate(rows):
        decision = decide(gateway.tenancies, tenancies[device], at_ms, quality, now_ms)
        if not isinstance(decision, Refusal) and _of_another(
            decision, tenancies[device], messages.get(row), at_ms
        ):
            decision = Refusal.OTHER_TENANCY
        if isinstance(decision, Refusal):
            refused.append((row, decision))
        else:
            tenants.setdefault(decision, []).append(row)
    return Placement(tenants, refused)


def _of_all(
    gateway: GatewayRecord, devices: Mapping[DevEUI, Sequence[Tenancy]], columns: RowColumns, now_ms: int
) -> str | None:
    """The one tenant of all rows; None if it takes a look at each row to know."""
    first_ms, last_ms = min(columns.received_ms), max(columns.received_ms)
    if first_ms < EARLIEST_MS or last_ms > now_ms + AHEAD_MS or TimeQuality.UNKNOWN in columns.time_quality:
        return None
    mine = _throughout(gateway.tenancies, first_ms, last_ms)
    if mine is None:
        return None
    for device in columns.devices:
        if _throughout(devices.get(device.dev_eui, ()), first_ms, last_ms) != mine:
            return None
    for row, message in columns.others:
        device_tenancies = devices[columns.devices[columns.device[row]].dev_eui]
        if _of_another(mine, device_tenancies, message, columns.received_ms[row]):
            return None
    return mine


def _throughout(tenancies: Sequence[Tenancy], first_ms: int, last_ms: int) -> str | None:
    tenancy = tenancy_at(tenancies, first_ms)
    return tenancy.tenant if tenancy is not None and tenancy.holds(last_ms) else None
