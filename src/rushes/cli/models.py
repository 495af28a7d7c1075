"""`rushes models` and `rushes providers`: what could be used."""

from pathlib import Path
from typing import Any

import anyio
import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import table
from rushes.errors import RushesError
from rushes.providers.catalog import Model
from rushes.providers.prepare import seconds_in_words


@click.command()
@click.argument("provider", required=False)
@click.option("--json", "as_json", is_flag=True)
@common_options
def models(provider: str | None, as_json: bool, env_file: Path | None, log_level: str | None) -> None:
    """List the models that are known by name, of one PROVIDER or of all."""

    async def work(app: App) -> list[Model]:
        if provider is not None:
            app.providers.provider(provider)
        known = app.providers.catalog.models.values()
        return [model for model in known if provider in (None, model.id.provider)]

    found = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json([_model_data(model) for model in found])
        return
    table(
        ["MODEL", "SIZES", "SECONDS", "PRICE", "TAKES", "READ"],
        [
            [
                str(model.id),
                _sizes(model),
                seconds_in_words(model.seconds),
                _price(model),
                _takes(model),
                model.read.isoformat() if model.read else "-",
            ]
            for model in found
        ],
    )
    for model in found:
        if model.note:
            click.echo(f"{model.id}: {model.note}", err=True)


def _takes(model: Model) -> str:
    """What it can be given beside a prompt; what it cannot do without first."""
    needed = [f"{feature} (needed)" for feature in model.requires]
    return ", ".join([*needed, *sorted(set(model.features) - set(model.requires))]) or "-"


def _sizes(model: Model) -> str:
    if not model.sizes:
        return f"any to {model.max_side}"
    shown = ", ".join(map(str, model.sizes[:2]))
    return shown if len(model.sizes) <= 2 else f"{shown}, +{len(model.sizes) - 2}"


def _price(model: Model) -> str:
    """The span of the price list, by the second where it is so."""
    rates = [line.usd_per_second for line in model.prices if line.usd_per_second is not None]
    flat = [line.usd_per_video for line in model.prices if line.usd_per_video is not None]
    if not rates and not flat:
        return "unknown"
    amounts, unit = (rates, "/s") if rates else (flat, " each")
    if max(amounts) == 0:
        return "free"
    low, high = min(amounts), max(amounts)
    return f"${low}{unit}" if low == high else f"${low}-{high}{unit}"


def _model_data(model: Model) -> dict[str, Any]:
    return {
        "id": str(model.id),
        "title": model.title,
        "sizes": [str(size) for size in model.sizes],
        "max_side": None if model.sizes else model.max_side,
        "seconds": list(model.seconds),
        "default_size": str(model.default_size),
        "default_seconds": model.default_seconds,
        "features": sorted(model.features),
        "requires": list(model.requires),
        "prices": [
            {
                "sizes": [str(size) for size in line.sizes],
                "usd_per_second": line.usd_per_second,
                "usd_per_video": line.usd_per_video,
            }
            for line in model.prices
        ],
        "sound": model.sound,
        "source": model.source,
        "read": model.read,
        "retired": model.retired,
        "successor": model.successor,
        "note": model.note,
    }


PING_S = 10.0


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.option("--check/--no-check", default=True, help="Ask each provider that is set up whether it answers.")
@common_options
def providers(as_json: bool, check: bool, env_file: Path | None, log_level: str | None) -> None:
    """List the providers: which are set up, and whether they answer. Costs nothing."""

    async def work(app: App) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for name in app.providers.names():
            try:
                provider = app.providers.provider(name)
            except RushesError as error:
                rows.append({"provider": name, "usable": False, "key": False, "says": str(error)})
                continue
            can = provider.availability()
            says = can.reason
            if can.usable and check:
                try:
                    with anyio.fail_after(PING_S):
                        says = await provider.ping()
                except RushesError as error:
                    says = str(error)
                except TimeoutError:
                    says = f"no answer within {PING_S:g} s"
            rows.append({"provider": name, "usable": can.usable, "key": bool(provider.key), "says": says})
        return rows

    found = run(settings_of(env_file, log_level), work, leave_worker=False)
    if as_json:
        print_json(found)
        return
    table(
        ["PROVIDER", "USABLE", "KEY", "SAYS"],
        [[r["provider"], "yes" if r["usable"] else "no", "yes" if r["key"] else "no", r["says"]] for r in found],
    )
