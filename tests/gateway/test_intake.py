"""Webhooks in: what providers may tell us, and what nobody else learns by it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from rushes import logs
from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.gateway.intake import MAX_BODY_BYTES, intake
from rushes.jobs.ledger import JobState
from rushes.planning import Wish
from rushes.signatures import headers_for
from rushes.testing.fake_openai import FakeOpenAI

pytestmark = pytest.mark.anyio

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def settings_for(home: Settings, fake: FakeOpenAI, **section: object) -> Settings:
    usual = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url}
    openai = ProviderSettings.model_validate({"poll_interval_ms": 600_000, **section})
    return replace(home, environment=usual, providers={"openai": openai})


class Door:
    """The intake over an App, and a client before it."""

    def __init__(self, app: App, client: httpx2.AsyncClient) -> None:
        self.app = app
        self.client = client

    async def tell(
        self, remote_id: str, *, secret: str | None = None, kind: str = "video.completed", provider: str = "openai"
    ) -> int:
        event = {"id": "evt_1", "object": "event", "created_at": 1, "type": kind, "data": {"id": remote_id}}
        body = json.dumps(event).encode()
        headers = headers_for(secret, "wh_1", int(datetime.now(UTC).timestamp()), body) if secret else {}
        return (await self.client.post(f"/webhooks/{provider}", content=body, headers=headers)).status_code

    async def running(self, fake: FakeOpenAI) -> tuple[str, str]:
        """A job that waits for its far side, which was looked at and will not be looked at soon."""
        wish = Wish(prompt="A cat", model="openai:video:sora-2", seconds=4)
        [admission] = await self.app.submit(await self.app.plan(wish))
        self.app.work()
        with anyio.fail_after(20):
            while (await self.app.jobs.get(admission.job_id)).state is not JobState.IN_PROGRESS:
                await anyio.sleep(0.02)
        [remote_id] = fake.jobs
        return admission.job_id, remote_id

    async def hints(self, job_id: str) -> int:
        return [event.kind for event in await self.app.jobs.events(job_id)].count("hinted")


@asynccontextmanager
async def door(settings: Settings) -> AsyncGenerator[Door]:
    with anyio.fail_after(60):
        async with App(settings, leave_worker=False) as app:
            handler = intake(app.db, app.providers)
            served = Starlette(routes=[Route("/webhooks/{provider}", handler, methods=["POST"])])
            transport = httpx2.ASGITransport(app=served)
            async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
                yield Door(app, client)


@pytest.fixture
def fake() -> "FakeOpenAI":
    return FakeOpenAI(job_s=3600)


async def test_a_signed_message_makes_the_job_come_home_at_once(home: Settings, fake: FakeOpenAI) -> None:
    with fake:
        async with door(settings_for(home, fake, webhook_secret=SECRET)) as there:
            job_id, remote_id = await there.running(fake)
            fake.finish()

            status = await there.tell(remote_id, secret=SECRET)
            videos = await there.app.jobs.wait(job_id, timeout_s=20)

            assert status == 202
            assert len(videos) == 1


async def test_without_a_secret_a_message_is_a_hint_that_decides_nothing(home: Settings, fake: FakeOpenAI) -> None:
    with fake:
        async with door(settings_for(home, fake)) as there:
            job_id, remote_id = await there.running(fake)

            statuses = [await there.tell(remote_id, kind="video.failed") for _ in range(3)]

            assert statuses == [202] * 3
            assert await there.hints(job_id) == 1
            await anyio.sleep(0.5)
            assert (await there.app.jobs.get(job_id)).state is JobState.IN_PROGRESS


async def test_an_unknown_video_is_answered_like_a_known_one(home: Settings, fake: FakeOpenAI) -> None:
    with fake:
        async with door(settings_for(home, fake)) as there:
            assert await there.tell("video_nobody_knows") == 202
            assert await there.tell("x", provider="draft") == 202


@pytest.mark.parametrize("secret", [None, "whsec_YW5vdGhlciBzZWNyZXQgdGhhdCBpcyB3cm9uZw=="])
async def test_with_a_secret_a_message_that_is_not_signed_with_it_is_refused(
    secret: str | None, home: Settings, fake: FakeOpenAI
) -> None:
    with fake:
        async with door(settings_for(home, fake, webhook_secret=SECRET)) as there:
            job_id, remote_id = await there.running(fake)

            assert await there.tell(remote_id, secret=secret) == 401
            assert await there.hints(job_id) == 0


async def test_the_secret_of_the_usual_variable_is_that_of_openai_alone(home: Settings, fake: FakeOpenAI) -> None:
    with fake:
        settings = settings_for(home, fake)
        box = ProviderSettings.model_validate({"kind": "openai", "base_url": fake.base_url})
        environment = {**settings.environment, "OPENAI_WEBHOOK_SECRET": SECRET}
        providers = {**settings.providers, "mybox": box}
        async with door(replace(settings, environment=environment, providers=providers)) as there:
            assert await there.tell("video_1") == 401
            assert await there.tell("video_1", secret=SECRET) == 202
            assert await there.tell("video_1", provider="mybox") == 202


async def test_the_secret_of_a_section_is_taken_out_of_logs(home: Settings, fake: FakeOpenAI) -> None:
    secret = "whsec_dGhpcyBzZWNyZXQgaXMgdGhhdCBvZiBvbmUgdGVzdA=="
    async with door(settings_for(home, fake, webhook_secret=secret)) as there:
        await there.tell("video_1", secret=secret)

    assert logs.redacted(f"told {secret} to somebody") == "told [hidden] to somebody"


async def test_a_provider_that_there_is_not_is_not_found(home: Settings, fake: FakeOpenAI) -> None:
    async with door(settings_for(home, fake)) as there:
        assert await there.tell("video_1", provider="nobody") == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"type":"video.completed"}', b'{"type":1,"data":{"id":"a"}}'])
async def test_what_cannot_be_read_is_taken_and_forgotten(body: bytes, home: Settings, fake: FakeOpenAI) -> None:
    async with door(settings_for(home, fake)) as there:
        assert (await there.client.post("/webhooks/openai", content=body)).status_code == 202


async def test_events_about_something_else_are_taken_and_forgotten(home: Settings, fake: FakeOpenAI) -> None:
    with fake:
        async with door(settings_for(home, fake)) as there:
            job_id, remote_id = await there.running(fake)

            assert await there.tell(remote_id, kind="batch.completed") == 202
            assert await there.hints(job_id) == 0


async def test_a_body_that_is_too_large_is_refused(home: Settings, fake: FakeOpenAI) -> None:
    async with door(settings_for(home, fake)) as there:
        refused = await there.client.post("/webhooks/openai", content=b"x" * (MAX_BODY_BYTES + 1))

    assert refused.status_code == 413


async def test_a_secret_that_cannot_be_one_is_our_affair_and_lets_nobody_in(home: Settings, fake: FakeOpenAI) -> None:
    async with door(settings_for(home, fake, webhook_secret="whsec_~")) as there:
        assert await there.tell("video_1", secret=SECRET) == 503


async def test_a_question_whether_the_address_is_ours_is_answered(home: Settings) -> None:
    settings = replace(home, environment={"MINIMAX_API_KEY": "key"})
    async with door(settings) as there:
        answer = await there.client.post("/webhooks/minimax", json={"challenge": "abc"})

    assert (answer.status_code, answer.json()) == (200, {"challenge": "abc"})


async def test_a_sender_whose_keys_cannot_be_had_is_asked_to_come_again(home: Settings) -> None:
    """Not 401: it may well be who it says. fal's keys are fetched, here from where nobody listens."""
    section = ProviderSettings.model_validate({"rest_url": "http://127.0.0.1:9"})
    settings = replace(home, environment={"FAL_KEY": "key"}, providers={"fal": section})
    headers = {
        "x-fal-webhook-request-id": "r",
        "x-fal-webhook-user-id": "u",
        "x-fal-webhook-timestamp": str(int(datetime.now(UTC).timestamp())),
        "x-fal-webhook-signature": "00" * 64,
    }
    async with door(settings) as there:
        answer = await there.client.post("/webhooks/fal", json={"request_id": "r"}, headers=headers)

    assert answer.status_code == 503
