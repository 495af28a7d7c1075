"""The words of the trade: sizes, model ids, statuses, ids."""

import uuid

import pytest

from rushes.video import ModelId, Size, Status, new_video_id, video_uuid


@pytest.mark.parametrize("text", ["1280x720", "1280X720", "1280×720", "1280*720", " 1280 x 720 "])  # noqa: RUF001
def test_a_size_is_read_in_the_ways_people_write_it(text: str) -> None:
    assert Size.parse(text) == Size(1280, 720)


@pytest.mark.parametrize(
    "text", ["", "720p", "1280", "1280x", "x720", "1280x720x3", "-1x5", "0x720", "1e3x720", "999999x1"]
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        Size.parse(text)


@pytest.mark.parametrize(
    ("size", "orientation"),
    [(Size(1280, 720), "landscape"), (Size(720, 1280), "portrait"), (Size(480, 480), "square")],
)
def test_a_size_knows_how_it_lies(size: Size, orientation: str) -> None:
    assert size.orientation == orientation
    assert Size.parse(str(size)) == size


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        ("openai:video:sora-2", "openai", "sora-2"),
        ("fal:video:bytedance/seedance-2.5", "fal", "bytedance/seedance-2.5"),
        ("mybox:video:wan2.2:14b:fp8", "mybox", "wan2.2:14b:fp8"),
        ("openai:video", "openai", "sora-2"),
        ("openai:video:", "openai", "sora-2"),
        ("azure:video", "azure", "sora"),
        ("draft", "draft", "animatic"),
        ("draft:video", "draft", "animatic"),
        ("draft:video:animatic", "draft", "animatic"),
        (" openai:video:sora-2 ", "openai", "sora-2"),
    ],
)
def test_a_model_id_is_split_at_the_first_two_colons_only(text: str, provider: str, model: str) -> None:
    assert ModelId.parse(text) == ModelId(provider, model)
    assert ModelId.parse(str(ModelId(provider, model))) == ModelId(provider, model)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a model id"),
        (":video:x", "not a model id"),
        ("open ai:video:x", "not a model id"),
        ("sora-2", "not a model id"),
        ("azure:chat:gpt-5", "serves the kind 'video' only"),
        ("openai:image:x", "Write openai:video:MODEL"),
        ("fal:video", "names no model"),
    ],
)
def test_what_is_no_model_id_is_refused_with_the_form(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ModelId.parse(text)


def test_draft_is_known_by_its_short_name() -> None:
    assert str(ModelId("draft", "animatic")) == "draft"


def test_two_statuses_are_final() -> None:
    assert [status for status in Status if status.final] == [Status.COMPLETED, Status.FAILED]


def test_a_video_id_is_one_and_the_same_in_both_forms() -> None:
    video_id = new_video_id()

    assert video_id.startswith("video_")
    assert len(video_id) == len("video_") + 32
    assert video_uuid(video_id) == video_uuid(str(video_uuid(video_id)))
    assert video_uuid(video_id) == uuid.UUID(video_id[6:])


@pytest.mark.parametrize("text", ["", "video_", "video_xyz", "../../etc/passwd"])
def test_what_is_no_video_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        video_uuid(text)
