"""What the running daemon answers at its control socket."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.clock import Clock
from edge_agent.control import Handler, Request
from edge_agent.device_commands import DeviceCommands
from edge_agent.device_facts import describe_rejections
from edge_agent.health.rejections import Rejections
from edge_agent.intake import Intake, Radio
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.network_server import NetworkServer
from edge_agent.store.key_provider import KeyLevel
from edge_agent.store_thread import StoreThread
from edge_agent.sync.patient import Syncing

if TYPE_CHECKING:
    from edge_agent.settings import Settings


class Commands:
    """Reads the parts' state, and has devices and downlinks put into store and memory alike."""

    def __init__(
        self,
        settings: Settings,
        key_level: KeyLevel,
        clock: Clock,
        store: StoreThread,
        network: NetworkServer,
        intake: Intake,
        radios: Sequence[Radio],
        uploader: Syncing | None,
        rejections: Rejections,
        transmitter_status: Callable[[], Mapping[str, object]],
    ) -> None:
        self._settings = settings
        self._key_level = key_level
        self._clock = clock
        self._store = store
        self._network = network
        self._intake = intake
        self._radios = radios
        self._uploader = uploader
        self._rejections = rejections
        self._transmitter_status = transmitter_status
        self._devices = DeviceCommands(REGIONS[settings.gateway.region], clock, store, network, rejections)
        self._started_ns = clock.monotonic_ns()

    def handlers(self) -> Mapping[str, Handler]:
        """Command name to handler."""
        return {"status": self._status, **self._devices.handlers()}

    async def _status(self, _request: Request) -> dict[str, Any]:
        reading = self._clock.in_step()
        await self._store.count_rejections(self._rejections)
        store = await self._store.call(lambda opened: opened.status())
        rejections = await self._store.call(lambda opened: opened.rejections())
        return {
            "gateway_id": self._settings.gateway.id,
            "version": importlib.metadata.version("clipr-gateway"),
            "pid": os.getpid(),
            "uptime_s": round((self._clock.monotonic_ns() - self._started_ns) / 1e9),
            "clock": {"in_step": reading is not None, "quality": reading and reading.quality.name.lower()},
            "store_key": self._key_level.value,
            "region": self._settings.gateway.region,
            "radios": [radio.status() for radio in self._radios],
            "devices": len(self._network),
            "joins": self._intake.joins,
            "uplinks_taken": self._intake.taken,
            "frames_not_taken": describe_rejections(rejections),
            "downlinks": dict(self._transmitter_status()) if self._settings.network.downlinks else None,
            "store": store.as_dict() | {"full": str(self._store.full) if self._store.full else None},
            "sync": self._uploader.state().as_dict() if self._uploader is not None else None,
        }
