"""Every word of the vocabulary can be painted, at any size, without a warning."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from rushes.media.animatic import Board, read_prompt
from rushes.media.animatic.board import stage_of
from rushes.media.animatic.chance import Chance
from rushes.media.animatic.layers import draw_frame
from rushes.media.animatic.palette import choose_palette
from rushes.media.animatic.planes import Frame
from rushes.media.animatic.scenery import compose
from rushes.media.animatic.vocabulary import EXTRAS, HOURS, KINDS, PLACES, TONES, WEATHERS
from rushes.media.animatic.weather import finish, weather


def _first_word(phrases: str) -> str:
    return phrases.split(",")[0]


PLACE_WORDS = [_first_word(p) for p in PLACES.values()]
KIND_WORDS = [_first_word(p) for p in KINDS.values()]
LIGHT_WORDS = [_first_word(p) for table in (HOURS, WEATHERS, TONES, EXTRAS) for p in table.values()]


def _painted(prompt: str, width: int = 96, height: int = 54, seed: int = 1) -> Frame:
    board = Board(prompt=prompt, width=width, height=height, seconds=1, seed=seed)
    scene, chance = read_prompt(prompt), Chance(prompt=prompt, seed=seed)
    stage = stage_of(board, scene, choose_palette(scene, chance.stream("palette")), chance)
    items = [*compose(stage), *weather(stage), *finish(stage)]
    return draw_frame(items, width, height, stage.framings[12], 0.5)


@pytest.mark.parametrize("place", PLACE_WORDS)
def test_every_place_is_painted_with_some_contrast(place: str) -> None:
    frame = _painted(f"{place} at noon")

    assert np.asarray(frame.y).std() > 6


@pytest.mark.parametrize("kind", KIND_WORDS)
def test_every_figure_shows_in_the_picture(kind: str) -> None:
    with_it = np.asarray(_painted(f"hills at noon with a {kind}", 160, 90).y, dtype=float)

    without = np.asarray(_painted("hills at noon", 160, 90).y, dtype=float)
    assert np.abs(with_it - without).mean() > 0.3


@pytest.mark.parametrize("light", LIGHT_WORDS)
def test_every_light_weather_tone_and_extra_is_painted(light: str) -> None:
    frame = _painted(f"sea and mountains, {light}")

    assert np.asarray(frame.y).std() > 3


@pytest.mark.parametrize(("size", "place"), list(product([(16, 16), (16, 200), (200, 16)], PLACE_WORDS[::4])))
def test_the_smallest_and_narrowest_frames_can_be_painted(size: tuple[int, int], place: str) -> None:
    frame = _painted(f"{place} with a cat and a boat, rain, dolly in", *size)

    assert frame.y.size == size


def test_a_seed_changes_the_composition(tmp_path: Path) -> None:
    first, second = (np.asarray(_painted("mountains at noon", seed=seed).y, dtype=float) for seed in (1, 2))

    assert np.abs(first - second).mean() > 4


def test_a_prompt_of_unknown_words_is_an_abstract_picture_that_fills_the_frame() -> None:
    frame = _painted("zyzzyva quorn blivet")

    assert np.asarray(frame.y).min() > 16
    assert np.asarray(frame.y).std() > 10
