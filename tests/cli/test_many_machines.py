"""Two machines, each with a home of its own, that share a database server and a bucket: what one asks, the other makes.

The second has the worker and, where a provider is needed, the key; the first only asks.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes.testing import clips
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.s3 import S3
from tests.command_line import CommandLine
from tests.running import Running, until

SORA = ("-m", "openai:video:sora-2", "--seconds", "4")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture
def shared(postgres_url: str, s3: S3, fake: FakeOpenAI) -> dict[str, str]:
    provider = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key or ""}
    return {**s3.environment, **provider, "RUSHES_DATABASE_URL": postgres_url, "RUSHES_MEDIA_URL": s3.bucket()}


def machine(folder: Path, shared: dict[str, str]) -> CommandLine:
    folder.mkdir()
    return CommandLine(folder, dict(shared))


@pytest.fixture
def desk(tmp_path: Path, shared: dict[str, str]) -> CommandLine:
    """The machine at which a person sits."""
    return machine(tmp_path / "desk", shared)


@pytest.fixture
def studio(tmp_path: Path, shared: dict[str, str]) -> Iterator[CommandLine]:
    """The other machine, with a worker at work for as long as the test lasts."""
    line = machine(tmp_path / "studio", shared)
    with Running(line.start("worker")) as worker:
        worker.until_it_says("Working on")
        yield line
        assert worker.interrupt() == 0, worker.stderr


def test_a_video_made_on_one_machine_is_seen_and_fetched_on_another(
    desk: CommandLine, studio: CommandLine, fake: FakeOpenAI, s3: S3
) -> None:
    job_id = desk.run("generate", "A cat", *SORA, "--detach").stdout.strip()
    waited = desk.run("jobs", "wait", job_id)

    listed = json.loads(desk.run("videos", "list", "--json").stdout)
    shown = desk.run("videos", "show", job_id)
    exported = desk.run("videos", "export", job_id, "cat.mp4")

    assert waited.returncode == 0, waited.stderr
    assert waited.stdout.strip().startswith(desk.env["RUSHES_MEDIA_URL"])
    assert [video["job_id"] for video in listed] == [job_id]
    assert shown.returncode == exported.returncode == 0, shown.stderr + exported.stderr
    assert (desk.folder / "cat.mp4").read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
    assert fake.book.charged == 1


def test_generate_with_an_out_file_gets_what_the_other_machine_made(
    desk: CommandLine, studio: CommandLine, fake: FakeOpenAI
) -> None:
    done = desk.run("generate", "A cat", *SORA, "-o", "cat.mp4")

    assert done.returncode == 0, done.stderr
    assert (desk.folder / "cat.mp4").stat().st_size > 0
    assert fake.book.charged == 1


def test_an_animatic_is_made_on_one_machine_for_another(desk: CommandLine, studio: CommandLine) -> None:
    job_id = desk.run("generate", "A cat", "-m", "draft", "--seconds", "2", "--detach").stdout.strip()
    waited = desk.run("jobs", "wait", job_id)

    exported = desk.run("videos", "export", job_id, "cat.mp4")

    assert (waited.returncode, exported.returncode) == (0, 0), waited.stderr + exported.stderr
    assert (desk.folder / "cat.mp4").stat().st_size > 0


@pytest.mark.parametrize("model", ["draft", "openai:video:sora-2"])
def test_a_first_frame_given_on_one_machine_is_read_on_the_other(
    model: str, desk: CommandLine, studio: CommandLine, fake: FakeOpenAI
) -> None:
    picture = clips.picture(1280, 720)
    (desk.folder / "first.png").write_bytes(picture)

    ask = ("generate", "A cat", "-m", model, "--size", "1280x720", "--seconds", "4", "--image", "first.png")
    job_id = desk.run(*ask, "--detach").stdout.strip()
    (desk.folder / "first.png").unlink()
    waited = desk.run("jobs", "wait", job_id)

    assert waited.returncode == 0, waited.stderr
    if model != "draft":
        [create] = [each for each in fake.requests if each.method == "POST"]
        assert picture in create.body
        assert fake.book.charged == 1


def test_a_machine_whose_worker_is_killed_leaves_its_job_to_the_other(
    desk: CommandLine, tmp_path: Path, shared: dict[str, str], fake: FakeOpenAI
) -> None:
    fake.job_s, fake.poll_after_ms = 60, 200
    first, second = (machine(tmp_path / name, shared) for name in ("first", "second"))
    with Running(first.start("worker")) as doomed:
        doomed.until_it_says("Working on")
        job_id = desk.run("generate", "A cat", *SORA, "--detach").stdout.strip()
        until(lambda: fake.book.charged == 1)
        with Running(second.start("worker", "--until-idle")) as heir:
            heir.until_it_says("Working on")

            doomed.process.kill()
            fake.finish()

            assert heir.ended() == 0, heir.stderr
    assert json.loads(desk.run("jobs", "show", job_id, "--json").stdout)["state"] == "completed"
    assert desk.run("videos", "export", job_id, "cat.mp4").returncode == 0
    assert fake.book.charged == 1
