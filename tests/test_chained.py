"""Extensions and remixes by a model that knows neither: from the last frame and joined here; from both prompts."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.errors import Unsupported
from rushes.planning import Wish
from rushes.providers.prepare import Misfit
from rushes.testing.fake_zai import FakeZai
from rushes.video import Size, SourceKind, Video

pytestmark = pytest.mark.anyio

COG = "zai:video:cogvideox-3"


@pytest.fixture
def fake() -> Iterator[FakeZai]:
    with FakeZai(job_s=0.0) as fake:
        yield fake


@pytest.fixture
async def app(home: Settings, fake: FakeZai) -> AsyncIterator[App]:
    environment = {"ZAI_API_KEY": fake.api_key, "ZAI_BASE_URL": fake.base_url}
    sections = {"zai": ProviderSettings(poll_interval_ms=50)}
    async with App(replace(home, environment=environment, providers=sections), leave_worker=False) as app:
        yield app


async def made(app: App, prompt: str, **wish: object) -> Video:
    [video] = await app.generate(Wish(prompt=prompt, spritesheet=False, **wish))  # type: ignore[arg-type]
    return video


async def first(app: App) -> Video:
    return await made(app, "A boat", model="draft", seconds=2, size="1280x720")


async def test_an_extension_is_one_video_and_only_its_new_part_is_paid_for(app: App, fake: FakeZai) -> None:
    start = await first(app)

    longer = await made(app, "It sails on", model=COG, extend=start.id, seconds=5)

    assert round(longer.seconds) == 7
    assert (longer.size, longer.has_audio, longer.fps) == (Size(1280, 720), True, Fraction(24))
    assert (longer.cost_usd, fake.book.total_usd) == (Decimal("0.20"), Decimal("0.20"))
    assert [note.field for note in longer.adjustments] == ["extend"]
    [sent] = fake.bodies()
    assert sent["image_url"].startswith("data:image/png;base64,"), "the last frame"
    assert [member.kind for member in await app.lineage.family(longer.job_id)] == [None, SourceKind.EXTEND]


async def test_the_manifest_tells_what_was_done_here(app: App) -> None:
    start = await first(app)
    longer = await made(app, "It sails on", model=COG, extend=start.id, seconds=5)

    report = await app.library.provenance(longer)

    assert report.valid, report.problems
    assert report.active is not None
    assert not report.beside, "a file that was made here carries it inside"
    assert any(start.id in each.title for each in report.active.ingredients)


async def test_an_extension_can_be_extended_again(app: App, fake: FakeZai) -> None:
    start = await first(app)
    longer = await made(app, "It sails on", model=COG, extend=start.id, seconds=5)

    longest = await made(app, "And on", model=COG, extend=longer.id, seconds=5)

    assert round(longest.seconds) == 12
    assert fake.book.charged == 2


async def test_a_given_clip_can_be_extended_too(app: App) -> None:
    start = await first(app)
    assert start.path is not None
    clip = await app.inputs.add(start.path, clips=True)

    longer = await made(app, "It sails on", model=COG, extend=clip, seconds=5)

    assert round(longer.seconds) == 7


async def test_what_cannot_start_from_a_picture_either_is_refused_with_those_that_can(app: App, fake: FakeZai) -> None:
    start = await first(app)

    with pytest.raises(Unsupported, match="cannot extend"):
        await app.plan(Wish(prompt="It sails on", model="zai:video:viduq1-text", extend=start.id))
    assert fake.requests == []


async def test_a_remix_that_need_only_come_near_is_told_anew(app: App, fake: FakeZai) -> None:
    start = await first(app)

    remixed = await made(app, "At night", model=COG, remix=start.id, misfit=Misfit.NEAREST)

    [sent] = fake.bodies()
    assert sent["prompt"] == "A boat\n\nAt night"
    assert "remix" in [note.field for note in remixed.adjustments]
    assert [member.kind for member in await app.lineage.family(remixed.job_id)] == [None, SourceKind.REMIX]
    with pytest.raises(Unsupported, match="cannot remix"):
        await app.plan(Wish(prompt="At night", model=COG, remix=start.id))


async def test_a_source_that_was_collected_is_refused_before_anything_is_spent(app: App, fake: FakeZai) -> None:
    start = await first(app)
    assert start.path is not None
    start.path.unlink()

    with pytest.raises(Unsupported, match="no longer in the library"):
        await app.plan(Wish(prompt="It sails on", model=COG, extend=start.id))
    assert fake.requests == []
