"""Luma against its fake: what the suites for all vendors do not see."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import (
    AccessDenied,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.catalog import read_table
from rushes.providers.luma import WireGeneration, from_wire
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import clip, padded, picture
from rushes.testing.fakes.luma import FakeLuma, LumaBench
from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Received
from rushes.video import Crop, MediaRef, Reference, Size, SourceKind, SourceVideo, Status, VideoRequest

pytestmark = pytest.mark.anyio

WIDE = Size(1280, 720)
[RAY] = read_table("luma")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake() -> Iterator[FakeLuma]:
    with FakeLuma(job_s=0.0) as fake:
        yield fake


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path)


def luma(fake: FakeLuma, folder: Path, inputs: Inputs | None = None) -> AbstractAsyncContextManager[Provider]:
    return opened(LumaBench.kind, folder=folder, environment=LumaBench().environment(fake), inputs=inputs)


def asked(**wish: Any) -> Prepared:
    return prepared(replace(VideoRequest(prompt="A cat", model=RAY.id), **wish), RAY)


def frame(inputs: Inputs) -> MediaRef:
    return inputs.add(picture(*WIDE), "image/png", *WIDE)


def of_clip(inputs: Inputs, seconds: float = 5.0, size_bytes: int = 0) -> SourceVideo:
    data = padded(clip(960, 540, seconds, fps=5), size_bytes)
    media = replace(inputs.add(data, "video/mp4", 960, 540), seconds=seconds)
    return SourceVideo(kind=SourceKind.EDIT, video_id=None, size=media.size, seconds=round(seconds), media=media)


def at(media: MediaRef, *places: int | None) -> dict[str, Any]:
    return {"references": tuple(Reference(media=media, frame_index=place) for place in places)}


# -- what is refused unsent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "places", "words"),
    [
        ({}, [None], r"give a frame_index, --inpaint FRAME=PICTURE"),
        ({}, [121], "the frames 0 to 120 in 5 seconds, not 121"),
        ({"seconds": 10}, [240, 241], "0 to 240 in 10 seconds, not 241"),
        ({}, [-1], "not -1"),
        ({}, [24, 24], "Two pictures stand at one frame"),
        ({"extra": {"loop": True}}, [24], "loops of 5 seconds, without references"),
        ({"extra": {"loop": True}, "seconds": 10}, [], "loops of 5 seconds"),
        ({"extra": {"strength": "flex_1"}}, [], "strength is for edits alone"),
        ({"extra": {"strength": "much"}}, [], "extra field strength"),
        ({"prompt": "x" * 6001}, [], "takes 6000"),
        ({"audio": True}, [], "does not take audio on"),
        ({"seed": 1}, [], "does not take seed"),
    ],
)
async def test_what_the_api_would_refuse_is_refused_unsent(
    wish: dict[str, Any], places: list[int | None], words: str, fake: FakeLuma, inputs: Inputs, tmp_path: Path
) -> None:
    async with luma(fake, tmp_path, inputs) as provider:
        with pytest.raises(Unsupported, match=words):
            provider.check(asked(**wish, **at(frame(inputs), *places)))

        assert fake.requests == []


async def test_pictures_that_cannot_be_placed_are_refused(fake: FakeLuma, inputs: Inputs, tmp_path: Path) -> None:
    first = frame(inputs)
    cropped = (Reference(media=first, frame_index=3, crop=Crop(left=0.5)),)
    async with luma(fake, tmp_path, inputs) as provider:
        with pytest.raises(Unsupported, match="Two pictures stand at one frame"):
            provider.check(asked(first_frame=first, **at(first, 0)))
        with pytest.raises(Unsupported, match="at most 64 pictures, the frames included, not 65"):
            provider.check(asked(first_frame=first, **at(first, *range(1, 65))))
        with pytest.raises(Unsupported, match="no crop"):
            provider.check(asked(references=cropped))


async def test_an_edit_takes_neither_pictures_nor_what_belongs_to_new_videos(
    fake: FakeLuma, inputs: Inputs, tmp_path: Path
) -> None:
    async with luma(fake, tmp_path, inputs) as provider:
        with pytest.raises(Unsupported, match="loop is for new videos alone"):
            provider.check(asked(source=of_clip(inputs), extra={"loop": True}))
        with pytest.raises(Unsupported, match="no pictures with an edit"):
            provider.check(asked(source=of_clip(inputs), **at(frame(inputs), 3)))
        with pytest.raises(Unsupported, match="takes sources of 1 to 18 seconds"):
            provider.check(asked(source=of_clip(inputs, 19.0)))


# -- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "first", "last", "places", "told"),
    [
        (5, True, False, [], {"start_frame"}),
        (5, True, True, [], {"start_frame", "end_frame"}),
        (5, False, True, [], [120]),
        (10, True, False, [], [0]),
        (10, True, True, [], [0, 240]),
        (5, True, True, [60, 30], [0, 30, 60, 120]),
        (10, False, False, [17], [17]),
    ],
)
async def test_pictures_stand_where_they_belong(
    seconds: int,
    first: bool,
    last: bool,
    places: list[int],
    told: set[str] | list[int],
    fake: FakeLuma,
    inputs: Inputs,
    tmp_path: Path,
) -> None:
    given = frame(inputs)
    async with luma(fake, tmp_path, inputs) as provider:
        ends = {"first_frame": given if first else None, "last_frame": given if last else None}
        await provider.submit(asked(seconds=seconds, **ends, **at(given, *places)), "key-1")

    video = fake.bodies()[0]["video"]
    if isinstance(told, list):
        assert (video["keyframe_indexes"], len(video["keyframes"])) == (told, len(told))
    assert video.keys() - {"resolution", "duration", "keyframes", "keyframe_indexes"} == (
        told if isinstance(told, set) else set()
    )


async def test_the_extra_fields_take_their_places(fake: FakeLuma, inputs: Inputs, tmp_path: Path) -> None:
    controls = {"pose": {"enabled": True, "strength": "coarse"}, "depth": {"blur": 0.5}}
    async with luma(fake, tmp_path, inputs) as provider:
        await provider.submit(asked(extra={"loop": True, "user_id": "u-1"}), "key-1")
        extra = {"strength": "reimagine_3", "auto_controls": False, "controls": controls}
        await provider.submit(asked(source=of_clip(inputs), extra=extra), "key-2")

    made, edited = fake.bodies()
    assert (made["video"]["loop"], made["user_id"]) == (True, "u-1")
    assert edited["video"]["edit"] == extra


@pytest.mark.parametrize(("seconds", "usd"), [(5.0, "0.72"), (10.0, "1.44")])
async def test_an_edit_of_a_given_clip_is_charged_as_shown(
    seconds: float, usd: str, fake: FakeLuma, inputs: Inputs, tmp_path: Path
) -> None:
    async with luma(fake, tmp_path, inputs) as provider:
        wish = asked(source=of_clip(inputs, seconds))
        remote = await provider.submit(wish, "key-1")
        cost = provider.cost(RAY, wish, await provider.poll(remote))

    assert wish.estimate_usd == cost == fake.book.total_usd == Decimal(usd)


def test_the_draft_tier_has_no_price_that_is_known() -> None:
    assert asked(size=Size(640, 360)).estimate_usd is None


# -- uploads ---------------------------------------------------------------------------------------------------------


async def test_a_file_too_large_for_the_body_is_uploaded_once_and_named(
    fake: FakeLuma, inputs: Inputs, tmp_path: Path
) -> None:
    wish = asked(source=of_clip(inputs, size_bytes=5_000_001))
    async with luma(fake, tmp_path, inputs) as provider:
        await provider.bring(wish)
        await provider.submit(wish, "key-1")
        await provider.submit(wish, "key-2")

    [(file_id, file)] = fake.files.items()
    assert [body["source"] for body in fake.bodies()] == [{"file_id": file_id}] * 2
    assert (file["mime_type"], file["purpose"], file["size_bytes"]) == ("video/mp4", "input", 5_000_001)
    [put] = [request for request in fake.requests if request.method == "PUT"]
    assert "authorization" not in put.headers


class Picky(FakeLuma):
    """Takes no file, for one reason or another."""

    def __init__(self, at_step: str, answer: Answer) -> None:
        super().__init__()
        self.at_step, self.answer_there = at_step, answer

    def other(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        told = super().other(received, operation, fault)
        return self.answer_there if operation == self.at_step else told


@pytest.mark.parametrize(
    ("step", "answer", "kind", "words"),
    [
        ("put", Answer(403), Rejected, "store did not take"),
        ("put", Answer(503), Unavailable, "store did not take"),
        (
            "complete",
            Answer.json({"id": "f", "state": "failed", "failure_reason": "A face."}),
            Rejected,
            "did not take the file: A face.",
        ),
        ("file", Answer.json({"detail": "unsupported_format"}, 400), Rejected, "unsupported_format"),
    ],
)
async def test_a_file_that_is_not_taken_costs_nothing(
    step: str, answer: Answer, kind: type[ProviderError], words: str, inputs: Inputs, tmp_path: Path
) -> None:
    with Picky(step, answer) as fake:
        async with luma(fake, tmp_path, inputs) as provider:
            with pytest.raises(kind, match=words) as caught:
                await provider.bring(asked(source=of_clip(inputs, size_bytes=5_000_001)))

        assert caught.value.proves_refusal
        assert fake.book.creates == 0


# -- how jobs end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("content_moderated", "moderation_blocked"),
        ("generation_failed", "internal_error"),
        ("output_not_found", "internal_error"),
        ("budget_exhausted", "insufficient_quota"),
        ("rate_limited", "rate_limit_exceeded"),
        ("image_too_large", "rejected"),
        ("unsupported_format", "rejected"),
        ("corrupt_input", "rejected"),
        ("invalid_request", "rejected"),
        ("something_new", "internal_error"),
    ],
)
def test_a_failure_has_our_code_and_the_vendors_words(code: str, ours: str) -> None:
    told = {"state": "failed", "failure_code": code, "failure_reason": "No."}
    progress = from_wire(WireGeneration.model_validate(told))

    assert progress.status is Status.FAILED
    assert progress.failure == (ours, f"No. ({code})")
    assert not progress.billed


@pytest.mark.parametrize(
    ("told", "status", "billed"),
    [
        ({"state": "queued"}, Status.QUEUED, False),
        ({"state": "processing"}, Status.IN_PROGRESS, False),
        ({"state": "dreaming"}, Status.IN_PROGRESS, False),
        ({"state": "completed", "output": [{"type": "video", "url": "https://a"}]}, Status.COMPLETED, False),
        ({"state": "completed", "output": [{"type": "exr", "url": "https://a"}]}, Status.FAILED, True),
        ({"state": "completed", "output": None}, Status.FAILED, True),
    ],
)
def test_what_is_done_and_has_no_video_failed_and_is_billed(told: dict[str, Any], status: Status, billed: bool) -> None:
    progress = from_wire(WireGeneration.model_validate(told))

    assert (progress.status, progress.billed) == (status, billed)


async def test_a_link_is_made_anew_at_each_look(fake: FakeLuma, tmp_path: Path) -> None:
    async with luma(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        links = {(await provider.assets(remote))[0].url for _ in range(2)}

    assert len(links) == 2


async def test_a_job_without_a_link_has_vanished(tmp_path: Path) -> None:
    with FakeLuma(job_s=60.0) as fake:
        async with luma(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            with pytest.raises(Vanished):
                await provider.assets(RemoteJob(id=remote.id))


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, '{"detail": "aspect_ratio is wrong"}', Rejected),
        (400, '{"error": {"code": "content_moderated", "message": "No."}}', Moderated),
        (403, '{"code": "budget_exhausted", "message": "No."}', NoCredit),
        (422, '{"detail": "budget_exhausted: top up"}', NoCredit),
        (402, '{"detail": "Pay"}', NoCredit),
        (401, '{"detail": "rate_limited"}', AccessDenied),
        (403, '{"detail": "No access"}', AccessDenied),
        (429, '{"detail": "Slow down"}', RateLimited),
        (500, '{"detail": "content_moderated"}', Unavailable),
    ],
)
async def test_an_error_is_told_by_its_kind(
    status: int, body: str, kind: type[ProviderError], fake: FakeLuma, tmp_path: Path
) -> None:
    async with luma(fake, tmp_path) as provider:
        error = provider.error_of(Reply(status, {}, body.encode(), "create"))

    assert type(error) is kind
    assert error.proves_refusal == (status < 500)


async def test_the_check_of_a_key_costs_nothing(fake: FakeLuma, tmp_path: Path) -> None:
    async with luma(fake, tmp_path) as provider:
        assert await provider.ping() == "answers, key accepted"

    assert fake.book.creates == 0
