"""Azure through the whole of rushes: several videos from one create, and a sign-in that runs out in mid-wait."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.planning import Wish
from rushes.testing import clips
from rushes.testing.fake_azure import FakeAzure
from rushes.video import Adjustment

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake() -> Iterator[FakeAzure]:
    with FakeAzure(job_s=0.2) as fake:
        yield fake


@asynccontextmanager
async def opened(home: Settings, **environment: str) -> AsyncGenerator[App]:
    sections = {"azure": ProviderSettings(poll_interval_ms=50)}
    async with App(replace(home, environment=environment, providers=sections), leave_worker=False) as app:
        yield app


@pytest.fixture
async def app(home: Settings, fake: FakeAzure) -> AsyncIterator[App]:
    async with opened(home, AZURE_OPENAI_ENDPOINT=fake.url, AZURE_OPENAI_API_KEY=fake.api_key or "") as app:
        yield app


def two(prompt: str = "Two boats") -> Wish:
    return Wish(prompt=prompt, model="azure:video", seconds=2, size="480x480", extra={"n_variants": 2})


async def test_one_create_gives_two_videos_with_ids_fixed_before(app: App, fake: FakeAzure) -> None:
    plan = await app.plan(two())
    assert await app.price(plan) == Decimal("0.40")

    first, second = await app.generate(two())

    assert first.id == first.job_id
    assert second.job_id == first.job_id != second.id
    assert first.sha256
    assert second.path is not None
    assert second.path.is_file()
    assert [video.cost_usd for video in (first, second)] == [Decimal("0.40"), 0]
    assert (fake.book.charged, fake.book.total_usd) == (1, Decimal("0.40"))
    assert (await app.library.get(second.id)).id == second.id


async def test_of_two_variants_one_may_be_withheld(app: App, fake: FakeAzure) -> None:
    fake.withhold = 1

    [video] = await app.generate(two())

    [note] = video.adjustments
    assert note == Adjustment(field="videos", asked="2", given="1", why=note.why)
    assert "fewer than asked" in note.why
    assert video.cost_usd == fake.book.total_usd == Decimal("0.40")
    assert len(await app.jobs.videos(video.job_id)) == 1


async def test_an_equal_order_for_two_is_served_both(app: App, fake: FakeAzure) -> None:
    made = await app.generate(two())

    again = await app.generate(two())

    assert [video.sha256 for video in again] == [video.sha256 for video in made]
    assert all(video.cached for video in again)
    assert fake.book.charged == 1


async def test_a_token_that_expires_in_mid_wait_is_renewed(home: Settings, fake: FakeAzure) -> None:
    fake.token_life_s, fake.job_s = 1.0, 2.5
    signed_in = {
        "AZURE_OPENAI_ENDPOINT": fake.url,
        "AZURE_AUTHORITY_HOST": fake.url,
        "AZURE_TENANT_ID": fake.client.tenant,
        "AZURE_CLIENT_ID": fake.client.client_id,
        "AZURE_CLIENT_SECRET": fake.client.secret,
    }
    async with opened(home, **signed_in) as app:
        [video] = await app.generate(Wish(prompt="A boat", model="azure:video", seconds=2, size="480x480"))

    assert len(fake.sign_ins) >= 2
    assert video.cost_usd == fake.book.total_usd


async def test_a_file_is_uploaded_under_its_own_name(app: App, fake: FakeAzure, tmp_path: Path) -> None:
    still = tmp_path / "harbour at dusk.png"
    still.write_bytes(clips.picture(480, 480))
    items = [{"frame_index": 0, "type": "image", "file_name": str(still)}]

    await app.generate(
        Wish(prompt="A boat", model="azure:video", seconds=2, size="480x480", extra={"inpaint_items": items})
    )

    [create] = [request for request in fake.requests if request.method == "POST"]
    parts = {part.name: part for part in create.parts}
    assert parts["files"].filename == "harbour at dusk.png"
    assert json.loads(parts["inpaint_items"].text)[0]["file_name"] == "harbour at dusk.png"
