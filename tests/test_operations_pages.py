"""The pages for whoever runs rushes say what is so: commands, options, messages, and a backup that can be restored."""

import ast
import json
import re
import shlex
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from rushes.cli import cli
from rushes.config import ConfigFile, read_written
from rushes.testing.fake_openai import FakeOpenAI
from tests.command_line import CommandLine
from tests.pages import read_page

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = ROOT / "docs" / "operations.md"
TROUBLE = ROOT / "docs" / "troubleshooting.md"
PAGES = [OPERATIONS, TROUBLE]
SPAN = re.compile(r"`(rushes [^`]+)`")
COMPOSE_RUN = "docker compose run --rm worker "
TIMEOUT_S = 60.0


def commands_on(page: Path) -> Iterator[str]:
    """Every `rushes …` of a page, in blocks and in the middle of a sentence."""
    text = page.read_text(encoding="utf-8")
    yield from (shlex.join(("rushes", *words)) for words in read_page(text).commands)
    yield from SPAN.findall(text)
    yield from ("rushes " + line.partition(COMPOSE_RUN)[2] for line in text.splitlines() if COMPOSE_RUN in line)


def check(command: str) -> None:
    """Parse a command as the command line does, without running it. Raises click.UsageError."""
    words = [word for word in shlex.split(command)[1:] if word != "…"]
    current: click.Command = cli
    context = click.Context(cli, info_name="rushes")
    while isinstance(current, click.Group) and words:
        found = current.get_command(context, words[0])
        if found is None:
            raise click.UsageError(f"there is no {words[0]}")
        current, words = found, words[1:]
    if not isinstance(current, click.Group):
        try:
            current.make_context(current.name, list(words), parent=context)
        except click.MissingParameter:
            assert "…" in command or not words, command  # a sentence may name a command without its arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists_with_every_option_it_shows(page: Path) -> None:
    wrong: list[str] = []
    found = list(commands_on(page))

    for command in found:
        try:
            check(command)
        except click.UsageError as error:
            wrong.append(f"{command}: {error.format_message()}")

    assert wrong == []
    assert len(found) > 10


def test_the_check_of_commands_finds_what_is_wrong() -> None:
    for wrong in ("rushes jbos list", "rushes jobs list --opne", "rushes spend --by moon"):
        with pytest.raises(click.UsageError):
            check(wrong)


def test_the_settings_of_the_page_are_settings() -> None:
    page = read_page(OPERATIONS.read_text(encoding="utf-8"))

    read_written(ConfigFile, tomllib.loads(page.settings), "docs/operations.md")


# -- messages ----------------------------------------------------------------------------------------------------------


def words_of(node: ast.AST) -> str | None:
    """What a text in the code says, with `…` for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case _:
            return None


def messages() -> list[str]:
    """Every text in the code."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "src" / "rushes").rglob("*.py"))
    return [words for tree in trees for node in ast.walk(tree) if (words := words_of(node)) and " " in words]


def test_every_message_of_the_page_is_one_that_rushes_says() -> None:
    rows = [line for line in TROUBLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    shown = [re.findall(r"`([^`]+)`", row.split(" | ")[0])[0] for row in rows]
    said = messages()

    def is_said(message: str) -> bool:
        pieces = [re.escape(piece.strip()) for piece in message.split("…") if piece.strip()]
        pattern = re.compile(".*".join(pieces), re.DOTALL)
        return any(pattern.search(each) for each in said)

    unknown = [message for message in shown if " " in message and not is_said(message)]

    assert unknown == []
    assert len(shown) > 50


# -- backup and restore ------------------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def backup_as_the_page_says(rushes: CommandLine, target: Path) -> None:
    [line] = [line for line in OPERATIONS.read_text(encoding="utf-8").splitlines() if "$ rushes db backup" in line]
    words = [word.replace("/backup/rushes.db", str(target)) for word in shlex.split(line.removeprefix("$ "))]
    result = rushes.run(*words[1:])
    assert result.returncode == 0, result.stderr


def test_a_backup_made_while_a_worker_works_is_restored_and_its_job_finished_without_paying_again(
    tmp_path: Path,
) -> None:
    with FakeOpenAI(job_s=600) as fake:
        env = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""}
        (tmp_path / "rushes.toml").write_text("[providers.openai]\npoll_interval_ms = 100\n")
        rushes = CommandLine(tmp_path, env)
        job_id = rushes.run("generate", "A kite", "-m", "openai:video:sora-2", "--seconds", "4", "--detach").stdout
        wait_for(lambda: "poll" in map(fake.operation_of, fake.requests))

        backup_as_the_page_says(rushes, tmp_path / "backup.db")
        fake.finish()
        wait_for(lambda: not rushes.somebody_works())
        for lost in rushes.home.glob("rushes.db*"):
            lost.unlink()
        shutil.rmtree(rushes.home / "media")
        shutil.copy(tmp_path / "backup.db", rushes.database)
        told = rushes.run("db", "restored")
        restored = json.loads(rushes.run("jobs", "list", "--json").stdout)
        worked = rushes.run("worker", "--until-idle")
        finished = json.loads(rushes.run("jobs", "list", "--json").stdout)

    assert told.returncode == 0, told.stderr
    assert worked.returncode == 0, worked.stderr
    assert [(job["id"], job["state"]) for job in restored] == [(job_id.strip(), "in_progress")]
    assert [(job["id"], job["state"]) for job in finished] == [(job_id.strip(), "completed")]
    assert fake.book.charged == 1
