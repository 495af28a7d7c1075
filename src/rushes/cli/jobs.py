"""`rushes jobs`: what is under way, what became of it, and what a person has to decide."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from rushes.app import App
from rushes.cli.generate import dollars_option
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import Progress, job_data, place, short, table, usd, video_data
from rushes.jobs.ledger import JobState
from rushes.jobs.service import Snapshot
from rushes.jobs.services import Case
from rushes.jobs.store import Filter
from rushes.jobs.tags import checked_tags
from rushes.video import Video


@click.group()
def jobs() -> None:
    """List, watch, cancel and decide about jobs."""


@jobs.command("list")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only those in this state.")
@click.option("--open", "only_open", is_flag=True, help="Only those that are not finished.")
@click.option("--search", help="Only those whose prompt contains this.")
@click.option("--tag", "tags", multiple=True, help="Only those with this tag. Repeatable: all of them must fit.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@common_options
def list_(
    state: str | None,
    only_open: bool,
    search: str | None,
    tags: tuple[str, ...],
    limit: int,
    as_json: bool,
    env_file: Path | None,
    log_level: str | None,
) -> None:
    """List jobs, newest first."""
    tags = checked_tags(tags)
    states = frozenset({JobState(state)}) if state else None
    if only_open:
        states = frozenset(each for each in JobState if not each.final)

    async def work(app: App) -> list[Snapshot]:
        if await app.worker.has_open_jobs() and not await app.worker.somebody_else_works():
            click.echo("Nobody works on the open jobs. Go on with: rushes worker --until-idle", err=True)
        return await app.jobs.matching(Filter(states=states, search=search, tags=tags, limit=limit))

    found = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json([job_data(each) for each in found])
        return
    if not found and (states or search or tags):
        click.echo("No job fits.", err=True)
    elif not found:
        click.echo('No jobs. Make one: rushes generate "a lighthouse at dusk"', err=True)
    table(
        ["ID", "STATE", "DONE", "COST", "MODEL", "ADMITTED", "PROMPT"],
        [
            [
                each.id,
                each.state.value,
                f"{each.percent:.0f} %",
                "-" if not each.state.final and each.cost_usd is None else usd(each.cost_usd),
                str(each.model),
                each.created_at.strftime("%Y-%m-%d %H:%M"),
                short(each.prompt, 50),
            ]
            for each in found
        ],
    )


@jobs.command()
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True)
@common_options
def show(job_id: str, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Show a job, its attempts, and what it waits for."""

    async def work(app: App) -> tuple[Snapshot, Case]:
        found = await app.jobs.find_id(job_id)
        return await app.jobs.get(found), await app.jobs.case(found)

    snapshot, case = run(settings_of(env_file, log_level), work, leave_worker=False)
    attempts = [
        {
            "n": attempt.n,
            "provider": attempt.provider,
            "state": attempt.state.value,
            "remote_id": attempt.remote.id if attempt.remote else None,
            "sent_at": attempt.sent_at,
            "cost_usd": attempt.cost_usd,
            "error": attempt.error,
        }
        for attempt in case.attempts
    ]
    if as_json:
        print_json({**job_data(snapshot), "attempts": attempts})
        return
    rows = [
        ("id", snapshot.id),
        ("state", snapshot.state.value),
        ("status", snapshot.status.value),
        ("model", str(snapshot.model)),
        ("prompt", snapshot.prompt),
        ("estimate", usd(snapshot.estimate_usd)),
        ("cost", usd(snapshot.cost_usd) if snapshot.state.final else "-"),
        ("admitted", snapshot.created_at.isoformat(timespec="seconds")),
        ("cached from", snapshot.cached_from or ""),
        ("waiting", snapshot.trouble or ""),
        ("failed", f"{snapshot.failure.code}: {snapshot.failure.message}" if snapshot.failure else ""),
        *(("changed", f"{a.field}: {a.asked} -> {a.given} ({a.why})") for a in snapshot.adjustments),
    ]
    for name, value in rows:
        if value:
            click.echo(f"{name:<12} {value}")
    for attempt in attempts:
        facts = " ".join(f"{name}={value}" for name, value in attempt.items() if value is not None and name != "n")
        click.echo(f"attempt {attempt['n']:<4} {facts}")


@jobs.command()
@click.argument("job_ids", nargs=-1, required=True)
@click.option("--timeout", "timeout_s", type=float, help="Give up waiting after so many seconds; the job goes on.")
@click.option("--json", "as_json", is_flag=True)
@common_options
def wait(
    job_ids: tuple[str, ...], timeout_s: float | None, as_json: bool, env_file: Path | None, log_level: str | None
) -> None:
    """Wait for jobs and print the paths of their videos."""

    async def work(app: App) -> None:
        app.work()
        videos: list[Video] = []
        for text in job_ids:
            found = await app.jobs.find_id(text)
            videos += await app.jobs.wait(found, timeout_s=timeout_s, on_progress=Progress())
        if as_json:
            print_json([video_data(video) for video in videos])
        else:
            for video in videos:
                click.echo(place(video))

    run(settings_of(env_file, log_level), work)


