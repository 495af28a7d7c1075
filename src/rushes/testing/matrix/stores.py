"""The databases of the matrix: a file of its own for each row, or a database of its own on one PostgreSQL server."""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from rushes.testing.postgres import PostgresServer


class Store(Protocol):
    """Where the ledger of a row lies."""

    name: str

    def address(self, folder: Path) -> str | None:
        """A new, empty database, as the settings name it. None: the default one in the home."""
        ...

    def engine(self, folder: Path, address: str | None) -> sa.Engine:
        """Connections for the audit alone."""
        ...

    def sever(self, address: str | None, application: str) -> None:
        """Cut the connections of one process, as a failing network would."""
        ...


class SqliteStore:
    name = "SQLite"

    def address(self, folder: Path) -> str | None:
        return None

    def engine(self, folder: Path, address: str | None) -> sa.Engine:
        return sa.create_engine(f"sqlite:///{folder / 'home' / 'rushes.db'}", connect_args={"timeout": 30})

    def sever(self, address: str | None, application: str) -> None:
        raise ValueError("a file has no connections to cut: choose PostgreSQL for this row")


class PostgresStore:
    """Databases on a server of our own."""

    name = "PostgreSQL"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._template: str | None = None

    def address(self, folder: Path) -> str | None:
        with self._lock:  # two at once would both copy the template, which the server refuses
            if self._template is None:
                self._template = self._with_tables()
            return self._server.create(template=self._template)

    def _with_tables(self) -> str:
        """The name of a database that a worker has once worked on: making all tables for each row costs seconds."""
        address = self._server.create()
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [sys.executable, "-m", "rushes", "worker", "--until-idle"],
                cwd=folder,
                env={**kept, "RUSHES_HOME": folder, "RUSHES_DATABASE_URL": address},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=120,
                check=True,
            )
        return address.rpartition("/")[2]

    def engine(self, folder: Path, address: str | None) -> sa.Engine:
        assert address is not None
        return sa.create_engine(sa.make_url(address).set(drivername="postgresql+psycopg"), pool_size=1)

    def sever(self, address: str | None, application: str) -> None:
        assert address is not None
        database = sa.make_url(address).database
        self._server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{database}' AND application_name = '{application}'"
        )
