"""A link in memory whose other end the test holds."""

from __future__ import annotations

import asyncio

from edge_agent.sync.link import LinkDown, LinkEvent, LinkFault

CUT = LinkFault("the connection to the broker was lost")


class FakeConnection:
    """`sent` is what was published and nobody has dealt with yet."""

    def __init__(self, *, session_present: bool, window: int) -> None:
        self.session_present = session_present
        self.window = window
        self.sent: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self.events: asyncio.Queue[LinkEvent | LinkDown] = asyncio.Queue()
        self.closed = False

    def publish(self, number: int, wire: bytes) -> None:
        self.sent.put_nowait((number, wire))

    async def next_event(self) -> LinkEvent:
        event = await self.events.get()
        if isinstance(event, LinkDown):
            self.events.put_nowait(event)
            raise event
        return event

    async def close(self) -> None:
        self.closed = True

    # The test's end

    def say(self, event: LinkEvent) -> None:
        self.events.put_nowait(event)

    def cut(self, fault: LinkFault = CUT) -> None:
        self.events.put_nowait(LinkDown(fault))


class FakeLink:
    """Gives the connections and faults that the test puts into `answers`, one a try; then it hangs."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[FakeConnection | LinkFault] = asyncio.Queue()
        self.tries = 0

    async def connect(self) -> FakeConnection:
        self.tries += 1
        answer = await self.answers.get()
        if isinstance(answer, LinkFault):
            raise LinkDown(answer)
        return answer

    def up(self, *, session_present: bool = False, window: int = 20) -> FakeConnection:
        connection = FakeConnection(session_present=session_present, window=window)
        self.answers.put_nowait(connection)
        return connection

    def down(self, fault: LinkFault = CUT) -> None:
        self.answers.put_nowait(fault)
