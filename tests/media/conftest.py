"""What the tests of the media layer share: real children, a real store, real connections."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.config import Settings
from rushes.http import Http
from rushes.media.children import Children
from rushes.media.store import MediaStore

sys.path.insert(0, str(Path(__file__).parent))  # for clips.py and far_side.py, which lie beside the tests


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def children(anyio_backend: str) -> AsyncIterator[Children]:
    """One pool for all tests that do not harm it: starting a child costs more than most of them."""
    async with Children() as pool:
        yield pool


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(str(tmp_path / "media"))


@pytest.fixture
async def http(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Http]:
    connections = Http(Settings(home=tmp_path, database_url="", media_url=str(tmp_path / "media")))
    yield connections
    await connections.aclose()
