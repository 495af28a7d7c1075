"""Blocks of a page that are made from the code, so that no page can tell otherwise than it.

<!-- models openai -->…<!-- /models -->            the table of a provider's models, with prices and their date
<!-- code FILE: FIRST LINE -->…<!-- /code -->      a piece of a file: from the line that begins so to its end
"""

import re
from pathlib import Path

from rushes.providers.catalog import Model, Price, read_table
from rushes.providers.prepare import seconds_in_words

ROOT = Path(__file__).resolve().parent.parent
MODELS = re.compile(r"(<!-- models (?P<name>\w+) -->\n).*?(<!-- /models -->)", re.DOTALL)
CODE = re.compile(r"(<!-- code (?P<file>\S+): (?P<start>[^\n]+?) -->\n).*?(<!-- /code -->)", re.DOTALL)
LANGUAGES = {".py": "python", ".toml": "toml"}


def rewritten(page: str) -> str:
    """The page with its made blocks as they should be. Raises LookupError for a piece of code that is not there."""
    page = MODELS.sub(lambda found: f"{found[1]}{models_block(read_table(found['name']))}{found[3]}", page)
    return CODE.sub(lambda found: f"{found[1]}{code_block(found['file'], found['start'])}{found[4]}", page)


def models_block(models: list[Model]) -> str:
    """A table of models, and under it where and when it was read. The default of each row stands first, in bold."""
    rows = ["| model | sizes | seconds | price | takes |", "|---|---|---|---|---|"]
    rows += [f"| `{m.id}` | {_sizes(m)} | {_seconds(m)} | {_prices(m)} | {_features(m)} |" for m in models]
    reads = sorted({(m.source, m.read.isoformat()) for m in models if m.source and m.read})
    notes = [f"Read on {day}: {_link(source)}." for source, day in reads]
    notes += [f"`{m.id}` was retired on {m.retired.isoformat()}." for m in models if m.retired]
    return "\n".join([*rows, "", "  \n".join(notes)]) + "\n"


def _sizes(model: Model) -> str:
    if not model.sizes:
        return f"**{model.default_size}**, or any even width and height to {model.max_side}"
    return ", ".join([f"**{model.default_size}**", *(str(size) for size in model.sizes if size != model.default_size)])


def _seconds(model: Model) -> str:
    words = seconds_in_words(model.seconds)
    return words if len(model.seconds) == 1 else f"{words} (**{model.default_seconds}**)"


def _prices(model: Model) -> str:
    return "; ".join(dict.fromkeys(map(_price, model.prices))) or "not known"


def _price(line: Price) -> str:
    if line.of(1) == 0:
        return "free"
    where = f" at {', '.join(map(str, line.sizes))}" if line.sizes else ""
    return f"${line.of(1)} {'a video' if line.usd_per_second is None else 'a second'}{where}"


def _features(model: Model) -> str:
    words = (
        each.replace("_", " ") + (" (needed)" if each in model.requires else "") for each in sorted(model.features)
    )
    return ", ".join(words) or "a prompt only"


def _link(source: str) -> str:
    address, comma, place = source.partition(", ")
    return f"<{address}>{comma}{place}" if address.startswith("https://") else source


def code_block(file: str, start: str) -> str:
    """From the line that begins with `start` to the end of its block: a blank line before an unindented one."""
    text = (ROOT / file).read_text(encoding="utf-8")
    at = next((match.start() for match in re.finditer(rf"^{re.escape(start)}", text, re.MULTILINE)), None)
    if at is None:
        raise LookupError(f"{file} has no line that begins with {start!r}")
    piece = re.split(r"\n\n+(?=\S)", text[at:], maxsplit=1)[0].rstrip()
    return f"```{LANGUAGES.get(Path(file).suffix, '')}\n{piece}\n```\n"
