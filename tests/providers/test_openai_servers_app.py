"""Whole jobs on every named server, through the front door: one create, the books agree, the file is theirs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
import pytest

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.errors import JobFailed
from rushes.planning import Wish
from rushes.providers.openai.servers import ServerName
from rushes.testing.clips import picture
from rushes.testing.faults import Fault, Trouble
from rushes.testing.servers.base import FakeBox
from rushes.testing.servers.dynamo import FakeDynamo
from rushes.testing.servers.litellm import FakeLiteLlm
from rushes.testing.servers.localai import FakeLocalAI
from rushes.testing.servers.new_api import FakeNewApi
from rushes.testing.servers.sglang import FakeSglang
from rushes.testing.servers.tensorrt_llm import FakeTensorrtLlm
from rushes.testing.servers.vllm_omni import FakeVllmOmni

pytestmark = pytest.mark.anyio

WISH = Wish(prompt="A paper boat", model="mybox:video:wan", size="320x180", seconds=1, spritesheet=False)
BOXES: list[tuple[ServerName, FakeBox]] = [
    ("vllm-omni", FakeVllmOmni(job_s=0.1)),
    ("sglang", FakeSglang(job_s=0.1)),
    ("sglang", FakeSglang(job_s=0.1, cloud=True)),
    ("tensorrt-llm", FakeTensorrtLlm(job_s=0.1)),
    ("litellm", FakeLiteLlm(job_s=0.1)),
    ("new-api", FakeNewApi(job_s=0.1)),
    ("new-api", FakeNewApi(job_s=0.1, serves_content=False)),
    ("localai", FakeLocalAI(job_s=0.1)),
    ("localai", FakeLocalAI(job_s=0.1, answer_as="b64_json")),
    ("dynamo", FakeDynamo(job_s=0.1)),
]


@asynccontextmanager
async def an_app(home: Settings, fake: FakeBox, server: ServerName) -> AsyncGenerator[App]:
    written: dict[str, Any] = {"kind": "openai", "base_url": fake.base_url, "server": server, "usd_per_second": "0.02"}
    section = ProviderSettings.model_validate({**written, "api_key": fake.api_key, "poll_interval_ms": 50})
    with anyio.fail_after(60):
        async with App(replace(home, providers={"mybox": section}), leave_worker=False) as app:
            yield app


@pytest.mark.parametrize(("server", "fake"), BOXES, ids=[f"{server}-{n}" for n, (server, _) in enumerate(BOXES)])
async def test_a_video_is_bought_once_and_brought_home(server: ServerName, fake: FakeBox, home: Settings) -> None:
    wish = replace(WISH, seed=3, negative_prompt="blur", first_frame=picture(320, 180))
    with fake:
        async with an_app(home, fake, server) as app:
            [video] = await app.generate(wish)

    [entry] = fake.book.entries
    assert video.path is not None
    assert video.path.read_bytes() == fake.content_of(entry.remote_id)
    assert (video.remote_id, video.cost_usd) == (entry.remote_id, entry.usd)
    assert fake.book.creates == 1
    assert fake.overlooked == []
    assert list(home.home.rglob("*-0.mp4")) == [], "what was kept on the way is gone"


async def test_several_videos_of_one_create_are_one_job(home: Settings) -> None:
    with FakeSglang(job_s=0.1) as fake:
        async with an_app(home, fake, "sglang") as app:
            plan = await app.plan(replace(WISH, extra={"n": 3}))
            assert plan.prepared[0].estimate_usd == Decimal("0.06")
            videos = await app.generate(replace(WISH, extra={"n": 3}))

    [entry] = fake.book.entries
    assert len({video.sha256 for video in videos}) == 3
    assert {video.job_id for video in videos} == {videos[0].job_id}
    assert entry.usd == Decimal("0.06")


@pytest.mark.parametrize("status", [200, 500])
async def test_a_video_that_failed_while_we_waited_ends_the_job_unpaid_and_is_not_asked_for_again(
    status: int, home: Settings
) -> None:
    with FakeDynamo(job_s=0) as fake:
        fake.faults.create = [Fault.of(Trouble.FAILED_AS, status)]
        async with an_app(home, fake, "dynamo") as app:
            with pytest.raises(JobFailed, match="CUDA out of memory") as failed:
                await app.generate(WISH)

    assert failed.value.failure_code == "internal_error"
    assert fake.book.creates == 1
