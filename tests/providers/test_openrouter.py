"""OpenRouter beyond what all vendors are held to: what it is sent, how its jobs end, errors, signatures."""

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
from rushes.errors import (
    AccessDenied,
    BadReply,
    Gone,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
)
from rushes.providers.catalog import Feature, Model, read_table
from rushes.providers.openrouter.provider import OpenRouter, Row, WireJob, from_wire, is_signed, to_wire
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Hint, RemoteJob
from rushes.testing.bench import Inputs, fetched, opened, prepared
from rushes.testing.clips import clip, picture
from rushes.testing.fakes.openrouter import FEED, FakeOpenRouter
from rushes.testing.server import Answer
from rushes.testing.vendor import API_KEY, VendorJob
from rushes.video import MediaRef, Reference, Size, SourceKind, SourceVideo, Status, VideoRequest
from tests.providers.scripted import Scripted

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("openrouter")}
WAN, SEEDANCE, H3 = "alibaba/wan-3.0", "bytedance/seedance-2.5", "minimax/hailuo-3"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "a-secret-of-ours-0123456789"


@pytest.fixture
def fake() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter(job_s=0.0) as fake:
        yield fake


@asynccontextmanager
async def at(
    url: str,
    folder: Path,
    inputs: Inputs | None = None,
    models: tuple[Model, ...] = (),
    public_url: str | None = None,
    **own: Any,
) -> AsyncGenerator[OpenRouter]:
    environment = {"OPENROUTER_API_KEY": API_KEY, "OPENROUTER_BASE_URL": url}
    section = ProviderSettings.model_validate(own)
    async with opened(
        OpenRouter,
        folder=folder,
        environment=environment,
        inputs=inputs,
        section=section,
        models=models,
        public_url=public_url,
    ) as provider:
        assert isinstance(provider, OpenRouter)
        yield provider


def asked(model: str = WAN, **wish: Any) -> Prepared:
    return prepared(VideoRequest(prompt="A boat", model=MODELS[model].id, **wish), MODELS[model])


def row(model: str = WAN) -> Row:
    return Row.model_validate(dict(MODELS[model].wire))


# -- to the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "told"),
    [
        (WAN, "1280x720", {"resolution": "720p", "aspect_ratio": "16:9"}),
        (WAN, "1080x1920", {"resolution": "1080p", "aspect_ratio": "9:16"}),
        (WAN, "640x480", {"resolution": "480p", "aspect_ratio": "4:3"}),
        (H3, "2560x1440", {"resolution": "2K", "aspect_ratio": "16:9"}),
        (H3, "1366x768", {"resolution": "768p", "aspect_ratio": "16:9"}),
        (SEEDANCE, "1112x834", {"size": "1112x834"}),
    ],
)
def test_a_size_is_told_in_pixels_or_in_words_and_never_in_both(model: str, size: str, told: dict[str, str]) -> None:
    wire = to_wire(asked(model, size=Size.parse(size)).request, row(model), {})

    assert {name: wire[name] for name in ("size", "resolution", "aspect_ratio") if name in wire} == told


@pytest.mark.parametrize("model", MODELS)
def test_sound_is_told_where_it_can_be_switched(model: str) -> None:
    wire = to_wire(asked(model).request, row(model), {})

    assert ("generate_audio" in wire) == (MODELS[model].sound == "optional")
    assert wire["duration"] == MODELS[model].default_seconds


def test_options_of_a_lab_go_under_its_name() -> None:
    extra: dict[str, Any] = {"provider_options": {"byteplus": {"watermark": False}}, "user": "u-1"}

    wire = to_wire(asked(extra=extra).request, row(), {})

    assert wire["provider"] == {"options": {"byteplus": {"watermark": False}}}
    assert wire["user"] == "u-1"


