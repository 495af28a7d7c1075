"""When two requests count as the same: everything that changes the result, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from workshop import Workshop

from rushes.jobs.admission import Order
from rushes.jobs.codec import (
    JobOptions,
    options_from_json,
    options_to_json,
    prepared_from_json,
    prepared_to_json,
    remote_to_json,
)
from rushes.jobs.fingerprint import fingerprint, request_hash, said
from rushes.providers.prepare import Fit, Prepared
from rushes.providers.terms import RemoteJob
from rushes.testing.clips import picture
from rushes.video import Adjustment, MediaRef, ModelId, Reference, Size, SourceKind, SourceVideo, VideoRequest

GOLDEN = "6774ffcd467aab68d8611cd103bdfd2ef79d421dbbc9edc40b8563fa48f50007"
FRAME = MediaRef(sha256="a" * 64, mime="image/png", size_bytes=100, width=1280, height=720)


def asked(**changes: Any) -> Prepared:
    usual = VideoRequest(prompt="A cat", model=ModelId("openai", "sora-2"), size=Size(1280, 720), seconds=8)
    return Prepared(request=replace(usual, **changes), estimate_usd=Decimal("0.80"))


def printed(prepared: Prepared, *, slot: int = 0, account: str = "openai@host#1", base_url: str = "http://h/v1") -> str:
    return fingerprint(prepared, slot=slot, account=account, base_url=base_url)


def test_the_print_of_a_request_stays_the_same_from_release_to_release() -> None:
    # Pinned: with another value every library would be bought again. Changed only with a migration.
    assert printed(asked()) == GOLDEN


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "A dog"},
        {"prompt": "A cat "},
        {"model": ModelId("openai", "sora-2-pro")},
        {"model": ModelId("mybox", "sora-2")},
        {"size": Size(720, 1280)},
        {"seconds": 4},
        {"seed": 0},
        {"seed": 1},
        {"audio": True},
        {"audio": False},
        {"negative_prompt": "dogs"},
        {"first_frame": FRAME},
        {"first_frame": replace(FRAME, sha256="b" * 64)},
        {"last_frame": FRAME},
        {"references": (Reference(media=FRAME),)},
        {"source": SourceVideo(kind=SourceKind.REMIX, video_id="video_1", size=Size(1280, 720), seconds=4)},
        {"source": SourceVideo(kind=SourceKind.EXTEND, video_id="video_1", size=Size(1280, 720), seconds=4)},
        {"extra": {"steps": 20}},
        {"extra": {"steps": "20"}},
    ],
    ids=str,
)
def test_each_word_of_the_request_counts(changes: dict[str, Any]) -> None:
    assert printed(asked(**changes)) != printed(asked())


@pytest.mark.parametrize("place", [{"slot": 1}, {"account": "openai@host#2"}, {"base_url": "http://other/v1"}], ids=str)
def test_the_slot_the_account_and_the_address_count(place: dict[str, Any]) -> None:
    assert printed(asked(), **place) != printed(asked())


def test_what_is_done_to_the_result_counts() -> None:
    assert printed(replace(asked(), fit=Fit(size=Size(640, 360)))) != printed(asked())
    assert printed(replace(asked(), fit=Fit(seconds=3))) != printed(asked())


def test_what_does_not_change_the_result_does_not_count() -> None:
    told = Adjustment(field="size", asked="1281x720", given="1280x720", why="whatever words this release uses")

    assert printed(replace(asked(), adjustments=(told,))) == printed(asked())
    assert printed(replace(asked(), estimate_usd=Decimal(99))) == printed(asked()), "a new price is no new video"


def test_the_order_of_extra_fields_does_not_count() -> None:
    assert printed(asked(extra={"a": 1, "b": {"c": 2, "d": 3}})) == printed(
        asked(extra={"b": {"d": 3, "c": 2}, "a": 1})
    )


def test_two_creates_of_the_same_request_are_alike_whatever_their_slot() -> None:
    assert request_hash(asked()) == request_hash(asked())
    assert request_hash(asked(seed=1)) != request_hash(asked())


@pytest.mark.anyio
async def test_the_name_of_an_alias_does_not_count(shop: Workshop) -> None:
    first = await shop.jobs.submit(Order(routes=(shop.prepared(),), asked_model="my-favourite"))
    second = await shop.jobs.submit(Order(routes=(shop.prepared(),), asked_model="openai:video:sora-2"))

    assert second.joined
    assert second.job_id == first.job_id


@pytest.mark.anyio
async def test_a_picture_counts_by_its_content_not_by_its_name(shop: Workshop) -> None:
    folder = shop.services.spool
    kept, path = folder / "kept.png", folder / "frame.png"
    path.write_bytes(picture(1280, 720))
    kept.write_bytes(path.read_bytes())
    inputs = shop.inputs

    first = await inputs.add(path, relative_to=None)
    renamed = await inputs.add(kept, relative_to=None)
    path.write_bytes(picture(1280, 720, "WEBP"))
    other = await inputs.add(path, relative_to=None)

    assert printed(asked(first_frame=first)) == printed(asked(first_frame=renamed))
    assert printed(asked(first_frame=first)) != printed(asked(first_frame=other))


def test_a_prepared_request_comes_back_from_its_text_as_it_was() -> None:
    full = Prepared(
        request=asked(
            seed=3,
            audio=False,
            negative_prompt="dogs",
            first_frame=FRAME,
            references=(Reference(media=FRAME), Reference(media=FRAME, frame_index=3)),
            source=SourceVideo(kind=SourceKind.EDIT, video_id="video_1", size=Size(1280, 720), seconds=4, media=FRAME),
            extra={"list": [1, 2.5, "three", None, True]},
        ).request,
        adjustments=(Adjustment(field="seconds", asked=None, given="8", why="so"),),
        estimate_usd=None,
        fit=Fit(first_frame=Size(1280, 720), seconds=5),
    )

    assert prepared_from_json(prepared_to_json(full)) == full
    assert prepared_from_json(prepared_to_json(asked())) == asked()


def test_options_and_remote_jobs_have_a_text_too() -> None:
    options = JobOptions(thumbnail=False)
    remote = RemoteJob(id="r", expires_at=datetime.now(UTC), data={"b": 1, "a": [True]})

    assert options_from_json(options_to_json(options)) == options
    assert remote_to_json(remote) == '{"a": [true], "b": 1}'


def test_what_was_left_unsaid_does_not_count() -> None:
    # so that a field that a later release adds, and nobody uses yet, changes no print
    assert said({"a": 1, "b": None, "c": {"d": None}, "e": []}) == {"a": 1}
    assert said({"zero": 0, "no": False, "text": ""}) == {"zero": 0, "no": False, "text": ""}
