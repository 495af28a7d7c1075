"""`rushes init`: a settings file to begin with, or an example to take apart. Nothing in either spends by itself."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from rushes.config import CONFIG_NAME, nearest
from rushes.errors import RushesError


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--example", metavar="NAME", help="Copy this example into FOLDER, else into a folder of its name.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def init(folder: Path | None, example: str | None, force: bool) -> None:
    """Write a commented rushes.toml into FOLDER (default: here), or copy an example.

    Prints the paths of the files it wrote. Without --force it overwrites nothing.
    """
    if example is None:
        folder, sources = folder or Path(), [_shipped().joinpath(CONFIG_NAME)]
    else:
        folder, sources = folder or Path(example), _files_of(example)
    for path in _written(folder, sources, force):
        click.echo(str(path))
    if example is not None:
        click.echo(f"Try it, offline and for nothing: cd {folder} && python make_videos.py --draft", err=True)


def _shipped() -> Traversable:
    return files("rushes").joinpath("examples")


def _files_of(example: str) -> list[Traversable]:
    """The files of an example; an unknown name is answered with the nearest, and with all."""
    known = {entry.name: entry for entry in _shipped().iterdir() if entry.joinpath("README.md").is_file()}
    if example not in known:
        near = nearest(example, known)
        hint = f"Did you mean {near}? " if near else ""
        names = ", ".join(sorted(known))
        raise click.BadParameter(f"there is no example {example!r}. {hint}There are: {names}.", param_hint="--example")
    return [entry for entry in known[example].iterdir() if entry.is_file()]


def _written(folder: Path, sources: list[Traversable], force: bool) -> list[Path]:
    """Write all of the files, or none: what is in the way is found before the first is written."""
    targets = [folder / source.name for source in sorted(sources, key=lambda source: source.name)]
    there = [str(target) for target in targets if target.exists()]
    if there and not force:
        raise RushesError(f"{', '.join(there)}: already there. Name another folder, or pass --force to overwrite.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            (folder / source.name).write_bytes(source.read_bytes())
    except OSError as error:
        raise RushesError(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    return targets
