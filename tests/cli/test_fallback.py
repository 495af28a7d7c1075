"""Fallback as a person meets it: two keys in the environment, and the first provider out of order."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.fake_zai import FakeZai
from rushes.testing.faults import Fault
from tests.command_line import CommandLine

PROMPT = "A red kite over a beach"


@pytest.fixture
def zai() -> Iterator[FakeZai]:
    with FakeZai(job_s=0.2) as zai:
        yield zai


@pytest.fixture
def rushes(tmp_path: Path, fake: FakeOpenAI, zai: FakeZai) -> CommandLine:
    (tmp_path / "rushes.toml").write_text("[providers.openai]\ncreate_timeout_s = 0.5\n", encoding="utf-8")
    return CommandLine(
        tmp_path,
        {
            "OPENAI_BASE_URL": fake.base_url,
            "OPENAI_API_KEY": fake.api_key or "",
            "ZAI_BASE_URL": zai.base_url,
            "ZAI_API_KEY": zai.api_key,
        },
    )


def test_from_the_environment_alone_a_refused_connection_goes_to_the_next_provider_and_says_so(
    rushes: CommandLine, fake: FakeOpenAI, zai: FakeZai
) -> None:
    fake.refuse()

    done = rushes.run("generate", PROMPT, "-o", "kite.mp4")

    assert done.returncode == 0, done.stderr
    assert (rushes.folder / "kite.mp4").stat().st_size > 1000
    assert "if that is refused: zai:video:cogvideox-3, $0.20" in done.stderr
    assert "model: openai:video:sora-2 -> zai:video:cogvideox-3 (No connection could be made" in done.stderr
    assert (fake.book.creates, zai.book.charged) == (0, 1)


def test_after_a_timeout_nothing_is_bought_elsewhere_and_a_person_is_asked(
    rushes: CommandLine, fake: FakeOpenAI, zai: FakeZai
) -> None:
    fake.faults.create = [Fault.parse("hang-accepted")]
    fake.faults.list = [Fault.parse("404*")]

    done = rushes.run("generate", PROMPT)

    assert done.returncode == 4, done.stderr
    assert "rushes jobs resolve" in done.stderr
    assert (fake.book.charged, zai.book.creates) == (1, 0)


def test_the_same_command_again_is_served_from_what_the_fallback_made(
    rushes: CommandLine, fake: FakeOpenAI, zai: FakeZai
) -> None:
    fake.refuse()
    rushes.run("generate", PROMPT)

    again = rushes.run("generate", PROMPT, "--json")

    [video] = json.loads(again.stdout)
    assert (video["cached"], video["model"]) == (True, "zai:video:cogvideox-3")
    assert zai.book.charged == 1


def test_the_limit_counts_the_dearest_route(rushes: CommandLine, fake: FakeOpenAI, zai: FakeZai) -> None:
    refused = rushes.run(
        "generate", PROMPT, "-m", "zai:video:cogvideox-3", "--fallback", "openai:video:sora-2", "--max-cost", "0.50"
    )

    assert refused.returncode == 3
    assert "$0.80" in refused.stderr
    assert (fake.book.creates, zai.book.creates) == (0, 0)
