"""`rushes characters`: people and things that keep their looks from one video to the next."""

from dataclasses import asdict
from pathlib import Path

import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import table
from rushes.jobs.shelf import Character


@click.group()
def characters() -> None:
    """Make characters from short clips, to name in prompts later."""


@characters.command()
@click.argument("name")
@click.argument("clip")
@click.option("-m", "--model", help="A model of the provider that is to keep it.")
@click.option("--json", "as_json", is_flag=True)
@common_options
def create(
    name: str, clip: str, model: str | None, as_json: bool, env_file: Path | None, log_level: str | None
) -> None:
    """Make the character NAME from CLIP, an MP4 of 2 to 4 seconds: a file, an https URL or a data URI.

    Then name it: rushes generate "NAME waves" --character ID
    """

    async def work(app: App) -> Character:
        return await app.make_character(name, clip, model=model)

    made = run(settings_of(env_file, log_level), work, leave_worker=False)
    print_json(asdict(made)) if as_json else click.echo(made.id)


@characters.command("list")
@click.option("--json", "as_json", is_flag=True)
@common_options
def list_(as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """List the characters made from here, newest first."""

    async def work(app: App) -> list[Character]:
        return await app.characters.all()

    found = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json([asdict(character) for character in found])
        return
    if not found:
        click.echo("No characters yet. Make one: rushes characters create NAME CLIP.mp4", err=True)
    table(
        ["ID", "NAME", "PROVIDER", "THERE", "MADE"],
        [[c.id, c.name, c.provider, c.remote_id, c.created_at.strftime("%Y-%m-%d %H:%M")] for c in found],
    )


@characters.command()
@click.argument("character")
@click.option("--json", "as_json", is_flag=True)
@common_options
def show(character: str, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Show a CHARACTER, by its id or name."""

    async def work(app: App) -> Character:
        return await app.characters.get(character)

    found = asdict(run(settings_of(env_file, log_level), work, leave_worker=False))
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name:<12} {value}")
