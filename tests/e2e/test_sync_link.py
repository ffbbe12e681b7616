"""The agent's link against a real mosquitto with the configuration that we ship."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from cloud_sync.pki.authority import Authority, Issued, install
from edge_agent.sync.identity import Broker as BrokerAddress
from edge_agent.sync.identity import SyncIdentity
from edge_agent.sync.link import LinkDown, NotTaken, ReceiptCame, Taken
from edge_agent.sync.mqtt import MAX_WINDOW, UNACKNOWLEDGED_MS, MqttLink
from edge_codecs.batch import SealingPrivateKey, SigningKey
from edge_codecs.identifiers import GatewayId
from edge_codecs.topics import receipt_topic, state_topic
from tests.rig.broker import Broker, find_mosquitto
from tests.rig.certificates import DAY, Certificates, Pair
from tests.rig.process import free_port, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_mosquitto() is None, reason="no mosquitto here"),
    # paho leaves the socket of a failed handshake to the garbage collector
    pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]

GATEWAY = GatewayId.parse("70b3d57ed0000001")
OTHER = GatewayId.parse("70b3d57ed0000002")


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory, pki) -> Iterator[Broker]:
    server = pki.server()
    with Broker(tmp_path_factory.mktemp("broker"), pki.ca, server.certificate, server.key) as running:
        yield running


def identity(broker: Broker, ca: Path, client: Pair, gateway: GatewayId = GATEWAY, **options) -> SyncIdentity:
    address = BrokerAddress("localhost", broker.port, ca, client.certificate, client.key)
    return SyncIdentity(
        gateway=gateway,
        broker=replace(address, **options),
        signing_key=SigningKey.generate(),
        sealing_key=SealingPrivateKey.generate(1).public_key,
        receipt_key=SigningKey.generate().verify_key,
        backlog_rows_per_s=5000,
    )


def fault_of(who: SyncIdentity):
    """What the link says when it cannot connect."""

    async def connect() -> None:
        connection = await MqttLink(who).connect()
        await connection.close()

    with pytest.raises(LinkDown) as caught:
        asyncio.run(asyncio.wait_for(connect(), 60))
    fault = caught.value.fault
    assert fault.hint, f"no next step for: {fault.message}"
    return fault


class Operator:
    """A plain MQTT client with a receiver's certificate: publishes and listens."""

    def __init__(self, broker: Broker, pki: Certificates, name: str, *topics: str) -> None:
        pair = pki.client(name)
        context = ssl.create_default_context(cafile=str(pki.ca))
        context.load_cert_chain(pair.certificate, pair.key)
        self.heard: list[tuple[str, bytes, bool]] = []
        self._subscribed = 0
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.tls_set_context(context)
        self.client.on_message = lambda _c, _u, m: self.heard.append((m.topic, bytes(m.payload), m.retain))
        self.client.on_subscribe = lambda *_: setattr(self, "_subscribed", self._subscribed + 1)
        self.client.connect("localhost", broker.port)
        self.client.loop_start()
        wait_until(self.client.is_connected, "the operator's connection")
        for topic in topics:
            self.client.subscribe(topic, qos=1)
        wait_until(lambda: self._subscribed == len(topics), "the operator's subscriptions")

    def publish(self, topic: str, payload: bytes) -> None:
        self.client.publish(topic, payload, qos=1).wait_for_publish(10)

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class PlainListener:
    """Takes one TCP connection: says something that is not TLS, or never anything."""

    def __init__(self, *, answers: bool = True) -> None:
        self.accepted = threading.Event()
        self._answers = answers
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            channel, _ = self._listening.accept()
            with channel:
                self.accepted.set()
                if self._answers:
                    channel.recv(1)
                    channel.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                self._done.wait(10)

    def __enter__(self) -> PlainListener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._listening.close()
        self._thread.join()


# Certificates: each fault has its own name


def test_an_expired_certificate_of_ours(broker, pki):
    client = pki.client(str(GATEWAY), start=-2 * DAY, end=-DAY)
    assert "gateway's certificate has expired" in fault_of(identity(broker, pki.ca, client)).message


