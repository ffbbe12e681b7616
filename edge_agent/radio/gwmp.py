"""Gateway message protocol, the "Semtech UDP" of packet forwarders (protocol text 1.6), versions 1 and 2.

A datagram is: version (1 byte) · token (2) · kind (1) · EUI of the gateway (8, from the gateway only) · JSON.
There is no authentication and nothing is ever sent again, whatever the acknowledgements say.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass

from edge_agent.radio.push_json import read_push
from edge_agent.radio.rxpk import Flaw, RxPk, parse_rxpk
from edge_agent.radio.stat import Stat, parse_stat
from edge_codecs.identifiers import EUI64

HEADER_BYTES = 12
VERSIONS = (1, 2)


class Kind(enum.IntEnum):
    """Byte 3 of a datagram."""

    PUSH_DATA = 0
    PUSH_ACK = 1
    PULL_DATA = 2
    PULL_RESP = 3
    PULL_ACK = 4
    TX_ACK = 5


@dataclass(frozen=True, slots=True)
class PushData:
    """Frames received and the forwarder's statistics, either may be missing.

    `flaws` has one member for each rxpk that is no frame.
    """

    gateway: EUI64
    rxpks: tuple[RxPk, ...]
    flaws: tuple[Flaw, ...]
    stat: Stat | None


@dataclass(frozen=True, slots=True)
class PullData:
    """The forwarder can be reached with downlinks at the address that this came from."""

    gateway: EUI64


@dataclass(frozen=True, slots=True)
class TxAck:
    """What became of a downlink; `error` is "" when it goes on air, else TOO_LATE, COLLISION_PACKET …"""

    gateway: EUI64
    token: bytes
    error: str
    warning: str  # such as TX_POWER
    value: int | None  # that the warning is about: the power used instead, dBm


@dataclass(frozen=True, slots=True)
class NotGwmp:
    """No datagram of a packet forwarder."""

    why: str


def acknowledgement(datagram: bytes) -> bytes | None:
    """The answer due to a PUSH_DATA or PULL_DATA, by its first 4 bytes; None for anything else."""
    if len(datagram) < HEADER_BYTES or datagram[0] not in VERSIONS:
        return None
    if datagram[3] == Kind.PUSH_DATA:
        return datagram[:3] + b"\x01"
    if datagram[3] == Kind.PULL_DATA:
        return datagram[:3] + b"\x04"
    return None


def is_of_downlinks(datagram: bytes) -> bool:
    """Whether it is a PULL_DATA or a TX_ACK; then `parse_datagram` gives PullData or TxAck."""
    return (
        len(datagram) >= HEADER_BYTES
        and datagram[0] in VERSIONS
        and datagram[3] in (Kind.PULL_DATA, Kind.TX_ACK)
    )


def parse_datagram(datagram: bytes) -> PushData | PullData | TxAck | NotGwmp:
    """Read what a forwarder sent to us. Never raises."""
    if len(datagram) < HEADER_BYTES:
        return NotGwmp("shorter than 12 bytes")
    if datagram[0] not in VERSIONS:
        return NotGwmp(f"version {datagram[0]}")
    kind = datagram[3]
    gateway = EUI64(datagram[4:HEADER_BYTES])
    if kind == Kind.PUSH_DATA:
        return _push_data(gateway, datagram[HEADER_BYTES:])
    if kind == Kind.PULL_DATA:
        return PullData(gateway)
    if kind == Kind.TX_ACK:
        return _tx_ack(gateway, datagram[1:3], datagram[HEADER_BYTES:])
    return NotGwmp(f"kind {kind} is none that a gateway sends")


def _push_data(gateway: EUI64, body: bytes) -> PushData:
    content = read_push(body.decode("utf-8", "replace"))
    rxpks: list[RxPk] = []
    flaws = [Flaw.NOT_JSON] * content.damages
    for value, text in content.rxpks:
        rxpk = parse_rxpk(value, text)
        if isinstance(rxpk, RxPk):
            rxpks.append(rxpk)
        else:
            flaws.append(rxpk)
    return PushData(gateway, tuple(rxpks), tuple(flaws), parse_stat(content.stat))


def _tx_ack(gateway: EUI64, token: bytes, body: bytes) -> TxAck:
    """An empty body means that all is well, and so does the error NONE of some forwarders."""
    ack: object = None
    try:
        ack = json.loads(body.rstrip(b"\0") or b"{}").get("txpk_ack")
    except (ValueError, AttributeError, RecursionError):
        return TxAck(gateway, token, "UNREADABLE", "", None)
    if not isinstance(ack, dict):
        ack = {}
    error, warning, value = ack.get("error"), ack.get("warn"), ack.get("value")
    return TxAck(
        gateway,
        token,
        error[:32] if isinstance(error, str) and error != "NONE" else "",
        warning[:32] if isinstance(warning, str) else "",
        value if type(value) is int else None,
    )


def push_data(token: bytes, gateway: EUI64, body: str, version: int = 2) -> bytes:
    """A PUSH_DATA datagram, as a forwarder builds it; `body` is JSON text."""
    return bytes((version, *token, Kind.PUSH_DATA)) + gateway + body.encode()


def pull_data(token: bytes, gateway: EUI64, version: int = 2) -> bytes:
    """A PULL_DATA datagram, as a forwarder builds it."""
    return bytes((version, *token, Kind.PULL_DATA)) + gateway


def tx_ack(token: bytes, gateway: EUI64, error: str = "") -> bytes:
    """A TX_ACK datagram, as a forwarder of version 2 builds it: without a body when all is well."""
    body = json.dumps({"txpk_ack": {"error": error}}).encode() if error else b""
    return bytes((2, *token, Kind.TX_ACK)) + gateway + body


def pull_resp(token: bytes, txpk: dict[str, object], version: int = 2) -> bytes:
    """A downlink for a forwarder. Version 1 has no token here and never answers with TX_ACK."""
    body = json.dumps({"txpk": txpk}, separators=(",", ":")).encode()
    return bytes((version, *(token if version > 1 else b"\0\0"), Kind.PULL_RESP)) + body
