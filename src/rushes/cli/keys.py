"""`rushes keys`: who may call the gateway, what each may spend, and what the prompt policy decided."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from rushes.app import App
from rushes.cli.generate import dollars_option
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import short, table
from rushes.cli.units import age_option, parse_age
from rushes.errors import Unsupported
from rushes.gateway.aliases import every_name
from rushes.jobs.audit import Entry
from rushes.jobs.budget import dollars
from rushes.jobs.keys import CACHE_MODES, BudgetNow, Grant, Issued, Key, KeyNow
from rushes.jobs.ledger import LOCAL_OWNER
from rushes.providers.registry import Registry
from rushes.video import KIND

PROMPT_CHARACTERS = 60


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of the gateway."""


@keys.command()
@click.argument("name")
@click.option("--owner", metavar="NAME", help="Whose jobs are made with it; keys of one owner share jobs and budgets.")
@click.option("--model", "models", multiple=True, metavar="PATTERN", help="May use only these, such as openai:video:*.")
@click.option("--budget", metavar="USD", help="What its owner may spend in all.")
@click.option("--budget-per-day", metavar="USD", help="What its owner may spend in a day (of UTC).")
@click.option("--unknown-price-hold", metavar="USD", help="Hold this for a job whose price nobody knows.")
@click.option("--per-minute", type=click.IntRange(min=1), metavar="N", help="At most N requests a minute.")
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help="At most N open jobs of its owner.")
@click.option("--expires", metavar="WHEN", help="After so long, such as 90d, or at the end of a day, as 2027-01-31.")
@click.option(
    "--cache", type=click.Choice(CACHE_MODES), default="off", show_default=True, help="Unless asked otherwise."
)
@click.option("--admin", is_flag=True, help="May see the numbers of all owners.")
@click.option("--json", "as_json", is_flag=True)
@common_options
def create(name: str, as_json: bool, env_file: Path | None, log_level: str | None, **options: Any) -> None:
    """Make a key for NAME and print it: once, here, and never again.

    Clients send it as they send an OpenAI key. What it may not do is refused before anything is spent.
    """
    grant = Grant(
        models=options["models"],
        budget_usd=dollars_option("--budget", options["budget"]),
        budget_per_day_usd=dollars_option("--budget-per-day", options["budget_per_day"]),
        unknown_price_hold_usd=dollars_option("--unknown-price-hold", options["unknown_price_hold"]),
        requests_per_minute=options["per_minute"],
        most_open_jobs=options["concurrency"],
        cache=options["cache"],
        admin=options["admin"],
    )
    owner, expires = options["owner"], options["expires"]

    async def work(app: App) -> tuple[Issued, list[str]]:
        expires_at = None if expires is None else expiry(expires, app.keys.now())
        made = await app.keys.create(name, grant, owner=owner, expires_at=expires_at)
        return made, unmatched(grant.models, app.providers)

    (key, secret), useless = run(settings_of(env_file, log_level), work, leave_worker=False)
    for pattern in useless:
        click.echo(f"{pattern!r} fits no model and no alias that is known here. See: rushes models", err=True)
    if owner == LOCAL_OWNER:
        click.echo(f"Jobs of {LOCAL_OWNER!r} are those of this machine's commands: the key shares them.", err=True)
    if as_json:
        print_json({**key_data(key), "key": secret})
        return
    click.echo(f"{key.id}  {allows(key)}", err=True)
    click.echo("This is the only time that the key is shown:", err=True)
    click.echo(secret)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True)
