"""Readings out of uplinks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from edge_codecs.clipr import Undecoded, decode
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import Reading, TimeQuality, Uplink, readings_of

DEVICE = DevEUI.parse("70b3d57ed0000001")
UPLINK = Uplink(
    DEVICE,
    0,
    1,
    1_710_475_392_250,
    TimeQuality.GPS,
    868_100_000,
    "SF7BW125",
    -97,
    7.5,
    "clipr",
    1,
    Undecoded(1, b""),
)


def test_report_gives_a_reading_a_channel() -> None:
    report = decode(10, bytes.fromhex("131873038415e01770164480008000 8000".replace(" ", "")))
    end = datetime(2024, 3, 15, 4, 3, 12, 250_000, tzinfo=UTC)
    assert list(readings_of(replace(UPLINK, message=report))) == [
        Reading(
            DEVICE, 0, "temperature", "°C", end, 900, Decimal("56.00"), Decimal("60.00"), Decimal("57.00")
        ),
        Reading(DEVICE, 1, "temperature", "°C", end, 900, None, None, None),
    ]


def test_history_gives_a_reading_an_interval_at_the_sensors_time() -> None:
    history = decode(13, bytes.fromhex("1065f3c880038403 16a817700af680138805".replace(" ", "")))
    readings = list(readings_of(replace(UPLINK, message=history)))
    assert [(r.interval_end, r.minimum, r.maximum, r.last) for r in readings] == [
        (datetime(2024, 3, 15, 4, 3, 12, tzinfo=UTC), Decimal("58.00"), Decimal("60.00"), None),
        (datetime(2024, 3, 15, 3, 48, 12, tzinfo=UTC), Decimal("59.00"), Decimal("59.00"), None),
        (datetime(2024, 3, 15, 3, 33, 12, tzinfo=UTC), Decimal("50.00"), Decimal("59.50"), None),
    ]
    assert {(r.channel, r.interval_s, r.dev_eui) for r in readings} == {(0, 900, DEVICE)}


def test_a_history_older_than_1970_is_a_date_like_any_other() -> None:
    history = decode(13, bytes.fromhex("1000000000ffff0116a81770"))
    assert [r.interval_end.year for r in readings_of(replace(UPLINK, message=history))] == [1970]


def test_other_messages_give_none() -> None:
    status = decode(12, bytes.fromhex("1002010407 6e000151800384000a00".replace(" ", "")))
    event = decode(11, bytes.fromhex("1200003c164400b41770"))
    for message in (status, event, Undecoded(99, b"\x00")):
        assert list(readings_of(replace(UPLINK, message=message))) == []
