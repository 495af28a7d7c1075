"""`rushes videos gc` and `rushes videos du`: what takes room, and what may go."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import table
from rushes.cli.units import age_option, show_bytes, size_option
from rushes.errors import MediaError
from rushes.jobs.retention import Collected, Plan, Policy, Removal, Usage


@click.command()
@click.option("--json", "as_json", is_flag=True)
@common_options
def du(as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Show what takes how much room, by kind and by model, and what gc could free."""

    async def work(app: App) -> Usage:
        return await app.retention.usage()

    usage = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json(_usage_data(usage))
        return
    rows = [[kind.value, str(each.files), show_bytes(each.size_bytes)] for kind, each in usage.kinds.items()]
    table(["KIND", "FILES", "SIZE"], [*rows, ["total", str(usage.total.files), show_bytes(usage.total.size_bytes)]])
    if usage.models:
        click.echo()
        rows = [[model, str(each.files), show_bytes(each.size_bytes)] for model, each in usage.models.items()]
        table(["MODEL", "VIDEOS", "SIZE"], rows)
    click.echo()
    for folder, free in usage.free_bytes.items():
        click.echo(f"free on the disk of {folder}: {show_bytes(free)}")
    click.echo(f"nothing refers to: {show_bytes(usage.orphan_bytes)} (rushes videos gc)")
    click.echo(
        f"finished videos that may go: {show_bytes(usage.collectable_bytes)} "
        f"(rushes videos gc --older-than 30d, or --keep-bytes 10GB)"
    )


def _usage_data(usage: Usage) -> dict[str, Any]:
    return {
        "kinds": {
            kind.name.lower(): {"files": each.files, "size_bytes": each.size_bytes}
            for kind, each in usage.kinds.items()
        },
        "models": {
            model: {"videos": each.files, "size_bytes": each.size_bytes} for model, each in usage.models.items()
        },
        "files": usage.total.files,
        "size_bytes": usage.total.size_bytes,
        "free_bytes": dict(usage.free_bytes),
        "orphan_bytes": usage.orphan_bytes,
        "collectable_bytes": usage.collectable_bytes,
    }


@click.command()
@click.option("--older-than", callback=age_option, metavar="AGE", help="Files of videos made longer ago: 30d, 12h, 2w.")
@click.option(
    "--keep-bytes",
    "--max-size",
    "keep_bytes",
    callback=size_option,
    metavar="SIZE",
    help="Oldest first, until the videos take no more than this: 10GB, 500MB.",
)
@click.option("--tagged", is_flag=True, help="Tagged videos may go, too.")
@click.option("--keep-unknown", is_flag=True, help="Keep what this database does not know.")
@click.option("--dry-run", is_flag=True, help="Show what would go, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True)
@common_options
def gc(
    older_than: timedelta | None,
    keep_bytes: int | None,
    tagged: bool,
    keep_unknown: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    env_file: Path | None,
    log_level: str | None,
) -> None:
    """Remove files that nothing refers to, and, with an age or a size, the files of finished videos.

    With both, nothing older stays and no more than that size. What an open job uses, what another video started from
    and what is tagged stays in any case. Of a removed video the prompt, the cost and the history are kept.
    """
    policy = Policy(older_than=older_than, keep_bytes=keep_bytes, tagged=tagged, keep_unknown=keep_unknown)
    settings = settings_of(env_file, log_level)

    async def look(app: App) -> Plan:
        return await app.retention.plan(policy)

    plan = run(settings, look, leave_worker=False)
    if dry_run or not plan.removals:
        _tell(plan, policy, as_json=as_json, removed=False)
        return
    if not yes:
        _ask(plan)

    async def work(app: App) -> Collected:
        return await app.retention.collect(policy, agreed=plan)

    done = run(settings, work, leave_worker=False)
    _tell(done.plan, policy, as_json=as_json, removed=True, problems=done.problems)
    if done.problems:
        raise MediaError(f"{len(done.problems)} could not be removed: {done.problems[0]} Run it again to try again.")


def _ask(plan: Plan) -> None:
    """Let a person see it first. Aborts on no; refuses where nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"This would remove {show_bytes(plan.size_bytes)}, and nobody is there to ask. "
            f"Pass --yes to remove it, or --dry-run to see it."
        )
    for line in _summary(plan):
        click.echo(line, err=True)
    click.confirm("Remove these files for good?", abort=True, err=True)


def _tell(plan: Plan, policy: Policy, *, as_json: bool, removed: bool, problems: Sequence[str] = ()) -> None:
    if as_json:
        print_json(
            {
                "removed": removed,
                "size_bytes": plan.size_bytes,
                "staying_bytes": plan.staying_bytes,
                "staying": dict(plan.pinned),
                "removals": [_removal_data(each) for each in plan.removals],
                "problems": list(problems),
            }
        )
        return
    if not removed:
        header = ["WHAT", "SIZE", "MADE", "WHY"]
        table(header, [[e.name, show_bytes(e.size_bytes), _day(e), e.why.value] for e in plan.removals])
    for line in _summary(plan):
        click.echo(line)
    if not plan.removals:
        click.echo("Nothing to remove.")
    else:
        click.echo(f"{'Freed' if removed else 'Would free'} {show_bytes(plan.size_bytes)}.")
    asked = policy.older_than is not None or policy.keep_bytes is not None
    for why, count in plan.pinned.items() if asked else ():
        click.echo(f"stays: {count} {'video' if count == 1 else 'videos'}, {why}", err=True)
    if policy.keep_bytes is not None and plan.staying_bytes > policy.keep_bytes:
        over = show_bytes(plan.staying_bytes - policy.keep_bytes)
        click.echo(f"Still {over} more than asked: the rest is in use, tagged, or less than an hour old.", err=True)


def _summary(plan: Plan) -> list[str]:
    """One line for each reason, with how many and how much."""
    ordered = sorted(plan.removals, key=lambda each: list(type(each.why)).index(each.why))
    lines: list[str] = []
    for why, group in groupby(ordered, key=lambda each: each.why):
        same = list(group)
        noun = "video" if same[0].folder is not None else "file"
        size = show_bytes(sum(each.size_bytes for each in same))
        lines.append(f"{len(same):>6} {noun + 's' * (len(same) > 1):<7} {size:>9}  {why.value}")
    return lines


def _removal_data(removal: Removal) -> dict[str, Any]:
    return {
        "what": removal.name,
        "why": removal.why.name.lower(),
        "files": len(removal.files),
        "size_bytes": removal.size_bytes,
        "made_at": removal.made_at,
    }


def _day(removal: Removal) -> str:
    return removal.made_at.strftime("%Y-%m-%d %H:%M") if removal.made_at else "-"
