"""Downlinks that a packet forwarder was given and has said nothing of yet, by token."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from edge_agent.radio.gwmp import TxAck
from edge_agent.radio.udp_socket import Address
from edge_codecs.identifiers import EUI64

TOKENS = 1 << 16


@dataclass(frozen=True, slots=True)
class _Awaited:
    forwarder: EUI64
    address: Address
    ack: asyncio.Future[TxAck]


class AwaitedTxAcks:
    """Tokens are given in turn from `first`, and none while it is awaited.

    A TX_ACK counts only from where its PULL_RESP was sent, with that forwarder's EUI and its token: nobody
    else, and no TX_ACK that comes late or once more, may settle another's.
    """

    def __init__(self, first: int) -> None:
        self._next = first
        self._awaited: dict[bytes, _Awaited] = {}

    def expect(self, forwarder: EUI64, address: Address) -> tuple[bytes, asyncio.Future[TxAck]]:
        """A token, and what its TX_ACK will say; `forget` must follow.

        Raises RuntimeError when no token is free.
        """
        for number in range(self._next, self._next + TOKENS):
            token = (number % TOKENS).to_bytes(2)
            if token not in self._awaited:
                self._next = number + 1
                ack: asyncio.Future[TxAck] = asyncio.get_running_loop().create_future()
                self._awaited[token] = _Awaited(forwarder, address, ack)
                return token, ack
        raise RuntimeError("all tokens are awaited")

    def take(self, ack: TxAck, address: Address) -> bool:
        """Settle the downlink that this one is about; whether there is any."""
        awaited = self._awaited.get(ack.token)
        if awaited is None or (awaited.forwarder, awaited.address) != (ack.gateway, address):
            return False
        if awaited.ack.done():
            return False
        awaited.ack.set_result(ack)
        return True

    def forget(self, token: bytes) -> None:
        """The token is free again."""
        del self._awaited[token]
