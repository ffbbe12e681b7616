"""What sensors are asked after missing intervals: one question a device at a time.

In memory. Which intervals are missing, and how often each gap was asked for, the store knows; when to ask
next `history` decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edge_agent.network.gap import Gap
from edge_agent.network.history import request
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
            self._of(dev_eui).gaps = present

    def forget(self, dev_eui: DevEUI) -> None:
        """The device is gone."""
        self._devices.pop(dev_eui, None)

    def heard(self, dev_eui: DevEUI, message: Message | None) -> None:
        """An uplink came. Reports are counted since the device was asked, or sent history, last."""
        device = self._devices.get(dev_eui)
        if device is None:
            return
        if isinstance(message, Report):
            device.reports += 1
        elif isinstance(message, History):
            device.reports = 0

    def request(self, dev_eui: DevEUI, now_ms: int) -> tuple[Gap, int, bytes] | None:
        """What to ask the device now (UTC, ms): the gap, and FPort and payload that ask for it."""
        device = self._devices.get(dev_eui)
        if device is None or device.under_way is not None:
            return None
        asked = request(device.gaps, device.reports, now_ms)
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
        device.reports = 0
        device.gaps = tuple(
            replace(one, asked=one.asked + 1) if (one.channel, one.to_ms) == (gap.channel, gap.to_ms) else one
            for one in device.gaps
        )
        return gap

    def _of(self, dev_eui: DevEUI) -> _Device:
        return self._devices.setdefault(dev_eui, _Device())


class _Device:
    """`reports` counts those since the last question; before the first it is as if there had been many."""

    __slots__ = ("gaps", "reports", "under_way")

    def __init__(self) -> None:
        self.gaps: tuple[Gap, ...] = ()
        self.reports = 1 << 16
        self.under_way: tuple[int, Gap] | None = None
