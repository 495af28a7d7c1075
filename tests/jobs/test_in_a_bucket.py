"""Jobs whose library is a bucket: nothing is lost or bought twice, whatever becomes of the store meanwhile."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest
import workshop
from workshop import Clock, Crash, Open, Workshop, crashing_at

from rushes.config import Settings
from rushes.errors import InputAway, NotFound, StoreRefused
from rushes.jobs.inventory import Kind
from rushes.jobs.ledger import JobState
from rushes.jobs.retention import Policy, Retention
from rushes.media.children import Children
from rushes.media.store import MANIFEST, SPRITESHEET, THUMBNAIL, VIDEO, input_key, video_key
from rushes.providers.terms import Variant
from rushes.testing import clips
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault
from rushes.testing.s3 import S3, SECRET_KEY, Refusal, Trouble, refusing

pytestmark = pytest.mark.anyio

LONG = timedelta(hours=3)


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with S3() as s3:
        yield s3


@pytest.fixture
def s3(server: S3) -> Iterator[S3]:
    server.asked.clear()
    yield server
    server.trouble = None


@pytest.fixture
def bucket(s3: S3) -> str:
    return s3.bucket()


@pytest.fixture
def in_bucket(home: Settings, fake: FakeOpenAI, children: Children, s3: S3, bucket: str) -> Open:
    """Opens a workshop whose library is this test's bucket."""
    environment = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url, **s3.environment}
    there = replace(home, media_url=bucket)
    return partial(workshop.opened, there, fake, children, environment=environment)


@pytest.fixture
async def shop(in_bucket: Open) -> AsyncIterator[Workshop]:
    async with in_bucket() as shop:
        yield shop


async def test_a_video_comes_to_lie_in_the_bucket(shop: Workshop, s3: S3, bucket: str, fake: FakeOpenAI) -> None:
    job_id = await shop.made()

    [video] = await shop.jobs.videos(job_id)
    stored = await shop.services.media.read(video_key(job_id))
    assert stored == fake.content_of(fake.book.entries[0].remote_id)
    assert (video.path, video.url) == (None, f"{bucket}/{video_key(job_id)}")
    assert video_key(job_id, MANIFEST) in s3.keys(bucket)
    assert [path for path in shop.services.spool.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("point", ["download.complete", "download.published", "download.marked", "download.recorded"])
async def test_a_killed_delivery_is_taken_up_from_the_bucket(
    in_bucket: Open, fake: FakeOpenAI, point: str, s3: S3
) -> None:
    async with in_bucket(reached=crashing_at(point)) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)

    async with in_bucket() as shop:
        await shop.carry_out(job_id)

        [video] = await shop.jobs.videos(job_id)
        assert await shop.services.media.read(video_key(job_id)) == fake.content_of(fake.book.entries[0].remote_id)
        assert video.sha256 == (await shop.videos(job_id))[0].sha256
        assert "manifest" in await shop.assets(video.id)
        assert fake.book.creates == 1
        assert [path for path in shop.services.spool.glob(f"{job_id}-*") if path.is_file()] == []


async def test_what_was_published_is_read_again_although_the_provider_has_nothing_any_more(
    in_bucket: Open, fake: FakeOpenAI
) -> None:
    async with in_bucket(reached=crashing_at("download.published")) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)
    fake.faults.download = [Fault.status(404).always()]

    async with in_bucket() as shop:
        await shop.carry_out(job_id)

        assert (await shop.job(job_id)).state is JobState.COMPLETED


TROUBLES = {
    "no right": refusing(Refusal(403, "AccessDenied"), "PUT", "POST"),
    "wrong keys": refusing(Refusal(403, "InvalidAccessKeyId")),
    "throttled": refusing(Refusal(503, "SlowDown")),
    "full": refusing(Refusal(507, "XMinioStorageFull"), "PUT", "POST"),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
async def test_a_job_is_kept_while_the_store_fails_and_goes_on_when_it_does_not(
    shop: Workshop, fake: FakeOpenAI, s3: S3, trouble: Trouble
) -> None:
    job_id, words = (await shop.submit()).job_id, ""
    s3.trouble = trouble
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.carry_out, job_id)

        async def told() -> bool:
            return "media store" in ((await shop.job(job_id)).trouble or "")

        await shop.until(told)
        words = (await shop.job(job_id)).trouble or ""
        s3.trouble = None

    job = await shop.job(job_id)
    assert (job.state, job.trouble) == (JobState.COMPLETED, None)
    assert fake.book.creates == 1
    assert SECRET_KEY not in words and "\n" not in words


