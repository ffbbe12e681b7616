"""Nobody sees another's rows: attacked in a real PostgreSQL, over everything that its catalogue lists.

Tables, views and functions are found in the catalogue and not named here, so what is added later is tested
without a word. Tenant b's rows carry marks; a mark of b in anything that tenant a can read is a leak, and so
is any answer that changes because b has rows (a count, an average).
"""

# ruff: noqa: F811  (fixtures are imported, and then named by arguments)

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

import cloud_sync.db
from cloud_sync.db import isolation
from cloud_sync.db.connection import (
    AUDITOR,
    DOSSIER,
    OPERATOR,
    OWNER,
    RECEIVER,
    Scope,
    connect,
    enter_tenant,
    transaction,
)
from cloud_sync.db.records import Records
from edge_codecs.clipr import Event, EventKind, History, HistoryInterval
from tests.rig.batches import EPOCH, Gateway, dev_eui, register, report, uplink
from tests.rig.postgres import Postgres, migrated_database, postgres  # noqa: F401

pytestmark = pytest.mark.slow

PGRLS = Path(sys.executable).parent / "pgrls"
RULES = Path(cloud_sync.db.__file__).parent / "pgrls.toml"
ROLES = (OWNER, RECEIVER, OPERATOR, DOSSIER, AUDITOR)
B_DEVICE = 0xB0B0
B_MARKS = (str(dev_eui(B_DEVICE)), "bbb-tenant", "77.77")
"""What shows that a row is b's: device, tenant, temperature."""


def fill(dsn: str, tenant: str, gateway: Gateway, device: int, hundredths: int) -> None:
    """A row in every table that a tenant's data reach."""
    register(dsn, tenant, [gateway, other := Gateway(int.from_bytes(gateway.id[-2:], "big") + 1)], [device])
    heat = report((0, hundredths, hundredths, hundredths))
    intervals = (HistoryInterval(hundredths, hundredths),)
    rows = [
        uplink(device, 1, heat),
        uplink(device, 2, Event(EventKind.FLUSH_START, 0, 5, hundredths)),
        uplink(device, 3, History(0, round(EPOCH.timestamp()) - 90_000, 900, intervals)),
        uplink(device + 1, 1, heat),  # nobody's device
    ]
    records = Records.connect(dsn)
    records.process([gateway.batch(rows[:3]), gateway.batch(rows)])
    records.process([other.batch(rows[:1])])  # a reception
    conflict = uplink(device, 1, report((0, hundredths + 1, hundredths + 1, hundredths + 1)))
    records.process([other.batch([conflict])])
    records.close()


@pytest.fixture(scope="module")
def tenant_a(postgres: Postgres) -> Iterator[str]:
    """A database with tenant a alone."""
    with migrated_database(postgres) as dsn:
        fill(dsn, "aaa-tenant", Gateway(1), 1, 1111)
        yield dsn


@pytest.fixture(scope="module")
def both(postgres: Postgres, tenant_a: str) -> Iterator[str]:
    """The same database (a copy) after tenant b came."""
    name = "both_tenants"
    dsn = postgres.create_database(name, template=name_of(tenant_a))
    fill(dsn, "bbb-tenant", Gateway(11), B_DEVICE, 7777)
    yield dsn
    postgres.drop_database(name)


@pytest.fixture
def planted(postgres: Postgres, tenant_a: str, both: str) -> Iterator[tuple[str, str]]:
    """Copies to plant leaks in: with a alone, and with both."""
    copies = {"planted_alone": name_of(tenant_a), "planted_both": name_of(both)}
    yield tuple(postgres.create_database(copy, template=template) for copy, template in copies.items())
    for copy in copies:
        postgres.drop_database(copy)


def name_of(dsn: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])


# What a session can read -----------------------------------------------------------------------------


def answers(
    dsn: str, role: str, *, tenant: str | None = None, scope: Scope | None = None
) -> dict[str, list[str] | None]:
    """Everything that the role can get out of tables, views and functions; None: refused."""
    found: dict[str, list[str] | None] = {}
    with connect(dsn, role) as connection:
        for name, query in _questions(connection).items():
            try:
                with transaction_of(connection, tenant, scope):
                    found[name] = sorted(row for (row,) in connection.execute(query).fetchall())
            except psycopg.errors.InsufficientPrivilege:
                found[name] = None
    return found


