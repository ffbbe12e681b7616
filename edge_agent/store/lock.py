"""One writer: a lock on a file beside the store, let go by the kernel however the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.errors import ConfigurationError
from edge_agent.store.errors import StoreLocked


class WriterLock:
    """Held from its making until `release`. Raises StoreLocked, ConfigurationError."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        try:
            descriptor = os.open(
                path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise ConfigurationError(
                f"cannot write in {path.parent}: {error.strerror}",
                hint="Does the folder exist, and may this user write in it? edge-agent init makes it",
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StoreLocked(f"another process writes {path}") from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another process write; once more does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
