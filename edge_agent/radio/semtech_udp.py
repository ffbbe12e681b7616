"""Packet forwarders that speak Semtech UDP. (signatures)"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from edge_agent.clock import Clock, ClockReading
from edge_agent.network.rx_frame import RxFrame
from edge_codecs.identifiers import EUI64


class SemtechUdp:
    """The door for packet forwarders: one UDP socket, any number of forwarders.

    Opens its socket at once (raises ServiceUnavailable when the port is taken); `inherited` are sockets from
    the service manager (`inherited_sockets`), of which the one bound to this address is taken.
    """

    name: str  # "semtech_udp 127.0.0.1:1700", also RxFrame.source

    def __init__(
        self,
        clock: Clock,
        bind: str = "127.0.0.1",
        port: int = 1700,
        *,
        inherited: list[socket.socket] | None = None,
        map_file: Path | None = None,
    ) -> None:
        raise NotImplementedError

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the port is the kernel's choice if 0 was asked for."""
        raise NotImplementedError

    async def bursts(self) -> AsyncIterator[list[RxFrame]]:
        """Frames that arrived together, together; ends after `stop` when all are handed over."""
        raise NotImplementedError
        yield []

    async def frames(self) -> AsyncIterator[RxFrame]:
        """The same, one by one."""
        async for burst in self.bursts():
            for frame in burst:
                yield frame

    def gps(self) -> ClockReading | None:
        """The latest believable GPS time, as an anchor for the clock; None without GPS."""
        raise NotImplementedError

    def status(self) -> Mapping[str, object]:
        """Counters of the door and of each forwarder, JSON-able, for `edge-agent status`."""
        raise NotImplementedError

    def forwarders(self) -> Mapping[EUI64, object]:
        """What each forwarder said of itself."""
        raise NotImplementedError

    def stop(self) -> None:
        """Read nothing more; `bursts` hands over what was read and ends. The kernel queues what comes."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket (an inherited one stays open with the service manager)."""
        raise NotImplementedError
