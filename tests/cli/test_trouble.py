"""Trouble as a person meets it: one line that says what to do, nothing bought, nothing lost, and on when it is over."""

import json
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from rushes.jobs import tables
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault
from rushes.testing.postgres import PostgresServer
from rushes.testing.s3 import S3, SECRET_KEY, Refusal, refusing
from tests.command_line import CommandLine
from tests.running import Running, until

ROOT = Path(__file__).parents[2]
SORA = ("-m", "openai:video:sora-2", "--seconds", "4")
LOOK_OFTEN = "[providers.openai]\npoll_interval_ms = 200\n"
ALL_THAT_NEED_A_DATABASE = (
    ["jobs", "list"],
    ["doctor"],
    ["db", "upgrade"],
    ["worker", "--until-idle"],
    ["generate", "A cat", *SORA],
)


@pytest.fixture
def rushes(rushes: CommandLine) -> CommandLine:
    """One that looks often, so that what a test ends is seen to have ended."""
    (rushes.folder / "rushes.toml").write_text(LOOK_OFTEN)
    return rushes


def one_line(stderr: str, *words: str) -> None:
    """One line in our words, and no traceback."""
    assert stderr.startswith("rushes: "), stderr
    assert stderr.count("\n") == 1, stderr
    for word in words:
        assert word in stderr


