"""Reel: the making of an animatic. Frames in order, the sound beside them, both into a file.

The scene is painted into layers, the sound is made beside it, then frames are drawn in two threads (Pillow works
outside the interpreter lock) and encoded in a third, with only a few frames waiting at any time: a minute of
film needs no more memory than a second. An extension begins with all frames of its source, as they are.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from rushes.errors import MediaError
from rushes.media.animatic.board import Board, Start
from rushes.media.animatic.card import Slate, make_slate
from rushes.media.animatic.chance import VERSION, Chance
from rushes.media.animatic.encode import SAMPLE_RATE, write_mp4
from rushes.media.animatic.footage import COMMENT, Footage, open_footage
from rushes.media.animatic.paint import Field
from rushes.media.animatic.palette import Palette, choose_palette
from rushes.media.animatic.planes import Frame
from rushes.media.animatic.references import Inset, place_insets
from rushes.media.animatic.shots import Draw, Shot, drawer, insets_of
from rushes.media.animatic.sound import limited, sound_bed
from rushes.media.animatic.words import read_prompt
from rushes.video import Size

_IN_FLIGHT = 6
_OVERLAP_S = 1  # new sound begins so much before the seam, where old sound is ending
_UNDER = np.float32(0.5)  # what the prompt sounds like, under the sound of a video that is edited

OnProgress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Film:
    """All frames: those that come first as they are, then those that are drawn."""

    shot: Shot
    before: Footage | None
    insets: list[Inset]
    slate: Slate | None

    @property
    def begin(self) -> int:
        return self.before.count if self.before else 0

    @property
    def total(self) -> int:
        return self.begin + self.shot.count

    def frame(self, draw: Draw, number: int) -> Frame:
        if self.before is not None and number < self.begin:
            return self.before.at(number)
        frame = draw(number - self.begin)
        for inset in self.insets:
            inset.draw(frame)
        if self.slate is not None:
            self.slate.draw(frame, number)
        return frame


def render_animatic(board: Board, out: Path, on_progress: OnProgress | None = None) -> None:
    """Write the animatic of `board` to `out` as MP4. `on_progress` hears 0..1, from this thread.

    Equal boards give equal bytes on one machine. Pictures that cannot be read raise what Pillow raises, videos
    MediaError.
    """
    with ExitStack() as stack:
        size = Size(board.width, board.height)
        footage = stack.enter_context(open_footage(board.source.path, size)) if board.source else None
        if footage is not None:
            board = replace(board, seed=board.seed + (footage.seed or 0))
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=2))
        film = _film_of(board, footage)
        sound = pool.submit(_track, film.shot, film.shot.palette)
        draw = drawer(film.shot)
        write_mp4(
            out,
            _frames(film, draw, pool, on_progress),
            width=board.width,
            height=board.height,
            rate=film.shot.rate,
            sound=sound.result(),
            title="Animatic by rushes",
            comment=f"{COMMENT}, version {VERSION}, seed {board.seed}",
        )
    if on_progress is not None:
        on_progress(1.0)


def _film_of(board: Board, footage: Footage | None) -> _Film:
    scene = read_prompt(board.prompt, board.negative_prompt)
    chance = Chance(prompt=board.prompt, seed=board.seed)
    rate = footage.rate if footage else Fraction(board.fps)
    shot = Shot(
        board=board,
        scene=scene,
        palette=choose_palette(scene, chance.stream("palette")),
        chance=chance,
        rate=rate,
        count=max(1, round(board.seconds * rate)),
        footage=footage,
    )
    if late := next((each.frame_index for each in board.references if (each.frame_index or 0) >= shot.count), None):
        raise MediaError(
            f"The draft cannot be made: its frames are 0 to {shot.count - 1}, so none has the index {late}."
        )
    extends = board.source is not None and board.source.start is Start.EXTEND
    insets = place_insets(insets_of(board.references), board.width, board.height)
    return _Film(shot=shot, before=footage if extends else None, insets=insets, slate=_slate(shot))


def _slate(shot: Shot) -> Slate | None:
    board = shot.board
    if board.card is None:
        return None
    return make_slate(
        prompt=board.prompt,
        model=board.card.model,
        seed=board.seed,
        width=board.width,
        height=board.height,
        fps=math.ceil(shot.rate),
        covering=bool(board.source or any(each.frame_index is not None for each in board.references)),
    )


def _frames(film: _Film, draw: Draw, pool: ThreadPoolExecutor, on_progress: OnProgress | None) -> Iterator[Frame]:
    """All frames in order, a few of them being drawn ahead."""
    waiting: deque[Future[Frame]] = deque()
    for number in range(film.total + _IN_FLIGHT):
        if number < film.total:
            waiting.append(pool.submit(film.frame, draw, number))
        if number >= _IN_FLIGHT:
            yield waiting.popleft().result()
            if on_progress is not None:
                on_progress((number - _IN_FLIGHT + 1) / (film.total + 1))


# -- sound ---------------------------------------------------------------------------------------------------


def _track(shot: Shot, palette: Palette) -> Field | None:
    """The whole sound: that of the prompt, joined to that of the source; None where there is none at all."""
    board = shot.board
    source, footage = board.source, shot.footage
    if source is None or footage is None or source.start is Start.REMIX:
        return _fitted(_bed(shot, palette, 0), shot) if board.audio else None
    if not board.audio and not footage.has_sound:
        return None
    given = footage.sound()
    if source.start is Start.EXTEND:
        return _joined(shot, palette, footage, given)
    if given is None or not board.audio:
        return _fitted(_bed(shot, palette, 0) if given is None else given, shot)
    return limited(_fitted(given, shot) + _UNDER * _fitted(_bed(shot, palette, 0), shot))


def _bed(shot: Shot, palette: Palette, lead_s: int) -> Field:
    return sound_bed(shot.scene, palette.hour, seconds=shot.board.seconds + lead_s, chance=shot.chance)


def _joined(shot: Shot, palette: Palette, footage: Footage, given: Field | None) -> Field:
    """Sound of the source, then that of the prompt, which rises while the other ends."""
    seam = round(footage.seconds * SAMPLE_RATE)
    whole = np.zeros((2, seam + _samples(shot)), np.float32)
    if given is not None:
        whole[:, :seam] = given
    if not shot.board.audio:
        return whole
    lead_s = 0 if given is None else _OVERLAP_S
    bed = _bed(shot, palette, lead_s)
    begin = max(0, seam - lead_s * SAMPLE_RATE)
    part = whole[:, begin:]
    bed = bed[:, : part.shape[1]]
    part[:, : bed.shape[1]] = limited(part[:, : bed.shape[1]] + bed)
    return whole


def _fitted(sound: Field, shot: Shot) -> Field:
    """Cut, or filled up with silence, to the length of the picture."""
    missing = _samples(shot) - sound.shape[1]
    return np.pad(sound, ((0, 0), (0, missing))) if missing > 0 else sound[:, : _samples(shot)]


def _samples(shot: Shot) -> int:
    return round(shot.count / shot.rate * SAMPLE_RATE)
