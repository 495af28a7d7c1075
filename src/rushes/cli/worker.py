"""`rushes worker`: the process that works, in the foreground."""

import sys
from pathlib import Path

import click

from rushes import config
from rushes.app import App
from rushes.cli.run import Interrupted, common_options, run, set_up_logging, settings_of
from rushes.jobs.worker import READY


@click.command()
@click.option("--until-idle", is_flag=True, help="End when no open job is left.")
@click.option("--settings-from-stdin", is_flag=True, hidden=True, help="Used by rushes itself: keys and all.")
@common_options
def worker(until_idle: bool, settings_from_stdin: bool, env_file: Path | None, log_level: str | None) -> None:
    """Work on open jobs: submit, wait, download.

    One worker works at a time on an SQLite file; another waits for its turn. SIGTERM and Ctrl-C end it in order:
    a request that is on its way is waited for, all else goes on with the next worker.
    """
    if settings_from_stdin:
        settings = config.from_json(sys.stdin.read())
        set_up_logging(settings.log_level)
    else:
        settings = settings_of(env_file, log_level)

    async def work(app: App) -> None:
        if settings_from_stdin:
            click.echo(READY)
        else:
            click.echo(f"Working on {app.db.path}", err=True)
        await app.worker.run(until_idle=until_idle)

    try:
        # Whoever stops a worker means it, so it leaves none behind.
        run(settings, work, leave_worker=False)
    except Interrupted:
        sys.exit(0)
