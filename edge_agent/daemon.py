"""The composition root: which parts the agent has and how they are joined. Reading `run` tells what it is.

If a part dies the program dies: all tasks live in one TaskGroup, and an exception in a callback of the loop
ends the program too. systemd starts it again; the store makes that harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.clock import Clock
from edge_agent.commands import Commands
from edge_agent.control import ControlServer
from edge_agent.errors import AgentError, ConfigurationError, ServiceUnavailable
from edge_agent.health.notify import notify, watchdog_interval_s
from edge_agent.health.rejections import Rejections
from edge_agent.health.tail import Tail
from edge_agent.intake import Intake, Radio
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.policy import EXPERIMENTAL, Policy
from edge_agent.radio.duty_cycle_file import DutyCycleFile
from edge_agent.radio.inherited_sockets import inherited_sockets
from edge_agent.radio.replay import Replay
from edge_agent.radio.semtech_udp import SemtechUdp
from edge_agent.store.key_provider import load_store_key
from edge_agent.store.store import Store
from edge_agent.store_thread import StoreThread
from edge_agent.sync.identity import load_identity
from edge_agent.sync.mqtt import MqttLink
from edge_agent.sync.patient import PatientUploader, Syncing
from edge_agent.sync.uploader import Uploader
from edge_agent.transmitter import Transmitter
from edge_codecs.identifiers import GatewayId

if TYPE_CHECKING:
    from edge_agent.settings import ReplayRadio, SemtechUdpRadio, Settings

log = logging.getLogger("edge_agent")

HOUSEKEEPING_S = 10.0
COVERAGE_S = 2.0
STOP_S = 5.0


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises AgentError when a part cannot do its work."""
    clock = Clock(settings.clock.source)
    provided = load_store_key(settings.store.key_file)
    gateway = GatewayId.parse(settings.gateway.id)
    store = StoreThread()
    await store.open(
        lambda: Store.open(
            settings.store.path,
            provided.key,
            gateway=gateway,
            max_bytes=settings.store.max_bytes,
            retention_days=settings.store.retention_days,
            boot=clock.boot,
        )
    )
    network = await _network(settings, store)

    rejections, tail = Rejections(), Tail()
    intake = Intake(network, store, clock, rejections, tail)
    inherited = inherited_sockets(os.environ, os.getpid())
    radios = [_radio(entry, clock, inherited) for entry in settings.radio]
    transmitter = _transmitter(settings, radios, clock, intake)
    uploader = await _uploader(settings, store, clock)
    commands = Commands(
        settings,
        provided.level,
        clock,
        store,
        network,
        intake,
        radios,
        uploader,
        rejections,
        transmitter.status,
    )
    control = ControlServer(settings.health.control_socket, commands.handlers(), {"tail": tail.watch})

    receiving = {radio.name: intake.receive(radio, transmitter) for radio in radios}
    others = {
        "control": control.serve(),
        "transmitter": transmitter.run(),
        "coverage": _coverage(store, network),
        "housekeeping": _housekeeping(store, clock, radios, rejections),
        "watchdog": _watchdog(store),
    }
    if uploader is not None:
        others["sync"] = uploader.run()

    gc.freeze()  # what is loaded now stays: the collector need not look at it again
    try:
        await _run_parts(receiving, others, radios)
        with contextlib.suppress(TimeoutError):  # a full store: an answer's end is not worth waiting for
            await asyncio.wait_for(intake.finish(), STOP_S)
        await store.count_rejections(rejections)
    finally:
        notify("STOPPING=1")
        for radio in radios:
            radio.close()
        await store.close()


async def _network(settings: Settings, store: StoreThread) -> NetworkServer:
    """The network server with all devices and gaps as the store has them."""
    net_ids = [NetID.parse(text) for text in settings.gateway.net_ids]
    wanted = {name: value for name, value in vars(settings.network).items() if name != "antenna_gain_dbi"}
    policy = Policy(net_id=net_ids[0] if net_ids else EXPERIMENTAL, **wanted)
    network = NetworkServer(REGIONS[settings.gateway.region], policy, net_ids, secrets.randbelow)
    for device in await store.call(lambda opened: opened.network_devices()):
        network.add(device)
    return network