async def test_a_clip_goes_inside_the_request_and_its_seconds_are_in_the_price(
    fake: FakeOpenRouter, tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    film = replace(inputs.add(clip(320, 180, 2.0), "video/mp4", 320, 180), seconds=2.0)
    wanted = asked(SEEDANCE, size=Size(1280, 720), seconds=4, references=(Reference(media=film),))
    async with at(fake.base_url, tmp_path, inputs) as provider:
        await provider.submit(wanted, "k")

    assert wanted.estimate_usd == fake.book.entries[0].usd == Decimal("0.13824") * 6


async def test_what_would_not_fit_into_a_request_is_refused_unsent(fake: FakeOpenRouter, tmp_path: Path) -> None:
    heavy = MediaRef(sha256="f" * 64, mime="video/mp4", size_bytes=40_000_000, width=64, height=64, seconds=3.0)
    async with at(fake.base_url, tmp_path) as provider:
        with pytest.raises(Unsupported, match="53 MB"):
            await provider.submit(asked(SEEDANCE, references=(Reference(media=heavy),)), "k")

    assert fake.requests == []


def test_frames_and_references_exclude_each_other(tmp_path: Path) -> None:
    frame = Inputs(tmp_path).add(picture(1280, 720), "image/png", 1280, 720)
    with pytest.raises(Unsupported, match="not both"):
        asked(SEEDANCE, first_frame=frame, references=(Reference(media=frame),))


async def test_only_an_https_address_is_told_to_be_called(fake: FakeOpenRouter, tmp_path: Path) -> None:
    for public_url in ("http://rushes.example", "https://rushes.example", None):
        async with at(fake.base_url, tmp_path, public_url=public_url) as provider:
            await provider.submit(asked(), "k")

    told = [body.get("callback_url") for body in fake.bodies()]
    assert told == [None, "https://rushes.example/webhooks/openrouter", None]


async def test_a_model_that_is_said_to_edit_is_told_the_job_before(fake: FakeOpenRouter, tmp_path: Path) -> None:
    editor = replace(MODELS[WAN], features=MODELS[WAN].features | {Feature.EDIT})
    assert Feature.EDIT not in MODELS[WAN].features, "nobody says which models can"
    async with at(fake.base_url, tmp_path, models=(editor,)) as provider:
        first = await provider.submit(asked(seconds=4), "k")
        source = SourceVideo(kind=SourceKind.EDIT, video_id="v", size=Size(1280, 720), seconds=4, remote_id=first.id)
        await provider.submit(prepared(VideoRequest(prompt="Snow", model=editor.id, source=source), editor), "k")

    assert fake.bodies()[1]["previous_job_id"] == first.id


# -- how jobs end ----------------------------------------------------------------------------------------------------


def job(status: str, **told: Any) -> WireJob:
    return WireJob.model_validate({"id": "gen-vid-1", "status": status, **told})


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [
        ("pending", Status.QUEUED, None),
        ("in_progress", Status.IN_PROGRESS, None),
        ("upscaling", Status.IN_PROGRESS, None),
        ("failed", Status.FAILED, "internal_error"),
        ("cancelled", Status.FAILED, "cancelled"),
        ("expired", Status.FAILED, "expired"),
    ],
)
def test_words_of_the_vendor_in_ours(word: str, status: Status, code: str | None) -> None:
    progress = from_wire(job(word))

    assert (progress.status, progress.failure.code if progress.failure else None) == (status, code)


def test_its_error_is_a_sentence_by_which_moderation_is_known() -> None:
    plain, blocked = from_wire(job("failed", error="Out of GPUs.")), from_wire(job("failed", error="Flagged: violence"))

    assert plain.failure is not None
    assert plain.failure == ("internal_error", "Out of GPUs.")
    assert blocked.failure is not None
    assert blocked.failure.code == Moderated.code


def test_what_it_cost_is_what_the_job_tells() -> None:
    links = ["https://x/v.mp4"]
    own = from_wire(job("completed", unsigned_urls=links, usage={"cost": 0.2425, "is_byok": False}))
    by_other_key = from_wire(job("completed", unsigned_urls=links, usage={"cost": 0.01, "is_byok": True}))

    assert own.billed_usd == Decimal("0.2425")
    assert by_other_key.billed_usd is None, "the lab bills that key"


def test_a_failed_job_costs_what_it_tells() -> None:
    assert from_wire(job("failed", error="x", usage={"cost": 0})).billed_usd == 0


def test_done_without_a_video_is_a_failure_that_counts_as_billed() -> None:
    progress = from_wire(job("completed"))

    assert (progress.status, progress.billed) == (Status.FAILED, True)


def test_when_the_result_runs_out_is_told() -> None:
    progress = from_wire(job("completed", urls=["https://x/v.mp4?sig=1"], expires_at=1_800_000_000))

    assert progress.expires_at == datetime.fromtimestamp(1_800_000_000, UTC)


class RelativeLinks(FakeOpenRouter):
    """Tells where a result lies without naming its own host."""

    def url_of(self, job: VendorJob) -> str:
        return f"/api/v1/videos/{job.id}/content?index=0"


@pytest.mark.parametrize("kind", [FakeOpenRouter, RelativeLinks])
async def test_a_result_lies_behind_the_key(kind: type[FakeOpenRouter], tmp_path: Path) -> None:
    with kind(job_s=0.0) as fake:
        async with at(fake.base_url, tmp_path) as provider:
            remote = await provider.submit(asked(), "k")
            [asset] = await provider.assets(remote)

            assert await fetched(provider, asset) == fake.content_of(remote.id)

        assert "authorization" in fake.requests[-1].headers


