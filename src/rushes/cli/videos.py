"""`rushes videos`: what is in the library."""

from pathlib import Path

import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import short, table, usd, video_data
from rushes.errors import MediaError
from rushes.jobs.library import check_writable
from rushes.providers.base import Variant
from rushes.video import Video


@click.group()
def videos() -> None:
    """List, show, export and delete finished videos."""


@videos.command("list")
@click.option("--search", help="Only those whose prompt contains this.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@common_options
def list_(search: str | None, limit: int, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """List finished videos, newest first."""

    async def work(app: App) -> list[Video]:
        return await app.library.matching(search=search, limit=limit)

    found = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json([video_data(video) for video in found])
        return
    if not found:
        click.echo('No videos yet. Make one: rushes generate "a lighthouse at dusk"', err=True)
    table(
        ["ID", "SIZE", "SECONDS", "COST", "MODEL", "MADE", "PROMPT"],
        [
            [
                video.id,
                str(video.size),
                f"{video.seconds:.1f}",
                "cached" if video.cached else usd(video.cost_usd),
                str(video.model),
                video.created_at.strftime("%Y-%m-%d %H:%M"),
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
    """Show everything about a video, its thumbnail and spritesheet included."""

    async def work(app: App) -> tuple[Video, dict[str, Path | None]]:
        video = await app.library.get(video_id)
        pictures: dict[str, Path | None] = {}
        for variant in (Variant.THUMBNAIL, Variant.SPRITESHEET):
            try:
                pictures[variant.value] = await app.library.picture(video, variant)
            except MediaError as error:
                click.echo(f"{variant.value}: {error}", err=True)
                pictures[variant.value] = None
        return video, pictures

    video, pictures = run(settings_of(env_file, log_level), work, leave_worker=False)
    data = {**video_data(video), **pictures}
    if as_json:
        print_json(data)
        return
    for name, value in data.items():
        if name == "adjustments":
            for change in video.adjustments:
                click.echo(f"{'changed':<12} {change.field}: {change.asked} -> {change.given} ({change.why})")
        elif value is not None:
            click.echo(f"{name:<12} {usd(video.cost_usd) if name == 'cost_usd' else value}")


@videos.command()
@click.argument("video_id")
@click.argument("path", type=click.Path(path_type=Path))
@common_options
def export(video_id: str, path: Path, env_file: Path | None, log_level: str | None) -> None:
    """Copy a video to PATH, a file or a folder."""
    check_writable(path)

    async def work(app: App) -> Path:
        return await app.library.export(await app.library.get(video_id), path)

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
