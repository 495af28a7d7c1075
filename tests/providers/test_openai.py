"""The OpenAI provider against its fake: set-up, waiting, fetching, looking for lost creates."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings
from rushes.errors import (
    AccessDenied,
    BadReply,
    ConfigError,
    Gone,
    NotOffered,
    ProviderError,
    Unsupported,
)
from rushes.providers.catalog import open_model
from rushes.providers.openai.provider import OpenAI
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob, Variant
from rushes.testing.bench import Inputs, fetched, opened, prepared
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from rushes.testing.server import Answer
from rushes.video import ModelId, Reference, Size, Status, VideoRequest
from tests.providers.openai_bench import Scripted, asked, environment, usual

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def on_own_server(**changes: Any) -> Prepared:
    model_id = ModelId("mybox", "wan")
    request = VideoRequest(prompt="A cat", model=model_id, size=Size(320, 180), seconds=1, **changes)
    return prepared(request, open_model(model_id, Decimal(0)))


# -- set-up ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base_url", [None, "https://api.openai.com", "https://api.openai.com/v1/"])
async def test_the_vendors_own_address_is_known_to_be_dead(base_url: str | None, tmp_path: Path) -> None:
    section = ProviderSettings(base_url=base_url)
    async with opened(OpenAI, folder=tmp_path, environment={"OPENAI_API_KEY": "sk"}, section=section) as provider:
        can = provider.availability()
        with pytest.raises(Gone, match="OPENAI_BASE_URL") as not_ready:
            provider.check_ready()
        with pytest.raises(ConfigError):
            await provider.submit(asked(), "key-1")

        assert (can.usable, can.configured) == (False, True)
        assert "24 September 2026" in can.reason
        assert "\n" not in can.reason
        assert not not_ready.value.retryable
        assert not_ready.value.proves_refusal
        assert not provider.serves_unlisted


async def test_nobody_is_told_of_the_dead_address_without_a_key(tmp_path: Path) -> None:
    async with opened(OpenAI, folder=tmp_path, environment={}) as provider:
        assert not provider.availability().configured


async def test_a_server_of_ones_own_needs_a_name_and_an_address_only(tmp_path: Path) -> None:
    with FakeOpenAI(api_key=None, strict=False, job_s=0.0) as fake:
        section = ProviderSettings(kind="openai", base_url=fake.url, usd_per_second=Decimal(0))
        leaked = {"OPENAI_API_KEY": "sk-of-the-vendor", "OPENAI_ORGANIZATION": "org-1"}
        async with opened(OpenAI, name="mybox", folder=tmp_path, environment=leaked, section=section) as provider:
            assert provider.availability().usable
            remote = await provider.submit(on_own_server(seed=3, extra={"fps": 24}), "key-1")
            assert (await provider.poll(remote)).status is Status.COMPLETED
            assert await provider.ping() == "answers, no key needed"

    assert fake.requests[0].fields()["seed"] == "3"
    for request in fake.requests:
        assert "authorization" not in request.headers, "the vendor's key is not this server's"
        assert "openai-organization" not in request.headers


async def test_a_server_of_ones_own_without_an_address_says_so(tmp_path: Path) -> None:
    section = ProviderSettings(kind="openai")
    async with opened(OpenAI, name="mybox", folder=tmp_path, environment={}, section=section) as provider:
        assert "base_url" in provider.availability().reason
        with pytest.raises(ConfigError, match=r"\[providers.mybox\] has no base_url"):
            provider.check_ready()


async def test_a_named_server_can_be_told_to_want_a_key(tmp_path: Path) -> None:
    section = ProviderSettings(kind="openai", base_url="http://box:1", api_key_required=True, api_key_env="BOX_KEY")
    async with opened(OpenAI, name="mybox", folder=tmp_path, environment={}, section=section) as provider:
        with pytest.raises(ConfigError, match="Set BOX_KEY"):
            provider.check_ready()


async def test_organization_project_and_own_headers_go_with_every_call(fake: FakeOpenAI, tmp_path: Path) -> None:
    variables = environment(fake, OPENAI_ORGANIZATION="org-1")
    section = ProviderSettings.model_validate({"project": "proj-2", "headers": {"X-Team": "film", "User-Agent": "us"}})
    async with opened(OpenAI, folder=tmp_path, environment=variables, section=section) as provider:
        remote = await provider.submit(asked(), "key-1")
        await provider.poll(remote)
        await fetched(provider, (await provider.assets(remote))[0])

    assert len(fake.requests) == 3
    for request in fake.requests:
        assert request.headers["openai-organization"] == "org-1"
        assert request.headers["openai-project"] == "proj-2"
        assert (request.headers["x-team"], request.headers["user-agent"]) == ("film", "us")


async def test_a_misspelt_setting_names_the_right_one(tmp_path: Path) -> None:
    section = ProviderSettings.model_validate({"organisation": "org-1"})
    with pytest.raises(ConfigError, match="Did you mean organization"):
        async with opened(OpenAI, folder=tmp_path, environment={}, section=section):
            pass


async def test_accounts_differ_by_key_project_and_server_and_tell_no_key(tmp_path: Path) -> None:
    accounts: list[str] = []
    for variables in (
        {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://user:secret@box:1"},
        {"OPENAI_API_KEY": "sk-2", "OPENAI_BASE_URL": "http://box:1"},
        {"OPENAI_API_KEY": "sk-2", "OPENAI_BASE_URL": "http://box:1", "OPENAI_PROJECT": "p"},
        {"OPENAI_API_KEY": "sk-2", "OPENAI_BASE_URL": "http://other:1"},
    ):
        async with opened(OpenAI, folder=tmp_path, environment=variables) as provider:
            accounts.append(provider.account)

    assert len(set(accounts)) == 4
    assert not any("sk-" in account or "secret" in account for account in accounts)


@pytest.mark.parametrize(
    ("key", "word"), [(None, "answers, key accepted"), ("sk-wrong", "key refused")], ids=["right", "wrong"]
)
async def test_ping_says_whether_the_key_is_taken(key: str | None, word: str, fake: FakeOpenAI, tmp_path: Path) -> None:
    variables = environment(fake, **({"OPENAI_API_KEY": key} if key else {}))
    async with opened(OpenAI, folder=tmp_path, environment=variables) as provider:
        assert await provider.ping() == word


async def test_a_refused_key_names_the_variable_to_check(fake: FakeOpenAI, tmp_path: Path) -> None:
    variables = environment(fake, OPENAI_API_KEY="sk-wrong")
    async with opened(OpenAI, folder=tmp_path, environment=variables) as provider:
        with pytest.raises(AccessDenied, match="Check OPENAI_API_KEY") as caught:
            await provider.submit(asked(), "key-1")

    assert caught.value.request_id
    assert caught.value.http_status == 401
    assert "sk-wrong" not in str(caught.value)


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_a_host_without_a_video_api_is_told_once_and_for_all(
    status: int, fake: FakeOpenAI, tmp_path: Path
) -> None:
    fake.faults.create = [Fault.status(status)]
    async with usual(fake, tmp_path) as provider:
        with pytest.raises(Gone, match="base_url") as caught:
            await provider.submit(asked(), "key-1")

    assert caught.value.proves_refusal
    assert not caught.value.retryable


# -- what it has no field for ----------------------------------------------------------------------------------------


async def test_what_the_dialect_has_no_field_for_is_refused_before_it_costs(tmp_path: Path) -> None:
    with FakeOpenAI(strict=False) as fake:
        async with usual(fake, tmp_path) as provider:
            frame = Inputs(tmp_path).add(b"gif", "image/gif", 320, 180)
            for request in (
                on_own_server(last_frame=frame),
                on_own_server(references=(Reference(media=frame),)),
                on_own_server(audio=False),
                on_own_server(first_frame=frame),
                on_own_server(extra={"size": "1x1"}),
            ):
                with pytest.raises(Unsupported):
                    provider.check(request)
                with pytest.raises(Unsupported):
                    await provider.submit(request, "key-1")

    assert fake.requests == []


async def test_the_vendors_own_api_takes_no_extra_fields(tmp_path: Path) -> None:
    async with opened(OpenAI, folder=tmp_path, environment={"OPENAI_API_KEY": "sk"}) as provider:
        with pytest.raises(Unsupported, match="no extra field 'fps'"):
            provider.check(asked(extra={"fps": 24}))


# -- waiting ---------------------------------------------------------------------------------------------------------


async def test_the_server_may_wish_for_the_time_of_the_next_look(tmp_path: Path) -> None:
    with FakeOpenAI(job_s=60, poll_after_ms=2500) as fake:
        async with usual(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            running = await provider.poll(remote)
            fake.finish()
            done = await provider.poll(remote)

    assert running.poll_after_s == 2.5
    assert done.poll_after_s is None
    assert done.expires_at is not None


@pytest.mark.parametrize("status", [422, 500, 503])
async def test_a_failed_job_served_as_an_error_is_its_result(status: int, fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.faults.poll = [Fault.of(Trouble.FAILED_AS, status)]

        progress = await provider.poll(remote)

        assert progress.status is Status.FAILED
        assert progress.failure == ("internal_error", "The generation failed.")


async def test_ids_with_slashes_are_one_part_of_the_path(fake: FakeOpenAI, tmp_path: Path) -> None:
    odd = RemoteJob(id="video_bGl0/ZWxs+bQ==?x")
    async with usual(fake, tmp_path) as provider:
        with pytest.raises(ProviderError):
            await provider.poll(odd)
        with pytest.raises(ProviderError):
            await fetched(provider, (await provider.assets(odd))[0])

    assert [request.raw_path for request in fake.requests] == [
        "/v1/videos/video_bGl0%2FZWxs%2BbQ%3D%3D%3Fx",
        "/v1/videos/video_bGl0%2FZWxs%2BbQ%3D%3D%3Fx/content",
        "/v1/videos/video_bGl0%2FZWxs%2BbQ%3D%3D%3Fx",  # whether the job tells a link instead
    ]


@pytest.mark.parametrize(
    "answer",
    [
        Answer.json({"status": "error", "message": "upstream timed out"}),
        Answer.json({"status": "error", "message": "upstream timed out"}, 502),
        Answer.json({"error": {"message": "busy"}}),
        Answer.json([]),
    ],
)
async def test_an_answer_that_hides_which_job_failed_fails_none(answer: Answer, tmp_path: Path) -> None:
    with Scripted(answer) as relay:
        async with usual(relay, tmp_path) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.poll(RemoteJob(id="video_1"))

    assert caught.value.retryable


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_good_status_is_an_accepted_create(status: int, tmp_path: Path) -> None:
    answer = Answer.json({"id": 17, "status": "pending", "progress": None, "object": "video"}, status)
    with Scripted(answer) as server:
        async with usual(server, tmp_path) as provider:
            assert (await provider.submit(asked(), "key-1")).id == "17"


@pytest.mark.parametrize(
    ("answer", "done"),
    [
        (Answer.json({"id": "v", "object": "video.deleted", "deleted": True}), True),
        (Answer.json({"id": "v", "status": "deleted"}), True),
        (Answer(204), True),
        (Answer.json({"deleted": False}), False),
    ],
)
async def test_delete_reads_many_answers(answer: Answer, done: bool, tmp_path: Path) -> None:
    with Scripted(answer) as server:
        async with usual(server, tmp_path) as provider:
            assert await provider.delete(RemoteJob(id="v")) is done


# -- fetching --------------------------------------------------------------------------------------------------------


async def test_thumbnail_and_spritesheet_are_offered_too(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        mimes: dict[Variant, str] = {}
        for asset in await provider.assets(remote):
            async with provider.open(asset) as body:
                mimes[asset.variant] = body.mime

    assert mimes == {
        Variant.VIDEO: "video/mp4",
        Variant.THUMBNAIL: "image/webp",
        Variant.SPRITESHEET: "image/jpeg",
    }
    assert "variant" not in fake.requests[1].query


async def test_a_video_instead_of_a_thumbnail_is_none(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        thumbnail = (await provider.assets(remote))[1]
        fake.faults.download = [Fault.of(Trouble.NOT_A_VIDEO)]
        with pytest.raises(NotOffered):
            await fetched(provider, thumbnail)


async def test_a_web_page_instead_of_a_video_is_tried_again(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.faults.download = [Fault.of(Trouble.HTML)]
        with pytest.raises(BadReply) as caught:
            await fetched(provider, (await provider.assets(remote))[0])

    assert caught.value.retryable


async def test_a_redirect_on_the_same_host_is_followed_with_the_key(fake: FakeOpenAI, tmp_path: Path) -> None:
    async with usual(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.faults.download = [Fault.of(Trouble.REDIRECT, f"/v1/videos/{remote.id}/content?moved=1")]
        data = await fetched(provider, (await provider.assets(remote))[0])

    assert data == fake.content_of(remote.id)
    assert fake.requests[-1].query == {"moved": "1"}


async def test_a_redirect_into_the_machine_is_not_followed(fake: FakeOpenAI, tmp_path: Path) -> None:
    with FakeOpenAI() as other:
        async with usual(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            fake.faults.download = [Fault.of(Trouble.REDIRECT, f"{other.url}/v1/videos/x/content")]
            with pytest.raises(Exception, match="https"):
                await fetched(provider, (await provider.assets(remote))[0])

    assert other.requests == []


async def test_an_expired_result_is_not_there(tmp_path: Path) -> None:
    with FakeOpenAI(job_s=0.0, result_life_s=-1) as fake:
        async with usual(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            await provider.poll(remote)
            with pytest.raises(ProviderError) as caught:
                await fetched(provider, (await provider.assets(remote))[0])

    assert caught.value.http_status == 404


# -- deleting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "done"), [(404, True), (405, False), (501, False)])
async def test_delete_reads_the_status(status: int, done: bool, fake: FakeOpenAI, tmp_path: Path) -> None:
    fake.faults.delete = [Fault.status(status)]
    async with usual(fake, tmp_path) as provider:
        assert await provider.delete(RemoteJob(id="video_1")) is done
