"""What instead of a model: what is met and missed, the price of the same clip, public ranks, and who is left out."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes import plugins
from rushes.providers.catalog import Feature, Limit, Model, Price, parse_table, read_table
from rushes.providers.registry import GROUP, PACKAGE
from rushes.providers.replacements import (
    Board,
    Clip,
    Replacement,
    Sort,
    bought,
    compared,
    living,
    ordered,
    price_of,
    rankings,
    standings_of,
)
from rushes.video import ModelId, Size

TODAY = date(2026, 11, 20)
HD = Size(1280, 720)
CLIP = Clip(size=HD, seconds=8, audio=True)
SORA = {model.id.model: model for model in read_table("openai")}["sora-2"]


def model(name: str = "m", **changes: Any) -> Model:
    base = Model(
        id=ModelId("acme", name),
        title=name,
        sizes=(HD, Size(720, 1280)),
        seconds=(4, 8, 12),
        default_size=HD,
        default_seconds=8,
        features=frozenset({Feature.FIRST_FRAME}),
        prices=(Price(usd_per_second=Decimal("0.05")),),
    )
    return replace(base, **changes)


def beside(candidate: Model, clip: Clip = CLIP, asked: Model = SORA) -> Replacement:
    [found] = compared(asked, clip, [candidate], rankings().boards)
    return found


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"features": SORA.features}, ()),
        ({}, ("no characters", "remix: made anew from both prompts", "no edit", "extension: joined here")),
        (
            {"features": frozenset[Feature]()},
            ("no first frame", "no characters", "remix: made anew from both prompts", "no edit", "no extension"),
        ),
        ({"features": SORA.features, "sound": "never"}, ("no sound",)),
        ({"features": SORA.features, "sizes": (Size(1920, 1080),)}, ("made in 1920x1080, scaled down",)),
        ({"features": SORA.features, "sizes": (Size(848, 480),)}, ("made in 848x480, enlarged",)),
        ({"features": SORA.features, "sizes": (Size(1024, 1024),)}, ("made in 1024x1024, cropped",)),
        ({"features": SORA.features, "seconds": (5, 10)}, ("made 10 s long, trimmed",)),
        ({"features": SORA.features, "seconds": (5,)}, ("no longer than 5 s",)),
        ({"features": SORA.features, "max_total_seconds": 40}, ("extension: to 40 s in all",)),
        (
            {"features": SORA.features, "requires": (Feature.FIRST_FRAME, Feature.LAST_FRAME)},
            ("needs a first frame and a last frame",),
        ),
    ],
)
def test_what_differs_is_said_in_words_and_what_is_missing_stands_first(
    changes: dict[str, Any], lacks: tuple[str, ...]
) -> None:
    assert beside(model(**changes)).lacks == lacks


def test_a_model_is_asked_for_nothing_that_the_other_one_could_not_do_either() -> None:
    silent = model("old", features=frozenset(), sound="never")

    found = beside(model("new", features=frozenset(), sound="always"), replace(CLIP, audio=False), asked=silent)

    assert found.lacks == ("always with sound",)
    assert found.met == len(found.aspects) - 1


def test_the_length_that_is_bought_hangs_on_the_size() -> None:
    only_short = Limit(at_sizes=(HD,), seconds=(4,))

    assert bought(model(limits=(only_short,)), CLIP) == (HD, 4)


def test_the_price_is_that_of_the_same_clip_with_sound_and_its_ratio_to_the_other_ones() -> None:
    dear_with_sound = (
        Price(audio=True, usd_per_second=Decimal("0.20")),
        Price(usd_per_second=Decimal("0.05")),
    )
    switchable = frozenset({Feature.AUDIO_SWITCH})
    found = beside(model(prices=dear_with_sound, sound="optional", sound_default=False, features=switchable))

    assert found.usd == Decimal("1.60")
    assert found.ratio == 2  # Sora 2 took $0.80
    assert price_of(SORA, CLIP) == Decimal("0.80")


def test_of_a_clip_that_is_too_short_the_price_is_not_compared() -> None:
    found = beside(model(seconds=(4,)))

    assert (found.usd, found.ratio, found.too_short) == (Decimal("0.20"), None, True)


def test_an_unknown_price_is_never_the_lowest() -> None:
    models = [model("unknown", prices=()), model("short", seconds=(4,)), model("dear"), model("cheap", prices=FREE)]

    found = ordered(compared(SORA, CLIP, models, ()), Sort.PRICE)

    assert [each.model.id.model for each in found] == ["cheap", "dear", "short", "unknown"]


FREE = (Price(usd_per_second=Decimal(0)),)


def test_most_features_come_first_then_the_lower_price_then_the_higher_rank() -> None:
    models = [
        model("few", features=frozenset()),
        model("dear", prices=(Price(usd_per_second=Decimal("0.50")),)),
        model("unranked"),
        model("ranked", ranked_as="wan-3.0"),
        model("most", features=SORA.features),
    ]

    found = ordered(compared(SORA, CLIP, models, rankings().boards))

    assert [each.model.id.model for each in found] == ["most", "ranked", "unranked", "dear", "few"]


def test_by_rank_the_unranked_come_last() -> None:
    models = [model("unranked"), model("third", ranked_as="sora-2"), model("first", ranked_as="omni-1.1-flash")]

    found = ordered(compared(SORA, CLIP, models, rankings().boards), Sort.RANK)

    assert [each.model.id.model for each in found] == ["first", "third", "unranked"]


def test_the_newest_snapshot_of_a_board_that_lists_a_model_holds() -> None:
    old = Board(key="b", title="B", day="2026-09-04", source="s", scores={"x": 1, "y": 2})
    new = Board(key="b", title="B", day="2026-09-21", source="s", scores={"x": 3})

    assert [(each.day, each.score) for each in standings_of("x", [new, old])] == [("2026-09-21", 3)]
    assert [(each.day, each.score) for each in standings_of("y", [new, old])] == [("2026-09-04", 2)]
    assert standings_of(None, [new, old]) == ()


def test_what_nobody_can_buy_replaces_nothing() -> None:
    retired = model("gone", retired=TODAY)
    to_retire = model("going", retired=date(2027, 1, 1))
    draft = read_table("draft")[0]
    models = [SORA, *read_table("azure"), retired, to_retire, draft]

    assert living(models, SORA, [], TODAY) == [to_retire]


def test_an_ended_model_lives_on_a_server_that_is_set_up() -> None:
    pro = next(each for each in read_table("openai") if each.id.model == "sora-2-pro")

    assert living([SORA, pro], SORA, ["openai"], TODAY) == [pro]
    assert living([SORA, pro], SORA, ["azure"], TODAY) == []


def test_the_ended_models_are_models_of_our_tables() -> None:
    known = {str(each.id) for name in ("openai", "azure") for each in read_table(name)}

    assert set(rankings().ended) == known


def test_every_name_by_which_a_table_says_that_a_model_is_ranked_stands_on_a_board() -> None:
    on_boards = {name for board in rankings().boards for name in board.scores}
    ranked = {
        str(model.id): model.ranked_as
        for plugin in plugins.find(GROUP, PACKAGE, "PROVIDER").values()
        for model in read_table(plugin.name, plugin.package)
        if model.ranked_as is not None
    }

    assert {name: key for name, key in ranked.items() if key not in on_boards} == {}
    assert ranked["openai:video:sora-2"] == "sora-2"


def test_a_file_of_ranks_is_taken_for_no_provider() -> None:
    found = plugins.find(GROUP, PACKAGE, "PROVIDER")

    assert {"rankings", "replacements"} & found.keys() == set()


def test_every_model_of_every_table_can_stand_beside_sora(tmp_path: Path) -> None:
    everything = [
        model
        for plugin in plugins.find(GROUP, PACKAGE, "PROVIDER").values()
        for model in read_table(plugin.name, plugin.package)
    ]
    clips = [
        CLIP,
        Clip(size=Size(1024, 1792), seconds=20, audio=True),
        Clip(size=Size(480, 480), seconds=1, audio=False),
    ]

    for clip in clips:
        for found in compared(SORA, clip, everything, rankings().boards):
            assert found.seconds in found.model.seconds
            assert not found.model.sizes or found.size in found.model.sizes


def test_a_table_that_names_no_board_name_has_no_rank() -> None:
    [unranked] = parse_table(
        "acme",
        {
            "models": [
                {
                    "name": "x",
                    "title": "X",
                    "sizes": ["1280x720"],
                    "seconds": [8],
                    "default_size": "1280x720",
                    "default_seconds": 8,
                }
            ]
        },
        "acme.toml",
    )

    assert beside(unranked).standings == ()
    assert beside(unranked).usd is None
