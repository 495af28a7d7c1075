"""What the commands share: settings from options, one App, signals, logging."""

import functools
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import anyio
import click

from rushes import config, logs, telemetry
from rushes.app import App
from rushes.config import Settings
from rushes.errors import RushesError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

DETACHED = 130


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a caller of the command line may observe; handed in as click's `obj`."""

    reached: Callable[[str], None] | None = None


class Interrupted(RushesError):
    """Ctrl-C or SIGTERM came while waiting."""

    code = "interrupted"
    exit_code = DETACHED


def common_options(function: Callable[P, T]) -> Callable[P, T]:
    """`--env-file` and `--log-level`, which every command takes."""

    @click.option("--env-file", type=click.Path(path_type=Path), help="Read variables from this file first.")
    @click.option("--log-level", help="debug, info, warning or error; on stderr.")
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    return wrapper


def settings_of(env_file: Path | None, log_level: str | None) -> Settings:
    settings = config.load(env_file=env_file, log_level=log_level)
    set_up_logging(settings)
    return settings


def run(settings: Settings, work: Callable[[App], Awaitable[T]], *, leave_worker: bool = True) -> T:
    """Open an App, do the work in it, and close it. Ctrl-C and SIGTERM cancel the work, never the closing."""

    hooks = click.get_current_context().find_object(Hooks) or Hooks()

    def say(words: str) -> None:
        click.echo(f"rushes: {words}", err=True)

    async def main() -> T:
        async with App(settings, leave_worker=leave_worker, say=say, reached=hooks.reached) as app:
            return await until_signal(work, app)

    telemetry.set_up(settings)
    try:
        return anyio.run(main)
    finally:
        telemetry.shut_down()


async def until_signal(work: Callable[[App], Awaitable[T]], app: App) -> T:
    """Do the work; a signal cancels it and raises Interrupted."""
    done: list[T] = []
    failed: list[Exception] = []
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    tasks.cancel_scope.cancel()
                    return

        tasks.start_soon(listen)
        try:
            done.append(await work(app))
        except Exception as error:
            failed.append(error)  # raised below, so that it does not come wrapped into a group
        tasks.cancel_scope.cancel()
    if failed:
        raise failed[0]
    if not done:
        raise Interrupted("interrupted")
    return done[0]


def set_up_logging(settings: Settings) -> None:
    """Send every record to stderr, redacted; ours from the level of the settings on, those of libraries if they warn.

    A traceback that nobody caught goes the same way: it may quote what no log may hold.
    """
    logs.hide(*logs.secrets_of(settings))
    handler = logs.handler(sys.stderr, settings.log_format)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("rushes").setLevel(settings.log_level.upper())
    # The workflow library prints by itself, and unredacted, unless its logger has a handler when it is loaded.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    # A warning for each broken body, with its sender's characters in it: the answer says that already.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # A collector that is away is told of once a batch, not at each retry.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("process.bug", exc_info=(kind, error, trace))


def print_json(data: Any) -> None:
    """One JSON document on stdout; decimals, dates and paths as text."""
    click.echo(json.dumps(data, indent=2, default=str, ensure_ascii=False))
