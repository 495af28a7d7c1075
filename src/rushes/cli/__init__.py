"""The command line: each command parses, calls the core, and prints. One file per group, loaded when it is used."""

import importlib
from collections.abc import Mapping
from typing import NamedTuple

import click

from rushes.version import VERSION


class _Entry(NamedTuple):
    module: str
    attribute: str
    help: str


COMMANDS: Mapping[str, _Entry] = {
    "generate": _Entry("rushes.cli.generate", "generate", "Make a video and print its path."),
    "jobs": _Entry("rushes.cli.jobs", "jobs", "List, watch, cancel and decide about jobs."),
    "videos": _Entry("rushes.cli.videos", "videos", "List, show, tag, export and collect finished videos."),
    "provenance": _Entry("rushes.cli.provenance", "provenance", "Where a file comes from, by its manifest."),
    "characters": _Entry("rushes.cli.characters", "characters", "Keep a character's looks from video to video."),
    "models": _Entry("rushes.cli.models", "models", "What each model can do and what it costs."),
    "providers": _Entry("rushes.cli.models", "providers", "Which providers are set up and answer."),
    "spend": _Entry("rushes.cli.spend", "spend", "What was spent, and what the limits leave free."),
    "serve": _Entry("rushes.cli.serve", "serve", "Serve the OpenAI Videos API over any model."),
    "keys": _Entry("rushes.cli.keys", "keys", "Who may call the gateway, and what they may spend."),
    "webhooks": _Entry("rushes.cli.webhooks", "webhooks", "Tell others when a video is done."),
    "mcp": _Entry("rushes.cli.mcp", "mcp", "Offer rushes to assistants, over MCP on stdio."),
    "init": _Entry("rushes.cli.init", "init", "Begin with a settings file or an example."),
    "doctor": _Entry("rushes.cli.doctor", "doctor", "Check this installation."),
    "db": _Entry("rushes.cli.db", "db", "Upgrade, back up and restore the database."),
    "worker": _Entry("rushes.cli.worker", "worker", "Work on open jobs."),
}
"""Written out, so that `--help` need not import what the commands need."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(COMMANDS)}."
            raise click.UsageError(f"There is no command {args[0]!r}. {hint}", ctx) from error


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="rushes")
def cli() -> None:
    """The workbench for AI video: one request, any model, jobs that are never paid twice."""
