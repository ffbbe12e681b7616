"""An uploader that waits for its files: a spoilt certificate must not make the gateway deaf."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from edge_agent.errors import ConfigurationError
from edge_agent.sync.state import SyncState

LOOK_AGAIN_S = 60.0

log = logging.getLogger(__name__)


class Syncing(Protocol):
    """An uploader."""

    async def run(self) -> None:
        """Carry rows to the cloud until cancelled."""

    def state(self) -> SyncState:
        """How it is going."""


class PatientUploader:
    """Makes the uploader as soon as its files are right; readings are taken meanwhile."""

    def __init__(
        self, make: Callable[[], Syncing], fault: ConfigurationError, look_again_s: float = LOOK_AGAIN_S
    ) -> None:
        """`fault`: why the first try to `make` it failed."""
        self._make = make
        self._fault = fault
        self._look_again_s = look_again_s
        self._uploader: Syncing | None = None

    async def run(self) -> None:
        """Look every minute; then be that uploader."""
        log.error("%s; readings stay on this gateway until that is mended. %s", self._fault, self._fault.hint)
        while True:
            await asyncio.sleep(self._look_again_s)
            try:
                self._uploader = self._make()
            except ConfigurationError as fault:
                self._fault = fault
            else:
                log.warning("the files of the sync are right again")
                await self._uploader.run()

    def state(self) -> SyncState:
        """The uploader's, or what keeps it from being made."""
        if self._uploader is not None:
            return self._uploader.state()
        return SyncState(last_error=str(self._fault), hint=self._fault.hint)
