"""`rushes models` and `rushes providers`: what could be used, and what instead of what."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import click

from rushes.app import App
from rushes.cli.run import common_options, print_json, run, settings_of
from rushes.cli.show import table
from rushes.errors import RushesError, Unsupported
from rushes.providers.catalog import Model, Price
from rushes.providers.prepare import seconds_in_words
from rushes.providers.replacements import DEFAULT_BOARD, Answer, Replacement, Sort, Standing, rankings
from rushes.video import Size

SHOWN = 25
BOARDS = tuple(dict.fromkeys(board.key for board in rankings().boards))


@click.command()
@click.argument("provider", required=False)
@click.option("--for", "instead_of", metavar="MODEL", help="What could be used instead of it; sora-2, for one.")
@click.option("--size", help="With --for: the size of the clip that is compared. Default: MODEL's.")
@click.option("--seconds", type=click.IntRange(min=1), help="With --for: its length. Default: MODEL's.")
@click.option("--sort", type=click.Choice([each.value for each in Sort]), help="With --for. Default: features.")
@click.option(
    "--board", type=click.Choice(BOARDS), help=f"With --for: whose ranks are shown. Default: {DEFAULT_BOARD}."
)
@click.option("--limit", type=click.IntRange(min=1), help=f"With --for: show so many. Default: {SHOWN}, in JSON all.")
@click.option("--json", "as_json", is_flag=True)
@common_options
def models(
    provider: str | None,
    instead_of: str | None,
    size: str | None,
    seconds: int | None,
    sort: str | None,
    board: str | None,
    limit: int | None,
    as_json: bool,
    env_file: Path | None,
    log_level: str | None,
) -> None:
    """List the models that are known by name, of one PROVIDER or of all.

    With --for, the same as what they would be in place of MODEL: the price of the same clip, what would be missing, and
    how people judged them.
    """
    settings = settings_of(env_file, log_level)
    if instead_of is not None:
        wanted = _size(size)

        async def compare(app: App) -> Answer:
            return app.replacements(
                instead_of,
                size=wanted,
                seconds=seconds,
                provider=provider,
                sort=Sort(sort or Sort.FEATURES),
                board=board or DEFAULT_BOARD,
            )

        answer = run(settings, compare, leave_worker=False)
        if as_json:
            print_json(_answer_data(answer, limit))
        else:
            _show_answer(answer, board or DEFAULT_BOARD, limit or SHOWN)
        return
    alone = {"--size": size, "--seconds": seconds, "--sort": sort, "--board": board, "--limit": limit}
    if given := [name for name, value in alone.items() if value is not None]:
        raise click.UsageError(f"{', '.join(given)}: only with --for MODEL.")

    async def work(app: App) -> list[Model]:
        if provider is not None:
            app.providers.provider(provider)
        known = app.providers.catalog.models.values()
        return [model for model in known if provider in (None, model.id.provider)]

    _show_models(run(settings, work, leave_worker=False), as_json)


def _show_models(found: Sequence[Model], as_json: bool) -> None:
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
    """The span of the price list for a video from a prompt, by the second where it is so."""
    lines = [line for line in model.prices if not line.has and not line.clips] or list(model.prices)
    rates = [line.usd_per_second for line in lines if line.usd_per_second is not None]
    flat = [line.usd_per_video for line in lines if line.usd_per_video is not None]
    if not rates and not flat:
        return "unknown"
    if max([*rates, *flat]) == 0:
        return "free"
    spans = [_span(amounts, unit) for amounts, unit in ((rates, "/s"), (flat, " each")) if any(amounts)]
    both_at_once = any(line.usd_per_second and line.usd_per_video for line in lines)
    return (" + " if both_at_once else " or ").join(spans)


def _span(amounts: Sequence[Decimal], unit: str) -> str:
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
        "prices": [_price_data(line) for line in model.prices],
        "sound": model.sound,
        "ranked_as": model.ranked_as,
        "unverified": list(model.unverified),
        "source": model.source,
        "read": model.read,
        "retired": model.retired,
        "successor": model.successor,
        "note": model.note,
    }


def _price_data(line: Price) -> dict[str, Any]:
    data = asdict(line)
    return {**data, "sizes": [str(size) for size in line.sizes], "has": sorted(line.has)}


# -- instead of another ------------------------------------------------------------------------------


def _size(text: str | None) -> Size | None:
    try:
        return None if text is None else Size.parse(text)
    except ValueError as error:
        raise Unsupported(str(error)) from None


def _show_answer(answer: Answer, board: str, limit: int) -> None:
    clip, asked = answer.clip, answer.asked
    own = next((each for each in answer.standings if each.board == board), None)
    click.echo(
        f"{asked.id}: {clip.size}, {clip.seconds} s, {'with sound' if clip.audio else 'silent'}, {_usd(answer.usd)}"
        f"{f', {_rank(own)}' if own else ''}",
        err=True,
    )
    shown = answer.replacements[:limit]
    first, *others = [frozenset(each.lacks) for each in answer.replacements] or [frozenset[str]()]
    everywhere = first.intersection(*others) if others else frozenset[str]()
    table(
        ["MODEL", "PRICE", "RATIO", "MADE IN", "RANK", "KEY", "LACKS"],
        [
            [
                str(each.model.id),
                _usd(each.usd) + ("*" if _doubtful(each.model) else ""),
                "-" if each.ratio is None else f"x{each.ratio:.2f}",
                f"{each.size} {each.seconds} s",
                _rank(each.standing(board)),
                "yes" if each.model.id.provider in answer.keys else "no",
                "; ".join(words for words in each.lacks if words not in everywhere) or "-",
            ]
            for each in shown
        ],
    )
    for words in _notes(answer, shown, everywhere, board):
        click.echo(words, err=True)


def _notes(answer: Answer, shown: Sequence[Replacement], everywhere: frozenset[str], board: str) -> Iterator[str]:
    if everywhere:
        yield f"All of them: {'; '.join(sorted(everywhere))}."
    title, source = next((each.title, each.source) for each in rankings().boards if each.key == board)
    yield f"RANK is the score at {title} ({source}): more is better."
    if any(_doubtful(each.model) for each in shown):
        yield "* A price that rests on one weak source."
    if more := len(answer.replacements) - len(shown):
        yield f"{more} more: pass --limit {len(answer.replacements)}, or name a provider."


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"${amount:.2f}"


def _rank(standing: Standing | None) -> str:
    return f"{standing.score} ({standing.day})" if standing else "-"


def _doubtful(model: Model) -> bool:
    return any("price" in words for words in model.unverified) and bool(model.prices)


def _answer_data(answer: Answer, limit: int | None) -> dict[str, Any]:
    return {
        "for": str(answer.asked.id),
        "clip": {"size": str(answer.clip.size), "seconds": answer.clip.seconds, "audio": answer.clip.audio},
        "usd": answer.usd,
        "ranks": [asdict(each) for each in answer.standings],
        "replacements": [_replacement_data(answer, each) for each in answer.replacements[:limit]],
    }


def _replacement_data(answer: Answer, one: Replacement) -> dict[str, Any]:
    return {
        "model": str(one.model.id),
        "title": one.model.title,
        "usd": one.usd,
        "ratio": None if one.ratio is None else round(float(one.ratio), 3),
        "size": str(one.size),
        "seconds": one.seconds,
        "met": one.met,
        "of": len(one.aspects),
        "lacks": list(one.lacks),
        "ranks": [asdict(each) for each in one.standings],
        "key": one.model.id.provider in answer.keys,
        "unverified": list(one.model.unverified),
        "note": one.model.note,
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
