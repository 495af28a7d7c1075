"""How Alibaba's jobs end, are cancelled and refused, and what its errors mean."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import (
    AccessDenied,
    BadReply,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Vanished,
)
from rushes.providers.dashscope.wire import Task, from_wire
from rushes.providers.terms import RemoteJob
from rushes.testing.fakes.dashscope import FakeDashScope
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer
from rushes.testing.vendor import API_KEY
from rushes.video import Status
from tests.providers.dashscope_bench import asked, at
from tests.providers.scripted import Scripted

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake() -> Iterator[FakeDashScope]:
    with FakeDashScope(job_s=0.0) as fake:
        yield fake


# -- how jobs end ----------------------------------------------------------------------------------------------------


def task(word: str, **output: Any) -> Task:
    return Task.model_validate({"output": {"task_status": word, **output}, "usage": {"output_video_duration": 5}})


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PENDING", Status.QUEUED),
        ("SUSPENDED", Status.QUEUED),
        ("RUNNING", Status.IN_PROGRESS),
        ("POST_PROCESSING", Status.IN_PROGRESS),
        ("SUCCEEDED", Status.COMPLETED),
        ("succeeded", Status.COMPLETED),
        ("FAILED", Status.FAILED),
        ("CANCELED", Status.FAILED),
    ],
)
def test_words_of_the_vendor_in_ours(word: str, status: Status) -> None:
    assert from_wire(task(word, video_url="https://x/v.mp4")).status is status


@pytest.mark.parametrize("code", ["DataInspectionFailed", "data_inspection_failed", "dataInspectionFailed"])
def test_moderation_is_known_however_it_is_spelt(code: str) -> None:
    progress = from_wire(task("FAILED", code=code, message="Inappropriate."))

    assert progress.failure is not None
    assert progress.failure.code == Moderated.code
    assert not progress.billed


def test_a_file_that_could_not_be_fetched_is_no_moderation() -> None:
    progress = from_wire(task("FAILED", code="InvalidParameter.DataInspection", message="Unable to download."))

    assert progress.failure is not None
    assert progress.failure.code == "InvalidParameter.DataInspection"


def test_success_without_a_video_is_a_failure_that_counts_as_billed() -> None:
    progress = from_wire(task("SUCCEEDED"))

    assert (progress.status, progress.billed) == (Status.FAILED, True)


def test_only_the_seconds_that_were_made_are_told() -> None:
    usage = {"duration": 10, "input_video_duration": 5, "output_video_duration": 5}
    done = Task.model_validate({"output": {"task_status": "SUCCEEDED", "video_url": "https://x"}, "usage": usage})

    assert from_wire(done).seconds == 5


async def test_a_job_that_is_no_longer_known_has_vanished_and_not_failed(fake: FakeDashScope, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        with pytest.raises(Vanished, match="for a day"):
            await provider.poll(RemoteJob(id="0-0"))


async def test_an_answer_without_a_status_is_no_answer(tmp_path: Path) -> None:
    with Scripted(Answer.json({"request_id": "r", "output": {}})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(BadReply):
                await provider.poll(RemoteJob(id="j"))


async def test_a_running_job_is_not_cancelled(tmp_path: Path) -> None:
    with FakeDashScope(job_s=60.0) as fake:
        async with at(fake.base_url, tmp_path) as provider:
            remote = await provider.submit(asked(), "k")
            fake.jobs[remote.id].job_s = 0.001

            assert not await provider.cancel(remote)


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        ({"request_id": "r-1"}, True),
        ({"request_id": "r-1", "code": "UnsupportedOperation", "message": "It runs."}, False),
        ({"request_id": "r-1", "code": "", "message": ""}, True),
    ],
)
async def test_a_code_refuses_to_cancel_whatever_the_status_is(
    answer: dict[str, str], stopped: bool, tmp_path: Path
) -> None:
    with Scripted(Answer.json(answer)) as server:
        async with at(server.url, tmp_path) as provider:
            assert await provider.cancel(RemoteJob(id="j")) is stopped


async def test_a_cancelled_job_ends_as_cancelled(tmp_path: Path) -> None:
    with FakeDashScope(job_s=60.0) as fake:
        async with at(fake.base_url, tmp_path) as provider:
            remote = await provider.submit(asked(), "k")

            assert await provider.cancel(remote)
            progress = await provider.poll(remote)

    assert progress.failure is not None
    assert progress.failure.code == "cancelled"


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind", "refused"),
    [
        (400, "InvalidParameter", Rejected, True),
        (400, "DataInspectionFailed", Moderated, True),
        (400, "data_inspection_failed", Moderated, True),
        (400, "InvalidParameter.DataInspection", Rejected, True),
        (400, "Arrearage", NoCredit, True),
        (401, "InvalidApiKey", AccessDenied, True),
        (403, "AccessDenied", AccessDenied, True),
        (404, "ModelNotFound", Rejected, True),
        (429, "Throttling", RateLimited, True),
        (429, "Throttling.RateQuota", RateLimited, True),
        (400, "Throttling.AllocationQuota", RateLimited, True),
        (408, "RequestTimeOut", Unavailable, False),
        (500, "InternalError", Unavailable, False),
        (503, "Throttling", Unavailable, False),
    ],
)
async def test_an_error_is_told_by_its_code(
    status: int, code: str, kind: type[ProviderError], refused: bool, tmp_path: Path
) -> None:
    body = json.dumps({"code": code, "message": "No.", "request_id": "r-7"}).encode()
    with Scripted(Answer(status, body, {"content-type": "application/json"})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.submit(asked(), "k")

    error = caught.value
    assert (type(error), error.proves_refusal, error.provider_code) == (kind, refused, code)


async def test_an_error_in_a_good_answers_clothes_is_doubt(tmp_path: Path) -> None:
    with Scripted(Answer.json({"code": "InvalidParameter", "message": "No."})) as server:
        async with at(server.url, tmp_path) as provider:
            with pytest.raises(BadReply) as caught:
                await provider.submit(asked(), "k")

    assert not caught.value.proves_refusal


# -- ping ------------------------------------------------------------------------------------------------------------


async def test_ping_tells_whether_the_key_is_taken(fake: FakeDashScope, tmp_path: Path) -> None:
    async with at(fake.base_url, tmp_path) as provider:
        assert await provider.ping() == "answers, key accepted"
        fake.api_key = "another"
        assert "key refused" in await provider.ping()
        fake.faults.poll = [Fault.of(Trouble.HTML)]
        fake.api_key = API_KEY
        assert "no good answer" in await provider.ping()

    assert fake.book.creates == 0
