"""What a prompt is understood to say."""

import pytest

from rushes.media.animatic.camera import Move
from rushes.media.animatic.vocabulary import Hour, Kind, Place, Tone, Weather
from rushes.media.animatic.words import read_moves, read_prompt


@pytest.mark.parametrize(
    ("prompt", "moves"),
    [
        ("the camera pans left", (Move.PAN_LEFT,)),
        ("slow pan to the right across a bay", (Move.PAN_RIGHT,)),
        ("tilting up the tower", (Move.TILT_UP,)),
        ("tilt down to the street", (Move.TILT_DOWN,)),
        ("zoom in on her face", (Move.ZOOM_IN,)),
        ("zooms slowly out", (Move.ZOOM_OUT,)),
        ("dolly in", (Move.PUSH_IN,)),
        ("a slow push in", (Move.PUSH_IN,)),
        ("pull back to reveal the valley", (Move.PULL_OUT,)),
        ("truck left past the shops", (Move.TRUCK_LEFT,)),
        ("tracking shot of a runner", (Move.TRUCK_RIGHT,)),
        ("the camera orbits a statue", (Move.ORBIT,)),
        ("aerial view, drone", (Move.AERIAL, Move.AERIAL)),
        ("handheld", (Move.HANDHELD,)),
        ("locked-off shot", (Move.STATIC,)),
        ("pan left, then zoom in, then tilt up", (Move.PAN_LEFT, Move.ZOOM_IN, Move.TILT_UP)),
        ("a frying pan left on the stove", (Move.DRIFT,)),
        ("a truck drives by", (Move.DRIFT,)),
    ],
)
def test_camera_moves_are_read_in_the_order_named(prompt: str, moves: tuple[Move, ...]) -> None:
    assert read_moves(prompt) == moves


def test_places_figures_light_and_weather_are_read_from_one_sentence() -> None:
    scene = read_prompt("Two kittens in a neon-lit city at night in the rain")

    assert scene.places == (Place.CITY,)
    assert scene.shows(Kind.CAT)
    assert scene.hour is Hour.NIGHT
    assert scene.weather == {Weather.RAIN}
    assert scene.tones == {Tone.NEON}


def test_a_colour_belongs_to_the_figure_that_it_stands_before() -> None:
    scene = read_prompt("a red vintage car under a purple sky")

    assert scene.figures[0].colour == "red"
    assert scene.colours == ("purple",)


def test_the_colour_of_a_garment_is_its_wearers() -> None:
    scene = read_prompt("a woman in a red coat on a blue evening")

    assert scene.figures[0].colour == "red"
    assert scene.colours == ("blue",)


def test_what_is_negated_in_the_prompt_is_left_out() -> None:
    scene = read_prompt("an empty beach, no people, without any rain")

    assert not scene.figures
    assert not scene.weather


def test_the_negative_prompt_takes_things_away() -> None:
    scene = read_prompt("a dog in the rain on a beach", "rain, dogs")

    assert scene.places == (Place.BEACH,)
    assert not scene.weather
    assert not scene.figures


def test_an_unknown_prompt_is_an_empty_scene_that_drifts() -> None:
    scene = read_prompt("colourless green ideas sleep furiously"[:10])

    assert scene.places == ()
    assert scene.figures == ()
    assert scene.moves == (Move.DRIFT,)


@pytest.mark.parametrize("prompt", ["", " \n\t ", "\ud800", "猫が街を歩く", "قطة في المدينة", "a" * 5000, "%s {0} \\x"])
def test_any_text_can_be_read(prompt: str) -> None:
    assert read_prompt(prompt, prompt).moves
