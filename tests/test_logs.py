"""What a record looks like, which job it is about, and what is taken out of it."""

import ast
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import sqlalchemy as sa
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy.exc import DBAPIError

from rushes import config, logs
from rushes.config import ProviderSettings, Settings

ROOT = Path(__file__).resolve().parent.parent
JOB = "video_0123456789abcdef0123456789abcdef"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


class Journal:
    """A logger of one's own, with what it wrote."""

    def __init__(self, name: str, kind: str) -> None:
        self._stream = io.StringIO()
        self.log = logging.getLogger(name)
        self.log.propagate = False
        self.log.setLevel(logging.DEBUG)
        self.log.handlers = [logs.handler(self._stream, kind)]

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def lines() -> Journal:
    return Journal("a.library.of.lines", "lines")


@pytest.fixture
def objects() -> Journal:
    return Journal("a.library.of.objects", "json")


def settings(folder: Path, environment: dict[str, str] | None = None, **section: object) -> Settings:
    read = config.load(environment=environment or {}, folder=folder, home=str(folder))
    sections = {"mybox": ProviderSettings.model_validate(section)}
    return Settings(
        home=read.home,
        database_url=read.database_url,
        media_url=read.media_url,
        environment=read.environment,
        providers=sections,
    )


# -- which job ---------------------------------------------------------------------------------------------------------


def test_a_record_made_in_a_step_says_which_job_it_is_about(lines: Journal) -> None:
    lines.log.info("before")
    with logs.about(JOB):
        lines.log.info("look.failed", extra={"wait_s": 2})
    lines.log.info("after")

    before, within, after = lines.text.splitlines()
    assert within.endswith(f"info    look.failed job={JOB} wait_s=2")
    assert "job=" not in before + after


@pytest.mark.anyio
async def test_steps_that_run_side_by_side_do_not_mix_their_jobs(objects: Journal) -> None:
    async def step(job_id: str) -> None:
        with logs.about(job_id):
            await anyio.lowlevel.checkpoint()
            await anyio.to_thread.run_sync(objects.log.info, "from.a.thread")

    async with anyio.create_task_group() as tasks:
        for n in range(10):
            tasks.start_soon(step, f"video_{n:032x}")

    assert {line["job"] for line in objects.objects} == {f"video_{n:032x}" for n in range(10)}


def test_a_record_that_names_a_job_keeps_it(objects: Journal) -> None:
    with logs.about(JOB):
        objects.log.info("job.step_crashed", extra={"job": "video_another"})

    assert objects.objects[0]["job"] == "video_another"


# -- json --------------------------------------------------------------------------------------------------------------


def test_json_lines_have_a_time_a_level_an_event_a_logger_a_job_and_fields(objects: Journal) -> None:
    with logs.about(JOB):
        objects.log.warning("disk.low", extra={"free_bytes": 12, "folder": Path("/srv"), "sure": True, "cause": None})

    [line] = objects.objects
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("ts")))
    assert line == {
        "level": "warning",
        "event": "disk.low",
        "logger": "a.library.of.objects",
        "job": JOB,
        "fields": {"free_bytes": 12, "folder": "/srv", "sure": True, "cause": None},
    }


def test_an_exception_is_one_field_of_one_line(objects: Journal) -> None:
    try:
        raise ValueError("of two\nlines")
    except ValueError:
        objects.log.exception("step.bug")

    [line] = objects.objects
    assert line["level"] == "error"
    assert str(line["exception"]).endswith("ValueError: of two\nlines")


# -- what is taken out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://cdn.example/a.mp4?sig=CANARY&x=1 failed", "GET https://cdn.example/a.mp4?[hidden] failed"),
        ("at <https://u:CANARY@cdn.example/a>", "at <https://cdn.example/a>"),
        ("postgresql://me:CANARY@db.example:5432/rushes", "postgresql://db.example:5432/rushes"),
        ("s3://bucket/a.mp4?X-Amz-Signature=CANARY", "s3://bucket/a.mp4?[hidden]"),
        ("gone: /results/a.mp4?token=CANARY", "gone: /results/a.mp4?[hidden]"),
        ("Authorization: Bearer CANARY-1234", "Authorization: Bearer [hidden]"),
        ("{'api-key': 'CANARY-123456789'}", "{'api-key': '[hidden]'}"),
        ("Incorrect API key provided: sk-CANARY-0123456789.", "Incorrect API key provided: [hidden]."),
        ("token eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.CANARY", "token [hidden]"),
        ("a login: set OPENAI_API_KEY: it is missing", "a login: set OPENAI_API_KEY: it is missing"),
        ("What is it? See: rushes models openai", "What is it? See: rushes models openai"),
        ("https://host.example/v1/videos", "https://host.example/v1/videos"),
    ],
)
def test_keys_tokens_and_queries_of_links_are_taken_out_by_their_shape(text: str, shown: str) -> None:
    assert logs.redacted(text) == shown


