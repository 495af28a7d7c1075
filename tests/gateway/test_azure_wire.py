"""What Azure's video jobs say and mean: creates as real clients write them, jobs as they read them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rushes.errors import PromptBlocked, UnknownModel, Unsupported
from rushes.gateway.azure_wire import (
    SIZES,
    STATES,
    Item,
    Placed,
    create_of,
    error_body,
    files_named,
    job_object,
    last_index,
    placed,
    reason_of,
    status_of,
    statuses_of,
)
from rushes.gateway.fields import Fields
from rushes.gateway.problems import Problem, problem_of
from rushes.gateway.views import View
from rushes.http import Reply
from rushes.jobs.shelf import VideoRow
from rushes.planning import Given
from rushes.providers.azure.provider import NoSuchDeployment, classify
from rushes.providers.azure.wire import WireJob, from_wire, read_refusal
from rushes.providers.catalog import Feature
from rushes.video import Crop, Failure, MediaRef, Size, Status

ID = "video_" + "1" * 32
SECOND = "video_" + "2" * 32
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
LEAST = {"model": "sora", "prompt": "A boat", "width": 1280, "height": 720}
STILL = MediaRef(sha256="a" * 64, mime="image/png", size_bytes=9, width=480, height=480)
OTHER = replace(STILL, sha256="b" * 64)
CLIP = replace(STILL, sha256="c" * 64, mime="video/mp4", seconds=1.0)
FIRST, LAST, REFERENCES = Feature.FIRST_FRAME, Feature.LAST_FRAME, Feature.REFERENCES


def asked(**fields: Any) -> Fields:
    return Fields({**LEAST, **fields})


def problem_with(fields: Mapping[str, Any]) -> Problem:
    with pytest.raises(Problem) as caught:
        create_of(Fields(fields))
    assert caught.value.status == 400
    return caught.value


def item(index: int = 0, name: str = "a.png", crop: Crop | None = None) -> Item:
    return Item(where="inpaint_items[0]", file_name=name, frame_index=index, crop=crop)


def view(**changes: Any) -> View:
    facts: dict[str, Any] = {
        "id": ID,
        "owner": "local",
        "status": Status.IN_PROGRESS,
        "percent": 0,
        "model": "draft",
        "asked_model": "sora",
        "prompt": "A boat",
        "size": Size(1280, 720),
        "seconds": 5,
        "created_at": AT,
        "completed_at": None,
        "source_video": None,
        "source_kind": None,
        "failure": None,
        "adjustments": (),
        "videos": (VideoRow(id=ID, job_id=ID, n=0),),
        "cached": False,
        "extra": {},
        "deadline": AT,
    }
    return View(**facts | changes)


# -- creates -----------------------------------------------------------------------------------------


def test_the_least_that_can_be_said_is_five_seconds_and_one_video() -> None:
    create = create_of(asked())

    assert (create.size, create.seconds, create.variants, create.model) == (Size(1280, 720), 5, 1, "sora")
    assert create.ours == {"seconds"}
    assert create.ignored == ()


def test_numbers_may_come_as_the_text_that_forms_carry() -> None:
    create = create_of(asked(width="480", height="854", n_seconds="20", n_variants="2"))

    assert (create.size, create.seconds, create.variants) == (Size(480, 854), 20, 2)
    assert create.ours == frozenset()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_each_of_the_nine_sizes_is_taken(size: Size) -> None:
    assert len(SIZES) == 9
    assert create_of(asked(width=size.width, height=size.height)).size == size


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"width": None}, "width"),
        ({"height": None}, "height"),
        ({"width": 1281}, "width"),
        ({"height": 721}, "height"),
        ({"width": 1920}, "height"),
        ({"width": "wide"}, "width"),
        ({"n_seconds": 0}, "n_seconds"),
        ({"n_seconds": 21}, "n_seconds"),
        ({"n_seconds": 2.5}, "n_seconds"),
        ({"n_variants": 0}, "n_variants"),
        ({"n_variants": 6}, "n_variants"),
        ({"inpaint_items": "a.png"}, "inpaint_items[0]"),
        ({"inpaint_items": [{"type": "image"}]}, "inpaint_items[0].file_name"),
        ({"inpaint_items": [{"file_name": 7}]}, "inpaint_items[0].file_name"),
        ({"inpaint_items": [{"file_name": "a", "type": "sound"}]}, "inpaint_items[0].type"),
        ({"inpaint_items": [{"file_name": "a", "frame_index": -1}]}, "inpaint_items[0].frame_index"),
        ({"inpaint_items": [{"file_name": "a", "frame_index": 150}]}, "inpaint_items[0].frame_index"),
        ({"inpaint_items": [{"file_name": "a", "crop_bounds": {"left": 0}}]}, "inpaint_items[0].crop_bounds"),
        (
            {"inpaint_items": [{"file_name": "a", "crop_bounds": {"left_fraction": 1.5}}]},
            "inpaint_items[0].crop_bounds.left_fraction",
        ),
        (
            {"inpaint_items": [{"file_name": "a", "crop_bounds": {"left_fraction": 0.5, "right_fraction": 0.5}}]},
            "inpaint_items[0].crop_bounds",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(changes: Mapping[str, Any], param: str) -> None:
    assert problem_with({**LEAST, **changes}).param == param


def test_a_missing_field_is_told_as_missing() -> None:
    assert problem_with({**LEAST, "width": None}).error_code == "missing_required_parameter"


def test_the_deployment_of_the_path_wins_over_the_model_of_the_body() -> None:
    assert create_of(asked(model="sora"), "mine").model == "mine"
    assert create_of(Fields({**LEAST, "model": None})).model == "sora"


def test_fields_that_nobody_knows_are_told() -> None:
    assert create_of(asked(seconds=8, style="noir")).ignored == ("seconds", "style")


def test_an_inpaint_item_is_read_as_json_or_as_text_has_it() -> None:
    bounds = {"left_fraction": 0.25, "top_fraction": "0.5"}

    create = create_of(
        asked(
            inpaint_items=[
                {"frame_index": 0, "type": "image", "file_name": "a.png", "crop_bounds": bounds},
                {"frame_index": "149", "file_name": "b.png", "crop_bounds": {"right_fraction": 1}},
            ]
        )
    )

    assert [(each.frame_index, each.file_name, each.crop) for each in create.items] == [
        (0, "a.png", Crop(left=0.25, top=0.5)),
        (149, "b.png", None),
    ]


# -- files -------------------------------------------------------------------------------------------


def test_items_find_their_files_by_name() -> None:
    items = [item(0, "b.png"), item(149, "a.png")]

    assert files_named(items, ["a.png", "b.png"]) == {"b.png": 1, "a.png": 0}


def test_two_items_may_share_a_file() -> None:
    assert files_named([item(0), item(149)], ["a.png"]) == {"a.png": 0}


@pytest.mark.parametrize("text", ["https://example.com/a.png", "data:image/png;base64,iVBOR", "iVBORw0KGgo" * 30])
def test_a_link_and_the_data_themselves_need_no_file(text: str) -> None:
    assert files_named([item(0, text)], []) == {text: None}


@pytest.mark.parametrize("text", ["b.png", "/etc/passwd", "file:///etc/passwd", "../a.png", "ftp://example.com/a.png"])
def test_a_name_that_no_part_has_is_refused_and_told(text: str) -> None:
    with pytest.raises(
        Problem, match=r"inpaint_items\[0\]\.file_name: no part 'files' has .* The files are: a\.png"
    ) as caught:
        files_named([item(0, text)], ["a.png"])

    assert (caught.value.status, caught.value.param) == (400, "inpaint_items[0].file_name")
    assert repr(text) in caught.value.message


def test_a_file_that_no_item_places_is_refused() -> None:
    with pytest.raises(Problem, match=r"does not say where 'b\.png' goes") as caught:
        files_named([item(0)], ["a.png", "b.png"])

    assert caught.value.param == "inpaint_items"


def test_two_files_of_one_name_cannot_be_told_apart() -> None:
    with pytest.raises(Problem, match="Several files are named"):
        files_named([item(0)], ["a.png", "a.png"])


def test_a_very_long_file_name_finds_its_file_as_it_was_kept() -> None:
    long = "x" * 200 + ".png"

    assert files_named([item(0, long)], ["x" * 79 + "…"]) == {long: 0}


# -- where a picture goes ----------------------------------------------------------------------------

EVERYTHING = frozenset({FIRST, LAST, REFERENCES})
END = last_index(5)
HALF = Crop(right=0.5)


@pytest.mark.parametrize(
    ("features", "items", "expected"),
    [
        (EVERYTHING, [(item(0), STILL)], Placed(first_frame=STILL)),
        ({FIRST}, [(item(0), STILL)], Placed(first_frame=STILL)),
        ({LAST}, [(item(END), STILL)], Placed(last_frame=STILL)),
        ({FIRST, LAST}, [(item(END), STILL), (item(0), OTHER)], Placed(first_frame=OTHER, last_frame=STILL)),
        ({REFERENCES}, [(item(0), STILL)], Placed(references=(Given(media=STILL, frame_index=0),))),
        (EVERYTHING, [(item(7), STILL)], Placed(references=(Given(media=STILL, frame_index=7),))),
        (EVERYTHING, [(item(0), CLIP)], Placed(references=(Given(media=CLIP, frame_index=0),))),
        (
            EVERYTHING,
            [(item(0, crop=HALF), STILL)],
            Placed(references=(Given(media=STILL, frame_index=0, crop=HALF),)),
        ),
        (
            EVERYTHING,
            [(item(0), STILL), (item(0), OTHER)],
            Placed(first_frame=STILL, references=(Given(media=OTHER, frame_index=0),)),
        ),
        (set[Feature](), [], Placed()),
    ],
)
def test_a_whole_picture_at_an_end_is_a_frame_and_all_else_a_reference(
    features: frozenset[Feature], items: list[tuple[Item, MediaRef]], expected: Placed
) -> None:
    assert placed(items, 5, features, "openai:video:sora-2") == expected


@pytest.mark.parametrize(
    ("features", "given", "media", "words"),
    [
        ({FIRST}, item(7), STILL, "takes no picture at frame_index 7. It takes a whole picture at frame_index 0."),
        ({FIRST}, item(0), CLIP, "takes no clip at frame_index 0."),
        ({FIRST}, item(0, crop=HALF), STILL, "takes no cropped picture at frame_index 0."),
        (
            {FIRST, LAST},
            item(7),
            STILL,
            "It takes a whole picture at frame_index 0 and a whole picture at frame_index 149.",
        ),
        (set[Feature](), item(0), STILL, "It takes no pictures."),
    ],
)
def test_what_the_model_cannot_take_is_refused_with_what_it_can(
    features: frozenset[Feature], given: Item, media: MediaRef, words: str
) -> None:
    with pytest.raises(Problem) as caught:
        placed([(given, media)], 5, features, "openai:video:sora-2")

    assert words in caught.value.message
    assert (caught.value.status, caught.value.param) == (400, "inpaint_items[0]")


# -- jobs --------------------------------------------------------------------------------------------


def test_a_job_that_runs_is_told_in_full() -> None:
    assert job_object(view()) == {
        "object": "video.generation.job",
        "id": ID,
        "status": "running",
        "created_at": 1795176000,
        "finished_at": None,
        "expires_at": None,
        "generations": [],
        "prompt": "A boat",
        "model": "sora",
        "n_variants": 1,
        "n_seconds": 5,
        "height": 720,
        "width": 1280,
        "failure_reason": None,
    }


def test_a_job_that_succeeded_has_a_generation_for_each_video() -> None:
    rows = tuple(VideoRow(id=each, job_id=ID, n=n, created_at=AT) for n, each in enumerate((ID, SECOND)))

    told = job_object(view(status=Status.COMPLETED, completed_at=AT, videos=rows, extra={"n_variants": 3}))

    assert (told["status"], told["n_variants"], told["finished_at"]) == ("succeeded", 3, 1795176000)
    assert [each["id"] for each in told["generations"]] == [ID, SECOND]
    assert told["generations"][1] == {
        "object": "video.generation",
        "id": SECOND,
        "job_id": ID,
        "created_at": 1795176000,
        "width": 1280,
        "height": 720,
        "n_seconds": 5,
        "prompt": "A boat",
    }


@pytest.mark.parametrize(
    ("status", "failure", "word", "reason"),
    [
        (Status.QUEUED, None, "queued", None),
        (Status.IN_PROGRESS, None, "running", None),
        (Status.COMPLETED, None, "succeeded", None),
        (Status.FAILED, Failure("internal_error", "It broke."), "failed", "internal_error"),
        (Status.FAILED, Failure("moderation_blocked", "No."), "failed", "output_moderation"),
        (Status.FAILED, Failure("Content_Filter", "No."), "failed", "output_moderation"),
        (Status.FAILED, Failure("prompt_blocked", "No."), "failed", "input_moderation"),
        (Status.FAILED, Failure("expired", "Too late."), "failed", "expired"),
        (Status.FAILED, Failure("cancelled", "The job was cancelled."), "cancelled", "cancelled"),
    ],
)
def test_each_end_has_its_word_and_its_reason(
    status: Status, failure: Failure | None, word: str, reason: str | None
) -> None:
    shown = view(status=status, failure=failure)

    told = job_object(shown)

    assert (told["status"], told["failure_reason"]) == (word, reason)
    assert told.get("error") == (failure and {"code": failure.code, "message": failure.message})


@pytest.mark.parametrize(
    "shown",
    [
        view(status=Status.QUEUED),
        view(),
        view(status=Status.COMPLETED, completed_at=AT),
        view(status=Status.FAILED, failure=Failure("internal_error", "It broke.")),
        view(status=Status.FAILED, failure=Failure("moderation_blocked", "No.")),
        view(status=Status.FAILED, failure=Failure("cancelled", "The job was cancelled.")),
    ],
    ids=status_of,
)
def test_our_own_client_understands_each_job(shown: View) -> None:
    progress = from_wire(WireJob.model_validate(json.loads(json.dumps(job_object(shown)))))

    assert progress.status is shown.status
    if shown.failure is not None:
        assert progress.failure is not None
        assert shown.failure.message in progress.failure.message
        assert progress.billed_usd is None  # whether it was billed, a word must not decide


def test_moderation_without_a_charge_is_only_said_of_what_was_never_sent() -> None:
    assert reason_of(Failure("moderation_blocked", "")) == "output_moderation"
    assert reason_of(Failure("prompt_blocked", "")) == "input_moderation"


def test_statuses_are_separated_by_commas_or_repeated() -> None:
    assert statuses_of(["queued,running", " Succeeded "]) == {"queued", "running", "succeeded"}
    assert statuses_of([""]) is None
    assert statuses_of([]) is None
    assert statuses_of([",".join(STATES)]) == STATES.keys()
    with pytest.raises(Problem, match="statuses are some of preprocessing, queued"):
        statuses_of(["queued,done"])


# -- errors ------------------------------------------------------------------------------------------


def test_errors_are_flat_and_wrapped_for_those_who_look_there() -> None:
    problem = problem_of(Unsupported("Too long.", field="seconds"))  # as the planner calls it

    told = {"code": "invalid_value", "message": "Too long.", "param": "n_seconds", "type": "invalid_request_error"}
    assert error_body(problem, problem.message) == {**told, "inner_error": None, "error": told}


def test_a_refused_prompt_is_told_as_the_content_filter_tells_it() -> None:
    problem = problem_of(PromptBlocked("Not here."))

    refusal = read_refusal(json.dumps(error_body(problem, problem.message)).encode())

    assert refusal.moderated
    assert "Not here." in refusal.message


def test_an_unknown_model_is_an_unknown_deployment() -> None:
    problem = problem_of(UnknownModel("There is no model 'x'."))
    body = json.dumps(error_body(problem, problem.message)).encode()

    kind, _ = classify(Reply(status=problem.status, headers={}, body=body, step="create"), "")

    assert kind is NoSuchDeployment
