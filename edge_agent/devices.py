"""Devices of this gateway, by way of the running agent, or of the store when none runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edge_agent.clock import Clock
from edge_agent.control import AgentNotRunning, ControlClient
from edge_agent.errors import UsageError
from edge_agent.lorawan.session import Session
from edge_agent.device_record import to_record
from edge_agent.store.key_provider import load_store_key
from edge_agent.store.store import DeviceEntry, RejectionSum, Store
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


class DeviceDesk:
    """Adds, removes and shows devices. Keys go over the control socket or into the store, nowhere else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = ControlClient(settings.health.control_socket)

    def add(self, sessions: Sequence[Session]) -> list[str]:
        """All or none; returns the DevEUIs. Raises UsageError for one that is here already."""
        records = [to_record(session) for session in sessions]
        try:
            added: list[str] = self._client.call("device.add", sessions=records)["added"]
            return added
        except AgentNotRunning:
            with self._store() as store:
                return [str(session.dev_eui) for session in store.add_devices(sessions)]

    def remove(self, dev_eui: DevEUI) -> None:
        """Raises UsageError if it is not here."""
        try:
            self._client.call("device.remove", dev_eui=str(dev_eui))
        except AgentNotRunning:
            with self._store() as store:
                store.remove_device(dev_eui)

    def reset(self, dev_eui: DevEUI) -> None:
        """Raises UsageError if it is not here."""
        try:
            self._client.call("device.reset", dev_eui=str(dev_eui))
        except AgentNotRunning:
            with self._store() as store:
                store.reset_counter(dev_eui)

    def list(self) -> list[dict[str, Any]]:
        """All devices, by DevEUI."""
        try:
            devices: list[dict[str, Any]] = self._client.call("device.list")
            return devices
        except AgentNotRunning:
            with self._store() as store:
                return describe_devices(store)

    def show(self, dev_eui: DevEUI) -> dict[str, Any]:
        """One device with its reasons. Raises UsageError if it is not here."""
        try:
            device: dict[str, Any] = self._client.call("device.show", dev_eui=str(dev_eui))
            return device
        except AgentNotRunning:
            with self._store() as store:
                return describe_device(store, dev_eui)

    @contextmanager
    def _store(self) -> Iterator[Store]:
        store = open_store(self._settings)
        try:
            yield store
        finally:
            store.close()


def describe_devices(store: Store) -> list[dict[str, Any]]:
    """All devices, JSON-able and without keys."""
    return [_entry(device, store.rejections(device.session.dev_eui)) for device in store.devices()]


def describe_device(store: Store, dev_eui: DevEUI) -> dict[str, Any]:
    """One device and why frames of it were not taken. Raises UsageError if it is not here."""
    for device in store.devices():
        if device.session.dev_eui == dev_eui:
            sums = store.rejections(dev_eui)
            return _entry(device, sums) | {"frames_not_taken": describe_rejections(sums)}
    raise UsageError(f"there is no device {dev_eui}", hint="See: edge-agent device list")


def describe_rejections(sums: Sequence[RejectionSum]) -> list[dict[str, Any]]:
    """Reasons with counts and sentences."""
    return [
        {
            "reason": entry.reason.value,
            "count": entry.count,
            "last_seen": utc(entry.last_seen_ms),
            "sentence": entry.reason.sentence,
        }
        for entry in sums
    ]


def _entry(device: DeviceEntry, sums: Sequence[RejectionSum]) -> dict[str, Any]:
    session = device.session
    return {
        "dev_eui": str(session.dev_eui),
        "dev_addr": str(session.dev_addr),
        "lorawan": session.lorawan,
        "codec": f"{session.codec} {session.codec_version}",
        "session": session.number,
        "f_cnt_up": session.f_cnt_up,
        "uplinks": device.uplinks,
        "last_seen": utc(device.last_seen_ms),
        "rssi_dbm": device.rssi_dbm,
        "snr_db": device.snr_db,
        "not_taken": sum(entry.count for entry in sums),
    }


def utc(milliseconds: int | None) -> str | None:
    """UTC milliseconds as RFC 3339; None stays None."""
    if milliseconds is None:
        return None
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
