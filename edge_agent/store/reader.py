"""A look into the store from any process, while the agent writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.store.key_provider import StoreKey
from edge_agent.store.store import DeviceEntry, RejectionSum
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.reading import Reading, Uplink


@dataclass(frozen=True, slots=True)
class Query:
    """Which readings. `since_ms` and `until_ms` bound the time of reception, UTC."""

    dev_eui: DevEUI | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    newest_first: bool = False
    limit: int | None = None
    """How many readings at most."""


@dataclass(frozen=True, slots=True)
class KeptReading:
    """A reading, and the uplink that brought it. Rows whose date is not known yet come without one."""

    reading: Reading
    uplink: Uplink
    gateway: GatewayId

    def as_dict(self) -> dict[str, object]:
        """The keys of `readings --json`."""
        raise NotImplementedError


class Reader:
    """Reads only; holds no lock between two steps of an iterator."""

    @classmethod
    def open(cls, path: Path, key: StoreKey) -> Self:
        """Raises ConfigurationError: no store there, no key that fits, another schema version."""
        raise NotImplementedError

    def uplinks(self, query: Query = Query()) -> Iterator[Uplink]:
        """Dated uplinks, in the order of acceptance."""
        raise NotImplementedError

    def readings(self, query: Query = Query()) -> Iterator[KeptReading]:
        """Readings of dated uplinks, in the order of acceptance."""
        raise NotImplementedError

    def devices(self) -> list[DeviceEntry]:
        """All devices, by DevEUI."""
        raise NotImplementedError

    def rejections(self, dev_eui: DevEUI | None = None) -> list[RejectionSum]:
        """Sums by reason: of one device, or of all frames."""
        raise NotImplementedError

    def close(self) -> None:
        """Let the file go."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
