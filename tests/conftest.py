"""What all tests share: one event loop, an isolated home, a database server, and no way out to the network."""

import ipaddress
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from rushes import config
from rushes.config import Settings
from rushes.jobs.database import Database
from rushes.testing.postgres import PostgresServer


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = str(cast(tuple[object, ...], arguments[1])[0])
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = host == "localhost"
    if not inside:
        raise ConnectionRefusedError(f"A test reached for {host}; tests speak to this machine only.")


sys.addaudithook(_only_loopback)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """The settings of somebody who has configured nothing, with a home of their own."""
    return config.load(environment={}, folder=tmp_path, home=str(tmp_path / "home"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of this process, started when the first asks for it. Leave it running.

    Without fsync: our tests kill processes, not machines, and a new database for each test costs a third.
    """
    with PostgresServer(fsync="off") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a database with the ledger's tables, to be copied: quicker than making them for each test."""
    url = postgres.create()

    async def make() -> None:
        (await Database.open(url)).close()

    with ThreadPoolExecutor(1) as thread:  # the loop of the async fixtures may be running in ours
        thread.submit(anyio.run, make).result()
    return url.rpartition("/")[2]


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database of this test's own, with our tables and no rows."""
    url = postgres.create(template=postgres_template)
    yield url
    postgres.drop(url)


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database of this test's own, with nothing in it."""
    url = postgres.create()
    yield url
    postgres.drop(url)
