"""Every delivered video is marked: beside a provider's own bytes, whatever crashes, and never at the video's cost."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import workshop
from workshop import Crash, Open, Workshop, crashing_at

from rushes.config import ProvenanceSettings, Settings
from rushes.errors import MediaError
from rushes.jobs.ledger import JobState
from rushes.jobs.store import Event
from rushes.media.certificates import local_credentials
from rushes.media.children import Children
from rushes.media.disk import digest_now
from rushes.media.provenance import Claim
from rushes.media.reports import Signer, State
from rushes.media.store import MANIFEST
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import Video

pytestmark = pytest.mark.anyio

AROUND_THE_MANIFEST = (
    "download.complete",
    "download.published",
    "download.marked",
    "download.recorded",
    "job.completed",
)


async def video_of(shop: Workshop, job_id: str) -> Video:
    [video] = await shop.jobs.videos(job_id)
    return video


def file_of(video: Video) -> Path:
    assert video.path is not None
    return video.path


async def warnings(shop: Workshop, job_id: str) -> list[Event]:
    return [event for event in await shop.events(job_id) if event.kind == "warning"]


@pytest.fixture
def opened_with(home: Settings, fake: FakeOpenAI, children: Children) -> "OpenWith":
    return partial(_opened_with, home, fake, children)


def _opened_with(
    home: Settings, fake: FakeOpenAI, children: Children, section: ProvenanceSettings
) -> AbstractAsyncContextManager[Workshop]:
    return workshop.opened(replace(home, provenance=section), fake, children)


OpenWith = partial[AbstractAsyncContextManager[Workshop]]


async def test_a_providers_bytes_stay_as_they_came_and_the_manifest_lies_beside(
    shop: Workshop, fake: FakeOpenAI
) -> None:
    job_id = await shop.made("A cat")

    video = await video_of(shop, job_id)
    asset = (await shop.assets(video.id))["manifest"]
    manifest = file_of(video).with_name(MANIFEST)
    report = await shop.library.provenance(video)
    assert file_of(video).read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
    assert (asset.sha256, asset.size_bytes) == digest_now(manifest)
    assert (asset.mime, asset.made_by) == ("application/c2pa", "us")
    assert (report.ours, report.beside) == (True, True)
    assert report.active is not None
    assert (report.active.video_id, report.active.provider, report.active.model) == (video.id, "openai", "sora-2")
    assert report.active.source_types == ("trainedAlgorithmicMedia",)
    assert await warnings(shop, job_id) == []
    assert list(shop.services.spool.iterdir()) == []


async def test_no_prompt_is_in_a_manifest_unless_it_is_asked_for(shop: Workshop, opened_with: OpenWith) -> None:
    secret = await video_of(shop, await shop.made("A secret cat"))
    async with opened_with(ProvenanceSettings(prompt=True)) as open_shop:
        told = await video_of(open_shop, await open_shop.made("An open cat"))
        report = await open_shop.library.provenance(told)

    assert b"secret cat" not in file_of(secret).with_name(MANIFEST).read_bytes()
    assert report.active is not None
    assert report.active.prompt == "An open cat"


@pytest.mark.parametrize("point", AROUND_THE_MANIFEST)
async def test_a_crash_leaves_no_completed_video_without_its_manifest(
    point: str, opened: Open, fake: FakeOpenAI
) -> None:
    async with opened(reached=crashing_at(point)) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)
    async with opened() as shop:
        await shop.carry_out(job_id)

        video = await video_of(shop, job_id)
        asset = (await shop.assets(video.id))["manifest"]
        manifest = file_of(video).with_name(MANIFEST)
        report = await shop.services.marks.read(file_of(video), manifest) if shop.services.marks else None
        assert report is not None
        assert report.ours
        assert asset.sha256 == digest_now(manifest)[0]
        assert await warnings(shop, job_id) == []
        assert list(shop.services.spool.iterdir()) == []
    assert fake.book.charged == 1


async def test_a_signature_that_fails_never_costs_the_video_and_is_made_up_for_later(
    opened: Open, opened_with: OpenWith, fake: FakeOpenAI
) -> None:
    async with opened_with(ProvenanceSettings(certificate="gone.pem", key="gone.pem")) as shop:
        job_id = await shop.made()

        video, [warning] = await video_of(shop, job_id), await warnings(shop, job_id)
        assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert "gone.pem cannot be read" in str(warning.data["message"])
        assert "manifest" not in await shop.assets(video.id)
    async with opened() as shop:
        report = await shop.library.provenance(await video_of(shop, job_id))

        assert (report.ours, report.beside) == (True, True)
        assert "manifest" in await shop.assets(video.id)
    assert fake.book.charged == 1


async def test_a_signing_process_that_dies_costs_the_manifest_and_not_the_video(
    home: Settings, fake: FakeOpenAI
) -> None:
    class Killer(Children):
        async def sign(self, *args: object, **kwargs: object) -> None:
            await self.run("sign", {}, timeout_s=0.0)  # no time at all: the process is killed

    async with Killer() as killer, workshop.opened(home, fake, killer) as shop:
        job_id = await shop.made()

        [warning] = await warnings(shop, job_id)
        assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert "it is made when needed" in str(warning.data["message"])


async def test_switched_off_nothing_is_signed_and_nothing_is_warned_of(opened_with: OpenWith) -> None:
    async with opened_with(ProvenanceSettings(enabled=False)) as shop:
        job_id = await shop.made()

        video = await video_of(shop, job_id)
        assert (await shop.library.provenance(video)).state is State.NONE
        assert await warnings(shop, job_id) == []
        assert not file_of(video).with_name(MANIFEST).exists()
        with pytest.raises(MediaError, match="switched off"):
            await shop.library.manifest(video)


async def test_a_manifest_that_was_lost_is_made_again(shop: Workshop) -> None:
    video = await video_of(shop, await shop.made())
    manifest = file_of(video).with_name(MANIFEST)
    manifest.unlink()

    assert await shop.library.manifest(video) == manifest
    assert (await shop.library.provenance(video)).ours


async def test_a_video_served_from_the_library_has_the_manifest_of_its_file(shop: Workshop) -> None:
    first = await video_of(shop, await shop.made("A cat"))
    again = await shop.submit("A cat")
    served = await video_of(shop, again.job_id)

    report = await shop.library.provenance(served)
    file_of(first).with_name(MANIFEST).unlink()
    made_anew = await shop.library.provenance(served)

    assert again.cached
    for each in (report, made_anew):
        assert each.active is not None
        assert (each.ours, each.active.video_id) == (True, first.id)


async def test_changed_bytes_in_the_library_are_noticed(shop: Workshop) -> None:
    video = await video_of(shop, await shop.made())
    with file_of(video).open("r+b") as file:
        file.seek(-40, os.SEEK_END)
        file.write(b"\xff")

    assert (await shop.library.provenance(video)).state is State.INVALID


async def test_a_copy_with_the_manifest_inside_leaves_the_library_as_it_is(shop: Workshop, tmp_path: Path) -> None:
    video = await video_of(shop, await shop.made())
    before = digest_now(file_of(video))

    plain = await shop.library.export(video, tmp_path / "plain.mp4")
    copy = await shop.library.export(video, tmp_path / "copy.mp4", embed=True)

    report = await shop.library.provenance_of(copy)
    assert digest_now(plain) == digest_now(file_of(video)) == before
    assert (report.ours, report.beside) == (True, False)
    assert [told.actions for told in report.manifests] == [("c2pa.opened", "c2pa.published"), ("c2pa.created",)]
    assert (await shop.library.provenance_of(plain)).state is State.NONE


async def test_a_manifest_beside_any_file_is_found(shop: Workshop, tmp_path: Path) -> None:
    video = await video_of(shop, await shop.made())
    copy = await shop.library.export(video, tmp_path / "copy.mp4")
    data = file_of(video).with_name(MANIFEST).read_bytes()

    for name in ("copy.c2pa", "copy.mp4.c2pa"):
        (tmp_path / name).write_bytes(data)
        assert (await shop.library.provenance_of(copy)).ours
        (tmp_path / name).unlink()


# -- a provider that signs -------------------------------------------------------------------------


class SigningFake(FakeOpenAI):
    """A far side whose videos carry a manifest of its own."""

    signed: bytes = b""

    def content_of(self, remote_id: str) -> bytes:
        return self.signed


@pytest.fixture
async def signing(children: Children, tmp_path: Path) -> AsyncIterator[SigningFake]:
    plain, signed = tmp_path / "plain.mp4", tmp_path / "theirs.mp4"
    with SigningFake(job_s=0.0) as fake:
        from rushes.testing import clips

        plain.write_bytes(clips.clip(1280, 720, 4.0))
        now = datetime.now(UTC)
        theirs = Claim(video_id="theirs", title="x", provider="vendor", model="m", made_at=now, trained=True)
        await children.sign(plain, theirs, local_credentials(tmp_path / "vendor", now), inside=signed)
        fake.signed = signed.read_bytes()
        yield fake


@pytest.fixture
def signing_shop(home: Settings, signing: SigningFake, children: Children) -> Iterator[Open]:
    yield partial(workshop.opened, home, signing, children)


async def test_a_providers_own_manifest_is_kept_inside_and_named_by_ours_beside(
    signing_shop: Open, signing: SigningFake, tmp_path: Path
) -> None:
    async with signing_shop() as shop:
        video = await video_of(shop, await shop.made())
        beside = await shop.library.provenance(video)
        copy = await shop.library.export(video, tmp_path / "copy.mp4", embed=True)
        inside = await shop.library.provenance_of(copy)
        alone = await shop.library.provenance_of(await shop.library.export(video, tmp_path / "plain-copy.mp4"))

    assert file_of(video).read_bytes() == signing.signed
    assert [(told.video_id, told.signer) for told in beside.manifests] == [
        (video.id, Signer.OURS),
        ("theirs", Signer.UNKNOWN),
    ]
    assert [told.video_id for told in inside.manifests] == [video.id, video.id, "theirs"]
    assert [told.video_id for told in alone.manifests] == ["theirs"]
    assert {beside.state, inside.state, alone.state} == {State.VALID}


@pytest.mark.parametrize("point", ["download.published", "download.marked"])
async def test_a_crash_before_its_manifest_is_beside_does_not_take_the_providers_for_ours(
    point: str, home: Settings, signing: SigningFake, children: Children
) -> None:
    async with workshop.opened(home, signing, children, reached=crashing_at(point)) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)
    async with workshop.opened(home, signing, children) as shop:
        await shop.carry_out(job_id)
        video = await video_of(shop, job_id)

        report = await shop.library.provenance(video)
        assert [told.video_id for told in report.manifests] == [video.id, "theirs"]
        assert report.ours
