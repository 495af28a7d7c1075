"""Board: one animatic to make, as it is asked for. What is made of it: `shots.py` and `reel.py`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rushes.media.animatic.camera import framings
from rushes.media.animatic.chance import Chance
from rushes.media.animatic.layers import Stage
from rushes.media.animatic.palette import Palette
from rushes.media.animatic.references import Reference
from rushes.media.animatic.words import Scene

_SMALLEST, _LONGEST_SIDE, _MOST_PIXELS = 16, 3840, 3840 * 2160
_MOST_SECONDS = 120
# Scenes are painted at this many pixels at most and enlarged for more: beyond it they hold no more detail.
_PAINTED_PIXELS = 1920 * 1088


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The slate to burn in: prompt, seed and timecode are the board's."""

    model: str


class Start(StrEnum):
    """How an earlier video is started from."""

    REMIX = "remix"  # its first picture, which dissolves into the new board
    EDIT = "edit"  # its own pictures, in the light and the weather of the new prompt
    EXTEND = "extend"  # all of it, and then the new board, which begins with its last picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An earlier video: a file of any size."""

    start: Start
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One animatic. Raises ValueError for a size, length or rate that cannot be made.

    `width` and `height` are exact output pixels, even (the picture is yuv420p), 16 to 3840 with at most
    3840 x 2160 of them; `seconds` is 1 to 120. `first_frame` and `last_frame` are PNG, JPEG or WebP files: with
    a first frame the animatic is of that picture, with a last frame it dissolves to that one.

    With a `source` the frame rate is the source's, and so is the seed, if one can be read in its file: `seed` is then
    counted on top. `seconds` of an extension are those that are added.
    """

    prompt: str
    width: int
    height: int
    seconds: int
    seed: int
    fps: int = 24
    audio: bool = True
    negative_prompt: str | None = None
    first_frame: Path | None = None
    last_frame: Path | None = None
    card: Card | None = None
    source: Source | None = None
    references: tuple[Reference, ...] = ()

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2:
            raise ValueError(f"{self.width}x{self.height}: width and height must be even")
        if min(self.width, self.height) < _SMALLEST or max(self.width, self.height) > _LONGEST_SIDE:
            raise ValueError(f"{self.width}x{self.height}: each side must be {_SMALLEST} to {_LONGEST_SIDE} pixels")
        if self.width * self.height > _MOST_PIXELS:
            raise ValueError(f"{self.width}x{self.height}: more pixels than 3840x2160")
        if not 1 <= self.seconds <= _MOST_SECONDS:
            raise ValueError(f"{self.seconds} seconds: must be 1 to {_MOST_SECONDS}")
        if not 1 <= self.fps <= 60:
            raise ValueError(f"{self.fps} frames per second: must be 1 to 60")
        begins = [each.frame_index for each in self.references if each.frame_index is not None]
        if len(set(begins)) < len(begins):
            raise ValueError("two references begin at the same frame")


def stage_of(board: Board, scene: Scene, palette: Palette, chance: Chance, fps: int | None = None) -> Stage:
    """What the painters of a board are given; smaller than the board where that is very large."""
    shrink = min(1.0, (_PAINTED_PIXELS / (board.width * board.height)) ** 0.5)
    side = 1.0 if chance.stream("side").random() < 0.5 else -1.0
    return Stage(
        width=max(16, round(board.width * shrink / 2) * 2),
        height=max(16, round(board.height * shrink / 2) * 2),
        seconds=board.seconds,
        fps=fps or board.fps,
        scene=scene,
        palette=palette,
        chance=chance,
        framings=framings(scene.moves, seconds=board.seconds, fps=fps or board.fps, side=side),
    )
