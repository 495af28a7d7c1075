"""Putting one video behind another, and the picture from which the second goes on."""

from pathlib import Path

import clips
import numpy as np
import pytest
from PIL import Image

from rushes.errors import MediaError
from rushes.media.children import Children
from rushes.media.render import join_videos
from rushes.video import Size

pytestmark = pytest.mark.anyio


async def joined(children: Children, first: Path, second: Path, out: Path) -> None:
    await join_videos((first, await children.probe(first)), (second, await children.probe(second)), out)


async def test_the_whole_is_as_long_as_both_and_looks_like_the_first(children: Children, tmp_path: Path) -> None:
    first = clips.video(tmp_path / "a.mp4", width=320, height=180, sound=True, frames=24)
    second = clips.video(tmp_path / "b.mp4", width=640, height=400, sound=True, frames=48)

    await joined(children, first, second, tmp_path / "c.mp4")

    probe = await children.probe(tmp_path / "c.mp4", thorough=True)
    assert (probe.size, probe.frames, probe.has_audio, probe.faststart) == (Size(320, 180), 72, True, True)
    assert probe.seconds == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("sounds", [(True, False), (False, True)])
async def test_silence_stands_in_for_missing_sound(
    sounds: tuple[bool, bool], children: Children, tmp_path: Path
) -> None:
    first = clips.video(tmp_path / "a.mp4", sound=sounds[0], frames=24)
    second = clips.video(tmp_path / "b.mp4", sound=sounds[1], frames=24)

    await joined(children, first, second, tmp_path / "c.mp4")

    probe = await children.probe(tmp_path / "c.mp4")
    assert (probe.has_audio, probe.frames) == (True, 48)
    assert probe.seconds == pytest.approx(2.0, abs=0.1)


async def test_two_silent_ones_stay_silent(children: Children, tmp_path: Path) -> None:
    first, second = clips.video(tmp_path / "a.mp4"), clips.video(tmp_path / "b.mp4")

    await joined(children, first, second, tmp_path / "c.mp4")

    assert not (await children.probe(tmp_path / "c.mp4")).has_audio


async def test_what_cannot_be_joined_leaves_nothing(children: Children, tmp_path: Path) -> None:
    first = clips.video(tmp_path / "a.mp4")
    probe = await children.probe(first)
    (tmp_path / "b.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))

    with pytest.raises(MediaError, match="ffmpeg ended"):
        await join_videos((first, probe), (tmp_path / "b.mp4", probe), tmp_path / "c.mp4")

    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


async def test_the_last_picture_is_the_very_last(children: Children, tmp_path: Path) -> None:
    video = clips.video(tmp_path / "a.mp4", frames=49, paint=clips.white_in_the_end)

    picture = await children.last_frame(video, tmp_path / "last.png")

    assert (picture.mime, picture.width, picture.height) == ("image/png", 320, 180)
    with Image.open(tmp_path / "last.png") as shown:
        assert np.asarray(shown.convert("L")).mean() > 200, "the picture before it is black"


async def test_of_a_turned_video_it_is_upright(children: Children, tmp_path: Path) -> None:
    video = clips.video(tmp_path / "a.mp4", paint=clips.red_on_the_left, rotation=90, frames=12)

    picture = await children.last_frame(video, tmp_path / "last.png")

    assert (picture.width, picture.height) == (180, 320)
