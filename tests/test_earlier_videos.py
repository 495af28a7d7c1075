"""What starts from something earlier, end to end: remixes, an edit, extensions, a picture, a character.

Each has its right price, its place in the lineage, and a manifest that verifies.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.errors import NotFound, Unsupported
from rushes.jobs import shelf
from rushes.planning import Wish
from rushes.providers.prepare import Misfit
from rushes.testing import clips
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import Size, SourceKind, Video, new_video_id, video_uuid

pytestmark = pytest.mark.anyio

SORA = "openai:video:sora-2"
SECONDS_USD = Decimal("0.10")


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as fake:
        yield fake


@pytest.fixture
async def app(home: Settings, fake: FakeOpenAI) -> AsyncIterator[App]:
    environment = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url}
    sections = {"openai": ProviderSettings(poll_interval_ms=50)}
    async with App(replace(home, environment=environment, providers=sections), leave_worker=False) as app:
        yield app


async def made(app: App, prompt: str, **wish: object) -> Video:
    [video] = await app.generate(Wish(prompt=prompt, spritesheet=False, **wish))  # type: ignore[arg-type]
    return video


async def family(app: App, video: Video) -> list[tuple[SourceKind | None, str, int]]:
    return [(member.kind, member.prompt, member.depth) for member in await app.lineage.family(video.job_id)]


async def assert_marked(app: App, video: Video, *, chain: int, came_from: str) -> None:
    """The manifest holds, tells the model, names its one ingredient, and leads back through so many manifests."""
    report = await app.library.provenance(video)
    assert report.valid, report.problems
    assert report.active is not None
    assert report.beside, "what a provider sent is never changed"
    assert (report.active.video_id, report.active.model) == (video.id, video.model.model)
    assert [came_from in each.title for each in report.active.ingredients] == [True]
    assert len(report.manifests) == chain


async def test_a_remix_of_a_remix(app: App, fake: FakeOpenAI) -> None:
    first = await made(app, "A boat", model=SORA, seconds=8, size="720x1280")
    second = await made(app, "A boat at night", remix=first.id)
    third = await made(app, "A boat at night in the rain", remix=second.id)

    assert [video.model for video in (second, third)] == [first.model] * 2
    assert (third.size, round(third.seconds), third.cost_usd) == (Size(720, 1280), 8, 8 * SECONDS_USD)
    assert await family(app, second) == [
        (None, "A boat", 0),
        (SourceKind.REMIX, "A boat at night", 1),
        (SourceKind.REMIX, "A boat at night in the rain", 2),
    ]
    assert fake.book.total_usd == 24 * SECONDS_USD
    await assert_marked(app, third, chain=3, came_from="earlier video")


async def test_an_edit(app: App, fake: FakeOpenAI) -> None:
    first = await made(app, "A boat", model=SORA, seconds=4)
    edited = await made(app, "Make the sail red", edit=first.id)

    assert (round(edited.seconds), edited.cost_usd) == (4, 4 * SECONDS_USD)
    assert await family(app, edited) == [(None, "A boat", 0), (SourceKind.EDIT, "Make the sail red", 1)]
    await assert_marked(app, edited, chain=2, came_from="earlier video")


async def test_three_extensions_cost_what_they_add(app: App, fake: FakeOpenAI) -> None:
    video = await made(app, "A boat", model=SORA, seconds=4)
    lengths, costs = [round(video.seconds)], [video.cost_usd]
    for seconds in (8, 4, 12):
        video = await made(app, f"It sails on for {seconds} seconds", extend=video.id, seconds=seconds)
        lengths.append(round(video.seconds))
        costs.append(video.cost_usd)

    assert lengths == [4, 12, 16, 28]
    assert costs == [Decimal("0.40"), Decimal("0.80"), Decimal("0.40"), Decimal("1.20")]
    assert fake.book.total_usd == Decimal("2.80")
    assert [depth for _, _, depth in await family(app, video)] == [0, 1, 2, 3]
    await assert_marked(app, video, chain=4, came_from="earlier video")


async def test_a_seventh_extension_is_refused_before_it_is_sent(app: App, fake: FakeOpenAI) -> None:
    video = await made(app, "A boat", model=SORA, seconds=4)
    for n in range(6):
        video = await made(app, f"On it sails {n}", extend=video.id, seconds=4)
    creates = fake.book.creates

    with pytest.raises(Unsupported, match="extended 6 times"):
        await app.plan(Wish(prompt="And on", extend=video.id, seconds=4))

    assert fake.book.creates == creates


async def test_a_picture_becomes_the_first_frame(app: App, fake: FakeOpenAI) -> None:
    video = await made(app, "It comes alive", model=SORA, seconds=4, first_frame=clips.picture(1280, 720))

    assert (video.size, video.cost_usd) == (Size(1280, 720), Decimal("0.40"))
    await assert_marked(app, video, chain=1, came_from="first frame")


async def test_a_character_is_made_once_and_named_later(app: App, fake: FakeOpenAI, tmp_path: Path) -> None:
    clip = tmp_path / "mossy.mp4"
    clip.write_bytes(clips.clip(1280, 720, 3.0))

    mossy = await app.make_character("Mossy", clip, model=SORA)
    by_name = await made(app, "Mossy waves", model=SORA, seconds=4, characters=("Mossy",))
    by_id = await made(app, "Mossy sings", model=SORA, seconds=4, characters=(mossy.id,))

    assert [video.cost_usd for video in (by_name, by_id)] == [Decimal("0.40")] * 2
    assert fake.book.total_usd == Decimal("0.80"), "a character itself costs nothing"
    assert [each.name for each in await app.characters.all()] == ["Mossy"]
    assert (await app.library.provenance(by_name)).valid


async def test_the_same_remix_after_a_kill_is_picked_up_and_made_once_more_when_it_is_done(
    app: App, fake: FakeOpenAI
) -> None:
    first = await made(app, "A boat", model=SORA, seconds=4)
    wish = Wish(prompt="At night", remix=first.id)
    one = await app.submit(await app.plan(wish))
    two = await app.submit(await app.plan(wish))
    app.work()
    await app.jobs.wait(one[0].job_id)
    three = await app.submit(await app.plan(wish))
    await app.jobs.wait(three[0].job_id)

    assert two[0].joined
    assert not three[0].cached
    assert fake.book.charged == 3


async def test_a_remix_goes_nowhere_but_to_the_account_that_has_the_video(app: App, fake: FakeOpenAI) -> None:
    first = await made(app, "A boat", model="draft", seconds=2)

    with pytest.raises(Unsupported, match="cannot remix"):
        await app.plan(Wish(prompt="At night", model=SORA, remix=first.id))
    assert fake.book.creates == 0


async def test_a_file_is_sent_where_the_model_takes_any_video(app: App, fake: FakeOpenAI) -> None:
    first = await made(app, "A boat", model="draft", seconds=4, size="1280x720")

    edited = await made(app, "Make the sail red", model=SORA, edit=first.id)

    assert (edited.size, round(edited.seconds), edited.cost_usd) == (Size(1280, 720), 4, Decimal("0.40"))
    assert [kind for kind, _, _ in await family(app, edited)] == [None, SourceKind.EDIT]


async def test_another_model_of_the_same_account_gets_the_file_or_is_refused(app: App, fake: FakeOpenAI) -> None:
    first = await made(app, "A boat", model=SORA, seconds=4)

    edited = await made(app, "Make the sail red", model=SORA + "-pro", edit=first.id)
    with pytest.raises(Unsupported, match="leave the model out"):
        await app.plan(Wish(prompt="At night", model=SORA + "-pro", remix=first.id))

    assert edited.cost_usd == Decimal("1.20")
    assert fake.book.total_usd == Decimal("1.60")


async def test_an_unfinished_video_is_no_source(app: App, fake: FakeOpenAI) -> None:
    fake.job_s = 60.0
    [admitted] = await app.submit(await app.plan(Wish(prompt="A boat", model=SORA)))

    with pytest.raises(Exception, match="only a finished video"):
        await app.plan(Wish(prompt="At night", remix=admitted.job_id))


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"remix": "SOURCE", "seconds": 12}, "keeps the length"),
        ({"edit": "SOURCE", "size": "720x1280"}, "keeps the length"),
        ({"extend": "SOURCE", "size": "720x1280"}, "keeps the size"),
        ({"extend": "SOURCE", "seconds": 5}, "4, 8, 12, 16 or 20 seconds"),
        ({"extend": "SOURCE", "seconds": 4, "first_frame": clips.picture(1280, 720)}, "no pictures"),
        ({"extend": "SOURCE", "seconds": 4, "characters": ("char_1",)}, "no pictures and no characters"),
    ],
)
async def test_what_cannot_be_asked_of_an_earlier_video_is_refused_before_it_is_sent(
    wish: dict[str, object], words: str, app: App, fake: FakeOpenAI
) -> None:
    first = await made(app, "A boat", model=SORA, seconds=4)
    asked = {name: first.id if value == "SOURCE" else value for name, value in wish.items()}

    with pytest.raises(Unsupported, match=words):
        await app.plan(Wish(prompt="At night", **asked))  # type: ignore[arg-type]

    assert fake.book.creates == 1


async def test_an_extension_that_is_cut_keeps_what_it_extends(app: App, fake: FakeOpenAI) -> None:
    first = await made(app, "A boat", model=SORA, seconds=4)
    longer = await made(app, "It sails on", extend=first.id, seconds=5, misfit=Misfit.NEAREST)

    assert (round(longer.seconds), longer.cost_usd) == (4 + 5, Decimal("0.80"))


async def test_the_length_that_is_bought_counts_against_the_longest(app: App, fake: FakeOpenAI) -> None:
    video = await made(app, "A boat", model=SORA, seconds=20)
    for n in range(4):
        video = await made(app, f"On it sails {n}", extend=video.id, seconds=20)
    video = await made(app, "On and on", extend=video.id, seconds=12)

    with pytest.raises(Unsupported, match="would last 128"):
        await app.plan(Wish(prompt="And on", extend=video.id, seconds=13, misfit=Misfit.NEAREST))


async def test_what_is_deleted_is_no_source(app: App) -> None:
    video = await made(app, "A boat", model=SORA, seconds=4)
    await app.jobs.delete(video.job_id)

    with pytest.raises(NotFound, match="deleted"):
        await app.plan(Wish(prompt="At night", remix=video.id))


async def test_two_characters_of_one_name_are_not_mistaken(app: App, fake: FakeOpenAI, tmp_path: Path) -> None:
    clip = tmp_path / "mossy.mp4"
    clip.write_bytes(clips.clip(1280, 720, 3.0))
    for _ in range(2):
        await app.make_character("Mossy", clip, model=SORA)

    with pytest.raises(NotFound, match="may be any of"):
        await app.plan(Wish(prompt="Mossy waves", model=SORA, characters=("Mossy",)))
    with pytest.raises(Unsupported, match="empty"):
        await app.plan(Wish(prompt="Mossy waves", model=SORA, characters=(" ",)))


async def test_the_second_video_of_a_job_is_found_in_either_form_and_never_taken_for_the_first(app: App) -> None:
    video = await made(app, "A boat", model=SORA, seconds=4)
    second = new_video_id()

    def work(connection: sa.Connection) -> None:
        [row] = shelf.videos_of(connection, video.job_id)
        shelf.insert_video(connection, replace(row, id=second, n=1))

    await app.db.write(work)
    origins = [await app.lineage.origin(text) for text in (second, str(video_uuid(second)))]

    assert [origin.video.id for origin in origins] == [second, second]
    assert [origin.remote_id for origin in origins] == [None, None]
    with pytest.raises(Unsupported, match="cannot remix"):
        await app.plan(Wish(prompt="At night", remix=second))
    plan = await app.plan(Wish(prompt="At night", edit=second))
    assert plan.prepared[0].request.source is not None
    assert plan.prepared[0].request.source.media is not None
