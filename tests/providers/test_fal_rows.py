"""The rows of fal's table, and of one's own, against the schemas that its endpoints publish."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import (
    ConfigError,
)
from rushes.providers.catalog import Feature, Model, read_extra
from rushes.providers.fal import schema
from rushes.providers.fal.wire import Row, endpoint_of, to_wire
from rushes.testing.bench import Inputs
from rushes.testing.clips import picture
from rushes.testing.fakes.fal import ENDPOINTS, FakeFal
from rushes.video import Size
from tests.providers.fal_bench import KLING, MODELS, asked, at

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake() -> Iterator[FakeFal]:
    with FakeFal(job_s=0.0) as fake:
        yield fake


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.id.model)
async def test_every_listed_model_calls_things_as_its_schema_does(model: Model, fake: FakeFal, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        found = await provider.schema_complaints(model, f"{fake.url}/api/openapi/queue/openapi.json")

    assert found
    assert {endpoint: told for endpoint, told in found.items() if told} == {}
    assert found.keys() <= ENDPOINTS.keys()
    assert "authorization" not in fake.requests[0].headers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fields": {"first_frame": "image_url"}}, "it has no field 'image_url'"),
        ({"fields": {"first_frame": "image_url"}}, "it needs the field 'start_image_url'"),
        ({"seconds_as": "number"}, "its field 'duration' does not take 3"),
        ({"resolutions": {"720P": 720, "1080p": 1080}}, "its field 'resolution' does not take '720P'"),
        ({"without": {}}, "it has no field 'aspect_ratio'"),
        ({"always": {"seed": "one"}}, "it has no field 'seed'"),
    ],
)
def test_a_row_that_calls_something_wrongly_is_found_out(change: dict[str, Any], words: str) -> None:
    wrong = Row.model_validate({**KLING.wire, **change})
    document = ENDPOINTS["kling/v4/image-to-video"].document()

    told = [
        complaint
        for endpoint, body in schema.samples(KLING, wrong)
        if endpoint == "kling/v4/image-to-video"
        for complaint in schema.complaints(document, body)
    ]

    assert words in told


@pytest.mark.parametrize(
    ("said", "value", "fits"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 15}, 15, True),
        ({"type": "integer", "minimum": 1, "maximum": 15}, 16, False),
        ({"type": "integer"}, True, False),
        ({"type": "integer"}, "8", False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "fog", True),
        ({"anyOf": [{"$ref": "#/components/schemas/Word"}]}, "720p", True),
        ({"$ref": "#/components/schemas/Word"}, "768P", False),
        ({"enum": [1]}, True, False),
        ({}, ["anything"], True),
    ],
)
def test_a_value_is_held_against_all_that_a_schema_says_of_it(said: dict[str, Any], value: Any, fits: bool) -> None:
    schemas = {"Input": {"properties": {"x": said}}, "Word": {"type": "string", "enum": ["720p"]}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}}}
    document = {"components": {"schemas": schemas}, "paths": {"/x": {"post": {"requestBody": {"content": content}}}}}

    assert (schema.complaints(document, {"x": value}) == []) is fits


def test_a_document_without_a_body_is_no_praise() -> None:
    assert schema.complaints({"detail": "Not found"}, {"prompt": "x"}) == ["its document names no fields"]


MORE = """
[[providers.fal.models]]
name = "fal-ai/veo3.1"
title = "Veo 3.1"
sizes = ["1280x720", "720x1280"]
seconds = [4, 6, 8]
default_size = "1280x720"
default_seconds = 8
features = ["first_frame", "last_frame", "audio_switch"]
wire.modes = { text = "" , image = "first-last-frame-to-video" }
wire.fields = { first_frame = "first_frame_url", last_frame = "last_frame_url" }
wire.seconds_as = "8s"
wire.resolutions = { 720p = 720 }
wire.always = { auto_fix = false }
"""


def added(folder: Path, text: str = MORE) -> Model:
    (folder / "more.toml").write_text(text, encoding="utf-8")
    [model] = read_extra(folder / "more.toml")
    return model


async def test_a_row_of_ones_own_adds_a_model(fake: FakeFal, tmp_path: Path) -> None:
    model = added(tmp_path)
    frame = Inputs(tmp_path).add(picture(1280, 720), "image/png", 1280, 720)
    wish = asked(model, first_frame=frame, last_frame=frame, audio=False, seconds=8)
    row = Row.model_validate(dict(model.wire))

    assert endpoint_of(wish.request, row) == "fal-ai/veo3.1/first-last-frame-to-video"
    assert to_wire(wish.request, row, {frame.sha256: "https://x.example/a.png"}, None, {}) == {
        "prompt": "A paper boat",
        "first_frame_url": "https://x.example/a.png",
        "last_frame_url": "https://x.example/a.png",
        "duration": "8s",
        "resolution": "720p",
        "aspect_ratio": "16:9",
        "generate_audio": False,
        "auto_fix": False,
    }
    async with at(fake, tmp_path, models=(model,)) as provider:
        with pytest.raises(ConfigError, match=r"names no endpoint for this: set wire\.modes\.text"):
            provider.check(asked(model))


async def test_a_slip_in_a_row_of_ones_own_is_named(fake: FakeFal, tmp_path: Path) -> None:
    model = added(tmp_path, MORE.replace("last_frame = ", "lst_frame = "))
    async with at(fake, tmp_path, models=(model,)) as provider:
        with pytest.raises(ConfigError, match=r"fal-ai/veo3\.1 is wrong: wire\.fields\.lst_frame"):
            provider.check(asked(model))


def test_no_row_leaves_a_length_a_resolution_or_sound_to_a_default() -> None:
    for model in MODELS.values():
        row = Row.model_validate(dict(model.wire))
        for endpoint, body in schema.samples(model, row):
            if not endpoint.endswith("edit"):
                assert row.fields.seconds in body
            assert not row.resolutions or row.fields.resolution in body
            assert (row.fields.audio in body) is (Feature.AUDIO_SWITCH in model.features)


def test_the_first_model_is_not_the_dearest_and_can_be_priced() -> None:
    first, *others = MODELS.values()
    price = first.price_of(Size(1280, 720), 8)
    assert price is not None
    assert any((other.price_of(Size(1280, 720), 8) or 0) > price for other in others)
