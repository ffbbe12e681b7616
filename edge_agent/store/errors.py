"""What can be wrong with a store, by what happens next.

StoreLocked       69   another process writes it
StoreFull         69   nothing may go to make room
StoreDamaged       1   the next start sets it aside and reads what can be read into a new one
ReceiptMismatch    1   the receiver knows other batches than we do: this store is a copy of an older state
"""

from __future__ import annotations

from edge_agent.errors import AgentError, ServiceUnavailable


class StoreLocked(ServiceUnavailable):
    """Another process has the store open for writing."""

    hint = "Is the agent running? Stop it first: systemctl stop edge-agent"


class StoreFull(ServiceUnavailable):
    """No room, and no reading that the cloud has confirmed is left to go."""

    hint = (
        "Readings without a receipt are never dropped. Bring the link to the cloud up (edge-agent status), "
        "free the disk, or raise store.max_bytes"
    )


class StoreDamaged(AgentError):
    """The file is not what was written: a bad card, or somebody changed it."""

    hint = "Start the agent: it sets the file aside and reads what can be read into a new one"


class ReceiptMismatch(AgentError):
    """A receipt confirms a batch that this store never formed."""

    hint = "This store is a copy of an older state. Begin a new stream: edge-agent store new-stream"
