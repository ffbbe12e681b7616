"""A packet forwarder made of software: receptions go out over UDP in time, downlinks come back."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from edge_agent.errors import ServiceUnavailable
from edge_agent.radio.gwmp import Kind as GwmpKind
from edge_agent.radio.gwmp import pull_data, push_data, tx_ack
from edge_agent.simulate.air import stat_text
from edge_agent.simulate.jit import JitQueue, Transmission, parse_txpk
from edge_agent.simulate.plan import Outcome
from edge_agent.simulate.scenario import Kind, Reception
from edge_codecs.identifiers import EUI64

TOGETHER_S = 0.010  # a forwarder fetches from the radio every 10 ms, and sends what it finds as one datagram
PULL_DATA_EVERY_S = 10.0
STAT_EVERY_S = 30.0
MAX_OUTSTANDING = 32  # datagrams under way without an acknowledgement
ACK_TIMEOUT_S = 0.5
LAST_ACK_TIMEOUT_S = 2.0
PROGRESS_EVERY_S = 0.5
HEARTBEAT_S = 0.1  # how long to wait for anything at most
_PULL_RESP_HEADER = 4  # bytes: towards a gateway there is no EUI


class Ledger(Protocol):
    """Where the lines of uplinks go that the agent must store."""

    def write(self, text: str, /) -> object:
        """Take text."""

    def flush(self) -> object:
        """See that readers have it."""


def datagrams(receptions: Iterable[Reception], bundle: int) -> Iterator[list[Reception]]:
    """What goes together: frames of the same `TOGETHER_S`, at most `bundle`; lost ones do not count."""
    group: list[Reception] = []
    frames = 0
    for reception in receptions:
        heard = reception.kind is not Kind.LOST
        if group and (reception.at_s - group[0].at_s >= TOGETHER_S or frames + heard > bundle):
            yield group
            group, frames = [], 0
        group.append(reception)
        frames += heard
    if group:
        yield group


class PacketForwarder:
    """Sends as the reference forwarder does: nothing again, and acknowledgements only counted.

    Unlike it, this one waits when `MAX_OUTSTANDING` datagrams have no answer, so that a flood does not
    overrun the receiver's buffer unnoticed. The concentrator's counter begins with `start`.
    """

    def __init__(self, gateway: EUI64, host: str, port: int) -> None:
        """Raises ServiceUnavailable when the address cannot be used."""
        self.outcome = Outcome()
        self.on_air: Callable[[Transmission], object] | None = None
        self._gateway = gateway
        self._token = 0
        self._outstanding: dict[bytes, float] = {}  # token: when it is given up
        self._jit = JitQueue()
        self.start()
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.connect(address)
        except OSError as error:
            raise ServiceUnavailable(
                f"cannot send to {host} port {port}: {error.strerror or error}",
                hint="Give the address of the agent's radio port, such as 127.0.0.1 and 1700",
            ) from None

    def start(self) -> None:
        """Time begins: the counter is 0."""
        self._begin_s = time.monotonic()
        self._pull_s = self._stat_s = self._progress_s = self._begin_s

    @property
    def counter_us(self) -> int:
        """The concentrator's counter, not cut to 32 bits."""
        return round((time.monotonic() - self._begin_s) * 1_000_000)

    @property
    def is_free(self) -> bool:
        """Whether one more datagram may go out."""
        return len(self._outstanding) < MAX_OUTSTANDING

    def beat(self, progress: Callable[[Outcome], None] | None) -> None:
        """What a forwarder does from time to time: PULL_DATA, statistics; and tell how far it is."""
        now_s = time.monotonic()
        if now_s >= self._pull_s:
            self._pull_s = now_s + PULL_DATA_EVERY_S
            self._send(pull_data(self._next_token(), self._gateway))
        if now_s >= self._stat_s:
            self._stat_s = now_s + STAT_EVERY_S
            self._push(f'{{"stat":{self._stat()}}}')
        if progress is not None and now_s >= self._progress_s:
            self._progress_s = now_s + PROGRESS_EVERY_S
            progress(self.outcome)

    def send_group(self, group: list[Reception], ledger: Ledger | None) -> None:
        """Send what arrived together as one datagram, after the ledger has it."""
        for kind in Kind:
            count = sum(reception.kind is kind for reception in group)
            if count:
                total = getattr(self.outcome, kind.value) + count
                self.outcome = replace(self.outcome, **{kind.value: total})
        lines = "".join(f"{reception.ledger}\n" for reception in group if reception.ledger)
        if ledger is not None and lines:  # before it is sent: what is stored was in the ledger
            ledger.write(lines)
            ledger.flush()
        heard = [reception.rxpk for reception in group if reception.rxpk]
        if heard:
            self._push(f'{{"rxpk":[{",".join(heard)}]}}')

    def listen(self, timeout_s: float) -> None:
        """Take what comes: wait up to `timeout_s` for the first datagram, then take all that are there."""
        while True:
            try:
                self._socket.settimeout(timeout_s)
                answer = self._socket.recv(65_536)
            except ConnectionRefusedError:
                continue  # the kernel tells of an earlier datagram
            except (BlockingIOError, TimeoutError):
                break
            if len(answer) >= _PULL_RESP_HEADER and answer[3] == GwmpKind.PUSH_ACK:
                self._outstanding.pop(answer[1:3], None)
            elif len(answer) > _PULL_RESP_HEADER and answer[3] == GwmpKind.PULL_RESP:
                self._take_downlink(answer[1:3], answer[_PULL_RESP_HEADER:])
            timeout_s = 0
        now_s = time.monotonic()
        late = [token for token, until_s in self._outstanding.items() if until_s <= now_s]
        for token in late:
            del self._outstanding[token]
        if late:
            unacknowledged = self.outcome.unacknowledged + len(late)
            self.outcome = replace(self.outcome, unacknowledged=unacknowledged)

    def finish(self, progress: Callable[[Outcome], None] | None) -> Outcome:
        """Wait for the last acknowledgements."""
        until_s = time.monotonic() + LAST_ACK_TIMEOUT_S
        while self._outstanding and time.monotonic() < until_s:
            self.listen(0.05)
        if progress is not None:
            progress(self.outcome)
        return self.outcome

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _take_downlink(self, token: bytes, body: bytes) -> None:
        transmission = parse_txpk(body)
        if transmission is None:
            return  # the reference forwarder does not answer such a one, either
        taken = self._jit.take(transmission, self.counter_us)
        if isinstance(taken, str):
            self.outcome = replace(self.outcome, downlinks_refused=self.outcome.downlinks_refused + 1)
            self._send(tx_ack(token, self._gateway, taken))
            return
        self.outcome = replace(self.outcome, downlinks=self.outcome.downlinks + 1)
        self._send(tx_ack(token, self._gateway))
        if self.on_air is not None:
            self.on_air(taken)

    def _push(self, body: str) -> None:
        token = self._next_token()
        self._outstanding[token] = time.monotonic() + ACK_TIMEOUT_S
        self.outcome = replace(self.outcome, datagrams=self.outcome.datagrams + 1)
        self._send(push_data(token, self._gateway, body))
        self.listen(0)

    def _send(self, datagram: bytes) -> None:
        """A refused datagram (nobody listens) is one without an acknowledgement, no more."""
        try:
            self._socket.settimeout(None)
            self._socket.send(datagram)
        except ConnectionRefusedError:
            return

    def _next_token(self) -> bytes:
        self._token = (self._token + 1) & 0xFFFF
        return self._token.to_bytes(2)

    def _stat(self) -> str:
        outcome = self.outcome
        forwarded = (
            outcome.uplinks + outcome.signalling + outcome.duplicates + outcome.foreign + outcome.replays
        )
        answered = outcome.datagrams - outcome.unacknowledged - len(self._outstanding)
        return stat_text(
            datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S GMT"),
            forwarded + outcome.bad_crc,
            forwarded,
            100 * answered / outcome.datagrams if outcome.datagrams else 100,
            outcome.downlinks + outcome.downlinks_refused,
            outcome.downlinks,
        )
