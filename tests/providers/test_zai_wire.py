"""What is put on Z.ai's wire, field by field, and how its answers and codes are read."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import (
    AccessDenied,
    BadReply,
    Gone,
    Moderated,
    NoCredit,
    RateLimited,
    Rejected,
    RushesError,
    Unavailable,
    UnknownModel,
    Vanished,
)
from rushes.http import Reply
from rushes.providers.catalog import read_table
from rushes.providers.prepare import prepare
from rushes.providers.refusals import MODERATION_CODES
from rushes.providers.zai.provider import Zai
from rushes.providers.zai.wire import RULINGS, SHAPES, from_wire, read_task, shape_of
from rushes.testing.bench import TODAY, Inputs, opened
from rushes.testing.clips import picture
from rushes.testing.fake_zai import API_KEY, FakeZai
from rushes.testing.zai_rules import STATUS_OF_CODE
from rushes.video import Failure, Reference, Size, Status, VideoRequest

ONE, TWO = picture(320, 180, "PNG"), picture(300, 180, "JPEG")
ONE_URL = f"data:image/png;base64,{base64.b64encode(ONE).decode()}"
TWO_URL = f"data:image/jpeg;base64,{base64.b64encode(TWO).decode()}"
FIRST, BOTH, REFERENCE = {"first_frame": "one"}, {"first_frame": "one", "last_frame": "two"}, {"references": ["one"]}

GOLDENS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("the defaults are said aloud", "cogvideox-3", {}, {"size": "1920x1080", "duration": 5}),
    (
        "size, length and sound",
        "cogvideox-3",
        {"size": Size(720, 1280), "seconds": 10, "audio": True},
        {"size": "720x1280", "duration": 10, "with_audio": True},
    ),
    (
        "silence is asked for as such",
        "cogvideox-3",
        {"audio": False},
        {"size": "1920x1080", "duration": 5, "with_audio": False},
    ),
    (
        "one picture is a text",
        "cogvideox-3",
        FIRST,
        {"image_url": ONE_URL, "size": "1920x1080", "duration": 5},
    ),
    (
        "two are a list, first frame first",
        "cogvideox-3",
        BOTH,
        {"image_url": [ONE_URL, TWO_URL], "size": "1920x1080", "duration": 5},
    ),
    (
        "every option of CogVideoX",
        "cogvideox-3",
        {
            "extra": {
                "quality": "quality",
                "fps": 60,
                "watermark_enabled": False,
                "user_id": "team-7",
                "off_peak": True,
            }
        },
        {
            "size": "1920x1080",
            "duration": 5,
            "quality": "quality",
            "fps": 60,
            "watermark_enabled": False,
            "user_id": "team-7",
            "off_peak": True,
        },
    ),
    (
        "an option that is null is not sent",
        "cogvideox-3",
        {"extra": {"quality": None}},
        {"size": "1920x1080", "duration": 5},
    ),
    ("a length that cannot be chosen is not sent", "cogvideox-2", {}, {"size": "1920x1080"}),
    (
        "the free one, from a picture, with sound",
        "cogvideox-flash",
        {**FIRST, "size": Size(960, 1280), "audio": True, "extra": {"fps": 30}},
        {"image_url": ONE_URL, "size": "960x1280", "with_audio": True, "fps": 30},
    ),
    (
        "the shape of a Vidu video from text is an aspect ratio",
        "viduq1-text",
        {},
        {"size": "1920x1080", "aspect_ratio": "16:9", "duration": 5},
    ),
    (
        "upright, drawn, and with no field for silence",
        "viduq1-text",
        {"size": Size(1080, 1920), "audio": False, "extra": {"style": "anime", "movement_amplitude": "large"}},
        {
            "size": "1920x1080",
            "aspect_ratio": "9:16",
            "duration": 5,
            "style": "anime",
            "movement_amplitude": "large",
        },
    ),
    (
        "square",
        "viduq1-text",
        {"size": Size(1080, 1080)},
        {"size": "1920x1080", "aspect_ratio": "1:1", "duration": 5},
    ),
    (
        "Vidu Q1 from a frame",
        "viduq1-image",
        {**FIRST, "extra": {"movement_amplitude": "small", "user_id": "team-7", "off_peak": False}},
        {
            "image_url": ONE_URL,
            "size": "1920x1080",
            "duration": 5,
            "movement_amplitude": "small",
            "user_id": "team-7",
            "off_peak": False,
        },
    ),
    (
        "Vidu Q1 from first to last",
        "viduq1-start-end",
        {**BOTH, "audio": True},
        {"image_url": [ONE_URL, TWO_URL], "size": "1920x1080", "duration": 5, "with_audio": True},
    ),
    (
        "Vidu 2 from a frame, with music",
        "vidu2-image",
        {**FIRST, "audio": True},
        {"image_url": ONE_URL, "size": "1280x720", "duration": 4, "with_audio": True},
    ),
    (
        "Vidu 2 from first to last, small",
        "vidu2-start-end",
        {**BOTH, "size": Size(480, 360)},
        {"image_url": [ONE_URL, TWO_URL], "size": "480x360", "duration": 4},
    ),
    (
        "a single reference is a list too",
        "vidu2-reference",
        REFERENCE,
        {"image_url": [ONE_URL], "size": "1280x720", "aspect_ratio": "16:9", "duration": 4},
    ),
    (
        "three references, upright",
        "vidu2-reference",
        {"references": ["one", "two", "one"], "size": Size(720, 1280), "audio": False},
        {
            "image_url": [ONE_URL, TWO_URL, ONE_URL],
            "size": "1280x720",
            "aspect_ratio": "9:16",
            "duration": 4,
            "with_audio": False,
        },
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "wish", "golden"), [case[1:] for case in GOLDENS], ids=[f"{case[1]}: {case[0]}" for case in GOLDENS]
)
async def test_a_create_is_sent_just_so(
    model: str, wish: dict[str, Any], golden: dict[str, Any], tmp_path: Path
) -> None:
    inputs = Inputs(tmp_path)
    held = {
        "one": inputs.add(ONE, "image/png", 320, 180),
        "two": inputs.add(TWO, "image/jpeg", 300, 180),
    }
    wish = dict(wish)
    for name in ("first_frame", "last_frame"):
        if name in wish:
            wish[name] = held[wish[name]]
    if "references" in wish:
        wish["references"] = tuple(Reference(media=held[name]) for name in wish["references"])
    known = next(row for row in read_table("zai") if row.id.model == model)
    asked = prepare(VideoRequest(prompt="Ein Boot 🚤", model=known.id, **wish), known, today=TODAY)
    with FakeZai(mainland=True) as fake:
        environment = {"ZHIPUAI_API_KEY": fake.api_key, "ZAI_BASE_URL": fake.base_url}
        async with opened(Zai, folder=tmp_path, environment=environment, inputs=inputs) as provider:
            await provider.submit(asked, "video_0a1b-1")

        (sent,) = fake.requests
        assert (sent.method, sent.raw_path) == ("POST", "/api/paas/v4/videos/generations")
        assert sent.mime == "application/json"
        assert sent.headers["authorization"] == f"Bearer {API_KEY}"
        assert json.loads(sent.body) == {
            "model": model,
            "prompt": "Ein Boot 🚤",
            "request_id": "video_0a1b-1",
            **golden,
        }
        assert fake.book.charged == 1


def test_every_model_is_in_the_goldens_and_has_a_shape() -> None:
    models = {row.id.model for row in read_table("zai")}

    assert {model for _, model, _, _ in GOLDENS} == models == set(SHAPES)


@pytest.mark.parametrize(("newer", "like"), [("viduq3-image", "vidu2-image"), ("cogvideox-4", "cogvideox-3")])
def test_a_newer_model_has_the_fields_of_its_family(newer: str, like: str) -> None:
    assert shape_of(newer) == shape_of(like)


# -- looks -----------------------------------------------------------------------------------------------------------


def look(**answer: Any) -> Any:
    task = read_task(json.dumps(answer).encode())
    assert task is not None
    return from_wire(task)


@pytest.mark.parametrize("word", ["PROCESSING", "processing", "QUEUED", "NOT_A_WORD", "Warming Up"])
def test_what_is_not_over_goes_on_without_a_percentage(word: str) -> None:
    progress = look(task_status=word)

    assert not progress.status.final
    assert progress.percent is None


def test_a_finished_job_is_complete() -> None:
    progress = look(task_status="SUCCESS", video_result=[{"url": "https://x/v.mp4", "cover_image_url": "https://x/c"}])

    assert (progress.status, progress.percent, progress.failure) == (Status.COMPLETED, 100.0, None)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ({}, "internal_error", "The server gave no reason."),
        ({"message": "It broke."}, "internal_error", "It broke."),
        ({"error": "It broke."}, "internal_error", "It broke."),
        ({"error": {"code": 500, "message": "It broke."}}, "provider_unavailable", "It broke. (code 500)"),
        ({"error": {"code": "9999", "message": "New."}}, "internal_error", "New. (code 9999)"),
        ({"error": {"code": "1301", "message": "Unsafe."}}, "moderation_blocked", "Unsafe. (code 1301)"),
        ({"error": {"code": "1300", "message": "Policy."}}, "moderation_blocked", "Policy. (code 1300)"),
        (
            {"content_filter": [{"role": "user", "level": 0}]},
            "moderation_blocked",
            "The content was blocked. Found in the prompt or picture (severity 0); severity 0 is the worst.",
        ),
        (
            {"error": {"code": "1234", "message": "Net."}, "content_filter": [{"role": "assistant", "level": 3}]},
            "provider_unavailable",
            "Net. (code 1234) Found in the video (severity 3); severity 0 is the worst.",
        ),
        (
            {"error": {"code": "1234", "message": "Net."}, "contentFilter": [{"role": "assistant", "level": 1}]},
            "moderation_blocked",
            "Net. (code 1234) Found in the video (severity 1); severity 0 is the worst.",
        ),
        ({"content_filter": "none", "error": [], "video_result": None}, "internal_error", "The server gave no reason."),
    ],
)
def test_the_reason_of_a_failure_is_read_from_wherever_it_may_be(answer: dict[str, Any], code: str, words: str) -> None:
    progress = look(task_status="FAIL", **answer)

    assert progress.status is Status.FAILED
    assert progress.failure == Failure(code, words)
    assert (code == "moderation_blocked") == (progress.failure.code in MODERATION_CODES)


@pytest.mark.parametrize("result", [None, [], [{}], [{"url": ""}], [{"url": None}], ["https://x/v.mp4"], {}])
def test_a_good_end_without_a_video_is_a_failure(result: Any) -> None:
    progress = look(task_status="SUCCESS", video_result=result)

    assert progress.failure == Failure("internal_error", "It ended well, but came without a video.")


def test_a_good_end_without_a_video_may_be_moderation() -> None:
    progress = look(task_status="SUCCESS", content_filter=[{"role": "assistant", "level": 0}])

    assert progress.failure is not None
    assert progress.failure.code in MODERATION_CODES


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'"x"', b'{"detail":"Not Found"}'])
def test_what_is_no_answer_of_this_api_is_known_as_such(body: bytes) -> None:
    assert read_task(body) is None


# -- codes -----------------------------------------------------------------------------------------------------------

CODES: list[tuple[str, int, type[RushesError], bool, str]] = [
    ("500", 500, Unavailable, False, ""),
    ("1000", 401, AccessDenied, True, "Check ZAI_API_KEY"),
    ("1001", 401, AccessDenied, True, "Check ZAI_API_KEY"),
    ("1002", 401, AccessDenied, True, "Check ZAI_API_KEY"),
    ("1003", 401, AccessDenied, True, "Check ZAI_API_KEY"),
    ("1004", 401, AccessDenied, True, "Check ZAI_API_KEY"),
    ("1110", 429, AccessDenied, True, "account"),
    ("1111", 429, AccessDenied, True, "account"),
    ("1112", 429, AccessDenied, True, "account"),
    ("1113", 429, NoCredit, True, "top it up"),
    ("1120", 429, Unavailable, True, "try again later"),
    ("1121", 429, AccessDenied, True, "account"),
    ("1200", 400, Unavailable, False, ""),
    ("1210", 400, Rejected, True, ""),
    ("1211", 400, UnknownModel, True, "rushes models zai"),
    ("1212", 400, Rejected, True, ""),
    ("1213", 400, Rejected, True, ""),
    ("1214", 400, Rejected, True, ""),
    ("1215", 400, Rejected, True, ""),
    ("1220", 403, AccessDenied, True, "no right"),
    ("1221", 404, Gone, True, "offline"),
    ("1222", 404, Gone, True, "base_url"),
    ("1230", 400, Unavailable, False, ""),
    ("1231", 400, Rejected, False, "console"),
    ("1234", 400, Unavailable, False, ""),
    ("1300", 400, Moderated, True, ""),
    ("1301", 400, Moderated, True, ""),
    ("1302", 429, RateLimited, True, ""),
    ("1303", 429, RateLimited, True, ""),
    ("1304", 429, NoCredit, True, "tomorrow"),
    ("1305", 429, RateLimited, True, ""),
    ("1308", 429, NoCredit, True, "renewed"),
    ("1309", 429, NoCredit, True, "expired"),
    ("1310", 429, NoCredit, True, "week or month"),
]
RETRYABLE = {"500", "1120", "1200", "1230", "1234", "1302", "1303", "1305"}


def test_every_code_is_tried() -> None:
    assert [code for code, *_ in CODES] == list(RULINGS)
    assert {code for code, *_ in CODES} == set(STATUS_OF_CODE)


def refusal(code: str | int | None, status: int, step: str = "create", **more: Any) -> Reply:
    error = {"message": f"words about {API_KEY}"} | ({} if code is None else {"code": code})
    return Reply(status, {"x-request-id": "log_1"}, json.dumps({"error": error, **more}).encode(), step)


@pytest.mark.anyio
@pytest.mark.parametrize(("code", "status", "kind", "refused", "advice"), CODES, ids=[code for code, *_ in CODES])
async def test_a_code_says_what_happened_and_what_to_do(
    code: str, status: int, kind: type[RushesError], refused: bool, advice: str, tmp_path: Path
) -> None:
    async with opened(Zai, folder=tmp_path, environment={"ZAI_API_KEY": API_KEY}) as provider:
        error = provider.error_of(refusal(code, status))
        in_good_clothes = provider.error_of(refusal(int(code), 200))
        broken = provider.error_of(refusal(code, 502))
        timed_out = provider.error_of(refusal(code, 408))

    assert isinstance(error, kind)
    assert (error.proves_refusal, error.retryable) == (refused, code in RETRYABLE)
    assert advice in str(error)
    assert (error.provider_code, error.http_status, error.request_id) == (code, status, "log_1")
    assert API_KEY not in str(error)
    # Within a good answer the code alone decides; around it, a 5xx or a timeout leaves room for doubt.
    assert isinstance(in_good_clothes, kind)
    assert in_good_clothes.proves_refusal == refused
    assert (broken.proves_refusal, timed_out.proves_refusal) == (False, False)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("code", "status", "step", "kind", "refused"),
    [
        (None, 400, "create", Rejected, True),
        (None, 401, "create", AccessDenied, True),
        (None, 403, "create", AccessDenied, True),
        (None, 404, "create", Gone, True),
        (None, 405, "create", Gone, True),
        (None, 408, "create", Unavailable, False),
        (None, 429, "create", RateLimited, True),
        ("1999", 429, "create", RateLimited, True),
        (None, 434, "create", AccessDenied, True),
        (None, 435, "create", Rejected, True),
        ("1214", 435, "create", Rejected, True),
        (None, 499, "create", Unavailable, False),
        (None, 500, "create", Unavailable, False),
        (None, 503, "create", Unavailable, False),
        (None, 200, "create", BadReply, False),
        ("1999", 200, "create", BadReply, False),
        (None, 404, "poll", Vanished, True),
        ("1214", 404, "poll", Vanished, True),
        ("1210", 400, "poll", Vanished, True),
        ("1211", 400, "poll", UnknownModel, True),
    ],
)
async def test_without_a_known_code_the_status_decides(
    code: str | None, status: int, step: str, kind: type[RushesError], refused: bool, tmp_path: Path
) -> None:
    async with opened(Zai, folder=tmp_path, environment={"ZAI_API_KEY": API_KEY}) as provider:
        error = provider.error_of(refusal(code, status, step))

    assert isinstance(error, kind)
    assert error.proves_refusal == refused


@pytest.mark.anyio
async def test_what_was_found_wanting_is_told(tmp_path: Path) -> None:
    async with opened(Zai, folder=tmp_path, environment={"ZAI_API_KEY": API_KEY}) as provider:
        error = provider.error_of(refusal("1301", 400, contentFilter=[{"role": "user", "level": 0}]))

    assert "Found in the prompt or picture (severity 0)" in str(error)
