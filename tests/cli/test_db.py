"""`rushes db upgrade`, and what `doctor` says of either database."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from rushes.jobs import migrations, tables
from rushes.testing.fake_openai import FakeOpenAI
from tests.command_line import CommandLine


def older(url: str) -> str:
    """A database with the tables of the first release."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        migrations.upgrade(connection, "0001")
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def on_either(request: pytest.FixtureRequest, tmp_path: Path) -> CommandLine:
    """A command line over an empty database."""
    if request.param == "postgresql":
        url = str(request.getfixturevalue("empty_postgres_url"))
    else:
        url = f"sqlite:///{tmp_path / 'rushes.db'}"
    return CommandLine(tmp_path, {"RUSHES_DATABASE_URL": url})


def test_an_upgrade_that_is_due_is_found_made_and_then_done(on_either: CommandLine) -> None:
    older(on_either.env["RUSHES_DATABASE_URL"])

    due = on_either.run("db", "upgrade", "--check")
    made = on_either.run("db", "upgrade")
    again = on_either.run("db", "upgrade")
    done = on_either.run("db", "upgrade", "--check")

    head = tables.HEAD
    assert (due.returncode, due.stdout) == (1, f"An upgrade is due, from 0001 to {head}. Run: rushes db upgrade\n")
    assert (made.returncode, made.stdout) == (0, f"The tables were upgraded from 0001 to {head}.\n")
    assert (again.returncode, again.stdout) == (0, f"The tables were up to date ({head}).\n")
    assert (done.returncode, done.stdout) == (0, f"The tables are up to date ({head}).\n")


def test_an_empty_database_gets_its_tables(on_either: CommandLine) -> None:
    before = on_either.run("db", "upgrade", "--check")
    made = on_either.run("db", "upgrade")

    assert (before.returncode, "has no tables yet" in before.stdout) == (0, True)
    assert (made.returncode, made.stdout) == (0, f"The tables were made ({tables.HEAD}).\n")


def test_a_server_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    nowhere = CommandLine(tmp_path, {"RUSHES_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/rushes"})

    for command in (("db", "upgrade"), ("jobs", "list"), ("doctor",)):
        result = nowhere.run(*command)

        assert result.returncode == 1
        assert result.stderr.startswith("rushes: postgresql://127.0.0.1:1/rushes cannot be reached")
        assert result.stderr.count("\n") == 1
        assert "secret" not in result.stderr + result.stdout


def test_other_commands_ask_for_the_upgrade_of_a_server(empty_postgres_url: str, tmp_path: Path) -> None:
    rushes = CommandLine(tmp_path, {"RUSHES_DATABASE_URL": older(empty_postgres_url)})

    result = rushes.run("jobs", "list")

    assert result.returncode == 1
    assert "run: rushes db upgrade" in result.stderr


def test_the_doctor_names_the_database_and_who_works_on_it(on_either: CommandLine) -> None:
    found = json.loads(on_either.run("doctor", "--json").stdout)

    [database] = [finding for finding in found if finding["check"] == "database"]
    kind = on_either.env["RUSHES_DATABASE_URL"].partition(":")[0]
    assert database["good"]
    assert database["says"].startswith({"sqlite": "SQLite 3.", "postgresql": "PostgreSQL 18"}[kind])
    assert database["says"].endswith("can be written; no worker is at work")


# -- backup --------------------------------------------------------------------------------------------