def test_a_certificate_of_ours_from_another_authority(broker, pki, tmp_path):
    client = Certificates(tmp_path, "Another authority").client(str(GATEWAY))
    assert "does not know the authority" in fault_of(identity(broker, pki.ca, client)).message


def test_a_revoked_certificate_of_ours(tmp_path, pki):
    server, client, valid = pki.server(), pki.client(str(GATEWAY)), pki.client(str(GATEWAY))
    crl = pki.revocation_list(client)
    change = ("# crlfile /etc/mosquitto/clipr/crl.pem", f"crlfile {crl}")
    with Broker(tmp_path, pki.ca, server.certificate, server.key, replace=[change]) as broker:
        assert "is revoked" in fault_of(identity(broker, pki.ca, client)).message

        async def connects() -> None:
            await (await MqttLink(identity(broker, pki.ca, valid)).connect()).close()

        asyncio.run(connects())


def test_a_server_certificate_in_a_clients_hand(broker, pki):
    fault = fault_of(identity(broker, pki.ca, pki.server(str(GATEWAY))))
    assert "not one for a client" in fault.message


def test_a_broker_from_another_authority(broker, pki, tmp_path):
    other = Certificates(tmp_path, "Another authority")
    fault = fault_of(identity(broker, other.ca, pki.client(str(GATEWAY))))
    assert "comes from another authority" in fault.message
    assert "ca_file" in fault.hint


def test_a_broker_from_an_authority_of_the_same_name(broker, pki, tmp_path):
    other = Certificates(tmp_path)
    fault = fault_of(identity(broker, other.ca, pki.client(str(GATEWAY))))
    assert "comes from another authority" in fault.message


@pytest.mark.parametrize(
    ("names", "host", "says"),
    [
        (("broker.example",), "localhost", "another host name"),
        (("127.0.0.9",), "127.0.0.1", "another address"),
    ],
)
def test_a_broker_of_another_name(tmp_path, pki, names, host, says):
    server = pki.server(*names)
    with Broker(tmp_path, pki.ca, server.certificate, server.key) as broker:
        fault = fault_of(identity(broker, pki.ca, pki.client(str(GATEWAY)), host=host))
    assert says in fault.message
    assert "[sync] host" in fault.hint


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [(-2 * DAY, -DAY, "broker's certificate has expired"), (DAY, 2 * DAY, "not yet valid")],
)
def test_a_broker_whose_certificate_does_not_hold_now(
    tmp_path, pki, start: timedelta, end: timedelta, says: str
):
    server = pki.server(start=start, end=end)
    with Broker(tmp_path, pki.ca, server.certificate, server.key) as broker:
        fault = fault_of(identity(broker, pki.ca, pki.client(str(GATEWAY))))
    assert says in fault.message
    assert "clock" in fault.hint


def test_a_broker_that_speaks_tls_1_2_only(tmp_path, pki):
    # mosquitto takes tls_version for the oldest that it speaks; OpenSSL's policy says what is the newest
    policy = tmp_path / "openssl.cnf"
    policy.write_text(
        "openssl_conf = d\n[d]\nssl_conf = s\n[s]\nsystem_default = p\n[p]\nMaxProtocol = TLSv1.2\n"
    )
    server, client = pki.server(), pki.client(str(GATEWAY))
    with Broker(
        tmp_path / "broker",
        pki.ca,
        server.certificate,
        server.key,
        replace=[("tls_version tlsv1.3", "tls_version tlsv1.2")],
        environment={"OPENSSL_CONF": str(policy)},
    ) as broker:
        fault = fault_of(identity(broker, pki.ca, client))
    assert "does not speak TLS 1.3" in fault.message


def test_a_port_without_tls(pki):
    with PlainListener() as listener:
        fault = fault_of(identity(listener, pki.ca, pki.client(str(GATEWAY))))
    assert "does not speak TLS" in fault.message
    assert "port" in fault.hint


