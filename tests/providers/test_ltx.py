"""LTX: lengths by size and rate, frames and their uploads, how ends and refusals are read."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import (
    AccessDenied,
    Moderated,
    NoCredit,
    RateLimited,
    Rejected,
    RushesError,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.http import Reply
from rushes.providers.catalog import Feature, Model, read_table
from rushes.providers.incoming import read_object
from rushes.providers.ltx import INLINE_BYTES, LTX, WireJob, from_wire
from rushes.providers.prepare import Misfit, prepare
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.fakes.ltx import FakeLTX, LTXBench
from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Received
from rushes.video import Failure, MediaRef, Progress, Size, Status, VideoRequest

pytestmark = pytest.mark.anyio

FAST, PRO = read_table("ltx")
FULL_HD, ULTRA_HD = Size(1920, 1080), Size(3840, 2160)


@asynccontextmanager
async def at(fake: FakeLTX, folder: Path, inputs: Inputs | None = None) -> AsyncGenerator[LTX]:
    environment = LTXBench().environment(fake)
    async with opened(LTX, folder=folder, environment=environment, inputs=inputs) as provider:
        assert isinstance(provider, LTX)
        yield provider


def asked(model: Model = FAST, **changes: Any) -> VideoRequest:
    given: dict[str, Any] = {"size": FULL_HD, "seconds": 8, **changes}
    return VideoRequest(prompt="A fox", model=model.id, **given)


def large(inputs: Inputs) -> MediaRef:
    return inputs.add(picture(1920, 1080) + bytes(INLINE_BYTES), "image/png", 1920, 1080)


# -- what there is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "seconds"),
    [(FAST, ULTRA_HD, 12), (FAST, Size(2560, 1440), 20), (FAST, FULL_HD, 7), (PRO, FULL_HD, 12), (PRO, FULL_HD, 4)],
    ids=lambda each: str(getattr(each, "id", each)),
)
def test_a_length_that_is_not_made_is_refused(model: Model, size: Size, seconds: int) -> None:
    with pytest.raises(Unsupported, match="seconds"):
        prepared(asked(model, size=size, seconds=seconds), model)


def test_a_length_of_four_and_a_size_of_720p_are_met_by_more_and_cut() -> None:
    made = prepare(asked(size=Size(1280, 720), seconds=4), FAST, misfit=Misfit.NEAREST, today=date(2026, 11, 20))

    assert (made.request.size, made.request.seconds) == (FULL_HD, 6)
    assert (made.fit.size, made.fit.seconds) == (Size(1280, 720), 4)


def test_extensions_and_edits_are_left_to_rushes_itself() -> None:
    for model in (FAST, PRO):
        assert not model.features & {Feature.EXTEND, Feature.EDIT, Feature.REMIX}


@pytest.mark.parametrize(("seconds", "fps"), [(12, 48), (20, 50)])
async def test_a_long_video_at_a_high_rate_is_refused_before_anything_is_sent(
    seconds: int, fps: int, tmp_path: Path
) -> None:
    with FakeLTX() as fake:
        async with at(fake, tmp_path) as provider:
            with pytest.raises(Unsupported, match="24 or 25 fps"):
                await provider.submit(prepared(asked(seconds=seconds, extra={"fps": fps}), FAST), "key-1")

        assert fake.requests == []


@pytest.mark.parametrize(("seconds", "fps"), [(20, 25), (10, 50), (6, 48)])
async def test_other_rates_are_sent_and_taken(seconds: int, fps: int, tmp_path: Path) -> None:
    extra = {"fps": fps, "camera_motion": "jib_up", "enhance_prompt": False}
    with FakeLTX() as fake:
        async with at(fake, tmp_path) as provider:
            await provider.submit(prepared(asked(seconds=seconds, extra=extra), FAST), "key-1")

        [body] = fake.bodies()
        assert {name: body[name] for name in extra} == extra


@pytest.mark.parametrize("extra", [{"fps": 30}, {"camera_motion": "spin"}, {"enhance_prompt": "perhaps"}], ids=str)
async def test_an_extra_field_with_a_value_that_is_none_is_refused(extra: dict[str, Any], tmp_path: Path) -> None:
    with FakeLTX() as fake:
        async with at(fake, tmp_path) as provider:
            with pytest.raises(Unsupported, match=next(iter(extra))):
                provider.check(prepared(asked(extra=extra), FAST))


# -- frames ---------------------------------------------------------------------------------------------------------


async def test_only_a_picture_too_large_for_the_body_is_uploaded(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    small = inputs.add(picture(1920, 1080, "JPEG"), "image/jpeg", 1920, 1080)
    wanted = prepared(asked(first_frame=small, last_frame=large(inputs)), FAST)
    with FakeLTX() as fake:
        async with at(fake, tmp_path, inputs) as provider:
            await provider.bring(wanted)
            await provider.submit(wanted, "key-1")

        [body] = fake.bodies()
        [(name, data)] = fake.uploads.items()
        put = next(each for each in fake.requests if each.method == "PUT")
        assert body["image_uri"].startswith("data:image/jpeg;base64,")
        assert body["last_frame_uri"] == f"storage://uploads/{name}"
        assert len(data) == large(inputs).size_bytes
        assert "authorization" not in put.headers, "the address for the file gets no key of ours"


async def test_an_upload_that_fails_proves_that_nothing_was_bought(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    with FakeLTX() as fake:
        fake.put_refused = True
        async with at(fake, tmp_path, inputs) as provider:
            with pytest.raises(Rejected) as caught:
                await provider.bring(prepared(asked(first_frame=large(inputs)), FAST))

        assert caught.value.proves_refusal
        assert fake.book.creates == 0


@pytest.mark.parametrize(("status", "kind"), [(403, Rejected), (400, Rejected), (500, Unavailable), (503, Unavailable)])
async def test_a_store_that_stumbles_is_tried_again_and_one_that_refuses_is_not(
    status: int, kind: type[RushesError], tmp_path: Path
) -> None:
    class Stumbling(FakeLTX):
        def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
            return Answer(status) if operation == "put" else super().answer(received, operation, fault)

    inputs = Inputs(tmp_path)
    with Stumbling() as fake:
        async with at(fake, tmp_path, inputs) as provider:
            with pytest.raises(kind) as caught:
                await provider.bring(prepared(asked(first_frame=large(inputs)), FAST))

    assert type(caught.value) is kind
    assert caught.value.retryable is (status >= 500)


async def test_a_job_is_looked_at_under_its_own_operation(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    frame = inputs.add(picture(1920, 1080), "image/png", 1920, 1080)
    with FakeLTX(job_s=0.0) as fake:
        async with at(fake, tmp_path, inputs) as provider:
            remote = await provider.submit(prepared(asked(first_frame=frame), FAST), "key-1")
            brought = RemoteJob(id=remote.id)  # as a person gives it, to settle a doubt

            assert (await provider.poll(remote)).status is Status.COMPLETED
            assert (await provider.poll(brought)).status is Status.COMPLETED
            assert await provider.assets(brought) == await provider.assets(remote)
            with pytest.raises(Vanished):
                await provider.poll(RemoteJob(id="nobody"))

        paths = [each.path for each in fake.requests if each.method == "GET"]
        assert paths[0] == f"/v2/image-to-video/{remote.id}"


# -- ends and refusals ----------------------------------------------------------------------------------------------


def word_of(value: Any) -> str:
    """What a row of looks is called."""
    return str(read_object(value).get("status", "")) or type(value).__name__


@pytest.mark.parametrize(
    ("shown", "progress"),
    [
        ({"status": "pending"}, Progress(status=Status.QUEUED)),
        ({"status": "processing"}, Progress(status=Status.IN_PROGRESS)),
        (
            {"status": "completed", "result": {"video_url": "https://x.example/v.mp4"}},
            Progress(status=Status.COMPLETED, percent=100.0),
        ),
        (
            {"status": "completed", "result": None},
            Progress(
                status=Status.FAILED,
                failure=Failure("internal_error", "It is done, but came without a video."),
                billed=True,
            ),
        ),
        (
            {"status": "failed", "error": {"type": "content_filtered_error", "message": "No."}},
            Progress(status=Status.FAILED, failure=Failure("moderation_blocked", "No.")),
        ),
        (
            {"status": "failed", "error": {"type": "api_error", "message": "It broke."}},
            Progress(status=Status.FAILED, failure=Failure("api_error", "It broke.")),
        ),
        (
            {"status": "failed"},
            Progress(status=Status.FAILED, failure=Failure("internal_error", "The server gave no reason.")),
        ),
    ],
    ids=word_of,
)
def test_a_look_is_read(shown: dict[str, Any], progress: Progress) -> None:
    assert from_wire(WireJob.model_validate(shown)) == progress


@pytest.mark.parametrize(
    ("status", "kind_of_error", "kind"),
    [
        (400, "invalid_request_error", Rejected),
        (401, "authentication_error", AccessDenied),
        (402, "insufficient_funds_error", NoCredit),
        (402, "another", NoCredit),
        (404, "not_found_error", Rejected),
        (413, "request_too_large", Rejected),
        (422, "content_filtered_error", Moderated),
        (422, "invalid_request_error", Rejected),
        (429, "rate_limit_error", RateLimited),
        (429, "concurrency_limit_error", RateLimited),
    ],
)
async def test_a_refusal_has_its_class_its_code_and_its_words(
    status: int, kind_of_error: str, kind: type[RushesError], tmp_path: Path
) -> None:
    body = json.dumps({"type": "error", "error": {"type": kind_of_error, "message": "Not so."}}).encode()
    with FakeLTX() as fake:
        async with at(fake, tmp_path) as provider:
            error = provider.error_of(Reply(status, {}, body, "create"))

    assert type(error) is kind
    assert (error.provider_code, error.proves_refusal) == (kind_of_error, True)
    assert "Not so." in str(error)


async def test_an_error_of_the_server_is_doubt_whatever_it_calls_itself(tmp_path: Path) -> None:
    body = json.dumps({"type": "error", "error": {"type": "content_filtered_error", "message": "Hm."}}).encode()
    with FakeLTX() as fake:
        async with at(fake, tmp_path) as provider:
            error = provider.error_of(Reply(500, {}, body, "create"))

    assert not isinstance(error, Moderated)
    assert not error.proves_refusal
