"""MiniMax beyond what all vendors are held to: two APIs behind one key, what their words mean, what is refused."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
from rushes.errors import (
    AccessDenied,
    BadReply,
    Gone,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.providers.catalog import read_table
from rushes.providers.content_parts import Pages, Task, progress_of
from rushes.providers.minimax import MiniMax, TaskV1, from_wire_v1, is_moderated, to_wire, to_wire_v1
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Challenge, Doubt, Hint, RemoteJob, Search
from rushes.testing.bench import Inputs, fetched, opened, prepared
from rushes.testing.clips import picture
from rushes.testing.fakes.minimax import FakeMiniMax
from rushes.testing.faults import Fault
from rushes.testing.server import Answer, Received
from rushes.video import Crop, Failure, MediaRef, Reference, Size, SourceKind, SourceVideo, Status, VideoRequest
from tests.providers.scripted import Scripted

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("minimax")}
H3, MAX, HAILUO, HAILUO_02 = "MiniMax-H3", "MiniMax-H3-Max", "MiniMax-Hailuo-2.3", "MiniMax-Hailuo-02"
KEY = {"MINIMAX_API_KEY": "test-key-0123456789abcdef"}


@pytest.fixture
def fake() -> Iterator[FakeMiniMax]:
    with FakeMiniMax(job_s=30.0) as fake:
        yield fake


@asynccontextmanager
async def at(url: str, folder: Path, inputs: Inputs | None = None) -> AsyncGenerator[MiniMax]:
    environment = {**KEY, "MINIMAX_BASE_URL": url}
    async with opened(MiniMax, folder=folder, environment=environment, inputs=inputs) as provider:
        assert isinstance(provider, MiniMax)
        yield provider


def frame(width: int = 1366, height: int = 768, size_bytes: int = 1000) -> MediaRef:
    return MediaRef(sha256="0" * 64, mime="image/png", size_bytes=size_bytes, width=width, height=height)


def asked(model: str = H3, prompt: str = "A boat", **wish: Any) -> Prepared:
    return prepared(VideoRequest(prompt=prompt, model=MODELS[model].id, **wish), MODELS[model])


URIS = {"0" * 64: "data:image/png;base64,AAAA"}
PICTURE = Reference(media=frame())


# -- to the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "resolution", "ratio"),
    [
        (H3, "1366x768", "768P", "16:9"),
        (H3, "768x1366", "768P", "9:16"),
        (H3, "768x768", "768P", "1:1"),
        (H3, "1024x768", "768P", "4:3"),
        (H3, "768x1024", "768P", "3:4"),
        (H3, "1792x768", "768P", "21:9"),
        (H3, "2560x1440", "2K", "16:9"),
        (H3, "3360x1440", "2K", "21:9"),
        (MAX, "480x854", "480P", "9:16"),
        (MAX, "640x480", "480P", "4:3"),
    ],
)
def test_a_size_is_told_as_resolution_and_shape(model: str, size: str, resolution: str, ratio: str) -> None:
    wire = to_wire(asked(model, size=Size.parse(size)).request, {}, None, None)

    assert (wire["resolution"], wire["ratio"]) == (resolution, ratio)


@pytest.mark.parametrize(("size", "resolution"), [("910x512", "512P"), ("1366x768", "768P"), ("1920x1080", "1080P")])
def test_hailuo_is_told_a_resolution_alone(size: str, resolution: str) -> None:
    wire = to_wire_v1(asked(HAILUO_02, size=Size.parse(size)).request, {}, None)

    assert wire == {
        "model": HAILUO_02,
        "prompt": "A boat",
        "duration": 6,
        "resolution": resolution,
    }


def test_the_fields_of_each_api_stand_where_it_reads_them() -> None:
    max_asked = asked(MAX, extra={"prompt_expansion_mode": "quality"})
    hailuo_asked = asked(HAILUO, extra={"prompt_optimizer": False})

    assert to_wire(max_asked.request, {}, None, None)["extra"] == {"prompt_expansion_mode": "quality"}
    assert to_wire_v1(hailuo_asked.request, {}, None)["prompt_optimizer"] is False


def test_an_upright_hailuo_video_comes_from_an_upright_picture() -> None:
    tall = Size(768, 1366)

    assert asked(HAILUO, size=tall, first_frame=frame(768, 1366)).request.size == tall
    with pytest.raises(Unsupported, match="does not make 768x1366"):
        asked(HAILUO, size=tall)


async def test_pictures_beyond_the_free_ones_are_charged_as_shown(fake: FakeMiniMax, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    media = inputs.add(picture(300, 300), "image/png", 300, 300)
    wanted = asked(references=(Reference(media=media),) * 7, seconds=4)
    async with at(fake.base_url, tmp_path, inputs) as provider:
        await provider.submit(wanted, "key-1")

    assert wanted.estimate_usd == fake.book.total_usd == Decimal("0.40")


# -- refused unsent --------------------------------------------------------------------------------------------------

CLIP = replace(frame(), mime="video/mp4", seconds=4.0)


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        (MAX, {"seconds": 4}, "makes 5 to 15 seconds, not 4"),
        (H3, {"seconds": 16}, "makes 4 to 15 seconds, not 16"),
        (H3, {"seed": 7}, "does not take seed"),
        (H3, {"audio": False}, "does not take audio off"),
        (HAILUO, {"audio": True}, "does not take audio on"),
        (H3, {"prompt": "x" * 7001}, "takes 7000"),
        (HAILUO, {"prompt": "x" * 2001}, "takes 2000"),
        (H3, {"first_frame": frame(), "references": (PICTURE,)}, "frame or references, not both"),
        (H3, {"references": (Reference(media=CLIP),)}, "no clips as references"),
        (HAILUO, {"size": Size(1920, 1080), "seconds": 10}, "makes 6 seconds, not 10"),
        (HAILUO, {"first_frame": frame(), "last_frame": frame()}, "does not take last_frame"),
        (HAILUO_02, {"last_frame": frame()}, "only together with a first_frame"),
    ],
)
def test_what_the_table_tells_is_refused_in_preparing(model: str, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        asked(model, **wish)


HUGE = Reference(media=frame(size_bytes=25_000_000))


@pytest.mark.parametrize(
    ("model", "wish", "words"),
    [
        (H3, {"first_frame": frame(size_bytes=30_000_001)}, "it takes 30 MB"),
        (H3, {"references": (Reference(media=frame(255, 768)),)}, "256 pixels or more"),
        (H3, {"references": (Reference(media=frame(5761, 768)),)}, "more than 5760 pixels"),
        (H3, {"references": (HUGE, HUGE)}, r"66\.7 MB; 64 are allowed"),
        (H3, {"references": (replace(PICTURE, crop=Crop(left=0.5)),)}, "no frame_index, no crop"),
        (H3, {"extra": {"prompt_optimizer": True}}, "no extra field 'prompt_optimizer'. It takes: none"),
        (MAX, {"extra": {"prompt_expansion": "quality"}}, "Did you mean prompt_expansion_mode"),
        (MAX, {"extra": {"prompt_expansion_mode": "much"}}, "'disabled', 'balanced' or 'quality'"),
        (HAILUO, {"extra": {"prompt_expansion_mode": "quality"}}, "It takes: prompt_optimizer"),
    ],
)
async def test_what_the_api_would_refuse_is_refused_before_it_is_sent(
    model: str, wish: dict[str, Any], words: str, fake: FakeMiniMax, tmp_path: Path
) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            await provider.submit(asked(model, **wish), "key-1")

    assert fake.requests == []


def test_an_edit_is_refused_for_a_source_that_is_too_short_or_too_long() -> None:
    source = SourceVideo(kind=SourceKind.EDIT, video_id="v", size=Size(1366, 768), seconds=3, remote_id="1")

    with pytest.raises(Unsupported, match="takes sources of 4 to 15 seconds"):
        asked(source=source)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "bad_request_error", Rejected),
        (401, "authorized_error", AccessDenied),
        (402, "insufficient_balance_error", NoCredit),
        (404, "not_found", Gone),
        (422, "unprocessable_entity_error", Moderated),
        (429, "rate_limit_error", RateLimited),
    ],
)
async def test_an_error_of_v2_is_told_by_its_status_and_type(
    status: int, kind: str, error: type[ProviderError], tmp_path: Path
) -> None:
    body = {"type": "error", "error": {"type": kind, "message": "No.", "http_code": str(status)}, "request_id": "r"}
    with Scripted(Answer.json(body, status)) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(error, match=r"MiniMax: No\.") as caught:
                await provider.submit(asked(), "key-1")

    assert (caught.value.provider_code, caught.value.proves_refusal) == (kind, True)


@pytest.mark.parametrize(
    ("code", "error", "refused"),
    [
        (1002, RateLimited, True),
        (1004, AccessDenied, True),
        (1008, NoCredit, True),
        (1026, Moderated, True),
        (1027, Moderated, True),
        (2013, Rejected, True),
        (2049, AccessDenied, True),
        (1000, BadReply, False),  # no page says what it means: it may have been accepted
        (0, BadReply, False),
    ],
)
async def test_an_error_of_v1_comes_as_a_good_answer_and_proves_a_refusal_only_if_its_code_is_known(
    code: int, error: type[ProviderError], refused: bool, tmp_path: Path
) -> None:
    answer = Answer.json({"task_id": "", "base_resp": {"status_code": code, "status_msg": "No."}})
    with Scripted(answer) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(error) as caught:
                await provider.submit(asked(HAILUO), "key-1")

    assert type(caught.value) is error
    assert caught.value.proves_refusal is refused


async def test_trouble_inside_v1_is_doubt_whatever_it_says(tmp_path: Path) -> None:
    answer = Answer.json({"base_resp": {"status_code": 1000, "status_msg": "unknown error"}}, 500)
    with Scripted(answer) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(Unavailable) as caught:
                await provider.submit(asked(HAILUO), "key-1")

    assert not caught.value.proves_refusal


# -- how a task ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "status", "code", "billed"),
    [
        ({"status": "succeeded", "content": {"url": "https://x/y.mp4"}}, Status.COMPLETED, None, False),
        ({"status": "succeeded", "content": {}}, Status.FAILED, "internal_error", True),
        ({"status": "failed", "error": {"code": "1026", "message": "No."}}, Status.FAILED, "moderation_blocked", False),
        ({"status": "failed", "error": {"code": 1027, "message": "No."}}, Status.FAILED, "moderation_blocked", False),
        ({"status": "failed", "error": {"code": "1000"}}, Status.FAILED, "1000", False),
        ({"status": "failed"}, Status.FAILED, "internal_error", False),
        ({"status": "cancelled"}, Status.FAILED, "cancelled", False),
        ({"status": "queued"}, Status.QUEUED, None, False),
        ({"status": "running"}, Status.IN_PROGRESS, None, False),
        ({"status": "upscaling"}, Status.IN_PROGRESS, None, False),
    ],
)
def test_how_a_task_of_v2_is_told(task: dict[str, Any], status: Status, code: str | None, billed: bool) -> None:
    progress = progress_of(Task.model_validate(task), is_moderated)

    assert (progress.status, progress.failure and progress.failure.code, progress.billed) == (status, code, billed)
    assert progress.percent in (None, 100.0), "no percentage is told"


@pytest.mark.parametrize(
    ("task", "status", "code", "billed"),
    [
        ({"status": "Preparing"}, Status.QUEUED, None, False),
        ({"status": "Queueing"}, Status.QUEUED, None, False),
        ({"status": "Processing"}, Status.IN_PROGRESS, None, False),
        ({"status": "Polishing"}, Status.IN_PROGRESS, None, False),
        ({"status": "Success", "file_id": 7}, Status.COMPLETED, None, False),
        ({"status": "Success"}, Status.FAILED, "internal_error", True),
        ({"status": "Fail", "base_resp": {"status_code": 1027}}, Status.FAILED, "moderation_blocked", False),
        ({"status": "Fail", "base_resp": {"status_code": 0}}, Status.FAILED, "internal_error", False),
    ],
)
def test_how_a_task_of_v1_is_told(task: dict[str, Any], status: Status, code: str | None, billed: bool) -> None:
    progress = from_wire_v1(TaskV1.model_validate(task))

    assert (progress.status, progress.failure and progress.failure.code, progress.billed) == (status, code, billed)


async def test_a_look_without_a_status_ends_nothing(tmp_path: Path) -> None:
    with Scripted(Answer.json({"task": {"id": "1"}})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(BadReply, match="tells no status"):
                await provider.poll(RemoteJob(id="1", data={"api": "v2"}))


# -- Hailuo, from end to end -----------------------------------------------------------------------------------------


async def test_a_hailuo_video_is_a_file_whose_link_is_made_anew(fake: FakeMiniMax, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        remote = await provider.submit(asked(HAILUO), "key-1")
        before = await provider.poll(remote)
        fake.finish()
        done = await provider.poll(remote)
        [asset] = await provider.assets(remote)
        await provider.assets(remote)
        data = await fetched(provider, asset)

    assert (before.status, done.status) == (Status.QUEUED, Status.COMPLETED)
    assert data == fake.content_of(remote.id)
    assert sum("files/retrieve" in received.path for received in fake.requests) == 2
    assert all("/v2/" not in received.path for received in fake.requests)


@pytest.mark.parametrize(
    ("code", "error"), [(1002, RateLimited), (2049, AccessDenied), (2013, Vanished), (1000, BadReply)]
)
async def test_a_link_that_is_refused_for_now_is_not_taken_for_gone(
    code: int, error: type[ProviderError], tmp_path: Path
) -> None:
    class Refusing(FakeMiniMax):
        def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
            told = {"base_resp": {"status_code": code, "status_msg": "No."}}
            return Answer.json(told) if operation == "retrieve" else super().answer(received, operation, fault)

    with Refusing(job_s=0.0) as fake:
        async with at(fake.base_url, tmp_path) as provider:
            remote = await provider.submit(asked(HAILUO), "key-1")
            with pytest.raises(error) as caught:
                await provider.assets(remote)

    assert type(caught.value) is error


async def test_a_task_that_a_person_adopted_is_found_in_either_api(fake: FakeMiniMax, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        for model in (H3, HAILUO):
            remote = await provider.submit(asked(model), f"key of {model}")

            assert (await provider.poll(RemoteJob(id=remote.id))).status is Status.QUEUED
        with pytest.raises(Vanished):
            await provider.poll(RemoteJob(id="1"))


@pytest.mark.parametrize("model", [HAILUO, HAILUO_02])
async def test_nothing_can_be_done_about_a_hailuo_task(model: str, fake: FakeMiniMax, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        remote = await provider.submit(asked(model), "key-1")
        seen = len(fake.requests)

        assert not await provider.cancel(remote)
        assert not await provider.delete(remote)
        assert len(fake.requests) == seen
        assert not await provider.cancel(RemoteJob(id=remote.id)), "nor of one that a person adopted"


# -- cancelling ------------------------------------------------------------------------------------------------------


async def test_only_what_is_queued_is_cancelled_and_no_paid_video_is_deleted_by_it(
    fake: FakeMiniMax, tmp_path: Path
) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        queued, running, done = [await provider.submit(asked(), f"key-{n}") for n in range(3)]
        fake.jobs[running.id].started -= 15.0
        fake.jobs[done.id].job_s = 0.0

        stopped = [await provider.cancel(remote) for remote in (queued, running, done)]
        again = await provider.cancel(queued)

        assert (stopped, again) == ([True, False, False], True)
        assert (await provider.poll(done)).status is Status.COMPLETED
        assert (await provider.poll(queued)).failure == Failure("cancelled", "The task was cancelled over there.")
    assert [received.method for received in fake.requests].count("DELETE") == 1


# -- looking for a lost create ---------------------------------------------------------------------------------------


def search(wanted: Prepared, known: frozenset[str] = frozenset()) -> Search:
    return Search(prepared=wanted, key="key-1", sent_at=datetime.now(UTC), known_ids=known)


async def test_a_lost_create_is_a_candidate_among_what_is_not_ours_yet(fake: FakeMiniMax, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        known = [(await provider.submit(asked(), f"key-{n}")).id for n in range(60)]
        fake.faults.create = [Fault.reset(accepted=True)]
        with pytest.raises(Unavailable):
            await provider.submit(asked(), "lost")

        findings = await provider.find(search(asked(), frozenset(known)))
        nothing = await provider.find(search(asked(), frozenset(fake.jobs)))

    assert [remote.id for remote in findings.candidates] == [fake.book.entries[-1].remote_id]
    assert (findings.matches, findings.complete) == ((), True)
    assert (nothing.candidates, nothing.complete) == ((), True)
    pages = [received.query for received in fake.requests if received.path == "/v2/query/video_generation"]
    assert [page["page_num"] for page in pages] == ["1", "2", "1", "2"]


async def test_nothing_is_proven_of_a_lost_create_of_hailuo(fake: FakeMiniMax, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        findings = await provider.find(search(asked(HAILUO)))

    assert (findings.matches, findings.candidates, findings.complete) == ((), (), False)
    assert fake.requests == []


PAGES: list[tuple[Any, bool | None, bool]] = [
    ({"items": [], "total": 0}, False, True),
    ({"items": None, "total": 0}, False, True),
    ({"total": 0}, False, False),  # no list at all: another kind of answer, perhaps
    ({"tasks": [{"task": {"id": 1}}], "total": "1"}, False, True),
    ({"items": [{"id": "1"}], "total": 2}, True, True),
    ({"items": [{"id": "1"}, {"id": "1"}], "total": 2}, True, True),  # one task twice is not two
    ({"items": [{"id": "1"}]}, None, True),  # without a total nothing says that this is all
    ({"items": [{}], "total": 1}, True, False),
    ({"total": 1}, True, False),
    ("what is this", None, False),
]


@pytest.mark.parametrize(("page", "more", "well_formed"), PAGES)
def test_a_list_proves_something_only_if_it_says_that_it_is_whole(
    page: Any, more: bool | None, well_formed: bool
) -> None:
    listing = Pages().read(page)

    assert (listing.has_more, listing.well_formed) == (more, well_formed)


# -- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"challenge": "abc"}, Challenge(answer={"challenge": "abc"})),
        ({"task": {"id": "42", "status": "succeeded"}}, Hint(remote_id="42", trusted=False)),
        ({"id": "42", "status": "running"}, Hint(remote_id="42", trusted=False)),
        ({"task_id": 42, "status": "success", "challenge": "abc"}, Hint(remote_id="42", trusted=False)),
        ({"task_id": "4\u00002"}, None),
        ({"task_id": "4" * 201}, None),
        ({"challenge": ["abc"]}, None),
        ({}, None),
        ("abc", None),
    ],
)
async def test_a_message_is_a_challenge_or_a_hint_that_nobody_signed(
    body: Any, found: Hint | Challenge | None, tmp_path: Path
) -> None:
    async with at("http://127.0.0.1:9", tmp_path) as provider:
        assert await provider.read_webhook({}, json.dumps(body).encode()) == found


# -- set-up ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "variables", "address", "in_dollars"),
    [
        ({}, {}, "https://api.minimax.io", True),
        ({"region": "international"}, {}, "https://api.minimax.io", True),
        ({"region": "mainland"}, {}, "https://api.minimaxi.com", False),
        ({"region": "mainland"}, {"MINIMAX_BASE_URL": "https://api.minimax.io/v1"}, "https://api.minimaxi.com", False),
        ({}, {"MINIMAX_BASE_URL": "https://api.minimaxi.com/v1/"}, "https://api.minimaxi.com", False),
        ({"base_url": "https://relay.example/minimax/v2"}, {}, "https://relay.example/minimax", True),
    ],
)
async def test_the_host_and_its_currency_follow_the_region(
    section: Mapping[str, Any], variables: Mapping[str, str], address: str, in_dollars: bool, tmp_path: Path
) -> None:
    written = ProviderSettings.model_validate(section)
    async with opened(MiniMax, folder=tmp_path, environment={**KEY, **variables}, section=written) as provider:
        assert provider.base_url == address
        assert bool(provider.offered(MODELS[H3]).prices) is in_dollars


async def test_a_ping_reads_one_line_of_the_list(fake: FakeMiniMax, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        assert await provider.ping() == "answers, key accepted"
    assert fake.requests[-1].query == {"page_num": "1", "page_size": "1"}


def test_what_is_promised_is_what_v2_offers() -> None:
    told = MiniMax.promises
    assert (told.doubt, told.cancels, told.deletes, told.poll_least_s) == (Doubt.LIST, True, True, 10.0)
