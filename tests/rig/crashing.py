"""Network server and store as the agent joins them, which lose their power after any step."""

from __future__ import annotations

import contextlib
import enum
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from edge_agent.clock import ClockReading
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.network.answer import Transmitted
from edge_agent.network.decision import Decision
from edge_agent.network.moment import Moment
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.outcome import Admitted, Joined, Rejected
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import RxFrame
from edge_agent.store.files import LOG_SUFFIXES, beside
from edge_codecs.reading import TimeQuality
from tests.rig.store import BOOT, open_store

MEMORY_DISK = Path("/dev/shm")


class Step(enum.Enum):
    """Where the power may go: after a step, before the next."""

    DECIDED = "decided"
    COMMITTED = "committed"
    ON_AIR = "on air"
    NOTED = "noted"


class PowerCut(Exception):
    """The power went; the gateway has started again meanwhile."""


class CrashingGateway:
    """One gateway. Its methods are the steps of `Intake`; `cut_after` is where the power goes next."""

    def __init__(self, region: Region, policy: Policy, devices: Sequence[Session | Registration]) -> None:
        self.cut_after: Step | None = None
        self.committed: Admitted | Rejected | Joined | None = None  # the last outcome that is on disk
        self.cuts = 0
        self._region = region
        self._policy = policy
        self._rolls = Random(1)
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-", dir=_fast_disk()))
        self._path = self._folder / "0" / "store.db"
        self._path.parent.mkdir()
        self._start()
        for device in self.store.add_devices(devices):
            self.server.add(device)

    def receive(self, frame: RxFrame, moment: Moment) -> Decision:
        """Decide and commit. Raises PowerCut."""
        decision = self.server.receive(frame, moment)
        self._cut(Step.DECIDED)
        kept = [decision.outcome] if isinstance(decision.outcome, Admitted) else []
        if kept or decision.changes:
            self.store.keep(kept, _reading(moment), decision.changes)
        self.committed = decision.outcome
        self._cut(Step.COMMITTED)
        return decision

    def on_air(self) -> None:
        """The answer has gone out. Raises PowerCut."""
        self._cut(Step.ON_AIR)

    def transmitted(self, sending: Transmitted) -> None:
        """Note how an answer ended. Raises PowerCut."""
        if changes := self.server.transmitted(sending):
            self.store.apply(changes)
        self._cut(Step.NOTED)

    def queue(self, dev_eui: object, f_port: int, payload: bytes, *, confirmed: bool) -> None:
        """What the operator's command does."""
        self.server.enqueue(self.store.queue_downlink(dev_eui, f_port, payload, confirmed, 0))  # type: ignore[arg-type]

    def close(self) -> None:
        """The end."""
        self.store.close()
        shutil.rmtree(self._folder)

    def _cut(self, step: Step) -> None:
        if self.cut_after is not step:
            return
        self.cut_after = None
        self.cuts += 1
        # what is on the disk now, byte by byte, is what the next life finds
        path = self._folder / str(self.cuts) / "store.db"
        path.parent.mkdir()
        for suffix in ("", *LOG_SUFFIXES):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(beside(self._path, suffix), beside(path, suffix))
        self.store.close()
        shutil.rmtree(self._path.parent)
        self._path = path
        self._start()
        raise PowerCut

    def _start(self) -> None:
        self.store = open_store(self._path)
        self.server = NetworkServer(self._region, self._policy, (), self._rolls.randrange)
        for device in self.store.network_devices():
            self.server.add(device)


def _reading(moment: Moment) -> ClockReading:
    assert moment.utc_ms is not None
    return ClockReading(BOOT, moment.monotonic_ns, moment.utc_ms, TimeQuality.SYNCHRONISED)


def _fast_disk() -> Path | None:
    return MEMORY_DISK if MEMORY_DISK.is_dir() else None
