"""The only file that knows paho: MQTT 5 over mutual TLS 1.3.

Each connection gets a client object of its own, so that nothing is ever sent again by paho: what the broker
has not taken when a connection ends is for the uploader to send again. The client lives on a thread of its
own, which sleeps until the network or `publish` wakes it; callbacks do one thing, hop to the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.errors import AgentBug
from edge_agent.sync import link_fault
from edge_agent.sync.identity import SyncIdentity
from edge_agent.sync.link import LinkDown, LinkEvent, LinkFault, NotTaken, ReceiptCame, Taken
from edge_agent.sync.probe import probe
from edge_codecs.topics import receipt_topic, state_topic, uplink_topic

CONNECT_TIMEOUT_S = 15.0  # for the TCP connection, and again for each step of the handshake
ESTABLISH_TIMEOUT_S = 60.0  # until the broker has let us in and confirmed our subscription
GOODBYE_TIMEOUT_S = 3.0
UNACKNOWLEDGED_MS = 60_000  # TCP_USER_TIMEOUT: a link is dead when what we sent stays unacknowledged so long
SESSION_EXPIRY_S = 86_400  # receipts wait a day for us; one that is missed is asked for again
MAX_WINDOW = 20
MAX_WAITING_EVENTS = 1_000
NO_SUBSCRIBER = 0x10  # PUBACK: taken, but nobody is subscribed
NOT_AUTHORIZED = 0x87
_CALLBACKS = (
    "on_socket_open",
    "on_socket_register_write",
    "on_connect",
    "on_subscribe",
    "on_publish",
    "on_message",
    "on_disconnect",
)


class MqttLink:
    """The way to the broker of `identity`."""

    def __init__(self, identity: SyncIdentity) -> None:
        self._identity = identity

    async def connect(self) -> MqttConnection:
        """Try once. Raises LinkDown that names the cause, ConfigurationError for unusable files."""
        context = self._identity.broker.tls_context()
        connection = MqttConnection(self._identity, context)
        try:
            async with asyncio.timeout(ESTABLISH_TIMEOUT_S):
                await connection.established
        except TimeoutError:
            connection.abandon()
            raise LinkDown(link_fault.NO_ANSWER) from None
        except asyncio.CancelledError:
            connection.abandon()
            raise
        except _HungUp:
            broker = self._identity.broker
            fault = await _on_a_thread(lambda: probe(broker.host, broker.port, context))
            raise LinkDown(fault or _HUNG_UP) from None
        return connection


class _HungUp(Exception):
    """The connection ended before CONNACK, and nobody said why."""


_HUNG_UP = LinkFault(
    "the broker hangs up without a reason", "Look in its log. Does it speak MQTT 5 on this port?"
)


class MqttConnection:
    """One connection; `established` is done once the broker lets us read receipts and write our state."""

    def __init__(self, identity: SyncIdentity, context: ssl.SSLContext) -> None:
        self.session_present = False
        self.window = MAX_WINDOW
        self.receipts_dropped = 0
        self._loop = asyncio.get_running_loop()
        self.established: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._events: asyncio.Queue[LinkEvent | BaseException] = asyncio.Queue()
        self._gateway = identity.gateway
        self._broker = identity.broker
        self._numbers: dict[int, int] = {}  # paho's message id -> batch number
        self._abandoned = False
        self._subscription = 0
        self._greeting = 0
        self._said: LinkFault | None = None  # the broker's own reason for ending the connection
        self._client = self._make_client(context)
        threading.Thread(target=self._serve, name="mqtt", daemon=True).start()

    # What the uploader asks for

    def publish(self, number: int, wire: bytes) -> None:
        """See Connection."""
        info = self._client.publish(uplink_topic(self._gateway), wire, qos=1)
        self._numbers[info.mid] = number

    async def next_event(self) -> LinkEvent:
        """See Connection."""
        event = await self._events.get()
        if isinstance(event, BaseException):
            self._events.put_nowait(event)  # whoever asks again gets the same answer
            raise event
        return event

    async def close(self) -> None:
        """See Connection."""
        if not self._ended.done():
            self._say("stopped")
            self._client.disconnect()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._ended), GOODBYE_TIMEOUT_S)
        self.abandon()

    def abandon(self) -> None:
        """End the connection without a goodbye; its thread ends by itself."""
        self._abandoned = True
        channel = self._client.socket()
        if channel is not None:
            with contextlib.suppress(OSError):
                # not SSLSocket.shutdown, which would turn the thread's next read into one without TLS
                socket.socket.shutdown(channel, socket.SHUT_RDWR)  # type: ignore[arg-type]

    # On paho's thread: hop, and nothing else

    def _serve(self) -> None:
        try:
            self._client.connect(
                self._broker.host,
                self._broker.port,
                self._broker.keepalive_s,
                clean_start=False,
                properties=_properties(PacketTypes.CONNECT, SessionExpiryInterval=SESSION_EXPIRY_S),
            )
            # `publish` wakes the thread; the time-out only paces the keepalive
            pace_s = max(0.5, min(60.0, self._broker.keepalive_s / 8))
            result = MQTTErrorCode.MQTT_ERR_SUCCESS
            while result == MQTTErrorCode.MQTT_ERR_SUCCESS and not self._abandoned:
                result = self._client.loop(pace_s)
        except (OSError, ValueError) as error:
            self._hop(self._on_failed, link_fault.of_exception(error, self._broker.host, self._broker.port))
        except Exception as error:  # noqa: BLE001  the thread's last words; the loop raises them
            self._hop(self._on_broken, error)
        else:
            self._hop(self._on_end)
        finally:
            channel = self._client.socket()
            if channel is not None:
                channel.close()

    def _hop(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
            self._loop.call_soon_threadsafe(function, *arguments)

    def _make_client(self, context: ssl.SSLContext) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=str(self._gateway),
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.tls_set_context(context)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)  # the window is ours, and smaller
        client.will_set(state_topic(self._gateway), _state("lost"), qos=1, retain=True)
        client.on_socket_open = lambda _client, _userdata, channel: _tune(channel)
        # once this is set, `publish` leaves writing to the client's own thread
        client.on_socket_register_write = lambda *_: None
        client.on_connect = lambda _c, _u, flags, code, properties: self._hop(
            self._on_connack, flags.session_present, code, getattr(properties, "ReceiveMaximum", None)
        )
        client.on_subscribe = lambda _c, _u, mid, codes, _p: self._hop(self._on_suback, mid, codes)
        client.on_publish = lambda _c, _u, mid, code, _p: self._hop(self._on_puback, mid, code)
        client.on_message = lambda _c, _u, message: self._hop(self._on_message, message.payload)
        client.on_disconnect = lambda _c, _u, flags, code, _p: self._hop(
            self._on_disconnect, flags.is_disconnect_packet_from_server, code
        )
        return client

    # On the loop

    def _on_connack(self, session_present: bool, code: ReasonCode, receive_maximum: int | None) -> None:  # noqa: FBT001
        if code.value >= 128:
            self._refuse(link_fault.of_connack(code.value, str(code)))
            return
        self.session_present = session_present
        if receive_maximum is not None:
            self.window = max(1, min(MAX_WINDOW, receive_maximum - 1))  # one is for our state
        _result, mid = self._client.subscribe(receipt_topic(self._gateway), qos=1)
        self._subscription = mid or 0

    def _on_suback(self, mid: int, codes: list[ReasonCode]) -> None:
        if mid != self._subscription or self.established.done():
            return
        if any(code.value >= 128 for code in codes):
            self._refuse(link_fault.of_puback(codes[0].value, str(codes[0]), str(self._gateway)))
        else:
            self._greeting = self._say("online")

    def _on_puback(self, mid: int, code: ReasonCode) -> None:
        number = self._numbers.pop(mid, None)
        if number is None:
            self._greeted(mid, code)
        elif code.value >= 128:
            fault = link_fault.of_puback(code.value, str(code), str(self._gateway))
            self._events.put_nowait(NotTaken(number, fault))
        else:
            self._events.put_nowait(Taken(number, heard=code.value != NO_SUBSCRIBER))

    def _greeted(self, mid: int, code: ReasonCode) -> None:
        """The broker answers our state: if we may not write that, we may not write batches either."""
        if mid != self._greeting or self.established.done():
            return
        if code.value == NOT_AUTHORIZED:
            self._refuse(link_fault.of_puback(code.value, str(code), str(self._gateway)))
        else:
            self.established.set_result(None)

    def _on_message(self, payload: bytes) -> None:
        if self._events.qsize() < MAX_WAITING_EVENTS:
            self._events.put_nowait(ReceiptCame(payload))
        else:
            self.receipts_dropped += 1  # the next one says the same and more

    def _on_disconnect(self, by_broker: bool, code: ReasonCode) -> None:  # noqa: FBT001
        if by_broker:
            self._said = link_fault.of_disconnect(code.value, str(code))

    def _on_failed(self, fault: LinkFault) -> None:
        self._end(LinkDown(fault))

    def _on_broken(self, error: Exception) -> None:
        bug = AgentBug(f"the MQTT client broke: {type(error).__name__}: {error}")
        bug.__cause__ = error
        self._end(bug)

    def _on_end(self) -> None:
        if self._said is None and not self.established.done():
            self._end(_HungUp())
        else:
            self._end(LinkDown(self._said or link_fault.LOST))

    def _refuse(self, fault: LinkFault) -> None:
        self._said = fault
        self._end(LinkDown(fault))
        self.abandon()

    def _end(self, error: Exception) -> None:
        if self._ended.done():
            return
        self._ended.set_result(None)
        if not self.established.done():
            self.established.set_exception(error)
            self.established.exception()  # an abandoned connection's is never asked for
        self._events.put_nowait(error)
        for callback in _CALLBACKS:  # the client and we no longer hold each other
            setattr(self._client, callback, None)

    def _say(self, state: str) -> int:
        return self._client.publish(state_topic(self._gateway), _state(state), qos=1, retain=True).mid


def _state(state: str) -> bytes:
    """The retained message on the state topic: online, stopped (on purpose) or lost (the last will)."""
    return json.dumps({"state": state}, separators=(",", ":")).encode()


def _properties(packet: int, **values: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _tune(channel: Any) -> None:
    """A batch must not wait for the last one's acknowledgement, nor a dead link for the keepalive."""
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


async def _on_a_thread(function: Callable[[], LinkFault | None]) -> LinkFault | None:
    """Like asyncio.to_thread, but a daemon thread: leaving must not wait for a dead link's time-out."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[LinkFault | None] = loop.create_future()

    def settle(fault: LinkFault | None) -> None:
        if not answer.done():
            answer.set_result(fault)

    def ask() -> None:
        fault = function()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, fault)

    threading.Thread(target=ask, name="probe", daemon=True).start()
    return await answer
