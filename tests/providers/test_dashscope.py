"""Alibaba beyond what all vendors are held to: regions and their prices, families, uploads, what is refused unsent."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import (
    AccessDenied,
    ConfigError,
    Rejected,
    Unsupported,
)
from rushes.providers.catalog import Feature
from rushes.providers.dashscope.wire import Row, to_wire
from rushes.testing.bench import Inputs, prepared
from rushes.testing.clips import clip, picture
from rushes.testing.fakes.dashscope import FakeDashScope
from rushes.video import ModelId, Reference, Size, SourceKind, SourceVideo, VideoRequest
from tests.providers.dashscope_bench import CATALOG, MODELS, WAN, asked, at, earlier, film, frame_in, row

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake() -> Iterator[FakeDashScope]:
    with FakeDashScope(job_s=0.0) as fake:
        yield fake


# -- regions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "base_url", "region"),
    [
        ({}, "https://dashscope-intl.aliyuncs.com/api/v1", "singapore"),
        ({"region": "beijing"}, "https://dashscope.aliyuncs.com/api/v1", "beijing"),
        ({"workspace": "llm-1"}, "https://llm-1.ap-southeast-1.maas.aliyuncs.com/api/v1", "singapore"),
        (
            {"workspace": "llm-1", "region": "virginia"},
            "https://llm-1.us-east-1.maas.aliyuncs.com/api/v1",
            "virginia",
        ),
        ({"base_url": "https://llm-1.cn-beijing.maas.aliyuncs.com/api/v1"}, None, "beijing"),
        ({"base_url": "https://relay.example/v1"}, None, None),
        ({"base_url": "https://relay.example/v1", "region": "beijing"}, None, "beijing"),
    ],
)
async def test_a_region_and_a_workspace_name_the_host(
    own: dict[str, Any], base_url: str | None, region: str | None, tmp_path: Path
) -> None:
    async with at(None, tmp_path, **own) as provider:
        assert provider.base_url == base_url or base_url is None
        assert provider.region == region


async def test_a_region_with_hosts_of_workspaces_alone_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Set workspace"):
        async with at(None, tmp_path, region="hongkong"):
            pass


@pytest.mark.parametrize(
    ("model", "region", "size", "usd"),
    [
        (WAN, "singapore", "1280x720", "1.00"),
        (WAN, "beijing", "832x480", "0.41"),
        (WAN, "beijing", "1280x720", "0.83"),
        (WAN, "beijing", "1440x1440", "1.65"),
        ("wan3.0-video-prime", "beijing", "1280x720", "1.27"),
        ("wan2.7", "beijing", "1280x720", None),
    ],
)
async def test_each_region_has_its_own_price_or_none_that_is_known(
    model: str, region: str, size: str, usd: str | None, tmp_path: Path
) -> None:
    async with at(None, tmp_path, region=region) as provider:
        price = provider.offered(MODELS[model]).price_of(Size.parse(size), 10)

    assert price == (None if usd is None else Decimal(usd))


async def test_beijing_bills_given_clips_at_its_own_price(tmp_path: Path) -> None:
    async with at(None, tmp_path, region="beijing") as provider:
        there = provider.offered(MODELS[WAN])

    wanted = prepared(VideoRequest(prompt="x", model=there.id, source=earlier(10)), there)
    assert wanted.estimate_usd == Decimal("0.083") * 20


# -- families --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "takes", "requires"),
    [
        ("wan2.7-t2v", {Feature.SEED, Feature.NEGATIVE_PROMPT}, ()),
        (
            "wan2.7-i2v-2026-04-25",
            {Feature.SEED, Feature.NEGATIVE_PROMPT, Feature.FIRST_FRAME, Feature.LAST_FRAME},
            (Feature.FIRST_FRAME,),
        ),
        ("happyhorse-1.1-r2v", {Feature.SEED, Feature.REFERENCES}, (Feature.REFERENCES,)),
    ],
)
async def test_the_vendors_own_names_are_understood(
    name: str, takes: set[Feature], requires: tuple[Feature, ...], tmp_path: Path
) -> None:
    async with at(None, tmp_path) as provider:
        model = provider.model_of(ModelId("dashscope", name), CATALOG)

    assert model is not None
    assert (model.features, model.requires) == (frozenset(takes), requires)
    request = VideoRequest(prompt="x", model=model.id, seconds=5, size=Size(1280, 720))
    assert to_wire(request, Row.model_validate(dict(model.wire)), {}, None)["model"] == name


@pytest.mark.parametrize("name", [WAN, "wan2.7", "wan2.7-x2v", "wan2.7-t2v-turbo"])
async def test_other_names_are_left_to_the_catalogue(name: str, tmp_path: Path) -> None:
    async with at(None, tmp_path) as provider:
        assert provider.model_of(ModelId("dashscope", name), CATALOG) is None


async def test_a_vendors_name_has_the_price_of_its_region_and_of_the_settings(tmp_path: Path) -> None:
    name = ModelId("dashscope", "wan2.7-t2v")
    prices: list[Decimal | None] = []
    sections: list[dict[str, Any]] = [{}, {"region": "beijing"}, {"usd_per_second": "0.01"}]
    for own in sections:
        async with at(None, tmp_path, **own) as provider:
            model = provider.model_of(name, CATALOG)
            assert model is not None
            prices.append(model.price_of(Size(1280, 720), 10))

    assert prices == [Decimal(1), None, Decimal("0.1")]


# -- to the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "resolution", "ratio"),
    [
        ("832x480", "480P", "16:9"),
        ("624x624", "480P", "1:1"),
        ("1280x720", "720P", "16:9"),
        ("720x1280", "720P", "9:16"),
        ("960x960", "720P", "1:1"),
        ("1088x832", "720P", "4:3"),
        ("1440x1440", "1080P", "1:1"),
        ("1248x1632", "1080P", "3:4"),
        ("1080x1920", "1080P", "9:16"),
    ],
)
def test_a_size_is_told_as_resolution_and_shape(size: str, resolution: str, ratio: str) -> None:
    parameters: Any = to_wire(asked(size=Size.parse(size)).request, row(), {}, None)["parameters"]

    assert (parameters["resolution"], parameters["ratio"]) == (resolution, ratio)


@pytest.mark.parametrize("model", MODELS)
def test_the_vendors_dear_defaults_never_apply(model: str) -> None:
    parameters: Any = to_wire(asked(model).request, row(model), {}, None)["parameters"]

    assert {"resolution", "ratio", "duration", "watermark"} <= parameters.keys()
    assert parameters["watermark"] is False
    assert parameters["duration"] > 0
    assert ("audio" in parameters) == model.startswith("wan3")


def test_a_source_comes_before_the_references_that_are_given_with_it() -> None:
    reference = Reference(media=replace(film(2), seconds=None))
    request = replace(asked(source=earlier(4)).request, references=(reference,))

    body: Any = to_wire(request, row(), {reference.media.sha256: "oss://p"}, "https://x/v.mp4")

    assert [(each["type"], each["url"]) for each in body["input"]["media"]] == [
        ("reference_video", "https://x/v.mp4"),
        ("reference_image", "oss://p"),
    ]


# -- refused unsent --------------------------------------------------------------------------------------------------


async def test_given_clips_count_to_the_seconds_that_one_call_may_have(tmp_path: Path) -> None:
    long = asked(seconds=20, references=(Reference(media=film(5.2)), Reference(media=film(4.5, "e"))))
    async with at(None, tmp_path) as provider:
        with pytest.raises(Unsupported, match=r"11 \+ 20"):
            provider.check(long)
        provider.check(asked(seconds=19, references=(Reference(media=film(11)),)))


@pytest.mark.parametrize("kind", [SourceKind.EDIT, SourceKind.REMIX])
def test_a_source_of_more_than_half_of_them_is_refused(kind: SourceKind) -> None:
    with pytest.raises(Unsupported, match="2 to 15"):
        asked(source=earlier(16, kind))


async def test_the_seconds_of_a_source_are_in_the_price(tmp_path: Path) -> None:
    assert asked(source=earlier(15)).estimate_usd == Decimal("3.00")


async def test_eleven_reference_pictures_are_refused(tmp_path: Path) -> None:
    pictures = tuple(Reference(media=replace(film(1), seconds=None, mime="image/png")) for _ in range(11))
    async with at(None, tmp_path) as provider:
        with pytest.raises(Unsupported, match="at most 10 reference pictures"):
            provider.check(asked(references=pictures))


@pytest.mark.parametrize("seed", [-1, 2**31])
async def test_a_seed_that_the_vendor_does_not_take_is_refused(seed: int, tmp_path: Path) -> None:
    async with at(None, tmp_path) as provider:
        provider.check(asked(seed=2**31 - 1))
        with pytest.raises(Unsupported, match="0 to 2147483647"):
            provider.check(asked(seed=seed))


def test_frames_and_references_exclude_each_other(tmp_path: Path) -> None:
    picture_ = frame_in(Inputs(tmp_path))
    with pytest.raises(Unsupported, match="not both"):
        asked(first_frame=picture_, references=(Reference(media=picture_),))


async def test_a_field_of_other_models_is_refused(tmp_path: Path) -> None:
    async with at(None, tmp_path) as provider:
        with pytest.raises(Unsupported, match="It takes: watermark"):
            provider.check(asked("happyhorse-1.1", extra={"prompt_extend": True}))


# -- files -----------------------------------------------------------------------------------------------------------


async def test_a_file_is_uploaded_once_for_each_model_of_the_vendor(fake: FakeDashScope, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    first = frame_in(inputs)
    async with at(fake.base_url, tmp_path, inputs) as provider:
        await provider.bring(asked(first_frame=first))
        for _ in range(2):
            await provider.submit(asked(first_frame=first), "k")
        await provider.submit(asked("wan2.7", first_frame=first), "k")

    assert sorted(fake.stored_for.values()) == ["wan2.7-i2v", WAN]
    assert list(fake.uploads.values()) == [picture(1280, 720)] * 2


async def test_where_a_region_takes_no_uploads_a_picture_goes_inside_the_request(
    fake: FakeDashScope, tmp_path: Path
) -> None:
    fake.uploads_offered = False
    inputs = Inputs(tmp_path)
    wanted = asked(first_frame=frame_in(inputs))
    async with at(fake.base_url, tmp_path, inputs) as provider:
        await provider.bring(wanted)
        await provider.submit(wanted, "k")

    [body] = fake.bodies()
    assert body["input"]["media"][0]["url"].startswith("data:image/png;base64,")
    assert "x-dashscope-ossresourceresolve" not in fake.requests[-1].headers
    assert len([each for each in fake.requests if "uploads" in each.path]) == 1, "it is not asked again each time"


@pytest.mark.parametrize("model", ["wan2.7", "happyhorse-1.1"])
@pytest.mark.parametrize("carrier", ["upload", "inline"])
async def test_a_video_has_the_shape_of_its_first_frame_where_no_shape_is_told(
    model: str, carrier: str, fake: FakeDashScope, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    upright = inputs.add(picture(720, 1280), "image/png", 720, 1280)
    async with at(fake.base_url, tmp_path, inputs, pictures=carrier) as provider:
        remote = await provider.submit(asked(model, size=Size(720, 1280), first_frame=upright), "k")

    assert "ratio" not in fake.bodies()[0]["parameters"]
    assert fake.jobs[remote.id].ordered.size == (720, 1280)


async def test_a_picture_inside_the_request_can_be_asked_for(fake: FakeDashScope, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    async with at(fake.base_url, tmp_path, inputs, pictures="inline") as provider:
        await provider.submit(asked(first_frame=frame_in(inputs)), "k")

    assert len(fake.requests) == 1
    assert fake.bodies()[0]["input"]["media"][0]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("pictures", ["upload", "inline"])
async def test_a_given_clip_that_cannot_be_uploaded_proves_a_refusal(
    pictures: str, fake: FakeDashScope, tmp_path: Path
) -> None:
    fake.uploads_offered = False
    inputs = Inputs(tmp_path)
    given = replace(inputs.add(clip(320, 180, 2.0), "video/mp4", 1280, 720), seconds=2.0)
    async with at(fake.base_url, tmp_path, inputs, pictures=pictures) as provider:
        with pytest.raises(AccessDenied) as caught:
            await provider.bring(asked(references=(Reference(media=given),)))

    assert caught.value.proves_refusal
    assert fake.book.creates == 0


async def test_a_wrong_key_is_told_and_not_taken_for_a_region_without_uploads(
    fake: FakeDashScope, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    fake.api_key = "another"
    async with at(fake.base_url, tmp_path, inputs) as provider:
        with pytest.raises(AccessDenied, match="InvalidApiKey"):
            await provider.bring(asked(first_frame=frame_in(inputs)))

    assert fake.book.creates == 0


async def test_an_own_video_is_told_by_its_link_and_a_given_one_is_uploaded(
    fake: FakeDashScope, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    given = replace(inputs.add(clip(1280, 720, 2.0), "video/mp4", 1280, 720), seconds=2.0)
    async with at(fake.base_url, tmp_path, inputs) as provider:
        first = await provider.submit(asked(seconds=4), "k")
        own = replace(earlier(4), remote_id=first.id)
        await provider.submit(asked(source=own), "k")
        by_file = SourceVideo(kind=SourceKind.EDIT, video_id=None, size=given.size, seconds=2, media=given)
        await provider.submit(asked(source=by_file), "k")

    urls = [body["input"]["media"][0]["url"] for body in fake.bodies()[1:]]
    assert urls[0] == fake.url_of(fake.jobs[first.id])
    assert urls[1].startswith("oss://")
    assert [entry.usd for entry in fake.book.entries] == [Decimal("0.40"), Decimal("0.80"), Decimal("0.40")]


async def test_a_source_that_the_vendor_forgot_proves_a_refusal(fake: FakeDashScope, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        with pytest.raises(Rejected, match="no longer has the source") as caught:
            await provider.bring(asked(source=replace(earlier(4), remote_id="gone")))

    assert caught.value.proves_refusal
