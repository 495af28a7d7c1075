"""Trouble behind the gateway is none of its clients': who looks at a job sees what is known, and in the end the video.

The real SDK polls, and repeats nothing by itself: any answer of another status than 200 would be raised at once.
"""

import hashlib
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from openai import AsyncOpenAI
from openai.types import Video

from rushes.gateway.auth import FRESH_S
from rushes.jobs.keys import Grant
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Faults
from rushes.testing.postgres import PostgresServer
from rushes.testing.server import Moment, Received
from tests.gateway.running import Running, running

pytestmark = [
    pytest.mark.anyio,
    # The SDK warns on each call that its vendor has ended the API.
    pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning"),
]

SORA = {"model": "sora-2", "size": "1280x720", "seconds": "4"}
PATIENCE_S = 60.0
SOON_S = 2.0
"""An answer out of memory, on a busy machine."""
POLLS: dict[str, Sequence[str | None]] = {
    "429": ["429*2"],
    "429 with Retry-After": ["429-retry:1*2"],
    "500": ["500*2"],
    "503": [None, "503*2"],
    "reset": ["reset*2"],
    "cut inside the answer": ["cut*2"],
    "a web page": ["html*2"],
    "half a JSON": ["half_json*2"],
    "an unknown status word": ["word:WARMING_UP*2"],
    "the job vanishes for a while": [None, "404*2"],
    "time goes backwards": [None, "backwards*2"],
    "slow": ["slow:1*2"],
}
"""What befalls the polls of a job, by the job's prompt. Each lasts longer than the job itself."""


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.3) as fake:
        yield fake


@asynccontextmanager
async def before(fake: FakeOpenAI, home: Path, environment: dict[str, str] | None = None) -> AsyncGenerator[Running]:
    """The gateway before a provider in trouble."""
    variables = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or "", **(environment or {})}
    toml = "[providers.openai]\npoll_interval_ms = 100\n[gateway]\nrequests_burst = 100000\n"
    async with running(home, toml, environment=variables) as gateway:
        yield gateway


def sdk(gateway: Running) -> Any:
    """It calls each of its own calls deprecated."""
    return AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0, timeout=10.0)


async def create(gateway: Running, prompt: str = "A fox") -> str:
    async with sdk(gateway) as client:
        return (await client.videos.create(prompt=prompt, **SORA)).id


async def polled(gateway: Running, video_id: str) -> Video:
    """The end of a job, as the SDK waits for it."""
    with anyio.fail_after(PATIENCE_S):
        async with sdk(gateway) as client:
            return await client.videos.poll(video_id, poll_interval_ms=100)


async def content_sha256(gateway: Running, video_id: str) -> str:
    async with sdk(gateway) as client:
        return hashlib.sha256((await client.videos.download_content(video_id)).content).hexdigest()


async def seen(gateway: Running, video_id: str) -> httpx2.Response:
    """One look, which is answered soon."""
    with anyio.fail_after(SOON_S):
        return await gateway.client.get(f"/v1/videos/{video_id}")


async def until_sent(gateway: Running, video_id: str) -> None:
    """Wait until the provider has the job, and the client can see it."""
    with anyio.fail_after(PATIENCE_S):
        while (await seen(gateway, video_id)).json()["status"] == "queued":
            await anyio.sleep(0.05)


# -- the provider ----------------------------------------------------------------------------------------------------


class ByJob(Faults):
    """Faults for the polls of each job by itself: what befalls a request is told by the prompt of its job."""

    def __init__(self, fake: FakeOpenAI, plans: dict[str, Sequence[str | None]]) -> None:
        super().__init__()
        self._fake = fake
        self._plans = {prompt: Faults() for prompt in plans}
        for prompt, polls in plans.items():
            self._plans[prompt].set("poll", polls)
        self._request = threading.local()

    def look(self, moment: Moment, operation: str | None, received: Received) -> None:
        if moment is Moment.RECEIVED:
            job = self._fake.jobs.get(received.path.rpartition("/")[2])
            self._request.prompt = job.prompt if job else None

    def take(self, operation: str) -> Fault | None:
        mine = self._plans.get(self._request.prompt)
        return mine.take(operation) if mine else None


