"""A receiver in memory: takes the next batch of a stream, says receipts. Knows no tenants and no database."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_codecs.batch import (
    Manifest,
    SealingPrivateKey,
    SigningKey,
    StreamId,
    VerifyKey,
    open_batch,
    parse_header,
    verify,
)
from edge_codecs.reading import Uplink
from edge_codecs.receipt import Detail, Receipt, Verdict, sign_receipt
from edge_codecs.rows import decode_rows


@dataclass
class FakeReceiver:
    """`refuse` holds numbers of batches that it refuses."""

    verify_key: VerifyKey
    sealing: SealingPrivateKey
    signing: SigningKey
    now_ms: int = 1_790_000_000_000
    refuse: set[int] = field(default_factory=set)
    up_to: int = 0
    up_to_hash: bytes = b""
    early: dict[int, Manifest] = field(default_factory=dict)
    uplinks: list[Uplink] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    stream: StreamId | None = None
    up_to_of: dict[int, tuple[bytes, int]] = field(default_factory=dict)  # batch: its hash, uplinks up to it

    def receive(self, wire: bytes) -> bytes:
        """The receipt that answers this batch."""
        header = parse_header(wire)
        manifest = verify(open_batch(wire, header, self.sealing), self.verify_key)
        self.seen.append(manifest.number)
        if manifest.stream != self.stream:
            self.stream, self.up_to, self.up_to_hash = manifest.stream, 0, b""
            self.early.clear()
        if manifest.number in self.refuse:
            return self.receipt(manifest, Verdict.REFUSED, Detail.BATCH_CONFLICT)
        self.early.setdefault(manifest.number, manifest)
        while (upcoming := self.early.pop(self.up_to + 1, None)) is not None:
            assert upcoming.follows(self.up_to_hash)
            self.up_to, self.up_to_hash = upcoming.number, upcoming.hash
            self.uplinks += decode_rows(upcoming.rows, upcoming.count)
            self.up_to_of[self.up_to] = self.up_to_hash, len(self.uplinks)
        if manifest.number > self.up_to:
            return self.receipt(manifest, Verdict.RESEND, Detail.GAP)
        return self.receipt(manifest, Verdict.STORED, Detail.NONE)

    def restore(self, up_to: int, later_ms: int = 3_600_000) -> None:
        """An older backup of its records is put in place, and the clock has gone on."""
        self.up_to_hash, count = self.up_to_of[up_to] if up_to else (b"", 0)
        self.up_to, self.now_ms = up_to, self.now_ms + later_ms
        self.early.clear()
        del self.uplinks[count:]

    def receipt(self, about: Manifest, verdict: Verdict, detail: Detail) -> bytes:
        return self.say(about.gateway, about.stream, verdict, detail, about.number)

    def say(self, gateway, stream: StreamId, verdict: Verdict, detail: Detail, batch: int) -> bytes:
        receipt = Receipt(gateway, stream, self.up_to, self.up_to_hash, self.now_ms, verdict, detail, batch)
        return sign_receipt(receipt, self.signing)
