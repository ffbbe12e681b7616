"""A packet forwarder on loopback that the test holds: real UDP, and it answers downlinks as it is told."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.radio.gwmp import Kind, pull_data, push_data
from edge_codecs.identifiers import EUI64

EUI = EUI64.parse("aa555a0000000101")
Address = tuple[str, int]


@dataclass(frozen=True)
class Reply:
    """One TX_ACK. `ack` None: without a body."""

    ack: dict[str, Any] | None = None
    after_s: float = 0.0
    token_plus: int = 0
    eui: EUI64 = EUI
    from_elsewhere: bool = False


ACCEPT = (Reply(),)
SILENT: tuple[Reply, ...] = ()
TWICE = (Reply(), Reply())


def refuse(word: str) -> tuple[Reply, ...]:
    return (Reply({"error": word}),)


def late(after_s: float) -> tuple[Reply, ...]:
    return (Reply(after_s=after_s),)


def warn(word: str, value: int) -> tuple[Reply, ...]:
    return (Reply({"warn": word, "value": value}),)


class FakeForwarder:
    """`replies` are used up one a downlink; then it accepts. `downlinks` are the txpk objects that came."""

    def __init__(self, radio: Address, eui: EUI64 = EUI, version: int = 2) -> None:
        self.eui = eui
        self.version = version
        self.replies: deque[Sequence[Reply]] = deque()
        self.downlinks: list[dict[str, Any]] = []
        self.tokens: list[bytes] = []
        self._radio = radio
        self._socket = _socket()
        self._stranger = _socket()

    def __enter__(self) -> FakeForwarder:
        asyncio.get_running_loop().add_reader(self._socket, self.read)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._stranger.close()

    def pull(self) -> None:
        self._socket.sendto(pull_data(b"pd", self.eui, self.version), self._radio)

    def hear(self, counter_us: int, data: str = "QAECAw==") -> None:
        rxpk = {"tmst": counter_us, "freq": 868.1, "stat": 1, "datr": "SF7BW125", "rssi": -60, "data": data}
        self._socket.sendto(
            push_data(b"ab", self.eui, json.dumps({"rxpk": [rxpk]}), self.version), self._radio
        )

    def tx_ack(self, token: bytes, reply: Reply) -> None:
        number = (int.from_bytes(token) + reply.token_plus) % (1 << 16)
        body = b"" if reply.ack is None else json.dumps({"txpk_ack": reply.ack}).encode()
        datagram = bytes((2, *number.to_bytes(2), Kind.TX_ACK)) + reply.eui + body
        (self._stranger if reply.from_elsewhere else self._socket).sendto(datagram, self._radio)

    def read(self) -> None:
        """Take what has come."""
        while True:
            try:
                datagram = self._socket.recv(65536)
            except BlockingIOError:
                return
            if datagram[3] == Kind.PULL_RESP:
                self._take(datagram)

    def _take(self, datagram: bytes) -> None:
        self.downlinks.append(json.loads(datagram[4:])["txpk"])
        self.tokens.append(datagram[1:3])
        if self.version == 1:
            return
        for reply in self.replies.popleft() if self.replies else ACCEPT:
            asyncio.get_running_loop().call_later(reply.after_s, self.tx_ack, datagram[1:3], reply)


def _socket() -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.setblocking(False)
    door.bind(("127.0.0.1", 0))
    return door
