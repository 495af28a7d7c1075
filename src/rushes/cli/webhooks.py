"""`rushes webhooks`: who is told when a video is done."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from rushes.addresses import redact
from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import short, table
from rushes.cli.units import age_option
from rushes.errors import RushesError
from rushes.jobs.webhook_store import EVERYBODY, Delivery, Endpoint
from rushes.jobs.webhooks import TYPES, Tried

DAY = timedelta(hours=24)


class NotDelivered(RushesError):
    """A test message did not arrive."""

    code = "not_delivered"


@click.group()
def webhooks() -> None:
    """Tell others when a video is done."""


@webhooks.command()
@click.argument("url")
@click.option("--event", "events", multiple=True, help=f"{' or '.join(TYPES)}; may be repeated. Default: all.")
@click.option(
    "--owner", default=EVERYBODY, show_default=True, metavar="NAME|*", help="Whose jobs to tell of; * for everybody's."
)
@click.option("--json", "as_json", is_flag=True)
@common_options
def add(
    url: str, events: tuple[str, ...], owner: str, as_json: bool, env_file: Path | None, log_level: str | None
) -> None:
    """Tell URL of each job that ends from now on. Prints its id and its secret, which is shown only here."""

    async def work(app: App) -> Endpoint:
        return await app.webhooks.add(url, owner=owner, events=events or TYPES)

    made = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json({**_endpoint_data(made), "secret": made.secret})
        return
    click.echo(made.id)
    click.echo(made.secret)
    click.echo("Keep the secret: the receiver checks signatures with it, and it is not shown again.", err=True)


@webhooks.command("list")
@click.option("--json", "as_json", is_flag=True)
@common_options
def list_(as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """List the webhooks, oldest first. What is secret in an address is left out."""

    async def work(app: App) -> list[Endpoint]:
        return list(await app.webhooks.list())

    found = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json([_endpoint_data(each) for each in found])
        return
    if not found:
        click.echo("No webhooks yet. Add one: rushes webhooks add https://…", err=True)
    rows = [
        [each.id, each.owner, "off" if each.disabled_at else "on", " ".join(each.events), redact(each.url)]
        for each in found
    ]
    table(["ID", "OWNER", "STATE", "EVENTS", "URL"], rows)


@webhooks.command()
@click.argument("webhook")
@common_options
def remove(webhook: str, env_file: Path | None, log_level: str | None) -> None:
    """Tell a WEBHOOK, named by its id, no more. What it was told stays listed."""

    async def work(app: App) -> None:
        await app.webhooks.remove(webhook)

    run(settings_of(env_file, log_level), work, leave_worker=False)


@webhooks.command()
@click.argument("webhook")
@click.option("--json", "as_json", is_flag=True)
@common_options
def test(webhook: str, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Send a WEBHOOK a message about a video that does not exist, now and once, and print the answer."""

    async def work(app: App) -> Tried:
        return await app.webhooks.test(webhook)

    tried = run(settings_of(env_file, log_level), work, leave_worker=False)
    said = tried.receipt.decode("utf-8", "replace")
    if as_json:
        data = {"delivered": tried.good, "http_status": tried.http_status, "error": tried.error}
        print_json({**data, "took_s": round(tried.took_s, 3), "answer": said})
    elif tried.http_status is not None:
        click.echo(f"HTTP {tried.http_status} after {tried.took_s * 1000:.0f} ms  {short(said, 200)}".rstrip())
    if not tried.good:
        raise NotDelivered(f"The test message was not delivered. {tried.error}")


@webhooks.command()
@click.argument("webhook")
@click.option("--since", callback=age_option, default="24h", show_default=True, metavar="AGE", help="How far back.")
@click.option("--failed", is_flag=True, help="Only what did not arrive.")
@common_options
def replay(webhook: str, since: timedelta, failed: bool, env_file: Path | None, log_level: str | None) -> None:
    """Tell a WEBHOOK again of the jobs that ended lately, under the same ids. Prints how many messages that are.

    A worker sends them; one is started if none is at work.
    """

    async def work(app: App) -> int:
        return await app.webhooks.replay(webhook, since=since, only_failed=failed)

    click.echo(run(settings_of(env_file, log_level), work))


@webhooks.command()
@click.argument("webhook")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@common_options
def deliveries(webhook: str, limit: int, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """List what a WEBHOOK was told, newest first."""

    async def work(app: App) -> list[Delivery]:
        return list(await app.webhooks.deliveries(webhook, limit=limit))

    found = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json([_delivery_data(each) for each in found])
        return
    rows = [
        [each.id, each.job_id, each.kind, each.state.value, str(each.tries), _when(each.created_at), each.error or ""]
        for each in found
    ]
    table(["ID", "JOB", "EVENT", "STATE", "TRIES", "SINCE", "LAST ERROR"], rows)


def _when(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


def _endpoint_data(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": redact(endpoint.url),
        "owner": endpoint.owner,
        "events": endpoint.events,
        "created_at": endpoint.created_at,
        "disabled_at": endpoint.disabled_at,
    }


def _delivery_data(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "job_id": delivery.job_id,
        "event": delivery.kind,
        "test": delivery.event_id <= 0,
        "state": delivery.state.value,
        "tries": delivery.tries,
        "created_at": delivery.created_at,
        "next_at": delivery.next_at,
        "ended_at": delivery.ended_at,
        "http_status": delivery.http_status,
        "error": delivery.error,
    }
