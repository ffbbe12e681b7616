"""A UDP socket that loses little and says what it lost: large buffer, kernel's arrival times, drop count.

An inherited socket outlives this process, so its queue in the kernel can be what remembers: datagrams are
looked at (MSG_PEEK with SO_PEEK_OFF, socket(7)) and taken off the queue only once their frames are on disk.
A process that is killed in between leaves them to the next one, which reads them again.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import select
import socket
import struct
import sys
from dataclasses import dataclass

from edge_agent.errors import ConfigurationError, ServiceUnavailable

RECEIVE_BUFFER_BYTES = 8 << 20  # some 10,000 small datagrams; the kernel may grant less
DATAGRAM_BYTES = 65_536

_SO_RCVBUFFORCE = 33  # Linux; not named by the socket module
_SO_TIMESTAMPNS = 35
_SO_RXQ_OVFL = 40
_SO_PEEK_OFF = 42
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size) + socket.CMSG_SPACE(4)
_ARRIVAL_WITHIN_NS = 3600 * 1_000_000_000  # a stamp older than this says that the clock was stepped

log = logging.getLogger(__name__)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram, where it came from, and how long ago the kernel received it."""

    data: bytes
    address: Address
    age_ns: int


class UdpSocket:
    """A bound socket. `kernel_dropped` counts what the kernel threw away in the socket's life."""

    def __init__(self, bind: str, port: int, inherited: list[socket.socket]) -> None:
        """Take the inherited socket of this port, else bind one.

        Raises ServiceUnavailable when the port is taken, ConfigurationError for an impossible address.
        """
        self.inherited = False
        self.looks_first = False
        self.kernel_dropped = 0
        self._buffer = bytearray(DATAGRAM_BYTES)
        self._socket = self._take(port, inherited) or _bound(bind, port)
        self._socket.settimeout(0)
        self._prepare()
        host, self.port = self._socket.getsockname()[:2]
        self.host = str(host)
        if not ipaddress.ip_address(self.host).is_loopback:
            log.warning(
                "UDP port %d listens on %s: anybody who reaches it can send frames and replace the "
                "packet forwarder, for the protocol has no authentication. Keep it on 127.0.0.1, or behind a "
                "firewall or VPN",
                self.port,
                self.host,
            )

    def _take(self, port: int, inherited: list[socket.socket]) -> socket.socket | None:
        for candidate in inherited:
            is_udp = candidate.type == socket.SOCK_DGRAM and candidate.family in (
                socket.AF_INET,
                socket.AF_INET6,
            )
            if is_udp and candidate.getsockname()[1] == port:
                inherited.remove(candidate)
                self.inherited = True
                return candidate
        return None

    def _prepare(self) -> None:
        options = socket.SOL_SOCKET, socket.SO_RCVBUF
        if self._socket.getsockopt(*options) < RECEIVE_BUFFER_BYTES:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(*options, RECEIVE_BUFFER_BYTES)
            with contextlib.suppress(OSError):  # beyond net.core.rmem_max, if we are privileged
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        self.receive_buffer_bytes = self._socket.getsockopt(*options)
        for option in (_SO_TIMESTAMPNS, _SO_RXQ_OVFL):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, option, 1)
        if self.inherited:
            with contextlib.suppress(OSError):  # from the front: the last process may have looked further
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, 0)
                self.looks_first = True
        # what was looked at stays readable for ever, so only an arrival may wake the loop: edge-triggered
        self._arrivals = select.epoll()
        edge = select.EPOLLET if self.looks_first else 0
        self._arrivals.register(self._socket.fileno(), select.EPOLLIN | edge)

    def fileno(self) -> int:
        """The descriptor, for the loop: readable when something came. `heard` must be called then."""
        return self._arrivals.fileno()

    def heard(self) -> None:
        """The loop knows of all arrivals until now."""
        self._arrivals.poll(0)

    def receive(self, now_utc_ns: int) -> Datagram | None:
        """The next datagram, None when there is none. `now_utc_ns` is this host's UTC, right or wrong."""
        try:
            length, ancillary, _, address = self._socket.recvmsg_into(
                [self._buffer], _ANCILLARY_BYTES, socket.MSG_PEEK if self.looks_first else 0
            )
        except (BlockingIOError, InterruptedError):
            return None
        age_ns = 0
        for level, kind, data in ancillary:
            if level != socket.SOL_SOCKET:
                continue
            if kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                age_ns = now_utc_ns - (seconds * 1_000_000_000 + nanoseconds)
            elif kind == _SO_RXQ_OVFL and len(data) == 4:
                self.kernel_dropped = int.from_bytes(data, sys.byteorder)
        if not -1_000_000_000 <= age_ns <= _ARRIVAL_WITHIN_NS:
            age_ns = 0
        return Datagram(bytes(self._buffer[:length]), (str(address[0]), int(address[1])), age_ns)

    def settle(self, datagrams: int) -> None:
        """So many datagrams, empty ones not counted, are done with: the kernel may forget them."""
        if not self.looks_first:
            return
        one_byte = bytearray(1)
        with contextlib.suppress(BlockingIOError):
            while datagrams:
                # MSG_TRUNC: the kernel takes the whole length off its peek offset, not the byte that we read.
                # An empty datagram is looked at once and skipped by later processes, so it never counts.
                datagrams -= self._socket.recv_into(one_byte, 1, socket.MSG_TRUNC) > 0

    def send(self, data: bytes, address: Address) -> bool:
        """Send without waiting; whether the kernel took it."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close our end; an inherited socket lives on with the service manager."""
        self._arrivals.close()
        self._socket.close()


def _bound(bind: str, port: int) -> socket.socket:
    try:
        address = ipaddress.ip_address("127.0.0.1" if bind == "localhost" else bind)
    except ValueError:
        raise ConfigurationError(
            f"bind = {bind!r} is no IP address", hint="Write an address of this host, such as 127.0.0.1"
        ) from None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    door = socket.socket(family, socket.SOCK_DGRAM)
    try:
        door.bind((str(address), port))
    except PermissionError:
        door.close()
        raise ConfigurationError(
            f"may not listen on UDP port {port}", hint="Ports below 1024 need privileges: use 1700"
        ) from None
    except OSError as error:
        door.close()
        raise ServiceUnavailable(
            f"cannot listen on UDP {address} port {port}: {(error.strerror or str(error)).lower()}",
            hint=f"Which program has the port? Try: ss -lunp 'sport = :{port}'",
        ) from None
    return door