@contextmanager
def transaction_of(connection: psycopg.Connection, tenant: str | None, scope: Scope | None) -> Iterator[None]:
    """A transaction with these settings; what it does is undone."""
    with connection.transaction(force_rollback=True):
        if tenant is not None:
            enter_tenant(connection, tenant)
        if scope is not None:
            connection.execute("SELECT set_config('clipr.scope', %s, true)", (scope.value,))
        yield


def _questions(connection: psycopg.Connection) -> dict[str, sql.Composable]:
    """A query for each relation and each function without arguments, out of the catalogue."""
    relations = connection.execute(
        """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema)'"""
    ).fetchall()
    functions = connection.execute(
        """SELECT n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname !~ '^(pg_|information_schema)' AND p.pronargs = 0 AND p.prokind = 'f'
               AND p.prorettype <> 'trigger'::regtype"""
    ).fetchall()
    questions: dict[str, sql.Composable] = {
        f"{schema}.{name}": sql.SQL("SELECT x::text FROM {} x").format(sql.Identifier(schema, name))
        for schema, name in relations
    }
    questions.update(
        {
            f"{schema}.{name}()": sql.SQL("SELECT x::text FROM {}() x").format(sql.Identifier(schema, name))
            for schema, name in functions
        }
    )
    assert len(questions) > 15
    return questions


def leaks_to_a(before: str, after: str, role: str) -> list[str]:
    """What of b shows under a's setting: b's marks, or an answer that b's coming has changed."""
    seen = answers(after, role, tenant="aaa-tenant")
    alone = answers(before, role, tenant="aaa-tenant")
    return [
        name
        for name, rows in seen.items()
        if rows is not None and (any(mark in row for row in rows for mark in B_MARKS) or alone[name] != rows)
    ]


def shown_without_setting(dsn: str, role: str) -> list[str]:
    return [name for name, rows in answers(dsn, role).items() if rows]


# The schema as it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_under_as_setting_nothing_of_b_shows(tenant_a: str, both: str, role: str) -> None:
    assert leaks_to_a(tenant_a, both, role) == []


@pytest.mark.parametrize("role", [DOSSIER, AUDITOR])
def test_a_tenant_sees_all_that_is_its_own(both: str, role: str) -> None:
    seen = answers(both, role, tenant="bbb-tenant")
    for table in ("uplinks", "receptions", "readings", "events", "tenants", "quarantine"):
        rows = seen[f"clipr.{table}"]
        assert rows, f"nothing of b in {table}"
        assert not any("aaa-tenant" in row for row in rows)
    assert bool(seen["clipr.evidence"]) == (role == AUDITOR)


@pytest.mark.parametrize("role", ROLES)
def test_without_a_setting_nothing_shows(both: str, role: str) -> None:
    assert shown_without_setting(both, role) == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("value", ["", "%", "aaa-tenant' OR true --", "AAA-TENANT", "bbb", "null"])
def test_no_other_value_of_the_setting_opens_anything(both: str, role: str, value: str) -> None:
    assert [name for name, rows in answers(both, role, tenant=value).items() if rows] == []


@pytest.mark.parametrize("role", [OWNER, RECEIVER, DOSSIER, AUDITOR])
def test_the_operators_scope_opens_nothing_to_others(both: str, role: str) -> None:
    seen = answers(both, role, scope=Scope.OPERATOR)
    assert [name for name, rows in seen.items() if rows] == []


def test_the_operator_sees_registry_and_quarantine_and_no_reading(both: str) -> None:
    seen = answers(both, OPERATOR, scope=Scope.OPERATOR)
    shown = {name.removeprefix("clipr.") for name, rows in seen.items() if rows}
    assert shown == {
        *("tenants", "gateways", "devices", "gateway_assignments", "device_assignments", "registry_version"),
        *("streams", "batches", "quarantine"),
    }
    assert any("device_unassigned" in row and ",,device" in row for row in seen["clipr.quarantine"] or [])


def test_what_is_nobodys_in_quarantine_shows_to_the_operator_alone(both: str) -> None:
    for role in (DOSSIER, AUDITOR, RECEIVER):
        for tenant in ("aaa-tenant", "bbb-tenant"):
            rows = answers(both, role, tenant=tenant)["clipr.quarantine"]
            assert not any("device_unassigned" in row for row in rows or [])


