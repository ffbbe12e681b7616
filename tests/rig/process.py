"""Real processes that a test starts, waits for and kills; each by its own process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

BIN = Path(sys.executable).parent


def wait_until(
    condition: Callable[[], object], what: str, timeout_s: float = 30.0, step_s: float = 0.02
) -> None:
    """Look at `condition` until it is true. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(step_s)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Process:
    """One program with its log file. `inherited` is handed over as systemd would (LISTEN_FDS)."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        inherited: socket.socket | None = None,
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        self._environment = environment if environment is not None else {}  # read anew at each start
        self._inherited = inherited
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        """Start it; it must not be running."""
        assert not self.running, "it is running already"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")} | dict(
            self._environment
        )
        arguments, pass_fds = self.arguments, ()
        if self._inherited is not None:
            number = self._inherited.fileno()
            arguments = [sys.executable, "-I", "-S", "-c", _HAND_OVER, str(number), *arguments]
            pass_fds = (number,)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=pass_fds,
            )
        return self

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, and wait; returns its exit status."""
        return self._end(signal.SIGTERM)

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait for its own end; returns its exit status."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def said(self) -> str:
        """Everything it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self.running:
            self._process.send_signal(number)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            raise


def run(
    arguments: Sequence[str | Path], stdin: str = "", environment: Mapping[str, str] | None = None
) -> str:
    """Run one of our commands to its end. Raises AssertionError with what it printed if it fails."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | dict(environment or {}),
        check=False,
    )
    assert done.returncode == 0, f"{arguments} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout
