"""Is this message a batch of a gateway that we know? Pure; every check before anything that it protects.

size → identity (topic) → header → gateway known and not revoked → open → signature → bounded decompression →
strict rows. What the rows say, and whose they are, is decided in the records' transaction.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from edge_codecs.batch import (
    MAX_WIRE_BYTES,
    Header,
    Manifest,
    SealingPrivateKey,
    VerifyKey,
    open_batch,
    parse_header,
    verify,
)
from edge_codecs.columns import RowColumns
from edge_codecs.faults import BatchError, BatchFault
from edge_codecs.identifiers import GatewayId
from edge_codecs.rows import decode_columns
from edge_codecs.topics import gateway_of, uplink_topic

FOREIGN_TOPIC = "foreign_topic"
BROKEN = "broken"


class KnownGateway(Protocol):
    """What the registry says of a gateway."""

    @property
    def verify_key_raw(self) -> bytes:
        """Ed25519 public key, 32 bytes."""

    @property
    def revoked_at_ms(self) -> int | None:
        """From when on it is not to be believed; None: it is."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A batch that opened, whose signature holds and whose rows decoded; the header as it came."""

    manifest: Manifest
    header: bytes
    signature: bytes
    columns: RowColumns


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """A message that is not one of our batches, and the first reason why."""

    gateway: GatewayId | None
    """Whose topic it came on; None: it is no gateway's."""
    reason: str
    """A BatchFault's value, or "foreign_topic", or "broken" (our own bug: nobody's batch is to blame)."""
    detail: str
    header: Header | None
    """The header if it could be read and names the topic's gateway: enough to answer, not to believe."""

    @property
    def fault(self) -> BatchFault | None:
        """The reason as a fault of the format, if it is one."""
        return next((fault for fault in BatchFault if fault.value == self.reason), None)


def admit(
    topic: str,
    wire: bytes,
    gateways: Mapping[GatewayId, KnownGateway],
    sealing_keys: Mapping[int, SealingPrivateKey],
    now_ms: int,
) -> Admitted | NotAdmitted:
    """Check one message. Never raises: a message that breaks us must not come back for ever."""
    gateway = gateway_of(topic)
    header: Header | None = None
    try:
        if len(wire) > MAX_WIRE_BYTES:
            raise BatchError(BatchFault.TOO_LARGE, f"{len(wire)} bytes, at most {MAX_WIRE_BYTES}")
        if gateway is None or topic != uplink_topic(gateway):
            return NotAdmitted(None, FOREIGN_TOPIC, topic[:200], None)
        claimed = parse_header(wire)
        if claimed.gateway != gateway:
            raise BatchError(BatchFault.WRONG_GATEWAY, f"the header says {claimed.gateway}")
        header = claimed
        return _open(wire, header, _believed(gateway, gateways, now_ms), sealing_keys)
    except BatchError as error:
        return NotAdmitted(gateway, error.reason.value, error.detail or error.reason.sentence, header)
    except Exception as error:  # noqa: BLE001  hostile bytes found a hole: quarantine, loudly, and go on
        return NotAdmitted(gateway, BROKEN, _place(error), header)


def _place(error: Exception) -> str:
    """Which check broke and where, without the values that it worked at: this is logged."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.name}, line {last.lineno}"


def _believed(gateway: GatewayId, gateways: Mapping[GatewayId, KnownGateway], now_ms: int) -> KnownGateway:
    known = gateways.get(gateway)
    if known is None:
        raise BatchError(BatchFault.UNKNOWN_GATEWAY)
    if known.revoked_at_ms is not None and known.revoked_at_ms <= now_ms:
        raise BatchError(BatchFault.REVOKED_GATEWAY)
    return known


def _open(
    wire: bytes, header: Header, known: KnownGateway, sealing_keys: Mapping[int, SealingPrivateKey]
) -> Admitted:
    key = sealing_keys.get(header.key_number)
    if key is None:
        raise BatchError(BatchFault.UNKNOWN_KEY, f"sealed to key {header.key_number}")
    opened = open_batch(wire, header, key)
    manifest = verify(opened, VerifyKey(known.verify_key_raw))
    columns = decode_columns(manifest.rows, manifest.count)
    return Admitted(manifest, opened.header_bytes, opened.signature, columns)
