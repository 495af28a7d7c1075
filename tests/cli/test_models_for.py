"""`rushes models --for MODEL`: what is shown, what is refused, what a name means."""

import json
from pathlib import Path
from typing import Any

import pytest

from rushes.testing.fake_openai import FakeOpenAI
from tests.command_line import CommandLine


def answer(line: CommandLine, *args: str) -> Any:
    done = line.run("models", *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def named(found: Any) -> list[str]:
    return [each["model"] for each in found["replacements"]]


def test_it_shows_price_ratio_size_rank_key_and_what_is_missing(tmp_path: Path) -> None:
    done = CommandLine(tmp_path, {"XAI_API_KEY": "k"}).run("models", "--for", "sora-2", "--sort", "rank")

    header, *rows = done.stdout.splitlines()
    row = next(row for row in rows if row.startswith("xai:video:grok-imagine-video-1.5 "))
    assert header.split() == ["MODEL", "PRICE", "RATIO", "MADE", "IN", "RANK", "KEY", "LACKS"]
    assert " ".join(row.split()).endswith("$1.12 x1.40 1280x720 8 s 1491 (2026-09-04) yes -")
    assert "openai:video:sora-2: 1280x720, 8 s, with sound, $0.80, 1340 (2026-09-04)" in done.stderr
    assert "All of them: no characters." in done.stderr
    assert "Arena, text to video (https://arena.ai/leaderboard/text-to-video)" in done.stderr


def test_only_the_best_are_shown_and_how_many_there_are_beside_them(offline: CommandLine) -> None:
    done = offline.run("models", "--for", "sora-2", "zai", "--limit", "3")

    assert len(done.stdout.splitlines()) == 4
    assert "6 more: pass --limit 9, or name a provider." in done.stderr
    assert len(named(answer(offline, "--for", "sora-2", "zai"))) == 9


def test_the_bare_name_means_openais_model_whatever_the_aliases_say(offline: CommandLine) -> None:
    (offline.folder / "rushes.toml").write_text('[aliases]\n"sora-2" = "draft"\n"film" = "azure:video:sora"\n')

    assert answer(offline, "--for", "sora-2")["for"] == "openai:video:sora-2"
    assert answer(offline, "--for", "film")["for"] == "azure:video:sora"
    assert answer(offline, "--for", "xai:video:grok-imagine-video")["for"] == "xai:video:grok-imagine-video"


def test_a_name_that_nobody_knows_is_said_so_with_the_nearest(offline: CommandLine) -> None:
    done = offline.run("models", "--for", "sora-3")

    assert done.returncode == 2
    assert "There is no model 'sora-3'. Did you mean sora-2?" in done.stderr


def test_the_clip_that_is_compared_can_be_chosen(offline: CommandLine) -> None:
    found = answer(offline, "--for", "sora-2-pro", "--size", "1792x1024", "--seconds", "12", "zai")

    assert found["clip"] == {"size": "1792x1024", "seconds": 12, "audio": True}
    assert found["usd"] == "6.00"
    assert {name.split(":")[0] for name in named(found)} == {"zai"}
    first = found["replacements"][0]
    assert (first["model"], first["size"], first["seconds"]) == ("zai:video:cogvideox-3", "1920x1080", 10)
    assert "no longer than 10 s" in first["lacks"]
    assert first["ratio"] is None


def test_all_boards_are_in_the_data(offline: CommandLine) -> None:
    found = answer(offline, "--for", "sora-2", "xai")

    ranked = next(each for each in found["replacements"] if each["model"] == "xai:video:grok-imagine-video-1.5")
    assert {each["board"] for each in ranked["ranks"]} >= {"arena-t2v", "arena-i2v", "aa-i2v-audio"}
    assert all(each["day"].startswith("2026-09") and each["score"] > 1000 for each in ranked["ranks"])
    assert found["ranks"][0]["score"] == 1340


def test_sora_itself_is_named_only_where_a_server_is_set_up(offline: CommandLine, fake: FakeOpenAI) -> None:
    server = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": "k"}

    dead = answer(CommandLine(offline.folder, {"OPENAI_API_KEY": "k"}), "--for", "sora-2")
    alive = answer(CommandLine(offline.folder, server), "--for", "sora-2")

    assert not any(name.startswith(("openai:", "azure:", "draft:")) for name in named(dead))
    assert "openai:video:sora-2-pro" in named(alive)


def test_a_providers_own_price_is_the_one_compared(offline: CommandLine) -> None:
    (offline.folder / "rushes.toml").write_text('[providers.xai]\nusd_per_second = "0.40"\n')

    found = answer(offline, "--for", "sora-2", "xai")

    assert {each["usd"] for each in found["replacements"]} == {"3.20"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--size", "1280x720", "--limit", "3"], "--size, --limit: only with --for MODEL"),
        (["--for", "sora-2", "--size", "wide"], "is not a size"),
        (["--for", "sora-2", "--size", "1x1"], "is no size of a video"),
        (["--for", "sora-2", "nobody"], "There is no provider 'nobody'"),
        (["--for", "sora-2", "--sort", "taste"], "features"),
    ],
)
def test_what_makes_no_sense_is_refused(offline: CommandLine, args: list[str], words: str) -> None:
    done = offline.run("models", *args)

    assert done.returncode == 2
    assert words in done.stderr
