"""What is put on the wire, byte for byte, and how the answers of many servers are read."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import Gone, Moderated, NoCredit, NotOffered, Rejected
from rushes.http import Reply
from rushes.providers.catalog import open_model, read_table
from rushes.providers.incoming import read_wire_error
from rushes.providers.openai.create import to_wire
from rushes.providers.openai.errors import NoSuchModel, SourceGone, classify
from rushes.providers.openai.provider import OpenAI, api_root, from_wire
from rushes.providers.openai.wire import Listing, WireVideo, read_status
from rushes.providers.prepare import Prepared
from rushes.testing.bench import Inputs, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import ModelId, Size, Status, VideoRequest

SORA = ModelId("openai", "sora-2")
WAN = ModelId("openai", "wan-2.2/t2v:fp8")
PNG = picture(1280, 720, "PNG")


def asked(model_id: ModelId = SORA, **changes: Any) -> Prepared:
    known = {model.id: model for model in read_table("openai")}
    model = known.get(model_id) or open_model(model_id, None)
    return prepared(VideoRequest(prompt=changes.pop("prompt", "A cat"), model=model_id, **changes), model)


def field(name: str, value: str) -> str:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


GOLDENS: list[tuple[str, Prepared, str]] = [
    (
        "the defaults are said aloud, in the order of the vendor's packages",
        asked(),
        field("prompt", "A cat") + field("model", "sora-2") + field("seconds", "8") + field("size", "1280x720"),
    ),
    (
        "a prompt is sent as it was written",
        asked(prompt='Zwei Katzen „spielen"\nam Fluß 🐈', seconds=4, size=Size(720, 1280)),
        field("prompt", 'Zwei Katzen „spielen"\nam Fluß 🐈')
        + field("model", "sora-2")
        + field("seconds", "4")
        + field("size", "720x1280"),
    ),
    (
        "a model of one's own takes a seed, a negative prompt and any field",
        asked(
            WAN,
            seconds=3,
            size=Size(832, 480),
            seed=7,
            negative_prompt="blur",
            extra={"fps": 16, "guidance_scale": 4.5, "lora": {"name": "ink"}, "generate_sound": True, "left_out": None},
        ),
        field("prompt", "A cat")
        + field("model", "wan-2.2/t2v:fp8")
        + field("seconds", "3")
        + field("size", "832x480")
        + field("seed", "7")
        + field("negative_prompt", "blur")
        + field("fps", "16")
        + field("guidance_scale", "4.5")
        + field("lora", '{"name": "ink"}')
        + field("generate_sound", "true"),
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("request_", "golden"), [(r, g) for _, r, g in GOLDENS], ids=[name for name, _, _ in GOLDENS])
async def test_a_create_is_sent_just_so(request_: Prepared, golden: str, tmp_path: Path) -> None:
    with FakeOpenAI(strict=False) as fake:
        environment = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url}
        async with opened(OpenAI, folder=tmp_path, environment=environment) as provider:
            await provider.submit(request_, "key-1")

    sent = fake.requests[-1]
    boundary = sent.headers["content-type"].partition("boundary=")[2]
    assert (sent.method, sent.raw_path) == ("POST", "/v1/videos")
    assert sent.headers["authorization"] == f"Bearer {fake.api_key}"
    assert sent.headers["idempotency-key"] == "key-1"
    assert sent.body.decode().replace(boundary, "B") == golden + "--B--\r\n"


@pytest.mark.anyio
async def test_a_picture_goes_as_a_file_with_its_name_and_kind(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    frame = inputs.add(PNG, "image/png", 1280, 720)
    with FakeOpenAI() as fake:
        environment = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url}
        async with opened(OpenAI, folder=tmp_path, environment=environment, inputs=inputs) as provider:
            await provider.submit(asked(first_frame=frame), "key-1")

    part = fake.requests[-1].parts[-1]
    assert (part.name, part.filename, part.mime) == ("input_reference", "input_reference.png", "image/png")
    assert part.data == PNG
    assert [other.name for other in fake.requests[-1].parts] == [
        "prompt",
        "model",
        "seconds",
        "size",
        "input_reference",
    ]


def test_translation_needs_no_provider() -> None:
    call = to_wire(asked(seconds=4))

    assert call.files is not None
    assert call.files[2] == ("seconds", (None, b"4"))


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://box:8000", "http://box:8000/v1"),
        ("http://box:8000/", "http://box:8000/v1"),
        ("http://box:8000/v1", "http://box:8000/v1"),
        ("http://box:8000/v1/", "http://box:8000/v1"),
        ("https://relay.example/openai/v1/", "https://relay.example/openai/v1"),
        ("https://relay.example/openai", "https://relay.example/openai"),
        (" https://relay.example ", "https://relay.example/v1"),
        ("", ""),
    ],
)
def test_a_path_is_kept_and_a_bare_host_gets_v1(given: str, root: str) -> None:
    assert api_root(given) == root


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", Status.QUEUED),
        ("NOT_START", Status.QUEUED),
        ("in-queue", Status.QUEUED),
        ("In Progress", Status.IN_PROGRESS),
        ("processing", Status.IN_PROGRESS),
        ("Warming up", Status.IN_PROGRESS),
        ("SUCCEEDED", Status.COMPLETED),
        ("done", Status.COMPLETED),
        ("Canceled", Status.FAILED),
        ("blocked", Status.FAILED),
        ("", None),
        (None, None),
        (404, None),
    ],
)
def test_status_words_of_many_servers(word: Any, status: Status | None) -> None:
    assert read_status(word) is status


@pytest.mark.parametrize(
    ("said", "percent"),
    [
        (0, 0),
        (33, 33),
        (33.5, 33.5),
        ("33%", 33),
        ("33", 33),
        (-4, 0),
        (250, 100),
        (None, None),
        ("soon", None),
        (True, None),
    ],
)
def test_progress_is_read_in_any_form_and_kept_within_bounds(said: Any, percent: float | None) -> None:
    video = WireVideo.model_validate({"id": "v", "status": "in_progress", "progress": said})

    assert from_wire(video).percent == percent


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"seconds": "8"}, 8),
        ({"seconds": 8}, 8),
        ({"seconds": 7.96}, 8),
        ({"duration": 5.0}, 5),
        ({"seconds": None, "duration": 5}, 5),
        ({"seconds": "a while"}, None),
        ({}, None),
    ],
)
def test_the_length_is_read_in_any_form(fields: dict[str, Any], seconds: int | None) -> None:
    video = WireVideo.model_validate({"id": "v", "status": "completed", **fields})

    assert from_wire(video).seconds == seconds


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": "moderation_blocked", "message": "No."}, "moderation_blocked", "No."),
        ({"message": "Out of memory"}, "internal_error", "Out of memory"),
        ("Out of memory", "internal_error", "Out of memory"),
        ({"code": 500, "message": "Out of memory"}, "500", "Out of memory"),
        (None, "internal_error", "The server gave no reason."),
        ({}, "internal_error", "The server gave no reason."),
    ],
)
def test_a_failure_is_read_in_any_form(error: Any, code: str, message: str) -> None:
    video = WireVideo.model_validate({"id": "v", "status": "failed", "error": error})

    assert from_wire(video).failure == (code, message)


@pytest.mark.parametrize(
    ("word", "code"), [("cancelled", "cancelled"), ("expired", "expired"), ("blocked", "moderation_blocked")]
)
def test_a_word_that_tells_the_reason_is_the_reason(word: str, code: str) -> None:
    failure = from_wire(WireVideo.model_validate({"id": "v", "status": word})).failure

    assert failure is not None
    assert failure.code == code


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        (1758941485, datetime(2025, 9, 27, 2, 51, 25, tzinfo=UTC)),
        ("1758941485", datetime(2025, 9, 27, 2, 51, 25, tzinfo=UTC)),
        (1758941485000, datetime(2025, 9, 27, 2, 51, 25, tzinfo=UTC)),
        ("2025-09-27T02:51:25Z", datetime(2025, 9, 27, 2, 51, 25, tzinfo=UTC)),
        ("2025-09-27T02:51:25", datetime(2025, 9, 27, 2, 51, 25, tzinfo=UTC)),
        (0, None),
        ("tomorrow", None),
        (None, None),
    ],
)
def test_moments_are_read_as_numbers_or_text(said: Any, moment: datetime | None) -> None:
    assert WireVideo.model_validate({"id": "v", "expires_at": said}).expires_at == moment


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"message": "No.", "type": "x", "param": None, "code": "invalid_value"}}, "invalid_value", "No."),
        ({"error": "No."}, None, "No."),
        ({"error": {"message": "No.", "code": 422}}, "422", "No."),
        ({"detail": "Model mismatch"}, None, "Model mismatch"),
        ({"detail": [{"loc": ["body", "seconds"], "msg": "too long"}]}, None, "body.seconds: too long"),
        ({"detail": {"code": "busy", "message": "No."}}, "busy", "No."),
        ({"detail": {"error": {"code": "content_filter", "message": "No."}}}, "content_filter", "No."),
        ({"detail": {"error": "No."}}, None, "No."),
        ({"message": "No.", "code": 1113}, "1113", "No."),
        (["No."], None, '["No."]'),
        ("<html><style>x</style><body>Bad <b>gateway</b></body>", None, "Bad gateway"),
        ("", None, None),
    ],
)
def test_error_answers_of_many_servers(body: Any, code: str | None, message: str | None) -> None:
    raw = body if isinstance(body, str) else json.dumps(body)

    error = read_wire_error(raw.encode())

    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"code": "content_policy_violation"}, Moderated),
        (400, {"code": "Moderation_Blocked"}, Moderated),
        (403, {"code": "sentinel_block"}, Moderated),
        (400, {"code": None, "type": "content_filter"}, Moderated),
        (429, {"code": "insufficient_quota"}, NoCredit),
        (429, {"type": "insufficient_quota"}, NoCredit),
        (402, {}, NoCredit),
        (404, {"code": "model_not_found"}, NoSuchModel),
        (403, {"code": "model_not_found"}, NoSuchModel),
        (404, {}, Gone),
        (405, {}, Gone),
        (410, {}, Gone),
        (400, {"code": "invalid_value"}, None),
        (429, {"code": "rate_limit_exceeded"}, None),
    ],
)
def test_a_refused_create_is_classified_by_what_the_server_says(status: int, error: Any, kind: type | None) -> None:
    body = json.dumps({"error": error}).encode()

    found, _ = classify(Reply(status, {}, body, "create"), read_wire_error(body), "Check the key.")

    assert found is kind


@pytest.mark.parametrize(
    ("step", "status", "message", "kind"),
    [
        ("remix", 404, "Video with id 'video_1' not found.", SourceGone),
        ("edit", 404, "", SourceGone),
        ("extend", 410, "expired", SourceGone),
        ("remix", 404, "Not Found", NotOffered),
        ("edit", 404, "Invalid URL (POST /v1/videos/edits)", NotOffered),
        ("extend", 405, "Method Not Allowed", NotOffered),
        ("characters", 404, "Not Found", NotOffered),
        ("characters", 404, "", NotOffered),
        ("remix", 400, "Video is not completed", None),
        ("remix", 500, "not found", None),
        ("poll", 404, "Not Found", None),
    ],
)
def test_404_means_what_was_asked_for(step: str, status: int, message: str, kind: type | None) -> None:
    body = json.dumps({"error": {"message": message}}).encode()

    found, _ = classify(Reply(status, {}, body, step), read_wire_error(body), "Check the key.")

    assert found is kind


def test_a_model_that_the_server_lacks_is_a_refusal_for_good() -> None:
    assert issubclass(NoSuchModel, Rejected)
    assert not NoSuchModel.retryable


@pytest.mark.parametrize(
    ("page", "entries", "has_more", "well_formed"),
    [
        ({"data": [{"id": "a"}], "has_more": False, "last_id": "a"}, 1, False, True),
        ({"data": [{"id": "a"}]}, 1, None, True),
        ({"data": [{"id": "a"}, "rubbish"], "has_more": False}, 1, False, False),
        ({"data": [], "has_more": "no"}, 0, None, True),
        ({"items": []}, 0, None, False),
    ],
)
def test_a_list_is_only_trusted_if_it_is_whole(
    page: dict[str, Any], entries: int, has_more: bool | None, well_formed: bool
) -> None:
    listing = Listing.model_validate(page)

    assert (len(listing.data), listing.has_more, listing.well_formed) == (entries, has_more, well_formed)
