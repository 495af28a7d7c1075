"""OpenRouter's feed of models, and what is made of it: rows, prices that are understood or left out, changes."""

import io
import json
import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.providers.catalog import Feature, Model, Order, parse_table, read_extra, read_table
from rushes.providers.openrouter import __main__ as command
from rushes.providers.openrouter.feed import changes, read_feed, row_of, rows_of, to_toml
from rushes.testing.fakes.openrouter import FEED
from rushes.video import Size

MODELS = {model.id.model: model for model in read_table("openrouter")}
WAN, SEEDANCE = "alibaba/wan-3.0", "bytedance/seedance-2.5"
TODAY = date(2026, 11, 20)


def entry(**told: Any) -> dict[str, Any]:
    """A model of the feed with a price of its own."""
    usual = {"id": "lab/one", "name": "Lab: One", "supported_durations": [4, 8], "supported_resolutions": ["720p"]}
    rest = {"supported_aspect_ratios": ["16:9"], "supported_frame_images": ["first_frame"], "generate_audio": None}
    return {**usual, **rest, "pricing_skus": {"duration_seconds": "0.1"}, **told}


def model_of(**told: Any) -> Model:
    [model] = parse_table("openrouter", {"models": rows_of(read_feed({"data": [entry(**told)]}), TODAY)}, "feed")
    return model


def test_the_table_is_what_the_feed_says() -> None:
    newer = parse_table("openrouter", {"models": rows_of(read_feed({"data": FEED}), TODAY)}, "feed")

    assert changes(MODELS.values(), newer) == []


def test_rows_of_the_feed_are_a_file_for_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(to_toml(rows_of(read_feed({"data": FEED}), TODAY)), encoding="utf-8")

    read = {model.id: model for model in read_extra(path)}

    assert set(read) == {model.id for model in MODELS.values()}
    for model in MODELS.values():
        assert read[model.id].prices == model.prices


@pytest.mark.parametrize(
    ("skus", "order", "usd"),
    [
        ({"duration_seconds": "0.1"}, {}, "0.8"),
        ({"duration_seconds": "0.3", "duration_seconds_720p": "0.1"}, {}, "0.8"),
        ({"cents_per_second_output": "12"}, {}, "0.96"),
        ({"cents_per_video_output_second_720p": "14", "cents_per_image_input": "1"}, {"pictures": 2}, "1.14"),
        ({"cents_per_second_output": "28", "minimum_cents_per_generation": "500"}, {}, "5"),
        ({"text_to_video_duration_seconds_720p": "0.08", "image_to_video_duration_seconds_720p": "0.10"}, {}, "0.64"),
        (
            {"text_to_video_duration_seconds_720p": "0.08", "image_to_video_duration_seconds_720p": "0.10"},
            {"has": frozenset({Feature.FIRST_FRAME}), "pictures": 1},
            "0.80",
        ),
        ({"video_tokens": "0.00001"}, {}, "1.728"),
    ],
)
def test_a_price_is_read_whatever_it_is_called(skus: dict[str, str], order: dict[str, Any], usd: str) -> None:
    price = model_of(pricing_skus=skus).price(Order(size=Size(1280, 720), seconds=8, **order))

    assert price == Decimal(usd)


def test_sound_may_have_a_price_of_its_own() -> None:
    model = model_of(
        generate_audio=True, pricing_skus={"duration_seconds": "0.112", "duration_seconds_with_audio": "0.168"}
    )

    prices = [model.price(Order(size=Size(1280, 720), seconds=10, audio=audio)) for audio in (True, False)]

    assert prices == [Decimal("1.68"), Decimal("1.12")]


def test_a_tier_may_have_a_price_of_its_own_beside_the_usual_one() -> None:
    skus = {
        "duration_seconds_with_audio": "0.40",
        "duration_seconds_with_audio_4k": "0.60",
        "duration_seconds_without_audio": "0.20",
        "duration_seconds_without_audio_4k": "0.40",
    }
    sizes = ["1280x720", "3840x2160"]
    model = model_of(
        generate_audio=True, pricing_skus=skus, supported_sizes=sizes, supported_resolutions=["720p", "4K"]
    )

    orders = [Order(size=Size.parse(size), seconds=1, audio=audio) for size in sizes for audio in (True, False)]

    assert [model.price(order) for order in orders] == [Decimal(usd) for usd in ("0.4", "0.2", "0.6", "0.4")]


@pytest.mark.parametrize(
    "skus",
    [
        {},
        {"duration_seconds": "0.1", "per_moon_phase": "3"},
        {"duration_seconds": "a lot"},
        {"duration_seconds_1080p": "0.1"},
    ],
)
def test_a_price_that_is_not_understood_is_unknown_and_not_guessed(skus: dict[str, str]) -> None:
    assert model_of(pricing_skus=skus).prices == ()


@pytest.mark.parametrize(
    "told", [{"supported_durations": None}, {"supported_resolutions": None}, {"supported_aspect_ratios": None}]
)
def test_a_model_without_lengths_or_sizes_of_its_own_is_left_out(told: dict[str, Any]) -> None:
    [model] = read_feed({"data": [entry(**told)]})

    assert row_of(model, TODAY) is None


@pytest.mark.parametrize(
    ("audio", "sound", "switch"), [(True, "optional", True), (False, "never", False), (None, "always", False)]
)
def test_sound_is_as_the_feed_tells_it(audio: bool | None, sound: str, switch: bool) -> None:
    model = model_of(generate_audio=audio)

    assert (model.sound, Feature.AUDIO_SWITCH in model.features) == (sound, switch)


def test_one_bad_entry_does_not_spoil_the_feed() -> None:
    assert [model.id for model in read_feed({"data": [{"id": 7.5}, "x", entry()]})] == ["lab/one"]


@pytest.mark.parametrize("data", [{}, [], {"data": []}, {"error": {"code": 500}}, None])
def test_what_is_no_feed_is_said_to_be_none(data: Any) -> None:
    with pytest.raises(ValueError, match="no list of models"):
        read_feed(data)


def test_what_has_changed_is_told_by_line() -> None:
    known = [model_of(), replace(model_of(), id=MODELS[WAN].id)]
    newer = [model_of(pricing_skus={"duration_seconds": "0.2"}, supported_durations=[4]), MODELS[SEEDANCE]]

    assert changes(known, newer) == [
        f"new: {MODELS[SEEDANCE].id}",
        "changed: openrouter:video:lab/one: seconds, price",
        f"not in the feed: {MODELS[WAN].id}",
    ]


def test_the_command_turns_the_feed_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([SEEDANCE], io.StringIO(json.dumps({"data": FEED}))) == 0

    told = capsys.readouterr()
    assert [each["name"] for each in tomllib.loads(told.out)["providers"]["openrouter"]["models"]] == [SEEDANCE]
    assert f"not in the feed: {MODELS[WAN].id}" in told.err


def test_the_command_says_what_is_no_feed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([], io.StringIO("<html>")) == 1
    assert "not the feed" in capsys.readouterr().err
