"""What sensors are asked after missing intervals: one question a device at a time.

In memory. Which intervals are missing, and how often each gap was asked for, the store knows; when to ask
next `history` decides. Questions are confirmed downlinks: only one that the sensor has heard counts, so that
no gap is given up for a bad link. One that it has not heard is asked again, at growing distances.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from edge_agent.network.gap import Gap
from edge_agent.network.history import REPORTS_BETWEEN, request
from edge_agent.network.outcome import Admitted
from edge_codecs.clipr import History, Report, encode_downlink
from edge_codecs.identifiers import DevEUI

MOST_DOUBLINGS: Final = 4
"""A sensor that hears nothing is asked every 2, 4 … 32 reports."""

_End: TypeAlias = tuple[int, int]


class Asking:
    """The gaps of all devices, and which of them is being asked for."""

    def __init__(self) -> None:
        self._devices: dict[DevEUI, _Device] = {}

    def gaps_are(self, dev_eui: DevEUI, gaps: Iterable[Gap]) -> None:
        """What is missing of a device now, all of it."""
        present = tuple(gaps)
        if present or dev_eui in self._devices:
            device = self._of(dev_eui)
            device.gaps = present
            ends = set(map(_end, present))
            device.asked_at = {end: at for end, at in device.asked_at.items() if end in ends}
            device.unheard = {end: times for end, times in device.unheard.items() if end in ends}

    def forget(self, dev_eui: DevEUI) -> None:
        """The device is gone."""
        self._devices.pop(dev_eui, None)

    def heard(self, uplink: Admitted) -> Gap | None:
        """An uplink came; returns the gap that the device was asked for, if the uplink acknowledges that.

        Each gap waits for so many reports; so does the device after a question.
        """
        device = self._devices.get(uplink.dev_eui)
        if device is None:
            return None
        if isinstance(uplink.message, Report):
            device.reports += 1
        elif isinstance(uplink.message, History):
            device.quiet_since = device.reports
        question = device.question
        if question is None or not (uplink.ack or question.is_over(uplink.frame.monotonic_ns)):
            return None
        device.question = None
        end = _end(question.gap)
        if not uplink.ack:
            device.unheard[end] = device.unheard.get(end, 0) + 1
            return None
        device.unheard.pop(end, None)
        device.gaps = tuple(
            replace(one, asked=one.asked + 1) if _end(one) == end else one for one in device.gaps
        )
        return question.gap

    def request(self, dev_eui: DevEUI, now_ms: int) -> tuple[Gap, int, bytes] | None:
        """What to ask the device now (UTC, ms): the gap, and FPort and payload that ask for it."""
        device = self._devices.get(dev_eui)
        if device is None or device.question is not None:
            return None
        if device.reports - device.quiet_since < REPORTS_BETWEEN:
            return None
        asked = request({gap: device.waited(_end(gap)) for gap in device.gaps}, now_ms)
        if asked is None:
            return None
        gap, question = asked
        return gap, *encode_downlink(question)

    def sending(self, gap: Gap, f_cnt: int, on_air_ns: int) -> None:
        """The question goes with the downlink of this counter, on air until then (CLOCK_BOOTTIME)."""
        self._of(gap.dev_eui).question = _Question(gap, f_cnt, on_air_ns)

    def settled(self, dev_eui: DevEUI, f_cnt: int, *, sent: bool) -> None:
        """That downlink was sent or was not."""
        device = self._devices.get(dev_eui)
        if device is None or device.question is None or device.question.f_cnt != f_cnt:
            return
        if sent:
            device.question.is_sent = True
            device.quiet_since = device.asked_at[_end(device.question.gap)] = device.reports
        else:
            device.question = None

    def _of(self, dev_eui: DevEUI) -> _Device:
        return self._devices.setdefault(dev_eui, _Device())


@dataclass(slots=True)
class _Question:
    """What a device is being asked: an uplink from before its end says nothing about it."""

    gap: Gap
    f_cnt: int
    on_air_ns: int
    is_sent: bool = False

    def is_over(self, received_ns: int) -> bool:
        return self.is_sent and received_ns > self.on_air_ns


class _Device:
    """`reports` are counted for ever; it is as if many had come before the first.

    `quiet_since`: how many there were at the last question or history; by gap, `asked_at`: at the last
    question for it, `unheard`: how often it was asked for and the device has not heard it.
    """

    __slots__ = ("asked_at", "gaps", "question", "quiet_since", "reports", "unheard")

    def __init__(self) -> None:
        self.gaps: tuple[Gap, ...] = ()
        self.reports = 1 << 16
        self.quiet_since = 0
        self.asked_at: dict[_End, int] = {}
        self.unheard: dict[_End, int] = {}
        self.question: _Question | None = None

    def waited(self, end: _End) -> int:
        """Reports since it was asked for that gap, fewer where it did not hear: then it waits for longer."""
        unheard = min(self.unheard.get(end, 0), MOST_DOUBLINGS)
        return self.reports - self.asked_at.get(end, 0) >> unheard


def _end(gap: Gap) -> _End:
    """What stays of a gap that becomes smaller in the middle or at its beginning."""
    return gap.channel, gap.to_ms
