import random
import re
from fractions import Fraction
from pathlib import Path

import av
import clips
import pytest

from rushes.errors import MediaError, Truncated
from rushes.media.children import Children
from rushes.media.mp4 import C2PA_UUID
from rushes.media.probe import nal_prefix_bytes, nal_units_fit
from rushes.video import Size

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, with sound, several groups of pictures, the index in front, some weight."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return clips.video(path, sound=True, faststart=True, paint=clips.noise, keyframe_every=12, width=160, height=90)


async def test_the_facts_of_a_file_are_measured(children: Children, clip: Path) -> None:
    probe = await children.probe(clip)

    assert (probe.format, probe.size, probe.seconds, probe.fps) == ("mp4", Size(160, 90), 2.0, Fraction(24))
    assert (probe.video_codec, probe.has_audio, probe.audio_codec) == ("h264", True, "aac")
    assert (probe.frames, probe.frames_declared) == (48, 48)
    assert (probe.faststart, probe.embedded_c2pa) == (True, False)
    assert probe.size_bytes == clip.stat().st_size
    assert probe.bit_rate == pytest.approx(probe.size_bytes * 4, rel=0.01)


@pytest.mark.parametrize(
    ("name", "codec", "format_name", "codec_name"),
    [
        ("a.webm", "libvpx-vp9", "webm", "vp9"),
        ("a.mkv", "libx264", "mkv", "h264"),
        ("a.mov", "libx264", "mov", "h264"),
        ("a.mp4", "libx265", "mp4", "hevc"),
        ("b.mp4", "libsvtav1", "mp4", "av1"),
        ("a.avi", "mpeg4", "avi", "mpeg4"),
        ("a.ts", "libx264", "mpegts", "h264"),
    ],
)
async def test_other_containers_and_codecs_are_accepted(
    children: Children, tmp_path: Path, name: str, codec: str, format_name: str, codec_name: str
) -> None:
    quiet = {"libx265": {"x265-params": "log-level=none"}, "libsvtav1": {"preset": "10"}}.get(codec, {})
    probe = await children.probe(clips.video(tmp_path / name, codec=codec, frames=24, options=quiet))

    assert (probe.format, probe.video_codec, probe.size) == (format_name, codec_name, Size(320, 180))
    assert (probe.fps, probe.frames) == (Fraction(24), 24)
    assert probe.seconds == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize("rotation", [90, -90, 180])
async def test_the_size_is_as_displayed_after_rotation(children: Children, tmp_path: Path, rotation: int) -> None:
    probe = await children.probe(clips.video(tmp_path / "a.mp4", frames=4, rotation=rotation))

    assert probe.size == (Size(320, 180) if rotation == 180 else Size(180, 320))


async def test_the_size_is_as_displayed_with_square_pixels(children: Children, tmp_path: Path) -> None:
    probe = await children.probe(clips.video(tmp_path / "a.mp4", frames=4, sar=Fraction(4, 3)))

    assert probe.size == Size(427, 180)


@pytest.mark.parametrize("fps", [24, 25, 30, 60])
async def test_the_length_comes_from_the_timestamps(children: Children, tmp_path: Path, fps: int) -> None:
    probe = await children.probe(clips.video(tmp_path / "a.webm", codec="libvpx-vp9", frames=fps, fps=fps))

    assert probe.fps == fps
    assert probe.seconds == pytest.approx(1.0, abs=0.002)


async def test_one_picture_is_a_video(children: Children, tmp_path: Path) -> None:
    probe = await children.probe(clips.video(tmp_path / "a.mp4", frames=1))

    assert (probe.frames, probe.seconds) == (1, pytest.approx(1 / 24, abs=0.001))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html><title>Sign in</title>", "HTML page, not a video.*Sign in"),
        (b'{"error": "expired"}', "JSON text, not a video.*expired"),
        (b"", "an empty file, not a video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture, not a video"),
        (bytes(5000), "not a readable video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "plain text, not a video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "plain text, not a video"),
    ],
)
async def test_what_is_no_video_is_refused_by_its_name(
    children: Children, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)

    with pytest.raises(MediaError, match=words):
        await children.probe(path)


async def test_sound_alone_is_refused(children: Children, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"song.mp4 holds only sound, no video"):
        await children.probe(clips.sound_only(tmp_path / "song.mp4"))


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.9, 0.99])
async def test_a_cut_mp4_is_refused(children: Children, clip: Path, tmp_path: Path, part: float) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[: int(clip.stat().st_size * part)])

    with pytest.raises(Truncated, match=r"cut.mp4 (is cut off|has no index)"):
        await children.probe(cut)


@pytest.mark.parametrize("part", [0.6, 0.8])
async def test_a_cut_mp4_with_its_index_at_the_end_is_refused(children: Children, tmp_path: Path, part: float) -> None:
    whole = clips.video(tmp_path / "whole.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])

    with pytest.raises(Truncated):
        await children.probe(cut)


async def test_a_cut_webm_is_refused(children: Children, tmp_path: Path) -> None:
    whole = clips.video(tmp_path / "whole.webm", codec="libvpx-vp9", paint=clips.noise, width=160, height=90)
    cut = tmp_path / "cut.webm"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])

    with pytest.raises(Truncated, match="cut off"):
        await children.probe(cut)


