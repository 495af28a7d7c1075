"""`rushes provenance`: where a file comes from, as far as its manifest says and can be believed."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.media.reports import Report, Signer, State, Told

IN_WORDS = {
    Signer.OURS: "signed by this installation",
    Signer.TRUSTED: "signed by a trusted signer",
    Signer.UNKNOWN: "signed by somebody unknown here",
}
VERDICTS = {
    State.NONE: "no manifest: nothing is known of where it comes from",
    State.VALID: "valid: nothing was changed since it was signed",
    State.INVALID: "INVALID",
}


@click.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True)
@common_options
def provenance(file: str, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Show where FILE comes from: the chain of C2PA manifests inside or beside it.

    FILE is any video or picture on disk, or the id of a video in the library. A manifest beside it is a file of the
    same name that ends with .c2pa. "Signed by this installation" says that the file is as it was when it was signed
    here; whether others believe that is theirs to decide.

    Exit code 0: the manifest holds, or there is none, and it says so. 1: the content or the manifest was changed after
    signing, or the file cannot be read.
    """

    async def work(app: App) -> Report:
        path = Path(file).expanduser()
        if path.exists() or any(letter in file for letter in "/\\."):
            return await app.library.provenance_of(path)
        return await app.library.provenance(await app.library.get(file))

    report = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json(report_data(report))
    else:
        for line in lines(file, report):
            click.echo(line)
    if report.state is State.INVALID:
        raise click.exceptions.Exit(1)


def report_data(report: Report) -> dict[str, Any]:
    """A report as plain data for `--json`."""
    return asdict(report)


def lines(name: str, report: Report) -> Iterator[str]:
    """A report for people."""
    yield f"{name}: {_verdict(report)}"
    for n, told in enumerate(report.manifests, 1):
        yield f"{n}. {told.generator}, {_signer(told)}" + (f", {told.signed_at}" if told.signed_at else "")
        for line in _details(told, report):
            yield f"   {line}"


def summary(report: Report) -> list[str]:
    """The same in a line or two."""
    told = report.active
    if told is None:
        return [_verdict(report)]
    where = "beside the file" if report.beside else "inside the file"
    verdict = "valid" if report.valid else f"INVALID: {' '.join(report.problems)}"
    made = ", ".join(filter(None, (_maker(told), *told.source_types)))
    parts = ", ".join(each.title for each in told.ingredients)
    return [f"{verdict}, {where}, {IN_WORDS[told.signer]}", made + (f"; from {parts}" if parts else "")]


def _verdict(report: Report) -> str:
    words = VERDICTS[report.state]
    if report.state is State.NONE:
        return words
    where = "beside the file" if report.beside else "inside the file"
    problems = f": {' '.join(report.problems)}" if report.problems else ""
    return f"{words}{problems} (manifest {where})"


def _signer(told: Told) -> str:
    name = f"by the name of {told.signed_by}" if told.signer is Signer.UNKNOWN else f"({told.signed_by})"
    return f"{IN_WORDS[told.signer]} {name}"


def _maker(told: Told) -> str:
    return " ".join(filter(None, (told.provider, told.model)))


def _details(told: Told, report: Report) -> Iterator[str]:
    places = {each.label: n for n, each in enumerate(report.manifests, 1)}
    if told.source_types:
        yield f"made as: {', '.join(told.source_types)}"
    if told.video_id:
        yield f"video: {told.video_id}, by {_maker(told)}" + (f", {told.made_at}" if told.made_at else "")
    if told.prompt:
        yield f"prompt: {told.prompt}"
    if told.actions:
        yield f"what was done: {', '.join(told.actions)}"
    for each in told.ingredients:
        place = places.get(each.manifest or "")
        yield f"from: {each.title} ({each.relationship})" + (f", see {place}" if place else "")
    for problem in told.problems:
        yield f"problem: {problem}"