def shown(rushes: CommandLine, job_id: str) -> dict[str, Any]:
    told = rushes.run("jobs", "show", job_id, "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def the_job(rushes: CommandLine) -> dict[str, Any]:
    [job] = json.loads(rushes.run("jobs", "list", "--json").stdout)
    return shown(rushes, job["id"])


def until_it_waits_for(rushes: CommandLine, words: str) -> dict[str, Any]:
    """The job, as `jobs show` has it once it tells of this trouble."""
    until(lambda: words in (the_job(rushes)["trouble"] or ""), lambda: the_job(rushes))
    return the_job(rushes)


# -- a wrong address of the database -----------------------------------------------------------------------------------


class Wrong(NamedTuple):
    """An address with something wrong in it, and what is to be said of it."""

    address: str
    words: str


WRONG = {
    "a typo in the scheme": Wrong("postgre://me:hush-hush@127.0.0.1/x", "must be sqlite:///FILE or postgresql://"),
    "another database": Wrong("mysql+pymysql://me:hush-hush@127.0.0.1/x", "not mysql://"),
    "no scheme": Wrong("/var/lib/rushes.db", "is not a database address"),
    "no port": Wrong("postgresql://me:hush-hush@127.0.0.1:port/x", "is not a database address"),
    "a port too high": Wrong("postgresql://me:hush-hush@127.0.0.1:99999/x", "is not understood (invalid port number"),
    "no such host": Wrong("postgresql://me:hush-hush@no-such-host.invalid/x", "cannot be reached (failed to resolve"),
    "nobody listens": Wrong("postgresql://me:hush-hush@127.0.0.1:1/x", "cannot be reached (connection to server"),
    "in memory": Wrong("sqlite:///:memory:", "must be sqlite:///FILE"),
    "a folder": Wrong("sqlite:///folder", "cannot be opened. Check its folder"),
    "no database": Wrong("sqlite:///a-letter.txt", "is not a rushes database"),
    "no folder can be made": Wrong("sqlite:////proc/nowhere/rushes.db", "cannot be made"),
}
WRONG_ON_THE_SERVER = {
    "a wrong password": Wrong("locked:hush-hush@{host}/postgres", "lets nobody in by this name and password"),
    "no password": Wrong("locked@{host}/postgres", "lets nobody in by this name and password (fe_sendauth"),
    "an unknown role": Wrong("who@{host}/postgres", 'lets nobody in by this name and password (role "who"'),
    "an unknown database": Wrong("postgres@{host}/rushez", "There is no such database"),
    "no right to connect": Wrong("poor@{host}/closed", "this user may not do that"),
    "no right to make tables": Wrong("poor@{host}/bare", "may make tables"),
    "an unknown option": Wrong("postgres@{host}/postgres?sslmod=require", 'invalid connection option "sslmod"'),
    "no encryption there": Wrong("postgres@{host}/postgres?sslmode=require", "do not agree about encryption"),
}


@pytest.fixture(scope="module")
def strict_server(postgres: PostgresServer) -> PostgresServer:
    """A server with a role that needs a password, one without rights, and databases that let nobody in."""
    known = {name for (name,) in postgres.run("SELECT rolname FROM pg_roles")}
    for role in {"locked", "poor"} - known:
        postgres.run(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    postgres.run("CREATE DATABASE closed")
    postgres.run("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    postgres.run("CREATE DATABASE bare")
    postgres.run("REVOKE ALL ON SCHEMA public FROM PUBLIC", "bare")
    return postgres


def said_of(rushes: CommandLine, address: str) -> list[tuple[int, str, str]]:
    """What each command that needs a database says of this address: exit code, stdout, stderr."""
    (rushes.folder / "folder").mkdir()
    (rushes.folder / "a-letter.txt").write_text("Dear Sir or Madam, " * 100)
    (rushes.folder / "commands.json").write_text(json.dumps(ALL_THAT_NEED_A_DATABASE))
    rushes.env.update(RUSHES_DATABASE_URL=address, PYTHONPATH=str(ROOT))
    done = rushes.run("commands.json", module="tests.commands_in_a_process")
    assert done.returncode == 0, done.stderr
    return [(code, out, err) for code, out, err in json.loads(done.stdout.splitlines()[-1])]


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_address_of_the_database_is_one_line_from_every_command(
    wrong: Wrong, rushes: CommandLine, fake: FakeOpenAI
) -> None:
    said = said_of(rushes, wrong.address)

    for code, out, err in said:
        one_line(err, wrong.words)
        assert (code, out, "hush-hush" in err) == (1, "", False)
    assert fake.requests == []


@pytest.mark.parametrize("wrong", WRONG_ON_THE_SERVER.values(), ids=WRONG_ON_THE_SERVER)
def test_a_server_that_refuses_us_is_one_line_from_every_command(
    wrong: Wrong, rushes: CommandLine, fake: FakeOpenAI, strict_server: PostgresServer
) -> None:
    address = wrong.address.format(host=f"127.0.0.1:{strict_server.port}")

    said = said_of(rushes, f"postgresql://{address}")

    for code, out, err in said:
        one_line(err, wrong.words)
        assert (code, out, "hush-hush" in err) == (1, "", False)
    assert fake.requests == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_tables_of_a_later_release_are_left_alone(
    kind: str, rushes: CommandLine, fake: FakeOpenAI, request: pytest.FixtureRequest
) -> None:
    file = f"sqlite:///{rushes.folder / 'later.db'}"
    url = str(request.getfixturevalue("empty_postgres_url")) if kind == "postgresql" else file
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        tables.metadata.create_all(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('9999')")

    said = said_of(rushes, url)

    for code, out, err in said:
        one_line(err, "was written by a later rushes (its tables are at 9999", "Upgrade rushes")
        assert (code, out) == (1, "")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"
    engine.dispose()
    assert fake.requests == []


# -- two workers on one file -------------------------------------------------------------------------------------------


def test_a_second_worker_on_one_file_says_so_once_and_takes_over_when_the_first_is_killed(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.job_s = 60
    with Running(rushes.start("worker")) as first:
        first.until_it_says("Working on")
        job_id = rushes.run("generate", "A cat", *SORA, "--detach").stdout.strip()
        until(lambda: fake.book.charged == 1)
        with Running(rushes.start("worker", "--until-idle")) as second:
            second.until_it_says("Another worker works on")

            first.end_by(signal.SIGKILL)
            second.until_it_says("Working on")
            fake.finish()

            assert second.ended() == 0
    assert second.stderr.count("Another worker works on") == 1
    assert shown(rushes, job_id)["state"] == "completed"
    assert fake.book.charged == 1


def test_ctrl_c_ends_a_worker_that_waits_for_its_turn_at_once(rushes: CommandLine) -> None:
    with Running(rushes.start("worker")) as first:
        first.until_it_says("Working on")
        with Running(rushes.start("worker")) as second:
            second.until_it_says("Another worker works on")

            code = second.interrupt()

        assert code == 0
        assert "Traceback" not in second.stderr
        assert first.interrupt() == 0


# -- the server of the database goes away ------------------------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that may be stopped."""
    with PostgresServer(fsync="off") as server:
        yield server


def test_a_wait_outlives_a_stop_of_the_database_server(
    own_server: PostgresServer, rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.job_s = 60
    rushes.env["RUSHES_DATABASE_URL"] = own_server.create()
    with Running(rushes.start("generate", "A cat", *SORA)) as waiting:
        waiting.until_it_says("in progress")

        own_server.stop()
        waiting.until_it_says("All goes on when it is back")
        fake.finish()
        own_server.start()

        assert waiting.ended() == 0, waiting.stderr
    assert Path(waiting.stdout.strip()).is_file()
    assert "Traceback" not in waiting.stderr
    assert fake.book.charged == 1


def told_by(waiting: Running) -> list[str]:
    """What the wait itself said of a database that is away, beside whoever works in the same process."""
    return [line for line in waiting.stderr.splitlines() if line.startswith("in progress") and "back." in line]


def test_a_wait_for_another_workers_job_says_once_that_the_database_is_away(
    own_server: PostgresServer, rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.job_s = 60
    rushes.env["RUSHES_DATABASE_URL"] = own_server.create()
    with Running(rushes.start("worker")) as worker:
        worker.until_it_says("Working on")
        with Running(rushes.start("generate", "A cat", *SORA)) as waiting:
            waiting.until_it_says("in progress")

            own_server.stop()
            until(lambda: bool(told_by(waiting)), lambda: waiting.stderr)
            own_server.start()
            fake.finish()

            assert waiting.ended() == 0, waiting.stderr
        told = told_by(waiting)
        assert len(told) == 1, waiting.stderr
        assert worker.interrupt() == 0
    assert fake.book.charged == 1


# -- the bucket refuses ------------------------------------------------------------------------------------------------

BUCKET_TROUBLES = {
    "no permission": (Refusal(403, "AccessDenied"), "give them the right to list, read, write and delete"),
    "no bucket": (Refusal(404, "NoSuchBucket"), "There is no bucket for"),
    "wrong keys": (Refusal(403, "InvalidAccessKeyId"), "refuses our keys"),
}


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, rushes: CommandLine) -> Iterator[S3]:
    """The command line's bucket."""
    rushes.env.update(s3_server.environment, RUSHES_MEDIA_URL=s3_server.bucket())
    yield s3_server
    s3_server.trouble = None


@pytest.mark.parametrize(("refusal", "words"), BUCKET_TROUBLES.values(), ids=BUCKET_TROUBLES)
def test_nothing_is_bought_for_a_bucket_that_would_not_take_it(
    refusal: Refusal, words: str, s3: S3, rushes: CommandLine, fake: FakeOpenAI
) -> None:
    s3.trouble = refusing(refusal)

    refused = rushes.run("generate", "A cat", *SORA)

    one_line(refused.stderr, words)
    assert SECRET_KEY not in refused.stderr
    assert refused.returncode == 1
    assert fake.requests == []


def test_nothing_is_bought_for_a_bucket_that_is_out_of_reach(rushes: CommandLine, fake: FakeOpenAI) -> None:
    gone = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    rushes.env.update(gone, AWS_REGION="us-east-1", RUSHES_MEDIA_URL="s3://videos")

    refused = rushes.run("generate", "A cat", *SORA)

    one_line(refused.stderr, "The media store cannot be reached at s3://videos")
    assert refused.returncode == 1
    assert fake.requests == []


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal(403, "AccessDenied"), "give them the right to list, read, write and delete"),
        (Refusal(404, "NoSuchBucket"), "There is no bucket for"),
        # The first request is a HEAD, whose answer has no words, so the keys' fault looks like that of their rights.
        (Refusal(403, "InvalidAccessKeyId"), "Correct its keys"),
    ],
    ids=BUCKET_TROUBLES,
)
def test_a_paid_job_waits_for_a_bucket_that_refuses_and_then_completes(
    refusal: Refusal, words: str, s3: S3, rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.job_s = 60
    with Running(rushes.start("generate", "A cat", *SORA)) as waiting:
        waiting.until_it_says("in progress")
        s3.trouble = refusing(refusal)
        fake.finish()

        waiting.until_it_says(words)
        job = the_job(rushes)
        s3.trouble = None

        assert job["state"] in ("downloading", "finishing")
        assert words in job["trouble"]
        assert waiting.ended() == 0, waiting.stderr
    assert waiting.stdout.startswith(rushes.env["RUSHES_MEDIA_URL"])
    assert SECRET_KEY not in waiting.stderr
    assert fake.book.charged == 1


# -- the disk ----------------------------------------------------------------------------------------------------------

VIDEO_BYTES = 12_000_000
ROOM_BYTES = 5_000_000


def leave_room(process: Running, most_bytes: int) -> None:
    """No file that the process writes may grow larger: a full disk, as far as it can tell."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (most_bytes, hard))


def parts(rushes: CommandLine) -> list[int]:
    return [part.stat().st_size for part in (rushes.home / "spool").glob("*.part")]


def resumed_from(fake: FakeOpenAI) -> str:
    """The offset that the last download of a video asked for."""
    [*_, last] = [each for each in fake.requests if each.path.endswith("/content") and "variant" not in each.query]
    return last.headers.get("range", "")


def test_a_full_disk_in_mid_download_keeps_what_came_and_goes_on_when_there_is_room(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.job_s, fake.video_bytes = 60, VIDEO_BYTES
    with Running(rushes.start("generate", "A cat", *SORA, "--no-thumbnail", "--no-spritesheet")) as making:
        making.until_it_says("in progress")
        leave_room(making, ROOM_BYTES)
        fake.finish()

        making.until_it_says("No room to write")
        job, kept = the_job(rushes), parts(rushes)
        leave_room(making, resource.RLIM_INFINITY)

        assert making.ended() == 0, making.stderr
    assert job["state"] == "downloading"
    assert "No room to write" in job["trouble"]
    assert [0 < size <= ROOM_BYTES for size in kept] == [True]
    assert resumed_from(fake) == f"bytes={kept[0]}-"
    assert Path(making.stdout.strip()).stat().st_size == VIDEO_BYTES
    assert parts(rushes) == []
    assert fake.book.charged == 1


def test_a_process_killed_while_the_disk_is_full_leaves_its_part_to_the_next(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    fake.job_s, fake.video_bytes = 60, VIDEO_BYTES
    with Running(rushes.start("generate", "A cat", *SORA, "--no-thumbnail", "--no-spritesheet")) as making:
        making.until_it_says("in progress")
        leave_room(making, ROOM_BYTES)
        fake.finish()
        making.until_it_says("No room to write")
        job = the_job(rushes)
        making.end_by(signal.SIGKILL)
    [kept] = parts(rushes)

    done = rushes.run("jobs", "wait", job["id"])

    assert done.returncode == 0, done.stderr
    assert resumed_from(fake) == f"bytes={kept}-"
    assert Path(done.stdout.strip()).stat().st_size == VIDEO_BYTES
    assert fake.book.charged == 1


# -- rights ------------------------------------------------------------------------------------------------------------


def bound(rushes: CommandLine, *args: str) -> "subprocess.CompletedProcess[str]":
    """Run it so that the rights of files bind it, whoever runs the tests."""
    rushes.env["PYTHONPATH"] = str(ROOT)
    return rushes.run(*args, module="tests.bound_by_rights")


@pytest.fixture
def with_a_home(rushes: CommandLine) -> Iterator[CommandLine]:
    """A command line whose home was in use before, and may be written again in the end."""
    assert rushes.run("jobs", "list").returncode == 0
    yield rushes
    for path in (rushes.home, *rushes.home.rglob("*")):
        path.chmod(0o700)


@pytest.mark.parametrize("arguments", [("jobs", "list"), ("worker", "--until-idle"), ("generate", "A cat", *SORA)])
def test_a_home_that_may_not_be_written_is_one_line(
    arguments: tuple[str, ...], with_a_home: CommandLine, fake: FakeOpenAI
) -> None:
    shutil.rmtree(with_a_home.home / "spool")
    with_a_home.home.chmod(0o500)

    refused = bound(with_a_home, *arguments)

    one_line(refused.stderr, str(with_a_home.home), "RUSHES_HOME")
    assert refused.returncode == 1
    assert fake.requests == []


@pytest.mark.parametrize("arguments", [("worker", "--until-idle"), ("generate", "A cat", *SORA)])
def test_a_database_file_that_may_not_be_written_is_one_line(
    arguments: tuple[str, ...], with_a_home: CommandLine, fake: FakeOpenAI
) -> None:
    with_a_home.database.chmod(0o400)

    refused = bound(with_a_home, *arguments)

    *_, last = refused.stderr.splitlines(keepends=True)
    one_line(last, str(with_a_home.database), "written")
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert fake.requests == []


def test_a_spool_that_is_missing_is_made_again(with_a_home: CommandLine, fake: FakeOpenAI) -> None:
    shutil.rmtree(with_a_home.home / "spool")

    made = with_a_home.run("generate", "A cat", *SORA)

    assert made.returncode == 0, made.stderr
    assert fake.book.charged == 1


def test_a_spool_that_vanishes_in_mid_job_is_made_again(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.job_s = 60
    with Running(rushes.start("generate", "A cat", *SORA)) as making:
        making.until_it_says("in progress")
        shutil.rmtree(rushes.home / "spool")
        fake.finish()

        assert making.ended() == 0, making.stderr
    assert fake.book.charged == 1


# -- providers ---------------------------------------------------------------------------------------------------------


def test_a_job_whose_provider_left_the_settings_waits_until_it_is_back(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.job_s = 60
    settings = rushes.folder / "rushes.toml"
    section = f'[providers.studio]\nkind = "openai"\nbase_url = "{fake.base_url}"\napi_key_env = "STUDIO_KEY"\n'
    settings.write_text(section)
    rushes.env["STUDIO_KEY"] = fake.api_key or ""
    with Running(rushes.start("generate", "A cat", "-m", "studio:video:sora-2", "--seconds", "4")) as making:
        making.until_it_says("in progress")
        making.end_by(signal.SIGKILL)
    settings.write_text("")
    with Running(rushes.start("worker")) as worker:
        worker.until_it_says("Working on")
        fake.finish()

        job = until_it_waits_for(rushes, "studio")

        assert job["state"] == "in_progress"
        assert worker.interrupt() == 0
    settings.write_text(section)
    assert rushes.run("worker", "--until-idle").returncode == 0
    assert shown(rushes, job["id"])["state"] == "completed"
    assert fake.book.charged == 1


def test_a_key_that_is_refused_while_a_job_runs_keeps_it_and_says_why(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.job_s = 60
    with Running(rushes.start("generate", "A cat", *SORA)) as making:
        making.until_it_says("in progress")
        fake.faults.poll = [Fault.status(401).always()]

        making.until_it_says("HTTP 401")
        job = the_job(rushes)
        told = rushes.run("jobs", "show", job["id"])
        fake.faults.poll = []
        fake.finish()

        assert making.ended() == 0, making.stderr
    assert "waiting      Looking again soon: " in told.stdout
    assert job["state"] == "in_progress"
    assert fake.book.charged == 1


# -- money -------------------------------------------------------------------------------------------------------------


def test_a_day_that_is_spent_is_refused_with_what_is_held_settled_and_free(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    (rushes.folder / "rushes.toml").write_text(LOOK_OFTEN + '[budget]\nper_day_usd = "1"\n')
    assert rushes.run("generate", "A cat", *SORA).returncode == 0
    fake.job_s = 60
    with Running(rushes.start("generate", "A dog", *SORA)) as making:
        making.until_it_says("in progress")

        refused = rushes.run("generate", "A bird", *SORA)
        spent = rushes.run("spend")
        as_csv = rushes.run("spend", "--csv", "-")

        fake.finish()
        assert making.ended() == 0, making.stderr
    assert refused.returncode == 3
    for words in ("This would cost $0.40", "per_day_usd is $1.00", "$0.40 held", "$0.40 settled", "$0.20 free"):
        assert words in refused.stderr
    assert spent.stdout.splitlines()[-1].split() == ["[budget]", "per_day_usd", "$1.00", "$0.40", "$0.40", "$0.20"]
    assert as_csv.stdout.splitlines()[1].partition(",")[2] == "2,0.40,0.40,0.00,0"
    assert fake.book.charged == 2
