"""The far side of most tests here. The tests of other vendors have a `fake` of their own."""

from collections.abc import Iterator

import pytest

from rushes.testing.fake_openai import FakeOpenAI


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as fake:
        yield fake
