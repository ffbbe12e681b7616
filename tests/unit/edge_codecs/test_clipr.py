"""Clip'R payloads against the known answers, both ways, and what the encoder refuses."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from edge_codecs import clipr
from edge_codecs.clipr import (
    CentiCelsius,
    Configure,
    DecodeError,
    Event,
    EventKind,
    Extremes,
    Flag,
    History,
    HistoryInterval,
    Report,
    RequestHistory,
    ResetCause,
    Status,
    Undecoded,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "clipr.json").read_text())


def _name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def _json(value: Any) -> Any:
    """A message as the vectors write it: enums by name, tuples as lists."""
    match value:
        case Flag() | bool() | None:
            return value
        case Enum():
            return value.name
        case dict():
            return {key: _json(item) for key, item in value.items()}
        case tuple() | list():
            return [_json(item) for item in value]
    return value


def _as_vector(message: Any) -> dict[str, Any]:
    return {"type": type(message).__name__, **_json(asdict(message))}


@pytest.mark.parametrize("vector", VECTORS["uplinks"], ids=_name)
def test_uplink_known_answer(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["payload"])
    message = clipr.decode(vector["f_port"], payload)
    assert _as_vector(message) == vector["message"]
    assert clipr.encode(message) == (vector["f_port"], payload)


@pytest.mark.parametrize("vector", VECTORS["uplink_errors"], ids=_name)
def test_uplink_error(vector: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as caught:
        clipr.decode(vector["f_port"], bytes.fromhex(vector["payload"]))
    assert caught.value.unknown_f_port is vector["unknown_f_port"]
    assert str(caught.value)


@pytest.mark.parametrize("vector", VECTORS["downlinks"], ids=_name)
def test_downlink_known_answer(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["payload"])
    message = clipr.decode_downlink(vector["f_port"], payload)
    assert _as_vector(message) == vector["message"]
    assert clipr.encode_downlink(message) == (vector["f_port"], payload)


@pytest.mark.parametrize("vector", VECTORS["downlink_errors"], ids=_name)
def test_downlink_error(vector: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as caught:
        clipr.decode_downlink(vector["f_port"], bytes.fromhex(vector["payload"]))
    assert caught.value.unknown_f_port is vector["unknown_f_port"]


def _c(value: int) -> CentiCelsius:
    return CentiCelsius(value)


A = Extremes(0, _c(5800), _c(6000), _c(5890))
REPORT = Report(0, 110, 900, (A,))
EVENT = Event(EventKind.CLIP_OPENED, 0, 1, _c(2200))
FLUSH_END = Event(EventKind.FLUSH_END, 0, 1, _c(2200), 180, _c(6000))
STATUS = Status(ResetCause.POWER_ON, 2, (1, 4, 7), 110, 86_400, 900, 10, 0)
HISTORY = History(
    0, 0x65F3C880, 900, (HistoryInterval(_c(5800), _c(6000)), HistoryInterval(_c(5900), _c(5900)))
)


@pytest.mark.parametrize(
    "message",
    [
        replace(REPORT, channels=()),
        replace(REPORT, channels=(replace(A, channel=1), A)),
        replace(REPORT, channels=(A, A)),
        replace(REPORT, channels=(replace(A, channel=3),)),
        replace(REPORT, channels=(replace(A, last=_c(6001)),)),
        replace(REPORT, channels=(replace(A, last=None),)),
        replace(REPORT, channels=(replace(A, maximum=_c(12_501)),)),
        replace(REPORT, interval_s=0),
        replace(REPORT, interval_s=0x1_0000),
        replace(REPORT, flags=256),
        replace(REPORT, battery=-1),
        replace(EVENT, channel=3),
        replace(EVENT, age_s=-1),
        replace(EVENT, duration_s=1),
        replace(EVENT, extreme=_c(1)),
        replace(FLUSH_END, duration_s=None),
        replace(FLUSH_END, extreme=_c(-4001)),
        replace(STATUS, waiting=256),
        replace(STATUS, firmware=(1, 2, 300)),
        replace(HISTORY, channel=3),
        replace(HISTORY, interval_s=0),
        replace(HISTORY, intervals=()),
        replace(HISTORY, intervals=HISTORY.intervals * 21),
        replace(HISTORY, intervals=(HistoryInterval(_c(5800), None),)),
        replace(HISTORY, intervals=(HistoryInterval(_c(1), _c(0)),)),
        replace(HISTORY, intervals=(HistoryInterval(_c(0), _c(0), minimum_escaped=True),)),
        replace(
            HISTORY,
            intervals=(HISTORY.intervals[0], HistoryInterval(_c(5805), _c(6000), minimum_escaped=True)),
        ),
    ],
)
def test_encoder_refuses_what_the_format_cannot_carry(message: clipr.Message) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        clipr.encode(message)


@pytest.mark.parametrize(
    "message",
    [
        Configure(65_536, 10, None, None),
        Configure(900, -1, None, None),
        Configure(900, 10, _c(12_501), None),
        RequestHistory(3, 0, 1),
        RequestHistory(0, -1, 1),
        RequestHistory(0, 0, 1 << 32),
    ],
)
def test_downlink_encoder_refuses(message: clipr.Downlink) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        clipr.encode_downlink(message)


def test_undecoded_goes_out_as_it_came_in() -> None:
    assert clipr.encode(Undecoded(99, b"\x00\xff")) == (99, b"\x00\xff")


def test_codec_is_found_by_name_and_version() -> None:
    assert clipr.CODECS["clipr", 1](10, bytes.fromhex("11016e038416a817701702")) == clipr.decode(
        10, bytes.fromhex("11016e038416a817701702")
    )
    assert set(clipr.CODECS) == {("clipr", 1)}


@pytest.mark.parametrize(
    ("codec", "version", "f_port", "payload"),
    [
        ("clipr", 2, 10, "11016e038416a817701702"),
        ("other", 1, 10, ""),
        ("clipr", 1, 99, "10"),
        ("clipr", 1, 10, "10"),
    ],
)
def test_what_no_codec_reads_stays_undecoded(codec: str, version: int, f_port: int, payload: str) -> None:
    raw = bytes.fromhex(payload)
    assert clipr.read_payload(codec, version, f_port, raw) == Undecoded(f_port, raw)


@pytest.mark.parametrize(("b8", "volts"), [(0, "2.00"), (110, "3.10"), (254, "4.54")])
def test_battery(b8: int, volts: str) -> None:
    assert clipr.battery_volts(b8) == Decimal(volts)


def test_battery_unknown() -> None:
    assert clipr.battery_volts(255) is None


def test_flags_have_names() -> None:
    assert Flag(0x18) == Flag.FLUSH_SEEN | Flag.CLOCK_IN_STEP
