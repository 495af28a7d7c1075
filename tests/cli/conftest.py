"""A far side, and a command line that points to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes.testing.fake_openai import FakeOpenAI
from tests.command_line import CommandLine


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.3) as fake:
        yield fake


@pytest.fixture
def rushes(tmp_path: Path, fake: FakeOpenAI) -> CommandLine:
    return CommandLine(tmp_path, {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""})


@pytest.fixture
def offline(tmp_path: Path) -> CommandLine:
    """No provider set up at all."""
    return CommandLine(tmp_path)
