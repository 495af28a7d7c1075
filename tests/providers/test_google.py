"""Google against its fake: what is refused unsent, what is asked for, what its answers mean, webhooks."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rushes import signatures
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
from rushes.providers.google import wire
from rushes.providers.google.wire import WireInteraction
from rushes.providers.prepare import prepare
from rushes.providers.terms import Hint, RemoteJob
from rushes.testing.bench import TODAY, Inputs
from rushes.testing.clips import picture
from rushes.testing.fakes.google import FakeGoogle
from rushes.testing.vendor import State
from rushes.video import Reference, Size, SourceKind, Status, VideoRequest
from tests.providers.google_bench import MODELS, OMNI, OMNI_2, VEO, asked, at, file, source

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)


@pytest.fixture
def fake() -> Iterator[FakeGoogle]:
    with FakeGoogle(job_s=0.0) as fake:
        yield fake


def told(**fields: Any) -> WireInteraction:
    return WireInteraction.model_validate({"id": "v1_1", **fields})


def made(**video: Any) -> list[Any]:
    return [
        {"type": "user_input", "content": [{"type": "video", "uri": "https://h/v1beta/files/given"}]},
        {"type": "thought", "content": None},
        {"type": "model_output", "content": [{"type": "video", **video}]},
    ]


# -- what is refused unsent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        (OMNI, {"seconds": 12}, "makes 3 to 10 seconds, not 12"),
        (OMNI, {"last_frame": file()}, "only together with a first_frame"),
        (OMNI, {"audio": False}, "does not take audio off"),
        (OMNI, {"seed": 1}, "does not take seed"),
        (OMNI, {"first_frame": file(), "references": (Reference(media=file()),)}, "not both"),
        (OMNI, {"references": (Reference(media=file("video/mp4", 2.0)),) * 4}, "at most 3 clips"),
        (OMNI, {"source": source(SourceKind.EDIT, seconds=12)}, "takes sources of 3 to 10 seconds"),
        (OMNI, {"source": source(SourceKind.EXTEND, seconds=35), "seconds": 8}, "would last 43 seconds"),
        (OMNI_2, {"source": source(SourceKind.EXTEND, seconds=25), "seconds": 8}, "would last 33 seconds"),
        (OMNI_2, {"source": source(SourceKind.EXTEND), "seconds": 12}, "makes 3 to 10 seconds, not 12"),
        ("gemini-omni-flash-preview", {}, "retired on 2026-09-30. Use google:video:gemini-omni-1.1-flash"),
        ("veo-3.1-generate-preview", {}, "retired on 2026-10-22. Use google:video:gemini-omni-1.1-flash"),
        ("veo-3.0-generate-001", {}, "retired on 2026-06-30"),
        ("veo-2.0-generate-001", {}, "retired on 2026-06-30"),
    ],
)
def test_what_the_table_tells_is_refused_in_preparing(model: str, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        prepare(VideoRequest(prompt="A cat", model=MODELS[model].id, **wish), MODELS[model], today=TODAY)


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        (OMNI, {"references": (Reference(media=file("video/mp4", 3.4)),)}, "at most 3 seconds"),
        (OMNI, {"source": source(SourceKind.EDIT), "first_frame": file()}, "no first or last frame beside a video"),
        (OMNI, {"source": source(SourceKind.EDIT), "references": (Reference(media=file()),)}, "no references beside"),
        (OMNI, {"extra": {"person_generation": "disallow"}}, "It takes: labels"),
        (VEO, {"extra": {"labels": {"shelf": "b"}}}, "It takes: person_generation"),
        (VEO, {"extra": {"person_generation": "everybody"}}, "person_generation"),
    ],
)
async def test_what_the_provider_sees_is_refused_before_anything_is_sent(
    model: str, wish: dict[str, Any], words: str, fake: FakeGoogle, tmp_path: Path
) -> None:
    async with at(fake, tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            await provider.submit(asked(model, **wish), "key-1")

    assert fake.requests == []


async def test_the_newer_model_takes_references_beside_an_edit(fake: FakeGoogle, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    hat = Reference(media=inputs.add(picture(320, 180), "image/png", 320, 180))
    async with at(fake, tmp_path, inputs=inputs) as provider:
        first = await provider.submit(asked(OMNI_2), "key-1")
        edit = source(SourceKind.EDIT, remote_id=first.id)
        await provider.submit(asked(OMNI_2, "Put on this hat", source=edit, references=(hat,)), "key-2")

    sent = fake.bodies()[-1]
    assert [part["type"] for part in sent["input"]] == ["image", "text"]
    assert sent["previous_interaction_id"] == first.id


# -- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shape", "resolution"),
    [
        (Size(640, 360), "16:9", "360p"),
        (Size(360, 640), "9:16", "360p"),
        (Size(1920, 1080), "16:9", "1080p"),
        (Size(2160, 3840), "9:16", "4k"),
    ],
)
def test_a_size_is_a_shape_and_a_resolution(size: Size, shape: str, resolution: str) -> None:
    body = wire.to_wire(asked(size=size, seconds=3).request, {}, background=True)

    wanted = body["response_format"]
    assert wanted == {
        "type": "video",
        "aspect_ratio": shape,
        "resolution": resolution,
        "duration": "3s",
        "delivery": "uri",
    }


def test_labels_go_along() -> None:
    body = wire.to_wire(asked().request, {}, background=False, labels={"shelf": "b"})

    assert (body["labels"], body["background"], body["store"]) == ({"shelf": "b"}, False, True)


def test_what_goes_on_by_id_names_no_task_and_is_led_by_words() -> None:
    extend = asked(prompt="It rains", source=source(SourceKind.EXTEND), seconds=4).request

    body = wire.to_wire(extend, {}, background=True)

    assert "generation_config" not in body
    assert body["input"] == [{"type": "text", "text": "Extend this video: It rains"}]
    assert body["response_format"] == {"type": "video", "resolution": "720p", "duration": "4s", "delivery": "uri"}


# -- what an answer means --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [
        ("queued", Status.QUEUED, None),
        ("in_progress", Status.IN_PROGRESS, None),
        ("requires_continuation", Status.IN_PROGRESS, None),
        ("QUEUED", Status.QUEUED, None),
        ("failed", Status.FAILED, "internal_error"),
        ("cancelled", Status.FAILED, "cancelled"),
        ("incomplete", Status.FAILED, "incomplete"),
        ("budget_exceeded", Status.FAILED, "budget_exceeded"),
        ("requires_action", Status.FAILED, "requires_action"),
    ],
)
def test_a_status_word_means(word: str, status: Status, code: str | None) -> None:
    progress = wire.from_wire(told(status=word))

    assert (progress.status, progress.failure and progress.failure.code) == (status, code)
    assert progress.percent is None
    assert not progress.billed


def test_a_failure_is_told_in_the_vendors_words() -> None:
    failed = wire.from_wire(told(status="failed", errors=[{"code": "internal", "message": "Out of memory."}]))
    blocked = wire.from_wire(told(status="failed", errors=[{"message": "It violates our usage guidelines."}]))
    in_a_step = wire.from_wire(told(status="failed", steps=[{"type": "model_output", "error": {"message": "Oh."}}]))

    assert failed.failure == ("internal", "Out of memory.")
    assert blocked.failure == (Moderated.code, "It violates our usage guidelines.")
    assert in_a_step.failure == ("internal_error", "Oh.")


def test_what_is_done_and_has_no_video_is_a_failure_that_is_billed() -> None:
    words = [{"type": "model_output", "content": [{"type": "text", "text": "I cannot make that."}]}]
    only_given = told(status="completed", steps=made(uri=None)[:1])

    silent, speaking, given = (
        wire.from_wire(told(status="completed", steps=None)),
        wire.from_wire(told(status="completed", steps=words)),
        wire.from_wire(only_given),
    )

    assert [each.status for each in (silent, speaking, given)] == [Status.FAILED] * 3
    assert [each.billed for each in (silent, speaking, given)] == [True] * 3
    assert speaking.failure == ("internal_error", "I cannot make that.")


INVALID = {"code": 400, "status": "INVALID_ARGUMENT"}


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, {**INVALID, "message": "Duration 11s exceeds the maximum."}, Rejected, "INVALID_ARGUMENT"),
        (400, {**INVALID, "message": "API key not valid. Please pass one."}, AccessDenied, "INVALID_ARGUMENT"),
        (400, {**INVALID, "message": "It violates our Usage Guidelines."}, Moderated, "INVALID_ARGUMENT"),
        (400, {"message": "The prompt has sensitive words.", "code": "invalid_request"}, Moderated, "invalid_request"),
        (400, {"message": "Please enable billing.", "status": "FAILED_PRECONDITION"}, NoCredit, "FAILED_PRECONDITION"),
        (401, {"message": "No."}, AccessDenied, None),
        (403, {"message": "No.", "status": "PERMISSION_DENIED"}, AccessDenied, "PERMISSION_DENIED"),
        (403, {"message": "Your prepayment credits are depleted."}, NoCredit, None),
        (404, {"message": "models/x is not found."}, Rejected, None),
        (429, {"message": "Quota. Check your plan and billing.", "status": "RESOURCE_EXHAUSTED"}, RateLimited, None),
        (500, {"message": "It broke.", "status": "INTERNAL"}, Unavailable, "INTERNAL"),
        (503, {"message": "Safety first.", "status": "UNAVAILABLE"}, Unavailable, "UNAVAILABLE"),
    ],
)
async def test_a_refusal_is_of_the_kind_that_its_status_and_words_say(
    status: int,
    error: dict[str, Any],
    kind: type[ProviderError],
    code: str | None,
    fake: FakeGoogle,
    tmp_path: Path,
) -> None:
    async with at(fake, tmp_path) as provider:
        for body in ({"error": error}, [{"error": error}]):
            refusal = provider.error_of(Reply(status, {}, json.dumps(body).encode(), "create"))

            assert type(refusal) is kind
            assert refusal.proves_refusal is (status < 500)
            assert refusal.message == f"Google: {error['message']}"
            assert code is None or refusal.provider_code == code


async def test_a_job_that_is_not_there_may_come_back_but_a_source_does_not(fake: FakeGoogle, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        looked = provider.error_of(Reply(404, {}, b"{}", "poll"))
        bought = provider.error_of(Reply(404, {}, b"{}", "create"))

    assert (type(looked), type(bought)) == (Vanished, Rejected)


# -- cancelling, webhooks, set-up ------------------------------------------------------------------------------------


async def test_only_what_still_runs_can_be_cancelled(fake: FakeGoogle, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        ended = await provider.submit(asked(), "key-1")
        fake.job_s = 60.0
        running = await provider.submit(asked(), "key-2")

        assert not await provider.cancel(ended)
        assert await provider.cancel(running)
        assert fake.jobs[running.id].ended is State.CANCELLED
        assert not await provider.cancel(RemoteJob(id="v1_unknown"))


SECRET = signatures.secret_of(b"a secret of thirty-two bytes 123")
EVENT = json.dumps({"type": "interaction.completed", "data": {"id": "v1_1"}}).encode()


def signed(body: bytes = EVENT, ago_s: int = 0) -> dict[str, str]:
    return signatures.headers_for(SECRET, "msg_1", int(datetime.now(UTC).timestamp()) - ago_s, body)


async def test_a_signed_message_is_a_trusted_hint(fake: FakeGoogle, tmp_path: Path) -> None:
    async with at(fake, tmp_path, {"GEMINI_WEBHOOK_SECRET": SECRET}) as provider:
        assert await provider.read_webhook(signed(), EVENT) == Hint(remote_id="v1_1", trusted=True)


@pytest.mark.parametrize(
    ("headers", "body"),  # made when the test runs: collected long before, all of them would be old
    [
        (dict, EVENT),
        (signed, EVENT.replace(b"v1_1", b"v1_2")),
        (lambda: signed(ago_s=600), EVENT),
        (lambda: {**signed(), "webhook-id": "msg_2"}, EVENT),
        (lambda: {**signed(), "webhook-signature": "v1,AAAA"}, EVENT),
    ],
    ids=["missing", "tampered", "old", "another message", "wrong"],
)
async def test_a_message_that_is_not_signed_as_agreed_is_refused(
    headers: Callable[[], dict[str, str]], body: bytes, fake: FakeGoogle, tmp_path: Path
) -> None:
    async with at(fake, tmp_path, section={"webhook_secret": SECRET}) as provider:
        with pytest.raises(AccessDenied, match="not signed"):
            await provider.read_webhook(headers(), body)


async def test_without_a_secret_a_message_is_a_hint_from_anybody(fake: FakeGoogle, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        assert await provider.read_webhook({}, EVENT) == Hint(remote_id="v1_1", trusted=False)
        for body in (b"", b"[]", b'{"type": "batch.failed", "data": {"id": "b"}}', b'{"type": "interaction.failed"}'):
            assert await provider.read_webhook({}, body) is None


async def test_jobs_name_our_address_only_where_no_webhook_is_registered(fake: FakeGoogle, tmp_path: Path) -> None:
    address = "https://rushes.example"
    async with at(fake, tmp_path, public_url=address) as provider:
        await provider.submit(asked(), "key-1")
    async with at(fake, tmp_path, {"GEMINI_WEBHOOK_SECRET": SECRET}, public_url=address) as provider:
        await provider.submit(asked(), "key-2")

    first, second = fake.bodies()
    assert first["webhook_config"] == {"uris": [f"{address}/webhooks/google"]}
    assert "webhook_config" not in second


async def test_a_ping_tells_a_good_key_from_a_bad_one(fake: FakeGoogle, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        assert await provider.ping() == "answers, key accepted"
    async with at(fake, tmp_path, {"GEMINI_API_KEY": "another-key-0123456789"}) as provider:
        assert await provider.ping() == "key refused"
    assert fake.book.creates == 0
