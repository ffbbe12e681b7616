"""Which files open, and what is said of those that do not."""

from __future__ import annotations

import sqlite3
import traceback
from pathlib import Path

import pytest

from edge_agent.errors import AgentBug, AgentError, ConfigurationError
from edge_agent.store.check import check
from edge_agent.store.connection import PAGE_BYTES, connect
from edge_agent.store.errors import StoreLocked
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.migrations import Migration, expect_current, migrate, released
from edge_agent.store.reader import Reader
from edge_codecs.identifiers import GatewayId
from tests.rig.store import (
    BOOT,
    GATEWAY,
    KEY,
    clock,
    f_cnts_up,
    open_store,
    session,
    uplink,
)

OTHER_KEY = StoreKey(bytes(range(100, 132)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with a device and a row, closed."""
    path = tmp_path / "store.db"
    store = open_store(path)
    store.add_device(session(0))
    store.keep([uplink(0, 1)], clock(1))
    store.close()
    return path


def whole_story(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + getattr(error, "hint", "")


def test_a_new_store_is_made_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db")
    store.add_device(session(0))
    modes = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}
    store.close()
    assert modes
    assert not any(modes.values()), modes


def test_the_file_does_not_look_like_sqlite(path: Path) -> None:
    assert path.read_bytes()[:16] == KEY.salt
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT * FROM sqlite_master")


def test_durability_is_what_it_says(path: Path) -> None:
    store = open_store(path)
    pragmas = {
        name: str(store._database.value(f"PRAGMA {name}"))
        for name in ("synchronous", "journal_mode", "temp_store", "page_size", "foreign_keys")
    }
    store.close()
    assert pragmas == {
        "synchronous": "2",  # FULL
        "journal_mode": "wal",
        "temp_store": "2",  # MEMORY
        "page_size": str(PAGE_BYTES),
        "foreign_keys": "1",
    }


def test_another_key_is_one_clear_error(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="made with another store key") as error:
        open_store(path, key=OTHER_KEY)
    assert error.value.hint
    story = whole_story(error.value)
    assert OTHER_KEY.hex() not in story
    assert KEY.hex() not in story
    assert path.read_bytes() == before, "a wrong key must not touch the file"
    assert not list(path.parent.glob("*damaged*")), "a wrong key is no damage"


@pytest.mark.parametrize("look", [lambda p, k: Reader.open(p, k), check], ids=["Reader", "check"])
def test_another_key_is_the_same_error_for_who_only_reads(path: Path, look: object) -> None:
    assert callable(look)
    with pytest.raises(ConfigurationError, match="made with another store key"):
        look(path, OTHER_KEY)


@pytest.mark.parametrize("look", [lambda p, k: Reader.open(p, k), check], ids=["Reader", "check"])
def test_no_store_is_one_clear_error_for_who_only_reads(tmp_path: Path, look: object) -> None:
    assert callable(look)
    with pytest.raises(ConfigurationError, match="there is no store"):
        look(tmp_path / "store.db", KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_plain_sqlite_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    plain = sqlite3.connect(path)
    plain.execute("CREATE TABLE t (x)")
    plain.commit()
    plain.close()
    with pytest.raises(ConfigurationError, match="plain SQLite"):
        open_store(path)
    with pytest.raises(ConfigurationError, match="plain SQLite"):
        Reader.open(path, KEY)


def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot write") as error:
        open_store(tmp_path / "none" / "store.db")
    assert "edge-agent init" in error.value.hint


def test_a_second_writer_is_refused_while_the_first_lives(path: Path) -> None:
    store = open_store(path)
    with pytest.raises(StoreLocked) as error:
        open_store(path)
    assert error.value.exit_code == 69
    store.close()
    open_store(path).close()


def test_a_failed_open_lets_the_lock_go(path: Path) -> None:
    with pytest.raises(ConfigurationError):
        open_store(path, key=OTHER_KEY)
    open_store(path).close()


def test_a_log_without_its_file_is_never_replayed_into_a_new_one(path: Path) -> None:
    store = open_store(path)
    store.keep([uplink(0, 2)], clock(2))
    log = path.with_name("store.db-wal").read_bytes()
    store.close()
    path.unlink()
    path.with_name("store.db-wal").write_bytes(log)
    store = open_store(path)
    assert store.status().rows == 0
    store.close()
    assert list(path.parent.glob("store.db.stray-wal-*"))
    assert check(path, KEY).sound


def test_a_store_without_sqlcipher_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that takes the key and does nothing with it, as SQLite without SQLCipher does."""

    class Deaf(sqlite3.Connection):
        def set_key(self, _key: str) -> None:
            """Nothing."""

    monkeypatch.setattr(
        "edge_agent.store.connection.dbapi2.connect", lambda *a, **k: sqlite3.connect(*a, **k, factory=Deaf)
    )
    with pytest.raises(AgentBug, match="no SQLCipher"):
        connect(path.with_name("new.db"), KEY, write=True)
    assert path.with_name("new.db").read_bytes() == b"" if path.with_name("new.db").exists() else True


def test_an_error_of_the_driver_becomes_ours(path: Path) -> None:
    database = connect(path, KEY)
    with pytest.raises(AgentBug, match="no such table"):
        database.all("SELECT * FROM nowhere")
    with pytest.raises(AgentError, match="cannot be written"):
        database.execute("DELETE FROM uplinks")
    database.close()


# Migrations

NEXT = Migration(
    9999, "9999_next.sql", "ALTER TABLE boots ADD COLUMN note TEXT;\nCREATE TABLE extra (x) STRICT;\n"
)


def test_released_files_are_numbered_without_a_gap() -> None:
    numbers = [migration.number for migration in released()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_later_migration_is_applied_once(path: Path) -> None:
    database = connect(path, KEY, write=True)
    with pytest.raises(AgentBug):  # half of it fails: nothing of it stays
        migrate(database, [*released(), Migration(9999, "x", "CREATE TABLE a (x);\nCREATE TABLE a (x);\n")])
    assert database.value("SELECT count(*) FROM sqlite_master WHERE name = 'a'") == 0
    migration = Migration(
        9999, "9999_next.sql", "CREATE TABLE extra (x INTEGER) STRICT;\n-- a comment; with a mark\n"
    )
    migrate(database, [*released(), migration])
    migrate(database, [*released(), migration])
    assert database.value("SELECT max(number) FROM migrations") == 9999
    database.close()


def test_a_store_of_a_newer_version_is_refused(path: Path) -> None:
    database = connect(path, KEY, write=True)
    database.execute("INSERT INTO migrations VALUES (9999, 'x', x'00')")
    database.close()
    with pytest.raises(ConfigurationError, match="newer version") as error:
        open_store(path)
    assert "Install that version" in error.value.hint
    with pytest.raises(ConfigurationError, match="newer version"):
        Reader.open(path, KEY)


def test_a_reader_does_not_migrate(path: Path) -> None:
    database = connect(path, KEY)
    with pytest.raises(ConfigurationError, match="older schema"):
        expect_current(database, [*released(), NEXT])
    database.close()


def test_an_edited_migration_is_noticed(path: Path) -> None:
    database = connect(path, KEY, write=True)
    first = released()[0]
    with pytest.raises(AgentBug, match="not the file that made this store"):
        migrate(database, [Migration(1, first.name, first.sql + "\n")])
    database.close()


DATA = Path(__file__).parents[3] / "data"


def test_the_store_of_each_released_schema_opens(tmp_path: Path) -> None:
    """Written by `python -m tests.data.write_store`; the key is test data."""
    files = sorted(DATA.glob("store_schema_*.db"))
    assert len(files) == len(released())
    for file in files:
        path = tmp_path / file.name
        path.write_bytes(file.read_bytes())
        path.chmod(0o600)
        store = open_store(path, boot=BOOT, gateway=GATEWAY)
        status = store.status()
        assert (status.rows, len(store.network_devices())) == (40, 2)
        assert f_cnts_up(store) == [19, 19]
        store.close()
        assert check(path, KEY).sound
        with Reader.open(path, KEY) as reader:
            assert sum(1 for _ in reader.readings()) == 40


def test_a_gateway_id_is_part_of_what_a_stream_is(path: Path) -> None:
    store = open_store(path)
    stream = store.stream
    store.close()
    store = open_store(path, gateway=GatewayId.parse("b827ebfffe000002"))
    assert store.stream != stream
    store.close()
