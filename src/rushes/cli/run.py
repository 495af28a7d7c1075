"""What the commands share: settings from options, one App, signals, logging."""

import functools
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import anyio
import click

from rushes import config
from rushes.app import App
from rushes.config import Settings
from rushes.errors import RushesError

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
    set_up_logging(settings.log_level)
    return settings


def run(settings: Settings, work: Callable[[App], Awaitable[T]], *, leave_worker: bool = True) -> T:
    """Open an App, do the work in it, and close it. Ctrl-C and SIGTERM cancel the work, never the closing."""

    hooks = click.get_current_context().find_object(Hooks) or Hooks()

    def say(words: str) -> None:
        click.echo(f"rushes: {words}", err=True)

    async def main() -> T:
        async with App(settings, leave_worker=leave_worker, say=say, reached=hooks.reached) as app:
            return await until_signal(work, app)

    return anyio.run(main)


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


class _Lines(logging.Formatter):
    """`event key=value …`: names and numbers, no prose."""

    def format(self, record: logging.LogRecord) -> str:
        own = vars(record).keys() - vars(logging.makeLogRecord({})).keys() - {"message", "asctime", "taskName"}
        facts = " ".join(f"{name}={getattr(record, name)}" for name in sorted(own))
        text = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {record.getMessage()} {facts}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text.rstrip()


def set_up_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("rushes").setLevel(level.upper())


def print_json(data: Any) -> None:
    """One JSON document on stdout; decimals, dates and paths as text."""
    click.echo(json.dumps(data, indent=2, default=str, ensure_ascii=False))
