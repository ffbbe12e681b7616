"""Devices and their downlinks told in names, numbers and units: JSON-able, and without keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from edge_agent.errors import UsageError
from edge_agent.lorawan.region import Region
from edge_agent.network.device import Device, NetworkSession, QueuedDownlink
from edge_agent.network.mac_state import battery_text
from edge_agent.store.devices import DeviceEntry
from edge_agent.store.rejections import RejectionSum
from edge_agent.store.store import Store
from edge_codecs.clipr import CentiCelsius, Configure, DecodeError, Reboot, RequestHistory, decode_downlink
from edge_codecs.identifiers import DevEUI


def describe_devices(store: Store, region: Region) -> list[dict[str, Any]]:
    """All devices, by DevEUI."""
    return [_facts(entry, store.rejections(entry.device.dev_eui), region) for entry in store.devices()]


def describe_device(store: Store, dev_eui: DevEUI, region: Region) -> dict[str, Any]:
    """One device, its downlinks, and why frames of it were not taken. Raises UsageError if it is not here."""
    for entry in store.devices(dev_eui):
        sums = store.rejections(dev_eui)
        return _facts(entry, sums, region) | {
            "downlinks": describe_downlinks(store, dev_eui),
            "frames_not_taken": describe_rejections(sums),
        }
    raise UsageError(f"there is no device {dev_eui}", hint="See: edge-agent device list")


def describe_downlinks(store: Store, dev_eui: DevEUI) -> list[dict[str, Any]]:
    """What waits for a device, and what became of the last ones, in order. Raises UsageError."""
    return [downlink_facts(entry) for entry in store.downlinks(dev_eui)]


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


def downlink_facts(entry: QueuedDownlink) -> dict[str, Any]:
    """One application downlink; `what` says in words what it tells the device."""
    return {
        "number": entry.number,
        "dev_eui": str(entry.dev_eui),
        "what": _what(entry.f_port, entry.payload),
        "f_port": entry.f_port,
        "payload": entry.payload.hex(),
        "confirmed": entry.confirmed,
        "queued_at": utc(entry.created_ms),
        "state": entry.state.value,
        "done": entry.done,
        "tries": entry.tries,
        "f_cnt_down": entry.f_cnt_down,
        "detail": entry.detail,
    }


def utc(milliseconds: int | None) -> str | None:
    """UTC milliseconds as RFC 3339; None stays None."""
    if milliseconds is None:
        return None
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _facts(entry: DeviceEntry, sums: Sequence[RejectionSum], region: Region) -> dict[str, Any]:
    device = entry.device
    return (
        {"dev_eui": str(device.dev_eui)}
        | _activation(device)
        | {
            "uplinks": entry.uplinks,
            "last_seen": utc(entry.last_seen_ms),
            "rssi_dbm": entry.rssi_dbm,
            "snr_db": entry.snr_db,
        }
        | _link(device.session, region)
        | {"queued": len(device.downlinks), "not_taken": sum(entry.count for entry in sums)}
    )


def _activation(device: Device) -> dict[str, Any]:
    kept = device.session or (device.pending[-1] if device.pending else None)
    session = kept.session if kept is not None else None
    registration = device.registration
    known = registration or session
    assert known is not None, "a device has a registration or a session"
    return {
        "activation": "ABP" if registration is None else "OTAA",
        "lorawan": str(registration.version) if registration else session and session.lorawan,
        "join_eui": registration and str(registration.join_eui),
        "region_revision": registration and registration.region_revision,
        "codec": f"{known.codec} {known.codec_version}",
        "join": None if registration is None else _join_state(device),
        "dev_addr": session and str(session.dev_addr),
        "session": session and session.number,
        "f_cnt_up": session and session.f_cnt_up,
    }


def _join_state(device: Device) -> str:
    """Where a device that joins stands."""
    if device.pending:
        return "answered" if device.session is None else "answered again"
    return "waiting" if device.session is None else "joined"


def _link(kept: NetworkSession | None, region: Region) -> dict[str, Any]:
    """What the network knows of the radio link; None where it knows nothing yet."""
    mac = kept.mac if kept is not None else None
    heard = kept is not None and kept.session.f_cnt_up is not None
    return {
        "battery": battery_text(mac.battery) if mac and mac.battery is not None else None,
        "margin_db": mac.margin if mac else None,
        "status_at": utc(mac.status_ms) if mac else None,
        "data_rate": region.data_rates_up.get(mac.data_rate) if mac and heard else None,
        "tx_power_dbm": mac.max_eirp_dbm - 2 * mac.tx_power if mac else None,
        "nb_trans": mac.nb_trans if mac else None,
    }


def _what(f_port: int, payload: bytes) -> str:
    try:
        message = decode_downlink(f_port, payload)
    except DecodeError:
        return f"{len(payload)} bytes on FPort {f_port}"
    match message:
        case Configure():
            return (
                f"configure: report every {message.report_interval_s} s, "
                f"sample every {message.sampling_interval_s} s, "
                f"upper limit {_limit(message.upper_limit)}, lower limit {_limit(message.lower_limit)}"
            )
        case RequestHistory():
            begin, end = utc(1000 * message.from_s), utc(1000 * message.to_s)
            return f"request history: channel {message.channel}, from {begin} to {end}"
        case Reboot():
            return "reboot"


def _limit(temperature: CentiCelsius | None) -> str:
    return "off" if temperature is None else f"{temperature / 100:.2f} °C"
