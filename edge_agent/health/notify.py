"""What systemd is told: ready, status line, watchdog (sd_notify(3); one datagram, no library needed)."""

from __future__ import annotations

import os
import socket


def notify(text: str) -> bool:
    """Send `text`, such as "READY=1", to the service manager. Returns whether there is one that took it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.connect(address)
            channel.sendall(text.encode())
        except OSError:
            return False
    return True


def watchdog_interval_s() -> float | None:
    """Half of the interval that systemd watches us with, None where it does not (sd_watchdog_enabled(3))."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    watched = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 2e6 if watched and microseconds.isdigit() else None
