"""From a request to what will be bought: what is filled in, fitted, refused, and in which words."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from rushes.errors import Unsupported
from rushes.providers.catalog import Feature, Model, Price, open_model
from rushes.providers.prepare import Fit, Misfit, nearest_size, prepare, seconds_in_words
from rushes.video import MediaRef, ModelId, Reference, Size, SourceKind, SourceVideo, VideoRequest

TODAY = date(2026, 11, 20)
ID = ModelId("acme", "boat-1")
WIDE, TALL, LARGE, TINY = Size(1280, 720), Size(720, 1280), Size(1792, 1024), Size(480, 480)
MODEL = Model(
    id=ID,
    title="Boat 1",
    sizes=(WIDE, TALL, LARGE),
    seconds=(4, 8, 12),
    default_size=WIDE,
    default_seconds=8,
    features=frozenset({Feature.FIRST_FRAME}),
    prices=(
        Price(usd_per_second=Decimal("0.50"), sizes=(LARGE,)),
        Price(usd_per_second=Decimal("0.10"), sizes=(WIDE, TALL)),
    ),
    prompt_max=50,
    first_frame_exact=True,
)


def source(kind: SourceKind, **changes: Any) -> SourceVideo:
    return replace(SourceVideo(kind=kind, video_id="video_1", size=Size(1280, 720), seconds=4), **changes)


def request(prompt: str = "A boat", **changes: Any) -> VideoRequest:
    return VideoRequest(prompt=prompt, model=ID, **changes)


def frame(width: int, height: int) -> MediaRef:
    return MediaRef(sha256="0" * 64, mime="image/png", size_bytes=1, width=width, height=height)


def test_what_was_left_open_is_filled_from_the_table() -> None:
    ready = prepare(request(), MODEL, today=TODAY)

    assert (ready.request.size, ready.request.seconds) == (WIDE, 8)
    assert ready.estimate_usd == Decimal("0.80")
    assert (ready.adjustments, ready.fit) == ((), Fit())


@pytest.mark.parametrize("misfit", Misfit)
@pytest.mark.parametrize(("size", "seconds", "usd"), [(TALL, 4, "0.40"), (LARGE, 12, "6.00"), (WIDE, 8, "0.80")])
def test_what_the_model_makes_is_taken_as_asked(misfit: Misfit, size: Size, seconds: int, usd: str) -> None:
    ready = prepare(request(size=size, seconds=seconds), MODEL, misfit=misfit, today=TODAY)

    assert (ready.request.size, ready.request.seconds) == (size, seconds)
    assert (ready.estimate_usd, ready.adjustments, ready.fit) == (Decimal(usd), (), Fit())


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ({"size": Size(640, 360)}, ["640x360", "1280x720", "720x1280", "1792x1024"]),
        ({"seconds": 5}, ["5", "4, 8 or 12"]),
        ({"seconds": 60}, ["60", "4, 8 or 12"]),
        ({"first_frame": frame(512, 512)}, ["512x512", "1280x720", "--nearest"]),
        ({"last_frame": frame(1280, 720)}, ["last_frame", "first_frame"]),
        ({"references": (Reference(media=frame(1, 1)),)}, ["references", "first_frame"]),
        ({"seed": 1}, ["seed", "first_frame"]),
        ({"negative_prompt": "fog"}, ["negative_prompt", "first_frame"]),
        ({"audio": False}, ["audio off", "first_frame"]),
        (
            {"source": source(SourceKind.REMIX)},
            ["remix", "first_frame"],
        ),
        (
            {"source": source(SourceKind.EXTEND)},
            ["extend", "first_frame"],
        ),
        ({"prompt": " \n"}, ["empty"]),
        ({"prompt": "x" * 51}, ["51", "50"]),
    ],
)
def test_strictly_a_misfit_is_refused_naming_what_is_allowed(asked: dict[str, Any], allowed: list[str]) -> None:
    with pytest.raises(Unsupported) as refused:
        prepare(request(**asked), MODEL, today=TODAY)

    assert all(words in str(refused.value) for words in allowed), str(refused.value)


@pytest.mark.parametrize(
    ("asked", "bought", "usd"),
    [
        (Size(1920, 1080), WIDE, "0.80"),  # the shape weighs more than the area: 16:9 stays 16:9
        (Size(1750, 1000), LARGE, "4.00"),
        (Size(640, 360), WIDE, "0.80"),
        (Size(1080, 1920), TALL, "0.80"),
        (Size(1080, 1350), TALL, "0.80"),
    ],
)
def test_nearest_buys_a_size_of_the_same_orientation_and_crops(asked: Size, bought: Size, usd: str) -> None:
    ready = prepare(request(size=asked), MODEL, misfit=Misfit.NEAREST, today=TODAY)

    assert ready.request.size == bought
    assert ready.fit.size == asked
    assert ready.estimate_usd == Decimal(usd)
    (note,) = ready.adjustments
    assert (note.field, note.asked, note.given) == ("size", str(asked), str(bought))


@pytest.mark.parametrize(("asked", "bought"), [(1, 4), (5, 8), (9, 12)])
def test_nearest_buys_the_next_longer_and_trims(asked: int, bought: int) -> None:
    ready = prepare(request(seconds=asked), MODEL, misfit=Misfit.NEAREST, today=TODAY)

    assert (ready.request.seconds, ready.fit.seconds) == (bought, asked)
    assert ready.fit.of_video


@pytest.mark.parametrize("asked", [13, 0, -4])
def test_nearest_never_pads_and_never_takes_nonsense(asked: int) -> None:
    with pytest.raises(Unsupported, match="4, 8 or 12"):
        prepare(request(seconds=asked), MODEL, misfit=Misfit.NEAREST, today=TODAY)


def test_values_that_the_face_chose_are_fitted_and_not_cropped_back() -> None:
    asked = request(size=Size(1920, 1080), seconds=10)

    ready = prepare(asked, MODEL, ours=("size", "seconds"), today=TODAY)

    assert (ready.request.size, ready.request.seconds) == (WIDE, 12)
    assert not ready.fit.of_video
    assert [note.field for note in ready.adjustments] == ["size", "seconds"]


def test_a_length_that_the_face_chose_and_that_is_too_long_becomes_the_longest() -> None:
    assert prepare(request(seconds=30), MODEL, ours=("seconds",), today=TODAY).request.seconds == 12


@pytest.mark.parametrize(
    ("picture", "misfit", "scaled_to"),
    [
        (frame(1280, 720), Misfit.STRICT, None),
        (frame(1920, 1080), Misfit.STRICT, WIDE),  # the same shape: scaling shows nobody anything else
        (frame(1366, 768), Misfit.STRICT, WIDE),
        (frame(1000, 1000), Misfit.NEAREST, WIDE),
    ],
)
def test_a_first_frame_is_brought_to_the_size_of_the_video(
    picture: MediaRef, misfit: Misfit, scaled_to: Size | None
) -> None:
    ready = prepare(request(first_frame=picture), MODEL, misfit=misfit, today=TODAY)

    assert ready.fit.first_frame == scaled_to
    assert len(ready.adjustments) == (scaled_to is not None)


def test_a_first_frame_is_left_alone_where_any_size_will_do() -> None:
    easy = replace(MODEL, first_frame_exact=False)

    assert prepare(request(first_frame=frame(10, 999)), easy, today=TODAY).fit.first_frame is None


def test_sound_may_be_asked_for_where_there_always_is_some() -> None:
    assert prepare(request(audio=True), MODEL, today=TODAY).request.audio is True


def test_an_unknown_price_is_unknown_and_not_nothing() -> None:
    unpriced = replace(MODEL, prices=(Price(usd_per_second=Decimal("0.5"), sizes=(LARGE,)),))

    assert prepare(request(), unpriced, today=TODAY).estimate_usd is None


@pytest.mark.parametrize(
    ("retired", "refused"), [(date(2026, 11, 20), True), (date(2026, 11, 21), False), (None, False)]
)
def test_a_retired_model_is_refused_from_its_day_on(retired: date | None, refused: bool) -> None:
    old = replace(MODEL, retired=retired, successor="acme:video:boat-2")
    if refused:
        with pytest.raises(Unsupported, match="acme:video:boat-2"):
            prepare(request(), old, today=TODAY)
    else:
        prepare(request(), old, today=TODAY)


def test_a_server_of_ones_own_is_asked_for_anything() -> None:
    own = open_model(ModelId("mybox", "wan"), Decimal(0))

    ready = prepare(request(size=Size(832, 480), seconds=3, seed=1, negative_prompt="fog"), own, today=TODAY)

    assert (ready.request.model, ready.request.size, ready.request.seconds) == (own.id, Size(832, 480), 3)
    assert ready.estimate_usd == 0


@pytest.mark.parametrize("size", [Size(833, 480), Size(9000, 480), Size(2, 2)])
def test_even_there_a_size_must_be_one_that_a_video_can_have(size: Size) -> None:
    with pytest.raises(Unsupported, match="even"):
        prepare(request(size=size), open_model(ModelId("mybox", "wan"), None), today=TODAY)


@pytest.mark.parametrize(
    ("sizes", "asked", "found"),
    [
        ((WIDE, TALL, TINY), Size(1000, 1000), TINY),
        ((WIDE, TALL), Size(1000, 1010), TALL),
        ((WIDE, LARGE), Size(1024, 585), LARGE),
        ((WIDE,), Size(720, 1280), WIDE),
        ((), Size(8000, 4000), Size(4096, 2048)),
        ((), Size(333, 777), Size(332, 776)),
    ],
)
def test_which_size_is_nearest(sizes: tuple[Size, ...], asked: Size, found: Size) -> None:
    assert nearest_size(replace(MODEL, sizes=sizes), asked) == found


@pytest.mark.parametrize(
    ("seconds", "words"), [((8,), "8"), ((4, 8), "4 or 8"), ((4, 8, 12), "4, 8 or 12"), ((1, 2, 3), "1 to 3")]
)
def test_lengths_in_words(seconds: tuple[int, ...], words: str) -> None:
    assert seconds_in_words(seconds) == words
