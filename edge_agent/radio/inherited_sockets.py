"""Sockets handed over by the service manager (sd_listen_fds(3)): LISTEN_PID, LISTEN_FDS. (signatures)"""

from __future__ import annotations

import socket
from collections.abc import MutableMapping


def inherited_sockets(environ: MutableMapping[str, str], pid: int) -> list[socket.socket]:
    """Take the sockets meant for process `pid` and remove the variables, so that no child takes them too."""
    raise NotImplementedError