def versions_in(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT version_num FROM alembic_version").fetchall()


def test_a_backup_is_a_whole_database_of_its_own(offline: CommandLine, tmp_path: Path) -> None:
    offline.run("db", "upgrade")

    result = offline.run("db", "backup", "copy.db")

    assert (result.returncode, result.stdout.startswith("copy.db: ")) == (0, True), result.stderr
    assert "MB, checked" in result.stdout
    assert versions_in(tmp_path / "copy.db") == [(tables.HEAD,)]
    assert {path.name for path in tmp_path.iterdir()} == {"home", "copy.db"}, "nothing is left behind"


def test_a_backup_holds_what_was_written_last_though_a_writer_is_at_it(offline: CommandLine, tmp_path: Path) -> None:
    offline.run("db", "upgrade")
    with closing(sqlite3.connect(offline.database, isolation_level=None)) as writer:
        writer.execute("INSERT INTO lanes (provider) VALUES ('committed')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO lanes (provider) VALUES ('not yet')")

        result = offline.run("db", "backup", "copy.db")

        writer.execute("ROLLBACK")
    assert result.returncode == 0, result.stderr
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT provider FROM lanes").fetchall() == [("committed",)]


def test_an_earlier_backup_is_replaced_by_force_alone(offline: CommandLine, tmp_path: Path) -> None:
    offline.run("db", "upgrade")
    target = tmp_path / "copy.db"
    target.write_text("precious")

    refused = offline.run("db", "backup", "copy.db")
    kept = target.read_text()
    forced = offline.run("db", "backup", "--force", "copy.db")

    assert (refused.returncode, kept) == (1, "precious")
    assert "copy.db exists. Name another file, or replace it with --force." in refused.stderr
    assert forced.returncode == 0, forced.stderr
    assert versions_in(target) == [(tables.HEAD,)]


def test_a_backup_that_cannot_be_made_is_one_line_and_leaves_nothing(offline: CommandLine, tmp_path: Path) -> None:
    missing = offline.run("db", "backup", "copy.db")
    offline.run("db", "upgrade")
    itself = offline.run("db", "backup", "--force", "home/rushes.db")
    nowhere = offline.run("db", "backup", "no/such/folder/copy.db")
    folder = offline.run("db", "backup", "--force", "home")
    offline.database.write_bytes(b"SQLite format 3\0" + b"no" * 4000)
    damaged = offline.run("db", "backup", "copy.db")

    for result, words in (
        (missing, "There is no database"),
        (itself, "is the database itself"),
        (nowhere, "cannot be copied to no/such/folder"),
        (folder, "home is a folder"),
        (damaged, "is damaged"),
    ):
        assert result.returncode == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_of_a_server_the_backup_names_its_own_tool_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://rushes:se%2Fcret@db.internal/rushes?sslmode=require"
    rushes = CommandLine(tmp_path, {"RUSHES_DATABASE_URL": url})

    result = rushes.run("db", "backup", "rushes.dump")

    assert result.returncode == 1
    dump = "pg_dump --format=custom --file=rushes.dump 'postgresql://rushes@db.internal/rushes?sslmode=require'"
    assert result.stdout == f"{dump}\n"
    assert "cret" not in result.stderr + result.stdout


# -- restored ------------------------------------------------------------------------------------------


def test_a_job_sent_after_the_backup_is_paid_once_when_the_restore_was_told(
    rushes: CommandLine, fake: FakeOpenAI
) -> None:
    (rushes.folder / "rushes.toml").write_text("[providers.openai]\ncreate_timeout_s = 1\npoll_interval_ms = 100\n")
    rushes.crash_at("job.admitted", "generate", "A kite", "-m", "openai:video:sora-2", "--seconds", "4")
    assert rushes.run("db", "backup", "copy.db").returncode == 0
    assert rushes.run("worker", "--until-idle").returncode == 0
    charged = fake.book.charged
    for lost in rushes.home.glob("rushes.db*"):
        lost.unlink()
    (rushes.folder / "copy.db").rename(rushes.database)

    told = rushes.run("db", "restored")
    again = rushes.run("db", "restored")
    worked = rushes.run("worker", "--until-idle")
    [job] = json.loads(rushes.run("jobs", "list", "--json").stdout)

    assert told.stdout == "1 job was put in doubt: its provider is asked before anything is sent. Start the workers.\n"
    assert again.stdout == "No job is in doubt by the restore. Start the workers.\n"
    assert worked.returncode == 0, worked.stderr
    assert job["state"] == "completed"
    assert (charged, fake.book.charged) == (1, 1)


def test_nothing_is_put_in_doubt_while_a_worker_works(rushes: CommandLine, fake: FakeOpenAI) -> None:
    fake.job_s = 600
    rushes.run("generate", "A kite", "-m", "openai:video:sora-2", "--seconds", "4", "--detach")

    told = rushes.run("db", "restored")

    fake.finish()
    assert told.returncode == 1
    assert told.stderr == "rushes: A worker is at work. Stop every worker, and whatever submits; then run it again.\n"
    assert rushes.run("worker", "--until-idle").returncode == 0
