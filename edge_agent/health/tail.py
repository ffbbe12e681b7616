"""`edge-agent tail`: every frame and its outcome, live, for whoever looks. Nobody looking costs nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from edge_agent.network.admit import Admitted, Rejected
from edge_agent.network.message_facts import message_line
from edge_agent.network.rx_frame import RxFrame

MAX_BEHIND = 1000  # events; a watcher that is slower misses some, and is told how many


class Tail:
    """Hands each outcome to all watchers."""

    def __init__(self) -> None:
        self._watchers: list[_Watcher] = []

    def show(self, outcome: Admitted | Rejected) -> None:
        """Tell the watchers; with none there is nothing to do."""
        if self._watchers:
            for watcher in self._watchers:
                watcher.offer(outcome)

    async def watch(self, request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield an event a frame. `raw`: the rxpk as it came; `dev_eui`: only this device."""
        watcher = _Watcher(request.get("dev_eui"))
        self._watchers.append(watcher)
        try:
            while True:
                outcome, missed = await watcher.next()
                if missed:
                    yield {"missed": missed}
                yield _raw(outcome.frame) if request.get("raw") else _event(outcome)
        finally:
            self._watchers.remove(watcher)


class _Watcher:
    def __init__(self, dev_eui: str | None) -> None:
        self._dev_eui = dev_eui
        self._queue: asyncio.Queue[Admitted | Rejected] = asyncio.Queue(MAX_BEHIND)
        self._missed = 0

    def offer(self, outcome: Admitted | Rejected) -> None:
        if self._dev_eui is not None and str(outcome.dev_eui) != self._dev_eui:
            return
        try:
            self._queue.put_nowait(outcome)
        except asyncio.QueueFull:
            self._missed += 1

    async def next(self) -> tuple[Admitted | Rejected, int]:
        outcome = await self._queue.get()
        missed, self._missed = self._missed, 0
        return outcome, missed


def _raw(frame: RxFrame) -> dict[str, Any]:
    rxpk: dict[str, Any] = json.loads(frame.raw) if frame.raw else {}
    return rxpk


def _event(outcome: Admitted | Rejected) -> dict[str, Any]:
    frame = outcome.frame
    event: dict[str, Any] = {
        "outcome": "taken" if isinstance(outcome, Admitted) else "not_taken",
        "dev_eui": str(outcome.dev_eui) if outcome.dev_eui is not None else None,
        "f_cnt": outcome.f_cnt,
        "frequency_hz": frame.frequency_hz,
        "data_rate": frame.data_rate,
        "rssi_dbm": frame.rssi_dbm,
        "snr_db": frame.snr_db,
        "source": frame.source,
    }
    if isinstance(outcome, Admitted):
        event |= {"f_port": outcome.f_port, "payload": outcome.payload.hex()}
        event["says"] = message_line(outcome.message) if outcome.message is not None else "MAC commands only"
        event["reason"] = outcome.flaw.value if outcome.flaw is not None else None
    else:
        dev_addr = str(outcome.dev_addr) if outcome.dev_addr is not None else None
        event |= {"dev_addr": dev_addr, "reason": outcome.reason.value, "detail": outcome.detail}
    return event