def test_what_is_secret_in_the_settings_is_found(tmp_path: Path) -> None:
    env = {
        "MY_BOX_KEY": "CANARY-of-a-variable",
        "MY_KEY_FILE": "/etc/where-the-key-is",
        "BOX_LOGIN": "CANARY-named-in-the-section",
        "PGPASSWORD": "CANARY-of-postgres",
        "HTTPS_PROXY": "http://me:CANARY%20proxy@proxy.example",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20CANARY-of-otel,x-team=CANARY-team",
        "EDITOR": "vi",
    }

    found = logs.secrets_of(
        settings(
            tmp_path,
            env,
            api_key=SecretStr("CANARY-itself"),
            api_key_env="BOX_LOGIN",
            headers={"authorization": "Basic CANARY-of-a-header"},
        )
    )

    assert {
        "CANARY-of-a-variable",
        "CANARY-named-in-the-section",
        "CANARY-of-postgres",
        "CANARY%20proxy",
        "CANARY proxy",
        "CANARY-of-otel",
        "CANARY-team",
        "CANARY-itself",
        "CANARY-of-a-header",
    } <= found
    assert not {"vi", "/etc/where-the-key-is"} & found


def test_a_known_secret_is_taken_out_of_whatever_quotes_it(lines: Journal, objects: Journal) -> None:
    logs.hide('odd "CANARY" / secret', "short")
    error = RuntimeError('the far side said: odd "CANARY" / secret')

    for journal in (lines, objects):
        journal.log.info("event %s", "odd%20%22CANARY%22%20%2F%20secret", extra={"cause": error})
        journal.log.error("bug", exc_info=error)

    assert "CANARY" not in lines.text + objects.text
    assert "[hidden]" in lines.text
    assert logs.redacted("cut it short") == "cut it short"


def test_the_prompt_of_the_job_is_taken_out_while_its_step_runs() -> None:
    prompt = 'A "CANARY" in a coal mine, slow push in, 35 mm,\nfilm grain'
    quoted = json.dumps({"error": f"The prompt {prompt} was refused"})

    with logs.about(JOB):
        logs.keep_private(prompt)
        said = [
            logs.redacted(f"refused: {prompt}!"),
            logs.redacted(quoted),
            logs.redacted(f"refused: {prompt[:40]}… twice: {prompt[:30]}…"),
            logs.redacted(repr(prompt)),
        ]

    assert said[0] == "refused: [hidden]!"
    assert not any("coal" in text for text in said)
    assert logs.redacted(prompt[:20]) == prompt[:20]


def test_rows_and_answers_that_libraries_quote_are_taken_out() -> None:
    class Answer(BaseModel):
        id: int

    with pytest.raises(ValidationError) as unreadable:
        Answer.model_validate({"id": "CANARY of an answer"})
    with pytest.raises(DBAPIError) as unwritable, sa.create_engine("sqlite://").connect() as connection:
        connection.execute(sa.text("insert into nowhere values (:prompt)"), {"prompt": "a CANARY\nprompt"})
    assert "CANARY" in str(unreadable.value)
    assert "CANARY" in str(unwritable.value)

    assert "CANARY" not in logs.redacted(str(unreadable.value))
    assert "CANARY" not in logs.redacted(str(unwritable.value))


# -- who configures ----------------------------------------------------------------------------------------------------

LIBRARY_SAYS = """
import logging, rushes, rushes.logs, rushes.telemetry
assert not logging.getLogger().handlers
assert not logging.getLogger("rushes").handlers
"""

COMMAND_SAYS = """
import logging, sys
from pathlib import Path
from rushes import config
from rushes.cli.run import set_up_logging
set_up_logging(config.load(environment={"RUSHES_LOG_FORMAT": "json", "OPENAI_API_KEY": "CANARY-in-the-environment"}))
import dbos._logger
dbos._logger.init_logger()
logging.getLogger("dbos").warning("said to CANARY-in-the-environment")
raise RuntimeError("with CANARY-in-the-environment")
"""


def said_by(program: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60)


def test_importing_the_library_configures_no_logging(tmp_path: Path) -> None:
    done = said_by(LIBRARY_SAYS, tmp_path)

    assert done.returncode == 0, done.stderr


def test_a_command_redacts_what_libraries_print_and_what_nobody_catches(tmp_path: Path) -> None:
    done = said_by(COMMAND_SAYS, tmp_path)

    warned, crashed = [json.loads(line) for line in done.stderr.splitlines()]
    assert warned["event"] == "said to [hidden]"
    assert (crashed["level"], crashed["event"], done.returncode) == ("critical", "process.bug", 1)
    assert crashed["exception"].endswith("RuntimeError: with [hidden]")
    assert "CANARY" not in done.stderr


# -- names -------------------------------------------------------------------------------------------------------------


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Every call of a logger in the package."""
    for path in sorted((ROOT / "src" / "rushes").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=attr)) if attr in LEVELS:
                    yield path, node
                case _:
                    pass


def test_every_event_has_a_name_and_is_listed_for_who_runs_rushes() -> None:
    named = {str(node.args[0].value) for _, node in calls() if isinstance(node.args[0], ast.Constant)}
    unnamed = [f"{path.name}:{node.lineno}" for path, node in calls() if not isinstance(node.args[0], ast.Constant)]

    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", page, re.MULTILINE))

    assert unnamed == []
    assert listed == named
