"""Shots: from a board to a pure function that draws its frames, and what earlier pictures do in them.

The ground is a painted scene, a given first frame, or the pictures of the video that is edited. Over it come, in this
order: the picture that an earlier video is left with, which dissolves into the ground; references from their frames
on; the last frame, which all of it dissolves to.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np
from PIL import Image

from rushes.media.animatic.board import Board, Start, stage_of
from rushes.media.animatic.camera import Framing
from rushes.media.animatic.chance import Chance
from rushes.media.animatic.footage import Footage
from rushes.media.animatic.layers import Stage, draw_frame
from rushes.media.animatic.palette import Palette
from rushes.media.animatic.planes import Frame, enlarged
from rushes.media.animatic.references import Reference, picture_of
from rushes.media.animatic.scenery import compose
from rushes.media.animatic.stills import (
    Crop,
    Still,
    crop_at,
    dissolved,
    draw_still,
    load_still,
    still_of_frame,
    still_of_picture,
)
from rushes.media.animatic.weather import finish, weather
from rushes.media.animatic.words import Scene

Draw = Callable[[int], Frame]
"""The number of a frame to that frame, without insets and card. The frame may be drawn on."""

_HOLD_S, _OPENING_S = 0.6, 2.0  # how long an earlier picture stands, and dissolves; less in short films
_LEAD_FRAMES = 8  # so long is dissolved to a reference before its frame
_LIGHT, _COLOUR = 0.75, 0.6  # how far edited pictures go towards the light and the colour of the prompt
_GAMMAS = (0.45, 2.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What is to be drawn: a board as it was understood, and how many frames of which rate."""

    board: Board
    scene: Scene
    palette: Palette
    chance: Chance
    rate: Fraction
    count: int
    footage: Footage | None

    @property
    def last(self) -> int:
        return max(1, self.count - 1)

    @property
    def size(self) -> tuple[int, int]:
        return (self.board.width, self.board.height)

    @property
    def stage(self) -> Stage:
        return stage_of(self.board, self.scene, self.palette, self.chance, math.ceil(self.rate))


def drawer(shot: Shot) -> Draw:
    """All that a board shows, but for insets and card."""
    draw = _ground(shot)
    if shot.footage is not None and shot.board.source is not None:
        draw = _opened(shot, draw, shot.footage, shot.board.source.start)
    draw = _with_references(shot, draw)
    if shot.board.last_frame is None:
        return draw
    return _dissolving(shot, draw, load_still(shot.board.last_frame, *shot.size))


def _ground(shot: Shot) -> Draw:
    source = shot.board.source
    if shot.footage is not None and source is not None and source.start is Start.EDIT:
        return _drawer_of_footage(shot, shot.footage)
    if shot.board.first_frame is not None:
        return _drawer_of_still(shot, load_still(shot.board.first_frame, *shot.size), 0)
    return _drawer_of_scene(shot)


def _drawer_of_scene(shot: Shot) -> Draw:
    stage = shot.stage
    items = [*compose(stage), *weather(stage), *finish(stage)]
    latest = len(stage.framings) - 1

    def draw(number: int) -> Frame:
        framing = stage.framings[min(number, latest)]
        frame = draw_frame(items, stage.width, stage.height, framing, number / stage.fps)
        if stage.palette.grey:
            frame = frame.greyed()
        return enlarged(frame, *shot.size)

    return draw


def _drawer_of_still(shot: Shot, still: Still, begin: int, end: int | None = None) -> Draw:
    """The camera over a still, from one frame to another."""
    last = max(1, (shot.last if end is None else end) - begin)

    def draw(number: int) -> Frame:
        progress = min(1.0, max(0, number - begin) / last)
        return draw_still(still, crop_at(shot.scene.moves, progress), *shot.size)

    return draw


def _dissolving(shot: Shot, draw: Draw, end: Still) -> Draw:
    """The same frames, dissolving to a still over the second half."""

    def dissolve(number: int) -> Frame:
        progress = number / shot.last
        share = _eased((progress - 0.45) / 0.5)
        if share <= 0:
            return draw(number)
        # The last picture comes to rest as the camera does.
        arriving = draw_still(end, Crop(scale=1 + 0.06 * (1 - progress)), *shot.size)
        return arriving if share >= 1 else dissolved(draw(number), arriving, share)

    return dissolve


