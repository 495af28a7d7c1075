"""Files that a create can only point at are uploaded before it is said to be on its way.

Trouble with that costs nothing and leaves no doubt.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.errors import JobFailed
from rushes.jobs.ledger import AttemptState, JobState
from rushes.jobs.store import Filter
from rushes.planning import Wish
from rushes.testing.clips import picture
from rushes.testing.fakes.dashscope import FakeDashScope
from rushes.testing.server import Answer, Received, Refused

pytestmark = pytest.mark.anyio


class Troubled(FakeDashScope):
    """Refuses uploads with these statuses, one after another."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(job_s=0.1)
        self.statuses = list(statuses)

    def _policy(self, received: Received) -> Answer:
        if self.statuses:
            answer = self.error(self.statuses.pop(0), "No upload now.").answer
            raise Refused(replace(answer, headers={**answer.headers, "retry-after": "0.1"}))
        return super()._policy(received)


class Full(FakeDashScope):
    """Gives an address to upload to, and takes nothing there."""

    def _put(self, received: Received) -> Answer:
        return Answer(403, b"<Error><Code>QuotaExceeded</Code></Error>")


@asynccontextmanager
async def opened(home: Settings, fake: FakeDashScope) -> AsyncGenerator[App]:
    environment = {"DASHSCOPE_API_KEY": fake.api_key, "DASHSCOPE_BASE_URL": fake.base_url}
    sections = {"dashscope": ProviderSettings(poll_interval_ms=50)}
    async with App(replace(home, environment=environment, providers=sections), leave_worker=False) as app:
        yield app


def wish() -> Wish:
    model = "dashscope:video:wan3.0-video"
    return Wish(prompt="A boat", model=model, seconds=4, size="1280x720", first_frame=picture(1280, 720))


def methods(fake: FakeDashScope) -> list[str]:
    return [str(fake.operation_of(each)) for each in fake.requests]


async def test_the_file_is_there_before_the_create_and_is_not_sent_twice(home: Settings) -> None:
    with Troubled() as fake:
        async with opened(home, fake) as app:
            await app.generate(wish())
            await app.generate(replace(wish(), prompt="Another boat"))

        assert [each for each in methods(fake) if each in ("policy", "put", "create")] == [
            "policy",
            "put",
            "create",
            "create",
        ]


async def test_an_upload_that_stumbles_is_tried_again_and_nothing_is_in_doubt(home: Settings) -> None:
    with Troubled(503, 500) as fake:
        async with opened(home, fake) as app:
            with anyio.fail_after(30):
                [video] = await app.generate(wish())
            case = await app.jobs.case(video.job_id)

        assert [attempt.state for attempt in case.attempts] == [AttemptState.ENDED]
        assert (fake.book.creates, fake.book.charged) == (1, 1)


async def test_an_upload_that_is_refused_ends_the_job_unpaid(home: Settings) -> None:
    with Full(job_s=0.1) as fake:
        async with opened(home, fake) as app:
            with anyio.fail_after(30), pytest.raises(JobFailed, match="step upload"):
                await app.generate(wish())
            [job] = await app.jobs.matching(Filter())

        assert (job.state, job.cost_usd) == (JobState.FAILED, 0)
        assert (fake.book.creates, fake.book.charged) == (0, 0)
