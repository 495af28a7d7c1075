"""What a create means, whatever names and types its client uses; and what a Video object says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rushes.gateway.fields import Fields
from rushes.gateway.openai_wire import create_of, served_headers, source_of, video_object
from rushes.gateway.problems import Problem
from rushes.gateway.views import View
from rushes.jobs.shelf import VideoRow
from rushes.video import Adjustment, Failure, MediaRef, Size, Status

PNG = MediaRef(sha256="a" * 64, mime="image/png", size_bytes=10, width=1280, height=720)
OTHER = replace(PNG, sha256="b" * 64)
CLIP = replace(PNG, sha256="c" * 64, mime="video/mp4", seconds=2.0)


def create(**fields: Any) -> Any:
    return create_of(Fields({"prompt": "A fox", **fields}), {}).wish


def refused(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        create(**fields)
    return caught.value


def test_what_is_not_said_is_what_the_api_always_took() -> None:
    read = create_of(Fields({"prompt": "A fox"}), {})

    assert (read.wish.size, read.wish.seconds, read.model) == (Size(720, 1280), 4, None)
    assert read.ours == {"size", "seconds"}


@pytest.mark.parametrize("seconds", ["8", 8, 8.0, "8.0", " 8 "])
@pytest.mark.parametrize("name", ["seconds", "duration", "n_seconds", "durationSeconds"])
def test_a_length_may_be_a_text_or_a_number_under_any_of_its_names(name: str, seconds: object) -> None:
    assert create(**{name: seconds}).seconds == 8


@pytest.mark.parametrize("seconds", ["abc", "0", -1, 7.5, "1e3", True, [8], "٣", "8" * 30])
def test_what_is_no_length_is_refused_by_name(seconds: object) -> None:
    problem = refused(seconds=seconds)

    assert (problem.status, problem.param, problem.error_code) == (400, "seconds", "invalid_value")


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"size": "1280x720"}, Size(1280, 720)),
        ({"size": "1280*720"}, Size(1280, 720)),
        ({"width": "854", "height": 480}, Size(854, 480)),
        ({"aspect_ratio": "16:9"}, Size(1280, 720)),
        ({"ratio": "9:16", "resolution": "1080p"}, Size(1080, 1920)),
        ({"aspect_ratio": "1:1"}, Size(720, 720)),
        ({"resolution": "480p"}, Size(854, 480)),
        ({"size": "auto"}, Size(720, 1280)),
        ({"aspect_ratio": "7:5"}, Size(720, 1280)),
    ],
)
def test_a_size_is_read_from_what_there_is(fields: dict[str, Any], size: Size) -> None:
    assert create(**fields).size == size


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"size": "huge"}, "size"), ({"size": "0x0"}, "size"), ({"width": 10}, "height"), ({"width": "x"}, "width")],
)
def test_what_is_no_size_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


@pytest.mark.parametrize("prompt", ["", "   ", None])
def test_a_prompt_there_must_be(prompt: str | None) -> None:
    problem = refused(prompt=prompt)

    assert (problem.param, problem.error_code) == ("prompt", "missing_required_parameter")


def test_a_prompt_is_no_longer_than_the_api_allows() -> None:
    assert refused(prompt="x" * 32_001).error_code == "string_above_max_length"


@pytest.mark.parametrize(
    "reference",
    [
        {"image_url": "https://example.com/a.png"},
        {"image_url": {"url": "https://example.com/a.png"}},
        {"url": "https://example.com/a.png"},
        "https://example.com/a.png",
        ["https://example.com/a.png"],
    ],
)
@pytest.mark.parametrize("name", ["input_reference", "image", "images", "first_frame"])
def test_a_picture_by_link_is_the_first_frame_in_each_form(name: str, reference: object) -> None:
    assert create(**{name: reference}).first_frame == "https://example.com/a.png"


def test_a_file_is_the_first_frame_and_a_second_one_the_last() -> None:
    one = create_of(Fields({"prompt": "A fox"}), {"input_reference": PNG}).wish
    two = create_of(Fields({"prompt": "A fox"}), {"input_reference": PNG, "input_reference#1": OTHER}).wish
    named = create_of(Fields({"prompt": "A fox"}), {"image": PNG, "last_frame": OTHER}).wish

    assert (one.first_frame, one.last_frame) == (PNG, None)
    assert (two.first_frame, two.last_frame) == (PNG, OTHER) == (named.first_frame, named.last_frame)


def test_a_third_picture_is_refused() -> None:
    assert refused(images=["https://a.example/1", "https://a.example/2", "https://a.example/3"]).status == 400


def test_a_file_id_says_what_to_send_instead() -> None:
    problem = refused(input_reference={"file_id": "file-1"})

    assert problem.param == "input_reference"
    assert "image_url" in problem.message


@pytest.mark.parametrize("characters", [[{"id": "char_1"}], ["char_1"], {"id": "char_1"}, "char_1"])
def test_characters_come_as_objects_or_ids(characters: object) -> None:
    assert create(characters=characters).characters == ("char_1",)


def test_more_than_one_video_of_one_create_is_refused_not_forgotten() -> None:
    assert refused(n=2).param == "n"
    assert create(n="1").n == 1


def test_unknown_fields_are_told_and_harmless_ones_are_not() -> None:
    read = create_of(Fields({"prompt": "A fox", "user": "u1", "metadata": {"a": "b"}, "sparkle": True}), {})

    assert read.ignored == ("sparkle",)


def test_an_early_guides_remix_field_is_a_remix_that_keeps_its_sources_measures() -> None:
    wish = create(remix_video_id="video_1")

    assert (wish.remix, wish.size, wish.seconds) == ("video_1", None, None)


@pytest.mark.parametrize("given", [{"id": "video_1"}, "video_1", {"video_id": "video_1"}])
def test_the_source_of_an_edit_is_an_id_in_each_form(given: Any) -> None:
    assert source_of(Fields({"video": given}), {}, "video", "video_id") == "video_1"


def test_the_source_of_an_edit_may_be_a_file() -> None:
    assert source_of(Fields({}), {"video": CLIP}, "video") == CLIP


def test_an_edit_of_nothing_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        source_of(Fields({}), {}, "video")

    assert caught.value.param == "video"


# -- answers -----------------------------------------------------------------------------------------


def view(**changes: Any) -> View:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    plain = View(
        id="video_" + "0" * 32,
        owner="local",
        status=Status.IN_PROGRESS,
        percent=40,
        model="fal:video:x",
        asked_model="sora-2",
        prompt="A fox",
        size=Size(720, 1280),
        seconds=4,
        created_at=at,
        completed_at=None,
        source_video=None,
        source_kind=None,
        failure=None,
        adjustments=(),
        videos=(VideoRow(id="video_" + "0" * 32, job_id="video_" + "0" * 32, n=0),),
        cached=False,
        extra={},
        deadline=at,
    )
    return replace(plain, **changes)


def test_a_video_object_has_every_field_that_clients_read() -> None:
    assert video_object(view()) == {
        "id": "video_00000000000000000000000000000000",
        "object": "video",
        "created_at": 1795219200,
        "completed_at": None,
        "expires_at": None,
        "status": "in_progress",
        "progress": 40,
        "model": "sora-2",
        "prompt": "A fox",
        "seconds": "4",
        "size": "720x1280",
        "remixed_from_video_id": None,
        "error": None,
    }


def test_a_failed_job_tells_why() -> None:
    failed = view(status=Status.FAILED, failure=Failure("moderation_blocked", "No."), completed_at=view().created_at)

    shown = video_object(failed)

    assert shown["error"] == {"code": "moderation_blocked", "message": "No."}
    assert shown["completed_at"] is None


def test_only_a_remix_names_what_it_was_remixed_from() -> None:
    assert video_object(view(source_video="video_1", source_kind="remix"))["remixed_from_video_id"] == "video_1"
    assert video_object(view(source_video="video_1", source_kind="extend"))["remixed_from_video_id"] is None


def test_headers_tell_who_serves_and_what_was_changed_in_ascii() -> None:
    changed = (Adjustment(field="seconds", asked="7", given="8", why="größer"),)

    headers = served_headers(view(adjustments=changed), ("a", "bü\r\nx: y"))

    assert headers["x-rushes-model"] == "fal:video:x"
    assert headers["x-rushes-adjustments"].isascii()
    assert all(text.isprintable() and text.isascii() for text in headers.values())
