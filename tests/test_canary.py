"""A life of a job with a canary for a key, a prompt and a signed link, among far sides that quote all of it.

Through real processes, at level debug, with faults and a crash: afterwards no canary of a key or a link is in anything
that was printed or written, and no canary of a prompt in any log.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.fake_openai_jobs import FakeJob as OpenAIJob
from rushes.testing.fake_zai import BLOCKED as ZAI_BLOCKED
from rushes.testing.fake_zai import FakeZai
from rushes.testing.faults import Fault, Trouble
from rushes.testing.openai_rules import BLOCKED
from rushes.testing.openai_rules import Refusal as OpenAIRefusal
from rushes.testing.server import Answer, BookedServer, Received, Refused
from rushes.testing.zai_rules import CODE_OF_STATUS
from rushes.testing.zai_rules import Refusal as ZaiRefusal
from tests.command_line import CommandLine

ROOT = Path(__file__).resolve().parent.parent
PROMPT = "A yellow canary-prompt in a coal mine, slow push in"
OPENAI_KEY = "sk-canary-key-of-openai-0123456789"
ZAI_KEY = "0123456789canary.keyofzai01234567"
LINK_SECRET = "canary-link-0123456789"
QUOTES = f"Sorry, {PROMPT} of Bearer {{key}} and {{key}} at https://cdn.example/a.mp4?sig={LINK_SECRET} failed."
SECRETS = (OPENAI_KEY, ZAI_KEY, LINK_SECRET)
CONFIG = """
[providers.openai]
create_timeout_s = 1.5
poll_interval_ms = 100

