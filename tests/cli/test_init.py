"""`rushes init`: a settings file in which nothing is switched on, or an example that runs as it is."""

import re
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from rushes import config
from rushes.config import ConfigFile
from rushes.testing.fake_azure import FakeAzure
from rushes.testing.fake_openai import FakeOpenAI
from tests.command_line import CommandLine

EXAMPLES = ("azure-video", "openai-video")


def script(rushes: CommandLine, example: str, *args: str, says: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "make_videos.py", *args],
        cwd=rushes.folder / example,
        env=rushes.environment(),
        input=says,
        capture_output=True,
        text=True,
        timeout=90,
    )


def test_it_writes_settings_in_which_nothing_is_switched_on(offline: CommandLine) -> None:
    result = offline.run("init")

    written = offline.folder / "rushes.toml"
    assert result.stdout == "rushes.toml\n"
    assert tomllib.loads(written.read_text(encoding="utf-8")) == {}


def test_every_section_is_in_them_and_right_once_it_is_switched_on(offline: CommandLine) -> None:
    offline.run("init", "films")
    path = offline.folder / "films" / "rushes.toml"
    switched_on = re.sub(r"^#(?=\S)", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.write_text(switched_on, encoding="utf-8")

    settings = config.load(environment={}, folder=path.parent)

    sections = {name for name, field in ConfigFile.model_fields.items() if field.annotation != str | None}
    assert sections <= tomllib.loads(switched_on).keys()
    assert settings.config_path == path
    assert settings.provider("mybox").kind == "openai"


def test_each_section_is_explained(offline: CommandLine) -> None:
    offline.run("init")

    blocks = (offline.folder / "rushes.toml").read_text(encoding="utf-8").strip().split("\n\n")
    assert all(block.startswith("# ") for block in blocks)


def test_it_overwrites_nothing_unless_told_to(offline: CommandLine) -> None:
    mine = offline.folder / "rushes.toml"
    mine.write_text('[defaults]\nmodel = "draft"\n', encoding="utf-8")

    refused = offline.run("init")
    kept = mine.read_text(encoding="utf-8")
    forced = offline.run("init", "--force")

    assert refused.returncode == 1
    assert "rushes.toml: already there" in refused.stderr
    assert "--force" in refused.stderr
    assert kept.startswith("[defaults]")
    assert forced.returncode == 0
    assert mine.read_text(encoding="utf-8").startswith("# Settings of rushes")


def test_a_file_in_the_way_of_an_example_stops_all_of_it(offline: CommandLine) -> None:
    (offline.folder / "openai-video").mkdir()
    (offline.folder / "openai-video" / "rushes.toml").write_text("", encoding="utf-8")

    refused = offline.run("init", "--example", "openai-video")

    assert refused.returncode == 1
    assert [path.name for path in (offline.folder / "openai-video").iterdir()] == ["rushes.toml"]


def test_a_folder_that_cannot_be_made_is_named(offline: CommandLine) -> None:
    (offline.folder / "films").write_text("a file", encoding="utf-8")

    refused = offline.run("init", "films")

    assert refused.returncode == 1
    assert "films cannot be written" in refused.stderr


def test_an_unknown_example_is_answered_with_the_nearest_and_with_all(offline: CommandLine) -> None:
    result = offline.run("init", "--example", "opnai-video")

    assert result.returncode == 2
    assert "Did you mean openai-video? There are: azure-video, openai-video." in result.stderr
    assert not (offline.folder / "opnai-video").exists()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_as_it_is_without_a_key(example: str, offline: CommandLine) -> None:
    copied = offline.run("init", "--example", example)
    ran = script(offline, example, "--draft")

    names = {Path(line).name for line in copied.stdout.splitlines()}
    assert names == {"README.md", "make_videos.py", "rushes.toml"}
    assert ran.returncode == 0, ran.stderr
    videos = list((offline.folder / example).glob("*.mp4"))
    assert len(videos) == len(ran.stdout.splitlines()) == 2
    assert all(video.stat().st_size > 10_000 for video in videos)


def test_the_openai_example_asks_first_and_pays_once(rushes: CommandLine, fake: FakeOpenAI) -> None:
    rushes.run("init", "--example", "openai-video")

    declined = script(rushes, "openai-video", says="n\n")
    sent_before = list(fake.requests)
    made = script(rushes, "openai-video", says="y\ny\n")
    again = script(rushes, "openai-video")

    assert "Nothing was sent." in declined.stderr
    assert sent_before == []
    assert made.returncode == 0, made.stderr
    assert {path.name for path in (rushes.folder / "openai-video").glob("*.mp4")} == {
        "harbour.mp4",
        "gulls.mp4",
        "harbour-in-rain.mp4",
    }
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("cached") == 2
    assert fake.book.charged == len({entry.prompt_sha256 for entry in fake.book.entries}) == 3


def test_the_azure_example_makes_variants_and_pays_once(tmp_path: Path) -> None:
    with FakeAzure(job_s=0.1, deployments={"city-films": "sora"}) as fake:
        line = CommandLine(tmp_path, {"AZURE_OPENAI_ENDPOINT": fake.url, "AZURE_OPENAI_API_KEY": fake.api_key or ""})
        line.run("init", "films", "--example", "azure-video")

        made = script(line, "films", says="y\n")
        again = script(line, "films")

    assert made.returncode == 0, made.stderr
    assert len(list((tmp_path / "films").glob("tram-*-*.mp4"))) == 4
    assert made.stdout.count("2 of 854x480, 2.0 s, $0.40 in all") == 1
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("cached") == 2
    assert (fake.book.charged, fake.book.total_usd) == (2, Decimal("0.80"))
