"""The schema in every PostgreSQL found here, by whom, how often and how many at once."""

# ruff: noqa: F811  (fixtures are imported, and then named by arguments)

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from cloud_sync.db import isolation, partitions
from cloud_sync.db.connection import OWNER, RECEIVER, connect
from cloud_sync.db.migrate import migrate, migrations
from cloud_sync.db.records import Outcome, Records
from cloud_sync.errors import ConfigurationError, ServiceUnavailable
from tests.rig.batches import Gateway, register, uplink
from tests.rig.postgres import Postgres, database, installations, postgres  # noqa: F401

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=installations(), ids=lambda folder: folder.parent.parent.name)
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    folder: Path = request.param
    with Postgres(folder, fsync=False) as one:
        yield one


def test_the_same_sql_in_every_version(server: Postgres) -> None:
    """Migrated by an ordinary owner of the database that may create roles, and then used."""
    with psycopg.connect(server.dsn(), autocommit=True) as superuser:
        superuser.execute("CREATE ROLE migrator LOGIN CREATEROLE")
        superuser.execute("CREATE ROLE receiving LOGIN")
        superuser.execute("CREATE DATABASE ordinary OWNER migrator")
    done = migrate(server.dsn("ordinary", "migrator"))
    assert done.applied == [migration.name for migration in migrations()]
    assert len(done.partitions) == partitions.MONTHS_BACK + 1 + partitions.MONTHS_AHEAD
    assert migrate(server.dsn("ordinary", "migrator")).applied == []

    with psycopg.connect(server.dsn(), autocommit=True) as superuser:
        superuser.execute(f"GRANT {RECEIVER} TO receiving")
    gateway = Gateway(1)
    register(server.dsn("ordinary"), "a", [gateway], [1])
    records = Records.connect(server.dsn("ordinary", "receiving"))
    first = gateway.batch([uplink(1, 1), uplink(1, 1), uplink(2, 5)])  # new, the same again, nobody's
    assert [o.outcome for o in records.process([first])] == [Outcome.STORED]
    assert [o.outcome for o in records.process([first])] == [Outcome.DUPLICATE]
    records.close()
    with connect(server.dsn("ordinary")) as connection:
        assert isolation.faults(connection) == []
        assert connection.execute("SELECT count(*) FROM readings").fetchone() == (1,)
        assert connection.execute("SELECT reason FROM quarantine").fetchall() == [("device_unassigned",)]


def test_several_at_once(postgres: Postgres) -> None:
    dsn = postgres.create_database("at_once")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(dsn), range(4)))
    assert sorted(len(one.applied) for one in done) == [0, 0, 0, len(migrations())]
    postgres.drop_database("at_once")


def test_a_file_that_changed_is_refused(postgres: Postgres, database: str) -> None:
    with connect(database) as connection:
        connection.execute("UPDATE clipr.schema_migrations SET checksum = 'other'")
    with pytest.raises(ConfigurationError, match="changed after it was applied"):
        migrate(database)


def test_a_database_of_a_newer_program_is_refused(database: str) -> None:
    with connect(database) as connection:
        connection.execute("INSERT INTO clipr.schema_migrations VALUES (9999, '9999_later.sql', '')")
    with pytest.raises(ConfigurationError, match="newer than this program"):
        migrate(database)


def test_months_are_made_ahead_as_time_goes_on(database: str) -> None:
    later = datetime.now(UTC).date() + timedelta(days=62)
    assert len(migrate(database, today=later).partitions) in (2, 3)


def test_rows_of_a_month_without_partition_move_into_it(database: str) -> None:
    long_ago = datetime(2021, 3, 15, 12, 0, tzinfo=UTC)
    gateway = Gateway(1)
    register(database, "a", [gateway], [1, 2], since=long_ago - timedelta(days=30))
    records = Records.connect(database)
    records.process(
        [gateway.batch([uplink(1, 1, at=long_ago), uplink(2, 1, at=long_ago + timedelta(days=31))])]
    )
    with connect(database, OWNER) as owner:
        made = partitions.ensure(owner, date(2021, 3, 1), date(2021, 3, 1))
        assert made == ["readings_2021_03"]
        assert partitions.ensure(owner, date(2021, 3, 1), date(2021, 3, 1)) == []
    with connect(database) as connection:
        for table, count in (("readings_2021_03", 1), ("readings_other", 1), ("readings", 2)):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)
        assert isolation.faults(connection) == [], "row-level security is forced again"
    with connect(database, OWNER) as owner:
        assert owner.execute("SELECT count(*) FROM readings").fetchone() == (0,)
    outcome = records.process([gateway.batch([uplink(1, 2, at=long_ago + timedelta(hours=1))])])
    assert outcome[0].outcome is Outcome.STORED
    records.close()


def test_errors_are_kind(tmp_path: Path, postgres: Postgres) -> None:
    with pytest.raises(ServiceUnavailable, match="no database answers"):
        Records.connect(f"host={tmp_path} dbname=x user=x password=hush")
    with pytest.raises(ConfigurationError, match="refused the login") as refused:
        Records.connect(postgres.dsn("no_such_database"))
    assert "hush" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="not a connection string"):
        Records.connect("hello world")
    bare = postgres.create_database("bare")
    with pytest.raises(ConfigurationError, match=r"not migrated|may not act"):
        Records.connect(bare)
    postgres.drop_database("bare")


def test_the_database_dies_in_the_middle(database: str, postgres: Postgres) -> None:
    """What was not committed is nowhere, the error says that it may be tried again, and then it works."""
    gateway = Gateway(1)
    register(database, "a", [gateway], [1])
    batch = gateway.batch([uplink(1, 1)])
    records = Records.connect(database)
    with connect(database) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (records._connection.info.backend_pid,))
    with pytest.raises(ServiceUnavailable, match="went away"):
        records.process([batch])
    records.close()
    again = Records.connect(database)
    assert again.process([batch])[0].outcome is Outcome.STORED
    again.close()