async def test_a_job_is_kept_while_there_is_no_bucket(shop: Workshop, fake: FakeOpenAI, s3: S3, bucket: str) -> None:
    s3.trouble = refusing(Refusal(404, "NoSuchBucket"), "PUT", "POST", "GET")
    job_id = (await shop.submit(cache="off")).job_id
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.carry_out, job_id)

        async def told() -> bool:
            return "There is no bucket" in ((await shop.job(job_id)).trouble or "")

        await shop.until(told)
        s3.trouble = None

    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.creates == 1


async def test_a_job_is_kept_while_the_folder_may_not_be_written(
    opened: Open, fake: FakeOpenAI, home: Settings
) -> None:
    async with opened() as shop:
        job_id = (await shop.submit()).job_id
        videos = Path(home.media_url) / "videos"
        videos.write_bytes(b"a file, where a folder has to be")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.carry_out, job_id)

            async def told() -> bool:
                return "The media store fails at" in ((await shop.job(job_id)).trouble or "")

            await shop.until(told)
            videos.unlink()

        assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert fake.book.creates == 1


# -- what is served and made out of it -------------------------------------------------------------


async def test_an_equal_order_is_served_from_the_bucket(shop: Workshop, fake: FakeOpenAI, s3: S3) -> None:
    await shop.made()
    s3.asked.clear()

    again = await shop.submit()

    assert again.cached
    assert [each.method for each in s3.asked] == ["HEAD"]
    assert fake.book.creates == 1


async def test_a_file_that_is_gone_from_the_bucket_is_a_miss(shop: Workshop, fake: FakeOpenAI) -> None:
    job_id = await shop.made()
    [video] = await shop.jobs.videos(job_id)
    await shop.services.media.delete(video_key(job_id))

    again = await shop.submit()

    assert not again.cached
    with pytest.raises(NotFound, match="no longer in the library"):
        await shop.library.export(video, shop.services.spool / "out.mp4")


async def test_a_bucket_that_is_not_there_is_no_miss(shop: Workshop, s3: S3, fake: FakeOpenAI, in_bucket: Open) -> None:
    await shop.made()
    s3.trouble = refusing(Refusal(404, "NoSuchBucket"))

    async with in_bucket() as later:
        with pytest.raises(StoreRefused, match="There is no bucket"):
            await later.submit()

    assert fake.book.creates == 1


async def test_pictures_are_made_on_first_need(shop: Workshop, s3: S3, bucket: str) -> None:
    job_id = await shop.made()
    [video] = await shop.jobs.videos(job_id)

    paths = [await shop.library.picture(video, variant) for variant in (Variant.THUMBNAIL, Variant.SPRITESHEET)]
    s3.asked.clear()
    await shop.library.picture(video, Variant.THUMBNAIL)

    assert paths == [None, None]
    assert {video_key(job_id, THUMBNAIL), video_key(job_id, SPRITESHEET)} <= set(s3.keys(bucket))
    assert await shop.library.picture_url(video, Variant.THUMBNAIL) == f"{bucket}/{video_key(job_id, THUMBNAIL)}"
    assert {each.method for each in s3.asked if "video_" in each.path} == {"HEAD"}


async def test_a_manifest_is_made_on_first_need_and_read_again(shop: Workshop) -> None:
    job_id = await shop.made()
    [video] = await shop.jobs.videos(job_id)
    await shop.services.media.delete(video_key(job_id, MANIFEST))

    manifest = await shop.library.manifest(video)
    report = await shop.library.provenance(video)

    assert manifest is not None and manifest.is_file()
    assert report.ours and report.beside
    assert await shop.services.media.read(video_key(job_id, MANIFEST)) == manifest.read_bytes()


@pytest.mark.parametrize("embed", [False, True])
async def test_a_video_is_exported_out_of_the_bucket(
    shop: Workshop, fake: FakeOpenAI, tmp_path: Path, embed: bool
) -> None:
    [video] = await shop.jobs.videos(await shop.made())

    out = await shop.library.export(video, tmp_path / "cat.mp4", embed=embed)

    as_it_came = out.read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
    assert as_it_came is not embed
    assert (await shop.library.provenance_of(out)).ours is embed


