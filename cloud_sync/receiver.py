"""The composition root of the receiver: which parts it has and how they are joined (signatures)."""

from __future__ import annotations

from cloud_sync.settings import CloudSettings


def run(settings: CloudSettings) -> None:
    """Receive until SIGTERM or SIGINT. Raises CloudError when a part cannot do its work."""
    raise NotImplementedError
