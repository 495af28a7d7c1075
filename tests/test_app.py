"""The front door: everything that is wrong is said before any money moves, and the short way in works."""

from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
import pytest

import rushes
from rushes.app import App
from rushes.config import Defaults, ProviderSettings, Settings
from rushes.errors import (
    ConfigError,
    MediaError,
    MissingKey,
    OverBudget,
    RequestError,
    RushesError,
    UnknownModel,
    Unsupported,
)
from rushes.jobs.service import Snapshot
from rushes.jobs.store import Filter
from rushes.planning import Wish
from rushes.testing.clips import picture
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import Size, Video

SORA = "openai:video:sora-2"


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as fake:
        yield fake


@pytest.fixture
def settings(home: Settings, fake: FakeOpenAI) -> Settings:
    return replace(
        home,
        environment={"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url},
        providers={"openai": ProviderSettings(poll_interval_ms=50)},
    )


@asynccontextmanager
async def an_app(settings: Settings) -> AsyncGenerator[App]:
    with anyio.fail_after(60):
        async with App(settings, leave_worker=False) as app:
            yield app


def with_environment(home: Settings, **variables: str) -> Settings:
    return replace(home, environment=variables)


# -- what is wrong is said before anything is sent -------------------------------------------------

WRONG: list[tuple[dict[str, Any], type[RushesError], str]] = [
    ({"model": "openai:video:sora-3"}, UnknownModel, "openai:video:sora-2"),
    ({"model": "sora-2"}, UnknownModel, "Did you mean openai:video:sora-2"),
    ({"model": "opnai:video:sora-2"}, RushesError, "Did you mean openai"),
    ({"model": "azure:chat:gpt-5"}, RequestError, "kind 'video' only"),
    ({"model": "draft", "seconds": 61}, Unsupported, "1 to 60"),
    ({"size": "1x1"}, Unsupported, "1280x720, 720x1280"),
    ({"size": "large"}, Unsupported, "width x height"),
    ({"seconds": 5}, Unsupported, "4, 8, 12, 16 or 20"),
    ({"seconds": 0}, Unsupported, "not 0"),
    ({"prompt": ""}, Unsupported, "prompt is empty"),
    ({"prompt": " \n"}, Unsupported, "prompt is empty"),
    ({"prompt": "x" * 32001}, Unsupported, "32001 characters"),
    ({"seed": 1}, Unsupported, "does not take seed"),
    ({"audio": False}, Unsupported, "audio off"),
    ({"n": 0}, RushesError, "-n 0"),
    ({"model": "draft", "extra": {"latncy_s": 1}}, Unsupported, "latency_s"),
    ({"model": "draft", "extra": {"latency_s": "long"}}, Unsupported, "latency_s"),
    ({"extra": {"prompt": "another"}}, Unsupported, "may not set prompt"),
    ({"first_frame": "/no/such/file.png"}, MediaError, "file.png"),
    ({"first_frame": picture(64, 64)}, Unsupported, "--nearest"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("changes", "error", "words"), WRONG, ids=[str(row[0])[:40] for row in WRONG])
async def test_what_is_wrong_with_a_wish_is_said_before_any_money(
    changes: dict[str, Any], error: type[RushesError], words: str, settings: Settings, fake: FakeOpenAI
) -> None:
    wish = replace(Wish(prompt="A cat", model=SORA), **changes)

    async with an_app(settings) as app:
        with pytest.raises(error) as raised:
            await app.plan(wish)

        assert words in str(raised.value)
        assert "\n" not in str(raised.value)
        assert await app.jobs.matching(Filter()) == []
    assert fake.requests == []


@pytest.mark.anyio
async def test_a_model_that_its_own_list_does_not_have_is_named_with_the_nearest(home: Settings) -> None:
    # At the vendor's own address only listed models exist; elsewhere any name may be right.
    async with an_app(with_environment(home, OPENAI_API_KEY="sk-x")) as app:
        with pytest.raises(UnknownModel, match="Did you mean openai:video:sora-2"):
            await app.plan(Wish(prompt="A cat", model="openai:video:sora-3"))


@pytest.mark.anyio
async def test_a_missing_key_names_the_variable_to_set(home: Settings, fake: FakeOpenAI) -> None:
    async with an_app(with_environment(home, OPENAI_BASE_URL=fake.base_url)) as app:
        with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
            await app.plan(Wish(prompt="A cat", model=SORA))


@pytest.mark.anyio
async def test_the_vendors_dead_address_is_refused_with_what_to_do(home: Settings) -> None:
    async with an_app(with_environment(home, OPENAI_API_KEY="sk-x")) as app:
        with pytest.raises(ConfigError, match="OPENAI_BASE_URL"):
            await app.plan(Wish(prompt="A cat", model=SORA))


# -- budget ----------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(("n", "limit", "fits"), [(1, "0.80", True), (1, "0.79", False), (3, "2.39", False)])
async def test_the_whole_wish_fits_the_limit_or_none_of_it_is_bought(
    n: int, limit: str, fits: bool, settings: Settings, fake: FakeOpenAI
) -> None:
    wish = Wish(prompt="A cat", model=SORA, seconds=8, n=n, max_cost_usd=Decimal(limit))

    async with an_app(settings) as app:
        plan = await app.plan(wish)
        if fits:
            await app.submit(plan)
        else:
            with pytest.raises(OverBudget, match="not bought"):
                await app.submit(plan)

        assert len(await app.jobs.matching(Filter())) == (n if fits else 0)


@pytest.mark.anyio
async def test_an_unknown_price_is_refused_where_there_is_a_limit(settings: Settings, fake: FakeOpenAI) -> None:
    wish = Wish(prompt="A cat", model="mybox:video:wan", seconds=4, size="320x180", max_cost_usd=Decimal(100))
    mybox = ProviderSettings(kind="openai", base_url=fake.base_url)

    async with an_app(replace(settings, providers={**settings.providers, "mybox": mybox})) as app:
        plan = await app.plan(wish)
        with pytest.raises(OverBudget, match="--allow-unknown-price"):
            await app.submit(plan)
        allowed = await app.submit(await app.plan(replace(wish, allow_unknown_price=True)))

        assert await app.price(plan) == Decimal(0), "what is under way by now costs nothing more"
        assert allowed[0].estimate_usd is None


@pytest.mark.anyio
async def test_what_is_in_the_library_fits_any_limit(settings: Settings, fake: FakeOpenAI) -> None:
    wish = Wish(prompt="A cat", model=SORA, seconds=4)

    async with an_app(settings) as app:
        await app.generate(wish)
        [video] = await app.generate(replace(wish, max_cost_usd=Decimal(0)))

    assert video.cached
    assert fake.book.charged == 1


# -- planning --------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_plan_fills_the_defaults_and_knows_the_price(settings: Settings) -> None:
    async with an_app(settings) as app:
        plan = await app.plan(Wish(prompt="A cat", model=SORA, n=2))

        assert [(str(each.request.size), each.request.seconds) for each in plan.prepared] == [("1280x720", 8)] * 2
        assert await app.price(plan) == Decimal("1.60")


@pytest.mark.anyio
async def test_repeats_of_a_deterministic_model_get_a_seed_each(home: Settings) -> None:
    async with an_app(home) as app:
        by_itself = await app.plan(Wish(prompt="A cat", model="draft", n=3))
        from_seven = await app.plan(Wish(prompt="A cat", model="draft", n=3, seed=7))

    assert [each.request.seed for each in by_itself.prepared] == [0, 1, 2]
    assert [each.request.seed for each in from_seven.prepared] == [7, 8, 9]


@pytest.mark.anyio
async def test_an_alias_is_resolved_and_remembered_by_its_name(settings: Settings) -> None:
    async with an_app(replace(settings, aliases={"my-favourite": SORA})) as app:
        plan = await app.plan(Wish(prompt="A cat", model="my-favourite"))

        assert (str(plan.choice.model.id), plan.choice.asked) == (SORA, "my-favourite")


@pytest.mark.anyio
async def test_a_picture_of_the_right_shape_is_scaled_before_it_is_fingerprinted(settings: Settings) -> None:
    async with an_app(settings) as app:
        plan = await app.plan(Wish(prompt="A cat", model=SORA, first_frame=picture(640, 360)))

        [prepared] = plan.prepared
        assert prepared.request.first_frame is not None
        assert prepared.request.first_frame.size == Size(1280, 720)
        assert [change.field for change in prepared.adjustments] == ["first_frame"]


# -- choice when no model is named (contracts, section 1) ------------------------------------------


@pytest.mark.anyio
async def test_with_nothing_set_up_draft_is_chosen_and_says_so(home: Settings) -> None:
    async with an_app(home) as app:
        choice = (await app.plan(Wish(prompt="A cat"))).choice

    assert str(choice.model.id) == "draft"
    assert "draft" in choice.notes[-1]


@pytest.mark.anyio
async def test_a_key_for_the_vendors_dead_address_is_skipped_with_one_line(home: Settings) -> None:
    async with an_app(with_environment(home, OPENAI_API_KEY="sk-x")) as app:
        choice = (await app.plan(Wish(prompt="A cat"))).choice

    assert str(choice.model.id) == "draft"
    assert "OPENAI_BASE_URL" in choice.notes[0]
    assert "\n" not in choice.notes[0]


@pytest.mark.anyio
async def test_a_key_with_an_address_counts(settings: Settings) -> None:
    async with an_app(settings) as app:
        choice = (await app.plan(Wish(prompt="A cat"))).choice

    assert (str(choice.model.id), choice.notes) == (SORA, ())


@pytest.mark.anyio
async def test_the_model_of_the_settings_comes_first(settings: Settings) -> None:
    async with an_app(replace(settings, defaults=Defaults(model="draft"))) as app:
        choice = (await app.plan(Wish(prompt="A cat"))).choice

    assert str(choice.model.id) == "draft"


# -- generate, for code that is not asynchronous ---------------------------------------------------


def generated(prompt: str, **asked: Any) -> Video:
    """From a thread of its own: in this one the loop of other tests' fixtures may be running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(rushes.generate, prompt, **asked).result()


def test_one_call_makes_a_video(settings: Settings, fake: FakeOpenAI) -> None:
    percents = list[float]()

    def note(snapshot: Snapshot) -> None:
        percents.append(snapshot.percent)

    video = generated(
        "A cat",
        model=SORA,
        seconds=4,
        max_cost_usd="0.40",
        settings=settings,
        on_progress=note,
    )

    assert isinstance(video, Video)
    assert video.path is not None
    assert video.path.read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
    assert percents[-1] == 100.0


def test_the_same_call_again_is_served_from_the_library(settings: Settings, fake: FakeOpenAI) -> None:
    first = generated("A cat", model=SORA, seconds=4, settings=settings)
    second = generated("A cat", model=SORA, seconds=4, settings=settings)

    assert (second.cached, second.cost_usd, second.sha256) == (True, Decimal(0), first.sha256)
    assert fake.book.charged == 1


def test_pictures_are_made_or_left_out_as_asked(settings: Settings) -> None:
    both = generated("A cat", model=SORA, seconds=4, settings=settings)
    none = generated(
        "A dog", model=SORA, seconds=4, settings=settings, download_thumbnail=False, download_spritesheet=False
    )

    assert both.thumbnail is not None
    assert both.spritesheet is not None
    assert (none.thumbnail, none.spritesheet) == (None, None)


def test_draft_needs_neither_key_nor_network(home: Settings) -> None:
    video = generated("A lighthouse at dusk", model="draft", size="320x180", seconds=1, settings=home)

    assert video.path is not None
    assert (video.size, video.cost_usd) == (Size(320, 180), Decimal(0))


def test_errors_come_out_as_they_are_not_wrapped_in_groups(settings: Settings) -> None:
    with pytest.raises(Unsupported, match="4, 8, 12, 16 or 20"):
        generated("A cat", model=SORA, seconds=5, settings=settings)


@pytest.mark.anyio
async def test_inside_a_running_loop_the_other_way_in_is_named(settings: Settings) -> None:
    with pytest.raises(RushesError, match=r"async with rushes\.App"):
        rushes.generate("A cat", settings=settings)


# -- what the package exports ----------------------------------------------------------------------


def test_everything_that_is_promised_can_be_had() -> None:
    for name in rushes.__all__:
        assert getattr(rushes, name) is not None


def test_what_is_promised_is_what_is_loaded_lazily() -> None:
    lazily = {name for names in rushes._HOMES.values() for name in names}  # pyright: ignore[reportPrivateUsage]

    assert {*lazily, "__version__"} == set(rushes.__all__)
    assert rushes.__all__ == sorted(rushes.__all__)


def test_a_name_that_is_not_ours_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        rushes.nonsense  # noqa: B018
