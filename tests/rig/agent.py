"""A real edge agent as a process of its own, its UDP socket held as systemd would hold it."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
from pathlib import Path
from typing import Any

from edge_agent.control import AgentNotRunning, ControlClient
from tests.rig.process import BIN, Process, run, wait_until

EDGE_AGENT = BIN / "edge-agent"


class Agent:
    """One gateway: `init` makes it, `start` runs it, `kill` is kill -9. Use as a context manager."""

    def __init__(self, folder: Path, gateway_id: str, host: str | None = None, port: int = 8883) -> None:
        """`host` and `port` are the broker's; without a host nothing is synced."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.gateway_id = gateway_id
        self.configuration = folder / "config.toml"
        self._sockets = tempfile.TemporaryDirectory(prefix="agent-")  # a Unix socket's path must be short
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._udp.bind(("127.0.0.1", 0))
        self.port: int = self._udp.getsockname()[1]
        control = Path(self._sockets.name) / "control.sock"
        options = ["--host", host, "--port", str(port)] if host is not None else []
        run(
            [
                EDGE_AGENT,
                "init",
                "--config",
                self.configuration,
                "--gateway-id",
                gateway_id,
                "--state",
                folder,
                "--control-socket",
                control,
                *options,
            ]
        )
        self.environment = {
            "EDGE_AGENT__CLOCK__SOURCE": "trusted",
            "EDGE_AGENT__RADIO": json.dumps(
                [{"type": "semtech_udp", "port": self.port, "map_directory": str(folder)}]
            ),
        }
        self._control = ControlClient(control)
        self._process = Process(
            [EDGE_AGENT, "run", "--config", self.configuration],
            folder / "agent.log",
            self.environment,
            inherited=self._udp,
        )

    @property
    def identity(self) -> Path:
        """What registers it at the cloud."""
        return self.folder / "identity.json"

    def command(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run another command of this gateway; returns what it prints."""
        return run([EDGE_AGENT, *arguments, "--config", self.configuration], stdin, self.environment)

    def start(self) -> Agent:
        """Returns when it answers."""
        self.launch()
        wait_until(lambda: self.answers() or not self._process.running, "the agent to answer")
        assert self._process.running, f"the agent did not start:\n{self.log}"
        return self

    def launch(self) -> None:
        """Start it and do not wait."""
        self._process.start()

    def stop(self) -> int:
        """SIGTERM; returns its exit status."""
        return self._process.stop()

    def kill(self) -> None:
        """kill -9. Its datagrams wait in the kernel."""
        self._process.kill()

    def forget_datagrams(self) -> None:
        """Throw away what waits in the kernel, as if the whole gateway had been without power."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._udp.recv(1, socket.MSG_DONTWAIT)

    def status(self) -> dict[str, Any]:
        """What `edge-agent status --json` prints."""
        answer: dict[str, Any] = self.call("status")
        return answer

    def call(self, command: str, **arguments: Any) -> Any:
        """Ask the running agent as the command line does. Raises AgentError."""
        return self._control.call(command, **arguments)

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process.running

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written."""
        return self._process.said()

    def close(self) -> None:
        """End it and give everything back."""
        self._process.kill()
        self._udp.close()
        self._sockets.cleanup()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answers(self) -> bool:
        """Whether it answers at its control socket."""
        try:
            self.status()
        except AgentNotRunning:
            return False
        return True
