"""`rushes db`: care of the database that the settings name."""

import sys
from pathlib import Path

import anyio
import click

from rushes.app import App
from rushes.cli.run import common_options, run, settings_of
from rushes.jobs.backup import back_up, dump_command, file_of
from rushes.jobs.database import Database, Upgrade
from rushes.jobs.restore import Restored, put_in_doubt
from rushes.jobs.services import utc_now
from rushes.jobs.tables import HEAD, KNOWN_VERSIONS


@click.group()
def db() -> None:
    """Care of the database."""


@db.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if the tables are not of this release.")
@common_options
def upgrade(check: bool, env_file: Path | None, log_level: str | None) -> None:
    """Bring the tables of the database up to this release.

    A file is upgraded by itself when it is opened; a PostgreSQL database only by this command. Stop the workers of the
    earlier release first, and make a backup. Running it again does nothing.
    """
    url = settings_of(env_file, log_level).database_url
    if check:
        found = anyio.run(Database.version, url)
        click.echo(_state(found))
        sys.exit(0 if found in (None, HEAD) else 1)
    click.echo(_deed(anyio.run(Database.upgrade, url)))


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@common_options
def backup(file: Path, force: bool, env_file: Path | None, log_level: str | None) -> None:
    """Copy the database into FILE, while workers work, and check the copy.

    This is for SQLite. Of a PostgreSQL database it names the command that makes the backup.
    """
    url = settings_of(env_file, log_level).database_url
    if (database := file_of(url)) is None:
        # Not as an error: what those quote of an address is made unreadable, and this is to be copied.
        click.echo(
            "The database lies on a server, whose own tool makes the backup; it asks for the password:", err=True
        )
        click.echo(dump_command(url, file))
        sys.exit(1)
    size_bytes = back_up(database, file, replace=force)
    click.echo(f"{file}: {size_bytes / 1e6:.1f} MB, checked. Now back up the media, too.")


@db.command()
@click.option("--anyway", is_flag=True, help="Go on where a provider is not set up: you decide about its jobs.")
@common_options
def restored(anyway: bool, env_file: Path | None, log_level: str | None) -> None:
    """Put in doubt what may have been sent since a backup. Run it after each restore, before anything else.

    A restored ledger does not know what was sent after the backup, and would pay for it again. So each open job of
    which nothing was accepted is put in doubt: the workers ask its provider before they send anything, and where the
    answer would prove nothing, you decide.
    """

    async def work(app: App) -> Restored:
        return await put_in_doubt(app.db, app.providers, utc_now(), anyway=anyway)

    done = run(settings_of(env_file, log_level), work, leave_worker=False)
    if done == Restored(0, 0):
        click.echo("No job is in doubt by the restore. Start the workers.")
    elif done.asked:
        jobs, their = ("1 job was", "its") if done.asked == 1 else (f"{done.asked} jobs were", "their")
        click.echo(f"{jobs} put in doubt: {their} provider is asked before anything is sent. Start the workers.")
    if done.people:
        jobs = "1 job waits" if done.people == 1 else f"{done.people} jobs wait"
        click.echo(f"{jobs} for your decision: rushes jobs list --state needs_attention")


def _state(found: str | None) -> str:
    if found is None:
        return "The database has no tables yet; the first command that needs them makes them."
    if found == HEAD:
        return f"The tables are up to date ({HEAD})."
    if found in KNOWN_VERSIONS:
        return f"An upgrade is due, from {found} to {HEAD}. Run: rushes db upgrade"
    return f"The tables are of a later rushes ({found}; this one knows {HEAD}). Upgrade rushes."


def _deed(done: Upgrade) -> str:
    if done.before is None:
        return f"The tables were made ({done.after})."
    if done.before == done.after:
        return f"The tables were up to date ({done.after})."
    return f"The tables were upgraded from {done.before} to {done.after}."
