"""Framings over time, as numbers."""

import pytest

from rushes.media.animatic.camera import Move, framings, view
from rushes.media.animatic.card import timecode
from rushes.media.animatic.stills import crop_at


def test_the_middle_of_a_path_is_the_composed_picture() -> None:
    path = framings((Move.PAN_LEFT,), seconds=4, fps=24)

    assert path[0].pan_x == pytest.approx(-path[-1].pan_x)
    assert path[0].pan_x > 0 > path[-1].pan_x


def test_no_framing_is_wider_than_the_composed_picture() -> None:
    for move in Move:
        assert all(here.zoom >= 1 and here.dolly >= 1 for here in framings((move,), seconds=3, fps=24))


def test_moves_follow_each_other() -> None:
    path = framings((Move.PAN_RIGHT, Move.TILT_UP), seconds=4, fps=24)

    assert path[10].pan_y == path[40].pan_y
    assert path[60].pan_x == path[90].pan_x
    assert path[10].pan_x < path[40].pan_x
    assert path[60].pan_y > path[90].pan_y


def test_near_layers_pass_faster_than_far_ones() -> None:
    here = framings((Move.TRUCK_RIGHT,), seconds=4, fps=24)[-1]

    assert view(here, 1.0).dx > 5 * view(here, 0.1).dx > 0


def test_a_still_begins_as_the_whole_picture_and_never_shows_its_edge() -> None:
    for move in Move:
        start, end = crop_at((move,), 0.0), crop_at((move,), 1.0)
        assert (start.dx, start.dy, start.scale) == (0, 0, 1)
        if end.scale >= 1:
            assert abs(end.dx) + 0.5 / end.scale <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("number", "fps", "expected"),
    [(0, 24, "00:00:00:00"), (25, 24, "00:00:01:01"), (24 * 3661, 24, "01:01:01:00"), (29, 30, "00:00:00:29")],
)
def test_timecode_counts_hours_minutes_seconds_and_frames(number: int, fps: int, expected: str) -> None:
    assert timecode(number, fps) == expected