def test_nobody_listens(pki):
    class Nobody:
        port = free_port()

    assert "nobody listens" in fault_of(identity(Nobody(), pki.ca, pki.client(str(GATEWAY)))).message


def test_a_name_that_does_not_resolve(broker, pki):
    who = identity(broker, pki.ca, pki.client(str(GATEWAY)), host="broker.invalid")
    assert "does not resolve" in fault_of(who).message


def test_certificates_of_the_development_authority_are_good_here(tmp_path):
    authority = Authority.create(tmp_path / "ca")
    install(authority.issue_server(), tmp_path / "broker.crt", tmp_path / "broker.key")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(GATEWAY))])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    certificate = authority.issue_gateway(request.public_bytes(Encoding.PEM), GATEWAY)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    client = Pair(tmp_path / "gateway.crt", tmp_path / "gateway.key")
    install(Issued(certificate, pem), client.certificate, client.key)
    ca = tmp_path / "ca" / "ca.crt"

    async def connects(broker: Broker) -> None:
        await (await MqttLink(identity(broker, ca, client)).connect()).close()

    with Broker(tmp_path / "data", ca, tmp_path / "broker.crt", tmp_path / "broker.key") as broker:
        asyncio.run(connects(broker))


# What the broker allows


def test_another_gateways_topic_is_refused_and_the_link_says_so(broker, pki):
    fault = fault_of(identity(broker, pki.ca, pki.client(str(OTHER)), gateway=GATEWAY))
    assert fault.message == "the broker refuses this topic: is the gateway id the certificate's CN?"


def test_a_refused_batch_is_told_with_its_number(broker, pki):
    async def story() -> None:
        connection = await MqttLink(identity(broker, pki.ca, pki.client(str(GATEWAY)))).connect()
        connection._gateway = OTHER  # what a program with a foreign certificate would do
        connection.publish(7, b"a batch")
        event = await asyncio.wait_for(connection.next_event(), 10)
        assert isinstance(event, NotTaken)
        assert event.number == 7
        assert "is the gateway id the certificate's CN?" in event.fault.message
        await connection.close()

    with Operator(broker, pki, "receiver", "clipr/v1/+/up") as operator:
        asyncio.run(story())
        assert operator.heard == []


def test_receipts_come_to_their_gateway_only_and_wait_for_one_that_is_away(broker, pki):
    ours = identity(broker, pki.ca, pki.client(str(GATEWAY)))

    async def listen(expected: list[bytes]) -> None:
        connection = await MqttLink(ours).connect()
        for data in expected:
            assert await asyncio.wait_for(connection.next_event(), 10) == ReceiptCame(data)
        await connection.close()

    asyncio.run(listen([]))
    with Operator(broker, pki, "receiver") as operator:
        operator.publish(receipt_topic(OTHER), b"for the other")
        operator.publish(receipt_topic(GATEWAY), b"for us")
        asyncio.run(listen([b"for us"]))


def test_the_state_is_retained_online_stopped_and_lost(broker, pki):
    def state() -> str | None:
        with Operator(broker, pki, "receiver", state_topic(GATEWAY)) as operator:
            wait_until(lambda: operator.heard, "the retained state")
            assert operator.heard[0][2]
            return json.loads(operator.heard[0][1])["state"]

    async def story() -> None:
        connection = await MqttLink(ours).connect()
        assert await asyncio.to_thread(state) == "online"
        await connection.close()
        assert await asyncio.to_thread(state) == "stopped"
        connection = await MqttLink(ours).connect()
        connection.abandon()  # as if the power had gone
        with pytest.raises(LinkDown):
            await connection.next_event()
        assert await asyncio.to_thread(state) == "lost"

    ours = identity(broker, pki.ca, pki.client(str(GATEWAY)))
    asyncio.run(story())


