"""Whatever is wrong with a command is said in one line, before anything is sent or spent."""

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from tests.command_line import CommandLine

SORA = ("-m", "openai:video:sora-2")


def refused(result: "subprocess.CompletedProcess[str]", fake: FakeOpenAI, *words: str) -> None:
    """One line on stderr with all the words, an exit code of a user's error, and no request."""
    said = [line for line in result.stderr.splitlines() if not line.startswith(("Usage:", "Try "))]
    assert result.returncode in (1, 2), result.stderr
    assert len([line for line in said if line.strip()]) == 1, result.stderr
    for word in words:
        assert word in result.stderr
    assert result.stdout == ""
    assert fake.requests == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-m", "openai:video:sora-3"], ["sora-3", "Did you mean openai:video:sora-2?"]),
        (["-m", "opnai:video:sora-2"], ["opnai", "Did you mean openai?"]),
        (["-m", "sora-2"], ["Did you mean openai:video:sora-2?"]),
        (["-m", "openai:chat:gpt-5"], ["serves the kind 'video' only"]),
        ([*SORA, "--size", "1920x1080"], ["1920x1080", "720x1280", "1280x720"]),
        ([*SORA, "--size", "large"], ["large", "width x height"]),
        ([*SORA, "--seconds", "5"], ["4, 8, 12, 16 or 20", "not 5"]),
        ([*SORA, "--seconds", "-1"], ["not -1"]),
        ([*SORA, "--seed", "7"], ["does not take seed"]),
        (["-m", "draft", "--extra", "latency=7"], ["latency", "Did you mean latency_s?"]),
        ([*SORA, "--extra", "guidance"], ["NAME=VALUE"]),
        ([*SORA, "--max-cost", "lots"], ["lots", "amount in dollars"]),
        ([*SORA, "-n", "0"], ["0"]),
        ([*SORA, "--image", "nowhere.png"], ["nowhere.png"]),
        ([*SORA, "--image", "http://127.0.0.1:9/x.png"], ["https"]),
        ([*SORA, "--image", "https://localhost/x.png"], ["not public"]),
        ([*SORA, "-o", "no/such/folder/cat.mp4"], ["no/such/folder", "does not exist"]),
        ([*SORA, "--env-file", "nowhere.env"], ["nowhere.env"]),
        ([*SORA, "--log-level", "loud"], ["loud", "debug"]),
    ],
    ids=str,
)
def test_a_wrong_option_is_named_with_what_would_be_right(
    options: list[str], words: list[str], rushes: CommandLine, fake: FakeOpenAI
) -> None:
    result = rushes.run("generate", "A cat playing piano", *options)

    refused(result, fake, *words)


def test_more_than_the_limit_is_refused_with_a_code_of_its_own(rushes: CommandLine, fake: FakeOpenAI) -> None:
    result = rushes.run("generate", "A cat", *SORA, "-n", "2", "--max-cost", "1.50")

    assert result.returncode == 3
    assert "This would cost $1.60, and --max-cost is $1.50" in result.stderr
    assert "It is not bought." in result.stderr
    assert fake.requests == []


def test_an_empty_prompt_is_refused(rushes: CommandLine, fake: FakeOpenAI) -> None:
    refused(rushes.run("generate", "   ", *SORA), fake, "prompt is empty")


def test_an_over_long_prompt_is_refused_with_both_lengths(rushes: CommandLine, fake: FakeOpenAI) -> None:
    refused(rushes.run("generate", "x" * 32001, *SORA), fake, "32001", "32000")


def test_a_missing_key_names_the_variable(offline: CommandLine, fake: FakeOpenAI) -> None:
    offline.env["OPENAI_BASE_URL"] = fake.base_url

    refused(offline.run("generate", "A cat", *SORA), fake, "OPENAI_API_KEY")


def test_the_vendors_dead_address_is_refused_for_good(offline: CommandLine, fake: FakeOpenAI) -> None:
    offline.env["OPENAI_API_KEY"] = "sk-real-looking"

    refused(offline.run("generate", "A cat", *SORA), fake, "24 September 2026", "OPENAI_BASE_URL")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    Image.new("RGB", (1280, 720), "teal").save(tmp_path / "right.png")
    Image.new("RGB", (640, 640), "teal").save(tmp_path / "square.png")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    with (tmp_path / "zeros.png").open("wb") as file:
        file.truncate(60_000_000)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("square.png", ["640x640", "another shape", "--nearest"]),
        ("text.png", ["text.png"]),
        ("empty.png", ["empty.png", "empty"]),
        ("folder.png", ["folder.png", "folder"]),
        ("zeros.png", ["zeros.png", "50 MB"]),
    ],
)
def test_a_reference_that_cannot_serve_is_refused(
    name: str, words: list[str], pictures: Path, rushes: CommandLine, fake: FakeOpenAI
) -> None:
    refused(rushes.run("generate", "A cat", *SORA, "--image", name), fake, *words)