def _eased(share: float) -> float:
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


# -- earlier videos ------------------------------------------------------------------------------------------


def _opened(shot: Shot, draw: Draw, footage: Footage, start: Start) -> Draw:
    """The same frames, which an earlier picture dissolves into."""
    if start is Start.EDIT:
        return draw
    seconds = float(shot.count / shot.rate)
    hold_s, over_s = min(_HOLD_S, 0.1 * seconds), min(_OPENING_S, 0.45 * seconds)

    @cache  # made when it is first wanted: the last picture comes only when all before it were read
    def still() -> Still:
        return still_of_frame(footage.at(0 if start is Start.REMIX else footage.count - 1))

    if start is Start.REMIX:
        still()

    def opening(number: int) -> Frame:
        t = float(number / shot.rate)
        share = _eased((t - hold_s) / over_s)
        if share >= 1:
            return draw(number)
        leaving = draw_still(still(), Crop(scale=1 + 0.03 * t / (hold_s + over_s)), *shot.size)
        return leaving if share <= 0 else dissolved(leaving, draw(number), share)

    return opening


def _drawer_of_footage(shot: Shot, footage: Footage) -> Draw:
    """The pictures of an earlier video, in the light, the colour and the weather of the prompt."""
    wanted = _drawer_of_scene(shot)(shot.count // 2)
    tables = _grade(footage.at(0), wanted, grey=shot.palette.grey)
    # Weather is painted for the very size, since it is not enlarged with a scene behind it.
    falling = weather(replace(shot.stage, width=shot.board.width, height=shot.board.height))
    held = Framing()

    def draw(number: int) -> Frame:
        given = footage.at(number)
        y, u, v = (plane.point(table) for plane, table in zip((given.y, given.u, given.v), tables, strict=True))
        frame = Frame(y=y, u=u, v=v)
        for item in falling:
            item.draw(frame, held, float(number / shot.rate), frame.height)
        return frame

    return draw


def _grade(given: Frame, wanted: Frame, *, grey: bool) -> tuple[list[int], list[int], list[int]]:
    """Tables for Y, U and V that lead the mean of a picture most of the way to that of another. Pure."""
    now, then = (min(0.95, max(0.05, (_mean(each.y) - 16) / 219)) for each in (given, wanted))
    gamma = math.log(now + _LIGHT * (then - now)) / math.log(now)
    gamma = min(_GAMMAS[1], max(_GAMMAS[0], gamma))
    luma = [round(16 + 219 * (min(219, max(0, value - 16)) / 219) ** gamma) for value in range(256)]
    if grey:
        return luma, [128] * 256, [128] * 256
    u, v = (
        [min(240, max(16, round(value + _COLOUR * (_mean(to) - _mean(at))))) for value in range(256)]
        for at, to in ((given.u, wanted.u), (given.v, wanted.v))
    )
    return luma, u, v


def _mean(plane: Image.Image) -> float:
    return float(np.asarray(plane).mean())


# -- references ----------------------------------------------------------------------------------------------


def _with_references(shot: Shot, draw: Draw) -> Draw:
    """The same frames, but from its own frame on each reference that has one."""
    timed = sorted(
        ((each.frame_index, each) for each in shot.board.references if each.frame_index is not None),
        key=lambda pair: pair[0],
    )
    begins = [begin for begin, _ in timed]
    for (begin, reference), end in zip(timed, [*begins, shot.count][1:], strict=True):
        draw = _switched(draw, _drawer_of_reference(shot, reference, begin, end - 1), begin)
    return draw


def _drawer_of_reference(shot: Shot, reference: Reference, begin: int, end: int) -> Draw:
    return _drawer_of_still(shot, still_of_picture(picture_of(reference), *shot.size), begin, end)


def _switched(before: Draw, after: Draw, begin: int) -> Draw:
    """One up to a frame, the other from it on, with a short dissolve that ends there."""

    def draw(number: int) -> Frame:
        share = _eased((number - begin + _LEAD_FRAMES) / _LEAD_FRAMES)
        if share <= 0:
            return before(number)
        return after(number) if share >= 1 else dissolved(before(number), after(number), share)

    return draw


def insets_of(references: Sequence[Reference]) -> list[Reference]:
    """Those that are shown beside the picture, not in its place."""
    return [each for each in references if each.frame_index is None]
