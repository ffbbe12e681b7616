"""Batch before it is signed: which rows of which stream, in which order, after which batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import Final, Self

from edge_codecs import canonical
from edge_codecs.identifiers import GatewayId
from edge_codecs.row_layout import MAX_ROWS

VERSION: Final = 1
MAX_RANGES: Final = 64
MAX_NUMBER: Final = (1 << 63) - 1
LINK_BYTES: Final = 16

_HASH_TAG: Final = b"clipr batch hash 1\x00"


class StreamId(bytes):
    """8 random bytes: one life of a gateway's store. Text is 16 hex digits."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        """Take 8 bytes. Raises ValueError."""
        if len(raw) != 8:
            raise ValueError(f"a stream id is 8 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"StreamId({self.hex()})"

    def __format__(self, spec: str) -> str:
        return format(self.hex(), spec)


class Lane(IntEnum):
    """Live rows go ahead of the backlog; the receiver marks backlog rows as historical."""

    LIVE = 0
    BACKLOG = 1


@dataclass(frozen=True, slots=True)
class RowRange:
    """`count` rows of the stream from row `first` (rows are numbered from 1)."""

    first: int
    count: int

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + self.count - 1


def link(batch_hash: bytes) -> bytes:
    """What the next batch carries of this one's hash: its first 16 bytes, b"" of b"" (no batch before)."""
    if len(batch_hash) not in (0, 32):
        raise ValueError(f"a batch hash is 32 bytes, not {len(batch_hash)}")
    return batch_hash[:LINK_BYTES]


def _check_ranges(ranges: Sequence[RowRange]) -> None:
    if not 1 <= len(ranges) <= MAX_RANGES:
        raise ValueError(f"{len(ranges)} row ranges, expected 1 … {MAX_RANGES}")
    behind = 1
    for rows in ranges:
        if rows.first < behind or not 1 <= rows.count <= MAX_ROWS or rows.last > MAX_NUMBER:
            raise ValueError("row ranges must rise and not overlap")
        behind = rows.last + 1
    if sum(rows.count for rows in ranges) > MAX_ROWS:
        raise ValueError(f"more than {MAX_ROWS} rows in a batch")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A batch as it is fixed when it is formed. Raises ValueError for what the format cannot carry.

    `rows` are encoded (`edge_codecs.rows.encode_rows`), in the order of `ranges`. `previous` is the link to
    the batch before: `link(hash_of_it)`, 16 bytes, or b"" for number 1.
    """

    gateway: GatewayId
    stream: StreamId
    number: int  # from 1, without gaps
    lane: Lane
    ranges: tuple[RowRange, ...]
    previous: bytes
    rows: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_ranges(self.ranges)
        if not 1 <= self.number <= MAX_NUMBER:
            raise ValueError(f"batch number {self.number}")
        if len(self.previous) != (0 if self.number == 1 else LINK_BYTES):
            raise ValueError(f"batch {self.number} with a link of {len(self.previous)} bytes; see link()")

    @property
    def count(self) -> int:
        """How many rows it carries."""
        return sum(rows.count for rows in self.ranges)

    @property
    def hash(self) -> bytes:
        """The batch's hash, 32 bytes; the same however often and to whichever key it is sent."""
        body = [
            VERSION,
            bytes(self.gateway),
            bytes(self.stream),
            self.number,
            int(self.lane),
            self.previous,
            self.flat_ranges,
            sha256(self.rows).digest(),
        ]
        return sha256(_HASH_TAG + canonical.dumps(body)).digest()

    @property
    def flat_ranges(self) -> list[int]:
        """The ranges as they travel: first, count, first, count, …"""
        return [number for rows in self.ranges for number in (rows.first, rows.count)]

    def follows(self, previous_hash: bytes) -> bool:
        """Whether the batch before is the one of this hash (b"" = there is none)."""
        return self.previous == link(previous_hash)