def test_a_database_of_a_newer_release_is_refused(rushes: CommandLine, fake: FakeOpenAI) -> None:
    rushes.run("jobs", "list")
    with sqlite3.connect(rushes.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    refused(rushes.run("generate", "A cat", *SORA), fake, "later rushes", "Upgrade")


def test_a_database_that_is_none_is_refused(rushes: CommandLine, fake: FakeOpenAI) -> None:
    rushes.home.mkdir()
    rushes.database.write_text("this is not a database, but long enough to be taken for one by its size" * 20)

    refused(rushes.run("generate", "A cat", *SORA), fake, "not a rushes database")


def test_a_home_that_cannot_be_made_is_refused(rushes: CommandLine, fake: FakeOpenAI) -> None:
    rushes.home.write_text("a file where the folder should be")

    refused(rushes.run("generate", "A cat", *SORA), fake, str(rushes.home))


def test_a_misspelt_setting_names_its_nearest_neighbour(rushes: CommandLine, fake: FakeOpenAI) -> None:
    (rushes.folder / "rushes.toml").write_text('[providers.openai]\nbase_ulr = "http://127.0.0.1"\n')

    refused(rushes.run("generate", "A cat", *SORA), fake, "base_ulr", "Did you mean base_url?", "providers.openai")


def test_a_misspelt_variable_names_its_nearest_neighbour(rushes: CommandLine, fake: FakeOpenAI) -> None:
    rushes.env["RUSHES_MODLE"] = "draft"

    refused(rushes.run("generate", "A cat", *SORA), fake, "RUSHES_MODLE", "Did you mean RUSHES_MODEL?")


def test_a_misspelt_command_names_its_nearest_neighbour(rushes: CommandLine, fake: FakeOpenAI) -> None:
    refused(rushes.run("genrate", "A cat"), fake, "genrate", "Did you mean generate?")


def test_an_unknown_job_is_named(rushes: CommandLine, fake: FakeOpenAI) -> None:
    refused(rushes.run("jobs", "show", "video_0123456789abcdef0123456789abcdef"), fake, "There is no job")


def test_a_full_disk_in_mid_download_keeps_the_job_until_there_is_room(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.video_bytes = 12_000_000
    command = [sys.executable, "-m", "rushes", "generate", "A cat", *SORA, "--seconds", "4"]
    limited = subprocess.Popen(
        command,
        cwd=rushes.folder,
        env=rushes.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a file that may not grow further is what a full disk looks like to whoever writes it
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, 8_000_000)),
    )
    assert limited.stderr is not None
    said = next(line for line in limited.stderr if "No room" in line)
    limited.kill()
    limited.communicate()

    again = rushes.run("generate", "A cat", *SORA, "--seconds", "4")

    assert "Free some space" in said or "larger disk" in said
    assert again.returncode == 0, again.stderr
    assert fake.book.charged == 1
    [remote_id] = fake.jobs
    assert Path(again.stdout.strip()).read_bytes() == fake.content_of(remote_id)


def test_an_output_that_takes_no_more_leaves_the_video_in_the_library(rushes: CommandLine, fake: FakeOpenAI) -> None:
    result = rushes.run("generate", "A cat", *SORA, "--seconds", "4", "-o", "/dev/full")

    assert result.returncode == 1
    assert "/dev/full cannot be written" in result.stderr
    assert "safe in the library" in result.stderr
    assert fake.book.charged == 1
    assert not Path("/dev/full").is_file()


def test_one_failure_among_several_takes_hides_no_success(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.of(Trouble.MODERATED)]

    result = rushes.run("generate", "A cat", *SORA, "--seconds", "4", "-n", "3", "-o", "cat.mp4")

    assert result.returncode == 1
    assert len(list(rushes.folder.glob("cat*.mp4"))) == len(result.stdout.split()) == 2
    assert result.stderr.strip().splitlines()[-1].startswith("rushes: video_")
    assert fake.book.charged == 2


def test_open_jobs_that_nobody_works_on_are_pointed_out(rushes: CommandLine) -> None:
    rushes.crash_at("job.admitted", "generate", "A cat", *SORA)

    result = rushes.run("jobs", "list")

    assert "rushes worker --until-idle" in result.stderr
