"""xAI beyond what all vendors are held to: how its jobs end, what its words mean, and what is refused unsent."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import AccessDenied, BadReply, Moderated, ProviderError, RateLimited, Rejected, Unsupported
from rushes.providers.catalog import read_table
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob
from rushes.providers.xai import XAI, WireJob, from_wire, to_wire
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.fakes.xai import FakeXAI
from rushes.testing.server import Answer
from rushes.video import Crop, Failure, MediaRef, Reference, Size, SourceKind, SourceVideo, Status, VideoRequest
from tests.providers.scripted import Scripted

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("xai")}
GROK = "grok-imagine-video-1.5"


@asynccontextmanager
async def at(url: str, folder: Path, inputs: Inputs | None = None) -> AsyncGenerator[XAI]:
    environment = {"XAI_API_KEY": "test-key-0123456789abcdef", "XAI_BASE_URL": url}
    async with opened(XAI, folder=folder, environment=environment, inputs=inputs) as provider:
        assert isinstance(provider, XAI)
        yield provider


def frame(width: int = 1280, height: int = 720) -> MediaRef:
    return MediaRef(sha256="0" * 64, mime="image/png", size_bytes=1000, width=width, height=height)


def asked(model: str = GROK, **wish: Any) -> Prepared:
    return prepared(VideoRequest(prompt="A boat", model=MODELS[model].id, **wish), MODELS[model])


# -- to the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "resolution", "ratio"),
    [
        ("848x480", "480p", "16:9"),
        ("480x480", "480p", "1:1"),
        ("1280x720", "720p", "16:9"),
        ("720x1280", "720p", "9:16"),
        ("1080x1080", "1080p", "1:1"),
        ("1080x1920", "1080p", "9:16"),
    ],
)
def test_a_size_is_told_as_resolution_and_shape(size: str, resolution: str, ratio: str) -> None:
    wire = to_wire(asked(size=Size.parse(size)).request, {}, None)

    assert (wire["resolution"], wire["aspect_ratio"]) == (resolution, ratio)


def test_the_vendors_defaults_never_apply() -> None:
    wire = to_wire(asked().request, {}, None)

    assert {"duration", "resolution", "aspect_ratio", "generate_audio"} <= wire.keys()


@pytest.mark.parametrize(
    ("kind", "seconds"), [(SourceKind.EDIT, None), (SourceKind.REMIX, None), (SourceKind.EXTEND, 4)]
)
def test_only_an_extension_says_how_long(kind: SourceKind, seconds: int | None) -> None:
    source = SourceVideo(kind=kind, video_id="v", size=Size(1280, 720), seconds=8, remote_id="r")

    wire = to_wire(asked(source=source, seconds=seconds).request, {}, "https://x/v.mp4")

    assert wire.get("duration") == seconds
    assert wire["video"] == {"url": "https://x/v.mp4"}
    assert "resolution" not in wire, "it follows the source"


# -- what is refused unsent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        (GROK, {"seconds": 16}, "makes 1 to 15 seconds"),
        (GROK, {"seed": 1}, "does not take seed"),
        (GROK, {"references": (Reference(media=frame()),) * 8}, "at most 7"),
        (GROK, {"references": (Reference(media=frame()),), "seconds": 12}, "makes 1 to 10 seconds"),
        (GROK, {"references": (Reference(media=frame()),), "size": Size(1920, 1080)}, "does not make 1920x1080"),
        (GROK, {"references": (Reference(media=frame()),), "first_frame": frame()}, "not both"),
        (GROK, {"last_frame": frame()}, "only together with a first_frame"),
        ("grok-imagine-video", {"size": Size(1920, 1080)}, "does not make 1920x1080"),
        ("grok-imagine-video", {"first_frame": frame(), "last_frame": frame()}, "does not take last_frame"),
        ("grok-imagine-video-1.5-lite", {"references": (Reference(media=frame()),)}, "does not take references"),
    ],
)
def test_what_a_model_cannot_make_is_refused_in_preparing(model: str, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        asked(model, **wish)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"references": (Reference(media=frame(), crop=Crop(left=0.5)),)}, "no frame_index, no crop"),
        ({"extra": {"storage_options": {"expires_after": 60}}}, "expires_after"),
        ({"extra": {"storage_options": {"public_url": True}}}, "public_url"),
    ],
)
async def test_what_the_api_would_refuse_is_refused_before_it_is_sent(
    wish: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with FakeXAI() as fake:
        async with at(fake.base_url, tmp_path) as provider:
            with pytest.raises(Unsupported, match=words):
                await provider.submit(asked(**wish), "key-1")

    assert fake.requests == []


# -- how jobs end ----------------------------------------------------------------------------------------------------

LINK = {"url": "https://x/v.mp4", "respect_moderation": True}


@pytest.mark.parametrize(
    ("job", "status"),
    [
        ({"status": "pending", "progress": 24}, Status.IN_PROGRESS),
        ({"status": "who_knows"}, Status.IN_PROGRESS),
        ({"status": "done", "video": LINK}, Status.COMPLETED),
        ({"video": {"url": "https://x/v.mp4"}}, Status.COMPLETED),
        ({"status": "done", "video": {**LINK, "respect_moderation": "mostly"}}, Status.COMPLETED),
        ({"status": "failed"}, Status.FAILED),
        ({"status": "expired"}, Status.FAILED),
    ],
)
def test_a_look_is_told_in_our_words(job: dict[str, Any], status: Status) -> None:
    assert from_wire(WireJob.model_validate(job)).status is status


@pytest.mark.parametrize(
    ("video", "code"),
    [
        ({"respect_moderation": False}, "moderation_blocked"),
        ({**LINK, "respect_moderation": False}, "moderation_blocked"),
        ({}, "internal_error"),
        (None, "internal_error"),
    ],
)
def test_what_is_done_and_was_held_back_has_failed_and_is_billed(video: Any, code: str) -> None:
    job = {"status": "done", "video": video, "usage": {"cost_in_usd_ticks": 5_600_000_000}}

    progress = from_wire(WireJob.model_validate(job))

    assert progress.failure is not None
    assert (progress.status, progress.failure.code, progress.billed) == (Status.FAILED, code, True)
    assert progress.billed_usd == Decimal("0.56")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"code": "internal_error", "message": "It broke."}, Failure("internal_error", "It broke.")),
        ("Blocked by content policy.", Failure("moderation_blocked", "Blocked by content policy.")),
        (None, Failure("internal_error", "The server gave no reason.")),
    ],
)
def test_a_failure_keeps_the_vendors_words(error: Any, failure: Failure) -> None:
    assert from_wire(WireJob.model_validate({"status": "failed", "error": error})).failure == failure


def test_an_expired_job_is_told_as_such() -> None:
    failure = from_wire(WireJob.model_validate({"status": "EXPIRED"})).failure

    assert failure is not None
    assert failure.code == "expired"


async def test_what_was_held_back_ends_also_without_a_status(tmp_path: Path) -> None:
    with Scripted(Answer.json({"video": {"respect_moderation": False}})) as server:
        async with at(server.url, tmp_path) as provider:
            progress = await provider.poll(RemoteJob(id="r"))

    assert (progress.status, progress.billed) == (Status.FAILED, True)


async def test_a_look_without_any_status_ends_nothing(tmp_path: Path) -> None:
    with Scripted(Answer.json({"request_id": "1"})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(BadReply):
                await provider.poll(RemoteJob(id="1"))


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "kind", "refused"),
    [
        (400, "The prompt violates our content policy.", Moderated, True),
        (400, "duration is out of range.", Rejected, True),
        (401, "Incorrect API key provided.", AccessDenied, True),
        (403, "Your team has no access.", AccessDenied, True),
        (429, "Too many requests.", RateLimited, True),
        (500, "content policy service is down", ProviderError, False),
    ],
)
async def test_an_error_is_read_by_its_status_and_its_words(
    status: int, words: str, kind: type[ProviderError], refused: bool, tmp_path: Path
) -> None:
    with Scripted(Answer.json({"code": "x", "error": words}, status)) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(kind, match=words) as caught:
                await provider.submit(asked(), "key-1")

    assert type(caught.value) is kind or kind is ProviderError
    assert caught.value.proves_refusal is refused


# -- sources ---------------------------------------------------------------------------------------------------------


async def test_the_link_of_the_source_is_asked_for_before_the_create_and_once(tmp_path: Path) -> None:
    with FakeXAI(job_s=0.0) as fake:
        async with at(fake.base_url, tmp_path) as provider:
            first = await provider.submit(asked(seconds=4), "key-1")
            source = SourceVideo(
                kind=SourceKind.EDIT, video_id="v", size=Size(1280, 720), seconds=4, remote_id=first.id
            )
            wanted = asked(source=source)
            await provider.bring(wanted)
            before = len(fake.requests)
            await provider.submit(wanted, "key-2")

        assert [each.method for each in fake.requests[before:]] == ["POST"]
        assert fake.bodies()[-1]["video"]["url"].endswith(f"/results/{first.id}.mp4")


async def test_a_video_from_a_first_frame_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    with FakeXAI() as fake:
        async with at(fake.base_url, tmp_path, inputs) as provider:
            for size in MODELS[GROK].sizes:
                first = inputs.add(picture(*size), "image/png", *size)
                remote = await provider.submit(asked(size=size, first_frame=first), "key-1")

                assert fake.jobs[remote.id].ordered.size == tuple(size)


async def test_pictures_travel_whole(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    data = picture(1280, 720)
    first = inputs.add(data, "image/png", 1280, 720)
    with FakeXAI() as fake:
        async with at(fake.base_url, tmp_path, inputs) as provider:
            await provider.submit(asked(first_frame=first, size=Size(1280, 720)), "key-1")

        assert fake.bodies()[0]["image"]["url"].startswith("data:image/png;base64,")
        assert fake.book.total_usd == Decimal("1.13"), "eight seconds and a picture"
