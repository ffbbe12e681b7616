"""What a receipt says that a person must know, in words that name the next step. Pure."""

from __future__ import annotations

from edge_agent.sync.link import LinkFault
from edge_codecs.receipt import Receipt


def forgotten(receipt: Receipt, confirmed: int) -> LinkFault:
    """The receiver knows less than it has confirmed."""
    return LinkFault(
        f"the receiver has forgotten batches {receipt.up_to + 1} to {confirmed}, which it had confirmed",
        "Were its records restored from a backup? Readings stay here for [store] retention_days: "
        "see docs/sync.md",
    )


def refusal(receipt: Receipt) -> LinkFault:
    """The receiver refuses a batch."""
    reason = receipt.detail.name.lower().replace("_", " ")
    return LinkFault(
        f"the receiver refuses batch {receipt.batch}: {reason}",
        "Readings are kept and the batch is tried again now and then. Look at the receiver: "
        "cloud-sync quarantine list",
    )
