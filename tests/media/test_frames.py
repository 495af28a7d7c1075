from fractions import Fraction
from pathlib import Path

import clips
import pytest
from PIL import Image, ImageStat

from rushes.errors import MediaError
from rushes.media.children import Children
from rushes.video import Size

pytestmark = pytest.mark.anyio


async def test_a_thumbnail_is_a_small_webp(children: Children, tmp_path: Path) -> None:
    clip = clips.video(tmp_path / "a.mp4", width=1280, height=720, frames=8)

    made = await children.thumbnail(clip, tmp_path / "deep" / "t.webp")

    with Image.open(tmp_path / "deep" / "t.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (640, 360))
    assert (made.width, made.height) == (640, 360)


async def test_a_small_video_is_not_blown_up(children: Children, tmp_path: Path) -> None:
    made = await children.thumbnail(clips.video(tmp_path / "a.mp4", frames=4), tmp_path / "t.webp")

    assert (made.width, made.height) == (320, 180)


async def test_a_thumbnail_avoids_black(children: Children, tmp_path: Path) -> None:
    clip = clips.video(tmp_path / "a.mp4", paint=clips.black_then_white)

    await children.thumbnail(clip, tmp_path / "t.webp")

    with Image.open(tmp_path / "t.webp") as picture:
        assert ImageStat.Stat(picture.convert("L")).mean[0] > 200


async def test_a_black_video_has_a_thumbnail_too(children: Children, tmp_path: Path) -> None:
    made = await children.thumbnail(clips.video(tmp_path / "a.mp4", paint=clips.black), tmp_path / "t.webp")

    assert made.width == 320


async def test_pictures_are_turned_as_a_player_turns_them(children: Children, tmp_path: Path) -> None:
    """The clip is red on its left; turned by 90 degrees counterclockwise, red is at the bottom."""
    clip = clips.video(tmp_path / "a.mp4", paint=clips.red_on_the_left, rotation=90)

    await children.thumbnail(clip, tmp_path / "t.webp")

    with Image.open(tmp_path / "t.webp") as picture:
        assert picture.size == (180, 320)
        top, bottom = picture.convert("RGB").getpixel((90, 40)), picture.convert("RGB").getpixel((90, 280))
    assert isinstance(top, tuple) and isinstance(bottom, tuple)
    assert bottom[0] > 150 > 60 > top[0]


async def test_pictures_have_square_pixels(children: Children, tmp_path: Path) -> None:
    made = await children.thumbnail(clips.video(tmp_path / "a.mp4", sar=Fraction(4, 3)), tmp_path / "t.webp")

    assert (made.width, made.height) == (427, 180)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
@pytest.mark.parametrize("keyframe_every", [250, 6])
async def test_a_spritesheet_shows_the_video_in_order(
    children: Children, tmp_path: Path, name: str, keyframe_every: int
) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    clip = clips.video(tmp_path / name, codec=codec, paint=clips.brightening, keyframe_every=keyframe_every)

    sheet = await children.spritesheet(clip, tmp_path / "s.jpg")

    assert (sheet.columns, sheet.rows, sheet.cell) == (5, 4, Size(256, 144))
    with Image.open(tmp_path / "s.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (1280, 576))
        cells = [
            ImageStat.Stat(picture.crop((c * 256, r * 144, c * 256 + 256, r * 144 + 144)).convert("L")).mean[0]
            for r in range(4)
            for c in range(5)
        ]
    assert cells == sorted(cells)
    expected = [5 * 48 * (n + 0.5) / 20 for n in range(20)]
    assert max(abs(light - wanted) for light, wanted in zip(cells, expected, strict=True)) < 25


async def test_a_video_of_one_picture_has_a_spritesheet(children: Children, tmp_path: Path) -> None:
    sheet = await children.spritesheet(clips.video(tmp_path / "a.mp4", frames=1), tmp_path / "s.jpg")

    assert sheet.columns == 5


async def test_nothing_is_written_for_a_broken_video(children: Children, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))

    with pytest.raises(MediaError, match="not a readable video"):
        await children.thumbnail(tmp_path / "a.mp4", tmp_path / "t.webp")

    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
