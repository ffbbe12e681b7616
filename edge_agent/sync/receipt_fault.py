"""What a receipt says that a person must know, in words that name the next step. Pure."""

from __future__ import annotations

from edge_agent.sync.link import LinkFault
from edge_codecs.receipt import Receipt


def forgotten(receipt: Receipt, confirmed: int, *, all_kept: bool) -> LinkFault:
    """The receiver knows less than it has confirmed. `all_kept`: we still have all that it misses."""
    return LinkFault(
        f"the receiver has forgotten batches {receipt.up_to + 1} to {confirmed}, which it had confirmed",
        "Its records were restored from a backup, it seems. "
        + (
            "The batches are sent again"
            if all_kept
            else "Some are no longer here ([store] retention_days): what is, is sent again as a new stream"
        ),
    )


def refusal(receipt: Receipt) -> LinkFault:
    """The receiver refuses a batch."""
    reason = receipt.detail.name.lower().replace("_", " ")
    return LinkFault(
        f"the receiver refuses batch {receipt.batch}: {reason}",
        "Readings are kept and the batch is tried again now and then. Look at the receiver: "
        "cloud-sync quarantine list",
    )