[providers.zai]
poll_interval_ms = 100
"""
TIMEOUT_S = 60.0


class CarelessOpenAI(FakeOpenAI):
    """Quotes the prompt, the key and a link in every error, and in every failure of a job."""

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        answer = super().answer(received, operation, fault)
        return replace(answer, body=answer.body.replace(BLOCKED.encode(), QUOTES.format(key=OPENAI_KEY).encode()))

    def refused_by(self, fault: Fault) -> Refused:
        return OpenAIRefusal(fault.number, QUOTES.format(key=OPENAI_KEY), code="careless")


class CarelessZai(FakeZai):
    """Does so too, and hands out results by signed links."""

    def refused_by(self, fault: Fault) -> Refused:
        return ZaiRefusal(CODE_OF_STATUS.get(fault.number), QUOTES.format(key=ZAI_KEY), status=fault.number)

    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        answer = super().answer(received, operation, fault)
        if operation != "poll":
            return answer
        body = answer.body.replace(b'.mp4"', f'.mp4?sig={LINK_SECRET}"'.encode())
        return replace(answer, body=body.replace(ZAI_BLOCKED.encode(), QUOTES.format(key=ZAI_KEY).encode()))


@dataclass
class Diary:
    """All that was said by the commands."""

    line: CommandLine
    stdout: list[str] = field(default_factory=list[str])
    stderr: list[str] = field(default_factory=list[str])

    def run(self, *words: str, crash_at: str | None = None) -> str:
        done = self.line.crash_at(crash_at, *words) if crash_at else self.line.run(*words)
        self.stdout.append(done.stdout)
        self.stderr.append(done.stderr)
        return done.stdout

    def look(self, *commands: tuple[str, ...]) -> None:
        """Several commands, one after the other in one process."""
        (self.line.folder / "commands.json").write_text(json.dumps(commands), encoding="utf-8")
        told = replace(self.line, env={**self.line.env, "PYTHONPATH": str(ROOT)})
        done = told.run("commands.json", module="tests.commands_in_a_process")
        assert done.returncode == 0, done.stderr
        for code, stdout, stderr in json.loads(done.stdout.splitlines()[-1]):
            assert code == 0, stderr
            self.stdout.append(stdout)
            self.stderr.append(stderr)

    def logs(self) -> list[str]:
        """Every log line: of the commands, and of the worker in the background."""
        written = [*self.stderr, *(path.read_text(encoding="utf-8") for path in self.line.home.glob("worker.log"))]
        return [text for said in written for text in said.splitlines() if text.startswith('{"ts"')]

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """What was printed and written, wherever: by the name of the place."""
        for n, text in enumerate([*self.stdout, *self.stderr]):
            yield f"output {n}", text.encode()
        for path in self.line.home.rglob("*"):
            if path.is_file():
                yield str(path.relative_to(self.line.home)), path.read_bytes()


@pytest.fixture
def openai() -> Iterator[CarelessOpenAI]:
    with CarelessOpenAI(job_s=0.5, api_key=OPENAI_KEY) as fake:
        yield fake


@pytest.fixture
def zai() -> Iterator[CarelessZai]:
    with CarelessZai(job_s=0.5, api_key=ZAI_KEY) as fake:
        yield fake


@pytest.fixture
def diary(tmp_path: Path, openai: CarelessOpenAI, zai: CarelessZai) -> Diary:
    (tmp_path / "rushes.toml").write_text(CONFIG)
    env = {
        "OPENAI_BASE_URL": openai.base_url,
        "OPENAI_API_KEY": OPENAI_KEY,
        "ZAI_BASE_URL": zai.base_url,
        "ZAI_API_KEY": ZAI_KEY,
        "RUSHES_LOG_LEVEL": "debug",
        "RUSHES_LOG_FORMAT": "json",
    }
    return Diary(CommandLine(tmp_path, env))


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def troubled(fake: BookedServer[OpenAIJob] | CarelessZai, *, creates: list[Fault]) -> None:
    fake.faults.create = list(creates)
    fake.faults.poll = [Fault.status(500), Fault.status(429, retry_after="0"), Fault.reset(), Fault.of(Trouble.HTML)]
    fake.faults.download = [Fault.status(500), Fault.of(Trouble.RESET_AFTER, 1000), Fault.status(429, retry_after="0")]


def live(diary: Diary, model: str, *options: str) -> None:
    """Admitted and crashed, taken up again and left to the background, looked at in every way."""
    command = ("generate", PROMPT, "-m", model, *options, "--detach")
    diary.run(*command, crash_at="job.admitted")
    job_id = diary.run(*command).strip()
    wait_for(lambda: not diary.line.somebody_works())
    looks = (("jobs", "show", job_id), ("jobs", "events", job_id), ("jobs", "list"), ("videos", "list"), ("spend",))
    diary.look(*looks, *((*words, "--json") for words in looks))


def assert_no_canary_sings(diary: Diary) -> None:
    logs = diary.logs()
    assert any(json.loads(line)["event"] == "http.call" for line in logs), "nothing was logged, so nothing is shown"
    assert [line for line in logs if "canary-prompt" in line] == []
    found = [(place, secret) for place, data in diary.everything() for secret in SECRETS if secret.encode() in data]
    assert found == []


def test_a_job_in_doubt_and_in_trouble_tells_no_log_its_key_or_its_prompt(diary: Diary, openai: CarelessOpenAI) -> None:
    troubled(openai, creates=[Fault.status(429, retry_after="0"), Fault.status(500, accepted=True)])

    live(diary, "openai:video:sora-2", "--seconds", "4")

    assert openai.book.charged == 1
    assert "completed" in diary.stdout[2]
    assert_no_canary_sings(diary)


def test_a_signed_link_is_in_no_log_no_report_and_no_database(diary: Diary, zai: CarelessZai) -> None:
    troubled(zai, creates=[Fault.status(429, retry_after="0")])

    live(diary, "zai:video:cogvideox-3")

    assert zai.book.charged == 1
    assert any(LINK_SECRET in request.raw_path for request in zai.requests)
    assert "completed" in diary.stdout[2]
    assert_no_canary_sings(diary)


def test_the_words_of_a_failed_job_are_told_without_key_and_link(
    diary: Diary, openai: CarelessOpenAI, zai: CarelessZai
) -> None:
    openai.faults.poll = [Fault.of(Trouble.MODERATED)]
    zai.faults.poll = [Fault.of(Trouble.MODERATED)]

    diary.run("generate", PROMPT, "-m", "openai:video:sora-2", "--seconds", "4")
    diary.run("generate", PROMPT, "-m", "zai:video:cogvideox-3")
    diary.look(("jobs", "list"), ("jobs", "list", "--json"), ("jobs", "events"), ("jobs", "events", "--json"))

    assert [job["state"] for job in json.loads(diary.stdout[3])] == ["failed", "failed"]
    assert_no_canary_sings(diary)


def test_a_key_that_is_wrong_is_not_repeated(diary: Diary, openai: CarelessOpenAI) -> None:
    openai.api_key = "sk-another"

    diary.run("generate", PROMPT, "-m", "openai:video:sora-2", "--seconds", "4")

    assert openai.book.charged == 0
    assert "401" in diary.stderr[0]
    assert_no_canary_sings(diary)