async def test_a_picture_is_read_from_the_bucket_by_bytes_and_by_path(shop: Workshop, s3: S3) -> None:
    data = clips.picture(64, 36)
    ref = await shop.inputs.add(data)

    path = await shop.inputs.path(ref)
    s3.trouble = refusing(Refusal(403, "AccessDenied"))

    assert path.read_bytes() == data
    with pytest.raises(InputAway, match="cannot be read now"):
        await shop.inputs.read(ref)


# -- what goes -------------------------------------------------------------------------------------


async def test_a_bucket_is_cleared_in_batches_and_what_is_referred_to_stays(in_bucket: Open, s3: S3) -> None:
    clock = Clock()
    async with in_bucket(clock=clock) as shop:
        made = await shop.made()
        media = shop.services.media
        kept = await shop.inputs.add(clips.picture(1280, 720))
        await shop.submit("A dog", first_frame=kept)
        stray = [f"video_{n:032x}" for n in range(300)]
        async with anyio.create_task_group() as tasks:
            for video_id in stray:
                tasks.start_soon(media.put, video_key(video_id), b"x")
                tasks.start_soon(media.put, video_key(video_id, THUMBNAIL), b"x")
        await media.put(input_key("a" * 64), b"unused")
        clock.move(LONG)
        retention = Retention(shop.services, shop.services.spool.parent)
        usage = await retention.usage()
        s3.asked.clear()

        done = await retention.collect(Policy())

        left = {each.key for each in await media.listing()}
        assert done.problems == ()
        assert len(done.plan.removals) == 301
        pieces = {video_key(made, piece) for piece in (VIDEO, MANIFEST, THUMBNAIL, SPRITESHEET)}
        assert left == {*pieces, input_key(kept.sha256)}
        assert len([each for each in s3.asked if each.method in ("POST", "DELETE")]) == 2
        assert usage.kinds[Kind.VIDEO].files == 301


async def test_what_the_bucket_refuses_to_delete_is_told(in_bucket: Open, s3: S3) -> None:
    clock = Clock()
    async with in_bucket(clock=clock) as shop:
        await shop.made()
        for n in range(3):
            await shop.services.media.put(video_key(f"video_{n:032x}"), b"x")
        clock.move(LONG)
        s3.trouble = refusing(Refusal(403, "AccessDenied"), "POST", "DELETE")

        done = await Retention(shop.services, shop.services.spool.parent).collect(Policy())

        [problem] = done.problems
        assert "and 2 more" in problem and "write and delete there" in problem


# -- as a person sees it ---------------------------------------------------------------------------


def command(tmp_path: Path, s3: S3, bucket: str, *args: str) -> "subprocess.CompletedProcess[str]":
    env = {
        "PATH": os.environ["PATH"],
        "RUSHES_HOME": str(tmp_path / "home"),
        "RUSHES_MEDIA_URL": bucket,
    }
    (tmp_path / ".env").write_text("".join(f"{name}={text}\n" for name, text in s3.environment.items()))
    return subprocess.run(
        [sys.executable, "-m", "rushes", *args], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=90
    )


def test_generate_prints_the_address_or_downloads_to_the_name_given(tmp_path: Path, s3: S3, bucket: str) -> None:
    order = ("generate", "a lighthouse", "--size", "128x72", "--seconds", "1", "-m", "draft")

    address = command(tmp_path, s3, bucket, *order)
    file = command(tmp_path, s3, bucket, *order, "-o", "cat.mp4")

    shown = address.stdout.strip()
    assert shown.startswith(f"{bucket}/videos/video_") and shown.endswith("/video.mp4"), address.stderr
    assert file.stdout.strip() == "cat.mp4", file.stderr
    assert (tmp_path / "cat.mp4").stat().st_size > 1000
    show = command(tmp_path, s3, bucket, "videos", "show", shown.split("/")[-2])
    assert f"{bucket}/videos/" in show.stdout and "thumbnail.webp" in show.stdout, show.stderr
    assert SECRET_KEY not in address.stderr + address.stdout + show.stdout + show.stderr
