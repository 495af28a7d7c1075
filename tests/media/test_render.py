import os
from pathlib import Path

import anyio
import clips
import numpy as np
import pytest
from PIL import Image

from rushes.errors import MediaError, StoreFull
from rushes.media.children import Children
from rushes.media.render import failure_of, fenced, ffmpeg, find_ffmpeg, fit_video
from rushes.video import Size

pytestmark = pytest.mark.anyio


async def test_a_video_is_scaled_and_cut_to_cover_a_size(children: Children, tmp_path: Path) -> None:
    source = clips.video(tmp_path / "a.mp4", width=320, height=180, sound=True)

    await fit_video(source, tmp_path / "b.mp4", size=Size(100, 160))

    probe = await children.probe(tmp_path / "b.mp4")
    assert (probe.size, probe.video_codec, probe.audio_codec, probe.faststart) == (Size(100, 160), "h264", "aac", True)
    assert probe.seconds == pytest.approx(2.0, abs=0.05)


async def test_a_video_is_padded_with_black_where_nothing_may_be_cut(children: Children, tmp_path: Path) -> None:
    source = clips.video(tmp_path / "a.mp4", width=320, height=180, paint=clips.red_on_the_left, frames=12)

    await fit_video(source, tmp_path / "b.mp4", size=Size(160, 160), pad=True)

    assert (await children.probe(tmp_path / "b.mp4")).size == Size(160, 160)
    await children.last_frame(tmp_path / "b.mp4", tmp_path / "last.png")
    with Image.open(tmp_path / "last.png") as shown:
        pixels = np.asarray(shown.convert("RGB"))
    assert pixels[5, 80].max() < 20, "black above"
    assert pixels[80, 4, 0] > 150, "red at its left end: nothing was cut"
    assert pixels[80, 155, 2] > 150, "blue at its right end"


async def test_a_video_is_cut_at_its_end(children: Children, tmp_path: Path) -> None:
    source = clips.video(tmp_path / "a.mp4", sound=True)

    await fit_video(source, tmp_path / "b.mp4", seconds=1)

    probe = await children.probe(tmp_path / "b.mp4")
    assert (probe.size, probe.frames, probe.has_audio) == (Size(320, 180), 24, True)


async def test_a_silent_video_stays_silent(children: Children, tmp_path: Path) -> None:
    await fit_video(clips.video(tmp_path / "a.mp4"), tmp_path / "b.mp4", size=Size(64, 64))

    assert not (await children.probe(tmp_path / "b.mp4")).has_audio


@pytest.mark.parametrize("rotation", [90, -90])
async def test_a_turned_video_is_fitted_as_displayed(children: Children, tmp_path: Path, rotation: int) -> None:
    source = clips.video(tmp_path / "a.mp4", paint=clips.red_on_the_left, rotation=rotation, frames=12)

    await fit_video(source, tmp_path / "b.mp4", size=Size(90, 160))

    assert (await children.probe(tmp_path / "b.mp4")).size == Size(90, 160)


async def test_odd_sizes_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="101x64 cannot be made: width and height must be even"):
        await fit_video(tmp_path / "a.mp4", tmp_path / "b.mp4", size=Size(101, 64))


async def test_a_failure_has_ffmpegs_last_words_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))

    with pytest.raises(MediaError, match=r"ffmpeg ended with code .*moov atom not found"):
        await fit_video(tmp_path / "a.mp4", tmp_path / "b.mp4", seconds=1)

    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


async def test_a_playlist_cannot_make_ffmpeg_open_other_files(tmp_path: Path) -> None:
    secret = clips.video(tmp_path / "secret.ts", frames=4)
    playlist = tmp_path / "a.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n")

    with pytest.raises(MediaError, match="Format not on whitelist"):
        await fit_video(playlist, tmp_path / "b.mp4", seconds=1)


async def test_the_network_is_closed_to_ffmpeg() -> None:
    with pytest.raises(MediaError, match="not on whitelist"):
        await ffmpeg(["-i", "http://127.0.0.1:9/a.mp4", "-f", "null", "-"], timeout_s=10)


ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=5", "-f", "null", "-"]


def running() -> set[str]:
    found: set[str] = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"testsrc=size=64x64:rate=5" in entry.read_bytes():
                found.add(entry.parent.name)
        except OSError:
            continue
    return found


async def test_what_takes_too_long_is_stopped() -> None:
    with pytest.raises(MediaError, match=r"ffmpeg took longer than 0.4 s and was stopped"):
        await ffmpeg(ENDLESS, timeout_s=0.4)

    assert running() == set()


async def test_cancelling_stops_it() -> None:
    with anyio.move_on_after(0.4) as scope:
        await ffmpeg(ENDLESS, timeout_s=60)

    assert scope.cancelled_caught
    assert running() == set()


async def test_memory_is_limited() -> None:
    greedy = ["-f", "lavfi", "-i", "color=size=8000x8000:rate=1", "-t", "1", "-f", "null", "-"]
    with pytest.raises(MediaError, match="ffmpeg ended"):
        await ffmpeg(greedy, timeout_s=30, memory_mb=200)


def test_the_protocol_list_stands_before_every_input() -> None:
    args = fenced(["-i", "a", "-f", "lavfi", "-i", "b", "out.mp4"])

    assert args[-11:] == [
        *("-protocol_whitelist", "file,pipe", "-i", "a"),
        *("-f", "lavfi", "-protocol_whitelist", "file,pipe", "-i", "b", "out.mp4"),
    ]
    assert args[0] == "-nostdin"


def test_a_full_disk_is_recognised_in_ffmpegs_words() -> None:
    said = "av_interleaved_write_frame(): No space left on device"

    assert isinstance(failure_of(228, said), StoreFull)


def test_the_executable_can_be_chosen(tmp_path: Path) -> None:
    mine = tmp_path / "ffmpeg"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o700)

    assert find_ffmpeg({"FFMPEG_BINARY": str(mine), "IMAGEIO_FFMPEG_EXE": "/other"}) == str(mine)
    assert find_ffmpeg({"IMAGEIO_FFMPEG_EXE": str(mine)}) == str(mine)
    assert os.access(find_ffmpeg({}), os.X_OK)
    with pytest.raises(MediaError, match="FFMPEG_BINARY names /none, which cannot be run"):
        find_ffmpeg({"FFMPEG_BINARY": "/none"})
