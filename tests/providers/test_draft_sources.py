"""Draft makes what the Videos API can ask: remixes, edits, extensions, characters, references, several at once."""

import io
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rushes.app import App
from rushes.config import Settings
from rushes.errors import Gone, RushesError, Unsupported
from rushes.planning import Given, Wish
from rushes.providers.base import Provider
from rushes.providers.catalog import read_table
from rushes.providers.draft import Draft, character_id, makeable, read_character
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob
from rushes.testing import clips
from rushes.testing.bench import Inputs, fetched, opened, prepared
from rushes.video import (
    MediaRef,
    ModelId,
    Progress,
    Reference,
    Size,
    SourceKind,
    SourceVideo,
    Status,
    Video,
    VideoRequest,
)

pytestmark = pytest.mark.anyio

Pictures = NDArray[np.uint8]
SMALL = Size(160, 90)
[MODEL] = read_table("draft")


def asked(prompt: str = "A paper boat", **changes: Any) -> Prepared:
    usual: dict[str, Any] = {} if "source" in changes else {"size": SMALL, "seconds": 1}
    return prepared(VideoRequest(prompt=prompt, model=ModelId("draft", "animatic"), **usual | changes), MODEL)


def from_earlier(kind: SourceKind, **changes: Any) -> SourceVideo:
    return replace(SourceVideo(kind=kind, video_id="video_1", size=SMALL, seconds=1), **changes)


def draft(folder: Path, inputs: Inputs | None = None) -> AbstractAsyncContextManager[Provider]:
    return opened(Draft, folder=folder, environment={}, inputs=inputs)


def kept(inputs: Inputs, data: bytes, size: Size = SMALL, seconds: float = 1.0) -> MediaRef:
    return replace(inputs.add(data, "video/mp4", size.width, size.height), seconds=seconds)


async def ended(provider: Provider, remote: RemoteJob) -> Progress:
    with anyio.fail_after(60):
        while not (seen := await provider.poll(remote)).status.final:
            await anyio.sleep(0.02)
    return seen


async def made(provider: Provider, wanted: Prepared, key: str = "key-1") -> list[bytes]:
    remote = await provider.submit(wanted, key)
    seen = await ended(provider, remote)
    assert seen.status is Status.COMPLETED, seen.failure
    assert [asset.n for asset in await provider.assets(remote)] == list(range(provider.count(wanted)))
    return [await fetched(provider, asset) for asset in await provider.assets(remote)]


def luma(video: bytes | Path) -> Pictures:
    frames: list[Pictures] = []
    with av.open(io.BytesIO(video) if isinstance(video, bytes) else str(video), "r") as container:
        for frame in container.decode(container.streams.video[0]):
            frames.append(frame.to_ndarray()[: frame.height, : frame.width].astype(np.uint8))
    return np.stack(frames)


def alike(first: Pictures, second: Pictures) -> float:
    """How much two pictures have in common, 0 to 1: above the card, and left of the insets."""
    one, two = (picture[:34, :100].ravel().astype(float) for picture in (first, second))
    return float(np.corrcoef(one, two)[0, 1])


