"""What the tests of the gateway share: it runs, over a home of each test's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.gateway.hostile import FREELY, LONG
from tests.gateway.running import Running, running


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    """With draft behind it, and no key: as `rushes serve` starts for somebody who has configured nothing."""
    async with running(tmp_path / "home") as served:
        yield served


@pytest.fixture
async def idle_gateway(tmp_path: Path) -> AsyncIterator[Running]:
    """The same, with nobody who works on the jobs: they stay queued."""
    async with running(tmp_path / "home", works=False) as served:
        yield served


@pytest.fixture(autouse=True)
def _no_bugs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test sends, none of it may end in an error that nobody foresaw."""
    yield
    told = [f"{record.exc_info}" for record in caplog.get_records("call") if record.message == "gateway.bug"]
    assert told == []


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One gateway for all that is refused, so that it is the same one that has had to bear it all."""
    async with running(tmp_path_factory.mktemp("door") / LONG / "home", FREELY, works=False) as served:
        yield served


@pytest.fixture(scope="module")
async def open_door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Another one, for what is odd and yet taken."""
    async with running(tmp_path_factory.mktemp("open-door") / "home", FREELY, works=False) as served:
        yield served
