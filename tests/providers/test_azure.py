"""The Azure provider against its fake: both APIs, several variants of one create, refusals."""

from collections.abc import AsyncGenerator
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
    NotOffered,
    ProviderError,
    RateLimited,
    Rejected,
    UnknownModel,
    Unsupported,
    Vanished,
)
from rushes.providers.azure.provider import Azure, NoSuchDeployment
from rushes.providers.base import Provider
from rushes.providers.catalog import read_table
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Asset, RemoteJob, Variant
from rushes.testing.bench import Inputs, fetched, opened, prepared
from rushes.testing.clips import clip, picture
from rushes.testing.fake_azure import FakeAzure
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer, Exchange, FakeServer, Received
from rushes.video import Crop, ModelId, Reference, Size, SourceKind, SourceVideo, Status, VideoRequest

pytestmark = pytest.mark.anyio

MODELS = {model.id.model: model for model in read_table("azure")}
SMALL = Size(480, 480)


def environment(fake: FakeAzure, **more: str) -> dict[str, str]:
    return {"AZURE_OPENAI_API_KEY": fake.api_key or "", "AZURE_OPENAI_ENDPOINT": fake.url, **more}


@asynccontextmanager
async def usual(fake: FakeAzure, folder: Path, **options: Any) -> AsyncGenerator[Provider]:
    async with opened(Azure, folder=folder, environment=environment(fake), **options) as provider:
        yield provider


def asked(name: str = "sora", **changes: Any) -> Prepared:
    model = MODELS[name]
    size = SMALL if name == "sora" else model.default_size
    wish: dict[str, Any] = {"prompt": "A cat", "size": size, "seconds": model.seconds[0], **changes}
    return prepared(VideoRequest(model=model.id, **wish), model)


