"""fal against its fake: how a request is named and looked at again, how it ends, what goes along."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
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
from rushes.providers.fal.provider import INLINE_MAX_BYTES, REST_URL, Fal
from rushes.providers.fal.wire import Row, app_of, to_wire
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import clip, picture
from rushes.testing.fakes.fal import FakeFal
from rushes.testing.server import Answer
from rushes.testing.vendor import VendorJob
from rushes.video import MediaRef, Reference, Size, SourceKind, SourceVideo, Status, VideoRequest
from tests.providers.fal_bench import KLING, MODELS, NOBODY, asked, at

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake() -> Iterator[FakeFal]:
    with FakeFal(job_s=0.0) as fake:
        yield fake


# -- addresses -------------------------------------------------------------------------------------------------------


class Astray(FakeFal):
    """It tells addresses on another host."""

    def accepted(self, job: VendorJob) -> dict[str, Any]:
        shown = super().accepted(job)
        return {name: str(told).replace(self.url, "https://elsewhere.example") for name, told in shown.items()}


async def test_addresses_on_another_host_are_not_followed_with_our_key(tmp_path: Path) -> None:
    with Astray(job_s=0.0) as fake:
        async with at(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            progress = await provider.poll(remote)

    assert set(remote.data) == {"app"}
    assert progress.status is Status.COMPLETED


async def test_the_addresses_that_a_submit_tells_are_kept_without_their_host(fake: FakeFal, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")

    assert remote.data["status"] == f"/kling/v4/requests/{remote.id}/status"


@pytest.mark.parametrize(
    ("endpoint", "app"),
    [
        ("bytedance/seedance-2.5/us/text-to-video", "bytedance/seedance-2.5"),
        ("fal-ai/veo3.1", "fal-ai/veo3.1"),
        ("workflows/somebody/my-flow/run", "workflows/somebody/my-flow"),
        ("comfy/somebody/my-flow", "comfy/somebody/my-flow"),
    ],
)
def test_the_addresses_of_a_request_hold_only_the_first_steps_of_its_model(endpoint: str, app: str) -> None:
    assert app_of(endpoint) == app


@pytest.mark.parametrize("form", ["{}", "kling/v4/{}", "https://queue.fal.run/kling/v4/requests/{}"])
async def test_a_request_that_a_person_adopts_is_found_by_its_id_alone(
    form: str, fake: FakeFal, tmp_path: Path
) -> None:
    async with at(fake, tmp_path) as provider:
        made = await provider.submit(asked(), "key-1")
        adopted = RemoteJob(id=form.format(made.id))

        assert (await provider.poll(adopted)).status is Status.COMPLETED
        assert (await provider.assets(adopted))[0].url == f"{fake.url}/results/{made.id}.mp4"


async def test_an_id_that_no_listed_app_knows_is_told_how_to_be_written(fake: FakeFal, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        with pytest.raises(Vanished, match=f"OWNER/APP/{NOBODY}"):
            await provider.poll(RemoteJob(id=NOBODY))


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        ({}, "rest.fal.ai:443"),
        ({"base_url": "https://relay.example/fal"}, "relay.example:443"),
        ({"base_url": "https://relay.example/fal", "rest_url": REST_URL}, "rest.fal.ai:443"),
    ],
)
async def test_the_key_of_a_relay_is_not_shown_to_fal(options: dict[str, Any], origin: str, tmp_path: Path) -> None:
    section = ProviderSettings(**options)
    async with opened(Fal, folder=tmp_path, environment={"FAL_KEY": "k"}, section=section) as provider:
        assert isinstance(provider, Fal)
        assert provider.rest.origin == origin


# -- how a create is refused -----------------------------------------------------------------------------------------

POLICY = {"detail": [{"loc": ["body", "prompt"], "msg": "Flagged.", "type": "content_policy_violation"}]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "refused"),
    [
        (422, POLICY, Moderated, True),
        (400, {"detail": "Flagged.", "error_type": "content_policy_violation"}, Moderated, True),
        (422, {"detail": [{"loc": ["body", "duration"], "msg": "Bad.", "type": "value_error"}]}, Rejected, True),
        (401, {"detail": "Authentication is required."}, AccessDenied, True),
        (403, {"detail": "Cannot access application."}, AccessDenied, True),
        (403, {"detail": "User is locked. Reason: Exhausted balance."}, NoCredit, True),
        (402, {"detail": "Payment required."}, NoCredit, True),
        (404, {"detail": "Application 'kling/v9' not found."}, Rejected, True),
        (429, {"detail": "Too many.", "error_type": "concurrent_requests_limit"}, RateLimited, True),
        (503, {"detail": "Later.", "error_type": "runner_scheduling_failure"}, Unavailable, False),
    ],
)
async def test_a_refused_create_is_told_as_what_it_is(
    status: int, body: dict[str, Any], kind: type[ProviderError], refused: bool, tmp_path: Path
) -> None:
    class Refusing(FakeFal):
        def answer(self, received: Any, operation: str, fault: Any) -> Answer:
            return Answer.json(body, status)

    with Refusing() as fake:
        async with at(fake, tmp_path) as provider:
            with pytest.raises(kind) as caught:
                await provider.submit(asked(), "key-1")

    assert type(caught.value) is kind
    assert caught.value.proves_refusal is refused


# -- how a request ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "billed"),
    [
        (Answer.json(POLICY, 422), "moderation_blocked", False),
        (Answer.json({"detail": [{"msg": "Small.", "type": "image_too_small"}]}, 422), "image_too_small", False),
        (Answer.json({"detail": "Slow.", "error_type": "generation_timeout"}, 504), "generation_timeout", False),
        (Answer.json({"detail": "Broken."}, 500, {"x-fal-retryable": "true"}), "internal_error", False),
        (Answer.json({"detail": "Broken."}, 500, {"x-fal-needs-retry": "1"}), "internal_error", False),
        (Answer.json({"detail": "No."}, 400), "internal_error", False),
        (Answer.json({"seed": 7}), "internal_error", True),
        (Answer.json({"video": None}), "internal_error", True),
    ],
)
async def test_completed_may_be_a_failure_that_only_the_result_tells(
    answer: Answer, code: str, billed: bool, fake: FakeFal, tmp_path: Path
) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.scripted[remote.id] = [answer]

        progress = await provider.poll(remote)

    assert progress.status is Status.FAILED
    assert progress.failure is not None
    assert (progress.failure.code, progress.billed) == (code, billed)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(500, b"Bad gateway"), Unavailable),
        (Answer.json({"detail": "Not found."}, 404), Vanished),
        (Answer.json({"detail": "Slow down."}, 429), RateLimited),
        (Answer.json({"detail": "Who are you?"}, 401), AccessDenied),
    ],
)
async def test_a_result_that_cannot_be_had_now_fails_no_paid_request(
    answer: Answer, kind: type[ProviderError], fake: FakeFal, tmp_path: Path
) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.scripted[remote.id] = [answer]

        with pytest.raises(kind):
            await provider.poll(remote)
        assert (await provider.poll(remote)).status is Status.COMPLETED


@pytest.mark.parametrize(
    "answer",
    [
        Answer.json({"detail": "Request is still in progress"}, 400),
        Answer.json({"status": "IN_PROGRESS"}, 202),
    ],
)
async def test_a_result_that_is_not_there_yet_fails_no_paid_request(
    answer: Answer, fake: FakeFal, tmp_path: Path
) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.scripted[remote.id] = [answer]

        assert (await provider.poll(remote)).status is Status.IN_PROGRESS
        assert (await provider.poll(remote)).status is Status.COMPLETED


@pytest.mark.parametrize("result", [{"video": "{}"}, {"videos": [{"url": "{}"}]}])
async def test_a_video_is_found_in_the_other_shapes_of_a_result(
    result: dict[str, Any], fake: FakeFal, tmp_path: Path
) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.scripted[remote.id] = [Answer.json(result)]

        assert (await provider.assets(remote))[0].url == "{}"


@pytest.mark.parametrize(
    ("options", "hours"), [({"keep_results_s": 7200}, 2), ({"store_io": False}, 1), ({"store_io": True}, 7 * 24)]
)
async def test_a_result_is_known_to_be_gone_when_it_was_to_be_kept_no_longer(
    options: dict[str, Any], hours: int, fake: FakeFal, tmp_path: Path
) -> None:
    async with at(fake, tmp_path, **options) as provider:
        remote = await provider.submit(asked(), "key-1")
        progress = await provider.poll(remote)

    assert progress.expires_at is not None
    assert timedelta(minutes=-1) < progress.expires_at - datetime.now(UTC) - timedelta(hours=hours) <= timedelta(0)


# -- cancelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obeys", "answer", "stopped"),
    [
        (True, None, True),
        (False, None, False),
        (False, Answer.json({"status": "OK"}), True),
        (False, Answer.json({"status": "ALREADY_COMPLETED"}, 400), False),
        (False, Answer.json({"status": "NOT_FOUND"}, 404), False),
    ],
)
async def test_a_running_request_counts_as_stopped_only_once_that_is_seen(
    obeys: bool, answer: Answer | None, stopped: bool, fake: FakeFal, tmp_path: Path
) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        job = fake.jobs[remote.id]
        job.job_s, job.started = 60.0, job.started - 30.0
        fake.stops_running, fake.answers_cancel = obeys, answer

        assert await provider.cancel(remote) is stopped


async def test_what_is_done_already_is_not_cancelled_but_fetched(fake: FakeFal, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")

        assert not await provider.cancel(remote)
        fake.answers_cancel = Answer.json({"status": "CANCELLATION_REQUESTED"}, 202)
        assert not await provider.cancel(remote), "asked to stop, and done all the same"


# -- what goes along -------------------------------------------------------------------------------------------------


def large(inputs: Inputs) -> MediaRef:
    return inputs.add(picture(1280, 720) + bytes(INLINE_MAX_BYTES), "image/png", 1280, 720)


async def test_a_large_picture_is_uploaded_and_a_small_one_is_not(fake: FakeFal, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    first, last = large(inputs), inputs.add(picture(1280, 720), "image/png", 1280, 720)
    async with at(fake, tmp_path, inputs=inputs) as provider:
        wish = asked(first_frame=first, last_frame=last)
        assert provider.to_bring(wish) == [first]
        await provider.bring(wish)
        await provider.submit(wish, "key-1")

    [body] = fake.bodies()
    [name] = fake.uploads
    assert body["start_image_url"] == f"{fake.url}/files/{name}"
    assert body["end_image_url"].startswith("data:image/png;base64,")
    put = next(each for each in fake.requests if each.method == "PUT")
    assert len(fake.uploads[name]) == first.size_bytes
    assert "authorization" not in put.headers, "the address itself says who may put a file there"


async def test_an_upload_that_fails_is_a_refusal_and_buys_nothing(tmp_path: Path) -> None:
    class Full(FakeFal):
        def answer(self, received: Any, operation: str, fault: Any) -> Answer:
            return Answer(500) if operation == "put" else super().answer(received, operation, fault)

    inputs = Inputs(tmp_path)
    with Full() as fake:
        async with at(fake, tmp_path, inputs=inputs) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.bring(asked(first_frame=large(inputs)))

    assert caught.value.proves_refusal
    assert fake.book.creates == 0


async def test_what_the_settings_and_a_request_ask_of_the_queue_is_in_the_headers(
    fake: FakeFal, tmp_path: Path
) -> None:
    async with at(fake, tmp_path, retry=False, store_io=False, keep_results_s=86400) as provider:
        await provider.submit(asked(extra={"priority": "low", "start_within_s": 90}), "key-1")

    [sent] = fake.requests
    assert {name: value for name, value in sent.headers.items() if name.startswith("x-fal")} == {
        "x-fal-queue-priority": "low",
        "x-fal-request-timeout": "90",
        "x-fal-no-retry": "1",
        "x-fal-store-io": "0",
        "x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 86400}',
    }
    assert sent.headers["authorization"] == f"Key {fake.api_key}"


async def test_nothing_is_asked_of_the_queue_that_nobody_asked_for(fake: FakeFal, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        await provider.submit(asked(), "key-1")

    assert not [name for name in fake.requests[0].headers if name.startswith("x-fal")]


async def test_a_models_own_field_goes_along_but_may_not_change_what_was_priced(fake: FakeFal, tmp_path: Path) -> None:
    wish = asked(extra={"input": {"multi_prompt": []}})
    row = Row.model_validate(dict(KLING.wire))
    async with at(fake, tmp_path) as provider:
        provider.check(wish)
        with pytest.raises(Unsupported, match="input: resolution is set by rushes itself"):
            provider.check(asked(extra={"input": {"resolution": "1080p"}}))

    assert to_wire(wish.request, row, {}, None, {"multi_prompt": []})["multi_prompt"] == []


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        ("minimax/h3-max", {"references": 1, "first_frame": 1}, "first and last frame or references, not both"),
        ("kling/v4", {"last_frame": 1}, r"takes a last_frame only together with a first_frame"),
        ("lightricks/ltx-2.5/fast", {"seconds": 12, "size": Size(3840, 2160)}, "makes 6, 8 or 10 seconds, not 12"),
        ("google/gemini-omni-flash/v1.1", {"seconds": 12}, "makes 3 to 10 seconds, not 12"),
        ("xai/grok-imagine-video/v1.5", {"references": 1}, "does not take references"),
        ("xai/grok-imagine-video/v1.5", {"first_frame": 1, "size": Size(1920, 1080)}, "does not make 1920x1080"),
        ("kling/v4", {"audio": False}, "does not take audio off"),
    ],
)
def test_what_a_model_does_not_make_is_refused_unsent(
    model: str, wish: dict[str, Any], words: str, tmp_path: Path
) -> None:
    frame = Inputs(tmp_path).add(picture(1280, 720), "image/png", 1280, 720)
    given: dict[str, Any] = {
        "references": (Reference(media=frame),),
        "first_frame": frame,
        "last_frame": frame,
    }
    filled = {name: given.get(name, value) for name, value in wish.items()}
    with pytest.raises(Unsupported, match=words):
        prepared(VideoRequest(prompt="A boat", model=MODELS[model].id, **filled), MODELS[model])


async def test_a_given_clip_is_uploaded_to_be_edited(fake: FakeFal, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    film = replace(inputs.add(clip(1280, 720, 4.0, fps=5), "video/mp4", 1280, 720), seconds=4.0)
    source = SourceVideo(kind=SourceKind.EDIT, video_id=None, size=film.size, seconds=4, media=film)
    async with at(fake, tmp_path, inputs=inputs) as provider:
        wish = asked(source=source)
        await provider.bring(wish)
        await provider.submit(wish, "key-1")
        with pytest.raises(Unsupported, match="an edit takes no first or last frame"):
            provider.check(asked(source=source, first_frame=large(inputs)))

    [body] = fake.bodies()
    assert set(body) == {"prompt", "video_url", "resolution"}, "it is as long as its source, and has its shape"
    assert wish.estimate_usd == fake.book.total_usd
