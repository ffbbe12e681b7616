"""Power cuts in the middle of everything, simulated below SQLite: WAL with synchronous=FULL loses nothing.

A file system that keeps a log stands between SQLite and the disk. What was synced is on the disk; of what was
written since, a cut leaves nothing, everything, or some writes, whole or torn at 512 bytes. SQLCipher cannot
be given such a file system, so the method runs on plain SQLite with the store's own pragmas (encryption
happens above it, page by page). That the rig bites is proven with synchronous=NORMAL, which must lose what it
acknowledged.

With some rows go steps of a join, in other tables: each is there with its row, whole, or not at all.

The short form looks at some 600 images; CAMPAIGN=full at more than 10,000.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from edge_agent.store.connection import PAGE_BYTES

SECTOR = 512
CUTS = 1_000 if os.environ.get("CAMPAIGN") == "full" else 60
STYLES = ("nothing", "everything", *("some",) * 4, *("torn",) * 4)
ROWS = 300 if CUTS == 1_000 else 80

Write = tuple[int, bytes | None]
"""(offset, bytes), or (length, None) for a truncation."""
Step = tuple[str, str, int, bytes | None]
"""(write, truncate, sync, delete or acknowledge; file; offset, length or row; bytes)."""


class LoggedFile(apsw.VFSFile):
    """Passes everything on to a real file and writes it down."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], log: list[Step]) -> None:
        self._log = log
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else str(name)).name
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's names
        self._log.append(("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._log.append(("truncate", self._name, newsize, None))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._log.append(("sync", self._name, 0, None))


class LoggedVfs(apsw.VFS):
    """A file system that writes down what happens to it."""

    def __init__(self, name: str, log: list[Step]) -> None:
        self._log = log
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return LoggedFile(name, flags, self._log)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self._log.append(("delete", Path(filename).name, 0, None))
        super().xDelete(filename, syncdir)


def payload(row: int) -> bytes:
    return random.Random(row).randbytes(90)


def work(folder: Path, synchronous: str) -> list[Step]:
    """Write rows and let old ones go, as the store does; returns what happened."""
    log: list[Step] = []
    name = f"logged-{synchronous}"
    vfs = LoggedVfs(name, log)  # must be kept, or it is gone
    connection = apsw.Connection(str(folder / "work.db"), vfs=name)
    for pragma in (
        f"PRAGMA page_size = {PAGE_BYTES}",
        "PRAGMA journal_mode = WAL",
        f"PRAGMA synchronous = {synchronous}",
        "PRAGMA wal_autocheckpoint = 40",
    ):
        connection.execute(pragma)
    connection.execute("CREATE TABLE uplinks (id INTEGER PRIMARY KEY, payload BLOB)")
    connection.execute("CREATE TABLE life (number INTEGER PRIMARY KEY, counted INTEGER)")
    connection.execute("INSERT INTO life VALUES (1, 0)")
    connection.execute("CREATE TABLE devices (number INTEGER PRIMARY KEY, join_nonce INTEGER, keys BLOB)")
    connection.execute(
        "CREATE TABLE sessions (number INTEGER PRIMARY KEY, pending INTEGER, f_cnt_down INTEGER)"
    )
    connection.execute("INSERT INTO devices VALUES (1, 0, zeroblob(900))")  # so that each is on its own page
    for row in range(1, ROWS + 1):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO uplinks VALUES (?, ?)", (row, payload(row)))
        network_step(connection, row)
        if row % 5 == 0:
            connection.execute("UPDATE life SET counted = ?", (row,))
        if row % 20 == 0:
            connection.execute("DELETE FROM uplinks WHERE id <= ?", (row - 15,))
        connection.execute("COMMIT")
        log.append(("acknowledge", "", row, None))
        if row % 25 == 0:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    connection.close()
    vfs.unregister()
    return log


def network_step(connection: apsw.Connection, row: int) -> None:
    """With every third row a join is answered, a session taken, or downlink counters are reserved."""
    match row % 9:
        case 3:
            connection.execute("UPDATE devices SET join_nonce = ?", (row,))
            connection.execute("INSERT INTO sessions VALUES (?, 1, 0)", (row,))
        case 6:
            connection.execute("DELETE FROM sessions WHERE pending = 0")
            connection.execute("UPDATE sessions SET pending = 0")
        case 0:
            connection.execute("UPDATE sessions SET f_cnt_down = ?", (32 * row,))


def network_after(row: int) -> tuple[int, list[tuple[int, int, int]]]:
    """(last JoinNonce, sessions) once row number `row` is kept."""
    join = (row - 3) // 9 * 9 + 3  # the newest row that was a join
    if join < 0:
        return 0, []
    reserved = 32 * (join - 3)
    before = [] if join == 3 else [(join - 9, 0, reserved)]
    if row >= join + 6:
        return join, [(join, 0, 32 * (join + 6))]
    return join, [(join, 0, 0)] if row >= join + 3 else [*before, (join, 1, 0)]


class Platter:
    """What is on the disk after a number of steps, and what is only on its way there."""

    def __init__(self) -> None:
        self.durable: dict[str, bytes] = {}
        self.waiting: dict[str, list[Write]] = {}
        self.acknowledged = 0

    def take(self, step: Step) -> None:
        kind, name, number, data = step
        match kind:
            case "write" | "truncate":
                self.waiting.setdefault(name, []).append((number, data))
            case "sync":
                for write in self.waiting.pop(name, ()):
                    self.durable[name] = changed(self.durable.get(name, b""), write)
                self.durable.setdefault(name, b"")
            case "delete":
                self.durable.pop(name, None)
                self.waiting.pop(name, None)
            case "acknowledge":
                self.acknowledged = number

    def after_a_cut(self, style: str, chance: random.Random) -> dict[str, bytes]:
        """The files that the next boot finds."""
        files = dict(self.durable)
        for name, writes in self.waiting.items():
            for write in writes:
                for part in survivors(write, style, chance):
                    files[name] = changed(files.get(name, b""), part)
        return files


def changed(content: bytes, write: Write) -> bytes:
    offset, data = write
    if data is None:
        return content[:offset]
    content = content.ljust(offset, b"\0")
    return content[:offset] + data + content[offset + len(data) :]


def survivors(write: Write, style: str, chance: random.Random) -> Iterator[Write]:
    offset, data = write
    if style == "everything" or (style == "some" and chance.random() < 0.5):
        yield write
    elif style == "torn" and data is not None:
        for start in range(0, len(data), SECTOR):
            if chance.random() < 0.5:
                yield offset + start, data[start : start + SECTOR]


def verdict(folder: Path, image: dict[str, bytes], acknowledged: int) -> str:
    """fine, lost or corrupt."""
    for name, content in image.items():
        (folder / name).write_bytes(content)
    connection = apsw.Connection(str(folder / "work.db"))
    try:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return "corrupt"
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'uplinks'").fetchall():
            return "lost" if acknowledged else "fine"
        rows = dict(connection.execute("SELECT id, payload FROM uplinks").fetchall())
        nonces = connection.execute("SELECT join_nonce FROM devices").fetchall()
        sessions = connection.execute("SELECT * FROM sessions ORDER BY number").fetchall()
    except apsw.Error:
        return "corrupt"
    finally:
        connection.close()
    last = max(rows, default=0)
    first = min(rows, default=1)
    if list(rows) != list(range(first, last + 1)) or any(rows[row] != payload(row) for row in rows):
        return "corrupt"
    if rows and (nonces[0][0], sessions) != network_after(last):
        return "half a step"
    return "fine" if acknowledged <= last <= acknowledged + 1 else "lost"


def campaign(tmp_path: Path, synchronous: str) -> Counter[str]:
    """Cut at moments spread over a whole run, in every style; counts verdicts."""
    (tmp_path / "work").mkdir()
    log = work(tmp_path / "work", synchronous)
    chance = random.Random(7)
    cuts = set(chance.sample(range(len(log)), min(CUTS, len(log))))
    verdicts: Counter[str] = Counter()
    platter = Platter()
    for number, step in enumerate(log):
        platter.take(step)
        if number not in cuts:
            continue
        for again, style in enumerate(STYLES):
            folder = tmp_path / f"image-{number}-{again}"
            folder.mkdir()
            image = platter.after_a_cut(style, chance)
            verdicts[verdict(folder, image, platter.acknowledged)] += 1
    return verdicts


@pytest.mark.slow
@pytest.mark.campaign
def test_full_loses_nothing_in_any_image(tmp_path: Path) -> None:
    verdicts = campaign(tmp_path, "FULL")
    assert set(verdicts) == {"fine"}, verdicts
    assert verdicts["fine"] >= 500


@pytest.mark.slow
@pytest.mark.campaign
def test_the_rig_bites_normal_loses_rows(tmp_path: Path) -> None:
    verdicts = campaign(tmp_path, "NORMAL")
    assert verdicts["lost"] > 100, verdicts
