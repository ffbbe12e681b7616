"""Packet forwarders that speak Semtech UDP (GWMP): one socket, any number of forwarders.

A datagram is acknowledged as soon as it is read, then waits, unparsed, until the consumer asks for frames.
When more than `WAITING_DATAGRAMS` or `WAITING_BYTES` wait, the door stops reading: what comes then stays in
the kernel's buffer, which is larger and outlives us if the socket is inherited. Nothing is dropped in here;
what the kernel drops is counted. Asking for the next burst says that the last one is on disk: until then an
inherited socket keeps its datagrams, and a killed process loses none.

What concerns downlinks (PULL_DATA, TX_ACK) is dealt with as it is read, for it cannot wait for the disk.
Such a datagram stays in the row all the same, as one that is done with: the kernel forgets in the order of
arrival.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

from edge_agent.clock import Clock, ClockReading
from edge_agent.network.answer import TxResult
from edge_agent.network.rx_frame import RxFrame
from edge_agent.radio.forwarder import Forwarder
from edge_agent.radio.forwarder_file import ForwarderFile
from edge_agent.radio.gwmp import (
    NotGwmp,
    PullData,
    PushData,
    TxAck,
    acknowledgement,
    is_of_downlinks,
    parse_datagram,
    pull_resp,
)
from edge_agent.radio.tx_acks import AwaitedTxAcks
from edge_agent.radio.txpk import TxFrame, TxOutcome, outcome_of, txpk
from edge_agent.radio.udp_socket import Address, UdpSocket
from edge_codecs.identifiers import EUI64
from edge_codecs.reading import TimeQuality

WAITING_DATAGRAMS = 512
WAITING_BYTES = 2 << 20
READS_AT_ONCE = 64  # datagrams; then the loop may do other things
BURST_FRAMES = 512
MAX_FORWARDERS = 64  # the port has no authentication: strangers must not fill our memory
SAVE_EVERY_NS = 30 * 1_000_000_000

log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """A datagram that was read; `is_done` if there are no frames to be taken out of it."""

    data: bytes
    address: Address
    arrival_ns: int
    is_done: bool


class SemtechUdp:
    """The door for packet forwarders.

    Opens its socket at once (raises ServiceUnavailable when the port is taken); `inherited` are sockets from
    the service manager (`inherited_sockets`), of which the one with this port is taken out and used.
    `map_file`, on a file system that a reboot empties, keeps what is known of forwarders over restarts of the
    agent: their counter maps, and where downlinks go.
    """

    def __init__(
        self,
        clock: Clock,
        bind: str = "127.0.0.1",
        port: int = 1700,
        *,
        inherited: list[socket.socket] | None = None,
        map_file: Path | None = None,
    ) -> None:
        self._clock = clock
        self._udp = UdpSocket(bind, port, [] if inherited is None else inherited)
        self.name = f"semtech_udp {self._udp.host}:{self._udp.port}"
        self._forwarders: dict[tuple[EUI64, str], Forwarder] = {}
        self._file = ForwarderFile(map_file, clock.boot) if map_file else None
        self._known = self._file.load() if self._file else {}
        self._saved_ns = 0
        self._counts: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._tx_acks = AwaitedTxAcks(int.from_bytes(os.urandom(2)))  # none of an earlier process
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None  # set while we read
        self._stopped = False

    @property
    def address(self) -> Address:
        """Where it listens; the port is the kernel's choice if 0 was asked for."""
        return self._udp.host, self._udp.port

    async def bursts(self) -> AsyncIterator[list[RxFrame]]:
        """Frames that arrived together, together; ends after `stop` when all are handed over.

        One consumer. Datagrams that wait are handed over in one burst of `BURST_FRAMES` or a little more.
        """
        self._read_on()
        try:
            while True:
                while not self._waiting:
                    if self._stopped:
                        return
                    self._news.clear()
                    await self._news.wait()
                burst: list[RxFrame] = []
                datagrams = 0
                while self._waiting and len(burst) < BURST_FRAMES:
                    waiting = self._waiting.popleft()
                    self._waiting_bytes -= len(waiting.data)
                    datagrams += bool(waiting.data)
                    if not waiting.is_done:
                        burst += self._frames_in(waiting)
                self._read_on()
                if burst:
                    yield burst
                self._udp.settle(datagrams)
                self._save()
                await asyncio.sleep(0)  # a consumer that never waits must not keep the socket from being read
        finally:
            self._read_no_more()

    async def frames(self) -> AsyncIterator[RxFrame]:
        """The same, one by one."""
        async for burst in self.bursts():
            for frame in burst:
                yield frame

    def _read_on(self) -> None:
        if self._loop is None and not self._stopped and not self._is_full():
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._udp.fileno(), self._on_readable)
            self._loop.call_soon(self._on_readable)  # what came while we did not read woke nobody

    def _read_no_more(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._udp.fileno())
            self._loop = None

    def _is_full(self) -> bool:
        return len(self._waiting) >= WAITING_DATAGRAMS or self._waiting_bytes >= WAITING_BYTES

    def _on_readable(self) -> None:
        if self._loop is None:
            return
        self._udp.heard()
        more = self._read(READS_AT_ONCE)
        if self._is_full():
            self._counts["pauses"] += 1
            self._read_no_more()
        elif more:
            self._loop.call_soon(self._on_readable)

    def _read(self, most: int) -> bool:
        """Read so many datagrams at most; returns whether there may be more."""
        now_utc_ns, now_ns = time.time_ns(), self._clock.monotonic_ns()
        more = True
        for _ in range(most):
            datagram = self._udp.receive(now_utc_ns)
            if datagram is None:
                more = False
                break
            answer = acknowledgement(datagram.data)
            if answer is not None and not self._udp.send(answer, datagram.address):
                self._counts["acks_failed"] += 1
            self._counts["datagrams"] += 1
            waiting = _Waiting(
                datagram.data, datagram.address, now_ns - datagram.age_ns, is_of_downlinks(datagram.data)
            )
            if waiting.is_done:
                self._of_downlinks(waiting)
            self._waiting.append(waiting)
            self._waiting_bytes += len(datagram.data)
        if self._waiting:
            self._news.set()
        return more

    def _of_downlinks(self, waiting: _Waiting) -> None:
        message = parse_datagram(waiting.data)
        assert isinstance(message, PullData | TxAck)
        forwarder = self._forwarder(message.gateway, waiting.address[0])
        forwarder.protocol = waiting.data[0]
        if isinstance(message, PullData):
            forwarder.pull(message, waiting.address, waiting.arrival_ns)
        else:
            expected = self._tx_acks.take(message, waiting.address)
            forwarder.tx_ack(message, waiting.arrival_ns, expected=expected)

    def _frames_in(self, waiting: _Waiting) -> list[RxFrame]:
        message = parse_datagram(waiting.data)
        if not isinstance(message, PushData):
            assert isinstance(message, NotGwmp)
            self._counts["not_gwmp"] += 1
            return []
        forwarder = self._forwarder(message.gateway, waiting.address[0])
        forwarder.protocol = waiting.data[0]
        return forwarder.push(message, waiting.arrival_ns, self._clock.in_step)

    def _forwarder(self, eui: EUI64, host: str) -> Forwarder:
        forwarder = self._forwarders.get((eui, host))
        if forwarder is not None:
            return forwarder
        forwarder = Forwarder(eui, self.name, self._known.get((eui, host)), host)
        if len(self._forwarders) >= MAX_FORWARDERS:
            self._counts["too_many_forwarders"] += 1
            return forwarder  # its frames are taken, dated by arrival
        log.info("packet forwarder %s at %s", eui, host)
        self._forwarders[eui, host] = forwarder
        return forwarder

    def has_route(self, forwarder: EUI64, host: str) -> bool:
        """Whether this forwarder has said where its downlinks are to go."""
        known = self._forwarders.get((forwarder, host))
        return known is not None and known.downlink_address is not None

    async def transmit(self, frame: TxFrame, wait_s: float) -> TxOutcome:
        """Hand a frame to its forwarder at once, then wait so long for what becomes of it (TX_ACK)."""
        forwarder = self._forwarders.get((frame.forwarder, frame.host))
        if forwarder is None or forwarder.downlink_address is None:
            return TxOutcome(TxResult.NO_ROUTE)
        address, version = forwarder.downlink_address, forwarder.protocol
        token, ack = self._tx_acks.expect(frame.forwarder, address)
        try:
            if not self._udp.send(pull_resp(token, txpk(frame), version), address):
                return TxOutcome(TxResult.NO_ROUTE, "the system would not send")
            if version == 1:
                return TxOutcome(TxResult.SENT, "version 1 has no TX_ACK")
            async with asyncio.timeout(wait_s):
                return outcome_of(await ack)
        except TimeoutError:
            return TxOutcome(TxResult.NO_TX_ACK)
        finally:
            self._tx_acks.forget(token)

    def _save(self, *, now: bool = False) -> None:
        if self._file is None:
            return
        now_ns = self._clock.monotonic_ns()
        if now or now_ns - self._saved_ns >= SAVE_EVERY_NS:
            self._saved_ns = now_ns
            known = {key: forwarder.known for key, forwarder in self._forwarders.items()}
            self._file.save({key: one for key, one in known.items() if one is not None})

    def gps(self) -> ClockReading | None:
        """The latest believable GPS time, as an anchor for the clock; None without GPS."""
        known = [forwarder.gps for forwarder in self._forwarders.values() if forwarder.gps]
        if not known:
            return None
        monotonic_ns, utc_ms = max(known)
        return ClockReading(self._clock.boot, monotonic_ns, utc_ms, TimeQuality.GPS)

    def forwarders(self) -> list[Forwarder]:
        """All that sent something since the start."""
        return list(self._forwarders.values())

    def status(self) -> Mapping[str, object]:
        """Counters of the door and of each forwarder, JSON-able, for `edge-agent status`."""
        now_ns = self._clock.monotonic_ns()
        return {
            "name": self.name,
            "inherited": self._udp.inherited,
            "receive_buffer_bytes": self._udp.receive_buffer_bytes,
            "datagrams": self._counts["datagrams"],
            "waiting": len(self._waiting),
            "pauses": self._counts["pauses"],
            "kernel_dropped": self._udp.kernel_dropped,
            "not_gwmp": self._counts["not_gwmp"],
            "acks_failed": self._counts["acks_failed"],
            "too_many_forwarders": self._counts["too_many_forwarders"],
            "forwarders": [forwarder.status(now_ns) for forwarder in self._forwarders.values()],
        }

    def stop(self) -> None:
        """Read nothing more; `bursts` hands over what was read and ends.

        What comes later, or is in the kernel's buffer yet, waits there for the next process if the socket is
        inherited; if it is ours it would be gone, so that is read first.
        """
        self._read_no_more()
        if not self._udp.inherited and not self._stopped:
            self._read(WAITING_DATAGRAMS)
        self._stopped = True
        self._news.set()

    def close(self) -> None:
        """Close the socket (an inherited one stays open with the service manager)."""
        self._read_no_more()
        self._save(now=True)
        self._udp.close()
