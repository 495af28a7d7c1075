"""`kill -9` at every point of a job, then the same command again: one video, paid for once."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from rushes.testing.crash import POINTS
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from tests.command_line import CommandLine

COMMAND = ("generate", "A cat playing piano", "-m", "openai:video:sora-2", "--seconds", "4", "-o", "cat.mp4")


def library(rushes: CommandLine) -> list[dict[str, object]]:
    return json.loads(rushes.run("videos", "list", "--json").stdout)


def library_in_time(rushes: CommandLine) -> list[dict[str, object]]:
    """The library, once what is left to the background has come home."""
    wait_for(lambda: library(rushes))
    wait_for(lambda: not rushes.somebody_works())
    return library(rushes)


def only_video(rushes: CommandLine, fake: FakeOpenAI) -> bytes:
    """What the far side served for its only job."""
    [remote_id] = fake.jobs
    return fake.content_of(remote_id)


def wait_for(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_loses_nothing_and_pays_once(point: str, rushes: CommandLine, fake: FakeOpenAI) -> None:
    killed = rushes.crash_at(point, *COMMAND)
    again = rushes.run(*COMMAND)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert again.returncode == 0, again.stderr
    assert fake.book.charged == 1
    assert (rushes.folder / "cat.mp4").read_bytes() == only_video(rushes, fake)
    paid = [Decimal(str(video["cost_usd"])) for video in library(rushes)]
    assert sum(paid) == fake.book.total_usd == Decimal("0.40")


def test_a_kill_while_the_create_hangs_after_it_was_accepted_adopts_the_job(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.hang(accepted=True)]
    process = rushes.start(*COMMAND)
    wait_for(lambda: fake.book.charged == 1)
    process.kill()
    process.communicate()

    again = rushes.run(*COMMAND)

    assert again.returncode == 0, again.stderr
    assert (fake.book.creates, fake.book.charged) == (1, 1)
    assert (rushes.folder / "cat.mp4").read_bytes() == only_video(rushes, fake)


def test_a_kill_while_the_create_hangs_before_it_was_accepted_sends_it_again(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.hang(accepted=False)]
    process = rushes.start(*COMMAND)
    wait_for(lambda: fake.book.creates == 1)
    process.kill()
    process.communicate()

    again = rushes.run(*COMMAND)

    assert again.returncode == 0, again.stderr
    assert (fake.book.creates, fake.book.charged) == (2, 1)


def test_a_kill_in_mid_download_resumes_where_it_was(tmp_path: Path, rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.video_bytes = 3_000_000
    fake.faults.download = [Fault.of(Trouble.TRUNCATED, 1_000_000), Fault.hang().always()]
    process = rushes.start(*COMMAND)
    wait_for(lambda: sum(f.stat().st_size for f in (rushes.home / "spool").glob("*.part")) >= 700_000)
    process.kill()
    process.communicate()
    fake.faults.download = []

    again = rushes.run(*COMMAND)

    assert again.returncode == 0, again.stderr
    assert fake.book.charged == 1
    assert (tmp_path / "cat.mp4").read_bytes() == only_video(rushes, fake)
    asked = [r.headers.get("range") for r in fake.requests if r.path.endswith("/content")]
    assert any(each and not each.startswith("bytes=0-") for each in asked), asked


def test_a_detached_job_is_fetched_before_its_link_dies_although_the_terminal_is_gone(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.job_s, fake.result_life_s = 2.0, 3.0
    process = rushes.start(*COMMAND[:-2], "--detach")
    job_id = process.communicate()[0].strip()
    with_terminal_closed(process)
    wait_for(lambda: fake.jobs and all(job.done for job in fake.jobs.values()))
    time.sleep(fake.result_life_s)

    videos = library_in_time(rushes)

    assert process.returncode == 0
    assert [video["job_id"] for video in videos] == [job_id]
    assert Path(str(videos[0]["path"])).read_bytes() == only_video(rushes, fake)
    assert fake.book.charged == 1


def test_ctrl_c_detaches_and_says_how_to_come_back(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.job_s = 3.0
    process = rushes.start(*COMMAND)
    wait_for(lambda: fake.jobs)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    videos = library_in_time(rushes)

    assert process.returncode == 130
    assert "Detached" in said
    assert "rushes jobs wait video_" in said
    assert "Traceback" not in said
    assert len(videos) == 1
    assert fake.book.charged == 1


def test_sigterm_in_the_middle_of_a_create_leaves_it_to_be_found(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.hang(accepted=True)]
    process = rushes.start(*COMMAND)
    wait_for(lambda: fake.book.creates == 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert len(library_in_time(rushes)) == 1
    assert fake.book.charged == 1


def test_a_second_process_watches_what_the_first_one_makes(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.job_s = 2.0
    first = rushes.start(*COMMAND[:-2])
    wait_for(lambda: fake.jobs)
    second = rushes.start(*COMMAND[:-2])

    path_of_first, _ = first.communicate(timeout=60)
    path_of_second, said = second.communicate(timeout=60)

    assert path_of_first == path_of_second
    assert "joined" in said
    assert fake.book.charged == 1


def with_terminal_closed(process: "subprocess.Popen[str]") -> None:
    """What a closing terminal does: hang up everything in its session."""
    try:
        os.killpg(process.pid, signal.SIGHUP)
    except ProcessLookupError:
        return
