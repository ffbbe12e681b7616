"""The application server of this gateway: what it has for each device, and what becomes of it.

Two things wait for a device: what the operator queued, and questions for intervals that are missing; the
questions only while nothing is queued. In memory; the changes it hands out must reach the disk before the
downlink goes out (see `network_server`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_agent.network.answer import Answer, TxResult
from edge_agent.network.app_queue import AppQueue
from edge_agent.network.asking import Asking
from edge_agent.network.changes import Change, HistoryAsked
from edge_agent.network.device import QueuedDownlink
from edge_agent.network.gap import Gap
from edge_agent.network.moment import Moment
from edge_agent.network.outcome import Admitted
from edge_codecs.identifiers import DevEUI


@dataclass(frozen=True, slots=True)
class Application:
    """An application payload for a device. `more`: others wait behind it.

    It is a queued downlink (`number`) or asks for a `gap`.
    """

    dev_eui: DevEUI
    f_port: int
    payload: bytes
    confirmed: bool = False
    more: bool = False
    number: int | None = None
    gap: Gap | None = None


class ApplicationServer:
    """Queues and questions of all devices. `asks`: sensors are asked for what is missing."""

    def __init__(self, *, asks: bool) -> None:
        self._asks = asks
        self._queues: dict[DevEUI, AppQueue] = {}  # one for each device that is known
        self._asking = Asking()

    def __len__(self) -> int:
        return len(self._queues)

    def __contains__(self, dev_eui: object) -> bool:
        return dev_eui in self._queues

    def add(self, dev_eui: DevEUI, waiting: Iterable[QueuedDownlink]) -> None:
        """Know a device and what waits for it."""
        self._queues[dev_eui] = AppQueue(waiting)

    def remove(self, dev_eui: DevEUI) -> None:
        """Forget a device; nothing happens where it is not known."""
        self._queues.pop(dev_eui, None)
        self._asking.forget(dev_eui)

    def enqueue(self, entry: QueuedDownlink) -> None:
        """One more for a device; nothing happens where it is not known: it was removed meanwhile."""
        if entry.dev_eui in self._queues:
            self._queues[entry.dev_eui].append(entry)

    def cancel(self, dev_eui: DevEUI) -> None:
        """Nothing of what waits for the device is wanted any more."""
        if dev_eui in self._queues:
            self._queues[dev_eui].clear()

    def gaps_are(self, gaps: Mapping[DevEUI, Iterable[Gap]]) -> None:
        """Which intervals of these devices are missing now."""
        for dev_eui, missing in gaps.items():
            if dev_eui in self._queues:
                self._asking.gaps_are(dev_eui, missing)

    def heard(self, uplink: Admitted, *, begins_session: bool) -> list[Change]:
        """An uplink came; the first of a session ends what the former one was to acknowledge."""
        queue = self._queues[uplink.dev_eui]
        gap = self._asking.heard(uplink)
        changes = (
            queue.begin_session() if begins_session else None,
            queue.heard(ack=uplink.ack, received_ns=uplink.frame.monotonic_ns),
            None if gap is None else HistoryAsked(gap.dev_eui, gap.channel, gap.to_ms),
        )
        return [change for change in changes if change is not None]

    def waiting(self, dev_eui: DevEUI, moment: Moment) -> Application | None:
        """What goes with the next downlink, if there is something."""
        queue = self._queues[dev_eui]
        entry = queue.next
        if entry is not None:
            return Application(
                dev_eui, entry.f_port, entry.payload, entry.confirmed, len(queue) > 1, entry.number
            )
        if not self._asks or len(queue) or moment.utc_ms is None:
            return None
        asked = self._asking.request(dev_eui, moment.utc_ms)
        if asked is None:
            return None
        gap, f_port, payload = asked
        return Application(dev_eui, f_port, payload, confirmed=True, gap=gap)

    def sending(self, application: Application, f_cnt: int, on_air_ns: int) -> list[Change]:
        """It is about to be sent with this counter, to be on air until then (CLOCK_BOOTTIME)."""
        if application.gap is not None:
            self._asking.sending(application.gap, f_cnt, on_air_ns)
            return []
        return [self._queues[application.dev_eui].sending(f_cnt, on_air_ns)]

    def give_up(self, application: Application, why: str) -> list[Change]:
        """It can never be sent."""
        return [] if application.number is None else [self._queues[application.dev_eui].give_up(why)]

    def settled(self, answer: Answer, result: TxResult) -> list[Change]:
        """An answer of a known device has ended, with whatever it carried."""
        assert answer.f_cnt_down is not None, "a join accept carries nothing of the application"
        was_sent = result is TxResult.SENT
        in_doubt = result is TxResult.NO_TX_ACK
        self._asking.settled(answer.dev_eui, answer.f_cnt_down, sent=was_sent or in_doubt)
        if answer.downlink is None:
            return []
        queue, number = self._queues[answer.dev_eui], answer.downlink
        if was_sent:
            change = queue.sent(number)
        elif in_doubt:
            change = queue.perhaps_sent(number, result.value)
        else:
            change = queue.not_sent(number, result.value)
        return [] if change is None else [change]
