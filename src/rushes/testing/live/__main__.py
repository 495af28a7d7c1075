"""`python -m rushes.testing.live PROVIDER`: buy one small clip of a real provider, and tell where we were wrong.

It costs real money, a few cents as a rule: the price is shown, and asked about, before anything is sent. Ends with 0 if
all was as we have it, 100 where something was not, 1 where nothing could be tried, 2 for a mistake in the call.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import anyio

from rushes import config, logs
from rushes.errors import RushesError
from rushes.providers.base import Provider
from rushes.providers.prepare import Prepared
from rushes.providers.registry import Registry
from rushes.testing import clips
from rushes.testing.bench import Inputs
from rushes.testing.live.plan import PROMPT, Choice, cheapest, wanted
from rushes.testing.live.record import Record, known_words
from rushes.testing.live.report import Report, as_text, report
from rushes.testing.live.run import registry_of, try_out
from rushes.video import ModelId

DEVIATES = 100


def main() -> int:
    asked = _arguments()
    try:
        settings = config.load(env_file=asked.env_file)
        logs.hide(*logs.secrets_of(settings))
        with tempfile.TemporaryDirectory() as folder:
            made = anyio.run(_run, asked, settings, Path(folder))
    except RushesError as error:
        say(f"rushes: {error}")
        return error.exit_code
    if made is None:
        say("Nothing was sent.")
        return 1
    sys.stdout.write(as_text(made) + "\n")
    if asked.json is not None:
        asked.json.write_text(json.dumps(asdict(made), indent=2, default=str) + "\n", encoding="utf-8")
    return DEVIATES if made.deviations else 0


async def _run(asked: argparse.Namespace, settings: config.Settings, folder: Path) -> Report | None:
    async with registry_of(settings, folder) as (registry, inputs):
        provider = registry.provider(asked.provider)
        provider.check_ready()
        choice = _choice(registry, provider, asked.model)
        prepared = _prepared(choice, inputs, asked.prompt)
        provider.check(prepared)
        if not _agreed(prepared, asked):
            return None
        record = Record()
        out = asked.out or folder / "live.mp4"
        found = await try_out(provider, prepared, out, record, most_s=asked.minutes * 60, say=say)
        return report(provider, prepared, found, record, known_words(type(provider)))


def _choice(registry: Registry, provider: Provider, model: str | None) -> Choice:
    today = datetime.now(UTC).date()
    name = provider.context.name
    if model is not None:
        model_id = ModelId.parse(model) if model.startswith(f"{name}:") else ModelId(name, model)
        return cheapest([registry.model(model_id)], today)
    return cheapest([registry.model(each.id) for each in registry.catalog.of(name)], today)


def _prepared(choice: Choice, inputs: Inputs, prompt: str) -> Prepared:
    width, height = choice.size
    picture = inputs.add(clips.picture(width, height), "image/png", width, height) if choice.model.requires else None
    return wanted(choice, picture, datetime.now(UTC).date(), prompt)


def _agreed(prepared: Prepared, asked: argparse.Namespace) -> bool:
    """Whether the person at the terminal wants to pay for it."""
    request, usd = prepared.request, prepared.estimate_usd
    price = "at a price that rushes does not know" if usd is None else f"for ${usd}"
    say(f"This buys one clip {price}: {request.model}, {request.size}, {request.seconds} s.")
    if usd is None and not asked.allow_unknown_price:
        raise RushesError("The price is unknown. Look it up, and pass --allow-unknown-price if you agree to it.")
    if usd is not None and asked.max_cost is not None and usd > asked.max_cost:
        raise RushesError(f"That is more than --max-cost {asked.max_cost}.")
    if asked.yes:
        return True
    if not sys.stdin.isatty():
        raise RushesError("There is no terminal to ask at. Pass --yes to agree beforehand.")
    sys.stderr.write("Buy it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rushes.testing.live", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("provider", help="fal, xai, …, or a section of rushes.toml")
    parser.add_argument("--model", help="default: the one whose least clip costs least")
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--yes", action="store_true", help="buy without asking")
    parser.add_argument("--allow-unknown-price", action="store_true", help="buy what has no price in our tables")
    parser.add_argument("--max-cost", type=Decimal, metavar="USD", help="buy nothing dearer")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to wait for the clip; default: 30")
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep the clip there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="read variables from this file first")
    return parser.parse_args()


def say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
