"""A backup of the ledger: a consistent copy of an SQLite file, made while others write to it.

A server has tools of its own, which do it better; of that only the command is known here.
"""

import os
import shlex
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from rushes.errors import ConfigError, Conflict, MediaError, StoreFull
from rushes.jobs.database import FORMS

BUSY_TIMEOUT_S = 30.0


def back_up(database: Path, target: Path, *, replace: bool = False) -> int:
    """Copy the database as it is at this moment, and check the copy. Returns its size in bytes.

    The target is whole or not there: it is written under another name first. Raises Conflict if it exists and may not
    be replaced, ConfigError without a database or a place to write to, StoreFull, and MediaError for a damaged one.
    """
    if not database.is_file():
        raise ConfigError(f"There is no database {database} yet. See RUSHES_HOME and RUSHES_DATABASE_URL.")
    if target.exists() and target.samefile(database):
        raise Conflict(f"{target} is the database itself. Name another file.")
    _check_free(target, replace)
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        _copy(database, part)
        _check_copy(part)
        shutil.copymode(database, part)
        _sync(part)
        _check_free(target, replace)
        part.replace(target)
        _sync(target.parent)
        return target.stat().st_size
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}. Name another file.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def file_of(url_text: str) -> Path | None:
    """The file of an SQLite database; None for one on a server. Raises ConfigError."""
    try:
        url = sa.make_url(url_text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"RUSHES_DATABASE_URL is not a database address. Use {FORMS}.") from error
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def dump_command(url_text: str, target: Path) -> str:
    """The command that backs up a PostgreSQL database; without its password, which belongs on no command line."""
    url = sa.make_url(url_text).set(drivername="postgresql")
    kept = {name: value for name, value in url.query.items() if name != "password"}
    # Rebuilt, for nothing else takes a password out of an address.
    bare = sa.URL.create(
        "postgresql", username=url.username, host=url.host, port=url.port, database=url.database, query=kept
    )
    address = bare.render_as_string(hide_password=False)
    return shlex.join(["pg_dump", "--format=custom", f"--file={target}", address])


def _check_free(target: Path, replace: bool) -> None:
    if target.is_dir():
        raise Conflict(f"{target} is a folder. Name a file in it.")
    if target.exists() and not replace:
        raise Conflict(f"{target} exists. Name another file, or replace it with --force.")


def _copy(database: Path, part: Path) -> None:
    """By VACUUM INTO: it reads one moment, holds up no writer, and leaves out what was deleted."""
    try:
        with closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S)
        ) as db:
            db.execute("VACUUM INTO ?", [str(part)])
    except sqlite3.Error as error:
        words = str(error)
        if "full" in words or "I/O" in words:
            raise StoreFull(f"No room to write {part.parent}: {words}. Free some space.") from error
        if "malformed" in words or "not a database" in words:
            raise MediaError(f"{database} is damaged ({words}). Restore it from an earlier backup.") from error
        raise ConfigError(f"{database} cannot be copied to {part.parent}: {words}.") from error


def _check_copy(part: Path) -> None:
    try:
        with closing(sqlite3.connect(part)) as copy:
            found = copy.execute("PRAGMA quick_check").fetchone()[0]
            copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise MediaError(f"The copy is no rushes database: {error}. It was thrown away.") from error
    if found != "ok":
        raise MediaError(f"The copy is damaged: {found}. It was thrown away; is the disk failing?")


def _sync(path: Path) -> None:
    """Let it survive a power cut."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
