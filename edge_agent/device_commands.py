"""What the running daemon answers about devices: what is new is in the store before the network knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edge_agent.clock import Clock
from edge_agent.control import Handler, Request
from edge_agent.device_facts import describe_device, describe_devices, describe_downlinks, downlink_facts
from edge_agent.device_record import from_record
from edge_agent.devices import add_devices, conflicts
from edge_agent.errors import AgentError
from edge_agent.health.rejections import Rejections
from edge_agent.lorawan.region import Region
from edge_agent.network.network_server import NetworkServer
from edge_agent.store.store import Store
from edge_agent.store_thread import StoreThread
from edge_codecs.identifiers import DevEUI

T = TypeVar("T")


class DeviceCommands:
    """Adds, removes, shows and tells devices while the agent runs."""

    def __init__(
        self,
        region: Region,
        clock: Clock,
        store: StoreThread,
        network: NetworkServer,
        rejections: Rejections,
    ) -> None:
        self._region = region
        self._clock = clock
        self._store = store
        self._network = network
        self._rejections = rejections

    def handlers(self) -> Mapping[str, Handler]:
        """Command name to handler."""
        return {
            "device.check": self._check,
            "device.add": self._add,
            "device.remove": self._remove,
            "device.reset": self._reset,
            "device.list": self._list,
            "device.show": self._show,
            "downlink.add": self._tell,
            "downlink.list": self._downlinks,
            "downlink.clear": self._clear,
        }

    async def _check(self, request: Request) -> list[dict[str, str]]:
        new = [from_record(record) for record in request["devices"]]
        found = await self._store.call(lambda store: conflicts(store.rivals(new), new))
        return [conflict._asdict() for conflict in found]

    async def _add(self, request: Request) -> dict[str, Any]:
        new = [from_record(record) for record in request["devices"]]
        added = await self._store.call(lambda store: add_devices(store, new))
        for device in added:
            self._network.add(device)
        return {"added": [str(device.dev_eui) for device in added]}

    async def _remove(self, request: Request) -> dict[str, Any]:
        dev_eui = _dev_eui(request)
        await self._alone(dev_eui, lambda store: store.remove_device(dev_eui))
        return {"removed": str(dev_eui)}

    async def _reset(self, request: Request) -> dict[str, Any]:
        dev_eui = _dev_eui(request)
        device = await self._alone(dev_eui, lambda store: store.reset_counter(dev_eui))
        self._network.add(device)
        return {"reset": str(dev_eui), "joins": device.registration is not None}

    async def _alone(self, dev_eui: DevEUI, change: Callable[[Store], T]) -> T:
        """Change a device in the store while the network does not know it.

        Else the network would go on with what it knew before, and use a counter that the store has not seen.
        What it decided before is in the store first. Where the store refuses, the network knows the device
        again as it was; it does so at once while what was decided waits for room.
        """
        if self._store.full is not None:
            raise self._store.full
        self._network.remove(dev_eui)
        try:
            return await self._store.in_turn(change)
        except AgentError:
            for device in await self._store.call(lambda store: store.network_devices(dev_eui)):
                self._network.add(device)
            raise

    async def _list(self, _request: Request) -> list[dict[str, Any]]:
        await self._store.count_rejections(self._rejections)
        return await self._store.call(lambda store: describe_devices(store, self._region))

    async def _show(self, request: Request) -> dict[str, Any]:
        dev_eui = _dev_eui(request)
        await self._store.count_rejections(self._rejections)
        return await self._store.call(lambda store: describe_device(store, dev_eui, self._region))

    async def _tell(self, request: Request) -> dict[str, Any]:
        dev_eui, f_port, payload = _dev_eui(request), request["f_port"], bytes.fromhex(request["payload"])
        created_ms, confirmed = self._clock.wall_ms(), bool(request["confirmed"])
        entry = await self._store.call(
            lambda store: store.queue_downlink(dev_eui, f_port, payload, confirmed, created_ms)
        )
        self._network.enqueue(entry)
        return downlink_facts(entry)

    async def _downlinks(self, request: Request) -> list[dict[str, Any]]:
        dev_eui = _dev_eui(request)
        return await self._store.call(lambda store: describe_downlinks(store, dev_eui))

    async def _clear(self, request: Request) -> dict[str, Any]:
        dev_eui = _dev_eui(request)
        self._network.cancel(dev_eui)  # none goes out while the store writes that it will not
        cleared = await self._store.call(lambda store: store.cancel_downlinks(dev_eui))
        self._network.cancel(dev_eui)  # nor one that was queued just before
        return {"cleared": cleared}


def _dev_eui(request: Request) -> DevEUI:
    return DevEUI.parse(request["dev_eui"])
