"""Receipt: the receiver's signed word on how far a stream is in the records. Only it lets rows go.

receipt = canonical CBOR array ‖ 64 bytes Ed25519 signature over (tag ‖ array)
array   = version, gateway id, stream id, up to batch number, hash of that batch, receiver's time
          (ms since 1970), verdict, detail, batch concerned
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from pydantic_core import ValidationError, core_schema

from edge_codecs import canonical
from edge_codecs.faults import BatchFault, ReceiptError
from edge_codecs.identifiers import GatewayId
from edge_codecs.keys import SigningKey, VerifyKey
from edge_codecs.manifest import MAX_NUMBER, StreamId
from edge_codecs.strict_fields import strict_fields

__all__ = ["Detail", "Receipt", "ReceiptError", "Verdict", "sign_receipt", "verify_receipt"]

VERSION: Final = 1
MAX_RECEIPT_BYTES: Final = 512
_SIGNATURE_BYTES: Final = 64
_SIGN_TAG: Final = b"clipr receipt signature 1\x00"


class Verdict(enum.IntEnum):
    """What happens next."""

    STORED = 0
    """Everything up to the named batch is committed: its rows may go."""
    RESEND = 1
    """Send again from batch `up_to + 1`; something in between did not arrive."""
    REFUSED = 2
    """Batch `batch` is not taken, now or later as it is; `detail` says why. A person must look."""


class Detail(enum.IntEnum):
    """Why, beyond the verdict. A number of a later version reads as OTHER."""

    NONE = 0
    DUPLICATE = 1
    """The batch was there already; nothing was stored twice."""
    GAP = 2
    """A batch came before the one that it follows."""
    CHAIN_BROKEN = 3
    """The batch's link is not the hash of the batch before."""
    BATCH_CONFLICT = 4
    """Another batch of this number is in the records."""
    TOO_LARGE = 16
    BAD_HEADER = 17
    UNSUPPORTED_VERSION = 18
    WRONG_GATEWAY = 19
    UNKNOWN_GATEWAY = 20
    REVOKED_GATEWAY = 21
    UNKNOWN_KEY = 22
    CANNOT_OPEN = 23
    BAD_SIGNATURE = 24
    BOMB = 25
    BAD_ROWS = 26
    OTHER = 255

    @classmethod
    def of(cls, fault: BatchFault) -> Detail:
        """The detail of a batch's fault."""
        return cls[fault.name]


_DETAILS: Final = {int(detail): detail for detail in Detail}


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far the receiver is with a stream. `batch_hash` is that of batch `up_to`, b"" while it is 0."""

    gateway: GatewayId
    stream: StreamId
    up_to: int
    batch_hash: bytes
    receiver_time_ms: int
    verdict: Verdict
    detail: Detail = Detail.NONE
    batch: int = 0  # the batch that `detail` is about, 0 = none


_FIELDS: Final = {
    "version": core_schema.int_schema(ge=VERSION, le=VERSION),
    "gateway": core_schema.bytes_schema(min_length=8, max_length=8),
    "stream": core_schema.bytes_schema(min_length=8, max_length=8),
    "up_to": core_schema.int_schema(ge=0, le=MAX_NUMBER),
    "batch_hash": core_schema.bytes_schema(max_length=32),
    "receiver_time_ms": core_schema.int_schema(ge=0, le=MAX_NUMBER),
    "verdict": core_schema.int_schema(ge=0, le=2),
    "detail": core_schema.int_schema(ge=0, le=255),
    "batch": core_schema.int_schema(ge=0, le=MAX_NUMBER),
}
_VALIDATOR: Final = strict_fields(_FIELDS)


def sign_receipt(receipt: Receipt, signing_key: SigningKey) -> bytes:
    """The bytes to publish. Raises ValueError for what the format cannot carry."""
    fields = [
        VERSION,
        bytes(receipt.gateway),
        bytes(receipt.stream),
        receipt.up_to,
        receipt.batch_hash,
        receipt.receiver_time_ms,
        int(receipt.verdict),
        int(receipt.detail),
        receipt.batch,
    ]
    _VALIDATOR.validate_python(dict(zip(_FIELDS, fields, strict=True)))
    _check_hash(receipt.up_to, receipt.batch_hash)
    body = canonical.dumps(fields)
    return body + signing_key.sign(_SIGN_TAG + body)


def verify_receipt(data: bytes, verify_key: VerifyKey) -> Receipt:
    """The receipt, if the receiver of this key signed it. Raises ReceiptError."""
    if not _SIGNATURE_BYTES < len(data) <= MAX_RECEIPT_BYTES:
        raise ReceiptError(f"{len(data)} bytes are no receipt")
    body, signature = data[:-_SIGNATURE_BYTES], data[-_SIGNATURE_BYTES:]
    if not verify_key.verifies(signature, _SIGN_TAG + body):
        raise ReceiptError("not signed by the receiver")
    try:
        fields = canonical.loads(body, MAX_RECEIPT_BYTES)
        known = _VALIDATOR.validate_python(dict(zip(_FIELDS, fields, strict=True)))
        _check_hash(known["up_to"], known["batch_hash"])
    except ValueError as error:
        kind = "fields out of range" if isinstance(error, ValidationError) else str(error)
        raise ReceiptError(f"not of the receipt format: {kind}") from None
    return Receipt(
        GatewayId(known["gateway"]),
        StreamId(known["stream"]),
        known["up_to"],
        known["batch_hash"],
        known["receiver_time_ms"],
        Verdict(known["verdict"]),
        _DETAILS.get(known["detail"], Detail.OTHER),
        known["batch"],
    )


def _check_hash(up_to: int, batch_hash: bytes) -> None:
    if len(batch_hash) != (32 if up_to else 0):
        raise ValueError(f"a hash of {len(batch_hash)} bytes for batch {up_to}")
