"""The rendered file: what it is, that it is the same every time, and that the picture follows the prompt."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import atoms, board, growth, psnr, rate_of, shift, shot
from PIL import Image, ImageFilter

from rushes.media.animatic import Card, render_animatic


@pytest.mark.parametrize(
    ("width", "height"), [(192, 108), (108, 192), (128, 128), (16, 16), (16, 300), (300, 16), (130, 98)]
)
def test_the_file_has_exactly_the_size_length_and_rate_asked_for(width: int, height: int, tmp_path: Path) -> None:
    film = shot(board("a cat by the sea in the rain", width=width, height=height, seconds=2), tmp_path)

    assert film.luma.shape == (48, height, width)
    assert rate_of(film.path) == 24
    with av.open(str(film.path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.duration is not None and stream.time_base is not None
        assert stream.duration * stream.time_base == 2


def test_the_index_stands_before_the_media_and_the_colours_are_tagged(tmp_path: Path) -> None:
    film = shot(board(), tmp_path)

    boxes = atoms(film.path)
    assert boxes.index("moov") < boxes.index("mdat")
    with av.open(str(film.path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert "rushes" in container.metadata["title"]
        assert "creation_time" not in container.metadata


def test_sound_is_stereo_as_long_as_the_picture_audible_and_never_clipped(tmp_path: Path) -> None:
    film = shot(board("a storm at sea, thunder and rain", seconds=3, audio=True), tmp_path)

    assert film.sound is not None and film.sound.shape[0] == 2
    with av.open(str(film.path)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac" and stream.rate == 48_000
        assert stream.duration is not None and stream.time_base is not None
        assert abs(stream.duration * stream.time_base - 3) <= 1024 / 48_000
    assert np.sqrt(np.mean(film.sound**2)) > 0.02
    assert np.abs(film.sound).max() < 0.99
    assert np.abs(film.sound[:, -240:]).max() < 0.02


def test_without_audio_there_is_no_audio_stream(tmp_path: Path) -> None:
    film = shot(board(audio=False), tmp_path)

    assert film.sound is None


def test_equal_boards_give_equal_bytes_and_another_seed_another_picture(tmp_path: Path) -> None:
    card = Card(model="draft")

    first = shot(board("city at night, rain", audio=True, card=card), tmp_path, "first.mp4")
    again = shot(board("city at night, rain", audio=True, card=card), tmp_path, "again.mp4")
    other = shot(board("city at night, rain", audio=True, card=card, seed=4), tmp_path, "other.mp4")

    assert first.path.read_bytes() == again.path.read_bytes()
    assert first.pictures == again.pictures
    assert first.pictures != other.pictures


@pytest.mark.parametrize(
    ("move", "right", "down"),
    [
        ("pan right", -1, 0),
        ("pan left", 1, 0),
        ("tilt up", 0, 1),
        ("tilt down", 0, -1),
        ("truck right", -1, 0),
        ("truck left", 1, 0),
        ("crane up", 0, 1),
    ],
)
def test_a_named_move_shifts_the_picture_the_other_way(move: str, right: int, down: int, tmp_path: Path) -> None:
    film = shot(board(f"city at noon, {move}", seconds=2, width=256, height=144), tmp_path)

    moved = [shift(film.luma[at], film.luma[at + 6]) for at in range(12, 36, 6)]
    across, along = sum(m[0] for m in moved), sum(m[1] for m in moved)
    assert _way(across) == right
    assert _way(along) == down


def _way(pixels: float) -> int:
    return 0 if abs(pixels) < 4 else int(np.sign(pixels))


@pytest.mark.parametrize(
    ("move", "larger"), [("zoom in", True), ("zoom out", False), ("push in", True), ("pull out", False)]
)
def test_going_in_enlarges_the_picture_and_going_out_shrinks_it(move: str, larger: bool, tmp_path: Path) -> None:
    film = shot(board(f"canyon at noon, {move}", seconds=2, width=256, height=144), tmp_path)

    factor = growth(film.luma[0], film.luma[-1])

    assert factor > 1.04 if larger else factor < 0.96


def test_a_locked_off_shot_of_still_things_does_not_move(tmp_path: Path) -> None:
    film = shot(board("mountains at noon, locked-off", seconds=2), tmp_path)

    assert shift(film.luma[0][50:], film.luma[-1][50:]) == (0.0, 0.0)


def test_night_is_darker_than_noon(tmp_path: Path) -> None:
    noon = shot(board("mountains at noon"), tmp_path, "noon.mp4")
    night = shot(board("mountains at night"), tmp_path, "night.mp4")

    assert night.luma.mean() < 0.6 * noon.luma.mean()


@pytest.mark.parametrize("weather", ["rain", "snow"])
def test_rain_and_snow_fall_and_the_negative_prompt_stops_them(weather: str, tmp_path: Path) -> None:
    prompt = f"mountains, {weather}, static"

    falling = shot(board(prompt), tmp_path, "falling.mp4")
    dry = shot(board(prompt, negative_prompt=weather), tmp_path, "dry.mp4")

    assert _restless(falling.luma) > 2 * _restless(dry.luma)


def _restless(luma: np.ndarray) -> float:
    return float(np.abs(np.diff(luma[::4].astype(float), axis=0)).mean())


def test_noir_has_no_colour(tmp_path: Path) -> None:
    path = tmp_path / "noir.mp4"
    render_animatic(board("film noir city, a red car"), path)

    with av.open(str(path)) as container:
        frame = next(container.decode(video=0)).to_ndarray()
    assert np.abs(frame[108:].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_first_frame_is_the_given_picture_cut_to_fill(suffix: str, tmp_path: Path) -> None:
    picture = _picture(tmp_path / f"given{suffix}", (400, 400))

    film = shot(board("zoom in", first_frame=picture, width=192, height=108), tmp_path)

    fitted = Image.open(picture).convert("RGB").resize((192, 192), Image.Resampling.LANCZOS).crop((0, 42, 192, 150))
    assert psnr(film.luma[0], _luma(fitted)) > 30
    assert growth(film.luma[0], film.luma[-1]) > 1.04


def test_the_last_frame_is_the_given_picture(tmp_path: Path) -> None:
    first = _picture(tmp_path / "first.png", (192, 108), seed=1)
    last = _picture(tmp_path / "last.png", (192, 108), seed=2)

    film = shot(board("pan right", first_frame=first, last_frame=last), tmp_path)

    assert psnr(film.luma[0], _luma(Image.open(first))) > 30
    assert psnr(film.luma[-1], _luma(Image.open(last))) > 30


def test_the_card_stays_in_its_corner_and_its_clock_runs(tmp_path: Path) -> None:
    plain = shot(board("canyon at noon, static", width=480, height=270), tmp_path, "plain.mp4")
    carded = shot(
        board("canyon at noon, static", width=480, height=270, card=Card(model="draft")), tmp_path, "card.mp4"
    )

    change = np.abs(carded.luma.astype(int) - plain.luma.astype(int))
    assert change[0, 200:, :240].max() > 60
    assert change[0, :160].max() < 16 and change[0, :, 320:].max() < 16
    assert change[0].mean() < 6
    ticking = np.abs(carded.luma[10].astype(int) - carded.luma[9].astype(int))
    assert ticking[220:, :240].max() > 40


@pytest.mark.parametrize(
    "prompt", ["猫が夜の街を歩く" * 40, "قطة في المدينة ليلا", "x" * 900, "two\nlines\x00 \ud800", ""]
)
def test_the_card_takes_any_text(prompt: str, tmp_path: Path) -> None:
    film = shot(board(prompt, width=320, height=180, card=Card(model="draft:video:animatic")), tmp_path)

    assert len(film.luma) == 24


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 191},
        {"height": 107},
        {"width": 14},
        {"width": 3842},
        {"width": 3840, "height": 3840},
        {"seconds": 0},
        {"seconds": 121},
        {"fps": 0},
    ],
)
def test_a_board_that_cannot_be_made_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        board(**changes)


def test_progress_rises_to_one(tmp_path: Path) -> None:
    heard: list[float] = []

    render_animatic(board(), tmp_path / "film.mp4", heard.append)

    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 10


def _picture(path: Path, size: tuple[int, int], seed: int = 1) -> Path:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 16 + 1, size[0] // 16 + 1, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
    picture.save(path, quality=95)
    return path


def _luma(picture: Image.Image) -> np.ndarray:
    rgb = np.asarray(picture.convert("RGB"), dtype=np.float64)
    return 16 + (rgb @ np.array([0.2126, 0.7152, 0.0722])) * 219 / 255
