"""A far side that keeps the books, and a command line that points to it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes.testing.fake_openai import FakeOpenAI
from tests.command_line import CommandLine

CONFIG = """
[providers.openai]
create_timeout_s = 1.5
"""


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.5) as fake:
        yield fake


@pytest.fixture
def rushes(tmp_path: Path, fake: FakeOpenAI) -> Iterator[CommandLine]:
    (tmp_path / "rushes.toml").write_text(CONFIG)
    env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""}
    line = CommandLine(tmp_path, env)
    yield line
    # A worker left in the background ends when nothing is open; none may outlive the test it belongs to.
    end = time.monotonic() + 30
    while line.somebody_works() and time.monotonic() < end:
        time.sleep(0.1)
    assert not line.somebody_works()
