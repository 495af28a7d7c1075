"""What a board makes of an earlier video, and of references: read from the decoded frames."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import clips
import numpy as np
import pytest
from films import Film, board, psnr, rate_of, shot, watched
from PIL import Image

from rushes.errors import MediaError
from rushes.media.animatic import Board, Card, Reference, Source, Start

SEA = "a lighthouse by the sea at dusk, push in"
CITY = "a city at noon, static"


def film_of(folder: Path, name: str = "source.mp4", **changes: Any) -> Film:
    return shot(board(SEA, audio=True, **changes), folder, name)


def from_source(start: Start, path: Path, prompt: str = CITY, **changes: Any) -> Board:
    return board(prompt, **{"audio": True, "seed": 0, **changes}, source=Source(start=start, path=path))


def loudness(film: Film, begin_s: float, end_s: float) -> float:
    assert film.sound is not None
    part = film.sound[:, round(begin_s * 48_000) : round(end_s * 48_000)]
    return float(np.sqrt(np.mean(part**2)))


# -- extensions ----------------------------------------------------------------------------------------------


def test_an_extension_is_its_source_and_then_the_new_seconds(tmp_path: Path) -> None:
    source = film_of(tmp_path)

    longer = shot(from_source(Start.EXTEND, source.path, seconds=2), tmp_path)

    assert len(longer.luma) == 24 + 48
    assert min(psnr(now, then) for now, then in zip(longer.luma[:24], source.luma, strict=True)) > 32
    assert psnr(longer.luma[24], source.luma[-1]) > 32, "the new part begins with the last picture"
    assert psnr(longer.luma[-1], source.luma[-1]) < 18, "and goes on to what the prompt says"
    with av.open(str(longer.path)) as container:
        for stream in (container.streams.video[0], container.streams.audio[0]):
            assert stream.duration is not None and stream.time_base is not None
            assert abs(stream.duration * stream.time_base - 3) <= Fraction(1024, 48_000)


def test_an_extension_sounds_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    source = film_of(tmp_path, seconds=2)
    longer = shot(from_source(Start.EXTEND, source.path, seconds=2), tmp_path)

    assert all(loudness(longer, at / 4, at / 4 + 0.25) > 0.004 for at in range(1, 15))
    assert source.sound is not None and longer.sound is not None
    same = slice(4800, 43_200)  # up to where the new sound rises under the end of the old
    assert np.corrcoef(source.sound[0, same], longer.sound[0, same])[0, 1] > 0.98


@pytest.mark.parametrize(
    ("source_sounds", "wanted", "heard"), [(False, True, (False, True)), (True, False, (True, False))]
)
def test_sound_is_only_where_there_was_some_or_some_is_wanted(
    source_sounds: bool, wanted: bool, heard: tuple[bool, bool], tmp_path: Path
) -> None:
    source = shot(board(SEA, audio=source_sounds), tmp_path, "source.mp4")
    longer = shot(from_source(Start.EXTEND, source.path, audio=wanted), tmp_path)

    assert (loudness(longer, 0.2, 0.8) > 0.004, loudness(longer, 1.2, 1.8) > 0.004) == heard


def test_silence_extended_without_sound_has_no_sound_track(tmp_path: Path) -> None:
    source = shot(board(SEA), tmp_path, "source.mp4")

    assert shot(from_source(Start.EXTEND, source.path, audio=False), tmp_path).sound is None


def test_an_extension_of_an_extension_keeps_the_first_picture(tmp_path: Path) -> None:
    source = film_of(tmp_path)
    once = shot(from_source(Start.EXTEND, source.path), tmp_path, "once.mp4")
    twice = shot(from_source(Start.EXTEND, once.path, SEA), tmp_path, "twice.mp4")

    assert len(twice.luma) == 72
    assert psnr(twice.luma[0], source.luma[0]) > 30


@pytest.mark.parametrize("fps", [10, 30])
def test_the_rate_of_the_source_is_kept(fps: int, tmp_path: Path) -> None:
    source = clips.video(tmp_path / "clip.mp4", width=192, height=108, frames=2 * fps, fps=fps, sound=True)

    longer = shot(from_source(Start.EXTEND, source), tmp_path)

    assert (len(longer.luma), rate_of(longer.path)) == (3 * fps, fps)


# -- remixes and edits ---------------------------------------------------------------------------------------


def test_a_remix_begins_as_its_source_and_ends_as_its_prompt(tmp_path: Path) -> None:
    source = film_of(tmp_path, seconds=2)
    remix = shot(from_source(Start.REMIX, source.path, seconds=2), tmp_path, "remix.mp4")
    anew = shot(board(CITY, seconds=2, seed=3), tmp_path, "anew.mp4")

    assert psnr(remix.luma[0], source.luma[0]) > 32
    assert psnr(remix.luma[-1], source.luma[0]) < 18
    assert psnr(remix.luma[-1], anew.luma[-1]) > 32, "it has the seed of its source"


def test_an_edit_keeps_the_pictures_and_takes_the_light(tmp_path: Path) -> None:
    source = film_of(tmp_path)
    night = shot(from_source(Start.EDIT, source.path, "at night"), tmp_path, "night.mp4")

    assert night.luma.mean() < 0.85 * source.luma.mean()
    for now, then in zip(night.luma[::6], source.luma[::6], strict=True):
        assert np.corrcoef(now.ravel(), then.ravel())[0, 1] > 0.9
    assert night.sound is not None


def test_rain_falls_over_an_edited_picture(tmp_path: Path) -> None:
    source = shot(board("mountains at noon, static"), tmp_path, "source.mp4")

    wet = shot(from_source(Start.EDIT, source.path, "rain at noon", audio=False), tmp_path, "wet.mp4")
    dry = shot(from_source(Start.EDIT, source.path, "at noon", audio=False), tmp_path, "dry.mp4")

    restless = [float(np.abs(np.diff(film.luma[::4].astype(float), axis=0)).mean()) for film in (wet, dry)]
    assert restless[0] > 2 * restless[1]


@pytest.mark.parametrize("start", list(Start))
def test_equal_boards_from_one_source_give_equal_bytes_and_other_seeds_other_pictures(
    start: Start, tmp_path: Path
) -> None:
    source = film_of(tmp_path)
    wanted = from_source(start, source.path, "a forest in the rain", card=Card(model="draft"))

    films = [shot(wanted, tmp_path, "one.mp4"), shot(wanted, tmp_path, "two.mp4")]
    other = shot(replace(wanted, seed=1), tmp_path, "other.mp4")

    assert films[0].path.read_bytes() == films[1].path.read_bytes()
    assert films[0].pictures != other.pictures


@pytest.mark.parametrize("start", list(Start))
def test_a_source_of_another_shape_is_cut_to_fill(start: Start, tmp_path: Path) -> None:
    tall = clips.video(tmp_path / "tall.mp4", width=108, height=192, frames=24, paint=clips.red_on_the_left)

    film = shot(from_source(start, tall), tmp_path)

    assert film.luma.shape[1:] == (108, 192)
    assert film.luma[0][:, 20:80].mean() > film.luma[0][:, 110:170].mean() + 15, "red is lighter than blue"


def test_a_source_that_is_turned_is_shown_upright(tmp_path: Path) -> None:
    turned = clips.video(
        tmp_path / "turned.mp4", width=192, height=108, frames=24, paint=clips.red_on_the_left, rotation=90
    )

    film = shot(from_source(Start.EXTEND, turned, width=108, height=192), tmp_path)

    top, bottom = film.luma[0][:80].mean(), film.luma[0][112:].mean()
    with av.open(str(turned)) as container:
        rotation = next(container.decode(video=0)).rotation
    assert rotation % 180 == 90
    assert abs(top - bottom) > 15
    assert (bottom > top) == (rotation == 90), "the left side, turned counterclockwise, is the lower one"


@pytest.mark.parametrize("start", list(Start))
def test_what_is_no_video_is_refused(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypisom" + bytes(1000))

    with pytest.raises(MediaError, match=r"broken\.mp4"):
        shot(from_source(start, broken), tmp_path)


def test_the_new_card_hides_the_old_one(tmp_path: Path) -> None:
    big: dict[str, Any] = {"width": 480, "height": 270, "card": Card(model="draft")}
    source = film_of(tmp_path, **big)
    remix = shot(from_source(Start.REMIX, source.path, "x", **big), tmp_path, "remix.mp4")
    bare = shot(from_source(Start.REMIX, source.path, "x", **big | {"card": None}), tmp_path, "bare.mp4")

    corner = (slice(200, 258), slice(30, 190))
    assert np.mean(bare.luma[0][corner] > 150) > 0.01, "the letters of the old card"
    assert np.mean(remix.luma[0][corner] > 150) < np.mean(bare.luma[0][corner] > 150)
    assert np.median(remix.luma[0][corner]) < 30, "on a dark ground that lets nothing through"


# -- references ----------------------------------------------------------------------------------------------


@pytest.fixture
def white(tmp_path: Path) -> Path:
    path = tmp_path / "white.png"
    Image.new("RGB", (200, 100), "white").save(path)
    return path


def test_a_reference_with_a_frame_is_what_is_seen_from_it_on(white: Path, tmp_path: Path) -> None:
    film = shot(board("mountains at night", references=(Reference(path=white, frame_index=16),)), tmp_path)

    assert [bool(frame.min() > 225) for frame in (film.luma[0], film.luma[8], film.luma[16], film.luma[23])] == [
        False,
        False,
        True,
        True,
    ]


def test_one_reference_follows_the_other(white: Path, tmp_path: Path) -> None:
    black = tmp_path / "black.png"
    Image.new("RGB", (64, 64)).save(black)
    both = (Reference(path=white, frame_index=12), Reference(path=black, frame_index=0))

    film = shot(board(references=both), tmp_path)

    assert film.luma[0].max() < 30
    assert film.luma[12].min() > 225


def test_a_reference_without_a_frame_has_a_small_frame_of_its_own(white: Path, tmp_path: Path) -> None:
    plain = shot(board("mountains at night"), tmp_path, "plain.mp4")
    shown = shot(board("mountains at night", references=(Reference(path=white),)), tmp_path, "shown.mp4")

    change = np.abs(shown.luma[0].astype(int) - plain.luma[0].astype(int))
    assert change[:30, 140:].max() > 100
    assert change[60:].max() < 24 and change[:, :90].max() < 24


def test_of_a_clip_the_first_picture_is_shown_and_of_a_crop_only_that(tmp_path: Path) -> None:
    clip = clips.video(tmp_path / "clip.mp4", frames=24, paint=clips.black_then_white)
    halves = clips.video(tmp_path / "halves.mp4", frames=12, paint=clips.red_on_the_left)
    of_clip = Reference(path=clip, clip=True, frame_index=0)
    red = Reference(path=halves, clip=True, frame_index=12, crop=(0.0, 0.0, 0.45, 1.0))

    film = shot(board("static", references=(of_clip, red)), tmp_path)

    assert film.luma[0].max() < 30
    assert film.luma[12].std() < 3, "one colour all over"


def test_a_label_is_written_and_many_insets_find_room(white: Path, tmp_path: Path) -> None:
    many = tuple(Reference(path=white, label="Mossy" if n < 2 else None) for n in range(10))
    size: dict[str, Any] = {"width": 320, "height": 180}

    named = shot(board("mountains at night", references=many[:1], **size), tmp_path, "named.mp4")
    unnamed = shot(board("mountains at night", references=many[2:3], **size), tmp_path, "unnamed.mp4")
    crowd = shot(board("mountains at night", references=many, **size), tmp_path, "crowd.mp4")

    assert np.abs(named.luma[0].astype(int) - unnamed.luma[0].astype(int)).max() > 100
    bright = crowd.luma[0] > 200
    rises = np.diff(bright.astype(int), axis=1) == 1
    assert rises.sum(axis=1).max() >= 3, "several in one row"


def test_a_frame_behind_the_end_is_refused(white: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="0 to 23"):
        shot(board(references=(Reference(path=white, frame_index=24),)), tmp_path)


def test_two_references_of_one_frame_are_refused(white: Path) -> None:
    with pytest.raises(ValueError, match="same frame"):
        board(references=(Reference(path=white, frame_index=0), Reference(path=white, frame_index=0)))


def test_every_picture_of_a_source_comes_in_its_place(tmp_path: Path) -> None:
    source = clips.video(tmp_path / "clip.mp4", width=192, height=108, frames=48, paint=clips.brightening)

    longer = shot(from_source(Start.EXTEND, source), tmp_path)

    light = [float(frame.mean()) for frame in longer.luma[:48]]
    assert light == sorted(light)
    assert len({round(each) for each in light}) > 40


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("clip.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}), ("clip.avi", "mpeg4", {})],
)
def test_other_kinds_of_video_are_extended_too(name: str, codec: str, options: dict[str, str], tmp_path: Path) -> None:
    source = clips.video(
        tmp_path / name, width=192, height=108, frames=24, codec=codec, options=options, sound=name.endswith("webm")
    )

    longer = shot(from_source(Start.EXTEND, source), tmp_path)

    assert len(longer.luma) == 48
    assert psnr(longer.luma[20], watched(source).luma[20]) > 30