def test_the_receivers_scope_shows_the_plant_and_no_record(both: str) -> None:
    seen = answers(both, RECEIVER, scope=Scope.PLANT)
    shown = {name.removeprefix("clipr.") for name, rows in seen.items() if rows}
    assert shown == {
        *("gateways", "gateway_assignments", "device_assignments", "registry_version", "streams", "batches"),
    }


def test_what_is_retried_shows_nobodys_evidence_to_the_receiver_alone(both: str) -> None:
    for role in ROLES:
        seen = answers(both, role, scope=Scope.RETRY)
        assert [name for name, rows in seen.items() if rows] == ["clipr.evidence"] * (role == RECEIVER)
    with connect(both) as connection:
        (nobodys,) = connection.execute("SELECT count(*) FROM evidence WHERE tenant IS NULL").fetchone()
    assert len(answers(both, RECEIVER, scope=Scope.RETRY)["clipr.evidence"] or []) == nobodys > 0


def test_the_operator_settles_nothing_of_a_tenant(both: str) -> None:
    with connect(both) as connection:
        kinds = connection.execute("SELECT DISTINCT tenant IS NULL FROM quarantine").fetchall()
    assert sorted(kinds) == [(False,), (True,)]
    with connect(both, OPERATOR) as connection:
        for tenant in ("aaa-tenant", "bbb-tenant", ""):
            with transaction_of(connection, tenant, Scope.OPERATOR):
                settle = "UPDATE quarantine SET settled_at = NULL RETURNING tenant"
                assert {tenant for (tenant,) in connection.execute(settle).fetchall()} == {None}


def test_no_setting_survives_into_the_next_use_of_a_connection(both: str) -> None:
    with connect(both, DOSSIER) as connection:
        for ending in ("commit", "rollback", "error"):
            try:
                with transaction(connection, tenant="aaa-tenant"):
                    assert connection.execute("SELECT count(*) FROM readings").fetchone() != (0,)
                    if ending == "rollback":
                        raise psycopg.Rollback
                    if ending == "error":
                        connection.execute("SELECT 1/0")
            except psycopg.errors.DivisionByZero:
                pass
            assert connection.execute("SELECT current_setting('clipr.tenant', true)").fetchone() == ("",)
            assert connection.execute("SELECT count(*) FROM readings").fetchone() == (0,)
    records = Records.connect(both)
    gateway = Gateway(1)  # a new stream: its rows are not new, which goes the careful way
    records.process([gateway.batch([uplink(1, 1, report((0, 1111, 1111, 1111)))])])
    inside = records._connection
    for setting in ("clipr.tenant", "clipr.scope", "enable_seqscan"):
        (value,) = inside.execute("SELECT current_setting(%s, true)", (setting,)).fetchone() or (None,)
        assert value in ("", "on")
    assert inside.execute("SELECT count(*) FROM readings").fetchone() == (0,)
    records.close()


