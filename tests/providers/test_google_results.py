"""Google's videos, in both ways in which they come; what is uploaded for them; and Veo, beside Gemini Omni."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.errors import AccessDenied, ConfigError, MissingKey, Moderated, Rejected
from rushes.planning import Wish
from rushes.providers.google import veo, wire
from rushes.providers.google.veo import WireOperation
from rushes.providers.google.wire import INLINE_BYTES
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import Inputs, fetched
from rushes.testing.clips import picture
from rushes.testing.fakes.google import FakeGoogle, GoogleBench
from rushes.video import Reference, Size, SourceKind, Status
from tests.providers.google_bench import OMNI, VEO, asked, at, file, film, source

pytestmark = pytest.mark.anyio


@pytest.fixture
def fake() -> Iterator[FakeGoogle]:
    with FakeGoogle(job_s=0.0) as fake:
        yield fake


# -- both ways in which a video comes --------------------------------------------------------------------------------


def looks(fake: FakeGoogle) -> list[str]:
    return [f"{each.method} {each.path}" for each in fake.requests if each.method == "GET"]


async def test_a_server_that_waits_tells_the_link_once_and_that_is_kept(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.blocks = True
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        again = RemoteJob(id=remote.id, data=json.loads(json.dumps(dict(remote.data))))  # as the ledger keeps it
        progress = await provider.poll(again)
        [asset] = await provider.assets(again)

        assert progress.status is Status.COMPLETED
        assert await fetched(provider, asset) == fake.content_of(remote.id)
        assert not any("/interactions/" in look for look in looks(fake))
        assert not await provider.cancel(again), "it is there already"


async def test_a_server_that_waits_may_answer_with_the_video_itself(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.blocks = fake.inline = True
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        progress = await provider.poll(remote)
        [asset] = await provider.assets(remote)

        assert progress.status is Status.COMPLETED
        assert (looks(fake), asset.received) == ([], True)
        assert await fetched(provider, asset) == fake.content_of(remote.id)

        assert asset.file is not None
        asset.file.unlink()  # as on another machine
        [asset] = await provider.assets(remote)
        assert await fetched(provider, asset) == fake.content_of(remote.id)

        provider.release(remote)
        assert list(tmp_path.glob("*.mp4")) == []


async def test_a_later_look_may_hold_the_video_itself(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.inline = True
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        progress = await provider.poll(remote)
        [asset] = await provider.assets(remote)

        assert (dict(remote.data), progress.status) == ({}, Status.COMPLETED)
        assert await fetched(provider, asset) == fake.content_of(remote.id)
        provider.release(remote)
        assert list(tmp_path.glob("*.mp4")) == []


async def test_creates_can_be_told_to_wait(fake: FakeGoogle, tmp_path: Path) -> None:
    section = {"background": False}
    async with at(fake, tmp_path, section=section, public_url="https://rushes.example") as provider:
        remote = await provider.submit(asked(), "key-1")

        assert "uri" in remote.data
        assert fake.bodies()[0]["background"] is False
        assert "webhook_config" not in fake.bodies()[0]
        assert provider.create_timeout_s >= 600


async def test_a_video_whose_file_is_not_ready_is_still_on_its_way(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.settling = 2
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")

        seen = [(await provider.poll(remote)).status for _ in range(3)]

        assert seen == [Status.IN_PROGRESS, Status.IN_PROGRESS, Status.COMPLETED]


async def test_a_video_whose_file_fails_is_lost_and_billed(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.settled = "FAILED"
    async with at(fake, tmp_path) as provider:
        progress = await provider.poll(await provider.submit(asked(), "key-1"))

    assert (progress.status, progress.billed) == (Status.FAILED, True)


async def test_a_file_that_is_gone_is_had_from_the_interaction(fake: FakeGoogle, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.inline = True
        late = replace(remote, data={"uri": f"{fake.url}/v1beta/files/elapsed:download?alt=media"})

        progress = await provider.poll(late)
        [asset] = await provider.assets(late)

        assert progress.status is Status.COMPLETED
        assert await fetched(provider, asset) == fake.content_of(remote.id)


async def test_a_file_that_failed_is_had_from_the_interaction_if_that_holds_the_video(
    fake: FakeGoogle, tmp_path: Path
) -> None:
    fake.blocks = True
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.settled, fake.inline = "FAILED", True

        progress = await provider.poll(remote)
        [asset] = await provider.assets(remote)

        assert "uri" in remote.data
        assert progress.status is Status.COMPLETED
        assert await fetched(provider, asset) == fake.content_of(remote.id)


async def test_a_wrong_key_does_not_pass_for_a_file_that_is_gone(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.blocks = True
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(), "key-1")
        fake.api_key = "another"

        with pytest.raises(AccessDenied):
            await provider.poll(remote)


async def test_a_full_disk_does_not_lose_a_job_that_was_just_bought(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.blocks = fake.inline = True
    nowhere = tmp_path / "a-file"
    nowhere.write_bytes(b"")
    async with at(fake, nowhere) as provider:
        remote = await provider.submit(asked(), "key-1")
        progress = await provider.poll(remote)

    assert (remote.id, dict(remote.data)) == (fake.book.entries[0].remote_id, {})
    assert progress.status is Status.COMPLETED


@pytest.mark.parametrize(("blocks", "inline"), [(True, False), (False, True), (True, True)])
async def test_either_way_a_prompt_becomes_a_file_at_its_price(blocks: bool, inline: bool, home: Settings) -> None:
    section = ProviderSettings(poll_interval_ms=50)
    with FakeGoogle(job_s=0.2, blocks=blocks, inline=inline) as fake:
        settings = replace(home, environment=GoogleBench().environment(fake), providers={"google": section})
        async with App(settings, leave_worker=False) as app:
            [video] = await app.generate(Wish(prompt="A boat", model=f"google:video:{OMNI}", seconds=3))

        assert video.path is not None
        assert Path(video.path).read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
        assert (video.cost_usd, fake.book.creates) == (fake.book.total_usd, 1)
    assert list(home.home.glob("**/google/*")) == [], "what was kept meanwhile is gone"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://generativelanguage.googleapis.com/v1beta/files/abc-1:download?alt=media", "files/abc-1"),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc-1", "files/abc-1"),
        ("files/abc-1", "files/abc-1"),
        ("https://cdn.example/profiles/abc-1", None),
        ("gs://bucket/abc.mp4", None),
    ],
)
def test_a_file_is_known_by_any_of_its_addresses(uri: str, name: str | None) -> None:
    assert wire.file_of(uri) == name


async def test_the_key_goes_to_our_own_address_only(fake: FakeGoogle, tmp_path: Path) -> None:
    async with at(fake, tmp_path) as provider:
        elsewhere = RemoteJob(id="v1_1", data={"uri": "https://cdn.example/films/1.mp4"})
        look_alike = RemoteJob(id="v1_1", data={"uri": "https://cdn.example/v1beta/files/abc:download"})
        links = [(await provider.assets(each))[0] for each in (elsewhere, look_alike)]

    assert [(link.url, link.path) for link in links] == [(elsewhere.data["uri"], None), (look_alike.data["uri"], None)]
    assert fake.requests == []


# -- uploads ---------------------------------------------------------------------------------------------------------


async def test_a_clip_is_uploaded_waited_for_and_named(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.settling = 1
    inputs = Inputs(tmp_path)
    wanted = asked(references=(Reference(media=film(inputs, 2.0)),))
    async with at(fake, tmp_path, inputs=inputs) as provider:
        await provider.bring(wanted)
        brought = len(fake.requests)
        await provider.submit(wanted, "key-1")

        assert len(fake.requests) == brought + 1, "it is uploaded once"
        put = next(each for each in fake.requests if fake.operation_of(each) == "put")
        assert not {"x-goog-api-key", "authorization"} & put.headers.keys()
        sent = fake.bodies()[0]
        assert sent["generation_config"]["video_config"] == {"task": "reference_to_video"}
        assert sent["input"][0] == {
            "type": "video",
            "uri": f"{fake.url}/v1beta/files/{next(iter(fake.uploads))}",
            "mime_type": "video/mp4",
        }


@pytest.mark.parametrize(("each_bytes", "uploaded"), [(INLINE_BYTES // 2, 0), (INLINE_BYTES // 2 + 1, 2)])
def test_pictures_are_uploaded_if_they_are_too_much_for_a_body(each_bytes: int, uploaded: int) -> None:
    ends: dict[str, Any] = {
        "first_frame": file(size_bytes=each_bytes, sha256="1" * 64),
        "last_frame": file(size_bytes=each_bytes, sha256="2" * 64),
    }

    assert len(wire.to_bring(asked(**ends).request)) == uploaded


async def test_large_pictures_are_named_by_their_address(fake: FakeGoogle, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    frame = inputs.add(picture(1280, 720), "image/png", 1280, 720)
    wanted = asked(first_frame=replace(frame, size_bytes=INLINE_BYTES + 1))
    async with at(fake, tmp_path, inputs=inputs) as provider:
        await provider.submit(wanted, "key-1")

    assert fake.bodies()[0]["input"][0] == {
        "type": "image",
        "uri": f"{fake.url}/v1beta/files/{next(iter(fake.uploads))}",
    }
    assert list(fake.uploads.values()) == [picture(1280, 720)]


async def test_an_upload_that_fails_proves_that_nothing_was_bought(fake: FakeGoogle, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    wanted = asked(references=(Reference(media=film(inputs, 2.0)),))
    async with at(fake, tmp_path, {"GEMINI_API_KEY": "another-key-0123456789"}, inputs=inputs) as provider:
        with pytest.raises(AccessDenied) as caught:
            await provider.bring(wanted)

    assert caught.value.proves_refusal
    assert fake.book.creates == 0


async def test_a_clip_that_cannot_be_read_is_refused_before_anything_is_bought(
    fake: FakeGoogle, tmp_path: Path
) -> None:
    fake.settled = "FAILED"
    inputs = Inputs(tmp_path)
    wanted = asked(references=(Reference(media=film(inputs, 2.0)),))
    async with at(fake, tmp_path, inputs=inputs) as provider:
        with pytest.raises(Rejected, match="cannot read the uploaded file") as caught:
            await provider.submit(wanted, "key-1")

    assert caught.value.proves_refusal
    assert fake.book.creates == 0


async def test_a_video_of_others_is_edited_by_its_file(fake: FakeGoogle, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    given = source(SourceKind.EDIT, remote_id=None, media=film(inputs, 4.0), size=Size(320, 180), seconds=4)
    async with at(fake, tmp_path, inputs=inputs) as provider:
        await provider.submit(asked(source=given), "key-1")

    sent = fake.bodies()[0]
    assert sent["generation_config"]["video_config"] == {"task": "edit"}
    assert sent["input"][-1] == {"type": "text", "text": "A cat"}
    assert not {"aspect_ratio", "duration"} & sent["response_format"].keys()


# -- Veo, on Vertex AI -----------------------------------------------------------------------------------------------


async def test_veo_is_asked_for_on_its_own_host_with_its_own_token(fake: FakeGoogle, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    frame = inputs.add(picture(1280, 720), "image/png", 1280, 720)
    wanted = asked(
        VEO,
        seconds=6,
        first_frame=frame,
        last_frame=frame,
        audio=False,
        seed=7,
        negative_prompt="fog",
        extra={"person_generation": "disallow"},
    )
    with FakeGoogle(job_s=0.0) as vertex:
        async with at(fake, tmp_path, {"GOOGLE_VERTEX_BASE_URL": vertex.url}, inputs=inputs) as provider:
            remote = await provider.submit(wanted, "key-1")
            progress = await provider.poll(remote)
            [asset] = await provider.assets(remote)
            adopted = await provider.poll(RemoteJob(id=remote.id))

            assert await fetched(provider, asset) == vertex.content_of(remote.id)
            provider.release(remote)

        assert (progress.status, adopted.status) == (Status.COMPLETED, Status.COMPLETED)
        assert fake.requests == []
        assert all("x-goog-api-key" not in each.headers for each in vertex.requests)
        [body] = vertex.bodies()
        assert body["parameters"] == {
            "aspectRatio": "16:9",
            "resolution": "720p",
            "durationSeconds": 6,
            "generateAudio": False,
            "negativePrompt": "fog",
            "personGeneration": "disallow",
            "sampleCount": 1,
            "seed": 7,
        }
        assert set(body["instances"][0]) == {"prompt", "image", "lastFrame"}
    assert list(tmp_path.glob("*.mp4")) == []


@pytest.mark.parametrize(
    ("operation", "status", "code", "billed"),
    [
        ({}, Status.IN_PROGRESS, None, False),
        ({"done": True, "response": {"videos": [{"bytesBase64Encoded": "AAAA"}]}}, Status.COMPLETED, None, False),
        ({"done": True, "error": {"code": 13, "message": "Broken."}}, Status.FAILED, "13", False),
        ({"done": True, "error": {"code": 3, "message": "Usage guidelines."}}, Status.FAILED, Moderated.code, False),
        ({"done": True, "response": {"raiMediaFilteredCount": 1}}, Status.FAILED, Moderated.code, False),
        ({"done": True, "response": {"raiMediaFilteredCount": 0}}, Status.FAILED, "internal_error", True),
        ({"done": True}, Status.FAILED, "internal_error", True),
    ],
)
def test_an_operation_of_veo_means(operation: dict[str, Any], status: Status, code: str | None, billed: bool) -> None:
    progress = veo.from_wire(WireOperation.model_validate({"name": "projects/p/x", **operation}))

    assert (progress.status, progress.failure and progress.failure.code, progress.billed) == (status, code, billed)


async def test_a_video_in_a_bucket_is_named_and_not_fetched(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.bucket = "gs://films"
    async with at(fake, tmp_path) as provider:
        remote = await provider.submit(asked(VEO), "key-1")

        assert (await provider.poll(remote)).status is Status.COMPLETED
        with pytest.raises(Rejected, match=r"gcloud storage cp gs://films/1\.mp4"):
            await provider.assets(remote)


@pytest.mark.parametrize(
    ("missing", "error", "words"),
    [
        ("GOOGLE_CLOUD_PROJECT", ConfigError, "Set GOOGLE_CLOUD_PROJECT"),
        ("GOOGLE_ACCESS_TOKEN", MissingKey, "gcloud auth print-access-token"),
    ],
)
async def test_what_vertex_needs_is_asked_for_before_anything_is_sent(
    missing: str, error: type[ConfigError], words: str, fake: FakeGoogle, tmp_path: Path
) -> None:
    async with at(fake, tmp_path, {missing: ""}) as provider:
        with pytest.raises(error, match=words):
            provider.check(asked(VEO))

    assert fake.requests == []


async def test_a_section_that_names_a_project_needs_no_key_of_the_gemini_api(fake: FakeGoogle, tmp_path: Path) -> None:
    section = {"vertex": {"project": "other", "location": "europe-west4", "base_url": fake.url}}
    async with at(fake, tmp_path, {"GEMINI_API_KEY": ""}, section=section) as provider:
        assert provider.availability().usable
        await provider.submit(asked(VEO), "key-1")
        with pytest.raises(MissingKey, match="GEMINI_API_KEY"):
            provider.check(asked(OMNI))

    assert fake.requests[0].path.startswith("/v1/projects/other/locations/europe-west4/publishers/google/models/")
