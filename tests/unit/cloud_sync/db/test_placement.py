"""Whose rows: by who gateway and device belonged to when each was received."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.db.placement import Placement, Refusal, decide, place, tenancy_at
from cloud_sync.db.registry import GatewayRecord, Tenancy
from edge_codecs.clipr import Event, EventKind, History, HistoryInterval
from edge_codecs.reading import TimeQuality
from edge_codecs.rows import decode_columns, encode_rows
from tests.rig.batches import dev_eui, gateway_id, uplink

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
HOUR_MS = 3_600_000
GOOD = TimeQuality.SYNCHRONISED

A_THEN_B = (
    Tenancy("a", None, NOW_MS - 10 * HOUR_MS, NOW_MS - 5 * HOUR_MS),
    Tenancy("b", "site", NOW_MS - 5 * HOUR_MS, None),
)


@pytest.mark.parametrize(
    ("hours_ago", "tenant"), [(11, None), (10, "a"), (5.001, "a"), (5, "b"), (0, "b"), (-1000, "b")]
)
def test_the_tenancy_at_a_time(hours_ago: float, tenant: str | None) -> None:
    found = tenancy_at(A_THEN_B, NOW_MS - round(hours_ago * HOUR_MS))
    assert (found.tenant if found else None) == tenant


@pytest.mark.parametrize(
    ("gateway", "device", "at_ms", "quality", "expected"),
    [
        (A_THEN_B, A_THEN_B, NOW_MS, GOOD, "b"),
        (A_THEN_B, A_THEN_B, NOW_MS - 6 * HOUR_MS, GOOD, "a"),
        (A_THEN_B, A_THEN_B[:1], NOW_MS, GOOD, Refusal.DEVICE_UNASSIGNED),
        (A_THEN_B[:1], A_THEN_B, NOW_MS, GOOD, Refusal.GATEWAY_UNASSIGNED),
        ((), (), NOW_MS, GOOD, Refusal.GATEWAY_UNASSIGNED),
        (A_THEN_B, (Tenancy("a", None, 0, None),), NOW_MS, GOOD, Refusal.TENANT_MISMATCH),
        (A_THEN_B, A_THEN_B, NOW_MS, TimeQuality.UNKNOWN, Refusal.TIME_UNKNOWN),
        (A_THEN_B, A_THEN_B, NOW_MS + 25 * HOUR_MS, GOOD, Refusal.TIME_IMPLAUSIBLE),
        (A_THEN_B, A_THEN_B, 0, GOOD, Refusal.TIME_IMPLAUSIBLE),
        (A_THEN_B, A_THEN_B, NOW_MS, TimeQuality.RECEIVER, "b"),
    ],
)
def test_one_row(
    gateway: tuple[Tenancy, ...],
    device: tuple[Tenancy, ...],
    at_ms: int,
    quality: TimeQuality,
    expected: str | Refusal,
) -> None:
    assert decide(gateway, device, at_ms, quality, NOW_MS) == expected


def told(message: object) -> Placement:
    """`message`, received from a device that was a's and then b's."""
    columns = decode_columns(encode_rows([uplink(1, 1), uplink(1, 2, message, NOW)]), 2)
    gateway = GatewayRecord(gateway_id(1), b"", None, (Tenancy("b", None, 0, None),))
    columns = replace(columns, received_ms=[NOW_MS, NOW_MS])
    return place(gateway, {dev_eui(1): A_THEN_B}, columns, NOW_MS)


@pytest.mark.parametrize(
    ("hours_ago", "refused"),
    [
        ([1, 2, 3, 4, 5], False),
        ([1, 2, 3, 4, 5, 6], True),
        ([9, 10], True),
        ([11, 12], False),
        ([10.5], False),
    ],
)
def test_history_goes_by_its_own_time(hours_ago: list[float], refused: bool) -> None:
    newest_s = NOW_MS // 1000 - round(hours_ago[0] * 3600)
    history = History(0, newest_s, 3600, tuple(HistoryInterval(1, 2) for _ in hours_ago))
    assert told(history).refused == ([(1, Refusal.OTHER_TENANCY)] if refused else ())
    assert told(history).tenants == ({"b": [0]} if refused else {"b": None})


@pytest.mark.parametrize(("age_s", "refused"), [(5 * 3600, False), (5 * 3600 + 1, True), (11 * 3600, False)])
def test_an_event_goes_by_the_time_it_happened(age_s: int, refused: bool) -> None:
    event = Event(EventKind.CLIP_OPENED, 1, age_s, None)
    assert told(event).refused == ([(1, Refusal.OTHER_TENANCY)] if refused else ())


HOURS = st.integers(-12, 30)
TENANCIES = st.sampled_from([(), A_THEN_B, A_THEN_B[:1], A_THEN_B[1:], (Tenancy("a", None, 0, None),)])
ROWS = st.lists(st.tuples(st.integers(1, 3), HOURS, st.sampled_from(TimeQuality)), min_size=1, max_size=12)


@given(TENANCIES, st.tuples(TENANCIES, TENANCIES, TENANCIES), ROWS)
def test_the_short_way_decides_as_row_by_row(
    gateway: tuple[Tenancy, ...], devices: tuple[tuple[Tenancy, ...], ...], rows: list[tuple]
) -> None:
    """Whatever assignments and times: a batch as a whole is placed as its rows one by one are."""
    known = {dev_eui(n + 1): tenancies for n, tenancies in enumerate(devices)}
    uplinks = [
        uplink(device, f_cnt, at=NOW + timedelta(hours=hours), quality=quality)
        for f_cnt, (device, hours, quality) in enumerate(rows)
    ]
    columns = decode_columns(encode_rows(uplinks), len(uplinks))
    placement = place(GatewayRecord(gateway_id(1), b"", None, gateway), known, columns, NOW_MS)

    placed: dict[int, str | Refusal] = dict(placement.refused)
    for tenant, chosen in placement.tenants.items():
        placed |= dict.fromkeys(range(len(uplinks)) if chosen is None else chosen, tenant)
    assert placed == {
        row: decide(gateway, known[u.dev_eui], u.received_ms, u.time_quality, NOW_MS)
        for row, u in enumerate(uplinks)
    }
