"""`rushes worker`: the process that works, in the foreground."""

import sys
from pathlib import Path

import anyio
import click

from rushes import config
from rushes.app import App
from rushes.cli.run import Interrupted, common_options, run, set_up_logging, settings_of
from rushes.errors import RushesError
from rushes.jobs.worker import READY

LOOK_EVERY_S = 0.25


@click.command()
@click.option("--until-idle", is_flag=True, help="End when no open job is left.")
@click.option("--settings-from-stdin", is_flag=True, hidden=True, help="Used by rushes itself: keys and all.")
@common_options
def worker(until_idle: bool, settings_from_stdin: bool, env_file: Path | None, log_level: str | None) -> None:
    """Work on open jobs: submit, wait, download.

    One worker works at a time on an SQLite file; another says so and waits for its turn. SIGTERM and Ctrl-C end it in
    order: a request that is on its way is waited for, all else goes on with the next worker.
    """
    if settings_from_stdin:
        settings = config.from_json(sys.stdin.read())
        set_up_logging(settings)
    else:
        settings = settings_of(env_file, log_level)

    async def work(app: App) -> None:
        if settings_from_stdin:
            click.echo(READY)
            await app.worker.run(until_idle=until_idle)
        else:
            await _work_and_tell(app, until_idle)

    try:
        # Whoever stops a worker means it, so it leaves none behind.
        run(settings, work, leave_worker=False)
    except Interrupted:
        sys.exit(0)


async def _work_and_tell(app: App, until_idle: bool) -> None:
    """Work, and tell beside it whether we do, or wait for our turn."""
    failed: RushesError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell, app)
        try:
            await app.worker.run(until_idle=until_idle)
        except RushesError as error:
            failed = error  # raised below, so that it does not come wrapped into a group
        tasks.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _tell(app: App) -> None:
    """Say once that we work; before that, once, that another does, where we have to wait for it."""
    waits = False
    while not app.worker.working:  # nobody tells when a lock is free
        if not waits and await _another_works(app):
            waits = True
            click.echo(
                f"Another worker works on {app.db.where}. Waiting for it to end; Ctrl-C ends the wait.", err=True
            )
        await anyio.sleep(LOOK_EVERY_S)
    click.echo(f"Working on {app.db.where}", err=True)


async def _another_works(app: App) -> bool:
    """Whether another worker holds the one place that a file has; a server has room for all."""
    return app.db.path is not None and await app.worker.somebody_else_works()
