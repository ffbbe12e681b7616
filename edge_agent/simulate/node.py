"""A sensor with its radio: when it sends what, and what it does with what it hears. Pure.

Reports go out when their interval ends, whatever else is under way: the interval's end is the frame's. All
else waits until the windows of the uplink before have passed and nothing would meet the next report. Where
intervals are too short for that it waits for RX1 only.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from edge_agent.lorawan.airtime import downlink_airtime_us
from edge_agent.lorawan.mac_commands import DeviceTimeAns
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.registration import Registration
from edge_agent.simulate.air import Link
from edge_agent.simulate.class_a import LISTENS_US, ClassADevice, Heard, Joined, Received, Sent
from edge_agent.simulate.clipr import DAY_US, SECOND_US, ClipR
from edge_agent.simulate.memory import Interval
from edge_codecs.clipr import Message, Reboot, encode

MAX_TRIES = 8  # of a confirmed uplink
_FIRST_BACK_OFF_US = 2 * SECOND_US
_MAX_BACK_OFF_US = 300 * SECOND_US
_BOOT_US = SECOND_US
_REACTS_US = SECOND_US // 10


@dataclass(frozen=True, slots=True)
class Said:
    """An uplink on its way. `f_port` is None for one that the agent keeps no row of.

    `closed` are intervals that have ended: with this report, or unsaid (`sent` None). `is_first`: the
    sensor's first report after it came on.
    """

    sent: Sent | None
    f_port: int | None = None
    payload: bytes = b""
    closed: tuple[tuple[int, Interval], ...] = ()
    is_first: bool = False
    is_repeat: bool = False


class Node:
    """One sensor that joins. `at_us` is when it is switched on."""

    def __init__(
        self,
        registration: Registration,
        sensor: ClipR,
        link: Link,
        region: Region,
        rng: Random,
        *,
        at_us: int,
        dev_nonce: int = 0,
        confirmed: float = 0.0,
    ) -> None:
        data_rate = region.data_rate_up(link.data_rate)
        self.device = ClassADevice(registration, region, rng, data_rate=data_rate)
        assert self.device.joiner is not None
        self.device.joiner.dev_nonce = dev_nonce
        self.sensor = sensor
        self.link = link
        self.join_nonce = 0  # of the session: what tells two lives of the frame counter apart
        self._rng = rng
        self._confirmed = confirmed
        self._join_us = at_us
        self._joins = 0
        self._free_us = at_us  # when the windows of the last uplink have passed
        self._time_asked_us: int | None = None
        self._time_us: int | None = None  # when it was told the time
        self._repeats = 0
        self._reported = False
        self._last_said: Said | None = None

    @property
    def next_us(self) -> int:
        """When to `wake` it next."""
        report_us = self.sensor.report_us
        if self.device.must_join:
            join_us = max(self._join_us, self._free_us)
            return join_us if report_us is None else min(join_us, report_us)
        assert report_us is not None
        speaks_us = self._free_us if self._repeats else self.sensor.next_us(self._free_us)
        return report_us if speaks_us is None else min(report_us, self._fits_us(speaks_us))

    def wake(self, now_us: int) -> Said | None:
        """Send what is due, if anything is."""
        report_us = self.sensor.report_us
        if self.device.must_join:
            return self._out_of_network(now_us)
        assert report_us is not None
        if now_us >= report_us:
            return self._report(now_us)
        if self._fits_us(now_us) > now_us:
            return None
        if self._repeats:
            return self._repeat(now_us)
        message = self.sensor.speak(now_us, self.device.room(), self.device.utc_ms)
        if message is None:
            self._free_us = now_us + SECOND_US
            return None
        return self._send(now_us, message)

    def receive(
        self, phy_payload: bytes, at_us: int, frequency_hz: int, data_rate: str, snr_db: float
    ) -> Heard:
        """A transmission of the gateway that begins at `at_us`."""
        heard = self.device.receive(phy_payload, at_us, frequency_hz, data_rate, snr_db=snr_db)
        end_us = at_us + downlink_airtime_us(len(phy_payload), data_rate)  # until then the gateway is deaf
        match heard:
            case Joined():
                self.join_nonce, self._joins = heard.join_nonce, 0
                self.sensor.begin(at_us)
                self._free_us = end_us + self._rng.randrange(SECOND_US // 2, 2 * SECOND_US)
            case Received():
                self._repeats = 0
                self._free_us = end_us + _REACTS_US
                self._obey(heard, at_us)
        return heard

    def _obey(self, heard: Received, at_us: int) -> None:
        if any(isinstance(one, DeviceTimeAns) for one in heard.commands):
            self._time_us = at_us
        if heard.f_port:
            done = self.sensor.hear(heard.f_port, heard.payload, self.device.utc_ms)
            if isinstance(done, Reboot):
                self.device.power_cycle()
                self._join_us = at_us + _BOOT_US
                self._time_us, self._reported = None, False

    def _out_of_network(self, now_us: int) -> Said | None:
        """Ask to join when its turn has come; measure and remember meanwhile."""
        if self.sensor.report_us is not None and now_us >= self.sensor.report_us:
            return Said(None, closed=tuple(self.sensor.close(now_us)))
        if now_us < max(self._join_us, self._free_us):
            return None
        sent = self.device.join_request(now_us)
        self._listen()
        self._repeats = 0
        back_off_us = min(_MAX_BACK_OFF_US, _FIRST_BACK_OFF_US << min(self._joins, 10))
        self._joins += 1
        self._join_us = self._free_us + self._rng.randrange(back_off_us // 2, back_off_us)
        return Said(sent)

    def _report(self, now_us: int) -> Said:
        message = self.sensor.report(now_us, in_step=self._in_step(now_us))
        said = self._send(now_us, message)
        assert said.sent is not None
        closed = tuple(self.sensor.close(said.sent.end_us))
        is_first, self._reported = not self._reported, True
        return self._keep(Said(said.sent, said.f_port, said.payload, closed, is_first))

    def _send(self, now_us: int, message: Message) -> Said:
        if not self._in_step(now_us):
            self.device.ask_time()
        f_port, payload = encode(message)
        confirmed = self._rng.random() < self._confirmed
        sent = self.device.send(now_us, f_port, payload, confirmed=confirmed)
        self._repeats = max(self.device.radio.nb_trans, MAX_TRIES if confirmed else 1) - 1
        self._listen()
        return self._keep(Said(sent, f_port, payload))

    def _repeat(self, now_us: int) -> Said:
        assert self._last_said is not None
        self._repeats -= 1
        sent = self.device.repeat(now_us)
        self._listen()
        return Said(sent, self._last_said.f_port, self._last_said.payload, is_repeat=True)

    def _keep(self, said: Said) -> Said:
        self._last_said = said
        return said

    def _listen(self) -> None:
        """The device is busy until its windows have passed, if intervals leave the time for that."""
        windows = self.device.windows()
        last = windows[0] if self._is_crowded else windows[-1]
        self._free_us = last.begin_us + LISTENS_US

    @property
    def _busy_us(self) -> int:
        """How long an uplink and its windows take, about."""
        return self.device.radio.rx1_delay_s * SECOND_US + 2 * SECOND_US

    @property
    def _is_crowded(self) -> bool:
        return self.sensor.interval_s * SECOND_US < 2 * self._busy_us

    def _fits_us(self, at_us: int) -> int:
        """When an uplink beside the reports fits in, from `at_us` on; the next report's time if none does."""
        report_us = self.sensor.report_us
        soonest_us = max(at_us, self._free_us)
        if self._is_crowded or report_us is None or soonest_us + self._busy_us <= report_us:
            return soonest_us
        return report_us

    def _in_step(self, now_us: int) -> bool:
        return self._time_us is not None and now_us - self._time_us < DAY_US
