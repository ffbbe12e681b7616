"""Now, as an argument."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.gps_time import gps_ms_of_unix_ms
from edge_agent.network.rx_frame import RxFrame


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on this host's clocks.

    `monotonic_ns` is CLOCK_BOOTTIME: what intervals are measured by. `utc_ms` is UTC in milliseconds since
    1970 at that moment if it may be believed, else None. `wall_ms` is the host's UTC, right or wrong: for
    people only.
    """

    monotonic_ns: int
    utc_ms: int | None
    wall_ms: int

    def utc_ms_of(self, frame: RxFrame) -> int | None:
        """UTC at the end of the frame's reception: the concentrator's GPS goes first. None: not known."""
        if frame.gps_ms is not None:
            return frame.gps_ms
        if self.utc_ms is None:
            return None
        return self.utc_ms - (self.monotonic_ns - frame.monotonic_ns) // 1_000_000

    def gps_ms_of(self, frame: RxFrame) -> int | None:
        """The same in GPS milliseconds, as DeviceTimeAns tells it."""
        utc_ms = self.utc_ms_of(frame)
        return None if utc_ms is None else gps_ms_of_unix_ms(utc_ms)
