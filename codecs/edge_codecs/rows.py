"""Rows: the uplinks of a batch as columns, so that what is alike lies together and costs little.

    rows = format byte ‖ body; the body is one zstd frame where that is shorter
    body = devices, then one column a field, then columns of the reports, then other messages as payloads

The number of rows is in the batch's header. A report travels as numbers, from which its payload can be
rebuilt bit for bit; any other message travels as fPort and payload, and the receiver decodes it. docs/wire.md
has the layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import zstandard

from edge_codecs import row_layout as layout
from edge_codecs.columns import Device, ReportColumns, RowColumns
from edge_codecs.faults import BatchError, BatchFault
from edge_codecs.packing import Malformed
from edge_codecs.reading import Uplink
from edge_codecs.row_layout import MAX_ROWS
from edge_codecs.row_reader import read_body
from edge_codecs.row_writer import write_body

__all__ = [
    "MAX_ROWS",
    "BatchError",
    "BatchFault",
    "Device",
    "ReportColumns",
    "RowColumns",
    "decode_columns",
    "decode_rows",
    "encode_rows",
]

_SMALLEST_WORTH_A_TRY: Final = 64
"""Below this a zstd frame's own header eats what it saves."""
_LEVEL: Final = 9


def encode_rows(uplinks: Sequence[Uplink]) -> bytes:
    """Write 1 … 8192 uplinks. Raises ValueError for a value that the format cannot carry.

    An SNR is kept to 0.1 dB. A message that came as Undecoded is read if today's codec can read it.
    """
    if not 1 <= len(uplinks) <= MAX_ROWS:
        raise ValueError(f"{len(uplinks)} rows, expected 1 … {MAX_ROWS}")
    bits, body = write_body(uplinks)
    if len(body) >= _SMALLEST_WORTH_A_TRY:
        compressed = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(body)
        if len(compressed) < len(body):
            return bytes([bits | layout.COMPRESSED]) + compressed
    return bytes([bits]) + body


def decode_columns(data: bytes, count: int) -> RowColumns:
    """Read exactly `count` rows, by column; time and memory are bounded by `count`.

    Raises BatchError (bomb, bad_rows).
    """
    try:
        if not data or data[0] & ~layout.KNOWN_FORMAT or not 1 <= count <= MAX_ROWS:
            raise Malformed("unknown format byte, or an impossible number of rows")
        body = _unpack(data[1:], count) if data[0] & layout.COMPRESSED else data[1:]
        return read_body(body, data[0], count)
    except Malformed as error:
        raise BatchError(BatchFault.BAD_ROWS, str(error)) from None


def decode_rows(data: bytes, count: int) -> list[Uplink]:
    """Read exactly `count` rows as objects. Raises BatchError (bomb, bad_rows)."""
    return decode_columns(data, count).uplinks()


def _unpack(frame: bytes, count: int) -> bytes:
    """The content of one zstd frame, which says how long it is before anything is unpacked."""
    try:
        size = zstandard.frame_content_size(frame)
        if size < 0:
            raise Malformed("zstd frame does not state its size")
        if size > layout.max_body_bytes(count):
            raise BatchError(BatchFault.BOMB, f"{size} bytes for {count} rows")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Malformed(f"zstd: {error}") from None
