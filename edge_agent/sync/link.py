"""What the uploader asks of the way to the broker: a connection, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LinkFault:
    """What is wrong with the link, and the next thing that a person should do."""

    message: str
    hint: str = ""


class LinkDown(Exception):
    """There is no connection, or no longer. The weather of a cellular link: try again later."""

    def __init__(self, fault: LinkFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Taken:
    """The broker has the batch (PUBACK). That proves nothing yet: only a receipt does."""

    number: int
    heard: bool = True
    """False: the broker says that nobody is subscribed, so the batch is gone."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The broker refuses the batch (PUBACK with a reason code of 128 or more)."""

    number: int
    fault: LinkFault


@dataclass(frozen=True, slots=True)
class ReceiptCame:
    """A message on the receipt topic; nothing about it is checked yet."""

    data: bytes


LinkEvent = Taken | NotTaken | ReceiptCame


class Connection(Protocol):
    """One connection to the broker, from CONNACK to its end."""

    session_present: bool
    """Whether the broker still knew us; if not, it may have lost what it had taken."""
    window: int
    """How many batches the broker takes before it has acknowledged the first."""

    def publish(self, number: int, wire: bytes) -> None:
        """Hand batch `number` over at QoS 1; never blocks. `Taken` or `NotTaken` tells what became of it."""

    async def next_event(self) -> LinkEvent:
        """The next thing that happened. Raises LinkDown when the connection has ended."""

    async def close(self) -> None:
        """Say goodbye (no last will) and end the connection."""


class Link(Protocol):
    """The way to the broker."""

    async def connect(self) -> Connection:
        """Try once. Raises LinkDown with a fault that names the cause."""