def test_batches_arrive_and_are_acknowledged(broker, pki):
    async def story() -> list[object]:
        ours = identity(broker, pki.ca, pki.client(str(GATEWAY)), keepalive_s=301)
        connection = await MqttLink(ours).connect()
        assert f"as {GATEWAY} (p5, c0, k301, u'{GATEWAY}')" in broker.log
        channel = connection._client.socket()
        assert channel.version() == "TLSv1.3"
        assert channel.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNACKNOWLEDGED_MS
        assert connection.window == MAX_WINDOW
        for number in range(1, 21):
            connection.publish(number, b"x" * 60_000)
        events = [await asyncio.wait_for(connection.next_event(), 10) for _ in range(20)]
        await connection.close()
        return events

    with Operator(broker, pki, "receiver", "clipr/v1/+/up") as operator:
        events = asyncio.run(story())
        assert [event.number for event in events if isinstance(event, Taken)] == list(range(1, 21))
        wait_until(lambda: len(operator.heard) == 20, "all batches")


def test_nobody_subscribed_is_told(tmp_path, pki):
    server = pki.server()
    with Broker(tmp_path, pki.ca, server.certificate, server.key) as broker:

        async def story() -> None:
            connection = await MqttLink(identity(broker, pki.ca, pki.client(str(GATEWAY)))).connect()
            connection.publish(1, b"a batch")
            assert await asyncio.wait_for(connection.next_event(), 10) == Taken(1, heard=False)
            await connection.close()

        asyncio.run(story())


# How a connection ends


def test_a_killed_broker_ends_the_connection_and_a_forgotten_session_is_told(tmp_path, pki):
    server = pki.server()
    broker = Broker(tmp_path, pki.ca, server.certificate, server.key).start()
    ours = identity(broker, pki.ca, pki.client(str(GATEWAY)))

    async def story() -> None:
        connection = await MqttLink(ours).connect()
        assert not connection.session_present
        await connection.close()
        connection = await MqttLink(ours).connect()
        assert connection.session_present
        broker.kill()
        with pytest.raises(LinkDown):
            await asyncio.wait_for(connection.next_event(), 10)
        with pytest.raises(LinkDown):  # whoever asks again hears the same
            await connection.next_event()
        await connection.close()
        broker.start()
        connection = await MqttLink(ours).connect()
        assert not connection.session_present
        await connection.close()

    try:
        asyncio.run(story())
    finally:
        broker.stop()


def test_a_copy_of_the_gateway_ends_our_connection(broker, pki):
    """MQTT 5 brokers may say so (142); mosquitto 2.0.11 just hangs up."""
    ours = identity(broker, pki.ca, pki.client(str(GATEWAY)))

    async def story() -> None:
        first = await MqttLink(ours).connect()
        second = await MqttLink(ours).connect()
        with pytest.raises(LinkDown, match=r"took over the session|was lost"):
            await asyncio.wait_for(first.next_event(), 10)
        await first.close()
        await second.close()

    asyncio.run(story())


def test_leaving_does_not_wait_for_a_broker_that_never_answers(pki):
    """SIGTERM while connecting to a black hole must not take the time-out of the handshake."""

    async def story() -> None:
        with PlainListener(answers=False) as listener:
            link = MqttLink(identity(listener, pki.ca, pki.client(str(GATEWAY))))
            task = asyncio.create_task(link.connect())
            await asyncio.sleep(0)
            wait = asyncio.get_running_loop().run_in_executor(None, listener.accepted.wait, 10)
            assert await wait
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    started = time.monotonic()
    asyncio.run(story())
    assert time.monotonic() - started < 5


def test_an_idle_connection_sleeps_and_a_batch_wakes_it(broker, pki):
    async def story() -> None:
        connection = await MqttLink(identity(broker, pki.ca, pki.client(str(GATEWAY)))).connect()
        turn, turns = connection._client.loop, []
        connection._client.loop = lambda pace_s: turns.append(pace_s) or turn(pace_s)
        event = asyncio.ensure_future(connection.next_event())
        await asyncio.wait({event}, timeout=2)
        assert len(turns) <= 2  # the last acknowledgement of connecting may still have come
        connection.publish(1, b"a batch")
        assert (await asyncio.wait_for(event, 5)).number == 1
        await connection.close()

    asyncio.run(story())
