"""Why a batch or a receipt is not taken. Each member has a sentence, for logs, quarantine and the manual."""

from __future__ import annotations

import enum


class BatchFault(enum.Enum):
    """What is wrong with a batch, in the order in which the receiver checks."""

    TOO_LARGE = "too_large"
    BAD_HEADER = "bad_header"
    UNSUPPORTED_VERSION = "unsupported_version"
    WRONG_GATEWAY = "wrong_gateway"
    UNKNOWN_GATEWAY = "unknown_gateway"
    REVOKED_GATEWAY = "revoked_gateway"
    UNKNOWN_KEY = "unknown_key"
    CANNOT_OPEN = "cannot_open"
    BAD_SIGNATURE = "bad_signature"
    BOMB = "bomb"
    BAD_ROWS = "bad_rows"

    @property
    def sentence(self) -> str:
        """What it means, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    BatchFault.TOO_LARGE: "The message is larger than any batch may be.",
    BatchFault.BAD_HEADER: "The header is not the one canonical CBOR array that the format allows.",
    BatchFault.UNSUPPORTED_VERSION: "The batch is of a format version or suite that is not known here.",
    BatchFault.WRONG_GATEWAY: "The header names another gateway than the topic that the batch came on.",
    BatchFault.UNKNOWN_GATEWAY: "No gateway of this id is registered.",
    BatchFault.REVOKED_GATEWAY: "The gateway's identity was revoked.",
    BatchFault.UNKNOWN_KEY: "The batch is sealed to a receiver key that is not at hand.",
    BatchFault.CANNOT_OPEN: "The seal does not open: header or body were altered, or another key was used.",
    BatchFault.BAD_SIGNATURE: "The signature over header and rows is not the registered gateway's.",
    BatchFault.BOMB: "The rows would unpack to more than the header's row count allows.",
    BatchFault.BAD_ROWS: "The rows are not of the row format, or not as many as the header says.",
}


class BatchError(Exception):
    """A batch is refused. `reason`, and `detail` for a person; neither holds secrets."""

    def __init__(self, reason: BatchFault, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail or reason.sentence}")
        self.reason = reason
        self.detail = detail


class ReceiptError(Exception):
    """A receipt is not taken: not signed by the receiver, or not of the receipt format."""
