"""A gateway's end of the wire: forms, signs and seals batches, well or badly, as a test wants it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_codecs.batch import (
    Lane,
    Manifest,
    RowRange,
    SealingPublicKey,
    SigningKey,
    StreamId,
    link,
    seal,
)
from edge_codecs.identifiers import GatewayId
from edge_codecs.reading import Uplink
from edge_codecs.rows import encode_rows


@dataclass
class WireGateway:
    """`batch` gives the next manifest of the stream, `sealed` its bytes."""

    id: GatewayId
    receiver_key: SealingPublicKey
    signing_key: SigningKey = field(default_factory=SigningKey.generate)
    stream: StreamId = field(default_factory=lambda: StreamId(secrets.token_bytes(8)))
    number: int = 0
    row: int = 1
    hash: bytes = b""

    def batch(self, uplinks: Sequence[Uplink], lane: Lane = Lane.LIVE) -> Manifest:
        return self.raw_batch(encode_rows(uplinks), len(uplinks), lane)

    def raw_batch(self, rows: bytes, count: int, lane: Lane = Lane.LIVE) -> Manifest:
        """With row bytes that need not be rows."""
        ranges = (RowRange(self.row, count),)
        manifest = Manifest(self.id, self.stream, self.number + 1, lane, ranges, link(self.hash), rows)
        self.number, self.row, self.hash = manifest.number, self.row + count, manifest.hash
        return manifest

    def sealed(self, manifest: Manifest) -> bytes:
        return seal(manifest, self.signing_key, self.receiver_key)
