"""What all tests share: one event loop, an isolated home, and no way out to the network."""

import ipaddress
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from rushes import config
from rushes.config import Settings


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
