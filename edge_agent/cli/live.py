"""run, status, tail: the agent while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from edge_agent.cli.output import AsJson, Configuration, print_facts, print_json, print_lines, settings_of
from edge_agent.control import ControlClient
from edge_agent.device_facts import utc
from edge_agent.network.answer import TxResult
from edge_agent.settings import DEFAULT_FILE


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(run)
    app.command()(status)
    app.command()(tail)


def run(config: Configuration = DEFAULT_FILE) -> None:
    """Run the agent until SIGTERM; systemd does this for you.

    Example: edge-agent run --config /etc/edge-agent/config.toml
    """
    from edge_agent import daemon

    daemon.main(settings_of(config))


def status(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show how the running agent is: radio, store, sync, clock.

    Example: edge-agent status --json
    """
    client = ControlClient(settings_of(config).health.control_socket)
    answer = client.call("status")
    if as_json:
        print_json(answer)
        return
    print_facts(_facts(answer))


def tail(
    raw: Annotated[
        bool, typer.Option("--raw", help="each rxpk as it came, for the replay front end")
    ] = False,
    device: Annotated[str | None, typer.Option("--device", help="only this DevEUI")] = None,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Show frames as they come, taken or not, and why not, and what is sent. Ends with Ctrl-C.

    Example: edge-agent tail --raw > frames.jsonl
    """
    client = ControlClient(settings_of(config).health.control_socket)
    events = client.stream("tail", raw=raw, dev_eui=device)
    if raw or as_json:
        print_lines(events)
        return
    for event in events:
        typer.echo(tail_line(event))


def _facts(answer: dict[str, Any]) -> dict[str, object]:
    clock, store = answer["clock"], answer["store"]
    facts: dict[str, object] = {
        "gateway": answer["gateway_id"],
        "region": answer["region"],
        "version": f"{answer['version']}, up {answer['uptime_s']} s, process {answer['pid']}",
        "clock": f"in step ({clock['quality']})"
        if clock["in_step"]
        else "NOT in step: readings wait for a date",
        "store": f"{store['rows']} uplinks, {_share(store['bytes_used'], store['bytes_max'])}",
        "store key": answer["store_key"],
    }
    if store["full"]:
        facts["STORE FULL"] = f"{store['full']}: the radio waits until the cloud confirms"
    facts |= {
        "to the cloud": _waiting(store),
        "link": _link(answer["sync"]),
    }
    if answer["sync"] and answer["sync"]["hint"]:
        facts["do next"] = answer["sync"]["hint"]
    facts |= {
        "devices": answer["devices"],
        "joins": f"{answer['joins']} answered since the start",
        "uplinks taken": f"{answer['uplinks_taken']} since the start",
    }
    for entry in answer["frames_not_taken"]:
        facts[f"  not taken: {entry['reason']}"] = f"{entry['count']}, last {entry['last_seen']}"
    facts |= downlink_facts(answer["downlinks"])
    for radio in answer["radios"]:
        facts["radio"] = radio["name"]
        for forwarder in radio.get("forwarders", ()):
            facts[f"  forwarder {forwarder.get('eui', '')}"] = ", ".join(_counts(forwarder))
        lost = radio.get("kernel_dropped")
        if lost:
            facts["  datagrams lost"] = f"{lost}: more came than this gateway could read"
    return facts


def _counts(figures: dict[str, Any]) -> Iterator[str]:
    """What a forwarder is like, without what is nothing."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _counts({f"{name} {inner}": of_it for inner, of_it in value.items()})
        elif value is not None and name != "eui":
            yield f"{name.replace('_', ' ')} {value}"


def downlink_facts(downlinks: dict[str, Any] | None) -> dict[str, object]:
    """What became of what was sent, and how much of the law's time on air is used."""
    if downlinks is None:
        return {"downlinks": "off: this gateway only listens"}
    results = {name: count for name, count in downlinks["results"].items() if count}
    waiting = f", {downlinks['waiting']} on their way" if downlinks["waiting"] else ""
    facts: dict[str, object] = {"downlinks": f"{results.pop('sent', 0)} sent since the start{waiting}"}
    for name, count in results.items():
        facts[f"  not sent: {name}"] = count
    if last := downlinks["last_failure"]:
        facts["  last not sent"] = (
            f"{last['what']} for {last['dev_eui']}, {last['s_ago']} s ago: {last['detail']}"
        )
        facts["  which means"] = TxResult(last["result"]).sentence
    for transmitter in downlinks["transmitters"]:
        for band, percent in transmitter["duty_cycle_percent"].items():
            if percent:
                facts[f"  on air {band} MHz"] = f"{percent} % of what the law allows in an hour"
    return facts


def _share(used: int, limit: int) -> str:
    return f"{used / 1e6:.1f} of {limit / 1e6:.0f} MB"


def _waiting(store: dict[str, Any]) -> str:
    if not store["rows_unbatched"] and not store["batches_unreceipted"]:
        return "everything is confirmed"
    waits = (
        f"{store['rows_unbatched']} uplinks wait, {store['batches_unreceipted']} batches without a receipt"
    )
    if store["rows_unresolved"]:
        waits += f", {store['rows_unresolved']} of them wait for the clock"
    return f"{waits}, the oldest of {utc(store['oldest_ms']) or 'unknown time'}"


def _link(sync: dict[str, Any] | None) -> str:
    if sync is None:
        return "off: there is no [sync] section"
    if sync["connected"]:
        last = utc(sync["last_receipt_ms"]) or "none yet"
        state = f"up since {utc(sync['connected_since_ms'])}, last receipt {last}"
    else:
        state = f"DOWN, next try {utc(sync['next_try_ms']) or 'now'}"
    return f"{state}: {sync['last_error']}" if sync["last_error"] else state


def tail_line(event: dict[str, Any]) -> str:
    """One event of `tail` for people."""
    if "missed" in event:
        return f"({event['missed']} frames not shown: this terminal is too slow)"
    who = event["dev_eui"] or event.get("dev_addr") or "unknown"
    match event["outcome"]:
        case "taken":
            flaw = f" [{event['reason']}]" if event["reason"] else ""
            return f"taken      {who:<16} #{event['f_cnt']:<6} {_air(event)}  {event['says']}{flaw}"
        case "joined":
            return f"joined     {who:<16} as {event['dev_addr']}  {_air(event)}  {event['says']}"
        case "sent":
            counter = "" if event["f_cnt"] is None else f"#{event['f_cnt']:<6} "
            return f"sent       {who:<16} {counter}{_air(event)}  {event['says']} in {event['window']}"
        case "not_sent":
            return f"not sent   {who:<16} {event['says']}: {event['reason']} ({event['detail']})"
        case _:
            return f"not taken  {who:<16} {event['reason']}: {event['detail']}  {_air(event)}"


def _air(event: dict[str, Any]) -> str:
    """How a frame was on air, and how it was heard."""
    air = f"{event['frequency_hz'] / 1e6:.1f} MHz {event['data_rate']}"
    if event.get("rssi_dbm") is not None:
        air += f" {event['rssi_dbm']} dBm"
    if event.get("snr_db") is not None:
        air += f" {event['snr_db']:+.1f} dB"
    return air
