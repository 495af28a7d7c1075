"""`rushes doctor`: is this installation whole?"""

import platform
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.errors import RushesError
from rushes.jobs import claims
from rushes.jobs.ledger import IllegalMove, JobState, check_attempts
from rushes.jobs.presence import presence_for
from rushes.jobs.store import Filter
from rushes.media.disk import free_bytes
from rushes.version import VERSION

LOW_DISK_BYTES = 2_000_000_000


class Finding(NamedTuple):
    check: str
    good: bool
    says: str


@click.command()
@click.option("--json", "as_json", is_flag=True)
@common_options
def doctor(as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Check this installation: settings, database, disk, media tools, providers, open questions."""
    findings = run(settings_of(env_file, log_level), _examine, leave_worker=False)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{'ok ' if finding.good else 'BAD'} {finding.check:<12} {finding.says}")
    sys.exit(0 if all(finding.good for finding in findings) else 1)


async def _examine(app: App) -> list[Finding]:
    checks: list[Callable[[App], Awaitable[Finding]]]
    checks = [_settings, _database, _disk, _store, _media, _ledger, _attention]
    findings = [Finding("rushes", True, f"{VERSION} on Python {platform.python_version()}, {platform.platform()}")]
    for check in checks:
        try:
            findings.append(await check(app))
        except RushesError as error:
            findings.append(Finding(check.__name__.strip("_"), False, str(error)))
    return [*findings, *_providers(app)]


async def _settings(app: App) -> Finding:
    return Finding("settings", True, f"{app.settings.config_path or 'no rushes.toml'}; home {app.settings.home}")


async def _database(app: App) -> Finding:
    await app.db.check_writable()
    working = await _working(app)
    workers = {0: "no worker is at work", 1: "a worker is at work"}.get(working, f"{working} workers are at work")
    return Finding("database", True, f"{await app.db.kind()}, {app.db.where}: can be written; {workers}")


async def _working(app: App) -> int:
    """How many workers live, on whichever machine."""
    presence = presence_for(app.db)
    known = [worker.id for worker in await app.db.read(claims.known_workers)]
    if not await presence.anybody(known):
        return 0
    return max(1, len(known) - len(await presence.gone(known)))


async def _disk(app: App) -> Finding:
    free = free_bytes(app.settings.home)
    return Finding("disk", free >= LOW_DISK_BYTES, f"{free / 1e9:.1f} GB free in {app.settings.home}")


async def _store(app: App) -> Finding:
    await app.media.check()
    return Finding("store", True, f"{app.media.url('videos')}: can be written, read and cleared")


async def _media(app: App) -> Finding:
    """Render and measure a second of video: the whole chain of tools, for real."""
    from rushes.video import Size

    out = app.settings.home / "spool" / "doctor.mp4"
    try:
        await app.children.animatic(out, prompt="a test card", size=Size(128, 72), seconds=1, seed=0)
        probe = await app.children.probe(out)
    finally:
        out.unlink(missing_ok=True)
    return Finding("media", True, f"rendered and measured {probe.size}, {probe.seconds:.2f} s, {probe.video_codec}")


async def _ledger(app: App) -> Finding:
    """The money rule, over the newest jobs: no attempt beside one that could still be billed."""
    snapshots = await app.jobs.matching(Filter(limit=500, deleted=True))
    for snapshot in snapshots:
        try:
            check_attempts((await app.jobs.case(snapshot.id)).attempts)
        except IllegalMove as error:
            return Finding("ledger", False, str(error))
    return Finding("ledger", True, f"the attempts of {len(snapshots)} jobs keep the money rule")


async def _attention(app: App) -> Finding:
    waiting = await app.jobs.matching(Filter(states=frozenset({JobState.NEEDS_ATTENTION})))
    if not waiting:
        return Finding("decisions", True, "no job waits for a person")
    return Finding("decisions", False, f"{len(waiting)} wait for a person, such as {waiting[0].id}: rushes jobs show")


def _providers(app: App) -> list[Finding]:
    findings: list[Finding] = []
    for name in app.providers.names():
        try:
            can = app.providers.provider(name).availability()
        except RushesError as error:
            findings.append(Finding("provider", False, f"{name}: {error}"))
            continue
        if can.configured:
            findings.append(Finding("provider", can.usable, f"{name}: {can.reason or 'set up'}"))
    return findings
