"""The host's clocks, and whether its UTC may be believed.

A gateway has no clock after a power cut: until NTP answers, its UTC is anything. The kernel knows: whoever
disciplines the clock (chrony, timesyncd, ntpd) clears STA_UNSYNC, and the kernel sets it again when nobody
has done so for long enough. `Clock.in_step` asks the kernel; everything else goes by CLOCK_BOOTTIME, which
nothing steps and which runs on while the host sleeps.
"""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_codecs.reading import TimeQuality

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_STA_UNSYNC = 0x0040
_STATUS_OFFSET = 5 * ctypes.sizeof(
    ctypes.c_long
)  # struct timex: modes, offset, freq, maxerror, esterror, status
_TIMEX_BYTES = 512  # more than any architecture's struct timex


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One moment on both clocks: what dates every monotonic time of the same boot."""

    boot: str
    """The kernel's boot id; CLOCK_BOOTTIME of another boot cannot be compared."""
    monotonic_ns: int
    """CLOCK_BOOTTIME, nanoseconds."""
    utc_ms: int
    """UTC in milliseconds since 1970 at that moment."""
    quality: TimeQuality


class Clock:
    """The door to the kernel's clocks.

    `source` "kernel": UTC counts while the kernel says that it is synchronised. "trusted": always, because
    the operator declared so. `boot` is the kernel's boot id.
    """

    def __init__(
        self, source: Literal["kernel", "trusted"] = "kernel", boot_id_file: Path = BOOT_ID_FILE
    ) -> None:
        self.source = source
        self.boot = boot_id_file.read_text(encoding="ascii").strip()

    def monotonic_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds: never stepped, counts on through suspend."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ms(self) -> int:
        """This host's UTC in milliseconds since 1970, right or wrong: for showing, never for dating."""
        return time.time_ns() // 1_000_000

    def in_step(self) -> ClockReading | None:
        """Both clocks at one moment, or None while UTC cannot be believed."""
        if self.source == "kernel":
            if not kernel_is_synchronised():
                return None
            quality = TimeQuality.SYNCHRONISED
        else:
            quality = TimeQuality.TRUSTED
        before_ns = self.monotonic_ns()
        utc_ns = time.time_ns()
        after_ns = self.monotonic_ns()
        return ClockReading(self.boot, (before_ns + after_ns) // 2, utc_ns // 1_000_000, quality)


def kernel_is_synchronised() -> bool:
    """Whether the kernel holds its clock to be in step: adjtimex(2) read only, no privilege needed."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: change nothing
    state = _LIBC.adjtimex(timex)
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return is_synchronised(state, ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value)


def is_synchronised(state: int, status: int) -> bool:
    """What adjtimex(2)'s return value and status bits say."""
    return state != _TIME_ERROR and not status & _STA_UNSYNC


_LIBC = ctypes.CDLL(None, use_errno=True)
