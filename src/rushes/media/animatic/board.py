"""Board: one animatic to make, and the making of it.

The scene is painted into layers, the sound is made beside it, then frames are drawn in two threads (Pillow works
outside the interpreter lock) and encoded in a third, with only a few frames waiting at any time: a minute of
film needs no more memory than a second.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rushes.media.animatic.camera import framings
from rushes.media.animatic.card import Slate, make_slate
from rushes.media.animatic.chance import VERSION, Chance
from rushes.media.animatic.encode import write_mp4
from rushes.media.animatic.layers import Stage, draw_frame
from rushes.media.animatic.paint import Field
from rushes.media.animatic.palette import Palette, choose_palette
from rushes.media.animatic.planes import Frame, enlarged
from rushes.media.animatic.scenery import compose
from rushes.media.animatic.sound import sound_bed
from rushes.media.animatic.stills import Crop, Still, crop_at, dissolved, draw_still, load_still
from rushes.media.animatic.weather import finish, weather
from rushes.media.animatic.words import Scene, read_prompt

_SMALLEST, _LONGEST_SIDE, _MOST_PIXELS = 16, 3840, 3840 * 2160
_MOST_SECONDS = 60
# Scenes are painted at this many pixels at most and enlarged for more: beyond it they hold no more detail.
_PAINTED_PIXELS = 1920 * 1088
_IN_FLIGHT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The slate to burn in: prompt, seed and timecode are the board's."""

    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One animatic. Raises ValueError for a size, length or rate that cannot be made.

    `width` and `height` are exact output pixels, even (the picture is yuv420p), 16 to 3840 with at most
    3840 x 2160 of them; `seconds` is 1 to 60. `first_frame` and `last_frame` are PNG, JPEG or WebP files: with
    a first frame the animatic is of that picture, with a last frame it dissolves to that one.
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


def render_animatic(board: Board, out: Path, on_progress: Callable[[float], None] | None = None) -> None:
    """Write the animatic of `board` to `out` as MP4. `on_progress` hears 0..1, from this thread.

    Equal boards give equal bytes on one machine. Pictures that cannot be read raise what Pillow raises.
    """
    scene = read_prompt(board.prompt, board.negative_prompt)
    chance = Chance(prompt=board.prompt, seed=board.seed)
    palette = choose_palette(scene, chance.stream("palette"))
    with ThreadPoolExecutor(max_workers=2) as pool:
        sound = pool.submit(_sound, board, scene, palette, chance)
        draw = _drawer(board, scene, palette, chance)
        slate = _slate(board)
        write_mp4(
            out,
            _frames(board, draw, slate, pool, on_progress),
            width=board.width,
            height=board.height,
            fps=board.fps,
            sound=sound.result(),
            title="Animatic by rushes",
            comment=f"An animatic (draft storyboard) by rushes, version {VERSION}, seed {board.seed}",
        )
    if on_progress is not None:
        on_progress(1.0)


Draw = Callable[[int], Frame]


def stage_of(board: Board, scene: Scene, palette: Palette, chance: Chance) -> Stage:
    """What the painters of a board are given; smaller than the board where that is very large."""
    shrink = min(1.0, (_PAINTED_PIXELS / (board.width * board.height)) ** 0.5)
    side = 1.0 if chance.stream("side").random() < 0.5 else -1.0
    return Stage(
        width=max(16, round(board.width * shrink / 2) * 2),
        height=max(16, round(board.height * shrink / 2) * 2),
        seconds=board.seconds,
        fps=board.fps,
        scene=scene,
        palette=palette,
        chance=chance,
        framings=framings(scene.moves, seconds=board.seconds, fps=board.fps, side=side),
    )


def _drawer(board: Board, scene: Scene, palette: Palette, chance: Chance) -> Draw:
    """A pure function from the number of a frame to that frame, without the card."""
    if board.first_frame is not None:
        draw = _drawer_of_still(board, scene, load_still(board.first_frame, board.width, board.height))
    else:
        draw = _drawer_of_scene(board, stage_of(board, scene, palette, chance))
    if board.last_frame is None:
        return draw
    return _dissolving(board, draw, load_still(board.last_frame, board.width, board.height))


def _drawer_of_scene(board: Board, stage: Stage) -> Draw:
    items = [*compose(stage), *weather(stage), *finish(stage)]
    size = (board.width, board.height)

    def draw(number: int) -> Frame:
        frame = draw_frame(items, stage.width, stage.height, stage.framings[number], number / stage.fps)
        if stage.palette.grey:
            frame = frame.greyed()
        return enlarged(frame, *size)

    return draw


def _drawer_of_still(board: Board, scene: Scene, still: Still) -> Draw:
    last = max(1, board.seconds * board.fps - 1)

    def draw(number: int) -> Frame:
        return draw_still(still, crop_at(scene.moves, number / last), board.width, board.height)

    return draw


def _dissolving(board: Board, draw: Draw, end: Still) -> Draw:
    """The same frames, dissolving to a still over the second half."""
    last = max(1, board.seconds * board.fps - 1)

    def dissolve(number: int) -> Frame:
        progress = number / last
        share = min(1.0, max(0.0, (progress - 0.45) / 0.5))
        share = share * share * (3 - 2 * share)
        if share <= 0:
            return draw(number)
        # The last picture comes to rest as the camera does.
        arriving = draw_still(end, Crop(scale=1 + 0.06 * (1 - progress)), board.width, board.height)
        return arriving if share >= 1 else dissolved(draw(number), arriving, share)

    return dissolve


def _slate(board: Board) -> Slate | None:
    if board.card is None:
        return None
    return make_slate(
        prompt=board.prompt,
        model=board.card.model,
        seed=board.seed,
        width=board.width,
        height=board.height,
        fps=board.fps,
    )


def _sound(board: Board, scene: Scene, palette: Palette, chance: Chance) -> Field | None:
    return sound_bed(scene, palette.hour, seconds=board.seconds, chance=chance) if board.audio else None


def _frames(
    board: Board,
    draw: Draw,
    slate: Slate | None,
    pool: ThreadPoolExecutor,
    on_progress: Callable[[float], None] | None,
) -> Iterator[Frame]:
    """All frames in order, a few of them being drawn ahead."""
    total = board.seconds * board.fps

    def finished(number: int) -> Frame:
        frame = draw(number)
        if slate is not None:
            slate.draw(frame, number)
        return frame

    waiting: deque[Future[Frame]] = deque()
    for number in range(total + _IN_FLIGHT):
        if number < total:
            waiting.append(pool.submit(finished, number))
        if number >= _IN_FLIGHT:
            yield waiting.popleft().result()
            if on_progress is not None:
                on_progress((number - _IN_FLIGHT + 1) / (total + 1))
