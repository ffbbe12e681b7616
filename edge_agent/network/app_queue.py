"""Application downlinks that wait for their device: one at a time, in order, until each is done.

An unconfirmed one is done when the radio has taken it, or may have: it is not for twice, and a sensor told
to reboot by a radio that never says so would do nothing else. A confirmed one is done when an uplink
acknowledges it; every uplink that was sent after it and does not costs it a try. The disk has the same
entries: each method says what must be changed there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from edge_agent.network.changes import DownlinkChanged
from edge_agent.network.device import DownlinkState, QueuedDownlink

MAX_TRIES = 8
"""Sendings of one confirmed downlink without an acknowledgement."""


class AppQueue:
    """The queue of one device.

    `_on_air_ns` is when the head is sent by (CLOCK_BOOTTIME), None while it is not on its way: uplinks from
    before say nothing about it. `_in_doubt`: the radio did not say whether it has sent the head.
    """

    __slots__ = ("_entries", "_in_doubt", "_on_air_ns", "_under_way")

    def __init__(self, entries: Iterable[QueuedDownlink] = ()) -> None:
        self._entries = deque(entries)
        self._under_way = self._in_doubt = False
        self._on_air_ns: int | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, entry: QueuedDownlink) -> None:
        """One more, behind all others."""
        self._entries.append(entry)

    def clear(self) -> None:
        """The operator wants none of them any more; what is on the radio goes all the same."""
        self._entries.clear()
        self._settle()

    @property
    def next(self) -> QueuedDownlink | None:
        """What goes with the next downlink; None where nothing waits or the head is on its way."""
        if not self._entries or self._under_way:
            return None
        head = self._entries[0]
        return head if head.state is DownlinkState.WAITING else None

    def sending(self, f_cnt: int, on_air_ns: int) -> DownlinkChanged:
        """The head is about to be sent with this counter, to be on air until then."""
        head = self._entries[0]
        state = DownlinkState.SENT if head.confirmed else DownlinkState.WAITING
        self._under_way, self._on_air_ns = True, on_air_ns
        return self._become(state, tries=head.tries, f_cnt_down=f_cnt)

    def sent(self, number: int) -> DownlinkChanged | None:
        """The radio has taken it: that was a try."""
        head = self._head(number)
        if head is None:
            return None
        self._under_way = False
        change = self._become(head.state, tries=head.tries + 1)
        return change if head.confirmed else self._done(DownlinkState.SENT)

    def not_sent(self, number: int, why: str) -> DownlinkChanged | None:
        """The radio has not: it goes with the next downlink, and this was no try."""
        head = self._head(number)
        if head is None:
            return None
        self._settle()
        return self._become(DownlinkState.WAITING, tries=head.tries, detail=why)

    def perhaps_sent(self, number: int, why: str) -> DownlinkChanged | None:
        """The radio does not say. A confirmed one goes again unless the next uplink acknowledges it."""
        change = self.not_sent(number, why)
        if change is None:
            return None
        if not self._entries[0].confirmed:
            return self._done(DownlinkState.FAILED, f"{why}: it may have been sent")
        self._in_doubt = True
        return change

    def heard(self, *, ack: bool, received_ns: int) -> DownlinkChanged | None:
        """An uplink came: it acknowledges the confirmed downlink that was sent before it, or does not."""
        if not self._entries:
            return None
        in_doubt, self._in_doubt = self._in_doubt, False
        is_sent = self._entries[0].state is DownlinkState.SENT
        if ack and (is_sent or in_doubt):
            self._settle()
            return self._done(DownlinkState.ACKNOWLEDGED)
        if not is_sent:
            return None
        if self._under_way or (self._on_air_ns is not None and received_ns <= self._on_air_ns):
            return None
        self._settle()
        if self._entries[0].tries >= MAX_TRIES:
            return self._done(DownlinkState.FAILED, f"not acknowledged in {MAX_TRIES} tries")
        return self._become(DownlinkState.WAITING, tries=self._entries[0].tries, detail="not acknowledged")

    def begin_session(self) -> DownlinkChanged | None:
        """The device joined anew: what it was sent before is not acknowledged any more."""
        if not self._entries or self._entries[0].state is not DownlinkState.SENT:
            return None
        self._settle()
        return self._become(
            DownlinkState.WAITING, tries=self._entries[0].tries, detail="the device joined anew"
        )

    def give_up(self, why: str) -> DownlinkChanged:
        """The head can never be sent."""
        self._settle()
        return self._done(DownlinkState.FAILED, why)

    def _head(self, number: int) -> QueuedDownlink | None:
        """The head if it is this one: it may have been cleared while it was on its way."""
        return self._entries[0] if self._entries and self._entries[0].number == number else None

    def _settle(self) -> None:
        self._under_way, self._in_doubt, self._on_air_ns = False, False, None

    def _become(
        self, state: DownlinkState, *, tries: int, f_cnt_down: int | None = None, detail: str = ""
    ) -> DownlinkChanged:
        head = self._entries[0]
        counter = head.f_cnt_down if f_cnt_down is None else f_cnt_down
        head = replace(head, state=state, tries=tries, f_cnt_down=counter, detail=detail)
        self._entries[0] = head
        return DownlinkChanged(head.number, state, tries, counter, detail)

    def _done(self, state: DownlinkState, detail: str = "") -> DownlinkChanged:
        head = self._entries.popleft()
        return DownlinkChanged(head.number, state, head.tries, head.f_cnt_down, detail)
