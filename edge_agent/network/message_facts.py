"""A Clip'R message told in names, numbers and units; for people and as JSON."""

from __future__ import annotations

from typing import Any

from edge_codecs.clipr import (
    CentiCelsius,
    Event,
    Flag,
    History,
    Message,
    Report,
    Status,
    Undecoded,
    battery_volts,
)


def message_facts(message: Message) -> dict[str, Any]:
    """JSON-able; temperatures in °C (None: no valid sample), times in seconds, battery in volts."""
    match message:
        case Report():
            return {
                "message": "report",
                "interval_s": message.interval_s,
                "battery_v": _volts(message.battery),
                "flags": [flag.name.lower() for flag in Flag if flag.name and message.flags & flag],
                "channels": [
                    {
                        "channel": seen.channel,
                        "minimum": _celsius(seen.minimum),
                        "maximum": _celsius(seen.maximum),
                        "last": _celsius(seen.last),
                    }
                    for seen in message.channels
                ],
            }
        case Event():
            facts = {
                "message": "event",
                "event": message.kind.name.lower(),
                "channel": message.channel,
                "age_s": message.age_s,
                "temperature": _celsius(message.temperature),
            }
            if message.duration_s is not None:
                facts |= {"duration_s": message.duration_s, "extreme": _celsius(message.extreme)}
            return facts
        case Status():
            return {
                "message": "status",
                "reset_cause": message.reset_cause.name.lower(),
                "hardware_revision": message.hardware_revision,
                "firmware": ".".join(map(str, message.firmware)),
                "battery_v": _volts(message.battery),
                "uptime_s": message.uptime_s,
                "report_interval_s": message.report_interval_s,
                "sampling_interval_s": message.sampling_interval_s,
                "waiting": message.waiting,
            }
        case History():
            return {
                "message": "history",
                "channel": message.channel,
                "newest_end_s": message.newest_end_s,
                "interval_s": message.interval_s,
                "intervals": [
                    {"minimum": _celsius(kept.minimum), "maximum": _celsius(kept.maximum)}
                    for kept in message.intervals
                ],
            }
        case Undecoded():
            return {"message": "undecoded", "f_port": message.f_port, "payload": message.payload.hex()}


def message_line(message: Message) -> str:
    """One line for a terminal."""
    match message:
        case Report():
            said = "  ".join(f"{'ABC'[seen.channel]} {_span(seen)}" for seen in message.channels)
            return f"report over {message.interval_s} s: {said}"
        case Event():
            return f"event {message.kind.name.lower()}, channel {message.channel}, {message.age_s} s ago"
        case Status():
            firmware = ".".join(map(str, message.firmware))
            return f"status after {message.reset_cause.name.lower()}, firmware {firmware}"
        case History():
            return f"history of channel {message.channel}: {len(message.intervals)} × {message.interval_s} s"
        case Undecoded():
            return f"not decoded: FPort {message.f_port}, {message.payload.hex()}"


def _span(seen: Any) -> str:
    if seen.minimum is None:
        return "no sample"
    return f"{seen.minimum / 100:.2f} … {seen.maximum / 100:.2f}, last {seen.last / 100:.2f} °C"


def _celsius(value: CentiCelsius | None) -> float | None:
    return None if value is None else value / 100


def _volts(b8: int) -> float | None:
    volts = battery_volts(b8)
    return None if volts is None else float(volts)
