"""Provenance end to end: what we render carries its manifest inside, and what cannot sign is said before buying."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import av
import pytest

from rushes.app import App
from rushes.config import ProvenanceSettings, ProviderSettings, Settings
from rushes.errors import ConfigError
from rushes.media.disk import digest_now
from rushes.media.store import MANIFEST
from rushes.planning import Wish
from rushes.providers.prepare import Misfit
from rushes.testing.clips import picture
from rushes.testing.fake_openai import FakeOpenAI
from rushes.video import Size, Video
from tests.media.authority import issue

pytestmark = pytest.mark.anyio

SORA = "openai:video:sora-2"


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as fake:
        yield fake


@pytest.fixture
def settings(home: Settings, fake: FakeOpenAI) -> Settings:
    environment = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url}
    return replace(home, environment=environment, providers={"openai": ProviderSettings(poll_interval_ms=50)})


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    async with App(settings, leave_worker=False) as app:
        yield app


def draft(prompt: str, **changes: object) -> Wish:
    wish = Wish(prompt=prompt, model="draft", size="160x90", seconds=1, seed=7, thumbnail=False, spritesheet=False)
    return replace(wish, **changes)


def file_of(video: Video) -> Path:
    assert video.path is not None
    return video.path


def pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


async def test_a_draft_carries_its_manifest_inside_and_calls_itself_no_trained_model(app: App) -> None:
    [video] = await app.generate(draft("a fox", first_frame=picture(160, 90)))

    report = await app.library.provenance(video)
    assert (report.ours, report.beside) == (True, False)
    assert report.active is not None
    assert report.active.source_types == ("algorithmicMedia",)
    assert [each.title for each in report.ingredients] == ["the first frame"]
    assert digest_now(file_of(video)) == (video.sha256, video.size_bytes), "the ledger knows the signed file"
    assert (await app.children.probe(file_of(video))).embedded_c2pa
    assert not file_of(video).with_name(MANIFEST).exists()


async def test_a_draft_for_export_is_copied_as_it_is(app: App, tmp_path: Path) -> None:
    [video] = await app.generate(draft("a fox"))

    copy = await app.library.export(video, tmp_path / "copy.mp4", embed=True)

    assert digest_now(copy)[0] == video.sha256


async def test_two_drafts_of_one_seed_show_the_same_pictures(app: App) -> None:
    # Their signatures tell the time, so their bytes differ.
    [first] = await app.generate(draft("a fox"))
    [second] = await app.generate(draft("a fox", cache="refresh"))

    assert pictures(file_of(first)) == pictures(file_of(second))


async def test_a_video_that_was_cropped_and_trimmed_here_carries_its_manifest_inside(
    app: App, fake: FakeOpenAI
) -> None:
    wish = Wish(prompt="a cat", model=SORA, size=Size(640, 640), seconds=3, misfit=Misfit.NEAREST)

    [video] = await app.generate(replace(wish, thumbnail=False, spritesheet=False))

    report = await app.library.provenance(video)
    assert (report.ours, report.beside, video.size) == (True, False, Size(640, 640))
    assert report.active is not None
    assert report.active.actions == ("c2pa.created", "c2pa.cropped", "c2pa.trimmed")
    assert fake.book.charged == 1


async def test_a_remix_names_the_video_that_it_came_from(app: App) -> None:
    [first] = await app.generate(Wish(prompt="a boat", model=SORA, seconds=4))
    [second] = await app.generate(Wish(prompt="at night", remix=first.id))
    [third] = await app.generate(Wish(prompt="in the rain", remix=second.id))

    report = await app.library.provenance(third)

    assert report.valid
    assert [told.video_id for told in report.manifests] == [third.id, second.id, first.id]
    assert [told.actions for told in report.manifests] == [("c2pa.opened", "c2pa.edited")] * 2 + [("c2pa.created",)]
    assert report.ingredients[0].title == f"the earlier video {second.id}"


async def test_a_certificate_that_cannot_sign_is_refused_before_anything_is_bought(
    settings: Settings, fake: FakeOpenAI, tmp_path: Path
) -> None:
    old = issue(tmp_path / "old", begins=timedelta(days=-9), ends=timedelta(days=-1))
    good, other = issue(tmp_path / "good"), issue(tmp_path / "other")
    wrong = {
        "expired on": ProvenanceSettings(certificate=str(old.certificate), key=str(old.key)),
        "does not belong": ProvenanceSettings(certificate=str(good.certificate), key=str(other.key)),
        "names a certificate but no key": ProvenanceSettings(certificate=str(good.certificate)),
        "names a key but no certificate": ProvenanceSettings(key=str(good.key)),
    }

    for words, section in wrong.items():
        async with App(replace(settings, provenance=section), leave_worker=False) as app:
            with pytest.raises(ConfigError, match=words):
                await app.generate(Wish(prompt="a cat", model=SORA, seconds=4))

    assert fake.requests == []


async def test_an_own_certificate_signs_what_is_delivered(settings: Settings, tmp_path: Path) -> None:
    own = issue(tmp_path / "own")
    section = ProvenanceSettings(certificate=str(own.certificate), key=str(own.key))

    async with App(replace(settings, provenance=section), leave_worker=False) as app:
        [video] = await app.generate(Wish(prompt="a cat", model=SORA, seconds=4, spritesheet=False))
        report = await app.library.provenance(video)

    assert report.active is not None
    assert (report.ours, report.active.signed_by) == (True, "Example Studio / Example")
    assert not (settings.home / "provenance").exists(), "no other certificate was made"
