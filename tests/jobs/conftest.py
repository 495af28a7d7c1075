"""What the tests of the jobs layer share."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rushes.config import Settings
from rushes.media.children import Children
from rushes.testing.fake_openai import FakeOpenAI

sys.path.insert(0, str(Path(__file__).parent))  # for workshop.py, which lies beside the tests

import workshop
from workshop import Clock, Open, Patient, Workshop


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_databases: what uses a database runs on SQLite and on PostgreSQL")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_databases") and "database_url" in metafunc.fixturenames:
        metafunc.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """This test's database: a file, unless it is marked to run on both kinds and its turn is the other's."""
    if getattr(request, "param", "sqlite") == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'home' / 'rushes.db'}"


@pytest.fixture
def home(home: Settings, database_url: str) -> Settings:
    return replace(home, database_url=database_url)


@pytest.fixture(scope="session")
async def children(anyio_backend: str) -> AsyncIterator[Children]:
    """One pool for all: starting a child costs more than most tests."""
    async with Children() as pool:
        yield pool


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as fake:
        yield fake


@pytest.fixture
def opened(home: Settings, fake: FakeOpenAI, children: Children) -> Open:
    """Opens a workshop over this test's home, which leads to this test's fake."""
    return partial(workshop.opened, home, fake, children)


@pytest.fixture
def patient(opened: Open) -> Patient:
    """Opens a workshop in which the time that a create may take is over as soon as doubt is to be settled."""

    def opens(clock: Clock | None = None, **options: Any) -> AbstractAsyncContextManager[Workshop]:
        clock = clock or Clock()

        def reached(point: str) -> None:
            if point == "doubt.settling":
                clock.move(timedelta(seconds=10))

        return opened(clock=clock, reached=reached, **options)

    return opens


@pytest.fixture
async def shop(opened: Open) -> AsyncIterator[Workshop]:
    async with opened() as shop:
        yield shop
