"""A link that breaks: passes TCP on, and cuts each connection after some kilobytes."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from typing import Self


class CuttingProxy:
    """Between a client and `target` on loopback; a connection ends after `low` to `high` bytes upstream."""

    def __init__(self, target: int, low: int, high: int, seed: int = 1) -> None:
        self.cuts = 0
        self._target = target
        self._roll = random.Random(seed)
        self._low, self._high = low, high
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(30)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            limit = self._roll.randint(self._low, self._high)
            for arguments in ((client, server, limit), (server, client, None)):
                thread = threading.Thread(target=self._pump, args=arguments)
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(2048):
                sink.sendall(data)
                passed += len(data)
                if limit is not None and passed >= limit:
                    self.cuts += 1
                    break
        for channel in (source, sink):
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
            if limit is None or channel is source:
                channel.close()