async def test_an_index_that_promises_more_than_the_last_box_holds_is_refused(
    children: Children, clip: Path, tmp_path: Path
) -> None:
    data = bytearray(clip.read_bytes())
    place = data.index(b"mdat") - 4
    data = data[: int(len(data) * 0.6)]
    data[place : place + 4] = (len(data) - place).to_bytes(4, "big")  # the boxes agree with the file again
    forged = tmp_path / "forged.mp4"
    forged.write_bytes(data)

    with pytest.raises(MediaError):
        await children.probe(forged)


@pytest.mark.parametrize("place", [0.4, 0.6, 0.95])
async def test_a_hole_of_zeros_is_found(children: Children, clip: Path, tmp_path: Path, place: float) -> None:
    data = bytearray(clip.read_bytes())
    start = int(len(data) * place)
    data[start : start + len(data) // 30] = bytes(len(data) // 30)
    holed = tmp_path / "holed.mp4"
    holed.write_bytes(data)

    with pytest.raises(MediaError, match="damaged"):
        await children.probe(holed)


async def test_a_thorough_probe_finds_damage_inside_a_picture(children: Children, clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos]
    for start, size in packets[20:30]:  # the beginning and the end of a packet stay, and so its shape
        data[start + 40 : start + size - 4] = bytes(byte ^ 0x5A for byte in data[start + 40 : start + size - 4])
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)

    with pytest.raises(MediaError):
        await children.probe(damaged, thorough=True)


async def test_a_sound_file_passes_the_thorough_probe(children: Children, clip: Path) -> None:
    assert await children.probe(clip, thorough=True) == await children.probe(clip)


async def test_a_title_in_an_old_encoding_makes_no_video_bad(children: Children, tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mp4", frames=4, title="Sommer in Muenchen")
    path.write_bytes(path.read_bytes().replace(b"Muenchen", "München.".encode("latin-1")))

    assert (await children.probe(path)).frames == 4


async def test_a_codec_that_nobody_knows_is_an_error_in_one_line(children: Children, tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mp4", frames=4)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz9"))

    with pytest.raises(MediaError, match="in a video format that nobody here knows"):
        await children.probe(path)


MESSAGES = re.compile(
    r"is damaged|is not a readable video|is cut off|has no index|holds|has a video track|not a video|needs more than"
)


async def test_a_thousand_strange_bytes_give_a_clean_answer(children: Children, tmp_path: Path) -> None:
    """Broken files, always the same ones: each is accepted, or refused in our own words."""
    chance = random.Random(7)
    data = clips.video(tmp_path / "a.mp4", sound=True, frames=12).read_bytes()
    for _ in range(100):
        strange = bytearray(data)
        for _ in range(10):
            strange[chance.randrange(len(data)) if chance.random() < 0.3 else -chance.randrange(1, 2500)] ^= 0xA5
        (tmp_path / "b.mp4").write_bytes(strange)
        try:
            await children.probe(tmp_path / "b.mp4")
        except MediaError as error:
            assert MESSAGES.search(str(error)), str(error)


async def test_a_manifest_inside_is_seen(children: Children, tmp_path: Path) -> None:
    plain = clips.video(tmp_path / "plain.mp4", frames=4)
    marked = tmp_path / "marked.mp4"
    box = b"uuid" + C2PA_UUID + b"manifest"
    marked.write_bytes(plain.read_bytes() + (len(box) + 4).to_bytes(4, "big") + box)

    assert not (await children.probe(plain)).embedded_c2pa
    assert (await children.probe(marked)).embedded_c2pa


async def test_an_index_behind_the_pictures_is_told(children: Children, tmp_path: Path) -> None:
    assert not (await children.probe(clips.video(tmp_path / "a.mp4", frames=4))).faststart


async def test_a_file_that_is_not_there_is_an_error_in_one_line(children: Children, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"none.mp4 cannot be read: No such file"):
        await children.probe(tmp_path / "none.mp4")


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        (b"\0\0\0\2ab\0\0\0\1c", True),
        (b"\0\0\0\2ab", True),
        (b"\0\0\0\3ab", False),
        (b"\0\0\0\0", False),
        (b"\0\0\0\2ab\0\0", False),
        (b"\0\0\0\2ab" + bytes(20), False),
    ],
)
def test_units_must_fill_their_packet_exactly(data: bytes, fits: bool) -> None:
    assert nal_units_fit(data, 4) is fits


def test_only_codecs_with_counted_units_are_checked_for_them() -> None:
    assert nal_prefix_bytes("h264", bytes([1, 0, 0, 0, 0xFF])) == 4
    assert nal_prefix_bytes("h264", b"\0\0\0\1start code") == 0
    assert nal_prefix_bytes("vp9", b"") == 0
