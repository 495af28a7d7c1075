"""Results that are found elsewhere than in `/content`: in the create's own answer, or behind a link of the job."""

import base64
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import BadReply, Unavailable, Vanished
from rushes.providers.openai.provider import api_root
from rushes.providers.openai.results import results_of
from rushes.providers.openai.servers import ServerName
from rushes.providers.terms import Doubt, Findings, RemoteJob
from rushes.testing.bench import fetched
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer
from rushes.testing.servers.base import FakeBox
from rushes.testing.servers.dynamo import FakeDynamo
from rushes.testing.servers.localai import FakeLocalAI
from rushes.testing.servers.sglang import FakeSglang
from rushes.video import Status
from tests.providers.boxes import CLIP, Scripted, asked, box, made, search, unnamed

pytestmark = pytest.mark.anyio


# -- LocalAI and Dynamo: answered by the video -------------------------------------------------------------------------

BLOCKING: list[tuple[ServerName, type[FakeLocalAI] | type[FakeDynamo]]] = [
    ("localai", FakeLocalAI),
    ("dynamo", FakeDynamo),
]


@pytest.mark.parametrize(("server", "kind"), BLOCKING)
@pytest.mark.parametrize("answer_as", ["url", "full_url", "b64_json"])
async def test_a_create_that_is_answered_by_the_video_is_complete_at_once(
    server: ServerName, kind: type[FakeLocalAI] | type[FakeDynamo], answer_as: str, tmp_path: Path
) -> None:
    with kind(answer_as=answer_as) as fake:
        async with box(fake, server, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            assert provider.create_timeout_s == 1800
            assert provider.promises.doubt is Doubt.NONE
        # Another process, with nothing but what the ledger kept:
        kept = RemoteJob(id=remote.id, data=dict(remote.data))
        async with box(fake, server, tmp_path) as provider:
            assert (await provider.poll(kept)).status is Status.COMPLETED
            (asset,) = await provider.assets(kept)
            assert await fetched(provider, asset) == fake.content_of(remote.id)
            assert await fetched(provider, asset, offset=1000) == fake.content_of(remote.id)[1000:]
            files = list(tmp_path.glob("*.mp4"))
            provider.release(kept)

    assert [file.exists() for file in files] == ([False] if answer_as == "b64_json" else [])
    assert [entry.remote_id for entry in fake.book.entries] == [remote.id]
    looks = [request for request in fake.requests if request.method == "GET"]
    assert all(request.path.startswith(("/generated-videos/", "/results/")) for request in looks)


@pytest.mark.parametrize(("server", "kind"), BLOCKING)
async def test_what_is_asked_of_a_job_that_such_a_server_never_kept_is_not_sent(
    server: ServerName, kind: type[FakeBox], tmp_path: Path
) -> None:
    adopted = RemoteJob(id="somebody-typed-this")
    with kind() as fake:
        async with box(fake, server, tmp_path) as provider:
            with pytest.raises(Vanished, match="keeps no jobs"):
                await provider.poll(adopted)
            assert await provider.delete(adopted) is False
            assert await provider.cancel(adopted) is False
            assert await provider.find(search(asked())) == Findings()

    assert fake.requests == []


@pytest.mark.parametrize("status", [200, 422, 500])
async def test_dynamo_tells_of_a_failed_video_in_the_answer_to_its_create(status: int, tmp_path: Path) -> None:
    with FakeDynamo(job_s=0) as fake:
        fake.faults.create = [Fault.of(Trouble.FAILED_AS, status)]
        async with box(fake, "dynamo", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            progress = await provider.poll(remote)

    assert remote.id == fake.book.entries[0].remote_id
    assert progress.status is Status.FAILED
    assert progress.failure == ("internal_error", "CUDA out of memory")


async def test_dynamo_done_without_a_video_has_failed(tmp_path: Path) -> None:
    answer = Answer.json({"id": "video_1", "object": "video", "status": "completed", "data": [], "error": None})
    with Scripted({"POST /v1/videos": answer}) as relay:
        async with unnamed(relay.url, tmp_path, server="dynamo") as provider:
            progress = await provider.poll(await provider.submit(asked(), "key-1"))

    assert progress.failure is not None
    assert progress.failure.code == "no_result"


async def test_localai_failing_leaves_it_open_whether_it_was_accepted(tmp_path: Path) -> None:
    with FakeLocalAI(job_s=0) as fake:
        fake.faults.create = [Fault.of(Trouble.FAILED_AS, 500)]
        async with box(fake, "localai", tmp_path) as provider:
            with pytest.raises(Unavailable, match="CUDA out of memory") as caught:
                await provider.submit(asked(), "key-1")

    assert not caught.value.proves_refusal


NO_VIDEO: list[Any] = [{"created": 1, "id": "x"}, {"created": 1, "id": "x", "data": []}, {"data": [{}]}, []]


@pytest.mark.parametrize("body", NO_VIDEO)
async def test_an_answer_without_a_video_is_doubt(body: Any, tmp_path: Path) -> None:
    with Scripted({"POST /video": Answer.json(body)}) as relay:
        async with unnamed(relay.url, tmp_path, server="localai") as provider:
            with pytest.raises(BadReply) as caught:
                await provider.submit(asked(), "key-1")

    assert not caught.value.proves_refusal


async def test_a_result_without_an_id_goes_by_the_key_of_its_create(tmp_path: Path) -> None:
    data = [{"b64_json": base64.b64encode(CLIP).decode()}, {"b64_json": base64.b64encode(CLIP + b"2").decode()}]
    with Scripted({"POST /video": Answer.json({"created": 1, "data": data})}) as relay:
        async with unnamed(relay.url, tmp_path, server="localai") as provider:
            one = await provider.submit(asked(), "key-1")
            two = await provider.submit(asked(), "key-2")
            videos = [await fetched(provider, asset) for asset in await provider.assets(one)]

    assert (one.id, two.id) == ("key-1", "key-2")
    assert videos == [CLIP, CLIP + b"2"]
    assert len(list(tmp_path.glob("*.mp4"))) == 4


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("", "/video"),
        ("/", "/video"),
        ("/v1", "/video"),
        ("/v1/", "/video"),
        ("/ai/v1", "/ai/video"),
        ("/ai", "/ai/video"),
    ],
)
async def test_localai_is_found_beside_v1_however_its_address_is_written(
    written: str, path: str, tmp_path: Path
) -> None:
    answer = Answer.json({"id": "a", "data": [{"url": "/generated-videos/a.mp4"}]})
    with Scripted({f"POST {path}": answer, "GET /generated-videos/a.mp4": Answer(200, CLIP)}) as relay:
        async with unnamed(f"{relay.url}{written}", tmp_path, server="localai") as provider:
            remote = await provider.submit(asked(), "key-1")
            assert await fetched(provider, (await provider.assets(remote))[0]) == CLIP


