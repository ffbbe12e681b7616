"""Transactions that make room for themselves: on a full disk, and where the cap is reached."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from edge_agent.store.connection import Database, NoRoom
from edge_agent.store.errors import StoreFull
from edge_agent.store.space import Space

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Writer:
    """Writes one store. `let_go` lets some confirmed rows go, whatever their age; returns how many."""

    def __init__(self, database: Database, space: Space, let_go: Callable[[], int]) -> None:
        self._database = database
        self._space = space
        self._let_go = let_go

    def take_room(self, rows: int) -> None:
        """Have room under the cap for that many more rows; confirmed ones go for it. Raises StoreFull."""
        while not self._space.take(rows):
            if self.run(self._let_go) == 0:
                raise StoreFull(
                    f"{self._space.max_bytes} bytes are full of readings that the cloud has not confirmed"
                )

    def change(self, change: Callable[[], Result]) -> Result:
        """Run `change` in a transaction; see `run`."""

        def within() -> Result:
            with self._database.transaction():
                return change()

        return self.run(within)

    def run(self, transaction: Callable[[], Result]) -> Result:
        """Run a transaction; when there is no room, let ballast and confirmed rows go, and try again."""
        try:
            return transaction()
        except NoRoom:
            log.warning("no room to write %s: making some", self._database.path)
        self._space.give_up_ballast()
        while True:
            gone = 0
            try:
                gone = self._let_go()
                self._space.checkpoint(now=True)
                return transaction()
            except NoRoom:
                if gone == 0:
                    raise StoreFull(f"no room on the disk for {self._database.path}") from None
