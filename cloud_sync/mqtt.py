"""The only file that knows paho: MQTT 5 over mutual TLS 1.3, on the caller's thread, acknowledged by hand.

Messages are shared with the other receivers of the group. What is not acknowledged stays the broker's: it
gives it to us again when we come back under the same client id. Each connection gets a client object of its
own, so that an acknowledgement can never go to a connection that did not bring the message.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud_sync import broker_fault
from cloud_sync.broker_fault import BrokerFault
from cloud_sync.errors import ConfigurationError, ServiceUnavailable

RECEIVE_MAXIMUM = 256  # messages that the broker gives us before we have acknowledged the first
RECEIPTS_IN_FLIGHT = 20  # no broker takes less; the others wait in the client, and only in this connection
MAX_PACKET_BYTES = 512 * 1024
SESSION_EXPIRY_S = 120
"""Our share waits so long for us: longer than a restart takes, and not much longer. Until then the broker
goes on giving a dead receiver its share; afterwards gateways send to the others what was lost with it."""
CONNECT_TIMEOUT_S = 10.0
TAKEN_OVER = 142
_PROBE_S = 2.0
_CALLBACKS = ("on_socket_open", "on_connect", "on_subscribe", "on_message", "on_disconnect")


class _EncryptedKey(ValueError):
    pass


def _no_password() -> str:
    """OpenSSL would ask a terminal, and a service would wait there for ever."""
    raise _EncryptedKey


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and the files that prove who is who; they are read at each connection."""

    host: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path
    keepalive_s: int = 60

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.3 and nothing older, both sides with certificates. Raises ConfigurationError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        for file in (self.ca_file, self.certificate_file, self.key_file):
            if not file.is_file():
                raise ConfigurationError(
                    f"there is no {file}", hint="Check [mqtt]; for a first try: cloud-sync ca init"
                )
        try:
            context.load_verify_locations(self.ca_file)
            context.load_cert_chain(self.certificate_file, self.key_file, password=_no_password)
        except _EncryptedKey:
            raise ConfigurationError(
                f"{self.key_file} is encrypted, and nobody is there to type its password",
                hint=f"Have it issued anew, or: openssl pkey -in {self.key_file} -out FILE; chmod 600 FILE",
            ) from None
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(
                f"{self.certificate_file} and {self.key_file} do not fit together"
                f" ({getattr(error, 'reason', None) or error})",
                hint="Have both issued anew: cloud-sync ca issue-receiver",
            ) from None
        return context


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came; `acknowledge` gives it back to the broker as done."""

    topic: str
    payload: bytes = field(repr=False)
    acknowledge: Callable[[], None] = field(repr=False)


class Subscriber:
    """A member of the shared subscription `filter_`. Not for use by more than one thread."""

    def __init__(self, broker: Broker, group: str, filter_: str, client_id: str) -> None:
        self._broker = broker
        self._filter = f"$share/{group}/{filter_}"
        self._client_id = client_id
        self._client: paho.Client | None = None
        self._inbox: deque[Message] = deque()
        self._subscribed = False
        self._fault: BrokerFault | None = None

    @property
    def connected(self) -> bool:
        """Whether messages can come."""
        return self._client is not None

    def connect(self) -> None:
        """Connect and subscribe. Raises ServiceUnavailable or ConfigurationError that names the cause."""
        self._drop()
        context = self._broker.tls_context()
        self._fault, self._subscribed = None, False
        client = self._make_client(context)
        try:
            client.connect(
                self._broker.host,
                self._broker.port,
                self._broker.keepalive_s,
                clean_start=False,
                properties=_connect_properties(),
            )
        except (OSError, ValueError) as error:
            _forget(client)
            raise _unavailable(broker_fault.of_exception(error, self._broker.where)) from None
        self._client = client
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._subscribed:
            if not self.connected or self._fault is not None:
                self._drop()
                raise _unavailable(self._fault or self._probe(context))
            if time.monotonic() > deadline:
                self._drop()
                raise _unavailable(BrokerFault(f"{self._broker.where} does not answer", "Look in its log"))
            self._turn(0.1)

    def collect(self, most: int, most_bytes: int, wait_s: float, gather_s: float) -> list[Message]:
        """What is there: waits up to `wait_s` for a first message, then `gather_s` for others.

        Returns at most `most` messages, and stops beyond `most_bytes`. Empty if none came or the connection
        was lost: look at `connected`.
        """
        self._turn(0.0)
        gathering = bool(self._inbox)
        deadline = time.monotonic() + (gather_s if gathering else wait_s)
        while self._client is not None and len(self._inbox) < most:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            self._turn(left_s)
            if self._inbox and not gathering:
                gathering, deadline = True, time.monotonic() + gather_s
        taken: list[Message] = []
        size = 0
        while self._inbox and len(taken) < most and size < most_bytes:
            message = self._inbox.popleft()
            taken.append(message)
            size += len(message.payload)
        return taken

    def keep_alive(self, for_s: float) -> None:
        """Answer the broker while we wait for something else; messages that come meanwhile are kept in order.

        The broker gives us no more than RECEIVE_MAXIMUM of them.
        """
        deadline = time.monotonic() + for_s
        while (left_s := deadline - time.monotonic()) > 0:
            if self._client is None:
                time.sleep(left_s)
                return
            self._turn(min(left_s, 1.0))

    def publish(self, topic: str, payload: bytes) -> None:
        """At QoS 1. A message that is lost with the connection is not sent again."""
        if self._client is not None:
            self._client.publish(topic, payload, qos=1)

    def close(self) -> None:
        """Say goodbye; the session stays, and so do messages that were not acknowledged."""
        if self._client is not None:
            self._client.disconnect()
            deadline = time.monotonic() + 2.0
            while self._client is not None and time.monotonic() < deadline:
                self._turn(0.1)
        self._drop()

    def _turn(self, timeout_s: float) -> None:
        """One round of the network loop; a lost connection is dropped."""
        client = self._client
        if client is not None and client.loop(max(timeout_s, 0.0)) != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._drop()

    def _drop(self) -> None:
        """Forget the connection; what it brought and we have not looked at, the broker will give us again."""
        if self._client is not None:
            _forget(self._client)
            self._client = None
        self._inbox.clear()

    def _probe(self, context: ssl.SSLContext) -> BrokerFault:
        """In TLS 1.3 a refused certificate shows only in the first byte after the handshake: read it."""
        host, port = self._broker.host, self._broker.port
        try:
            with (
                socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=host) as tls,
            ):
                tls.settimeout(_PROBE_S)
                with contextlib.suppress(TimeoutError):
                    tls.recv(1)
        except (OSError, ValueError) as error:
            return broker_fault.of_exception(error, self._broker.where)
        return BrokerFault(f"{self._broker.where} hangs up without a reason", "Does it speak MQTT 5?")

    def _make_client(self, context: ssl.SSLContext) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.tls_set_context(context)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(RECEIPTS_IN_FLIGHT)
        client.on_socket_open = lambda _c, _u, channel: _tune(channel)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: Any,
        _flags: Any,
        code: ReasonCode,
        _properties: Any,
    ) -> None:
        if code.value >= 128:
            self._fault = broker_fault.of_connack(code.value, str(code))
            return
        client.subscribe(self._filter, qos=1)

    def _on_subscribe(
        self, _client: paho.Client, _userdata: Any, _mid: int, codes: Sequence[ReasonCode], _p: Any
    ) -> None:
        if codes[0].value >= 128:
            self._fault = BrokerFault(
                f"the broker refuses the subscription {self._filter}: {codes[0]}",
                "Is our certificate's CN in its ACL (config/broker/acl)?",
            )
        self._subscribed = True

    def _on_message(self, client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        mid, qos = message.mid, message.qos

        def acknowledge() -> None:
            if (
                client is self._client
            ):  # else the broker gives it to us again, and that is known by its number
                client.ack(mid, qos)

        self._inbox.append(Message(message.topic, bytes(message.payload), acknowledge))

    def _on_disconnect(
        self, _client: paho.Client, _userdata: Any, flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server and code.value == TAKEN_OVER:
            self._fault = broker_fault.TAKEN_OVER


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_EXPIRY_S
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    return properties


def _tune(channel: Any) -> None:
    """A receipt must not wait for the last one's acknowledgement."""
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _forget(client: paho.Client) -> None:
    """Close a client's socket without a goodbye, and let go of it."""
    channel = client.socket()
    for callback in _CALLBACKS:
        setattr(client, callback, None)
    if channel is not None:
        channel.close()


def _unavailable(fault: BrokerFault) -> ServiceUnavailable:
    return ServiceUnavailable(fault.message, hint=fault.hint)
