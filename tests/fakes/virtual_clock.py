"""The host's clocks on an event loop whose time jumps."""

from __future__ import annotations

import asyncio


class VirtualClock:
    """CLOCK_BOOTTIME is the loop's time; nobody knows UTC."""

    def __init__(self, boot: str = "boot") -> None:
        self.boot = boot

    def monotonic_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9)

    def in_step(self) -> None:
        return None