# What a session can write ----------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["uplinks", "receptions", "readings", "events"])
def test_the_receiver_writes_only_for_the_tenant_of_the_setting(both: str, table: str) -> None:
    with connect(both) as superuser:
        columns = [
            column
            for (column,) in superuser.execute(
                """SELECT attname FROM pg_attribute
                   WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped""",
                (f"clipr.{table}",),
            ).fetchall()
        ]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    others = sql.SQL(", ").join(
        sql.SQL("'bbb-tenant'") if c == "tenant" else sql.Identifier(c) for c in columns
    )
    own = {"table": sql.Identifier(table), "names": names, "others": others}
    forge = sql.SQL("INSERT INTO {table} ({names}) SELECT {others} FROM {table}").format(**own)
    with connect(both, RECEIVER) as connection:
        for query in (forge, forge + sql.SQL(" ON CONFLICT DO NOTHING")):
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege),
                transaction_of(connection, "aaa-tenant", Scope.PLANT),
            ):
                connection.execute(query)
        copy = sql.SQL("COPY {table} ({names}) FROM STDIN").format(**own)
        with (
            pytest.raises((psycopg.errors.FeatureNotSupported, psycopg.errors.InsufficientPrivilege)),
            transaction_of(connection, "aaa-tenant", None),
            connection.cursor().copy(copy) as stream,
        ):
            stream.write(b"\\.\n")


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("verb", ["UPDATE {} SET tenant = 'aaa-tenant'", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["uplinks", "readings", "receptions", "events", "evidence", "quarantine"])
def test_records_cannot_be_changed_or_removed(both: str, role: str, verb: str, table: str) -> None:
    with (
        connect(both, role) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        transaction_of(connection, "bbb-tenant", Scope.OPERATOR),
    ):
        connection.execute(sql.SQL(verb).format(sql.Identifier(table)))


def test_a_key_of_another_tenant_is_no_oracle(both: str) -> None:
    """A key that b has is free for a: nothing is swallowed, and nothing tells that b has it."""
    with connect(both, RECEIVER) as connection, transaction_of(connection, "aaa-tenant", None):
        clash = """INSERT INTO events (tenant, dev_eui, session, f_cnt, occurred_at, kind, channel,
                                       historical)
                   VALUES ('aaa-tenant', %s, 0, 2, now(), 'x', 0, false) ON CONFLICT DO NOTHING"""
        assert connection.execute(clash, (bytes(dev_eui(B_DEVICE)),)).rowcount == 1


def test_partitions_cannot_be_reached_beside_their_parent(both: str) -> None:
    with connect(both, DOSSIER) as connection:
        seen = answers(both, DOSSIER, tenant="aaa-tenant")
        partitions = [name for name in seen if name.startswith("clipr.readings_")]
        assert len(partitions) > 20
        assert {seen[name] is None for name in partitions} == {True}
        connection.execute("SELECT 1")


# The judges: pgrls, our own look at the catalogue, and the attack above ------------------------------


def pgrls(dsn: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PGRLS, *arguments, "--database-url", dsn, "--config", RULES],
        capture_output=True,
        text=True,
        check=False,
    )