# -- the provider by itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(SourceKind))
async def test_any_video_is_taken_by_its_file(kind: SourceKind, tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    file = clips.clip(160, 90, 1.0)
    source = from_earlier(kind, media=kept(inputs, file))
    async with draft(tmp_path, inputs) as provider:
        wanted = asked(source=source, seconds=1 if kind is SourceKind.EXTEND else None)
        remote = await provider.submit(wanted, "key-1")
        seen = await ended(provider, remote)
        [asset] = await provider.assets(remote)
        pictures, given = luma(await fetched(provider, asset)), luma(file)

    expected = 2 if kind is SourceKind.EXTEND else 1
    assert (seen.seconds, seen.size) == (expected, SMALL)
    assert len(pictures) == expected * 10, "ten a second, as the clip has them"
    assert alike(pictures[0], given[0]) > 0.9


@pytest.mark.parametrize("kind", list(SourceKind))
async def test_a_video_that_is_still_here_is_known_by_its_id(kind: SourceKind, tmp_path: Path) -> None:
    async with draft(tmp_path) as provider:
        earlier = await provider.submit(asked(), "key-0")
        await ended(provider, earlier)
        [asset] = await provider.assets(earlier)
        before = luma(await fetched(provider, asset))
        wanted = asked("A city", source=from_earlier(kind, remote_id=earlier.id), seconds=None)
        remote = await provider.submit(wanted, "key-1")
        provider.release(earlier)
        seen = await ended(provider, remote)
        [asset] = await provider.assets(remote)
        pictures = luma(await fetched(provider, asset))
        provider.release(remote)

    assert seen.status is Status.COMPLETED
    assert alike(pictures[0], before[0]) > 0.85
    assert list(tmp_path.glob("*.mp4")) == []


@pytest.mark.parametrize("earlier", ["draft_" + "0" * 24, "../secret", "video_1"])
async def test_a_video_that_is_not_here_is_refused(earlier: str, tmp_path: Path) -> None:
    async with draft(tmp_path) as provider:
        with pytest.raises(Gone) as caught:
            await provider.submit(asked(source=from_earlier(SourceKind.REMIX, remote_id=earlier)), "key-1")

    assert caught.value.proves_refusal
    assert not caught.value.retryable


async def test_a_remix_that_died_with_its_process_is_begun_again(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    source = from_earlier(SourceKind.REMIX, media=kept(inputs, clips.clip(160, 90, 1.0)))
    async with draft(tmp_path, inputs) as provider:
        remote = await provider.submit(asked(source=source, extra={"latency_s": 0.2, "n_variants": 2}), "key-1")
    async with draft(tmp_path, inputs) as another_process:
        assert (await ended(another_process, remote)).status is Status.COMPLETED
        assert len(await another_process.assets(remote)) == 2


async def test_variants_are_made_by_one_create_and_differ(tmp_path: Path) -> None:
    async with draft(tmp_path) as provider:
        wanted = asked(extra={"n_variants": 3}, seed=4)
        variants = await made(provider, wanted)
        again = await made(provider, wanted, "key-2")
        [alone] = await made(provider, asked(seed=4), "key-3")
        provider.release(await provider.submit(wanted, "key-1"))
        left = {file.name for file in tmp_path.glob("*.mp4")}

    assert len({luma(video).tobytes() for video in variants}) == 3
    assert variants == again
    assert variants[0] == alone
    assert len(left) == 3 + 1


@pytest.mark.parametrize("count", [0, 6, 1.5, "2", True])
async def test_an_odd_count_of_variants_is_refused(count: object, tmp_path: Path) -> None:
    async with draft(tmp_path) as provider:
        with pytest.raises(Unsupported, match="n_variants"):
            provider.check(asked(extra={"n_variants": count}))


async def test_a_character_is_seen(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    clip = kept(inputs, clips.clip(320, 180, 1.0))
    async with draft(tmp_path, inputs) as provider:
        mossy = await provider.create_character("Mossy", clip)
        again, other = [await provider.create_character(name, clip) for name in ("Mossy", "Ivy")]
        videos = [
            luma((await made(provider, asked(characters=characters), f"key-{characters}"))[0])
            for characters in ((), (mossy,), (other,), (mossy, other))
        ]

    assert mossy == again != other
    assert len({video.tobytes() for video in videos}) == 4
    change = np.abs(videos[1][0].astype(int) - videos[0][0].astype(int))
    assert change[:26, 110:].max() > 60, "in the upper right"
    assert change[45:].max() < 30, "and nowhere else"


def test_an_id_of_a_character_can_be_read_and_a_foreign_one_is_refused() -> None:
    for name in ("Mossy", "Зоя 🦊", "x" * 80):
        assert read_character(character_id(name, "ab" * 32)) == (name, "ab" * 32)
    for text in ("char_1", "draft_char_zz_TW9zc3k", f"draft_char_{'ab' * 32}_A", f"draft_char_{'ab' * 32}_{'A' * 400}"):
        with pytest.raises(Unsupported, match="no character of draft's"):
            read_character(text)


@pytest.mark.parametrize(("name", "seconds"), [("", 1.0), (" ", 1.0), ("a\nb", 1.0), ("x" * 81, 1.0), ("Mossy", None)])
async def test_what_cannot_be_a_character_is_refused(name: str, seconds: float | None, tmp_path: Path) -> None:
    ref = MediaRef(sha256="ab" * 32, mime="video/mp4", size_bytes=1, width=16, height=16, seconds=seconds)
    async with draft(tmp_path) as provider:
        with pytest.raises(Unsupported):
            await provider.create_character(name, ref)


async def test_a_reference_is_seen_from_its_frame_on_or_beside_the_picture(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    picture = inputs.add(clips.picture(160, 90), "image/png", 160, 90)
    async with draft(tmp_path, inputs) as provider:
        from_a_frame = asked("mountains at night", references=(Reference(media=picture, frame_index=12),))
        beside = asked("mountains at night", references=(Reference(media=picture),))
        [one], [two], [none] = [
            await made(provider, wanted, f"key-{n}")
            for n, wanted in enumerate((from_a_frame, beside, asked("mountains at night")))
        ]

    gradient = np.repeat(np.arange(90, dtype=np.uint8)[:, None], 160, axis=1)
    assert alike(luma(one)[12], gradient) > 0.99
    assert alike(luma(one)[0], luma(none)[0]) > 0.99
    change = np.abs(luma(two)[0].astype(int) - luma(none)[0].astype(int))
    assert change[:26, 110:].max() > 40
    assert change[45:].max() < 30


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"references": (24,)}, "has 0 to 23"),
        ({"references": (-1,)}, "has 0 to 23"),
        ({"characters": ("char_1",)}, "no character of draft's"),
        ({"characters": ("a", "b", "c")}, "at most 2 characters"),
        ({"size": Size(3840, 3840)}, "3840x2160"),
        ({"source": from_earlier(SourceKind.EXTEND, seconds=100), "seconds": 21}, "would last 121"),
        ({"source": from_earlier(SourceKind.EXTEND, extensions=6), "seconds": 1}, "allows 6"),
        ({"source": from_earlier(SourceKind.REMIX, seconds=121)}, "at most 120"),
    ],
)
async def test_what_cannot_be_made_is_told_before_anything_starts(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    picture = MediaRef(sha256="ab" * 32, mime="image/png", size_bytes=1, width=16, height=16)
    if "references" in changes:
        changes = {"references": tuple(Reference(media=picture, frame_index=n) for n in changes["references"])}
    async with draft(tmp_path) as provider:
        with pytest.raises(Unsupported, match=words):
            provider.check(asked(**changes))


@pytest.mark.parametrize("kind", [SourceKind.REMIX, SourceKind.EDIT])
async def test_a_source_takes_no_first_frame_beside_it_and_is_no_picture(kind: SourceKind, tmp_path: Path) -> None:
    picture = MediaRef(sha256="ab" * 32, mime="image/png", size_bytes=1, width=160, height=90)
    async with draft(tmp_path) as provider:
        with pytest.raises(Unsupported, match="no first frame"):
            provider.check(asked(source=from_earlier(kind, remote_id="x"), first_frame=picture))
        with pytest.raises(Unsupported, match="this is a picture"):
            provider.check(asked(source=from_earlier(kind, media=picture)))


@pytest.mark.parametrize(
    ("size", "made_as"),
    [
        ((1280, 720), (1280, 720)),
        ((161, 91), (160, 90)),
        ((7680, 4320), (3840, 2160)),
        ((4000, 4000), (2880, 2880)),
        ((9, 900), (16, 900)),
    ],
)
def test_a_size_that_cannot_be_made_becomes_the_nearest_that_can(
    size: tuple[int, int], made_as: tuple[int, int]
) -> None:
    assert makeable(Size(*size)) == made_as


async def test_an_upload_of_odd_size_and_length_is_fitted(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    odd = kept(inputs, clips.clip(162, 90, 1.4), Size(161, 91), 1.4)
    async with draft(tmp_path, inputs) as provider:
        source = from_earlier(SourceKind.EXTEND, media=odd, size=odd.size, seconds=1)
        [video] = await made(provider, asked(source=source, seconds=1))

    assert luma(video).shape == (14 + 10, 90, 160), "all of it, and a second more"


# -- through the App -----------------------------------------------------------------------------------------


@pytest.fixture
async def app(home: Settings) -> AsyncIterator[App]:
    async with App(home, leave_worker=False) as app:
        yield app


async def generated(app: App, prompt: str, **wish: Any) -> list[Video]:
    usual: dict[str, Any] = {"model": "draft", "thumbnail": False, "spritesheet": False}
    return await app.generate(Wish(prompt=prompt, **usual | wish))


def pictures_of(video: Video) -> Pictures:
    assert video.path is not None
    return luma(video.path)


async def test_earlier_videos_are_taken_from_the_library(app: App) -> None:
    [first] = await generated(app, "A lighthouse", size="160x90", seconds=1, seed=5)
    [remix] = await generated(app, "A city at noon", remix=first.id)
    [edit] = await generated(app, "A city at noon", edit=first.id)
    [longer] = await generated(app, "A city at noon", extend=first.id, seconds=2)
    [longest] = await generated(app, "A forest", extend=longer.id, seconds=1)

    before = pictures_of(first)
    assert [round(each.seconds, 2) for each in (remix, edit, longer, longest)] == [1, 1, 3, 4]
    assert all(each.size == SMALL and each.has_audio for each in (remix, edit, longer, longest))
    assert [alike(pictures_of(each)[0], before[0]) > 0.85 for each in (remix, edit, longer, longest)] == [True] * 4
    assert (await app.library.provenance(longest)).valid
    origin = await app.lineage.origin(longest.id)
    assert (origin.extensions, origin.seconds) == (2, 4)


async def test_a_remix_twice_is_the_same_and_the_take_of_another_slot_is_not(app: App) -> None:
    [first] = await generated(app, "A lighthouse", size="160x90", seconds=1, seed=5)
    [one] = await generated(app, "A city", remix=first.id)
    [two] = await generated(app, "A city", remix=first.id, cache="refresh")
    takes = await generated(app, "A city", remix=first.id, n=2, cache="refresh")

    assert pictures_of(one).tobytes() == pictures_of(two).tobytes() == pictures_of(takes[0]).tobytes()
    assert pictures_of(takes[1]).tobytes() != pictures_of(one).tobytes()


async def test_one_create_brings_several_videos_home_and_each_can_be_remixed(app: App) -> None:
    videos = await generated(app, "A lighthouse", size="160x90", seconds=1, extra={"n_variants": 3})
    [remix] = await generated(app, "A city", remix=videos[2].id)

    assert len({video.sha256 for video in videos}) == 3
    assert len({video.job_id for video in videos}) == 1
    last, others = pictures_of(videos[2])[0], [pictures_of(video)[0] for video in videos[:2]]
    start = pictures_of(remix)[0]
    assert alike(start, last) > max(alike(start, other) for other in others)


async def test_a_character_lives_on_in_the_ledger(home: Settings, tmp_path: Path) -> None:
    clip = tmp_path / "mossy.mp4"
    clip.write_bytes(clips.clip(160, 90, 2.0))
    async with App(home, leave_worker=False) as app:
        mossy = await app.make_character("Mossy", clip, model="draft")
    clip.unlink()
    async with App(home, leave_worker=False) as app:
        [with_her] = await generated(app, "Mossy waves", size="160x90", seconds=1, characters=("Mossy",))
        [by_id] = await generated(app, "Mossy waves", size="160x90", seconds=1, characters=(mossy.id,))
        [without] = await generated(app, "Mossy waves", size="160x90", seconds=1)

    assert pictures_of(with_her).tobytes() == pictures_of(by_id).tobytes() != pictures_of(without).tobytes()


async def test_a_file_of_ones_own_is_shown_from_a_frame_on(app: App, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clips.clip(160, 90, 1.0))
    items = (Given(media=clip, frame_index=12), Given(media=clips.picture(160, 90)))
    [video] = await generated(app, "Mountains at night", size="160x90", seconds=1, references=items)

    assert alike(pictures_of(video)[12], luma(clip)[0]) > 0.97


async def test_a_source_whose_file_is_gone_is_refused(app: App, home: Settings) -> None:
    [first] = await generated(app, "A lighthouse", size="160x90", seconds=1)
    await app.jobs.delete(first.job_id)

    with pytest.raises(RushesError, match="deleted"):
        await generated(app, "A city", remix=first.id)
