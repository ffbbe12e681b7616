"""Gateways, a real mosquitto, receivers as processes, a real PostgreSQL: nothing lost, nothing twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import cbor2
import psycopg
import pytest
import zstandard

from cloud_sync.db import registry
from cloud_sync.db.connection import OPERATOR, Scope, connect, transaction
from edge_codecs.batch import Manifest, SigningKey, header_bytes
from edge_codecs.receipt import Detail, Verdict
from edge_codecs.topics import uplink_topic
from tests.rig.batches import EPOCH, dev_eui, register, steady, uplink
from tests.rig.broker import find_mosquitto
from tests.rig.certificates import Certificates
from tests.rig.cutting_proxy import CuttingProxy
from tests.rig.plant import Agent, Plant, WireClient
from tests.rig.postgres import Postgres, installations, migrated_database
from tests.rig.process import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_mosquitto() is None, reason="no mosquitto here"),
    pytest.mark.skipif(not installations(), reason="no PostgreSQL here"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture
def plant(server, tmp_path) -> Iterator[Plant]:
    with migrated_database(server) as dsn:
        made = Plant(tmp_path, dsn)
        try:
            with made.broker:
                yield made
        finally:
            made.end()


def frames(device: int, count: int, start: int = 0) -> list[tuple[str, int]]:
    return [(dev_eui(device).hex(), n) for n in range(start, start + count)]


def uplinks(device: int, count: int, start: int = 0):
    return [uplink(device, n, at=EPOCH + timedelta(minutes=n)) for n in range(start, start + count)]


# One receiver, all well


def test_a_reading_travels_from_store_to_records_and_its_receipt_back(plant):
    gateway = plant.gateway(devices=[1])
    plant.ready(plant.receiver())
    with Agent(plant, gateway) as agent:
        agent.keep(uplinks(1, 1))
        agent.wait()
        state = agent.state()
    assert plant.frames() == frames(1, 1)
    assert state.confirmed_up_to == 1
    assert state.last_error is None
    assert abs(state.clock_offset_ms) < 10_000


def test_a_backlog_is_caught_up_and_live_rows_come_through(plant):
    gateway = plant.gateway(devices=[1, 2])
    plant.ready(plant.receiver())
    with Agent(plant, gateway) as agent:
        agent.keep(uplinks(1, 8_000), backlog=True)
        agent.keep(uplinks(2, 1))
        agent.wait()
    assert plant.frames() == frames(1, 8_000) + frames(2, 1)
    assert plant.query("SELECT historical, count(*) FROM uplinks GROUP BY 1 ORDER BY 1") == [
        (False, 1),
        (True, 8_000),
    ]


def test_sigterm_finishes_says_goodbye_and_exits_with_0(plant):
    gateway = plant.gateway(devices=[1])
    receiver = plant.ready(plant.receiver())
    with Agent(plant, gateway) as agent:
        for n in range(20):
            agent.keep(uplinks(1, 50, start=50 * n))
        assert receiver.stop() == 0
        plant.ready(receiver)
        agent.wait()
    assert plant.frames() == frames(1, 1000)
    assert receiver.stop() == 0
    assert "Traceback" not in receiver.said()


# What is not right


def test_each_fault_is_answered_and_quarantined_with_its_reason(plant):
    gateway, other = plant.gateway(1, devices=[1]), plant.gateway(2, tenant="other", devices=[2])
    unknown = plant.gateway(3, tenant=None)
    plant.ready(plant.receiver())
    with WireClient(plant, gateway) as client, WireClient(plant, unknown) as stranger:
        first = gateway.batch(uplinks(1, 1))
        wire = gateway.sealed(first)
        receipt = client.answer(wire)
        assert (receipt.up_to, receipt.batch_hash, receipt.verdict) == (1, first.hash, Verdict.STORED)

        def refused(wire: bytes, detail: Detail) -> None:
            receipt = client.answer(wire)
            assert (receipt.verdict, receipt.detail) == (Verdict.REFUSED, detail)

        thief = replace(gateway, signing_key=SigningKey.generate())
        refused(thief.sealed(following(gateway, first)), Detail.BAD_SIGNATURE)
        refused(altered_header(gateway, wire, first), Detail.CANNOT_OPEN)
        packed = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))
        bomb = replace(following(gateway, first), rows=b"\x01" + packed)
        receipt = client.answer(gateway.sealed(bomb))
        assert receipt.detail in (Detail.BOMB, Detail.BAD_ROWS)
        rows = following(gateway, first, f_cnt=500).rows
        refused(gateway.sealed(replace(following(gateway, first), previous=bytes(16))), Detail.CHAIN_BROKEN)
        refused(gateway.sealed(replace(first, rows=rows)), Detail.BATCH_CONFLICT)

        receipt = stranger.answer(unknown.sealed(unknown.batch(uplinks(1, 1))))
        assert (receipt.verdict, receipt.detail) == (Verdict.REFUSED, Detail.UNKNOWN_GATEWAY)

        # these name nobody that could be answered
        client.publish(other.sealed(other.batch(uplinks(2, 1))))  # another's batch on our topic
        fields = cbor2.loads(header_bytes(first, plant.sealing_key))
        body = wire[len(header_bytes(first, plant.sealing_key)) :]
        tagged = cbor2.dumps([*fields[:5], cbor2.CBORTag(4, [10**8, 1]), *fields[6:]])
        client.publish(tagged + body)
        client.publish(b"\xa2\x01\x01\x01\x02" + body)  # a map with the same key twice
        client.publish(cbor2.dumps(fields[:-1]) + body)
        client.publish(b"")
        client.publish(bytes(262_144 + 1))

        # and after all of it the gateway goes on as if nothing had happened
        good = following(gateway, first)
        receipt = client.answer(gateway.sealed(good))
        assert (receipt.up_to, receipt.verdict) == (2, Verdict.STORED)
    assert sorted(set(plant.quarantined()) - {"bomb", "bad_rows"}) == [
        "bad_header",
        "bad_signature",
        "batch_conflict",
        "cannot_open",
        "chain_broken",
        "too_large",
        "unknown_gateway",
        "wrong_gateway",
    ]
    assert plant.quarantined().count("bad_header") == 4
    assert plant.frames() == frames(1, 1) + frames(1, 1, start=7)


def following(gateway, first: Manifest, f_cnt: int = 7) -> Manifest:
    """A batch that may follow `first`, without moving the gateway."""
    return replace(gateway, number=first.number, hash=first.hash, row=2).batch(uplinks(1, 1, start=f_cnt))


def altered_header(gateway, wire: bytes, manifest: Manifest) -> bytes:
    """The same seal under a header that says another batch number."""
    old = header_bytes(manifest, gateway.receiver_key)
    new = header_bytes(replace(manifest, number=2, previous=bytes(16)), gateway.receiver_key)
    return new + wire[len(old) :]


def test_a_gateway_that_publishes_to_anothers_topic_is_refused_and_its_agent_says_so(plant):
    gateway, victim = plant.gateway(1, devices=[1]), plant.gateway(2, tenant="other")
    plant.ready(plant.receiver())
    impostor = replace(victim, signing_key=gateway.signing_key)
    with Agent(plant, impostor, certificate=plant.pki.client(str(gateway.id))) as agent:
        agent.keep(uplinks(1, 1))
        wait_until(lambda: agent.state().last_error, "the refusal")
        assert agent.state().last_error == (
            "the broker refuses this topic: is the gateway id the certificate's CN?"
        )
        assert str(victim.id) in agent.state().hint
        assert not agent.state().connected
    assert plant.frames() == []


def test_duplicates_and_any_order_make_each_row_once(plant):
    gateway = plant.gateway(devices=[1])
    plant.ready(plant.receiver())
    manifests = [gateway.batch(uplinks(1, 5, start=5 * n)) for n in range(40)]
    deliveries = manifests * 3
    random.Random(7).shuffle(deliveries)
    with WireClient(plant, gateway) as client:
        for manifest in deliveries:
            client.publish(gateway.sealed(manifest))
        wait_until(lambda: any(r.up_to == 40 for r in client.receipts), "the last batch")
        assert {receipt.verdict for receipt in client.receipts} <= {Verdict.STORED, Verdict.RESEND}
    assert plant.frames() == frames(1, 200)
    assert plant.quarantined() == []
    assert plant.query("SELECT count(*) FROM early_batches") == [(0,)]


def test_registration_and_revocation_take_effect_while_the_receiver_runs(plant):
    gateway = plant.gateway(1, tenant=None)
    plant.ready(plant.receiver())
    with WireClient(plant, gateway) as client:
        first = gateway.batch(uplinks(1, 1))
        assert client.answer(gateway.sealed(first)).detail is Detail.UNKNOWN_GATEWAY
        register(plant.dsn, "acme", [gateway], [1])
        assert client.answer(gateway.sealed(first)).verdict is Verdict.STORED
        with connect(plant.dsn, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
            registry.revoke_gateway(connection, gateway.id, datetime.now(UTC))
        receipt = client.answer(gateway.sealed(gateway.batch(uplinks(1, 1, start=1))))
        assert (receipt.verdict, receipt.detail) == (Verdict.REFUSED, Detail.REVOKED_GATEWAY)
    assert plant.frames() == frames(1, 1)


# What breaks


def test_a_broker_killed_with_default_persistence_loses_nothing(plant):
    gateway = plant.gateway(devices=[1])
    plant.ready(plant.receiver())
    roll = random.Random(1)
    with Agent(plant, gateway) as agent:
        sent = 0
        for _ in range(5):
            for _ in range(roll.randint(1, 6)):
                agent.keep(uplinks(1, 100, start=sent))
                sent += 100
                confirmed = agent.store.receipted
                if roll.random() < 0.5:
                    wait_until(lambda: agent.store.receipted > confirmed or agent.done, "progress")  # noqa: B023
            plant.broker.kill()
            plant.broker.start()
        agent.wait(120)
    assert plant.frames() == frames(1, sent)


def test_a_receiver_outlives_a_half_renewed_certificate(plant):
    gateway = plant.gateway(devices=[1])
    receiver = plant.ready(plant.receiver())
    (key,) = plant.pki.ca.parent.glob("receiver-*.key")
    renewed, fitting = plant.pki.client("other").key.read_bytes(), key.read_bytes()
    with Agent(plant, gateway) as agent:
        key.write_bytes(renewed)  # and the certificate is still the old one
        plant.broker.kill()
        plant.broker.start()
        wait_until(lambda: receiver.said().count("do not fit together") > 1, "the receiver to complain twice")
        assert receiver.running
        agent.keep(uplinks(1, 10))
        key.write_bytes(fitting)
        agent.wait()
    assert plant.frames() == frames(1, 10)
    assert receiver.stop() == 0
    assert "cloud-sync ca issue-receiver" in receiver.said()


def test_a_link_that_breaks_every_few_kilobytes_gets_everything_through(plant):
    """A window that a library sends again as a whole after each cut never ends here."""
    gateway = plant.gateway(devices=range(1, 21))
    plant.ready(plant.receiver())
    with CuttingProxy(plant.broker.port, 20_000, 60_000) as proxy:
        with Agent(plant, gateway, port=proxy.port) as agent:
            agent.keep(list(islice(steady(range(1, 21)), 25_000)), backlog=True)
            agent.wait(120)
            state = agent.state()
        assert proxy.cuts >= 3
    assert plant.query("SELECT count(*), count(DISTINCT (dev_eui, f_cnt)) FROM uplinks") == [(25_000, 25_000)]
    assert state.batches_sent_again <= 20 * proxy.cuts
    assert plant.quarantined() == []


def test_a_receiver_killed_in_the_middle_of_a_transaction_loses_nothing(plant):
    gateway = plant.gateway(devices=[1])
    receiver = plant.ready(plant.receiver())
    with Agent(plant, gateway) as agent:
        agent.keep(uplinks(1, 10))
        agent.wait()
        with psycopg.connect(plant.dsn) as blocker:
            blocker.execute("LOCK TABLE clipr.uplinks IN EXCLUSIVE MODE")  # rows may be read, none written
            agent.keep(uplinks(1, 500, start=10))
            wait_until(lambda: waiting_for_lock(plant), "the receiver to be in its transaction")
            receiver.kill()
        assert plant.frames() == frames(1, 10)
        plant.ready(receiver)
        agent.wait()
    assert plant.frames() == frames(1, 510)
    assert plant.query("SELECT count(*), max(number) FROM batches") == [(2, 2)]


def waiting_for_lock(plant: Plant) -> bool:
    waiting = plant.query(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return bool(waiting)


def test_a_receiver_killed_at_any_moment_loses_nothing(plant):
    gateways = [plant.gateway(n, tenant=f"tenant-{n}", devices=[n]) for n in (1, 2)]
    receiver = plant.ready(plant.receiver())
    roll = random.Random(3)
    sent = 0
    with Agent(plant, gateways[0]) as one, Agent(plant, gateways[1]) as two:
        for _ in range(6):
            for _ in range(roll.randint(1, 8)):
                for device, agent in ((1, one), (2, two)):
                    agent.keep(uplinks(device, 60, start=sent))
                sent += 60
            seen = len(plant.frames())
            if roll.random() < 0.7:
                wait_until(lambda: len(plant.frames()) > seen or (one.done and two.done), "progress")  # noqa: B023
            receiver.kill()
            plant.ready(receiver)
        one.wait()
        two.wait()
    assert plant.frames() == frames(1, sent) + frames(2, sent)
    for device in (1, 2):
        assert plant.query(
            "SELECT DISTINCT tenant FROM uplinks WHERE dev_eui = %s", bytes(dev_eui(device))
        ) == [(f"tenant-{device}",)]


def test_a_killed_database_is_waited_for(tmp_path):
    with Postgres() as server, migrated_database(server) as dsn:
        plant = Plant(tmp_path, dsn)
        try:
            with plant.broker:
                gateway = plant.gateway(devices=[1])
                receiver = plant.ready(plant.receiver())
                with Agent(plant, gateway) as agent:
                    agent.keep(uplinks(1, 100))
                    agent.wait()
                    server.kill()
                    agent.keep(uplinks(1, 100, start=100))
                    wait_until(lambda: "the database is away" in receiver.said(), "the receiver to notice")
                    server.start()
                    agent.wait()
                assert plant.frames() == frames(1, 200)
                assert receiver.running
                assert receiver.said().count("the database is away") < 20
                assert plant.quarantined() == []
                server.kill()
                with Agent(plant, gateway):
                    assert receiver.stop() == 0  # SIGTERM is heard while the database is away
                server.start()
        finally:
            plant.end()


# Several receivers


def test_two_receivers_share_the_load(plant):
    gateways = [plant.gateway(n, tenant=f"tenant-{n}", devices=[n]) for n in (1, 2)]
    receivers = [plant.ready(plant.receiver(name)) for name in ("receiver", "receiver-2")]
    with Agent(plant, gateways[0]) as one, Agent(plant, gateways[1]) as two:
        for n in range(20):
            one.keep(uplinks(1, 30, start=30 * n))
            two.keep(uplinks(2, 30, start=30 * n))
            wait_until(lambda: one.store.receipted and two.store.receipted, "progress")
        one.wait()
        two.wait()
    assert plant.frames() == frames(1, 600) + frames(2, 600)
    for receiver in receivers:
        assert receiver.stop() == 0
        tally = receiver.said().rsplit("received since the start", 1)[1]
        assert "batches=0" not in tally, tally


def test_one_of_two_receivers_killed_hard_loses_nothing_even_if_it_never_returns(plant):
    gateways = [plant.gateway(n, tenant=f"tenant-{n}", devices=[n]) for n in (1, 2)]
    receivers = [plant.ready(plant.receiver(name)) for name in ("receiver", "receiver-2")]
    with Agent(plant, gateways[0]) as one, Agent(plant, gateways[1]) as two:
        for n in range(10):
            one.keep(uplinks(1, 100, start=100 * n))
            two.keep(uplinks(2, 100, start=100 * n))
            if n == 4:
                wait_until(lambda: one.store.receipted and two.store.receipted, "progress")
                receivers[1].kill()
        one.wait(240)
        two.wait(240)
    assert plant.frames() == frames(1, 1000) + frames(2, 1000)
    assert plant.quarantined() == []


# One clear message each


@pytest.mark.parametrize(
    ("spoil", "status", "says"),
    [
        ("broker", 69, "nobody listens"),
        ("database", 69, "database"),
        ("keys", 78, "key"),
        ("certificate", 78, "there is no"),
        ("authority", 69, "another authority"),
    ],
)
def test_a_receiver_that_cannot_start_says_why_and_exits(plant, tmp_path, spoil, status, says):
    receiver = plant.receiver()
    file = plant.directory / "receiver.toml"
    match spoil:
        case "broker":
            plant.broker.stop()
        case "database":
            text = file.read_text()
            file.write_text(text.replace("host=/", "host=/nowhere/"))
        case "keys":
            file.write_text(file.read_text().replace(str(plant.directory / "keys"), str(tmp_path / "none")))
        case "certificate":
            line = next(x for x in file.read_text().splitlines() if x.startswith("key_file"))
            file.write_text(file.read_text().replace(line, 'key_file = "/nowhere/receiver.key"'))
        case "authority":
            other = Certificates(tmp_path / "other", "Another authority")
            file.write_text(file.read_text().replace(str(plant.pki.ca), str(other.ca)))
    receiver.start()
    assert receiver.wait() == status
    assert says in receiver.said()
    assert "→" in receiver.said()
    assert "Traceback" not in receiver.said()


def test_readings_do_not_show_in_what_a_receiver_prints(plant):
    gateway = plant.gateway(devices=[1])
    receiver = plant.ready(plant.receiver())
    with WireClient(plant, gateway) as client:
        client.answer(gateway.sealed(gateway.batch(uplinks(1, 3))))
        client.publish(b"canary" * 10, topic=uplink_topic(gateway.id))
        wait_until(lambda: plant.quarantined(), "the quarantine")
    receiver.stop()
    assert "canary" not in receiver.said()
    assert "5890" not in receiver.said()
    assert b"PRIVATE" not in receiver.said().encode()
