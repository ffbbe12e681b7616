"""What sensors are asked after missing intervals: one question a device at a time.

In memory. Which intervals are missing, and how often each gap was asked for, the store knows; when to ask
next `history` decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edge_agent.network.gap import Gap
from edge_agent.network.history import REPORTS_BETWEEN, request
from edge_codecs.clipr import History, Message, Report, encode_downlink
from edge_codecs.identifiers import DevEUI


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

    def forget(self, dev_eui: DevEUI) -> None:
        """The device is gone."""
        self._devices.pop(dev_eui, None)

    def heard(self, dev_eui: DevEUI, message: Message | None) -> None:
        """An uplink came. Each gap waits for so many reports; so does the device after a question."""
        device = self._devices.get(dev_eui)
        if device is None:
            return
        if isinstance(message, Report):
            device.reports += 1
        elif isinstance(message, History):
            device.quiet_since = device.reports

    def request(self, dev_eui: DevEUI, now_ms: int) -> tuple[Gap, int, bytes] | None:
        """What to ask the device now (UTC, ms): the gap, and FPort and payload that ask for it."""
        device = self._devices.get(dev_eui)
        if device is None or device.under_way is not None:
            return None
        if device.reports - device.quiet_since < REPORTS_BETWEEN:
            return None
        waited = {gap: device.reports - device.asked_at.get(_end(gap), 0) for gap in device.gaps}
        asked = request(waited, now_ms)
        if asked is None:
            return None
        gap, question = asked
        return gap, *encode_downlink(question)

    def sending(self, gap: Gap, f_cnt: int) -> None:
        """The question goes with the downlink of this counter."""
        self._of(gap.dev_eui).under_way = f_cnt, gap

    def settled(self, dev_eui: DevEUI, f_cnt: int, *, sent: bool) -> Gap | None:
        """That downlink was sent or was not; returns the gap that was asked for, if it was."""
        device = self._devices.get(dev_eui)
        if device is None or device.under_way is None or device.under_way[0] != f_cnt:
            return None
        _, gap = device.under_way
        device.under_way = None
        if not sent:
            return None
        device.quiet_since = device.asked_at[_end(gap)] = device.reports
        device.gaps = tuple(
            replace(one, asked=one.asked + 1) if _end(one) == _end(gap) else one for one in device.gaps
        )
        return gap

    def _of(self, dev_eui: DevEUI) -> _Device:
        return self._devices.setdefault(dev_eui, _Device())


class _Device:
    """`reports` are counted for ever; it is as if many had come before the first.

    `quiet_since`: how many there were at the last question or history; `asked_at`: when it was asked for a
    gap.
    """

    __slots__ = ("asked_at", "gaps", "quiet_since", "reports", "under_way")

    def __init__(self) -> None:
        self.gaps: tuple[Gap, ...] = ()
        self.reports = 1 << 16
        self.quiet_since = 0
        self.asked_at: dict[tuple[int, int], int] = {}
        self.under_way: tuple[int, Gap] | None = None


def _end(gap: Gap) -> tuple[int, int]:
    """What stays of a gap that becomes smaller in the middle or at its beginning."""
    return gap.channel, gap.to_ms