@jobs.command()
@click.argument("job_id")
@common_options
def cancel(job_id: str, env_file: Path | None, log_level: str | None) -> None:
    """Wish the end of a job. What is already paid for is still fetched."""

    async def work(app: App) -> Snapshot:
        found = await app.jobs.find_id(job_id)
        latest = await app.jobs.cancel(found)
        app.work()
        async for snapshot in app.jobs.watch(found):
            latest = snapshot
            if await _cannot_be_stopped(app, found):
                break
        return latest

    snapshot = run(settings_of(env_file, log_level), work)
    if snapshot.state is JobState.CANCELLED:
        click.echo(f"{snapshot.id} is cancelled; cost {usd(snapshot.cost_usd)}")
    else:
        click.echo(f"{snapshot.id} could not be stopped and goes on; its price: {usd(snapshot.estimate_usd)}")


async def _cannot_be_stopped(app: App, job_id: str) -> bool:
    return any(event.kind == "cancel_refused" for event in await app.jobs.events(job_id))


@jobs.command()
@click.argument("job_id")
@common_options
def retry(job_id: str, env_file: Path | None, log_level: str | None) -> None:
    """Buy a failed or cancelled job again, as a new job, and wait for it."""

    async def work(app: App) -> None:
        admission = await app.jobs.retry(await app.jobs.find_id(job_id))
        click.echo(f"job {admission.job_id}, {usd(admission.estimate_usd)}", err=True)
        app.work()
        for video in await app.jobs.wait(admission.job_id, on_progress=Progress()):
            click.echo(place(video))

    run(settings_of(env_file, log_level), work)


@jobs.command()
@click.argument("job_id")
@click.option("--adopt", metavar="REMOTE_ID", help="This job of the provider's is it: go on with that one.")
@click.option("--repay", is_flag=True, help="Pay again, knowing that it may be the second time.")
@click.option("--max-cost", metavar="USD", help="With --repay: what all of its run may cost now, if that was limited.")
@click.option("--never-billed", is_flag=True, help="It was not billed: what is held for it is free again.")
@click.option("--billed", metavar="USD", help="What its attempts of unknown cost were billed, together.")
@common_options
def resolve(job_id: str, env_file: Path | None, log_level: str | None, **choices: Any) -> None:
    """Decide about a job that may or may not have been accepted, or say what it was billed.

    A cost that stays unknown keeps its money held for good, also when the job has ended. Look it up at the provider,
    then say --never-billed, or --billed USD.
    """
    if sum(bool(choices[name]) for name in ("adopt", "repay", "never_billed", "billed")) != 1:
        raise click.UsageError("Choose one: --adopt REMOTE_ID, --repay, --never-billed, or --billed USD.")
    max_cost = dollars_option("--max-cost", choices["max_cost"])
    billed = Decimal(0) if choices["never_billed"] else dollars_option("--billed", choices["billed"])

    async def work(app: App) -> None:
        found = await app.jobs.find_id(job_id)
        if billed is not None:
            told = await app.jobs.resolve_billed(found, billed)
            click.echo(f"{told.id} is {told.state.value}; it cost {usd(told.cost_usd)}")
            return
        if choices["adopt"]:
            going_on = await app.jobs.resolve_adopt(found, choices["adopt"])
        else:
            going_on = await app.jobs.resolve_repay(found, max_cost_usd=max_cost)
        click.echo(f"job {going_on}", err=True)
        app.work()
        for video in await app.jobs.wait(going_on, on_progress=Progress()):
            click.echo(place(video))

    run(settings_of(env_file, log_level), work)


@jobs.command()
@click.argument("job_id", required=False)
@click.option("--after", type=int, default=0, help="Only those after this event id.")
@click.option("--json", "as_json", is_flag=True)
@common_options
def events(job_id: str | None, after: int, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Show the history of a job, or of all."""

    async def work(app: App) -> None:
        found = await app.jobs.find_id(job_id) if job_id else None
        rows = await app.jobs.events(found, after)
        if as_json:
            print_json([{"id": e.id, "job_id": e.job_id, "ts": e.ts, "kind": e.kind, **e.data} for e in rows])
            return
        for e in rows:
            facts = " ".join(f"{name}={value}" for name, value in e.data.items() if value is not None)
            click.echo(f"{e.id:>6} {e.ts:%Y-%m-%d %H:%M:%S} {e.job_id} {e.kind} {facts}")

    run(settings_of(env_file, log_level), work, leave_worker=False)
