"""Several workers on one PostgreSQL: they share the jobs, take over from each other, and buy nothing twice."""

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rushes.jobs.postgres import place_key
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.postgres import PostgresServer
from rushes.testing.server import Moment, Received
from tests.command_line import CommandLine

TAKEOVER_S = 2.0
UNTIL_TOLD_S = 3600.0
"""A job of the far side that ends when the test says so, and not while a busy machine is still getting ready."""
CUT_ALL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datname = current_database()"""
# Both ends are timed by the server's own clock, in the server: how quick this process is does not matter. The lock is
# free when the server has seen the holder's connection close; a change is noted at its commit.
WAIT_FOR_LOCK = """WITH waited AS MATERIALIZED (SELECT pg_advisory_lock_shared(%s))
SELECT clock_timestamp() FROM waited"""
NOTE_NEW_HOLDERS = """CREATE TABLE new_holders (job_id text, worker text, at timestamptz);
CREATE FUNCTION note_new_holder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO new_holders VALUES (new.id, new.worker, clock_timestamp()); RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER note_new_holder AFTER UPDATE ON jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (new.worker IS NOT NULL AND new.worker IS DISTINCT FROM old.worker) EXECUTE FUNCTION note_new_holder()"""
PATIENCE_S = 240.0


class Team:
    """Workers on one database, each with a home of its own as if on a machine of its own; the media are shared."""

    def __init__(self, folder: Path, url: str, fake: FakeOpenAI) -> None:
        self.folder = folder
        self.url = url
        self.fake = fake
        self.workers: list[subprocess.Popen[str]] = []

    def machine(self, name: str, **env: str) -> CommandLine:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        usual = {
            "OPENAI_BASE_URL": self.fake.base_url,
            "OPENAI_API_KEY": self.fake.api_key or "",
            "RUSHES_DATABASE_URL": self.url,
            "RUSHES_MEDIA_URL": str(self.folder / "media"),
            "RUSHES_CONFIG": str(self.folder / "rushes.toml"),
        }
        return CommandLine(place, {**usual, **env})

    def worker(self, name: str, **env: str) -> "subprocess.Popen[str]":
        """Start a worker and wait until the ledger knows it."""
        before = len(self.ask("SELECT id FROM workers"))
        process = self.machine(name, **env).start("worker")
        self.workers.append(process)
        wait_for(lambda: len(self.ask("SELECT id FROM workers")) > before or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process

    def submit(self, prompt: str) -> str:
        done = self.machine("desk").run("generate", prompt, "-m", "openai:video:sora-2", "--seconds", "4", "--detach")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def tell(self, script: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(script.encode())

    def left_at(self, worker_id: str) -> datetime:
        """Wait until the server has seen a worker's connection close, and say when that was by its clock."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(WAIT_FOR_LOCK, [place_key(worker_id)]).fetchone()
        assert row is not None
        return row[0]

    def states(self) -> Counter[str]:
        return Counter(state for (state,) in self.ask("SELECT state FROM jobs"))

    def until_done(self, count: int) -> None:
        wait_for(lambda: self.states() == {"completed": count}, lambda: (self.states(), self.events()))

    def events(self) -> list[tuple[Any, ...]]:
        return self.ask("SELECT kind, json FROM events ORDER BY id DESC LIMIT 5")

    def balance(self, count: int) -> None:
        """As many creates charged as jobs done, and the ledger's cost is what was charged."""
        [(cost,)] = self.ask("SELECT sum(cost_usd) FROM jobs")
        assert self.fake.book.charged == count
        assert self.fake.book.paid_twice() == {}
        assert Decimal(cost) / 1_000_000 == self.fake.book.total_usd

    def end(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()


def wait_for(condition: Callable[[], object], told: Callable[[], object] = lambda: "") -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"it did not come about in time: {told()}"
        time.sleep(0.05)


@contextmanager
def a_team(
    folder: Path, url: str, fake: FakeOpenAI, config: str = "", create_timeout_s: float = 30.0
) -> Generator[Team]:
    shared = f"[providers.openai]\ncreate_timeout_s = {create_timeout_s}\npoll_interval_ms = 200\n"
    (folder / "rushes.toml").write_text(shared + config)
    team = Team(folder, url, fake)
    ready = team.machine("desk").run("db", "upgrade")
    assert ready.returncode == 0, ready.stderr
    try:
        yield team
    finally:
        team.end()


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=1.0) as fake:
        yield fake


@pytest.fixture
def team(tmp_path: Path, postgres_url: str, fake: FakeOpenAI) -> Iterator[Team]:
    with a_team(tmp_path, postgres_url, fake) as team:
        yield team