def test_only_servers_at_the_root_lose_their_v1() -> None:
    assert api_root("http://box:1/v1", at_root=True) == "http://box:1"
    assert api_root("http://box:1/v1") == "http://box:1/v1"


async def test_the_key_goes_to_no_other_address_than_the_servers_own(tmp_path: Path) -> None:
    with Scripted({"GET /a.mp4": Answer(200, CLIP)}) as other:
        answer = Answer.json({"id": "a", "data": [{"url": f"{other.url}/a.mp4"}]})
        with Scripted({"POST /video": answer}) as relay:
            async with unnamed(relay.url, tmp_path, server="localai", api_key="sk-1") as provider:
                remote = await provider.submit(asked(), "key-1")
                with pytest.raises(Exception, match="https"):
                    await fetched(provider, (await provider.assets(remote))[0])

    assert other.requests == []


# -- servers that nobody named -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 501])
@pytest.mark.parametrize(
    "told",
    [
        {"url": "/files/a.mp4"},
        {"urls": ["/files/a.mp4"]},
        {"video_url": "/files/a.mp4"},
        {"output": {"url": "/files/a.mp4"}},
        {"data": [{"b64_json": base64.b64encode(CLIP).decode()}]},
    ],
    ids=lambda told: next(iter(told)),
)
async def test_where_content_is_not_offered_the_job_is_asked_for_a_link(
    status: int, told: dict[str, Any], tmp_path: Path
) -> None:
    answers = {
        "POST /v1/videos": Answer.json({"id": "a", "status": "queued"}, 202),
        "GET /v1/videos/a": Answer.json({"id": "a", "status": "completed", **told}),
        "GET /v1/videos/a/content": Answer.json({"detail": "no"}, status),
        "GET /files/a.mp4": Answer(200, CLIP, {"content-type": "video/mp4"}),
    }
    with Scripted(answers) as server:
        async with unnamed(server.url, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            assert await fetched(provider, (await provider.assets(remote))[0]) == CLIP


async def test_where_the_job_tells_no_link_the_first_answer_counts(tmp_path: Path) -> None:
    answers = {
        "GET /v1/videos/a": Answer.json({"id": "a", "status": "completed", "url": None, "file_path": "/srv/a.mp4"})
    }
    with Scripted(answers) as server:
        async with unnamed(server.url, tmp_path) as provider:
            with pytest.raises(Vanished) as caught:
                await fetched(provider, (await provider.assets(RemoteJob(id="a")))[0])

    assert caught.value.http_status == 404
    assert len(server.requests) == 2


async def test_sglang_that_nobody_named_is_followed_into_its_cloud(tmp_path: Path) -> None:
    with FakeSglang(job_s=0, cloud=True) as fake:
        async with box(fake, None, tmp_path) as provider:
            remote = await made(provider, fake)
            assert await fetched(provider, (await provider.assets(remote))[0]) == fake.content_of(remote.id)


async def test_a_server_that_nobody_named_may_answer_a_create_with_the_video(tmp_path: Path) -> None:
    answer = Answer.json({"created": 1, "data": [{"url": "/files/a.mp4"}]})
    with Scripted({"POST /v1/videos": answer, "GET /files/a.mp4": Answer(200, CLIP)}) as server:
        async with unnamed(server.url, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            assert (await provider.poll(remote)).status is Status.COMPLETED
            assert await fetched(provider, (await provider.assets(remote))[0]) == CLIP

    assert remote.id == "key-1"


async def test_a_queued_job_with_an_address_to_come_is_still_a_job(tmp_path: Path) -> None:
    answer = Answer.json({"id": "a", "status": "queued", "url": "/files/a.mp4", "data": [{"url": "/files/a.mp4"}]})
    with Scripted({"POST /v1/videos": answer, "GET /v1/videos/a": answer}) as server:
        async with unnamed(server.url, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            assert (await provider.poll(remote)).status is Status.QUEUED


B64 = base64.b64encode(b"bytes").decode()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": [{"url": "https://a/1"}, {"url": "https://a/2"}]}, ["https://a/1", "https://a/2"]),
        ({"data": [{"url": "https://a/1", "b64_json": B64}]}, [b"bytes"]),
        ({"data": [{"url": f"data:video/mp4;base64,{B64}"}]}, [b"bytes"]),
        ({"urls": ["https://a/1"], "url": "https://a/other"}, ["https://a/1"]),
        ({"url": "https://a/1", "metadata": {"url": "https://a/other"}}, ["https://a/1"]),
        ({"outputs": {"video_url": "https://a/1"}}, ["https://a/1"]),
        ({"videos": [{"type": "url", "url": "https://a/1"}]}, ["https://a/1"]),
        ({"videos": [{"type": "base64", "base64": B64}]}, [b"bytes"]),
        ({"video": {"url": "https://a/1"}}, ["https://a/1"]),
        ({"metadata": {"url": "https://a/1"}}, ["https://a/1"]),
        ({"unsigned_urls": ["https://a/1"], "metadata": "{}"}, ["https://a/1"]),
        ({"url": "", "urls": [], "data": None, "video": 7, "output": "done"}, []),
        ({"url": "file:///srv/a.mp4", "file_path": "/srv/a.mp4"}, []),
        ({"data": [{"b64_json": "not base64!"}]}, []),
        ([], []),
        (None, []),
    ],
)
def test_results_are_looked_for_under_every_name_in_a_fixed_order(body: Any, found: list[Any]) -> None:
    assert [result.data or result.url for result in results_of(body)] == found