async def test_whatever_a_provider_answers_to_polls_the_client_gets_its_video(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.faults = faults = ByJob(fake, POLLS)
    fake.looking_on = faults.look
    ends: dict[str, str] = {}

    async with before(fake, tmp_path / "home") as gateway:

        async def wait(prompt: str) -> None:
            ends[prompt] = (await polled(gateway, await create(gateway, prompt))).status

        async with anyio.create_task_group() as tasks:
            for prompt in POLLS:
                tasks.start_soon(wait, prompt)

    assert ends == dict.fromkeys(POLLS, "completed")


async def test_while_a_provider_is_down_its_last_word_stands(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.job_s = 3600.0
    async with before(fake, tmp_path / "home") as gateway:
        video_id = await create(gateway)
        await until_sent(gateway, video_id)
        await anyio.to_thread.run_sync(fake.refuse)

        looks = [await seen(gateway, video_id) for _ in range(20)]
        fake.start()
        fake.finish()
        video = await polled(gateway, video_id)

        assert {(look.status_code, look.json()["status"]) for look in looks} == {(200, "in_progress")}
        assert video.status == "completed"


async def test_a_provider_that_does_not_answer_keeps_nobody_waiting(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.job_s = 3600.0
    fake.faults.poll = [None, Fault.hang().always()]
    async with before(fake, tmp_path / "home") as gateway:
        video_id = await create(gateway)
        await until_sent(gateway, video_id)
        with anyio.fail_after(PATIENCE_S):
            while sum(request.method == "GET" for request in fake.requests) < 2:
                await anyio.sleep(0.05)

        looks = [await seen(gateway, video_id) for _ in range(20)]

        assert {(look.status_code, look.json()["status"]) for look in looks} == {(200, "in_progress")}


# -- the database ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of this test's own, to be stopped."""
    with PostgresServer(fsync="off") as server:
        yield server


async def test_while_the_database_is_away_known_jobs_are_seen_and_in_the_end_fetched(
    tmp_path: Path, fake: FakeOpenAI, server: PostgresServer
) -> None:
    fake.job_s = 3600.0
    ends: list[Video] = []
    async with before(fake, tmp_path / "home", {"RUSHES_DATABASE_URL": server.create()}) as gateway:

        async def wait(video_id: str) -> None:
            ends.append(await polled(gateway, video_id))

        known = await create(gateway)
        await until_sent(gateway, known)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, known)
            await anyio.to_thread.run_sync(server.stop)

            looks = [await seen(gateway, known) for _ in range(20)]
            unknown = await gateway.client.get(f"/v1/videos/video_{'0' * 32}")
            creating = await gateway.client.post("/v1/videos", json={"prompt": "A wolf", **SORA})

            await anyio.to_thread.run_sync(server.start)
            fake.finish()

            assert {(look.status_code, look.json()["status"]) for look in looks} == {(200, "in_progress")}
            for refused in (unknown, creating):
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_unavailable")
                assert 0 < int(refused.headers["retry-after"]) <= 60
        [remote_id] = fake.jobs
        assert [video.status for video in ends] == ["completed"]
        assert await content_sha256(gateway, known) == hashlib.sha256(fake.content_of(remote_id)).hexdigest()


async def test_a_key_that_was_known_stays_good_while_the_database_is_away(
    tmp_path: Path, fake: FakeOpenAI, server: PostgresServer
) -> None:
    fake.job_s = 3600.0
    async with before(fake, tmp_path / "home", {"RUSHES_DATABASE_URL": server.create()}) as gateway:
        issued = await gateway.app.keys.create("production", Grant())
        gateway.client.headers["authorization"] = f"Bearer {issued.secret}"
        video_id = (await gateway.client.post("/v1/videos", json={"prompt": "A fox", **SORA})).json()["id"]
        await until_sent(gateway, video_id)
        await anyio.to_thread.run_sync(server.stop)

        with anyio.move_on_after(FRESH_S + 1.0):
            while True:
                look = await gateway.client.get(f"/v1/videos/{video_id}")
                assert (look.status_code, look.json()["status"]) == (200, "in_progress")
                await anyio.sleep(0.2)
        await anyio.to_thread.run_sync(server.start)
