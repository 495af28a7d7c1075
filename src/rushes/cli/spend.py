"""`rushes spend`: what the jobs cost, what may still be charged, and what the limits of today leave free."""

import csv
import io
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import table
from rushes.errors import RushesError
from rushes.jobs.budget import dollars
from rushes.jobs.purse import By, Line, Period
from rushes.jobs.spend import LimitNow, Report

COLUMNS = ("jobs", "settled_usd", "held_usd", "overrun_usd", "unknown")
DATE = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.option("--by", type=click.Choice([by.value for by in By]), default=By.DAY.value, show_default=True)
@click.option("--since", type=DATE, metavar="DATE", help="From this day on (UTC), such as 2026-11-20.")
@click.option("--until", type=DATE, metavar="DATE", help="Up to this day (UTC), it included.")
@click.option("--csv", "csv_path", metavar="FILE", help="Write the lines as CSV; - for stdout.")
@click.option("--json", "as_json", is_flag=True)
@common_options
def spend(
    by: str,
    since: datetime | None,
    until: datetime | None,
    csv_path: str | None,
    as_json: bool,
    env_file: Path | None,
    log_level: str | None,
) -> None:
    """Show what the jobs cost: settled, and held because it may still be charged."""
    if csv_path is not None and as_json:
        raise click.UsageError("Choose one: --csv FILE, or --json.")
    if since and until and since > until:
        raise click.UsageError(f"--since {since:%Y-%m-%d} is after --until {until:%Y-%m-%d}: no day lies between.")
    period = Period(since=_day(since), until=_day(until))

    async def work(app: App) -> Report:
        return await app.spend.report(By(by), period)

    report = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json(_data(report))
    elif csv_path is not None:
        _write_csv(report, csv_path)
    else:
        _show(report)


def _day(date: datetime | None) -> str | None:
    return date.strftime("%Y-%m-%d") if date else None


def _title(by: By) -> str:
    return {By.DAY: "day (UTC)", By.OWNER: "key"}.get(by, by.value)


def _show(report: Report) -> None:
    if not report.lines:
        click.echo("No jobs in that time." if report.period != Period() else "No jobs yet.", err=True)
    rows = [[line.name or "-", *_cells(line)] for line in report.lines]
    if rows:
        rows.append(["all", *_cells(report.total)])
    table([_title(report.by).upper(), "JOBS", "SETTLED", "HELD", "OVERRUN", "UNKNOWN"], rows)
    if report.by is By.TAG and report.lines:
        click.echo("A job with several tags counts in the line of each.", err=True)
    if report.total.held_usd or report.total.unknown:
        click.echo("HELD may still be charged, UNKNOWN is how many jobs have a price nobody knows.", err=True)
    if not report.limits:
        click.echo("No limit is set for a day. See [budget] in docs/settings.md", err=True)
        return
    click.echo()
    table(
        [f"LIMIT FOR {report.today} (UTC)", "USD", "SETTLED", "HELD", "FREE"],
        [
            [limit.name, *map(_dollars, (limit.limit_usd, limit.settled_usd, limit.held_usd)), _free(limit)]
            for limit in report.limits
        ],
    )


def _dollars(usd: Decimal) -> str:
    return f"${dollars(usd)}"


def _free(limit: LimitNow) -> str:
    return _dollars(limit.free_usd) + (" (overrun: nothing is admitted)" if limit.free_usd < 0 else "")


def _cells(line: Line) -> list[str]:
    amounts = (line.settled_usd, line.held_usd, line.overrun_usd)
    return [str(line.jobs), *map(_dollars, amounts), str(line.unknown)]


def _line_data(line: Line) -> dict[str, str | int]:
    amounts = {name: dollars(getattr(line, name)) for name in ("settled_usd", "held_usd", "overrun_usd")}
    return {"jobs": line.jobs, **amounts, "unknown": line.unknown}


def _data(report: Report) -> dict[str, object]:
    """Amounts are text, so that none is rounded on its way."""
    return {
        "by": report.by.value,
        "since": report.period.since,
        "until": report.period.until,
        "time_zone": "UTC",
        "lines": [{"name": line.name or None, **_line_data(line)} for line in report.lines],
        "total": _line_data(report.total),
        "today": report.today,
        "limits": [
            {name: value if isinstance(value, str) else dollars(value) for name, value in asdict(limit).items()}
            for limit in report.limits
        ],
    }


def _write_csv(report: Report, path: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_title(report.by).replace(" (UTC)", "_utc"), *COLUMNS])
    for line in report.lines:
        writer.writerow([line.name, *_line_data(line).values()])
    if path == "-":
        click.echo(text.getvalue(), nl=False)
        return
    try:
        Path(path).write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise RushesError(f"{path} cannot be written: {error.strerror}. Name another file, or - for stdout.") from error
    click.echo(f"{len(report.lines)} lines written to {path}", err=True)
