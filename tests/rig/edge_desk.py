"""The command line of the gateway in this process, with a store of its own and with or without an agent."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from edge_agent.__main__ import _guarded
from edge_agent.clock import Clock
from edge_agent.control import ControlServer
from edge_agent.device_commands import DeviceCommands
from edge_agent.devices import open_store
from edge_agent.health.rejections import Rejections
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.policy import Policy
from edge_agent.settings import Settings, load
from edge_agent.store.store import Store
from edge_agent.store_thread import StoreThread
from tests.rig.desk import Done

EU868 = REGIONS["EU868"]


class EdgeDesk:
    """Runs commands with a configuration whose files all lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "config.toml"
        self._sockets = tempfile.TemporaryDirectory(prefix="desk-")  # a Unix socket's path must be short
        socket = Path(self._sockets.name) / "control.sock"
        done = self(
            *("init", "--gateway-id", "00800000a0001234"), *("--state", folder, "--control-socket", socket)
        )
        assert done.status == 0, done.err

    def __call__(self, *arguments: object, stdin: str = "") -> Done:
        """Run a command, whatever comes of it."""
        out, err = io.StringIO(), io.StringIO()
        before, sys.stdin = sys.stdin, io.StringIO(stdin)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                status = _guarded([*map(str, arguments), "--config", str(self.configuration)])
        finally:
            sys.stdin = before
        return Done(status, out.getvalue(), err.getvalue())

    def fine(self, *arguments: object, stdin: str = "") -> str:
        """Run a command that must succeed; returns what it prints."""
        done = self(*arguments, stdin=stdin)
        assert done.status == 0, done.err
        assert done.err == ""
        return done.out

    def json(self, *arguments: object, stdin: str = "") -> Any:
        """What a command that must succeed answers in JSON."""
        return json.loads(self.fine(*arguments, "--json", stdin=stdin))

    @property
    def settings(self) -> Settings:
        return load(self.configuration)

    @contextlib.contextmanager
    def store(self) -> Iterator[Store]:
        """The store, while no agent runs."""
        store = open_store(self.settings)
        try:
            yield store
        finally:
            store.close()

    @contextlib.contextmanager
    def agent(self) -> Iterator[NetworkServer]:
        """An agent's answers about devices at the control socket, with its store and its network."""
        network = NetworkServer(EU868, Policy(), (), roll=lambda _below: 0)
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._serve(network))

        def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
            loop.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            while not _answers(self.settings.health.control_socket):
                assert thread.is_alive(), task.exception()
            yield network
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()

    async def _serve(self, network: NetworkServer) -> None:
        settings, store, clock = self.settings, StoreThread(), Clock("trusted")
        await store.open(lambda: open_store(settings))
        try:
            for device in await store.call(lambda opened: opened.network_devices()):
                network.add(device)
            commands = DeviceCommands(EU868, clock, store, network, Rejections())
            await ControlServer(settings.health.control_socket, commands.handlers(), {}).serve()
        finally:
            await store.close()

    def close(self) -> None:
        """Give everything back."""
        self._sockets.cleanup()


def _answers(control_socket: Path) -> bool:
    """Whether somebody listens: the file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(control_socket)) == 0