@common_options
def list_(as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """List the keys, newest first, with what their owners have spent and have left."""

    async def work(app: App) -> list[KeyNow]:
        return await app.keys.all()

    found = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json([{**key_data(each.key), "state": each.state, "budgets": budgets_data(each)} for each in found])
        return
    if not found:
        click.echo("No keys yet. Make one: rushes keys create NAME", err=True)
    table(
        ["ID", "NAME", "STATE", "SPENT", "FREE", "LAST USED", "ALLOWS"],
        [
            [
                each.key.id,
                each.key.name,
                each.state,
                " + ".join(_spent(budget) for budget in each.budgets) or "-",
                " + ".join(_free(budget) for budget in each.budgets) or "-",
                _minute(each.key.last_used_at),
                allows(each.key),
            ]
            for each in found
        ],
    )


@keys.command()
@click.argument("key", metavar="ID|NAME")
@click.option("--json", "as_json", is_flag=True)
@common_options
def revoke(key: str, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """End a key: within five seconds no gateway takes it any more.

    Its jobs go on, and stay with its owner.
    """

    async def work(app: App) -> tuple[Key, bool]:
        return await app.keys.revoke(key), await app.keys.any()

    ended, others = run(settings_of(env_file, log_level), work, leave_worker=False)
    print_json(key_data(ended)) if as_json else click.echo(f"{ended.id} ({ended.name}) is revoked.")
    if not others:
        click.echo("No key is left: a gateway that only this machine can reach asks for none now.", err=True)


@keys.command()
@click.option("--since", callback=age_option, metavar="AGE", help="Only what was decided since then, such as 24h.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@common_options
def audit(since: timedelta | None, limit: int, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """Show what the prompt policy decided, newest first: for whom, and why.

    Prompts are told by their sha256; the words only where [policy] log_prompts keeps them.
    """

    async def work(app: App) -> list[Entry]:
        start = None if since is None else datetime.now(UTC) - since
        return await app.audit.since(start, limit=limit)

    settings = settings_of(env_file, log_level)
    found = run(settings, work, leave_worker=False)
    if as_json:
        print_json([entry_data(entry) for entry in found])
        return
    if not found:
        click.echo("The prompt policy has decided nothing in that time. See [policy] in docs/settings.md", err=True)
    table(
        ["TIME (UTC)", "OWNER", "VERDICT", "REASON", "PROMPT"],
        [
            [
                entry.ts.strftime("%Y-%m-%d %H:%M:%S"),
                short(entry.owner, 40),
                entry.verdict.value,
                short(entry.reason, 60),
                f"sha256:{entry.prompt_sha256[:12]}"
                if entry.prompt is None
                else short(entry.prompt, PROMPT_CHARACTERS),
            ]
            for entry in found
        ],
    )


# -- what is written, pure -------------------------------------------------------------------------


def expiry(text: str, now: datetime) -> datetime:
    """From `90d`, or from a day, which still counts. Raises Unsupported."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1)
        except (ValueError, OverflowError) as error:
            raise Unsupported(f"--expires {text}: there is no such day.") from error
    try:
        return now + parse_age(text)
    except (ValueError, OverflowError) as error:
        raise Unsupported(f"--expires {text}: write how long, such as 90d, or a day, such as 2027-01-31.") from error


def unmatched(patterns: Iterable[str], registry: Registry) -> list[str]:
    """The patterns that allow no model of the tables and no alias, nor any of a server whose models nobody lists."""
    known = {*every_name(registry.settings), *map(str, registry.catalog.models)}
    providers = set(registry.names())

    def fits(pattern: str) -> bool:
        provider, _, kind = pattern.partition(":")
        return any(fnmatchcase(name, pattern) for name in known) or (provider in providers and kind.startswith(KIND))

    return [pattern for pattern in patterns if not fits(pattern)]


# -- what is shown, pure ---------------------------------------------------------------------------


def allows(key: Key) -> str:
    """In one line what a key may do, as far as it is limited."""
    grant = key.grant
    parts = [", ".join(grant.models) or "all models"]
    if grant.budget_usd is not None:
        parts.append(f"${dollars(grant.budget_usd)} in all")
    if grant.budget_per_day_usd is not None:
        parts.append(f"${dollars(grant.budget_per_day_usd)} a day")
    if grant.requests_per_minute is not None:
        parts.append(f"{grant.requests_per_minute} requests a minute")
    if grant.most_open_jobs is not None:
        parts.append(f"{grant.most_open_jobs} open jobs")
    if grant.cache != "off":
        parts.append(f"cache {grant.cache}")
    if key.owner != key.id:
        parts.append(f"owner {key.owner}")
    if grant.admin:
        parts.append("admin")
    if key.expires_at is not None:
        parts.append(f"until {_minute(key.expires_at)}")
    return "; ".join(parts)


def key_data(key: Key) -> dict[str, Any]:
    """A key as plain data for `--json`; amounts are text, so that none is rounded on its way."""
    grant = key.grant
    amounts = {name: getattr(grant, name) for name in ("budget_usd", "budget_per_day_usd", "unknown_price_hold_usd")}
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "models": list(grant.models),
        **{name: None if usd is None else dollars(usd) for name, usd in amounts.items()},
        "requests_per_minute": grant.requests_per_minute,
        "most_open_jobs": grant.most_open_jobs,
        "cache": grant.cache,
        "admin": grant.admin,
        "created_at": key.created_at.isoformat(),
        "expires_at": _iso(key.expires_at),
        "revoked_at": _iso(key.revoked_at),
        "last_used_at": _iso(key.last_used_at),
    }


def budgets_data(now: KeyNow) -> list[dict[str, Any]]:
    return [
        {
            "name": budget.limit.name,
            "per_day": budget.limit.scope.daily,
            "limit_usd": dollars(budget.limit.usd),
            "held_usd": dollars(budget.totals.held_usd),
            "settled_usd": dollars(budget.totals.settled_usd),
            "free_usd": dollars(budget.totals.free_usd(budget.limit)),
        }
        for budget in now.budgets
    ]


def entry_data(entry: Entry) -> dict[str, Any]:
    return {
        "ts": entry.ts.isoformat(),
        "owner": entry.owner,
        "key_id": entry.key_id,
        "verdict": entry.verdict.value,
        "reason": entry.reason,
        "prompt_sha256": entry.prompt_sha256,
        "prompt": entry.prompt,
    }


def _spent(budget: BudgetNow) -> str:
    return f"${dollars(budget.totals.settled_usd + budget.totals.held_usd)}{_per_day(budget)}"


def _free(budget: BudgetNow) -> str:
    return f"${dollars(budget.totals.free_usd(budget.limit))}{_per_day(budget)}"


def _per_day(budget: BudgetNow) -> str:
    return " today" if budget.limit.scope.daily else ""


def _minute(moment: datetime | None) -> str:
    return "-" if moment is None else moment.strftime("%Y-%m-%d %H:%M")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
