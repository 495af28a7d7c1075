"""`rushes generate`: one prompt, one or more videos."""

import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import anyio
import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import Progress, place, usd, video_data
from rushes.config import Settings
from rushes.errors import JobFailed, NeedsAttention, RushesError, TimedOut
from rushes.jobs.admission import Admission
from rushes.jobs.library import check_writable
from rushes.planning import Given, Picture, Plan, Wish
from rushes.providers.prepare import Misfit
from rushes.video import JSON, Adjustment, Video


@click.command()
@click.argument("prompt")
@click.option("-m", "--model", help="Default: the first configured provider, else draft. See: rushes models")
@click.option("--size", help="Width x height, such as 1280x720.")
@click.option("--seconds", type=int, help="Length in whole seconds.")
@click.option("--image", help="First frame: a file, an https URL or a data URI.")
@click.option("--last-image", help="Last frame, for models that take one.")
@click.option("--reference", "references", multiple=True, help="A picture of whom or what it is about. Repeatable.")
@click.option("--inpaint", multiple=True, metavar="FRAME=FILE", help="A picture or clip to show from FRAME on.")
@click.option("--character", "characters", multiple=True, metavar="ID", help="See: rushes characters. Repeatable.")
@click.option("--remix", metavar="ID", help="Make an earlier video anew, as PROMPT says.")
@click.option("--edit", metavar="ID", help="Change an earlier video as PROMPT says.")
@click.option("--extend", metavar="ID", help="Go on where an earlier video ends; --seconds is what is added.")
@click.option("--negative", "negative_prompt", help="What must not be in the picture, for models that take it.")
@click.option("--audio/--no-audio", default=None, help="With or without sound, for models that let you choose.")
@click.option("-n", "n", type=click.IntRange(min=1), default=1, show_default=True, help="How many: as many jobs.")
@click.option("--seed", type=int, help="For models that take one; repeats count up from it.")
@click.option("--extra", multiple=True, metavar="NAME=VALUE", help="An option of the model's own. Repeatable.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Copy the video here: a file, or a folder.")
@click.option("--cache", type=click.Choice(["use", "refresh", "off"]), help="use: serve an equal finished one.")
@click.option("--strict", "misfit", flag_value="strict", help="Refuse what the model cannot make. The default.")
@click.option(
    "--nearest", "misfit", flag_value="nearest", help="Make the nearest, then cut and trim it to what was asked."
)
@click.option("--pad", "misfit", flag_value="pad", help="The same, with black at the sides instead of cutting.")
@click.option("--fallback", multiple=True, metavar="MODEL", help="Tried if those before it refuse. Repeatable.")
@click.option("--tag", "tags", multiple=True, help="To find it by: rushes videos list --tag. Repeatable.")
@click.option("--priority", type=int, default=0, help="Jobs of a higher one are taken first. Default: 0.")
@click.option("--max-cost", metavar="USD", help="Refuse if all of it together would cost more.")
@click.option("--allow-unknown-price", is_flag=True, help="Go on although no limit can be checked.")
@click.option("--thumbnail/--no-thumbnail", default=True, help="Fetch or make a thumbnail.")
@click.option("--spritesheet/--no-spritesheet", default=True, help="Fetch or make a spritesheet.")
@click.option("--detach", is_flag=True, help="Submit, print the job ids, and leave the work to the background.")
@click.option("--estimate", is_flag=True, help="Show what it would cost and end.")
@click.option("--json", "as_json", is_flag=True, help="Print everything about the videos as JSON.")
@common_options
def generate(env_file: Path | None, log_level: str | None, **options: Any) -> None:
    """Make a video from PROMPT and print its path.

    The job is durable: after Ctrl-C or a crash, the same command picks it up instead of buying it again.
    """
    settings = settings_of(env_file, log_level)
    run(settings, lambda app: _generate(app, settings, options))


async def _generate(app: App, settings: Settings, options: dict[str, Any]) -> None:
    out: Path | None = options["out"]
    if out is not None:
        check_writable(out)
    plan = await app.plan(_wish(options))
    _tell(plan, await app.price(plan))
    if options["estimate"]:
        return
    admissions = await app.submit(plan)
    for admission in admissions:
        word = "cached" if admission.cached else "joined" if admission.joined else "job"
        click.echo(f"{word} {admission.job_id}", err=True)
    if options["detach"]:
        ids = [admission.job_id for admission in admissions]
        print_json(ids) if options["as_json"] else click.echo("\n".join(ids))
        return
    if not all(admission.cached for admission in admissions):
        app.work()
    takes, failures = await _wait(app, settings, admissions, plan.wish)
    made = [(video, await app.library.export(video, numbered(out, n)) if out else place(video)) for n, video in takes]
    if options["as_json"]:
        print_json([video_data(video) for video, _ in made])
    else:
        for _, path in made:
            click.echo(str(path))
    if failures:
        raise next((error for error in failures if isinstance(error, NeedsAttention)), failures[0])


