"""The pytest plugin: fakes as fixtures. Loaded in every pytest run beside rushes, so it imports nothing heavy."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rushes.testing.fake_openai import FakeOpenAI


@pytest.fixture
def fake_openai() -> "Iterator[FakeOpenAI]":
    """A running fake of the OpenAI Videos API; jobs take 0.3 s."""
    from rushes.testing.fake_openai import FakeOpenAI

    with FakeOpenAI() as fake:
        yield fake
