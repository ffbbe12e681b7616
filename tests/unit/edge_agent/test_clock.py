import ctypes
import time
from pathlib import Path

import pytest

from edge_agent import clock as clock_module
from edge_agent.clock import Clock, is_synchronised, kernel_is_synchronised
from edge_codecs.reading import TimeQuality

BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_the_boot_id_is_the_kernels():
    assert Clock().boot == BOOT_ID


def test_monotonic_time_is_boottime_and_rises():
    clock = Clock()
    times = [clock.monotonic_ns() for _ in range(1000)]
    assert times == sorted(times)
    assert abs(times[-1] - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < 1_000_000_000


def test_a_trusted_clock_is_always_in_step():
    reading = Clock("trusted").in_step()
    assert reading.boot == BOOT_ID
    assert reading.quality is TimeQuality.TRUSTED
    assert abs(reading.utc_ms - time.time() * 1000) < 1000
    assert abs(reading.monotonic_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < 1_000_000_000


def test_the_kernels_clock_is_in_step_if_the_kernel_says_so():
    reading = Clock("kernel").in_step()
    if kernel_is_synchronised():
        assert reading.quality is TimeQuality.SYNCHRONISED
    else:
        assert reading is None


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        (0, 0x2001, True),  # as chrony leaves it: PLL, nanoseconds
        (1, 0x0001, True),  # a leap second comes tonight
        (5, 0x0001, False),
        (0, 0x0041, False),
        (5, 0x0040, False),  # nobody has disciplined it yet
    ],
)
def test_what_the_kernels_answer_means(state, status, expected):
    assert is_synchronised(state, status) is expected


def test_the_status_is_read_where_the_kernel_writes_it():
    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),
            *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
            ("status", ctypes.c_int),
        )

    assert Timex.status.offset == clock_module._STATUS_OFFSET
    assert ctypes.sizeof(Timex) < clock_module._TIMEX_BYTES
