"""`rushes videos`: what is in the library."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rushes.app import App
from rushes.cli.care import du, gc
from rushes.cli.family import family_data, family_tree
from rushes.cli.provenance import report_data, summary
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import short, table, usd, video_data
from rushes.cli.units import show_bytes
from rushes.errors import MediaError, RushesError
from rushes.jobs.library import check_writable
from rushes.jobs.lineage import Member
from rushes.jobs.retention import Absence
from rushes.jobs.tags import checked_tags
from rushes.media.reports import Report
from rushes.providers.terms import Variant
from rushes.video import Video


@click.group()
def videos() -> None:
    """List, show, tag, export, delete and collect finished videos."""


videos.add_command(du)
videos.add_command(gc)


@videos.command("list")
@click.option("--search", help="Only those whose prompt contains this.")
@click.option("--tag", "tags", multiple=True, help="Only those with this tag. Repeatable: all of them must fit.")
@click.option("--model", help="Only those whose model's id contains this.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@common_options
def list_(
    search: str | None,
    tags: tuple[str, ...],
    model: str | None,
    limit: int,
    as_json: bool,
    env_file: Path | None,
    log_level: str | None,
) -> None:
    """List finished videos, newest first."""
    tags = checked_tags(tags)

    async def work(app: App) -> tuple[list[Video], Mapping[str, list[str]], Mapping[str, Absence]]:
        found = await app.library.matching(search=search, tags=tags, model=model, limit=limit)
        tags_of = await app.tags.of([video.job_id for video in found])
        return found, tags_of, await app.retention.absences([video.id for video in found])

    found, tags_of, absences = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json([{**video_data(video), "tags": tags_of[video.job_id]} for video in found])
        return
    if not found:
        asked = search or tags or model
        none = "No video fits." if asked else 'No videos yet. Make one: rushes generate "a lighthouse at dusk"'
        click.echo(none, err=True)
    table(
        ["ID", "SIZE", "SECONDS", "FILE", "COST", "MODEL", "MADE", "TAGS", "PROMPT"],
        [
            [
                video.id,
                str(video.size),
                f"{video.seconds:.1f}",
                "gone" if video.id in absences else show_bytes(video.size_bytes),
                "cached" if video.cached else usd(video.cost_usd),
                str(video.model),
                video.created_at.strftime("%Y-%m-%d %H:%M"),
                short(", ".join(tags_of[video.job_id]), 30),
                short(video.prompt, 50),
            ]
            for video in found
        ],
    )


@videos.command()
@click.argument("video_id")
@click.option("--json", "as_json", is_flag=True)
@common_options
def show(video_id: str, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Show everything about a video, its thumbnail and spritesheet included, and what it came from and led to."""

    async def work(app: App) -> tuple[Video, dict[str, Path | str | None], _Story]:
        video = await app.library.get(video_id)
        story = await _story(app, video)
        pictures: dict[str, Path | str | None] = {}
        for variant in (Variant.THUMBNAIL, Variant.SPRITESHEET):
            pictures[variant.value] = None
            if story.absence is not None:
                continue
            try:
                path = await app.library.picture(video, variant)
                pictures[variant.value] = path or await app.library.picture_url(video, variant)
            except MediaError as error:
                click.echo(f"{variant.value}: {error}", err=True)
        return video, pictures, story

    video, pictures, story = run(settings_of(env_file, log_level), work, leave_worker=False)
    data = {**video_data(video), **pictures}
    if as_json:
        print_json({**data, **story.data(video.job_id)})
        return
    for name, value in data.items():
        if name == "adjustments":
            for change in video.adjustments:
                click.echo(f"{'changed':<12} {change.field}: {change.asked} -> {change.given} ({change.why})")
        elif value is not None:
            click.echo(f"{name:<12} {usd(video.cost_usd) if name == 'cost_usd' else value}")
    for line in story.lines(video.job_id):
        click.echo(line)


