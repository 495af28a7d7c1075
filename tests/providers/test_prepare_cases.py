"""What a table can say beyond sizes and lengths: cases, company, sound, prices that hang on more than a size; and what
is done here for models that cannot start from a video."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from rushes.errors import ConfigError, Unsupported
from rushes.providers.catalog import Feature, Limit, Model, Order, Pictures, Price, parse_table
from rushes.providers.given import check_pictures
from rushes.providers.prepare import Misfit, Prepared, order_of, prepare, prepare_chained, prepare_retold
from rushes.video import MediaRef, ModelId, Reference, Size, SourceKind, SourceVideo, VideoRequest

TODAY = date(2026, 11, 20)
ID = ModelId("acme", "film-1")
SMALL, WIDE, TALL, LARGE = Size(854, 480), Size(1280, 720), Size(720, 1280), Size(1920, 1080)
MODEL = Model(
    id=ID,
    title="Film 1",
    sizes=(SMALL, WIDE, TALL, LARGE),
    seconds=(4, 8, 12, 16),
    default_size=WIDE,
    default_seconds=8,
    features=frozenset(Feature) - {Feature.CHARACTERS},
    frames_or_references=True,
    last_frame_needs_first=True,
    max_reference_clips=1,
    sound="optional",
    sound_default=True,
    limits=(
        Limit(has=frozenset({Feature.REFERENCES}), sizes=(SMALL, WIDE), seconds=(4, 8)),
        Limit(has=frozenset({Feature.EDIT}), seconds=(4, 8)),
        Limit(at_sizes=(LARGE,), seconds=(4, 8)),
    ),
    prices=(Price(usd_per_second=Decimal("0.10")),),
)
PLAIN = replace(MODEL, features=frozenset({Feature.FIRST_FRAME}), limits=(), frames_or_references=False)


def picture(width: int = 1280, height: int = 720, **changes: Any) -> MediaRef:
    return replace(MediaRef(sha256="0" * 64, mime="image/png", size_bytes=1000, width=width, height=height), **changes)


CLIP = picture(mime="video/mp4", seconds=3.2)
EARLIER = SourceVideo(kind=SourceKind.EXTEND, video_id="video_1", size=WIDE, seconds=8, media=CLIP)


def made(model: Model = MODEL, misfit: Misfit = Misfit.STRICT, **wish: Any) -> Prepared:
    return prepare(VideoRequest(prompt="A boat", model=ID, **wish), model, misfit=misfit, today=TODAY)


# -- cases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"references": (Reference(media=picture()),), "seconds": 12}, "makes 4 or 8 seconds, not 12"),
        ({"references": (Reference(media=picture()),), "size": LARGE}, "does not make 1920x1080"),
        ({"size": LARGE, "seconds": 16}, "makes 4 or 8 seconds, not 16"),
        ({"first_frame": picture(), "references": (Reference(media=picture()),)}, "not both"),
        ({"last_frame": picture()}, "only together with a first_frame"),
        ({"references": (Reference(media=CLIP),) * 2}, "at most 1 clips"),
    ],
)
def test_a_case_of_its_own_is_refused_with_what_is_allowed(wish: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        made(**wish)


def test_what_holds_in_one_case_holds_in_no_other() -> None:
    assert made(seconds=16, size=WIDE).request.seconds == 16
    assert made(seconds=16, first_frame=picture()).request.seconds == 16


def test_a_case_is_fitted_like_anything_else_where_the_nearest_will_do() -> None:
    ready = made(misfit=Misfit.NEAREST, references=(Reference(media=picture()),), size=LARGE, seconds=6)

    assert (ready.request.size, ready.request.seconds) == (WIDE, 8)
    assert (ready.fit.size, ready.fit.seconds) == (LARGE, 6)


def test_a_source_that_is_too_long_to_be_edited_is_refused() -> None:
    source = replace(EARLIER, kind=SourceKind.EDIT, seconds=12)

    with pytest.raises(Unsupported, match="sources of 4 or 8 seconds; video_1 has 12"):
        made(source=source)


# -- sound -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "sent"), [(None, True), (True, True), (False, False)])
def test_sound_is_always_said_where_it_can_be_chosen(asked: bool | None, sent: bool) -> None:
    assert made(audio=asked).request.audio is sent


def test_sound_is_left_to_the_provider_where_the_table_says_nothing() -> None:
    assert made(replace(MODEL, sound_default=None)).request.audio is None


# -- prices ----------------------------------------------------------------------------------------------------------


def order(seconds: int = 8, **changes: Any) -> Order:
    return replace(Order(size=WIDE, seconds=seconds), **changes)


def usd(text: str) -> Decimal:
    return Decimal(text)


@pytest.mark.parametrize(
    ("line", "asked", "price"),
    [
        (Price(usd_per_second=usd("0.10")), order(), "0.80"),
        (Price(usd_per_video=usd("0.28"), seconds=(6,)), order(6), "0.28"),
        (Price(usd_per_video=usd("0.28"), seconds=(6,)), order(10), None),
        (Price(usd_per_second=usd("0.10"), audio=False), order(audio=False), "0.80"),
        (Price(usd_per_second=usd("0.10"), audio=False), order(audio=True), None),
        (Price(usd_per_second=usd("0.10"), clips=True), order(), None),
        (Price(usd_per_second=usd("0.10"), clips=True), order(clip_s=3), "0.80"),
        (Price(usd_per_second=usd("0.10"), usd_per_clip_second=usd("0.05")), order(clip_s=3), "0.95"),
        (Price(usd_per_second=usd("0.10"), usd_per_picture=usd("0.04"), pictures_free=5), order(pictures=5), "0.80"),
        (Price(usd_per_second=usd("0.10"), usd_per_picture=usd("0.04"), pictures_free=5), order(pictures=7), "0.88"),
        (Price(usd_per_second=usd("0.28"), least_usd=usd("0.56")), order(1), "0.56"),
        (Price(usd_per_second=usd("0.10"), has=frozenset({Feature.EDIT})), order(), None),
        (Price(usd_per_second=usd("0.1"), has=frozenset({Feature.EDIT})), order(has=frozenset(Feature)), "0.80"),
    ],
)
def test_a_line_of_a_price_list_holds_under_its_conditions(line: Price, asked: Order, price: str | None) -> None:
    assert replace(MODEL, prices=(line,)).price(asked) == (None if price is None else usd(price))


def test_the_first_line_that_holds_is_the_price() -> None:
    model = replace(MODEL, prices=(Price(usd_per_second=usd("1"), audio=True), Price(usd_per_second=usd("0.5"))))

    assert (made(model).estimate_usd, made(model, audio=False).estimate_usd) == (usd("8"), usd("4.0"))


def test_what_goes_along_is_counted() -> None:
    request = made(references=(Reference(media=picture()), Reference(media=CLIP)), seconds=4).request

    counted = order_of(request, MODEL)

    assert (counted.pictures, counted.clip_s, counted.has) == (1, 4, frozenset({Feature.REFERENCES}))


def test_the_seconds_of_a_source_count_as_a_clip() -> None:
    assert order_of(made(source=replace(EARLIER, seconds=8), seconds=4).request, MODEL).clip_s == 8


def test_a_table_is_read_with_all_that_it_can_say() -> None:
    row = {
        "name": "film-1",
        "title": "Film 1",
        "sizes": ["1280x720", "1920x1080"],
        "seconds": {"min": 4, "max": 12, "step": 4},
        "default_size": "1280x720",
        "default_seconds": 8,
        "features": ["first_frame"],
        "pictures": {"kinds": ["png"], "max_mb": 5, "min_side": 300, "max_aspect": 2.5},
        "limits": [{"at_sizes": ["1920x1080"], "seconds": [8]}],
        "prices": [{"usd_per_video": "0.28", "seconds": [8], "audio": False, "least_usd": "0.1"}],
        "wire": {"path": "/film"},
    }

    [model] = parse_table("acme", {"models": [row]}, "acme.toml")

    assert model.seconds == (4, 8, 12)
    assert model.limits == (Limit(at_sizes=(LARGE,), seconds=(8,)),)
    assert model.pictures == Pictures(kinds=("png",), max_mb=5, min_side=300, max_aspect=2.5)
    assert model.prices[0].seconds == (8,)
    assert model.wire == {"path": "/film"}
    with pytest.raises(ConfigError, match="acme"):
        parse_table("acme", {"models": [{**row, "prices": [{"usd_per_sceond": "1"}]}]}, "acme.toml")


# -- pictures --------------------------------------------------------------------------------------------------------

RULES = Pictures(kinds=("png", "jpeg"), max_mb=1, min_side=300, max_side=2000, max_aspect=2.5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (picture(mime="image/webp"), "is image/webp; it takes png, jpeg. Convert"),
        (picture(size_bytes=1_000_001), r"has 1\.0 MB; it takes 1 MB. Shrink"),
        (picture(400, 299), "300 pixels or more"),
        (picture(2001, 1500), "more than 2000 pixels"),
        (picture(1000, 399), r"shapes from 1:2\.5 to 2\.5:1"),
    ],
)
@pytest.mark.parametrize("place", ["first_frame", "last_frame", "references"])
def test_a_picture_that_an_api_would_refuse_is_refused_here(given: MediaRef, words: str, place: str) -> None:
    wish: dict[str, Any] = {place: (Reference(media=given),) if place == "references" else given}

    with pytest.raises(Unsupported, match=words) as refused:
        check_pictures(VideoRequest(prompt="A boat", model=ID, **wish), RULES)

    assert refused.value.field == place


def test_a_picture_within_the_rules_is_let_through() -> None:
    check_pictures(VideoRequest(prompt="A boat", model=ID, first_frame=picture(1000, 400)), RULES)
    check_pictures(VideoRequest(prompt="A boat", model=ID, references=(Reference(media=CLIP),)), RULES)


# -- what is done here for models that cannot start from a video -----------------------------------------------------


def chained(
    model: Model = PLAIN, misfit: Misfit = Misfit.STRICT, source: SourceVideo = EARLIER, **wish: Any
) -> Prepared:
    request = VideoRequest(prompt="It goes on", model=ID, first_frame=picture(), **wish)
    return prepare_chained(request, source, model, misfit=misfit, today=TODAY)


def test_an_extension_goes_on_from_the_last_frame_and_pays_for_what_is_new() -> None:
    ready = chained(seconds=4)

    assert ready.request.source is None, "the provider is not told"
    assert ready.source == EARLIER, "but it is known where the video comes from"
    assert (ready.request.size, ready.request.seconds, ready.estimate_usd) == (WIDE, 4, usd("0.40"))
    assert ready.fit.joined == CLIP
    assert [note.field for note in ready.adjustments] == ["extend"]


def test_an_extension_in_another_size_is_refused_or_made_in_that_of_the_source() -> None:
    with pytest.raises(Unsupported, match="keeps the size"):
        chained(size=LARGE)

    odd = replace(EARLIER, size=Size(1366, 768))
    assert (chained(source=odd).request.size, chained(source=odd).fit.size) == (WIDE, Size(1366, 768))


def test_a_chained_extension_of_a_wrong_length_is_refused_or_trimmed() -> None:
    with pytest.raises(Unsupported, match="4, 8, 12 or 16 seconds, not 6"):
        chained(seconds=6)

    assert chained(seconds=6, misfit=Misfit.NEAREST).fit.seconds == 6


def test_a_chained_extension_takes_nothing_beside_its_source() -> None:
    with pytest.raises(Unsupported, match="no pictures"):
        chained(references=(Reference(media=picture()),))


def test_a_remix_is_told_anew_and_called_so() -> None:
    source = replace(EARLIER, kind=SourceKind.REMIX, media=None)
    request = VideoRequest(prompt="At night", model=ID)

    ready = prepare_retold(request, source, "A boat. ", PLAIN, today=TODAY)

    assert ready.request.prompt == "A boat.\n\nAt night"
    assert (ready.request.size, ready.request.seconds, ready.request.source) == (WIDE, 8, None)
    assert (ready.source, ready.fit.joined) == (source, None)
    assert [note.field for note in ready.adjustments] == ["remix"]


# -- what is cut, and what is not ------------------------------------------------------------------------------------


def test_padding_is_asked_for_once_and_holds_for_pictures_and_video() -> None:
    exact = replace(MODEL, first_frame_exact=True)

    ready = made(exact, misfit=Misfit.PAD, size=Size(1000, 1000), first_frame=picture(500, 500))

    assert ready.fit.pad is True
    assert (ready.fit.size, ready.fit.first_frame) == (Size(1000, 1000), ready.request.size)
    assert all("padded with black" in note.why for note in ready.adjustments)


def test_where_nothing_has_to_be_fitted_nothing_is_said_of_padding() -> None:
    assert made(misfit=Misfit.PAD, size=WIDE).fit.pad is None


# -- models that only change videos ----------------------------------------------------------------------------------


def test_a_model_that_only_changes_videos_wants_one() -> None:
    editor = replace(MODEL, needs_source=True)

    with pytest.raises(Unsupported, match=r"only changes videos\. Name one with --edit"):
        made(editor)

    assert made(editor, source=replace(EARLIER, kind=SourceKind.EDIT)).request.seconds == 8