async def test_the_key_does_not_go_to_other_hosts(tmp_path: Path) -> None:
    answer = Answer.json({"id": "j", "status": "completed", "unsigned_urls": ["http://127.0.0.1:9/v.mp4"]})
    with Scripted(answer) as server:
        async with at(server.url, tmp_path) as provider:
            [asset] = await provider.assets(RemoteJob(id="j"))

            assert asset.url is not None
            assert not provider.api.owns(asset.url)


async def test_an_answer_without_a_status_is_no_answer(tmp_path: Path) -> None:
    with Scripted(Answer.json({"id": "j"})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(BadReply):
                await provider.poll(RemoteJob(id="j"))


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "kind", "refused"),
    [
        (400, {"code": 400, "message": "No."}, Rejected, True),
        (401, {"code": 401, "message": "No."}, AccessDenied, True),
        (402, {"code": 402, "message": "No credits."}, NoCredit, True),
        (403, {"code": 403, "message": "No."}, AccessDenied, True),
        (403, {"code": 403, "message": "Flagged.", "metadata": {"reasons": ["violence"]}}, Moderated, True),
        (404, {"code": 404, "message": "No model."}, Rejected, True),
        (410, {"code": 410, "message": "Gone."}, Gone, True),
        (413, {"code": 413, "message": "Too large."}, Rejected, True),
        (429, {"code": 429, "message": "Slow."}, RateLimited, True),
        (499, {"code": 499, "message": "Closed."}, Unavailable, False),
        (502, {"code": 502, "message": "Bad.", "metadata": {"reasons": ["x"]}}, Unavailable, False),
        (503, "Away.", Unavailable, False),
    ],
)
async def test_an_error_is_told_by_its_status(
    status: int, error: Any, kind: type[ProviderError], refused: bool, tmp_path: Path
) -> None:
    with Scripted(Answer.json({"error": error}, status)) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.submit(asked(), "k")

    assert (type(caught.value), caught.value.proves_refusal) == (kind, refused)


async def test_the_reasons_of_a_refusal_are_told(fake: FakeOpenRouter, tmp_path: Path) -> None:
    with Scripted(fake.moderated().answer) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(Moderated, match="violence"):
                await provider.submit(asked(), "k")


# -- webhooks --------------------------------------------------------------------------------------------------------

BODY = json.dumps({"type": "video.generation.completed", "data": {"id": "gen-vid-1", "status": "completed"}}).encode()


def signed(body: bytes, at: datetime, secret: str = SECRET) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    made = hmac.new(secret.encode(), stamp.encode() + b"," + body, hashlib.sha256).hexdigest()
    return {"x-openrouter-signature": f"t={stamp},v1={made}"}


@pytest.mark.parametrize(
    ("headers", "body", "good"),
    [
        (signed(BODY, NOW), BODY, True),
        (signed(BODY, NOW - timedelta(seconds=299)), BODY, True),
        (signed(BODY, NOW - timedelta(seconds=301)), BODY, False),
        (signed(BODY, NOW + timedelta(seconds=301)), BODY, False),
        (signed(BODY, NOW), BODY + b" ", False),
        (signed(BODY, NOW, "another secret"), BODY, False),
        ({"x-openrouter-signature": signed(BODY, NOW)["x-openrouter-signature"].replace("t=1", "t=2")}, BODY, False),
        ({"x-openrouter-signature": "t=,v1="}, BODY, False),
        ({"x-openrouter-signature": "v1=0"}, BODY, False),
        ({}, BODY, False),
    ],
)
def test_only_a_new_message_with_our_signature_is_trusted(headers: dict[str, str], body: bytes, good: bool) -> None:
    assert is_signed(SECRET, headers, body, NOW) is good


async def test_a_signed_message_is_a_hint_that_can_be_trusted(fake: FakeOpenRouter, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path, webhook_secret=SECRET) as provider:
        hint = await provider.read_webhook(signed(BODY, datetime.now(UTC)), BODY)
        with pytest.raises(AccessDenied):
            await provider.read_webhook({}, BODY)

    assert hint == Hint(remote_id="gen-vid-1", trusted=True)


async def test_without_a_secret_a_message_is_a_hint_from_anybody(fake: FakeOpenRouter, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        assert await provider.read_webhook({}, BODY) == Hint(remote_id="gen-vid-1", trusted=False)
        assert await provider.read_webhook({}, b'{"type": "credits.low", "data": {"id": "x"}}') is None
        assert await provider.read_webhook({}, b"[]") is None


# -- ping ------------------------------------------------------------------------------------------------------------


async def test_ping_reads_the_feed(fake: FakeOpenRouter, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        assert f"{len(FEED)} video models" in await provider.ping()
    with Scripted(Answer.json({"data": "none"})) as server:
        async with at(server.url, tmp_path) as provider:
            assert "no good answer" in await provider.ping()
