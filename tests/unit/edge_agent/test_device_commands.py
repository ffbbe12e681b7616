"""What the daemon answers about devices, with a store that may refuse."""

import asyncio

import pytest

from edge_agent.clock import Clock
from edge_agent.device_commands import DeviceCommands
from edge_agent.errors import UsageError
from edge_agent.health.rejections import Rejections
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.policy import Policy
from edge_agent.store.errors import StoreFull
from edge_agent.store_thread import StoreThread
from tests.rig.edge_desk import EU868
from tests.rig.store import dev_eui, open_store, registration


class FullStore(StoreThread):
    """Refuses what comes next, once."""

    is_full = False

    async def call(self, method):
        if self.is_full:
            self.is_full = False
            raise StoreFull("no room")
        return await super().call(method)


@pytest.mark.parametrize("command", ["device.remove", "device.reset"])
def test_a_device_stays_known_where_the_store_refuses(tmp_path, command):
    async def run():
        store, network = FullStore(), NetworkServer(EU868, Policy(), (), roll=lambda _below: 0)
        await store.open(lambda: open_store(tmp_path / "store.db"))
        handlers = DeviceCommands(EU868, Clock("trusted"), store, network, Rejections()).handlers()
        try:
            [device] = await store.call(lambda opened: opened.add_devices([registration(1)]))
            network.add(device)
            store.is_full = True
            with pytest.raises(StoreFull):
                await handlers[command]({"dev_eui": str(dev_eui(1))})
            assert len(network) == 1
            with pytest.raises(UsageError, match="there is no device"):
                await handlers[command]({"dev_eui": str(dev_eui(2))})
            assert len(network) == 1
            await handlers[command]({"dev_eui": str(dev_eui(1))})
            assert len(network) == (command == "device.reset")
        finally:
            await store.close()

    asyncio.run(run())


def test_a_device_is_not_changed_before_what_was_decided_about_it_is_on_disk(tmp_path):
    """Else a reset would bring back the counters that the answers under way use."""

    async def run():
        store, network = StoreThread(), NetworkServer(EU868, Policy(), (), roll=lambda _below: 0)
        await store.open(lambda: open_store(tmp_path / "store.db"))
        handlers = DeviceCommands(EU868, Clock("trusted"), store, network, Rejections()).handlers()
        try:
            [device] = await store.call(lambda opened: opened.add_devices([registration(1)]))
            network.add(device)
            store.full = StoreFull("no room")
            for command in ("device.reset", "device.remove"):
                with pytest.raises(StoreFull):
                    await handlers[command]({"dev_eui": str(dev_eui(1))})
            assert len(network) == 1
        finally:
            await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("command", ["device.remove", "device.reset"])
def test_a_message_for_a_device_that_is_changed_at_the_same_time_is_no_fault(tmp_path, command):
    async def run():
        store, network = StoreThread(), NetworkServer(EU868, Policy(), (), roll=lambda _below: 0)
        await store.open(lambda: open_store(tmp_path / "store.db"))
        handlers = DeviceCommands(EU868, Clock("trusted"), store, network, Rejections()).handlers()
        name = {"dev_eui": str(dev_eui(1))}
        try:
            [device] = await store.call(lambda opened: opened.add_devices([registration(1)]))
            network.add(device)
            told, _ = await asyncio.gather(
                handlers["downlink.add"](name | {"f_port": 22, "payload": "10", "confirmed": True}),
                handlers[command](name),
            )
            assert told["state"] == "waiting"
        finally:
            await store.close()

    asyncio.run(run())
