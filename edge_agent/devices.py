"""Devices of this gateway, by way of the running agent, or of the store when none runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_agent.clock import Clock
from edge_agent.control import AgentNotRunning, ControlClient
from edge_agent.device_facts import describe_device, describe_devices, describe_downlinks, downlink_facts
from edge_agent.device_record import to_record
from edge_agent.errors import AgentError, UsageError
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.network.activations import Activations
from edge_agent.network.device import Device
from edge_agent.store.key_provider import load_store_key
from edge_agent.store.store import Store
from edge_codecs.identifiers import DevEUI, GatewayId

if TYPE_CHECKING:
    from edge_agent.settings import Settings


def open_store(settings: Settings) -> Store:
    """The store of this configuration, for writing. Raises StoreLocked while an agent has it."""
    return Store.open(
        settings.store.path,
        load_store_key(settings.store.key_file).key,
        gateway=GatewayId.parse(settings.gateway.id),
        max_bytes=settings.store.max_bytes,
        retention_days=settings.store.retention_days,
        boot=Clock(settings.clock.source).boot,
    )


class Conflict(NamedTuple):
    """Why a new device cannot be added to those that are here, and what to do."""

    dev_eui: str
    text: str
    hint: str


def conflicts(present: Sequence[Device], new: Sequence[Session | Registration]) -> list[Conflict]:
    """All that stands against adding `new`, among themselves, too; `present` are at least their rivals."""
    here = {device.dev_eui for device in present}
    found = [
        Conflict(
            str(device.dev_eui),
            f"device {device.dev_eui} is here already",
            f"To give it other keys, remove it first: edge-agent device remove {device.dev_eui}",
        )
        for device in new
        if device.dev_eui in here
    ]
    sessions = [device for device in new if isinstance(device, Session)]
    activations = Activations(sessions)
    kept = [one.session for device in present for one in (device.session, *device.pending) if one is not None]
    for session in kept + sessions:
        twin = activations.twin(session)
        if twin is not None:
            found.append(
                Conflict(
                    str(twin),
                    f"device {twin} has the DevAddr and network key of {session.dev_eui}: "
                    "nobody could tell their frames apart",
                    "Was a label or a row copied? Give each sensor keys of its own",
                )
            )
    return found


def add_devices(store: Store, new: Sequence[Session | Registration]) -> list[Device]:
    """Add all or none. Raises UsageError for the first conflict."""
    for conflict in conflicts(store.rivals(new), new):
        raise UsageError(conflict.text, hint=conflict.hint)
    return store.add_devices(new)


class DeviceDesk:
    """Adds, removes, shows and tells devices. Keys go over the control socket or into the store only.

    All methods about one device raise UsageError if it is not here.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._region = REGIONS[settings.gateway.region]
        self._client = ControlClient(settings.health.control_socket)

    def conflicts(self, devices: Sequence[Session | Registration]) -> list[Conflict]:
        """What stands against adding them; nothing is changed."""
        try:
            answer = self._client.call("device.check", devices=[to_record(device) for device in devices])
            return [Conflict(**conflict) for conflict in answer]
        except AgentNotRunning:
            with self._store() as store:
                return conflicts(store.rivals(devices), devices)

    def add(self, devices: Sequence[Session | Registration]) -> list[str]:
        """All or none; returns the DevEUIs. Raises UsageError for one that is here already."""
        try:
            answer = self._client.call("device.add", devices=[to_record(device) for device in devices])
            added: list[str] = answer["added"]
            return added
        except AgentNotRunning:
            with self._store() as store:
                return [str(device.dev_eui) for device in add_devices(store, devices)]

    def remove(self, dev_eui: DevEUI) -> None:
        """Forget a device and its keys."""
        try:
            self._client.call("device.remove", dev_eui=str(dev_eui))
        except AgentNotRunning:
            with self._store() as store:
                store.remove_device(dev_eui)

    def reset(self, dev_eui: DevEUI) -> bool:
        """Let a device begin anew. Returns whether it is one that joins."""
        try:
            return bool(self._client.call("device.reset", dev_eui=str(dev_eui))["joins"])
        except AgentNotRunning:
            with self._store() as store:
                return store.reset_counter(dev_eui).registration is not None

    def devices(self) -> list[dict[str, Any]]:
        """All devices, by DevEUI."""
        try:
            devices: list[dict[str, Any]] = self._client.call("device.list")
            return devices
        except AgentNotRunning:
            with self._store() as store:
                return describe_devices(store, self._region)

    def show(self, dev_eui: DevEUI) -> dict[str, Any]:
        """One device with its downlinks and reasons."""
        try:
            device: dict[str, Any] = self._client.call("device.show", dev_eui=str(dev_eui))
            return device
        except AgentNotRunning:
            with self._store() as store:
                return describe_device(store, dev_eui, self._region)

    def knows(self, dev_eui: DevEUI) -> bool:
        """Whether it is here."""
        try:
            self.show(dev_eui)
        except AgentError as error:
            if error.exit_code != UsageError.exit_code:
                raise
            return False
        return True

    def tell(self, dev_eui: DevEUI, f_port: int, payload: bytes, *, confirmed: bool) -> dict[str, Any]:
        """Queue a downlink for the device's next uplink."""
        try:
            entry: dict[str, Any] = self._client.call(
                "downlink.add",
                dev_eui=str(dev_eui),
                f_port=f_port,
                payload=payload.hex(),
                confirmed=confirmed,
            )
            return entry
        except AgentNotRunning:
            created_ms = Clock(self._settings.clock.source).wall_ms()
            with self._store() as store:
                return downlink_facts(store.queue_downlink(dev_eui, f_port, payload, confirmed, created_ms))

    def downlinks(self, dev_eui: DevEUI) -> list[dict[str, Any]]:
        """What waits for the device, and what became of the last ones."""
        try:
            entries: list[dict[str, Any]] = self._client.call("downlink.list", dev_eui=str(dev_eui))
            return entries
        except AgentNotRunning:
            with self._store() as store:
                return describe_downlinks(store, dev_eui)

    def clear(self, dev_eui: DevEUI) -> int:
        """Drop what waits for the device; returns how many."""
        try:
            return int(self._client.call("downlink.clear", dev_eui=str(dev_eui))["cleared"])
        except AgentNotRunning:
            with self._store() as store:
                return store.cancel_downlinks(dev_eui)

    @contextmanager
    def _store(self) -> Iterator[Store]:
        store = open_store(self._settings)
        try:
            yield store
        finally:
            store.close()