@dataclass(frozen=True, slots=True)
class _Story:
    """What the library knows of a video besides its facts."""

    tags: list[str]
    absence: Absence | None
    family: list[Member]
    provenance: Report | None  # None: it cannot be told

    def data(self, job_id: str) -> dict[str, Any]:
        return {
            "tags": self.tags,
            "gone_at": self.absence.at if self.absence else None,
            "collected": self.absence.collected if self.absence else False,
            "lineage": family_data(self.family, job_id),
            "provenance": report_data(self.provenance) if self.provenance else None,
        }

    def lines(self, job_id: str) -> Iterator[str]:
        if self.tags:
            yield f"{'tags':<12} {', '.join(self.tags)}"
        if self.absence is not None:
            how = "collected by rushes videos gc" if self.absence.collected else "found missing or damaged"
            yield f"{'file':<12} {how} on {self.absence.at:%Y-%m-%d %H:%M UTC}"
        for n, line in enumerate(summary(self.provenance) if self.provenance else []):
            yield f"{'' if n else 'provenance':<12} {line}"
        if len(self.family) > 1:
            yield "lineage"
            yield from (f"  {line}" for line in family_tree(self.family, job_id))


async def _story(app: App, video: Video) -> _Story:
    tags = (await app.tags.of([video.job_id]))[video.job_id]
    absence = (await app.retention.absences([video.id])).get(video.id)
    family = await app.lineage.family(video.job_id)
    return _Story(tags, absence, family, None if absence else await _provenance(app, video))


async def _provenance(app: App, video: Video) -> Report | None:
    """Where it comes from; None, and why on stderr, when that cannot be told."""
    try:
        return await app.library.provenance(video)
    except RushesError as error:
        click.echo(f"provenance: {error}", err=True)
        return None


@videos.command()
@click.argument("video_id")
@click.argument("tags", nargs=-1)
@click.option("--remove", is_flag=True, help="Take these tags off.")
@common_options
def tag(video_id: str, tags: tuple[str, ...], remove: bool, env_file: Path | None, log_level: str | None) -> None:
    """Tag a video, and print all its tags, one a line; without TAGS only print them.

    A tag has 1 to 80 characters, and no comma. Tagged videos are kept by gc, unless it is called with --tagged.
    """
    if remove and not tags:
        raise click.UsageError("Name the tags to remove.")
    tags = checked_tags(tags)

    async def work(app: App) -> list[str]:
        job_id = await app.jobs.find_id(video_id)
        if not tags:
            return (await app.tags.of([job_id]))[job_id]
        return await (app.tags.remove(job_id, tags) if remove else app.tags.add(job_id, tags))

    for each in run(settings_of(env_file, log_level), work, leave_worker=False):
        click.echo(each)


@videos.command()
@click.argument("video_id")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--embed", is_flag=True, help="Put the provenance manifest into the copy, so that it travels along.")
@common_options
def export(video_id: str, path: Path, embed: bool, env_file: Path | None, log_level: str | None) -> None:
    """Copy a video to PATH, a file or a folder."""
    check_writable(path)

    async def work(app: App) -> Path:
        return await app.library.export(await app.library.get(video_id), path, embed=embed)

    click.echo(str(run(settings_of(env_file, log_level), work, leave_worker=False)))


@videos.command()
@click.argument("video_ids", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
def delete(video_ids: tuple[str, ...], yes: bool, env_file: Path | None, log_level: str | None) -> None:
    """Delete videos from the library. Files that other videos share stay until the last of them goes."""
    if not yes:
        click.confirm(f"Delete {len(video_ids)} video{'s' * (len(video_ids) > 1)} for good?", abort=True, err=True)

    async def work(app: App) -> None:
        for text in video_ids:
            job_id = await app.jobs.find_id(text)
            await app.jobs.delete(job_id)
            click.echo(f"deleted {job_id}")

    run(settings_of(env_file, log_level), work, leave_worker=False)