def _transmitter(settings: Settings, radios: Sequence[Radio], clock: Clock, intake: Intake) -> Transmitter:
    """Sends through those radios that can; the hour of the duty cycle outlives a restart of the agent."""
    senders = [radio for radio in radios if isinstance(radio, SemtechUdp)]
    doors = [entry for entry in settings.radio if entry.type == "semtech_udp"]
    file = doors[0].map_directory / f"duty-cycle-{doors[0].port}.json" if doors else None
    return Transmitter(
        senders,
        REGIONS[settings.gateway.region],
        clock,
        intake.sent,
        antenna_gain_dbi=settings.network.antenna_gain_dbi,
        file=DutyCycleFile(file, clock.boot) if file is not None else None,
    )


def _radio(entry: SemtechUdpRadio | ReplayRadio, clock: Clock, inherited: list[socket.socket]) -> Radio:
    if entry.type == "replay":
        return Replay(clock, entry.file)
    map_file = entry.map_directory / f"counters-{entry.port}.json"
    return SemtechUdp(clock, entry.bind, entry.port, inherited=inherited, map_file=map_file)


async def _uploader(settings: Settings, store: StoreThread, clock: Clock) -> Syncing | None:
    """A gateway that has synced before goes on taking readings when its files are spoilt."""
    sync = settings.sync
    if sync is None:
        log.warning("there is no [sync] section: readings stay on this gateway")
        return None

    def make() -> Uploader:
        identity = load_identity(settings.gateway.id, sync)
        return Uploader(store, MqttLink(identity), identity, clock)

    try:
        return make()
    except ConfigurationError as fault:
        status = await store.call(lambda opened: opened.status())
        if not status.confirmed_up_to:
            raise
        return PatientUploader(make, fault)


async def _run_parts(
    receiving: Mapping[str, Coroutine[None, None, None]],
    others: Mapping[str, Coroutine[None, None, None]],
    radios: Sequence[Radio],
) -> None:
    """Run all parts until a signal; the first that fails ends them all and is raised.

    At a signal the radios go first: what they have read is on disk before the rest ends.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    broken: asyncio.Future[None] = loop.create_future()

    def fail_stop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not broken.done():
            error = context.get("exception")
            broken.set_exception(error if isinstance(error, Exception) else RuntimeError(context["message"]))

    loop.set_exception_handler(fail_stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part, name=name) for name, part in receiving.items()]
            rest = [group.create_task(part, name=name) for name, part in others.items()]
            rest.append(group.create_task(_raise_from(broken), name="callbacks"))
            notify("READY=1")
            await stop.wait()
            for radio in radios:
                radio.stop()
            _, late = await asyncio.wait(tasks, timeout=STOP_S)
            rest += late  # a full store: what is not kept waits in the kernel
            for task in rest:
                task.cancel()
    except* AgentError as errors:
        raise _first(errors) from None


async def _raise_from(broken: asyncio.Future[None]) -> None:
    await broken


def _first(errors: BaseExceptionGroup[AgentError]) -> AgentError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, AgentError)
    return error


async def _housekeeping(
    store: StoreThread, clock: Clock, radios: Sequence[Radio], rejections: Rejections
) -> None:
    """Date what came before the clock was in step, save counts, let old rows go, keep the WAL small."""
    while True:
        readings = [clock.in_step(), *(radio.gps() for radio in radios if isinstance(radio, SemtechUdp))]
        for reading in readings:
            if reading is not None:
                await store.clock_in_step(reading)
        await store.count_rejections(rejections)
        await store.tidy(clock.in_step())
        await asyncio.sleep(HOUSEKEEPING_S)


async def _coverage(store: StoreThread, network: NetworkServer) -> None:
    """Note which intervals are there, and tell the network server which are missing."""
    while True:
        network.gaps_are(await store.cover())
        await asyncio.sleep(COVERAGE_S)


async def _watchdog(store: StoreThread) -> None:
    """Tell systemd that loop and store's thread both move."""
    interval_s = watchdog_interval_s()
    if interval_s is None:
        return
    while True:
        try:
            await asyncio.wait_for(store.pending(), timeout=interval_s)
        except TimeoutError:
            raise ServiceUnavailable(
                f"the store did not answer within {interval_s:.0f} s",
                hint="Is the disk dying? Look: journalctl -k",
            ) from None
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)


def start_log(settings: Settings) -> None:
    """Log to standard error; journald adds time and name."""
    level = getattr(logging, settings.health.log_level.upper())
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")


def main(settings: Settings) -> None:
    """Run with a log. Raises AgentError."""
    start_log(settings)
    asyncio.run(run(settings))
