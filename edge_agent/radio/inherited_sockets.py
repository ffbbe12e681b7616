"""Sockets handed over by the service manager (sd_listen_fds(3)): LISTEN_PID, LISTEN_FDS.

The manager keeps the socket open while the agent restarts, so the kernel queues what comes meanwhile.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

FIRST_FD = 3


def inherited_sockets(environ: MutableMapping[str, str], pid: int) -> list[socket.socket]:
    """Take the sockets meant for process `pid` and remove the variables, so that no child takes them too.

    Descriptors that are no sockets, or that are not open, are passed over.
    """
    meant_for, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if meant_for != str(pid) or not count.isdecimal():
        return []
    sockets = []
    for fd in range(FIRST_FD, FIRST_FD + min(int(count), 64)):
        try:
            os.set_inheritable(fd, False)  # noqa: FBT003  takes no keywords
            sockets.append(socket.socket(fileno=fd))
        except OSError:
            continue
    return sockets
