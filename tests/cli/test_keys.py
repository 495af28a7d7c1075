"""Keys as the operator of a gateway meets them: shown once, listed with what is left, ended."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from rushes.cli.keys import expiry
from rushes.errors import Unsupported
from tests.command_line import CommandLine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = '[policy]\nblock = ["gore"]\n'


def test_the_key_alone_goes_to_stdout_and_is_never_shown_again(offline: CommandLine) -> None:
    made = offline.run("keys", "create", "alice", "--budget", "20")
    listed = offline.run("keys", "list")
    as_json = offline.run("keys", "list", "--json")

    assert made.returncode == 0, made.stderr
    assert re.fullmatch(r"rk_[A-Za-z0-9_-]{43}\n", made.stdout)
    assert "only time" in made.stderr
    assert "$20.00 in all" in made.stderr
    secret = made.stdout.strip()
    files = [path.read_bytes() for path in offline.home.rglob("*") if path.is_file()]
    assert not any(secret.encode() in data for data in files)
    assert secret not in made.stderr + listed.stdout + as_json.stdout


def test_all_that_is_granted_is_told_as_json(offline: CommandLine) -> None:
    limits = ["--budget", "$20", "--budget-per-day", "0.5", "--unknown-price-hold", "2"]
    rates = ["--per-minute", "60", "--concurrency", "4", "--expires", "2099-01-31", "--cache", "use", "--admin"]
    models = ["--model", "draft", "--model", "openai:video:*"]
    made = offline.run("keys", "create", "alice", "--owner", "film team", *models, *limits, *rates, "--json")

    data = json.loads(made.stdout)
    [listed] = json.loads(offline.run("keys", "list", "--json").stdout)

    assert made.stderr == ""
    assert data.pop("key").startswith("rk_")
    assert data | {"id": "", "created_at": ""} == {
        "id": "",
        "name": "alice",
        "owner": "film team",
        "models": ["draft", "openai:video:*"],
        "budget_usd": "20.00",
        "budget_per_day_usd": "0.50",
        "unknown_price_hold_usd": "2.00",
        "requests_per_minute": 60,
        "most_open_jobs": 4,
        "cache": "use",
        "admin": True,
        "created_at": "",
        "expires_at": "2099-02-01T00:00:00+00:00",
        "revoked_at": None,
        "last_used_at": None,
    }
    budgets = listed.pop("budgets")
    assert listed == data | {"state": "live"}
    assert budgets[0] == {
        "name": "key alice's budget",
        "per_day": False,
        "limit_usd": "20.00",
        "held_usd": "0.00",
        "settled_usd": "0.00",
        "free_usd": "20.00",
    }
    assert budgets[1]["per_day"] is True


def test_the_list_shows_what_an_owner_has_spent_and_has_left(rushes: CommandLine) -> None:
    limits = ["--budget", "1", "--budget-per-day", "0.50"]
    made = rushes.run("keys", "create", "alice", "--owner", "local", *limits)
    assert "the key shares them" in made.stderr
    assert rushes.run("generate", "A cat", "--seconds", "4").returncode == 0

    header, row = rushes.run("keys", "list").stdout.splitlines()

    assert header.split()[:5] == ["ID", "NAME", "STATE", "SPENT", "FREE"]
    assert re.split(r" {2,}", row)[1:5] == ["alice", "live", "$0.40 + $0.40 today", "$0.60 + $0.10 today"]


def test_a_key_is_revoked_by_name_or_id_and_the_last_one_with_a_warning(offline: CommandLine) -> None:
    alice = json.loads(offline.run("keys", "create", "alice", "--json").stdout)["id"]
    offline.run("keys", "create", "bob")

    by_id = offline.run("keys", "revoke", alice)
    by_name = offline.run("keys", "revoke", "bob")
    nobody = offline.run("keys", "revoke", "carol")

    assert (by_id.stdout, by_id.stderr) == (f"{alice} (alice) is revoked.\n", "")
    assert "(bob) is revoked" in by_name.stdout
    assert "No key is left" in by_name.stderr
    assert (nobody.returncode, nobody.stderr) == (1, "rushes: There is no key 'carol'. See: rushes keys list\n")
    assert [key["state"] for key in json.loads(offline.run("keys", "list", "--json").stdout)] == ["revoked", "revoked"]


def test_a_pattern_that_fits_nothing_known_is_told(rushes: CommandLine) -> None:
    toml = (
        '[aliases]\nsora-2 = "openai:video:sora-2"\n\n[providers.mybox]\nkind = "openai"\nbase_url = "http://[::1]:9"\n'
    )
    (rushes.folder / "rushes.toml").write_text(toml, encoding="utf-8")
    patterns = ["sora-2", "sora-?", "openai:video:*", "mybox:video:wan-2.2", "draft", "*", "sora-9", "opneai:video:*"]

    made = rushes.run("keys", "create", "alice", *(f"--model={pattern}" for pattern in patterns))

    warned = re.findall(r"^'(.*)' fits no model", made.stderr, re.MULTILINE)
    assert (made.returncode, warned) == (0, ["sora-9", "opneai:video:*"])


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["alice", "--budget", "nan"], 2, "--budget"),
        (["alice", "--budget", "-1"], 2, "--budget"),
        (["alice", "--budget", "1e40"], 2, "no amount to grant"),
        (["alice", "--per-minute", "0"], 2, "--per-minute"),
        (["alice", "--expires", "2020-01-01"], 2, "later time"),
        (["alice", "--expires", "soon"], 2, "such as 90d"),
        (["alice", "--owner", "a\nb"], 2, "no owner"),
        (["taken"], 1, "in use"),
        ([""], 2, "1 to 80"),
    ],
)
def test_what_cannot_be_granted_is_refused_in_one_line(
    offline: CommandLine, options: list[str], code: int, words: str
) -> None:
    offline.run("keys", "create", "taken")

    refused = offline.run("keys", "create", *options)

    assert refused.returncode == code
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""
    assert len(json.loads(offline.run("keys", "list", "--json").stdout)) == 1


def test_an_empty_list_says_how_to_make_a_key(offline: CommandLine) -> None:
    assert "rushes keys create NAME" in offline.run("keys", "list").stderr


def test_the_audit_tells_what_was_decided_and_keeps_the_words_only_if_asked(offline: CommandLine) -> None:
    toml = offline.folder / "rushes.toml"
    toml.write_text(POLICY, encoding="utf-8")
    refused = offline.run("generate", "CANARY gore", "-m", "draft")
    toml.write_text(POLICY + "log_prompts = true\n", encoding="utf-8")
    offline.run("generate", "much gore", "-m", "draft")

    shown = offline.run("keys", "audit", "--since", "1h").stdout
    newest, oldest = json.loads(offline.run("keys", "audit", "--json").stdout)

    assert refused.returncode == 1
    assert "block list" in refused.stderr
    assert "CANARY" not in shown
    assert "much gore" in shown
    assert (newest["verdict"], newest["prompt"], oldest["prompt"]) == ("blocked", "much gore", None)
    assert oldest["reason"] == "block list: block, entry 1"
    assert oldest["owner"] == "local"


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("12h", NOW + timedelta(hours=12)),
        ("2027-01-31", datetime(2027, 2, 1, tzinfo=UTC)),  # that day still counts
    ],
)
def test_a_key_expires_after_a_time_or_at_the_end_of_a_day(text: str, until: datetime) -> None:
    assert expiry(text, NOW) == until


@pytest.mark.parametrize("text", ["", "90", "2027-02-30", "31.01.2027", "9999-12-31", "999999w", "-1d"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(Unsupported, match="--expires"):
        expiry(text, NOW)
