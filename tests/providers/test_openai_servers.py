"""The quirks of real servers of the dialect with jobs, each under its name."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import BadReply, ProviderError, Rejected, Vanished
from rushes.media.download import DownloadPolicy, download
from rushes.providers.catalog import open_model
from rushes.providers.openai.servers import SERVERS, ServerName
from rushes.providers.terms import Doubt, Findings, Variant
from rushes.testing.bench import fetched
from rushes.testing.faults import Fault, Trouble
from rushes.testing.servers.base import FakeBox
from rushes.testing.servers.dynamo import FakeDynamo
from rushes.testing.servers.litellm import FakeLiteLlm, unpack
from rushes.testing.servers.localai import FakeLocalAI
from rushes.testing.servers.new_api import FakeNewApi
from rushes.testing.servers.sglang import FakeSglang
from rushes.testing.servers.tensorrt_llm import FakeTensorrtLlm
from rushes.testing.servers.vllm_omni import FakeVllmOmni
from rushes.video import Status
from tests.providers.boxes import WAN, asked, box, made, methods, search, unnamed

pytestmark = pytest.mark.anyio


# -- vLLM-Omni ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
async def test_vllm_omni_serves_a_failed_job_with_the_failures_own_status(status: int, tmp_path: Path) -> None:
    with FakeVllmOmni() as fake:
        async with box(fake, "vllm-omni", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            fake.faults.poll = [Fault.of(Trouble.FAILED_AS, status)]

            progress = await provider.poll(remote)

    assert progress.status is Status.FAILED
    assert progress.failure == (str(status), "CUDA out of memory")


async def test_vllm_omni_refuses_json_so_it_is_never_sent_any(tmp_path: Path) -> None:
    with FakeVllmOmni() as fake:
        async with unnamed(fake.base_url, tmp_path, encoding="json", api_key=fake.api_key) as provider:
            with pytest.raises(Rejected, match="prompt: Field required") as refused:
                await provider.submit(asked(), "key-1")
        async with box(fake, "vllm-omni", tmp_path) as provider:
            await provider.submit(asked(), "key-1")

    assert (refused.value.http_status, refused.value.proves_refusal) == (422, True)
    assert fake.book.charged == 1


async def test_vllm_omni_has_one_model_and_says_which(tmp_path: Path) -> None:
    with FakeVllmOmni(served_model="Wan-AI/Wan2.2") as fake:
        async with box(fake, "vllm-omni", tmp_path) as provider:
            with pytest.raises(Rejected, match=r"Model mismatch: this server has Wan-AI/Wan2\.2") as refused:
                await provider.submit(asked(), "key-1")

    assert refused.value.proves_refusal
    assert fake.book.charged == 0


async def test_vllm_omni_aborts_a_job_that_is_deleted(tmp_path: Path) -> None:
    with FakeVllmOmni(job_s=60, stopping=2) as fake:
        async with box(fake, "vllm-omni", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")

            assert await provider.cancel(remote) is True
            with pytest.raises(Vanished):
                await provider.poll(remote)

    assert methods(fake).count("DELETE") == 3, "it was still stopping, twice"
    assert fake.jobs == {}


async def test_a_video_that_is_there_already_is_not_thrown_away_by_cancelling(tmp_path: Path) -> None:
    with FakeVllmOmni(job_s=0) as fake:
        async with box(fake, "vllm-omni", tmp_path) as provider:
            remote = await made(provider, fake)

            assert await provider.cancel(remote) is False
            assert await fetched(provider, (await provider.assets(remote))[0]) == fake.content_of(remote.id)

    assert "DELETE" not in methods(fake)


async def test_a_job_that_never_stops_stopping_is_told_as_not_stopped(tmp_path: Path) -> None:
    with FakeVllmOmni(job_s=60, stopping=100) as fake:
        async with box(fake, "vllm-omni", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            with pytest.raises(Rejected, match="still in progress"):
                await provider.cancel(remote)


@pytest.mark.parametrize("server", list(SERVERS))
async def test_no_named_server_is_asked_for_pictures_that_it_does_not_make(server: ServerName, tmp_path: Path) -> None:
    fakes: dict[ServerName, type[FakeBox]] = {
        "vllm-omni": FakeVllmOmni,
        "sglang": FakeSglang,
        "tensorrt-llm": FakeTensorrtLlm,
        "litellm": FakeLiteLlm,
        "new-api": FakeNewApi,
        "localai": FakeLocalAI,
        "dynamo": FakeDynamo,
    }
    with fakes[server](job_s=0) as fake:
        async with box(fake, server, tmp_path) as provider:
            remote = await made(provider, fake)
            assets = await provider.assets(remote)

    assert [asset.variant for asset in assets] == [Variant.VIDEO]


# -- SGLang ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cloud", [False, True], ids=["by number", "by link"])
async def test_sglang_makes_several_videos_of_one_create(cloud: bool, tmp_path: Path) -> None:
    wanted = asked(extra={"num_outputs_per_prompt": 3})
    with FakeSglang(job_s=0, cloud=cloud) as fake:
        async with box(fake, "sglang", tmp_path) as provider:
            remote = await made(provider, fake, wanted)
            assets = await provider.assets(remote)

            videos = [await fetched(provider, asset) for asset in assets]
            cost = provider.cost(open_model(WAN, Decimal("0.02")), wanted, await provider.poll(remote))

            assert provider.count(wanted) == 3
    assert [asset.n for asset in assets] == [0, 1, 2]
    assert videos == [fake.content_of(remote.id, n) for n in range(3)]
    assert len(set(videos)) == 3
    assert cost == fake.book.total_usd == Decimal("0.06")


async def test_sglang_reads_variant_as_a_number_so_one_video_is_asked_for_without(tmp_path: Path) -> None:
    with FakeSglang(job_s=0) as fake:
        async with box(fake, "sglang", tmp_path) as provider:
            remote = await made(provider, fake)
            (asset,) = await provider.assets(remote)
            await fetched(provider, asset)

    assert fake.requests[-1].raw_path == f"/v1/videos/{remote.id}/content"


async def test_sglang_tells_paths_of_its_own_disk_and_nobody_hears_of_them(tmp_path: Path) -> None:
    with FakeSglang(job_s=0) as fake:
        async with box(fake, "sglang", tmp_path) as provider:
            remote = await made(provider, fake)
            said = [repr(remote), repr(await provider.poll(remote)), repr(await provider.assets(remote))]

    assert "/srv/sglang" in str(fake.shown(fake.jobs[remote.id]))
    assert "/srv/sglang" not in "".join(said)


async def test_sglang_tells_no_prompts_so_a_lost_create_is_at_best_a_candidate(tmp_path: Path) -> None:
    with FakeSglang() as fake:
        async with box(fake, "sglang", tmp_path, create_timeout_s=2) as provider:
            nothing_yet = await provider.find(search(asked()))
            fake.faults.create = [Fault.reset(accepted=True)]
            with pytest.raises(ProviderError):
                await provider.submit(asked(), "key-1")
            found = await provider.find(search(asked()))

    assert nothing_yet == Findings(complete=True)
    assert found.matches == ()
    assert [remote.id for remote in found.candidates] == [fake.book.entries[0].remote_id]


async def test_sglang_answers_a_delete_with_the_video_and_stops_nothing(tmp_path: Path) -> None:
    with FakeSglang(job_s=60) as fake:
        async with box(fake, "sglang", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")

            assert await provider.cancel(remote) is False
            assert "DELETE" not in methods(fake)
            assert await provider.delete(remote) is True


async def test_sglang_tells_a_failure_without_a_code(tmp_path: Path) -> None:
    with FakeSglang() as fake:
        async with box(fake, "sglang", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            fake.faults.poll = [Fault.of(Trouble.FAILED_AS, 200)]
            progress = await provider.poll(remote)

    assert progress.failure == ("internal_error", "CUDA out of memory")


# -- TensorRT-LLM ------------------------------------------------------------------------------------------------------


async def test_tensorrt_llm_has_words_of_its_own_for_running(tmp_path: Path) -> None:
    with FakeTensorrtLlm(job_s=60) as fake:
        async with box(fake, "tensorrt-llm", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            began = fake.jobs[remote.id].started
            seen: list[Status] = []
            for seconds in (0, 30, 55, 61):
                fake.jobs[remote.id].started = began - seconds
                seen.append((await provider.poll(remote)).status)
            done = await provider.poll(remote)

    assert seen == [Status.QUEUED, Status.IN_PROGRESS, Status.IN_PROGRESS, Status.COMPLETED]
    assert done.seconds == 1, "told as `duration`, a broken number"


async def test_an_older_tensorrt_llm_says_queued_until_it_is_done(tmp_path: Path) -> None:
    with FakeTensorrtLlm(job_s=60, older=True) as fake:
        async with box(fake, "tensorrt-llm", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            fake.jobs[remote.id].started -= 30
            running = await provider.poll(remote)
            fake.finish()

            assert [running.status, (await provider.poll(remote)).status] == [Status.QUEUED, Status.COMPLETED]


async def test_tensorrt_llm_cancels_a_job_that_is_deleted(tmp_path: Path) -> None:
    with FakeTensorrtLlm(job_s=60) as fake:
        async with box(fake, "tensorrt-llm", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")

            assert await provider.cancel(remote) is True

    assert fake.jobs == {}


async def test_tensorrt_llm_tells_errors_as_a_sentence(tmp_path: Path) -> None:
    with FakeTensorrtLlm() as fake:
        async with box(fake, "tensorrt-llm", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            fake.faults.poll = [Fault.of(Trouble.FAILED_AS, 200)]
            progress = await provider.poll(remote)

    assert progress.failure == ("internal_error", "CUDA out of memory")


async def test_tensorrt_llm_refuses_unknown_fields_where_an_unnamed_server_would_be_sent_them(tmp_path: Path) -> None:
    with FakeTensorrtLlm() as fake:
        async with unnamed(fake.base_url, tmp_path, api_key=fake.api_key) as provider:
            with pytest.raises(Rejected, match="flow_shift: Extra inputs are not permitted") as refused:
                await provider.submit(asked(extra={"flow_shift": 3}), "key-1")

    assert (refused.value.http_status, refused.value.proves_refusal) == (422, True)
    assert fake.book.charged == 0


@pytest.mark.parametrize(("server", "kind"), [("tensorrt-llm", FakeTensorrtLlm), ("new-api", FakeNewApi)])
async def test_content_that_comes_too_early_is_a_400_and_will_be_there(
    server: ServerName, kind: type[FakeBox], tmp_path: Path
) -> None:
    with kind(job_s=60) as fake:
        async with box(fake, server, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            (asset,) = await provider.assets(remote)
            with pytest.raises(Vanished, match="no file of it yet") as early:
                await fetched(provider, asset)
            fake.finish()

            assert await fetched(provider, asset) == fake.content_of(remote.id)
    assert early.value.retryable


async def test_tensorrt_llm_lists_everything_at_once_and_so_proves_absence(tmp_path: Path) -> None:
    with FakeTensorrtLlm() as fake:
        async with box(fake, "tensorrt-llm", tmp_path) as provider:
            await provider.submit(asked("another"), "key-0")
            absent = await provider.find(search(asked()))
        async with unnamed(fake.base_url, tmp_path, api_key=fake.api_key) as provider:
            unproven = await provider.find(search(asked()))

    assert absent == Findings(complete=True)
    assert unproven == Findings(complete=False), "of a server that nobody knows, such a list proves nothing"
    assert fake.requests[1].query == {}


async def test_tensorrt_llm_may_deliver_avi(tmp_path: Path) -> None:
    with FakeTensorrtLlm(job_s=0, avi=True) as fake:
        async with box(fake, "tensorrt-llm", tmp_path) as provider:
            remote = await made(provider, fake)
            async with provider.open((await provider.assets(remote))[0]) as body:
                assert body.mime == "video/x-msvideo"


# -- LiteLLM -----------------------------------------------------------------------------------------------------------


async def test_litellm_packs_ids_that_no_path_can_bear_and_changes_them(tmp_path: Path) -> None:
    with FakeLiteLlm(job_s=0.05) as fake:
        async with box(fake, "litellm", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            told = fake.polled(fake.jobs[remote.id], None)
            fake.finish()
            assert (await provider.poll(remote)).status is Status.COMPLETED
            assert await fetched(provider, (await provider.assets(remote))[0]) == fake.content_of(remote.id)

    assert all(mark in remote.id for mark in "+/=")
    assert remote.id.encode() not in told.body, "a look tells another id of the same job"
    assert unpack(remote.id) is not None
    for request in fake.requests[1:]:
        assert not set("+=") & set(request.raw_path)


async def test_litellm_says_processing_and_that_is_not_the_end(tmp_path: Path) -> None:
    with FakeLiteLlm(job_s=60) as fake:
        async with box(fake, "litellm", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")

            assert (await provider.poll(remote)).status is Status.IN_PROGRESS


async def test_litellm_has_no_delete_and_its_list_is_of_another_upstream(tmp_path: Path) -> None:
    with FakeLiteLlm(job_s=0) as fake:
        async with box(fake, "litellm", tmp_path) as provider:
            remote = await made(provider, fake)
            sent = len(fake.requests)

            assert await provider.delete(remote) is False
            assert await provider.cancel(remote) is False
            assert await provider.find(search(asked())) == Findings(complete=False)

    assert provider.promises.doubt is Doubt.NONE
    assert len(fake.requests) == sent


async def test_litellm_may_send_an_error_labelled_as_a_video_and_it_is_not_taken_for_one(tmp_path: Path) -> None:
    with FakeLiteLlm(job_s=0) as fake:
        async with box(fake, "litellm", tmp_path) as provider:
            remote = await made(provider, fake)
            (asset,) = await provider.assets(remote)
            fake.faults.download = [Fault.of(Trouble.JSON_AS_VIDEO)]

            def open_at(offset: int, etag: str | None) -> Any:
                return provider.open(asset, offset=offset, etag=etag)

            # An answer that may be another one soon, unlike a file that is no good.
            with pytest.raises(BadReply, match="JSON text or a page instead of a media file"):
                await download(open_at, tmp_path / "x.part", max_bytes=1 << 20, policy=DownloadPolicy(tries=1))
            fake.faults.download = [Fault.of(Trouble.JSON_AS_VIDEO)] * 5
            patient = DownloadPolicy(first_wait_s=0.01)
            got = await download(open_at, tmp_path / "x.part", max_bytes=1 << 20, policy=patient)

    assert got.path.read_bytes() == fake.content_of(remote.id)


# -- new-api -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [("NOT_START", "processing", "succeeded"), ("submitted", "RUNNING", "SUCCESS"), ("unknown", "x", "finished")],
)
async def test_new_api_passes_on_the_words_of_its_upstreams(words: tuple[str, str, str], tmp_path: Path) -> None:
    with FakeNewApi(job_s=60, words=words, create_status=201) as fake:
        async with box(fake, "new-api", tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            first = await provider.poll(remote)
            fake.jobs[remote.id].started -= 30
            second = await provider.poll(remote)
            fake.finish()
            third = await provider.poll(remote)

    assert [first.status, second.status, third.status] == [Status.QUEUED, Status.IN_PROGRESS, Status.COMPLETED]


@pytest.mark.parametrize("server", ["new-api", None])
async def test_a_link_in_metadata_is_followed_where_no_content_is_served(
    server: ServerName | None, tmp_path: Path
) -> None:
    with FakeNewApi(job_s=0, serves_content=False) as fake:
        async with box(fake, server, tmp_path) as provider:
            remote = await made(provider, fake)
            data = await fetched(provider, (await provider.assets(remote))[0])

    assert data == fake.content_of(remote.id)
    assert fake.requests[-1].path == f"/files/{remote.id}.mp4"
    assert fake.requests[-1].headers["authorization"] == f"Bearer {fake.api_key}", "it is the server's own address"
