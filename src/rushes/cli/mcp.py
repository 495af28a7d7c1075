"""`rushes mcp`: the same App as tools for assistants. Standard output carries the protocol, and nothing else."""

import importlib
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.abc
import click

from rushes import telemetry
from rushes.app import App
from rushes.cli.generate import dollars_option
from rushes.cli.run import common_options, settings_of
from rushes.config import Settings
from rushes.errors import ConfigError


@click.command()
@click.option("--max-cost-usd", metavar="USD", help="What this session may spend in all. Default: no such limit.")
@common_options
def mcp(max_cost_usd: str | None, env_file: Path | None, log_level: str | None) -> None:
    """Offer rushes to assistants, over MCP on stdin and stdout.

    An MCP client starts it. It ends when the client closes stdin, or with SIGTERM or Ctrl-C; open jobs go on in the
    background.
    """
    cap_usd = dollars_option("--max-cost-usd", max_cost_usd)
    _check_installed()
    settings = settings_of(env_file, log_level)
    if sys.stdin.isatty():
        click.echo("rushes: speaking MCP on stdin and stdout, for a client to start. Ctrl-C ends it.", err=True)
    telemetry.set_up(settings)
    try:
        anyio.run(_serve, settings, cap_usd)
    finally:
        telemetry.shut_down()


def _check_installed() -> None:
    """Raise ConfigError where the extra is missing, or brought a version with other names."""
    try:
        importlib.import_module("rushes.mcp")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise ConfigError(
            "rushes mcp needs the MCP library, version 2. Install it: pip install 'rushes[mcp]'"
        ) from error


async def _serve(settings: Settings, cap_usd: Decimal | None) -> None:
    """Serve until the client or a signal ends it. A signal that comes while we close does not break that off."""
    from rushes.mcp import Wire, serve

    failed: list[Exception] = []
    with Wire() as wire:
        async with anyio.create_task_group() as tasks:
            await tasks.start(_end_by_signal, wire.stop)
            try:
                async with App(settings, say=_say) as app:
                    await serve(app, wire, max_cost_usd=cap_usd)
            except Exception as error:
                failed.append(error)  # raised below, so that it does not come wrapped into a group
            tasks.cancel_scope.cancel()
    if failed:
        raise failed[0]


async def _end_by_signal(stop: Callable[[], None], *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """The first signal ends the session in order; the next does what the system has it do."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            stop()
            return


def _say(words: str) -> None:
    click.echo(f"rushes: {words}", err=True)
