"""From the store to the cloud, until a signed receipt says that rows may go (signatures; the body follows)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from edge_agent.sync.identity import SyncIdentity
from edge_agent.sync.link import Link
from edge_agent.sync.state import SyncState


class WallClock(Protocol):
    """This host's UTC, for showing."""

    def wall_ms(self) -> int:
        """UTC in milliseconds since 1970, right or wrong."""


class Uploader:
    """Forms, seals and publishes batches, and takes their receipts."""

    def __init__(self, store: AsyncStore, link: Link, identity: SyncIdentity, clock: WallClock) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        """Carry rows to the cloud until cancelled."""
        raise NotImplementedError

    def state(self) -> SyncState:
        """How it is going, for `status`."""
        raise NotImplementedError


class AsyncStore(Protocol):
    """The store, as the uploader sees it."""

    wake: asyncio.Event
    """Set whenever rows were kept."""