def _wish(options: dict[str, Any]) -> Wish:
    references: list[Picture | Given] = [*options["references"], *map(_inpaint, options["inpaint"])]
    return Wish(
        prompt=options["prompt"],
        model=options["model"],
        size=options["size"],
        seconds=options["seconds"],
        seed=options["seed"],
        audio=options["audio"],
        negative_prompt=options["negative_prompt"],
        first_frame=options["image"],
        last_frame=options["last_image"],
        references=tuple(references),
        characters=options["characters"],
        remix=options["remix"],
        edit=options["edit"],
        extend=options["extend"],
        fallback=options["fallback"],
        tags=options["tags"],
        extra=_extra(options["extra"]),
        n=options["n"],
        misfit=Misfit(options["misfit"]) if options["misfit"] else None,
        cache=options["cache"],
        priority=options["priority"],
        max_cost_usd=dollars_option("--max-cost", options["max_cost"]),
        allow_unknown_price=options["allow_unknown_price"],
        thumbnail=options["thumbnail"],
        spritesheet=options["spritesheet"],
    )


def _inpaint(text: str) -> Given:
    """`FRAME=FILE`: what the video is to show from that output frame on."""
    frame, equals, file = text.partition("=")
    if not equals or not frame.strip().isdecimal() or not file:
        raise click.BadParameter(f"{text!r} is not FRAME=FILE, such as 0=first.png.", param_hint="--inpaint")
    return Given(media=file, frame_index=int(frame))


def _extra(pairs: tuple[str, ...]) -> dict[str, JSON]:
    """`NAME=VALUE` pairs; a value that is JSON is taken as such, anything else as text."""
    extra: dict[str, JSON] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--extra")
        try:
            extra[name] = json.loads(text)
        except ValueError:
            extra[name] = text
    return extra


def dollars_option(name: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter(f"{text!r} is not an amount in dollars, such as 2.50.", param_hint=name)
    return amount


def _tell(plan: Plan, price: Decimal | None) -> None:
    """What is about to be bought, before it is."""
    for note in plan.notes:
        click.echo(note, err=True)
    first, *others = plan.takes[0]
    request = first.request
    count = f"{len(plan.takes)} x " if len(plan.takes) > 1 else ""
    most = "at most " if others and price else ""
    click.echo(f"{request.model}: {count}{request.seconds} s, {request.size}, {most}{usd(price)}", err=True)
    tell_changes(first.adjustments)
    for other in others:
        click.echo(f"if that is refused: {other.request.model}, {usd(other.estimate_usd)}", err=True)


def tell_changes(adjustments: Iterable[Adjustment]) -> None:
    for change in adjustments:
        asked = "" if change.asked is None else f"{change.asked} -> "
        click.echo(f"{change.field}: {asked}{change.given} ({change.why})", err=True)


async def _wait(
    app: App, settings: Settings, admissions: list[Admission], wish: Wish
) -> tuple[list[tuple[int, Video]], list[RushesError]]:
    """Wait for every job: the numbered videos, and what went wrong with the others. One failure hides no success."""
    takes: list[tuple[int, Video]] = []
    failures: list[RushesError] = []
    for admission in admissions:
        snapshot = await app.jobs.get(admission.job_id)
        limit_ms = settings.provider(snapshot.model.provider).max_poll_time_ms
        progress = Progress(quiet=admission.cached)
        try:
            found = await app.jobs.wait(
                admission.job_id, timeout_s=limit_ms / 1000 if limit_ms else None, on_progress=progress
            )
        except (JobFailed, NeedsAttention, TimedOut) as error:
            if len(admissions) > 1:
                click.echo(str(error), err=True)
            failures.append(error)
            found = []
        except anyio.get_cancelled_exc_class():
            progress.done()
            _say_how_to_return(admissions)
            raise
        # A take that failed keeps its number, so that the third of three is called so.
        for n, video in enumerate(found, start=len(takes) + len(failures)):
            takes.append((n, await app.with_pictures(video, wish)))
            # What changed after it was admitted: another model took it, or fewer videos were made.
            tell_changes(change for change in video.adjustments if change.field in ("model", "videos"))
            word = "cached, free" if video.cached else usd(video.cost_usd)
            click.echo(f"{video.id}: {video.size}, {video.seconds:.2f} s, {word}", err=True)
    return takes, failures


def _say_how_to_return(admissions: list[Admission]) -> None:
    ids = " ".join(admission.job_id for admission in admissions)
    click.echo(
        f"Detached. The work goes on in the background. Come back with: rushes jobs wait {ids}, or this same command.",
        err=True,
    )


def numbered(out: Path, n: int) -> Path:
    """`cat.mp4` becomes `cat-2.mp4` for the second of several; a folder stays a folder."""
    return out if out.is_dir() or n == 0 else out.with_stem(f"{out.stem}-{n + 1}")
