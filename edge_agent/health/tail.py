"""`edge-agent tail`: every frame and its outcome, and every answer, live. Nobody looking costs nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from edge_agent.network.answer import Transmitted
from edge_agent.network.message_facts import message_line
from edge_agent.network.outcome import Admitted, Joined, Rejected
from edge_agent.network.rx_frame import RxFrame

MAX_BEHIND = 1000  # events; a watcher that is slower misses some, and is told how many


Shown = Admitted | Rejected | Joined | Transmitted


class Tail:
    """Hands each outcome to all watchers."""

    def __init__(self) -> None:
        self._watchers: list[_Watcher] = []

    def show(self, shown: Shown) -> None:
        """Tell the watchers; with none there is nothing to do."""
        if self._watchers:
            for watcher in self._watchers:
                watcher.offer(shown)

    async def watch(self, request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield an event a frame and answer. `raw`: only frames, as they came; `dev_eui`: one device."""
        is_raw = bool(request.get("raw"))
        watcher = _Watcher(request.get("dev_eui"), frames_only=is_raw)
        self._watchers.append(watcher)
        try:
            while True:
                shown, missed = await watcher.next()
                if missed:
                    yield {"missed": missed}
                if isinstance(shown, Transmitted):
                    yield _sending_event(shown)
                else:
                    yield _raw(shown.frame) if is_raw else _event(shown)
        finally:
            self._watchers.remove(watcher)


class _Watcher:
    def __init__(self, dev_eui: str | None, *, frames_only: bool) -> None:
        self._dev_eui = dev_eui
        self._frames_only = frames_only
        self._queue: asyncio.Queue[Shown] = asyncio.Queue(MAX_BEHIND)
        self._missed = 0

    def offer(self, shown: Shown) -> None:
        is_sending = isinstance(shown, Transmitted)
        if is_sending and self._frames_only:
            return
        dev_eui = shown.answer.dev_eui if isinstance(shown, Transmitted) else shown.dev_eui
        if self._dev_eui is not None and str(dev_eui) != self._dev_eui:
            return
        try:
            self._queue.put_nowait(shown)
        except asyncio.QueueFull:
            self._missed += 1

    async def next(self) -> tuple[Shown, int]:
        shown = await self._queue.get()
        missed, self._missed = self._missed, 0
        return shown, missed


def _raw(frame: RxFrame) -> dict[str, Any]:
    rxpk: dict[str, Any] = json.loads(frame.raw) if frame.raw else {}
    return rxpk


_OUTCOMES = {Admitted: "taken", Rejected: "not_taken", Joined: "joined"}


def _event(outcome: Admitted | Rejected | Joined) -> dict[str, Any]:
    frame = outcome.frame
    event: dict[str, Any] = {
        "outcome": _OUTCOMES[type(outcome)],
        "dev_eui": str(outcome.dev_eui) if outcome.dev_eui is not None else None,
        "f_cnt": None if isinstance(outcome, Joined) else outcome.f_cnt,
        "frequency_hz": frame.frequency_hz,
        "data_rate": frame.data_rate,
        "rssi_dbm": frame.rssi_dbm,
        "snr_db": frame.snr_db,
        "source": frame.source,
    }
    match outcome:
        case Admitted():
            event |= {"f_port": outcome.f_port, "payload": outcome.payload.hex()}
            says = message_line(outcome.message) if outcome.message is not None else "MAC commands only"
            event |= {"says": says, "reason": outcome.flaw.value if outcome.flaw is not None else None}
        case Joined():
            request = "join" if outcome.rejoin_type is None else f"rejoin {outcome.rejoin_type}"
            event |= {"dev_addr": str(outcome.dev_addr), "join_nonce": outcome.join_nonce, "says": request}
        case Rejected():
            dev_addr = str(outcome.dev_addr) if outcome.dev_addr is not None else None
            event |= {"dev_addr": dev_addr, "reason": outcome.reason.value, "detail": outcome.detail}
    return event


def _sending_event(sending: Transmitted) -> dict[str, Any]:
    answer, window = sending.answer, sending.window
    return {
        "outcome": "sent" if window is not None else "not_sent",
        "dev_eui": str(answer.dev_eui),
        "f_cnt": answer.f_cnt_down,
        "frequency_hz": window.frequency_hz if window is not None else None,
        "data_rate": window.data_rate if window is not None else None,
        "window": window.name if window is not None else None,
        "says": answer.what,
        "reason": sending.result.value,
        "detail": sending.detail,
        "source": answer.uplink.source,
    }
