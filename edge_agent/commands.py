"""What the running daemon answers at its control socket."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.clock import Clock
from edge_agent.control import Handler, Request
from edge_agent.devices import describe_device, describe_devices, describe_rejections
from edge_agent.health.rejections import Rejections
from edge_agent.intake import Intake, Radio
from edge_agent.network.admit import Activations
from edge_agent.device_record import from_record
from edge_agent.store.key_provider import KeyLevel
from edge_agent.store_thread import StoreThread
from edge_agent.sync.patient import Syncing
from edge_codecs.identifiers import DevEUI

if TYPE_CHECKING:
    from edge_agent.settings import Settings


class Commands:
    """Reads the parts' state, and adds or removes devices in store and memory alike."""

    def __init__(
        self,
        settings: Settings,
        key_level: KeyLevel,
        clock: Clock,
        store: StoreThread,
        activations: Activations,
        intake: Intake,
        radios: Sequence[Radio],
        uploader: Syncing | None,
        rejections: Rejections,
    ) -> None:
        self._settings = settings
        self._key_level = key_level
        self._clock = clock
        self._store = store
        self._activations = activations
        self._intake = intake
        self._radios = radios
        self._uploader = uploader
        self._rejections = rejections
        self._started_ns = clock.monotonic_ns()

    def handlers(self) -> Mapping[str, Handler]:
        """Command name to handler."""
        return {
            "status": self._status,
            "device.add": self._add,
            "device.remove": self._remove,
            "device.list": self._list,
            "device.show": self._show,
            "device.reset": self._reset,
        }

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
            "radios": [radio.status() for radio in self._radios],
            "devices": len(self._activations.sessions()),
            "uplinks_taken": self._intake.taken,
            "frames_not_taken": describe_rejections(rejections),
            "store": store.as_dict() | {"full": str(self._store.full) if self._store.full else None},
            "sync": self._uploader.state().as_dict() if self._uploader is not None else None,
        }

    async def _add(self, request: Request) -> dict[str, Any]:
        sessions = [from_record(record) for record in request["sessions"]]
        added = await self._store.call(lambda opened: opened.add_devices(sessions))
        for session in added:
            self._activations.add(session)
        return {"added": [str(session.dev_eui) for session in added]}

    async def _remove(self, request: Request) -> dict[str, Any]:
        dev_eui = DevEUI.parse(request["dev_eui"])
        await self._store.call(lambda opened: opened.remove_device(dev_eui))
        self._activations.remove(dev_eui)
        return {"removed": str(dev_eui)}

    async def _reset(self, request: Request) -> dict[str, Any]:
        dev_eui = DevEUI.parse(request["dev_eui"])
        session = await self._store.call(lambda opened: opened.reset_counter(dev_eui))
        self._activations.add(session)
        return {"reset": str(dev_eui), "session": session.number}

    async def _list(self, _request: Request) -> list[dict[str, Any]]:
        await self._store.count_rejections(self._rejections)
        return await self._store.call(describe_devices)

    async def _show(self, request: Request) -> dict[str, Any]:
        dev_eui = DevEUI.parse(request["dev_eui"])
        await self._store.count_rejections(self._rejections)
        return await self._store.call(lambda opened: describe_device(opened, dev_eui))
