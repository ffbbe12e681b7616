"""Binary COPY by hand: numbers as PostgreSQL writes them, and tuples that hold together."""

from __future__ import annotations

import dataclasses
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.numeric import DecimalBinaryDumper, NumericBinaryLoader

from cloud_sync.db.copy_rows import UPLINK_COLUMNS, BatchRows, Unstorable, numeric
from edge_codecs.clipr import Event, EventKind
from edge_codecs.reading import Uplink
from edge_codecs.rows import decode_columns, encode_rows
from tests.rig.batches import gateway_id, report, uplink


@given(st.integers(-(10**9), 10**9))
def test_a_numeric_is_what_psycopg_would_send(hundredths: int) -> None:
    value = Decimal(hundredths).scaleb(-2)
    field = numeric(hundredths)
    assert int.from_bytes(field[:4], "big") == len(field) - 4
    assert NumericBinaryLoader(0, None).load(field[4:]) == value
    sent = bytes(DecimalBinaryDumper(Decimal).dump(value) or b"")
    assert NumericBinaryLoader(0, None).load(sent) == value


@pytest.mark.parametrize("hundredths", [0, 1, 100, 5890, -4000, 12500, -1, 10_000_00, 123_456_789])
def test_a_numeric_has_two_decimals(hundredths: int) -> None:
    _, _, _, decimals = struct.unpack_from(">hhHh", numeric(hundredths), 4)
    assert decimals == 2


def packed(uplinks: list[Uplink], rows: list[int] | None = None) -> tuple[list[list[bytes | None]], int]:
    """The tuples of a batch, taken apart again."""
    batch = batch_rows(uplinks)
    data, readings = batch.uplinks(7, rows)
    return list(tuples(data)), readings


def batch_rows(uplinks: list[Uplink]) -> BatchRows:
    columns = decode_columns(encode_rows(uplinks), len(uplinks))
    return BatchRows(
        columns,
        range(1, len(uplinks) + 1),
        gateway=gateway_id(1),
        stream=b"s" * 8,
        number=3,
        historical=False,
    )


def tuples(data: bytes):
    at = 0
    while at < len(data):
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        fields: list[bytes | None] = []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", data, at)
            at += 4
            fields.append(None if size < 0 else data[at : at + size])
            at += max(size, 0)
        assert count == len(UPLINK_COLUMNS)
        yield fields
    assert at == len(data)


CHANNELS = st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True).map(sorted)
REPORTS = st.builds(
    lambda channels, low, spread, empty: report(
        *((c, None, None, None) if c == empty else (c, low, low + spread, low) for c in channels)
    ),
    CHANNELS,
    st.integers(-4000, 12000),
    st.integers(0, 500),
    st.sampled_from([None, 0, 1, 2]),
)
MESSAGES = st.lists(REPORTS | st.just(Event(EventKind.CLIP_OPENED, 1, 5, None)), min_size=1, max_size=12)


@given(MESSAGES, st.data())
def test_every_row_is_packed_once_with_its_readings(messages: list, data: st.DataObject) -> None:
    uplinks = [uplink(1 + n % 3, n, message) for n, message in enumerate(messages)]
    some = data.draw(st.none() | st.sets(st.integers(0, len(uplinks) - 1)).map(sorted))
    found, readings = packed(uplinks, some)

    wanted = {n: u for n, u in enumerate(uplinks) if some is None or n in some}
    by_f_cnt = {int.from_bytes(row[UPLINK_COLUMNS.index("f_cnt")] or b"", "big"): row for row in found}
    assert by_f_cnt.keys() == wanted.keys()
    assert len(found) == len(wanted)
    assert readings == sum(len(getattr(u.message, "channels", ())) for u in wanted.values())
    for f_cnt, row in by_f_cnt.items():
        named = dict(zip(UPLINK_COLUMNS, row, strict=True))
        sent = uplinks[f_cnt]
        assert named["dev_eui"] == bytes(sent.dev_eui)
        assert named["row"] == (f_cnt + 1).to_bytes(8, "big")
        present = {extremes.channel: extremes for extremes in getattr(sent.message, "channels", ())}
        assert named["channels"] == sum(1 << c for c in present).to_bytes(2, "big")
        for channel in range(3):
            for name in ("minimum", "maximum", "last"):
                field = named[f"{name}_{channel}"]
                value = getattr(present[channel], name) if channel in present else None
                assert field == (None if value is None else numeric(value)[4:])


def test_what_fits_no_column_is_said() -> None:
    uplinks = [uplink(1, 1)]
    columns = decode_columns(encode_rows(uplinks), 1)
    for wrong in ({"rssi_dbm": [40_000]}, {"f_cnt": [1 << 63]}, {"data_rate": ["SF7\0"]}):
        rows = BatchRows(
            dataclasses.replace(columns, **wrong),
            [1],
            gateway=gateway_id(1),
            stream=b"s" * 8,
            number=1,
            historical=False,
        )
        with pytest.raises(Unstorable):
            rows.uplinks(0)
