"""Planning: which routes a wish may take, what it brings along, and what is told before anything is bought."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.errors import Gone, MediaError, NotFound, UnknownModel, Unsupported
from rushes.planning import Given, Plan, Wish
from rushes.providers.prepare import Misfit
from rushes.testing import clips
from rushes.video import Crop

pytestmark = pytest.mark.anyio

SORA = "openai:video:sora-2"
BOX = "box:video:wan-2.2"  # a server of one's own takes anything
ELSEWHERE = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}


def with_box(home: Settings, **variables: str) -> Settings:
    box = ProviderSettings.model_validate({"kind": "openai", "base_url": "http://127.0.0.1:9/v1"})
    return replace(home, environment=variables, providers={"box": box})


@pytest.fixture
async def app(home: Settings) -> AsyncIterator[App]:
    async with App(with_box(home, **ELSEWHERE), leave_worker=False) as app:
        yield app


def routes(plan: Plan) -> list[str]:
    return [str(prepared.request.model) for prepared in plan.takes[0]]


# -- routes ----------------------------------------------------------------------------------------


async def test_fallbacks_follow_in_the_order_given_and_each_once(app: App) -> None:
    plan = await app.plan(Wish(prompt="A cat", model=SORA, fallback=(BOX, SORA, "draft", BOX)))

    assert routes(plan) == [SORA, BOX, "draft"]


async def test_every_take_has_all_routes(app: App) -> None:
    plan = await app.plan(Wish(prompt="A cat", model=SORA, fallback=("draft",), n=3))

    assert [[str(route.request.model) for route in take] for take in plan.takes] == [[SORA, "draft"]] * 3


async def test_an_alias_may_name_several_models(home: Settings) -> None:
    async with App(replace(with_box(home, **ELSEWHERE), aliases={"best": (SORA, BOX)}), leave_worker=False) as app:
        plan = await app.plan(Wish(prompt="A cat", model="best"))

    assert (plan.choice.asked, routes(plan)) == ("best", [SORA, BOX])


async def test_with_no_model_named_the_environment_alone_gives_the_routes(home: Settings) -> None:
    variables = {**ELSEWHERE, "ZAI_API_KEY": "id.secret"}
    async with App(replace(home, environment=variables), leave_worker=False) as app:
        plan = await app.plan(Wish(prompt="A cat"))

    assert routes(plan)[0] == SORA
    assert routes(plan)[1].startswith("zai:video:")
    assert len(routes(plan)) == 2


async def test_draft_is_never_fallen_back_to_unasked(home: Settings) -> None:
    async with App(replace(home, environment=ELSEWHERE), leave_worker=False) as app:
        assert routes(await app.plan(Wish(prompt="A cat"))) == [SORA]


async def test_a_route_that_cannot_be_tried_is_left_out_and_told(home: Settings) -> None:
    async with App(with_box(home, OPENAI_API_KEY="sk-x"), leave_worker=False) as app:
        plan = await app.plan(Wish(prompt="A cat", model=SORA, fallback=(BOX,)))

    assert routes(plan) == [BOX]
    assert any(SORA in note and "left out" in note for note in plan.notes)


async def test_a_route_that_cannot_make_it_is_left_out_and_told(app: App) -> None:
    plan = await app.plan(Wish(prompt="A cat", model=SORA, seconds=5, fallback=("draft",)))

    assert routes(plan) == ["draft"]
    assert any("4, 8, 12, 16 or 20 seconds" in note for note in plan.notes)


async def test_if_no_route_is_left_the_first_ones_reason_is_given(home: Settings) -> None:
    async with App(replace(home, environment={"OPENAI_API_KEY": "sk-x"}), leave_worker=False) as app:
        with pytest.raises(Gone, match="24 September 2026"):
            await app.plan(Wish(prompt="A cat", model=SORA, fallback=("draft",), seconds=61))


async def test_exact_fits_come_first(app: App) -> None:
    wish = Wish(prompt="A cat", model=SORA, seconds=5, misfit=Misfit.NEAREST, fallback=("draft",))

    assert routes(await app.plan(wish)) == ["draft", SORA]


async def test_a_slip_in_a_fallback_is_told_and_not_left_out(app: App) -> None:
    with pytest.raises(UnknownModel, match="sora-2"):
        await app.plan(Wish(prompt="A cat", model="draft", fallback=("openai:video:sora-3",)))


# -- references ------------------------------------------------------------------------------------


async def test_references_are_taken_in_once_as_pictures_and_clips(app: App, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clips.clip(320, 180, 2.0))
    still = clips.picture(64, 64)

    media = await app.planner.taken_in(Wish(prompt="A cat", references=(still, Given(media=clip, frame_index=24))))

    assert [(each.media.mime, each.media.seconds, each.frame_index) for each in media.references] == [
        ("image/png", None, None),
        ("video/mp4", pytest.approx(2.0, abs=0.1), 24),
    ]


async def test_inpaint_items_in_azures_own_form_are_references(app: App, tmp_path: Path) -> None:
    still = tmp_path / "still.png"
    still.write_bytes(clips.picture(64, 64))
    bounds = {"left_fraction": 0.1, "top_fraction": 0, "right_fraction": 0.9, "bottom_fraction": 1}
    items = [{"frame_index": 3, "type": "image", "file_name": str(still), "crop_bounds": bounds}]

    media = await app.planner.taken_in(Wish(prompt="A cat", extra={"inpaint_items": items, "n_variants": 2}))

    [reference] = media.references
    assert (reference.frame_index, reference.crop) == (3, Crop(left=0.1, right=0.9))
    assert media.extra == {"n_variants": 2}


BAD_ITEMS: list[tuple[Any, str]] = [
    ("first.png", "list of objects"),
    (["first.png"], r"inpaint_items\[0\] is not an object"),
    ([{"frame_index": 0}], "file_name is missing"),
    ([{"file_name": "a.png", "frame_index": -1}], "whole number from 0 on"),
    ([{"file_name": "a.png", "frame_index": True}], "whole number from 0 on"),
    ([{"file_name": "a.png", "frame": 1}], "no field 'frame'"),
    ([{"file_name": "a.png", "crop_bounds": {"left": 0.1}}], "crop_bounds takes left_fraction"),
    ([{"file_name": "a.png", "crop_bounds": {"left_fraction": 1.5}}], "between 0 and 1"),
    ([{"file_name": "a.png", "crop_bounds": {"left_fraction": 0.9, "right_fraction": 0.1}}], "leave nothing"),
]


@pytest.mark.parametrize(("items", "words"), BAD_ITEMS)
async def test_a_bad_inpaint_item_is_named(items: Any, words: str, app: App) -> None:
    with pytest.raises(Unsupported, match=words):
        await app.plan(Wish(prompt="A cat", model="draft", extra={"inpaint_items": items}))


async def test_what_is_neither_a_picture_nor_a_clip_is_no_reference(app: App, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a picture")

    with pytest.raises(MediaError, match=r"notes\.txt"):
        await app.plan(Wish(prompt="A cat", model=BOX, references=(tmp_path / "notes.txt",)))


async def test_a_clip_is_no_first_frame(app: App, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(clips.clip(320, 180, 1.0))

    with pytest.raises(MediaError, match="video"):
        await app.plan(Wish(prompt="A cat", model=BOX, first_frame=tmp_path / "clip.mp4"))


# -- earlier videos --------------------------------------------------------------------------------


async def test_a_video_has_one_source(app: App) -> None:
    with pytest.raises(Unsupported, match="only one of"):
        await app.plan(Wish(prompt="A cat", model=SORA, remix="video_1", extend="video_2"))


async def test_an_unknown_source_is_told(app: App) -> None:
    with pytest.raises(NotFound, match="no job"):
        await app.plan(Wish(prompt="A cat", model=SORA, remix="video_" + "0" * 32))
