"""Spending and limits as a person meets them on the command line."""

import csv
import json
from datetime import UTC, datetime

import pytest

from rushes.testing.fake_openai import FakeOpenAI
from tests.command_line import CommandLine

LIMITS = '[budget]\nper_day_usd = "1"\n\n[providers.openai]\nbudget_per_day_usd = "0.90"\n'


@pytest.fixture
def limited(rushes: CommandLine) -> CommandLine:
    (rushes.folder / "rushes.toml").write_text(LIMITS, encoding="utf-8")
    return rushes


def generate(rushes: CommandLine, prompt: str, *options: str) -> int:
    return rushes.run("generate", prompt, "--seconds", "4", *options).returncode


def test_a_days_spending_is_shown_with_what_its_limits_leave_free(limited: CommandLine) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert generate(limited, "A cat", "--tag", "pets") == 0

    told = limited.run("spend")

    assert told.returncode == 0, told.stderr
    rows = [line.split() for line in told.stdout.splitlines()]
    assert rows[0] == ["DAY", "(UTC)", "JOBS", "SETTLED", "HELD", "OVERRUN", "UNKNOWN"]
    assert rows[1] == [today, "1", "$0.40", "$0.00", "$0.00", "0"]
    assert rows[2] == ["all", "1", "$0.40", "$0.00", "$0.00", "0"]
    assert rows[4] == ["LIMIT", "FOR", today, "(UTC)", "USD", "SETTLED", "HELD", "FREE"]
    assert rows[5] == ["[budget]", "per_day_usd", "$1.00", "$0.40", "$0.00", "$0.60"]
    assert rows[6] == ["[providers.openai]", "budget_per_day_usd", "$0.90", "$0.40", "$0.00", "$0.50"]


def test_what_does_not_fit_the_day_is_refused_with_exit_code_three(limited: CommandLine, fake: FakeOpenAI) -> None:
    assert [generate(limited, f"cat {n}") for n in range(2)] == [0, 0]

    refused = limited.run("generate", "One too many", "--seconds", "4")

    assert refused.returncode == 3
    assert "[providers.openai] budget_per_day_usd is $0.90" in refused.stderr
    assert "$0.80 settled, $0.10 free" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert fake.book.creates == 2


def test_spending_goes_out_as_csv_and_json_with_exact_amounts(rushes: CommandLine) -> None:
    assert generate(rushes, "A cat") == 0
    assert generate(rushes, "A cat") == 0  # served from the library

    as_csv = rushes.run("spend", "--by", "model", "--csv", "-")
    as_file = rushes.run("spend", "--by", "model", "--csv", "spent.csv")
    data = json.loads(rushes.run("spend", "--by", "owner", "--json").stdout)

    assert list(csv.DictReader(as_csv.stdout.splitlines())) == [
        {
            "model": "openai:video:sora-2",
            "jobs": "2",
            "settled_usd": "0.40",
            "held_usd": "0.00",
            "overrun_usd": "0.00",
            "unknown": "0",
        }
    ]
    assert "spent.csv" in as_file.stderr
    assert (rushes.folder / "spent.csv").read_text(encoding="utf-8") == as_csv.stdout
    assert (data["by"], data["time_zone"], data["total"]["settled_usd"]) == ("owner", "UTC", "0.40")
    assert [(line["name"], line["jobs"]) for line in data["lines"]] == [("local", 2)]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--since", "yesterday"], 2, "does not match the format"),
        (["--since", "2026-11-20", "--until", "2026-11-19"], 2, "no day lies between"),
        (["--csv", "-", "--json"], 2, "Choose one"),
        (["--by", "week"], 2, "'week' is not one of"),
        (["--csv", "no/such/folder.csv"], 1, "cannot be written"),
    ],
)
def test_bad_options_get_one_clear_line(options: list[str], code: int, words: str, offline: CommandLine) -> None:
    said = offline.run("spend", *options)

    assert said.returncode == code
    assert words in said.stderr
    assert "Traceback" not in said.stderr


def test_saying_what_was_billed_needs_one_choice_and_an_open_cost(offline: CommandLine) -> None:
    job_id = offline.run("generate", "A cat", "--seconds", "1", "--json").stdout
    job_id = json.loads(job_id)[0]["job_id"]
    bad = {
        "Choose one": [[], ["--repay", "--never-billed"]],
        "--billed": [["--billed", "much"]],
        "no open cost": [["--never-billed"]],
    }

    said = {words: [offline.run("jobs", "resolve", job_id, *each) for each in lists] for words, lists in bad.items()}

    for words, answers in said.items():
        for answer in answers:
            assert answer.returncode in (1, 2)
            assert words in answer.stderr
            assert "Traceback" not in answer.stderr