def test_a_killed_workers_jobs_are_taken_over_within_two_seconds(team: Team, fake: FakeOpenAI) -> None:
    fake.job_s = UNTIL_TOLD_S
    first = team.worker("first")
    [(first_id,)] = team.ask("SELECT id FROM workers")
    for n in range(3):
        team.submit(f"Cat {n}")
    wait_for(lambda: team.states() == {"in_progress": 3})
    team.worker("second")
    team.tell(NOTE_NEW_HOLDERS)

    with ThreadPoolExecutor(1) as threads:
        left = threads.submit(team.left_at, first_id)
        first.kill()
        left_at = left.result(PATIENCE_S)
    wait_for(lambda: team.ask("SELECT count(*) FROM new_holders") == [(3,)])
    [(taken_at,)] = team.ask("SELECT max(at) FROM new_holders")
    fake.finish()

    team.until_done(3)
    team.balance(3)
    assert (taken_at - left_at).total_seconds() < TAKEOVER_S


def test_no_more_jobs_are_in_flight_than_the_settings_allow_over_all_workers(
    tmp_path: Path, postgres_url: str, fake: FakeOpenAI
) -> None:
    running: list[int] = []

    def count(moment: Moment, operation: str | None, received: Received) -> None:
        if operation == "create" and moment is Moment.CARRIED_OUT:
            running.append(sum(1 for job in list(fake.jobs.values()) if not job.done))

    fake.looking_on = count
    with a_team(tmp_path, postgres_url, fake, "max_jobs = 2\n") as team:
        for name in ("first", "second"):
            team.worker(name)
        for n in range(6):
            team.submit(f"Cat {n}")

        team.until_done(6)

        team.balance(6)
        assert len(running) == 6
        assert max(running) <= 2


def test_a_worker_whose_connection_was_cut_lets_go_and_comes_back_as_another(team: Team, fake: FakeOpenAI) -> None:
    fake.job_s = UNTIL_TOLD_S
    team.worker("only")
    team.submit("A cat")
    wait_for(lambda: team.states() == {"in_progress": 1})
    [(before,)] = team.ask("SELECT worker FROM jobs")

    team.ask(CUT_ALL)
    wait_for(lambda: team.ask("SELECT worker FROM jobs")[0][0] not in (None, before))
    fake.finish()
    team.until_done(1)

    team.balance(1)
    assert (before,) not in team.ask("SELECT id FROM workers")


def test_a_restart_of_the_server_in_the_middle_of_everything_loses_nothing(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.job_s = 2.0
    with PostgresServer() as server, a_team(tmp_path, server.create(), fake) as team:
        for name in ("first", "second"):
            team.worker(name)
        for n in range(4):
            team.submit(f"Cat {n}")
        wait_for(lambda: fake.book.charged >= 2)
        server.restart("QUIT")

        team.until_done(4)
        team.balance(4)


def test_an_answer_that_comes_while_the_database_is_away_is_written_when_it_is_back(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    config = "on_unknown = 'ask'\n"
    with PostgresServer() as server, a_team(tmp_path, server.create(), fake, config, create_timeout_s=120.0) as team:
        may_answer, answered = threading.Event(), threading.Event()

        def hold(moment: Moment, operation: str | None, received: Received) -> None:
            if operation == "create" and moment is Moment.CARRIED_OUT:
                may_answer.wait(PATIENCE_S)
            if operation == "create" and moment is Moment.ANSWERED:
                answered.set()

        fake.looking_on = hold
        team.worker("only")
        team.submit("A cat")
        wait_for(lambda: fake.book.charged == 1)
        server.stop("QUIT")
        may_answer.set()
        assert answered.wait(PATIENCE_S)
        time.sleep(1.0)  # so that it tries to write the answer, in vain; were it slower, the test would be easier
        server.start()

        team.until_done(1)
        team.balance(1)
        assert fake.book.creates == 1


def test_workers_are_replaced_one_after_another_without_a_break(team: Team, fake: FakeOpenAI) -> None:
    fake.job_s = UNTIL_TOLD_S
    old = [team.worker("first"), team.worker("second")]
    for n in range(4):
        team.submit(f"Cat {n}")
    wait_for(lambda: team.states()["in_progress"] == 4)

    for n, process in enumerate(old):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
        team.worker(f"new{n}")
    fake.finish()

    team.until_done(4)
    team.balance(4)
    assert [process.returncode for process in old] == [0, 0]
    assert len(team.ask("SELECT id FROM workers")) == 2


def test_a_job_waits_for_the_worker_that_has_its_key(team: Team, fake: FakeOpenAI) -> None:
    team.worker("poor", OPENAI_API_KEY="")
    job_id = team.submit("A cat")
    wait_for(lambda: team.ask("SELECT trouble FROM jobs")[0][0])
    shown = json.loads(team.machine("desk").run("jobs", "show", job_id, "--json").stdout)
    team.worker("rich")

    team.until_done(1)

    assert "has no key" in shown["trouble"]
    team.balance(1)
