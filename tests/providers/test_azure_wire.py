"""The words of Azure's jobs API and of its errors: what is refused before sending, and how answers are read."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rushes.errors import AccessDenied, Gone, Moderated, NoCredit, Unsupported
from rushes.http import Reply
from rushes.providers.azure.provider import NoSuchDeployment, classify
from rushes.providers.azure.wire import (
    FPS,
    Frames,
    WireJob,
    as_frames,
    as_items,
    check_items,
    failure_of,
    filtered_categories,
    from_wire,
    generation_ids,
    most_variants,
    read_listing,
    read_refusal,
)
from rushes.providers.refusals import MODERATION_CODES
from rushes.video import Crop, MediaRef, ModelId, Reference, Size, Status, VideoRequest

PICTURE = MediaRef(sha256="p", mime="image/png", size_bytes=7, width=1280, height=720)
OTHER = MediaRef(sha256="o", mime="image/jpeg", size_bytes=5, width=800, height=800)
CLIP = MediaRef(sha256="c", mime="video/mp4", size_bytes=4, width=1280, height=720, seconds=3.0)
SORA = ModelId("azure", "sora")


def asked(**changes: Any) -> VideoRequest:
    wish: dict[str, Any] = {"size": Size(1280, 720), "seconds": 5, **changes}
    return VideoRequest(prompt="A cat", model=SORA, **wish)


def at(index: int | None, media: MediaRef = PICTURE, crop: Crop | None = None) -> Reference:
    return Reference(media=media, frame_index=index, crop=crop)


# -- pictures at both ends and inpaint items -------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 5, 20])
@pytest.mark.parametrize(
    "frames",
    [
        Frames(None, None, ()),
        Frames(PICTURE, None, ()),
        Frames(None, OTHER, ()),
        Frames(PICTURE, OTHER, ()),
        Frames(PICTURE, PICTURE, ()),
        Frames(PICTURE, None, (at(12, OTHER),)),
        Frames(None, None, (at(0, CLIP),)),
        Frames(None, None, (at(0, PICTURE, Crop(left=0.5)),)),
    ],
)
def test_both_ends_become_inpaint_items_and_back(frames: Frames, seconds: int) -> None:
    items = as_items(frames, seconds)

    assert as_frames(items, seconds) == frames
    assert all(item.frame_index is not None and item.frame_index < seconds * FPS for item in items)


def test_an_uncropped_picture_at_an_end_is_that_end() -> None:
    assert as_frames([at(0, PICTURE, Crop()), at(5 * FPS - 1, OTHER)], 5) == Frames(PICTURE, OTHER, ())
    assert as_frames([at(0), at(0, OTHER)], 5) == Frames(PICTURE, None, (at(0, OTHER),))


@pytest.mark.parametrize(
    "request_",
    [
        asked(),
        asked(first_frame=PICTURE, last_frame=OTHER),
        asked(references=(at(149),)),
        asked(references=(at(0), at(1, OTHER))),
        asked(references=(at(0, CLIP),)),
    ],
)
def test_what_the_api_takes_passes(request_: VideoRequest) -> None:
    check_items(request_)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asked(references=(at(None),)), "frame_index, 0 to 149"),
        (asked(references=(at(150),)), "frame_index 150 lies outside .* 0 to 149"),
        (asked(references=(at(-1),)), "frame_index -1 lies outside"),
        (asked(first_frame=PICTURE, references=(at(0, OTHER),)), "two inpaint items begin at the same frame"),
        (asked(first_frame=PICTURE, last_frame=OTHER, references=(at(9),)), "up to 2 pictures or one clip"),
        (asked(first_frame=PICTURE, references=(at(9, CLIP),)), "not 2 items with a clip among them"),
        (asked(references=(at(0, CLIP), at(9, CLIP))), "or one clip"),
        (asked(references=(at(0, replace(CLIP, seconds=5.1)),)), "at most 5 s, not one of 5.1 s"),
        (asked(references=(at(0, replace(CLIP, seconds=None)),)), "of unknown length"),
        (asked(first_frame=replace(PICTURE, mime="image/gif")), "not image/gif. Convert it"),
        (asked(references=(at(0, replace(CLIP, mime="video/webm")),)), "not video/webm"),
        (asked(references=(at(0, PICTURE, Crop(left=0.5, right=0.5)),)), "left < right"),
        (asked(references=(at(0, PICTURE, Crop(top=-0.1)),)), "fractions from 0 to 1"),
        (asked(references=(at(0, PICTURE, Crop(bottom=1.1)),)), "fractions from 0 to 1"),
    ],
)
def test_what_the_api_would_refuse_is_refused_before_it_is_sent(request_: VideoRequest, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        check_items(request_)


@pytest.mark.parametrize(
    ("size", "most"),
    [("1920x1080", 1), ("1080x1080", 1), ("1280x720", 2), ("720x720", 2), ("480x854", 4), ("480x480", 4)],
)
def test_larger_pictures_allow_fewer_variants(size: str, most: int) -> None:
    assert most_variants(Size.parse(size)) == most


# -- jobs ------------------------------------------------------------------------------------------------------------

JOB: dict[str, Any] = {
    "object": "video.generation.job",
    "id": "task_01",
    "status": "succeeded",
    "created_at": 1763632800,
    "finished_at": 1763632900,
    "expires_at": 1763719200,
    "generations": [{"object": "video.generation", "id": "gen_2"}, {"object": "video.generation", "id": "gen_1"}],
    "prompt": "A cat",
    "model": "sora",
    "n_variants": 2,
    "n_seconds": 5,
    "height": 720,
    "width": 1280,
    "failure_reason": None,
}


def job(**changes: Any) -> WireJob:
    return WireJob.model_validate({**JOB, **changes})


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("preprocessing", Status.QUEUED),
        ("queued", Status.QUEUED),
        ("running", Status.IN_PROGRESS),
        ("processing", Status.IN_PROGRESS),
        ("cancelled", Status.FAILED),
        ("succeeded", Status.COMPLETED),
        ("failed", Status.FAILED),
        ("thinking", Status.IN_PROGRESS),
    ],
)
def test_the_seven_statuses_and_any_other(word: str, status: Status) -> None:
    assert from_wire(job(status=word)).status is status


def test_a_finished_job_tells_what_it_made_and_until_when() -> None:
    progress = from_wire(job())

    assert (progress.percent, progress.seconds, progress.size) == (100.0, 5, Size(1280, 720))
    assert progress.expires_at is not None
    assert progress.expires_at.timestamp() == JOB["expires_at"]
    assert progress.billed_usd is None


def test_the_videos_of_a_job_are_always_in_one_order() -> None:
    assert generation_ids(job()) == generation_ids(job(generations=JOB["generations"][::-1])) == ("gen_1", "gen_2")


@pytest.mark.parametrize("generations", [[], None, "none", [{"object": "video.generation"}]])
def test_success_without_a_video_is_a_failure_that_says_so(generations: Any) -> None:
    progress = from_wire(job(generations=generations))

    assert progress.status is Status.FAILED
    assert progress.failure is not None
    assert progress.failure.code == "moderation_blocked"
    assert "filter withheld it" in progress.failure.message
    assert progress.billed_usd is None, "it was made, so it counts as billed"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"failure_reason": "input_moderation"}, "moderation_blocked", "prompt or a picture"),
        ({"failure_reason": "output_moderation"}, "moderation_blocked", "withheld"),
        ({"failure_reason": "content_filter"}, "moderation_blocked", "content_filter"),
        ({"failure_reason": "ResponsibleAIPolicyViolation"}, "moderation_blocked", "ResponsibleAI"),
        ({"failure_reason": "internal_error"}, "internal_error", "Azure failed"),
        ({"failure_reason": "Out of GPUs"}, "out_of_gpus", "Out of GPUs"),
        ({"status": "cancelled"}, "cancelled", "Azure's side"),
        ({"error": {"code": "content_filter", "message": "No."}}, "moderation_blocked", "No."),
        ({}, "internal_error", "Azure failed"),
    ],
)
def test_a_reason_may_be_any_word(changes: dict[str, Any], code: str, words: str) -> None:
    failure = failure_of(job(**{"status": "failed", "generations": [], **changes}))

    assert failure.code == code
    assert words in failure.message
    assert (code in MODERATION_CODES) == (code == "moderation_blocked")


def test_what_was_refused_for_its_input_counts_as_free() -> None:
    assert from_wire(job(status="failed", failure_reason="input_moderation")).billed_usd == Decimal(0)
    assert from_wire(job(status="failed", failure_reason="output_moderation")).billed_usd is None


def test_nothing_in_a_job_can_make_reading_it_fail() -> None:
    odd: dict[str, Any] = {
        "width": "wide",
        "n_seconds": "five",
        "created_at": [],
        "generations": {},
        "model": 3,
        "expires_at": "soon",
    }

    assert from_wire(job(status="running", **odd)).size is None


def test_a_listed_job_with_other_variants_is_told_without_its_prompt() -> None:
    page = read_listing({"data": [JOB, {**JOB, "id": "x", "n_variants": 1}, {**JOB, "n_variants": None}]}, 2)

    assert [entry.prompt for entry in page.data] == ["A cat", None, "A cat"]
    assert (page.data[0].seconds, page.data[0].size) == (5, Size(1280, 720))


@pytest.mark.parametrize("data", [None, [], {}, {"data": None}, {"data": ["x"]}, {"data": [{"status": "queued"}]}])
def test_a_list_that_cannot_be_read_whole_proves_nothing(data: Any) -> None:
    assert not read_listing(data, 1).well_formed


# -- errors ----------------------------------------------------------------------------------------------------------

RESULTS: dict[str, Any] = {
    "hate": {"filtered": False, "severity": "safe"},
    "violence": {"filtered": True, "severity": "high"},
    "self_harm": {"filtered": True, "severity": "medium"},
    "jailbreak": {"filtered": True, "detected": True},
    "custom_blocklists": {"filtered": True, "details": []},
    "profanity": {"filtered": False, "detected": True},
    "revised": "words",
}
NAMED = ["violence (high)", "self harm (medium)", "jailbreak (detected)", "custom blocklists"]


@pytest.mark.parametrize(
    "inner",
    [
        {"content_filter_result": RESULTS},
        {"content_filter_results": RESULTS},
        {"error_details": RESULTS},
        {"error_details": {"content_filter_results": RESULTS}},
    ],
)
def test_what_the_filter_acted_on_is_put_into_words(inner: dict[str, Any]) -> None:
    assert filtered_categories({"code": "ResponsibleAIPolicyViolation", **inner}) == NAMED


FLAT: dict[str, Any] = {
    "code": "contentFilter",
    "message": "Filtered.",
    "param": None,
    "type": None,
    "inner_error": {"code": "ResponsibleAIPolicyViolation", "error_details": RESULTS, "revised_prompt": "x"},
}
WRAPPED: dict[str, Any] = {
    "error": {
        "code": "content_filter",
        "message": "Filtered.",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": RESULTS},
    }
}


@pytest.mark.parametrize("body", [FLAT, WRAPPED, {"error": FLAT}, {**FLAT, "code": "BadRequest"}])
def test_a_refusal_by_the_filter_is_known_in_each_shape(body: dict[str, Any]) -> None:
    refusal = read_refusal(json.dumps(body).encode())

    assert refusal.moderated
    assert refusal.message == f"refused by the content filter: {', '.join(NAMED)}. Filtered."


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"code": "invalid_payload", "message": "Bad size."}', "invalid_payload", "Bad size."),
        (b'{"error": {"code": "429", "message": "Slow down."}}', "429", "Slow down."),
        (b'{"detail": "Not found"}', None, "Not found"),
        (b'{"error": {"code": "content_filter"}}', "content_filter", "refused by the content filter."),
        (b"<html><body>Bad gateway</body></html>", None, "Bad gateway"),
        (b"", None, ""),
    ],
)
def test_all_shapes_of_errors_are_read(body: bytes, code: str | None, message: str) -> None:
    refusal = read_refusal(body)

    assert (refusal.code, refusal.message) == (code, message)


@pytest.mark.parametrize(
    ("status", "code", "step", "kind"),
    [
        (400, "content_filter", "create", Moderated),
        (400, "moderation_blocked", "poll", Moderated),
        (404, "DeploymentNotFound", "create", NoSuchDeployment),
        (404, None, "create", Gone),
        (405, None, "create", Gone),
        (404, None, "poll", None),
        (404, "NotFound", "remix", Gone),
        (410, "ModelDeprecated", "create", Gone),
        (410, None, "poll", Gone),
        (401, None, "list", AccessDenied),
        (403, None, "create", AccessDenied),
        (429, "insufficient_quota", "create", NoCredit),
        (429, "too_many_running_tasks", "create", None),
        (400, "invalid_payload", "create", None),
        (503, "DeploymentNotFound", "create", None),
    ],
)
def test_an_error_is_classified_by_code_and_place(status: int, code: str | None, step: str, kind: Any) -> None:
    reply = Reply(status, {}, json.dumps({"error": {"code": code, "message": "No."}}).encode(), step)

    assert classify(reply, "")[0] is kind


@pytest.mark.parametrize("code", ["404", "NotFound", None])
def test_a_missing_deployment_is_known_by_its_words_too(code: str | None) -> None:
    words = "The API deployment 'film-eu' for this resource does not exist."
    reply = Reply(404, {}, json.dumps({"error": {"code": code, "message": words}}).encode(), "create")

    assert classify(reply, "")[0] is NoSuchDeployment
