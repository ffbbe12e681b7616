"""Rows: uplinks as columns, compressed where that helps."""

from __future__ import annotations

from collections.abc import Sequence

from edge_codecs.columns import Device, ReportColumns, RowColumns
from edge_codecs.faults import BatchError, BatchFault
from edge_codecs.reading import Uplink

__all__ = [
    "BatchError",
    "BatchFault",
    "Device",
    "ReportColumns",
    "RowColumns",
    "decode_columns",
    "decode_rows",
    "encode_rows",
]


def encode_rows(uplinks: Sequence[Uplink]) -> bytes:
    """Write 1 … 8192 uplinks. The same uplinks give the same bytes. Raises ValueError for what does not fit."""
    raise NotImplementedError


def decode_columns(data: bytes, count: int) -> RowColumns:
    """Read exactly `count` rows, by column. Bounded in time and memory. Raises BatchError (bomb, bad_rows)."""
    raise NotImplementedError


def decode_rows(data: bytes, count: int) -> list[Uplink]:
    """Read exactly `count` rows as objects. Raises BatchError (bomb, bad_rows)."""
    return list(decode_columns(data, count).uplinks())
