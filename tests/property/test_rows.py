"""Rows: what is written is read; whatever bytes come, they are read or refused."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edge_codecs import clipr
from edge_codecs.faults import BatchError
from edge_codecs.grouping import Grouping
from edge_codecs.packing import Malformed, Reader, pack_column
from edge_codecs.reading import Uplink
from edge_codecs.rows import decode_columns, decode_rows, encode_rows
from tests.property import uplinks

I64 = st.integers(-(1 << 62), 1 << 62)
WIDTHS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64])


@pytest.mark.slow
@given(uplinks.batches())
def test_rows_survive(rows: list[Uplink]) -> None:
    assert decode_rows(encode_rows(rows), len(rows)) == rows


@pytest.mark.slow
@given(uplinks.batches())
def test_columns_say_the_same_as_rows(rows: list[Uplink]) -> None:
    columns = decode_columns(encode_rows(rows), len(rows))
    assert len(columns) == len(rows)
    assert columns.messages() == [row.message for row in rows]
    assert columns.payloads() == [clipr.encode(row.message) for row in rows]
    assert [rows[row].message for row in columns.reports.row] == columns.reports.messages()
    told = list(
        zip(
            columns.reports.channel_row,
            columns.reports.channel,
            columns.reports.minimum,
            columns.reports.maximum,
            columns.reports.last,
            strict=True,
        )
    )
    assert told == [
        (number, e.channel, e.minimum, e.maximum, e.last)
        for number, row in enumerate(rows)
        if isinstance(row.message, clipr.Report)
        for e in row.message.channels
    ]
    assert [columns.reports.row[report] for report in columns.reports.channel_report] == list(
        columns.reports.channel_row
    )


@pytest.mark.slow
@given(uplinks.batches(), st.data())
def test_altered_rows_are_read_or_refused(rows: list[Uplink], data: st.DataObject) -> None:
    encoded = bytearray(encode_rows(rows))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    count = data.draw(st.sampled_from([len(rows), len(rows) + 1, max(1, len(rows) - 1)]))
    _read_or_refused(bytes(encoded), count)


@pytest.mark.slow
@given(uplinks.batches(max_size=5), st.data())
def test_an_altered_body_is_read_or_refused(rows: list[Uplink], data: st.DataObject) -> None:
    """Below the compression, so that the alteration meets the columns and not zstd's checks."""
    encoded = encode_rows(rows)
    body = bytearray(zstandard.decompress(encoded[1:]) if encoded[0] & 1 else encoded[1:])
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refused(bytes([encoded[0] & ~1]) + bytes(body), len(rows))


@given(st.binary(max_size=200), st.integers(1, 20))
def test_any_bytes_are_read_or_refused(data: bytes, count: int) -> None:
    _read_or_refused(data, count)


def _read_or_refused(data: bytes, count: int) -> None:
    try:
        rows = decode_rows(data, count)
    except BatchError:
        return
    assert len(rows) == count
    assert decode_rows(encode_rows(rows), count) == rows


@pytest.mark.slow
@given(uplinks.batches(), st.binary(min_size=1, max_size=3))
def test_nothing_may_follow(rows: list[Uplink], tail: bytes) -> None:
    try:
        decode_rows(encode_rows(rows) + tail, len(rows))
    except BatchError:
        return
    raise AssertionError("bytes after the rows were not noticed")


@given(st.lists(I64, max_size=40))
def test_signed_column_survives(values: list[int]) -> None:
    reader = Reader(pack_column(values, signed=True))
    assert reader.column(len(values), signed=True) == values
    reader.end()


@given(WIDTHS.flatmap(lambda width: st.lists(st.integers(0, (1 << width) - 1), max_size=300)))
def test_column_of_every_width_survives(values: list[int]) -> None:
    reader = Reader(pack_column(values))
    assert reader.column(len(values)) == values
    reader.end()


@given(st.binary(max_size=60), st.integers(0, 50), st.booleans())
def test_any_column_is_read_or_refused(data: bytes, count: int, signed: bool) -> None:
    reader = Reader(data)
    try:
        values = reader.column(count, signed=signed)
    except Malformed:
        return
    assert len(values) == count


@given(st.lists(st.tuples(st.integers(0, 5), I64), max_size=30))
def test_grouping_joins_what_it_splits(entries: list[tuple[int, int]]) -> None:
    grouping = Grouping.by([key for key, _ in entries])
    values = [value for _, value in entries]
    firsts, steps = grouping.split(values)
    assert len(firsts) == len({key for key, _ in entries})
    assert grouping.join(firsts, steps) == values
