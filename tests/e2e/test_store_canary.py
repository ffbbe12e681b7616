"""Known keys and payloads are searched for in every file that the store makes, while it is open and after."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.lorawan.keys import AES128Key
from edge_agent.network.device import NetworkSession
from edge_agent.network.reason import Reason
from edge_agent.store.backup import backup
from edge_agent.store.connection import connect
from edge_agent.store.store import Store
from edge_codecs.clipr import Undecoded
from edge_codecs.manifest import Lane
from tests.rig.store import KEY, Now, clock, dev_eui, joined, open_store, registration, session, uplink

CANARY_PAYLOAD = b"a payload in clear, 31 bytes !!"
NETWORK_KEY = AES128Key(b"network-key-0001")
APPLICATION_KEY = AES128Key(b"application-key1")
ROOT_KEY = AES128Key(b"a root key, n. 1")
DOWNLINK = b"sent to a sensor"
ROOT = Path(__file__).parents[2]


def canaries() -> Iterator[bytes]:
    keys = (bytes(KEY), bytes(NETWORK_KEY), bytes(APPLICATION_KEY), bytes(ROOT_KEY))
    for secret in (*keys, CANARY_PAYLOAD, DOWNLINK, bytes(dev_eui(7))):
        yield secret
        yield secret.hex().encode()
        yield secret.hex().upper().encode()
    yield from (b"SF7BW125", b"CREATE TABLE", b"SQLite format 3", b"clipr", b"replay")


def found(folder: Path) -> list[tuple[str, bytes]]:
    return [
        (file.name, canary)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        for canary in canaries()
        if canary in file.read_bytes()
    ]


def busy(folder: Path) -> Store:
    """A store that was used in every way, still open."""
    from dataclasses import replace

    now = Now(0)
    store = open_store(folder / "store.db", now=now)
    keyed = replace(
        session(7),
        f_nwk_s_int_key=NETWORK_KEY,
        s_nwk_s_int_key=NETWORK_KEY,
        nwk_s_enc_key=NETWORK_KEY,
        app_s_key=APPLICATION_KEY,
    )
    store.add_device(keyed)
    store.add_device(session(8))
    store.add_device(replace(registration(9), app_key=ROOT_KEY))
    join = joined(9, 1, dev_nonce=1)
    given = replace(keyed, dev_eui=dev_eui(9), number=1)
    store.apply([replace(join, pending=NetworkSession(given))])
    store.queue_downlink(dev_eui(9), 20, DOWNLINK, True, 1)
    for f_cnt in range(300):
        odd = replace(
            uplink(7, f_cnt, at_s=f_cnt), payload=CANARY_PAYLOAD, message=Undecoded(10, CANARY_PAYLOAD)
        )
        store.keep([odd], clock(f_cnt) if f_cnt % 3 else None)
    store.clock_in_step(clock(300))
    store.count_rejections({(dev_eui(7), Reason.REPLAY): (1, 1)})
    now.at_s = 1e6
    batch = store.form_batch(100, 64 * 1024, Lane.BACKLOG)
    assert batch is not None
    store.receipt(1, batch.hash, 1)
    store.remove_device(dev_eui(8))
    # A sort that does not fit in memory is what makes SQLite write a temporary file.
    store._database.execute("PRAGMA cache_size = 10")
    store._database.all("SELECT payload FROM uplinks ORDER BY payload || id DESC")
    store._database.all("SELECT count(*) FROM (SELECT DISTINCT payload || id || dev_eui FROM uplinks)")
    return store


def test_no_file_holds_a_key_or_a_payload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, temporary = tmp_path / "store", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("SQLITE_TMPDIR", str(temporary))
    store = busy(folder)
    assert {"store.db", "store.db-wal", "store.db-shm"} <= {file.name for file in folder.iterdir()}
    assert found(tmp_path) == []
    backup(folder / "store.db", KEY, folder / "backup.db")
    assert found(tmp_path) == []
    store.checkpoint()
    store.close()
    assert found(tmp_path) == []
    assert list(temporary.iterdir()) == []


def test_the_search_would_find_them(tmp_path: Path) -> None:
    """The same content in a plain file is found, so the search does bite."""
    store = busy(tmp_path)
    rows = [
        row
        for table in ("devices", "sessions", "downlinks")
        for row in store._database.all(f"SELECT * FROM {table}")
    ]
    payloads = store._database.all("SELECT payload, data_rate FROM uplinks LIMIT 1")
    store.close()
    blobs = b"".join(value for row in rows for value in row if isinstance(value, bytes))
    (tmp_path / "plain").write_bytes(repr((rows, payloads)).encode() + blobs + CANARY_PAYLOAD)
    assert {canary for _, canary in found(tmp_path)} >= {
        bytes(NETWORK_KEY),
        CANARY_PAYLOAD,
        DOWNLINK,
        bytes(ROOT_KEY),
        b"SF7BW125",
    }


def test_salvage_leaves_nothing_in_clear(tmp_path: Path) -> None:
    busy(tmp_path).close()
    path = tmp_path / "store.db"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    open_store(path).close()
    assert connect(path, KEY).value("SELECT count(*) FROM uplinks") == 300
    assert found(tmp_path) == []


def test_no_error_of_an_open_store_tells_a_key(tmp_path: Path) -> None:
    """A program that dies with the store open: its traceback holds no key, nor does its standard error."""
    program = (
        "import sys; from pathlib import Path; from tests.rig.store import *\n"
        "store = open_store(Path(sys.argv[1]) / 'store.db'); store.add_device(session(0))\n"
        "store._database.all('SELECT * FROM nowhere WHERE x = ?', (bytes(KEY),))\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codecs'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode != 0
    assert "no such table: nowhere" in died.stderr
    assert KEY.hex() not in died.stderr + died.stdout
    assert session(0).app_s_key.hex() not in died.stderr + died.stdout