class Scripted(FakeServer):
    """Gives one answer to everything."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        exchange.send(self.answer)


def leading_to(server: Scripted) -> dict[str, str]:
    return {"AZURE_OPENAI_API_KEY": "k" * 32, "AZURE_OPENAI_ENDPOINT": server.url}


# -- several variants of one create ----------------------------------------------------------------------------------


async def test_one_create_makes_several_videos_and_bills_them_all(tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0) as fake:
        async with usual(fake, tmp_path) as provider:
            request = asked(extra={"n_variants": 3})
            remote = await provider.submit(request, "key-1")
            progress = await provider.poll(remote)
            assets = await provider.assets(remote)
            videos = [await fetched(provider, asset) for asset in assets if asset.variant is Variant.VIDEO]
            cost = provider.cost(MODELS["sora"], request, progress)

            assert provider.count(request) == 3
            assert videos == [fake.video_of(remote.id, n) for n in range(3)]
            assert len(set(videos)) == 3
            assert [(asset.variant, asset.n) for asset in assets] == [
                *((Variant.VIDEO, n) for n in range(3)),
                *((Variant.THUMBNAIL, n) for n in range(3)),
            ]
            assert cost == fake.book.total_usd == Decimal("0.30")
            assert fake.book.charged == 1


async def test_of_two_variants_one_is_withheld_and_both_are_billed(tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0, withhold=1) as fake:
        async with usual(fake, tmp_path) as provider:
            request = asked(extra={"n_variants": 2}, seconds=5)
            remote = await provider.submit(request, "key-1")
            progress = await provider.poll(remote)
            videos = [asset for asset in await provider.assets(remote) if asset.variant is Variant.VIDEO]

            assert progress.status is Status.COMPLETED
            assert [asset.n for asset in videos] == [0]
            assert await fetched(provider, videos[0]) == fake.video_of(remote.id, 1)
            assert provider.cost(MODELS["sora"], request, progress) == fake.book.total_usd == Decimal("1.00")


async def test_all_variants_withheld_is_a_failure_that_counts_as_billed(tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0, withhold=2) as fake:
        async with usual(fake, tmp_path) as provider:
            request = asked(extra={"n_variants": 2})
            progress = await provider.poll(await provider.submit(request, "key-1"))

            assert progress.status is Status.FAILED
            assert progress.failure is not None
            assert progress.failure.code == "moderation_blocked"
            assert provider.promises.moderated_is_billed
            assert provider.cost(MODELS["sora"], request, progress) == fake.book.total_usd


async def test_a_prompt_that_was_refused_counts_as_free(tmp_path: Path) -> None:
    with FakeAzure() as fake:
        fake.faults.poll = [Fault.of(Trouble.MODERATED)]
        async with usual(fake, tmp_path) as provider:
            request = asked()
            progress = await provider.poll(await provider.submit(request, "key-1"))

            assert provider.cost(MODELS["sora"], request, progress) == Decimal(0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"extra": {"n_variants": 0}}, "n_variants: .* greater than or equal to 1"),
        ({"extra": {"n_variants": 6}}, "n_variants: .* less than or equal to 5"),
        ({"extra": {"n_variants": 5}}, "at most 4 variants at 480x480"),
        ({"extra": {"n_variants": 3}, "size": Size(1280, 720)}, "at most 2 variants at 1280x720"),
        ({"extra": {"n_variants": 2}, "size": Size(1080, 1920)}, "at most 1 variant at 1080x1920"),
        ({"extra": {"n_variants": "2"}}, "n_variants: .* integer"),
        ({"extra": {"n_variants": 2.0}}, "n_variants: .* integer"),
        ({"extra": {"n_variants": True}}, "n_variants: .* integer"),
        ({"extra": {"nVariants": 2}}, "Did you mean n_variants"),
        ({"extra": {"quality": "low"}}, "no extra field 'quality'"),
    ],
)
async def test_bad_options_are_refused_before_anything_is_sent(changes: Any, words: str, tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            with pytest.raises(Unsupported, match=words):
                provider.check(asked(**changes))
            with pytest.raises(Unsupported, match=words):
                await provider.submit(asked(**changes), "key-1")

    assert fake.requests == []


async def test_none_is_as_good_as_not_asked_for(tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            request = asked(extra={"n_variants": None})
            await provider.submit(request, "key-1")

            assert provider.count(request) == 1
            assert fake.book.total_usd == Decimal("0.10")


async def test_the_videos_api_takes_no_variants(tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            with pytest.raises(Unsupported, match="no extra field 'n_variants'"):
                provider.check(asked("sora-2", extra={"n_variants": 2}))
            assert provider.count(asked("sora-2")) == 1


# -- pictures, clips, sources ----------------------------------------------------------------------------------------


async def test_pictures_and_clips_are_taken_as_the_real_ones_would_be(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    wide = inputs.add(picture(1280, 720, "PNG"), "image/png", 1280, 720)
    square = inputs.add(picture(300, 300, "JPEG"), "image/jpeg", 300, 300)
    moving = replace(inputs.add(clip(), "video/mp4", 320, 180), seconds=1.0)
    cropped = Reference(media=square, frame_index=20, crop=Crop(left=0.1, bottom=0.9))
    with FakeAzure() as fake:
        async with usual(fake, tmp_path, inputs=inputs) as provider:
            for request in (
                asked(first_frame=wide),
                asked(first_frame=wide, last_frame=wide),
                asked(last_frame=square, references=(cropped,)),
                asked(references=(Reference(media=moving, frame_index=0),)),
                asked(references=(Reference(media=square, frame_index=9, name="C:\\stills\\a.jpg"),)),
                asked("sora-2", first_frame=wide),
            ):
                await provider.submit(request, "key-1")

    assert fake.book.charged == 6
    files = [part.data for part in fake.requests[2].parts if part.filename]
    assert files == [picture(300, 300, "JPEG")] * 2
    assert b'filename="image-1.jpg"' in fake.requests[4].body  # a backslash is escaped there, and not in the item


async def test_a_video_is_remixed_by_its_id_at_the_price_of_its_length(tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0) as fake:
        async with usual(fake, tmp_path) as provider:
            first = await provider.submit(asked("sora-2", seconds=12), "key-1")
            source = SourceVideo(
                kind=SourceKind.REMIX, video_id="ours", size=Size(1280, 720), seconds=12, remote_id=first.id
            )
            request = asked("sora-2", prompt="At night", source=source, seconds=None, size=None)
            again = await provider.submit(request, "key-2")
            progress = await provider.poll(again)
            data = await fetched(provider, (await provider.assets(again))[0])
            cost = provider.cost(MODELS["sora-2"], request, progress)

    assert data == fake.content_of(again.id)
    assert cost == fake.book.entries[-1].usd == Decimal("1.20")


async def test_a_source_that_is_gone_is_told_as_such(tmp_path: Path) -> None:
    source = SourceVideo(
        kind=SourceKind.REMIX, video_id="ours", size=Size(1280, 720), seconds=4, remote_id="video_gone"
    )
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            with pytest.raises(Gone, match="keeps them for a day") as caught:
                await provider.submit(asked("sora-2", source=source, seconds=None, size=None), "key-1")

    assert caught.value.proves_refusal
    assert fake.book.charged == 0


@pytest.mark.parametrize("name", ["sora", "sora-2"])
@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"negative_prompt": "blur"},
        {"characters": ("char_1",)},
        {"source": SourceVideo(kind=SourceKind.EDIT, video_id="v", size=SMALL, seconds=4, remote_id="video_1")},
    ],
)
async def test_what_no_api_has_a_field_for_is_never_dropped(changes: Any, name: str, tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            wish: dict[str, Any] = {"prompt": "A cat", "size": MODELS[name].default_size, "seconds": 4, **changes}
            request = Prepared(request=VideoRequest(model=ModelId("azure", name), **wish))
            with pytest.raises(Unsupported, match="no field for it"):
                await provider.submit(request, "key-1")

    assert fake.requests == []


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_a_prompt_that_is_no_text_is_refused_before_it_can_become_doubt(name: str, tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            with pytest.raises(Unsupported, match="cannot be sent as text"):
                await provider.submit(asked(name, prompt="A cat \udce4"), "key-1")

    assert fake.requests == []


async def test_a_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    gif = Inputs(tmp_path).add(b"GIF8", "image/gif", 1280, 720)
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            for name in ("sora", "sora-2"):
                with pytest.raises(Unsupported, match=r"image/gif\. Convert it"):
                    provider.check(asked(name, first_frame=gif))


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_the_content_filter_says_what_it_saw(name: str, tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            with pytest.raises(
                Moderated, match=r"refused by the content filter: sexual \(medium\), violence \(high\)\."
            ) as e:
                await provider.submit(asked(name, prompt="something forbidden"), "key-1")

    assert e.value.proves_refusal
    assert not e.value.retryable
    assert e.value.request_id, "Azure's own name for it is apim-request-id"
    assert fake.book.charged == 0


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_a_deployment_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with FakeAzure(deployments={"other": "sora"}) as fake:
        async with usual(fake, tmp_path) as provider:
            with pytest.raises(
                NoSuchDeployment, match=rf"'{name}' for this resource does not exist.*azure:video:"
            ) as e:
                await provider.submit(asked(name), "key-1")

    assert isinstance(e.value, UnknownModel)
    assert e.value.proves_refusal
    assert not e.value.retryable
    assert e.value.provider_code == "DeploymentNotFound"


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_a_retired_deployment_is_gone_for_good(name: str, tmp_path: Path) -> None:
    with FakeAzure(retired=True) as fake:
        async with usual(fake, tmp_path) as provider:
            with pytest.raises(Gone, match="rushes models") as caught:
                await provider.submit(asked(name), "key-1")
            assert await provider.ping() == "its video models are retired"

    assert caught.value.http_status == 410
    assert caught.value.proves_refusal
    assert not caught.value.retryable
    assert (fake.book.creates, fake.book.charged) == (1, 0)


async def test_a_third_job_at_a_time_has_to_wait(tmp_path: Path) -> None:
    with FakeAzure(job_s=60, running_max=2) as fake:
        async with usual(fake, tmp_path) as provider:
            for key in ("key-1", "key-2"):
                await provider.submit(asked(), key)
            with pytest.raises(RateLimited, match="running tasks") as caught:
                await provider.submit(asked(), "key-3")

    assert caught.value.proves_refusal
    assert caught.value.retryable
    assert fake.book.charged == 2


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_a_wrong_key_names_the_variable_and_is_not_repeated(name: str, tmp_path: Path) -> None:
    with FakeAzure() as fake:
        variables = environment(fake, AZURE_OPENAI_API_KEY="wrong-key-that-must-not-be-told")
        async with opened(Azure, folder=tmp_path, environment=variables) as provider:
            with pytest.raises(AccessDenied, match="Check AZURE_OPENAI_API_KEY") as caught:
                await provider.submit(asked(name), "key-1")
            assert await provider.ping() == "key refused"

    assert "must-not-be-told" not in str(caught.value)
    assert fake.book.creates == 1, "with a key, a 401 is the answer"


async def test_an_address_without_a_video_api_is_told_once_and_for_all(tmp_path: Path) -> None:
    with Scripted(Answer.json({"detail": "Not Found"}, 404)) as server:
        async with opened(Azure, folder=tmp_path, environment=leading_to(server)) as provider:
            for name in ("sora", "sora-2"):
                with pytest.raises(Gone, match="AZURE_OPENAI_ENDPOINT") as caught:
                    await provider.submit(asked(name), "key-1")
                assert caught.value.proves_refusal
            assert await provider.ping() == "answers, but offers no list of jobs"


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_good_status_is_an_accepted_create(status: int, tmp_path: Path) -> None:
    with Scripted(Answer.json({"id": "task_9", "status": "preprocessing", "expires_at": 1893456000}, status)) as server:
        async with opened(Azure, folder=tmp_path, environment=leading_to(server)) as provider:
            remote = await provider.submit(asked(), "key-1")

    assert remote == RemoteJob(id="task_9", expires_at=datetime(2030, 1, 1, tzinfo=UTC), data={"api": "jobs"})


async def test_rejected_is_what_any_other_refusal_is(tmp_path: Path) -> None:
    with Scripted(Answer.json({"code": "invalid_payload", "message": "No."}, 400)) as server:
        async with opened(Azure, folder=tmp_path, environment=leading_to(server)) as provider:
            with pytest.raises(Rejected, match=r"^Azure OpenAI: No\.") as caught:
                await provider.submit(asked(), "key-1")

    assert caught.value.provider_code == "invalid_payload"


# -- looking, fetching, deleting -------------------------------------------------------------------------------------


async def test_each_call_goes_where_its_api_has_it(tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0) as fake:
        async with usual(fake, tmp_path) as provider:
            for name in ("sora", "sora-2"):
                remote = await provider.submit(asked(name), "key-1")
                await provider.poll(remote)
                for asset in await provider.assets(remote):
                    await fetched(provider, asset)
                await provider.delete(remote)

    first, second = fake.jobs, [(request.method, request.raw_path) for request in fake.requests]
    assert first == {}
    job, video = fake.book.entries[0].remote_id, fake.book.entries[1].remote_id
    jobs, root = "/openai/v1/video/generations", "/openai/v1"
    assert second == [
        ("POST", f"{jobs}/jobs?api-version=preview"),
        ("GET", f"{jobs}/jobs/{job}?api-version=preview"),
        ("GET", f"{jobs}/jobs/{job}?api-version=preview"),
        ("GET", f"{jobs}/gen_010001_0/content/video?api-version=preview"),
        ("GET", f"{jobs}/gen_010001_0/content/thumbnail?api-version=preview"),
        ("DELETE", f"{jobs}/jobs/{job}?api-version=preview"),
        ("POST", f"{root}/videos"),
        ("GET", f"{root}/videos/{video}"),
        ("GET", f"{root}/videos/{video}/content"),
        ("GET", f"{root}/videos/{video}/content?variant=thumbnail"),
        ("GET", f"{root}/videos/{video}/content?variant=spritesheet"),
        ("DELETE", f"{root}/videos/{video}"),
    ]


@pytest.mark.parametrize(
    ("written", "jobs", "videos"),
    [("", "preview", None), ("preview", "preview", "preview"), ("v1", "v1", "v1"), ("2024-10-21", "2024-10-21", None)],
)
async def test_the_api_version_is_the_one_that_was_set(
    written: str, jobs: str, videos: str | None, tmp_path: Path
) -> None:
    with Scripted(Answer.json({"id": "x", "status": "queued"})) as server:
        variables = {**leading_to(server), "AZURE_OPENAI_API_VERSION": written}
        async with opened(Azure, folder=tmp_path, environment=variables) as provider:
            await provider.poll(RemoteJob(id="x", data={"api": "jobs"}))
            await provider.poll(RemoteJob(id="x", data={"api": "videos"}))

    assert [request.query.get("api-version") for request in server.requests] == [jobs, videos]


async def test_own_headers_go_with_every_call_and_win(tmp_path: Path) -> None:
    section = ProviderSettings.model_validate({"headers": {"X-Team": "film", "api-key": "of-the-gateway"}})
    with FakeAzure(api_key="of-the-gateway", job_s=0.0) as fake:
        variables = environment(fake, AZURE_OPENAI_API_KEY="another")
        async with opened(Azure, folder=tmp_path, environment=variables, section=section) as provider:
            remote = await provider.submit(asked(), "key-1")
            await fetched(provider, (await provider.assets(remote))[0])

    assert len(fake.requests) == 3
    assert all(request.headers["x-team"] == "film" for request in fake.requests)


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_an_adopted_job_is_known_by_its_id(name: str, tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0) as fake:
        async with usual(fake, tmp_path) as provider:
            remote = await provider.submit(asked(name), "key-1")
            adopted = RemoteJob(id=remote.id)

            assert (await provider.poll(adopted)).status is Status.COMPLETED
            assert await fetched(provider, (await provider.assets(adopted))[0]) == fake.content_of(remote.id)


@pytest.mark.parametrize("api", ["jobs", "videos"])
@pytest.mark.parametrize("body", [{"status": "failed"}, {"id": "x"}, [], {"error": {"message": "busy"}}])
async def test_an_answer_that_hides_which_job_failed_fails_none(api: str, body: Any, tmp_path: Path) -> None:
    with Scripted(Answer.json(body)) as server:
        async with opened(Azure, folder=tmp_path, environment=leading_to(server)) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.poll(RemoteJob(id="x", data={"api": api}))

    assert caught.value.retryable


async def test_ids_with_slashes_are_one_part_of_the_path(tmp_path: Path) -> None:
    with FakeAzure() as fake:
        async with usual(fake, tmp_path) as provider:
            for api in ("jobs", "videos"):
                with pytest.raises(Vanished):
                    await provider.poll(RemoteJob(id="a/b?c", data={"api": api}))

    assert all("/a%2Fb%3Fc" in request.raw_path for request in fake.requests)


async def test_json_or_a_video_is_no_thumbnail(tmp_path: Path) -> None:
    asset = Asset(variant=Variant.THUMBNAIL, path="/video/generations/g/content/thumbnail")
    for mime, error in (("video/mp4", NotOffered), ("application/json", BadReply)):
        with Scripted(Answer(200, b"{}", {"content-type": mime})) as server:
            async with opened(Azure, folder=tmp_path, environment=leading_to(server)) as provider:
                with pytest.raises(error):
                    await fetched(provider, asset)


@pytest.mark.parametrize(("status", "done"), [(204, True), (404, True), (410, True), (405, False), (501, False)])
async def test_delete_reads_the_status(status: int, done: bool, tmp_path: Path) -> None:
    with Scripted(Answer(status)) as server:
        async with opened(Azure, folder=tmp_path, environment=leading_to(server)) as provider:
            assert await provider.delete(RemoteJob(id="x")) is done