def test_pgrls_finds_nothing(both: str) -> None:
    done = pgrls(both, "lint", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["violations"] == []


@pytest.mark.parametrize("mode", ["anon", "cross-tenant", "write", "escalation", "reachability"])
def test_pgrls_proves_isolation(both: str, mode: str) -> None:
    done = pgrls(both, "verify", "--mode", mode, "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LEAK" not in done.stdout
    if mode in ("cross-tenant", "write"):
        text = pgrls(both, "verify", "--mode", mode).stdout
        proven = {line.split()[0] for line in text.splitlines() if " PROVEN " in line}
        assert {f"clipr.{t}" for t in ("uplinks", "receptions", "readings", "events")} <= proven


def test_our_own_look_finds_nothing(both: str) -> None:
    with connect(both) as connection:
        assert isolation.faults(connection) == []


LEAKS: Mapping[str, str] = {
    "view as its owner": """
        CREATE VIEW clipr.v AS SELECT * FROM clipr.readings; GRANT SELECT ON clipr.v TO clipr_dossier""",
    "view as its owner, counting": """
        CREATE VIEW clipr.v AS SELECT count(*) FROM clipr.readings;
        GRANT SELECT ON clipr.v TO clipr_dossier""",
    "view over a view": """
        CREATE VIEW clipr.u AS SELECT * FROM clipr.readings; GRANT SELECT ON clipr.u TO clipr_dossier;
        CREATE VIEW clipr.v WITH (security_invoker) AS SELECT * FROM clipr.u;
        GRANT SELECT ON clipr.v TO clipr_dossier""",
    "view in another schema": """
        CREATE SCHEMA reports; GRANT USAGE ON SCHEMA reports TO clipr_dossier;
        CREATE VIEW reports.v AS SELECT * FROM clipr.uplinks; GRANT SELECT ON reports.v TO clipr_dossier""",
    "materialized view": """
        CREATE MATERIALIZED VIEW clipr.m AS SELECT * FROM clipr.readings;
        GRANT SELECT ON clipr.m TO clipr_dossier""",
    "definer function": """
        CREATE FUNCTION clipr.f() RETURNS SETOF clipr.uplinks LANGUAGE sql SECURITY DEFINER
        AS 'SELECT * FROM clipr.uplinks'""",
    "table without row-level security": """
        CREATE TABLE clipr.t AS SELECT * FROM clipr.readings; GRANT SELECT ON clipr.t TO clipr_dossier""",
    "table that is not forced, read by its owner": """
        ALTER TABLE clipr.uplinks NO FORCE ROW LEVEL SECURITY""",
    "row-level security switched off": "ALTER TABLE clipr.events DISABLE ROW LEVEL SECURITY",
    "policy open without a setting": """
        DROP POLICY floor ON clipr.events;
        CREATE POLICY p ON clipr.events FOR SELECT TO clipr_dossier
            USING (current_setting('clipr.tenant', true) IS NULL OR current_setting('clipr.tenant', true) = ''
                   OR tenant = current_setting('clipr.tenant', true))""",
    "policy open to everything": """
        DROP POLICY floor ON clipr.readings;
        CREATE POLICY p ON clipr.readings FOR SELECT TO clipr_dossier USING (true)""",
    "policy by prefix": """
        DROP POLICY floor ON clipr.uplinks;
        CREATE POLICY p ON clipr.uplinks FOR SELECT TO clipr_dossier
            USING (tenant LIKE left(current_setting('clipr.tenant', true), 0) || '%')""",
    "nobody's quarantine for all": """
        CREATE POLICY p ON clipr.quarantine FOR SELECT TO clipr_dossier USING (tenant IS NULL)""",
    "evidence of a tenant in the scope of nobody's": """
        CREATE POLICY p ON clipr.evidence FOR SELECT TO clipr_receiver
            USING ((SELECT current_setting('clipr.scope', true)) = 'retry')""",
    "nobody's evidence for the dossier": """
        CREATE POLICY p ON clipr.evidence FOR SELECT TO clipr_dossier
            USING (tenant IS NULL AND (SELECT current_setting('clipr.scope', true)) = 'retry')""",
    "a partition given away": """
        GRANT SELECT ON clipr.readings_2026_11 TO clipr_dossier;
        ALTER TABLE clipr.readings_2026_11 DISABLE ROW LEVEL SECURITY""",
    "the operator's role for the dossier": "GRANT clipr_operator TO clipr_dossier",
    "a role that nothing holds": "ALTER ROLE clipr_dossier BYPASSRLS",
    "a setting for good": "ALTER ROLE clipr_dossier SET clipr.tenant = 'bbb-tenant'",
    "the right to truncate": "GRANT TRUNCATE ON clipr.readings TO clipr_receiver",
    "a key without the tenant": "CREATE UNIQUE INDEX ON clipr.uplinks (dev_eui, session, f_cnt)",
    "rights for everybody": "GRANT SELECT ON clipr.streams TO PUBLIC",
}


@pytest.mark.parametrize("name", LEAKS)
def test_every_planted_leak_is_caught(both: str, name: str) -> None:
    """Each by our own look at the catalogue; those that show rows now by the attack as well."""
    with connect(both) as connection, connection.transaction(force_rollback=True):
        connection.execute(LEAKS[name].encode())
        assert isolation.faults(connection)


SHOWN: Mapping[str, Callable[[str, str], list[str]]] = {
    **dict.fromkeys(
        [
            "view as its owner",
            "view as its owner, counting",
            "view over a view",
            "view in another schema",
            "materialized view",
            "definer function",
            "table without row-level security",
            "policy open to everything",
            "policy by prefix",
            "row-level security switched off",
            "a partition given away",
            "nobody's quarantine for all",
        ],
        lambda before, after: leaks_to_a(before, after, DOSSIER),
    ),
    "table that is not forced, read by its owner": lambda before, after: leaks_to_a(before, after, OWNER),
    "policy open without a setting": lambda _, after: shown_without_setting(after, DOSSIER),
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_attack_catches_what_shows_rows(planted: tuple[str, str], name: str) -> None:
    for dsn in planted:
        with connect(dsn) as connection:
            connection.execute(LEAKS[name].encode())
    assert SHOWN[name](*planted)


@pytest.mark.parametrize(
    "name", ["view as its owner", "definer function", "table without row-level security", "materialized view"]
)
def test_pgrls_catches_the_usual_ones(planted: tuple[str, str], name: str) -> None:
    with connect(planted[1]) as connection:
        connection.execute(LEAKS[name].encode())
    assert pgrls(planted[1], "lint").returncode == 1
