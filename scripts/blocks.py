"""Blocks of a page that are made from the code, so that no page can tell otherwise than it.

<!-- models openai -->…<!-- /models -->            the table of a provider's models, with prices and their date
<!-- provider openai -->…<!-- /provider -->        what a provider promises, and what of it nobody has seen live
<!-- servers -->…<!-- /servers -->                 what each named server of the OpenAI dialect takes
<!-- code FILE: FIRST LINE -->…<!-- /code -->      a piece of a file: from the line that begins so to its end
"""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from rushes.plugins import find
from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, Model, Price, read_table
from rushes.providers.openai.servers import SERVERS, Server
from rushes.providers.prepare import seconds_in_words
from rushes.providers.registry import GROUP, PACKAGE
from rushes.providers.terms import Doubt, Promises
from rushes.testing.live.report import never_tried
from rushes.video import Size

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = {".py": "python", ".toml": "toml"}
SAME_TIER = Decimal("0.05")
"""Sizes of one tier may differ a little in price, where the vendor counts pixels: they are told as a span."""
SAME_AREA = 0.2
FEW_SIZES = 2
"""So many are listed; more are told by their shorter side, as the column of sizes has them all."""
FOR = {
    Feature.FIRST_FRAME: "with a first frame",
    Feature.LAST_FRAME: "with a last frame",
    Feature.REFERENCES: "with references",
    Feature.REMIX: "for a remix",
    Feature.EDIT: "for an edit",
    Feature.EXTEND: "for an extension",
}
IN_DOUBT = {
    Doubt.KEY: "sent again with the same idempotency key, which makes one job of both",
    Doubt.LIST: "looked for in the vendor's own list of jobs; sent again only if that proves that it is not there",
    Doubt.NONE: "put to you (`rushes jobs resolve`): the vendor offers nothing to find it by",
}


def rewritten(page: str) -> str:
    """The page with its made blocks as they should be. Raises LookupError for a piece of code that is not there."""
    for pattern, make in (
        (r"models (?P<name>\w+)", lambda found: models_block(read_table(found["name"]))),
        (r"provider (?P<name>\w+)", lambda found: provider_block(found["name"])),
        (r"servers", lambda found: servers_block()),
        (r"code (?P<file>\S+): (?P<start>[^\n]+?)", lambda found: code_block(found["file"], found["start"])),
    ):
        kind = pattern.partition(" ")[0]
        block = re.compile(rf"(<!-- {pattern} -->\n).*?(<!-- /{kind} -->)", re.DOTALL)
        page = block.sub(lambda found, make=make: f"{found[1]}{make(found)}{found[found.re.groups]}", page)
    return page


# -- models ------------------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Tier:
    """Sizes that cost about the same."""

    prices: tuple[Price, ...]

    @property
    def rates(self) -> list[Decimal]:
        return sorted({_rate(price) for price in self.prices})

    @property
    def sizes(self) -> list[str]:
        return list(dict.fromkeys(str(size) for price in self.prices for size in price.sizes))

    @property
    def name(self) -> str:
        """Few sizes as they are; of more the shorter side of one for each area that there is among them."""
        if len(self.sizes) <= FEW_SIZES:
            return " and ".join(self.sizes)
        named: list[Size] = []
        for first in (price.sizes[0] for price in self.prices):
            if all(abs(_area(first) / _area(other) - 1) > SAME_AREA for other in named):
                named.append(first)
        return " and ".join(f"{min(size)}p" for size in named)


def _prices(model: Model) -> str:
    """The price list: what text alone costs first, then what other cases cost, then what comes on top."""
    cases: dict[str, list[Price]] = {}
    for line in model.prices:
        cases.setdefault(_case(line), []).append(line)
    told: dict[str, list[str]] = {}  # the words of a price, with the cases that it holds for
    for case, lines in sorted(cases.items(), key=lambda each: each[0] != ""):
        told.setdefault(_tiers(lines, model), []).append(case)
    parts = [words if "" in names else f"{' or '.join(names)}: {words}" for words, names in told.items()]
    return "; ".join([*parts, *_on_top(model.prices)]) or "not known"


def _case(line: Price) -> str:
    """When a line holds, beside the size. Empty: as a rule."""
    words = [FOR.get(feature, str(feature)) for feature in sorted(line.has)]
    if line.clips is not None:
        words.append("with a given clip" if line.clips else "without a clip")
    if line.audio is not None:
        words.append("with sound" if line.audio else "silent")
    return ", ".join(words)


def _tiers(lines: Sequence[Price], model: Model) -> str:
    tiers: list[Tier] = []
    for line in lines:
        at = next((n for n, tier in enumerate(tiers) if _alike(tier.prices[0], line)), None)
        if at is None:
            tiers.append(Tier((line,)))
        else:
            tiers[at] = replace(tiers[at], prices=(*tiers[at].prices, line))
    told: list[str] = []
    unit_before = ""
    everywhere = len(tiers) == 1 and set(tiers[0].sizes) >= {str(size) for size in model.sizes}
    for tier in tiers:
        line, rates = tier.prices[0], tier.rates
        if rates == [0]:
            told.append("free")
            continue
        unit = "a video" if line.usd_per_second is None else "a second"
        span = _usd(rates[0]) if len(rates) == 1 else f"{_usd(rates[0])} to {_usd(rates[-1])}"
        if line.usd_per_second and line.usd_per_video:
            span, unit = f"{_usd(line.usd_per_video)} a video and {_usd(line.usd_per_second)}", "a second"
        where = f" at {tier.name}" if line.sizes and not everywhere else ""
        length = f" for {seconds_in_words(line.seconds)} s" if line.seconds else ""
        told.append(f"{span}{'' if unit == unit_before else f' {unit}'}{length}{where}")
        unit_before = unit
    return ", ".join(told)


def _alike(one: Price, other: Price) -> bool:
    """Whether two lines may be told as one: same unit and lengths, and about the same price."""
    same_unit = (one.usd_per_second is None, one.seconds) == (other.usd_per_second is None, other.seconds)
    a, b = _rate(one), _rate(other)
    return same_unit and (a == b or abs(a - b) <= SAME_TIER * a) and bool(one.sizes) == bool(other.sizes)


def _rate(line: Price) -> Decimal:
    return line.usd_per_second if line.usd_per_second is not None else line.usd_per_video or Decimal(0)


def _on_top(lines: Sequence[Price]) -> Iterator[str]:
    """What pictures and clips that go along cost, and the least that is taken."""
    pictures = {(line.usd_per_picture, line.pictures_free) for line in lines if line.usd_per_picture}
    for usd, free in sorted(pictures):
        yield f"{_usd(usd)} for each picture that goes along{f' beyond {free}' if free else ''}"
    clips = [line for line in lines if line.usd_per_clip_second]
    if clips and all(line.usd_per_clip_second == line.usd_per_second for line in clips):
        yield "each second of a given clip costs as much as one that is made"
    elif clips:
        rates = " or ".join(_usd(rate) for rate in sorted({line.usd_per_clip_second for line in clips}))
        yield f"{rates} for each second of a given clip"
    if least := sorted({line.least_usd for line in lines if line.least_usd}):
        yield f"at least {' or '.join(map(_usd, least))}"


def _area(size: Size) -> int:
    return size.width * size.height


def _usd(amount: Decimal) -> str:
    """To a hundredth of a cent, where a price has more places."""
    places = -int(amount.as_tuple().exponent)
    return f"${amount.quantize(Decimal('0.0001')).normalize():f}" if places > 4 else f"${amount}"


def _features(model: Model) -> str:
    words = (
        each.replace("_", " ") + (" (needed)" if each in model.requires else "") for each in sorted(model.features)
    )
    return ", ".join(words) or "a prompt only"


def _link(source: str) -> str:
    address, comma, place = source.partition(", ")
    return f"<{address}>{comma}{place}" if address.startswith("https://") else source


# -- providers ---------------------------------------------------------------------------------------


def provider_block(name: str) -> str:
    """What can be told of a provider from its class, and what of it and of its models is not verified."""
    kind = find(GROUP, PACKAGE, "PROVIDER")[name].load()
    assert isinstance(kind, type) and issubclass(kind, Provider)
    rows = ["| | |", "|---|---|", *(f"| {what} | {how} |" for what, how in _facts(kind))]
    unverified = [(model, words) for model in read_table(name) for words in model.unverified]
    notes: list[str] = []
    if words := never_tried(kind):
        notes.append(f"Never tried live: {words}")
    if unverified:
        notes.append("From one weak source, and to be checked:")
        notes.append("\n".join(f"- {words}: {models}" for words, models in _by_words(unverified)))
    return "\n\n".join(["\n".join(rows), *notes]) + "\n"


def _by_words(unverified: Iterable[tuple[Model, str]]) -> Iterable[tuple[str, str]]:
    by_words: dict[str, list[str]] = {}
    for model, words in unverified:
        by_words.setdefault(words, []).append(f"`{model.id.model}`")
    return [(words, ", ".join(models)) for words, models in by_words.items()]


def _facts(kind: type[Provider]) -> Iterator[tuple[str, str]]:
    if kind.key_vars:
        yield "key", " or ".join(f"`{name}`" for name in kind.key_vars)
    variables = " or ".join(f"`{name}`" for name in kind.base_url_vars)
    address = f"<{kind.default_base_url}>" if kind.default_base_url else "given by you"
    if kind.default_base_url or variables:
        yield "address", f"{address}, or what {variables} says" if variables else address
    promises = kind.promises
    if isinstance(promises, Promises):
        yield from _promised(promises)
    yield "its webhooks", _webhooks(kind)


def _promised(promises: Promises) -> Iterator[tuple[str, str]]:
    yield "a create whose answer was lost", IN_DOUBT[promises.doubt]
    yield "cancel", "stops a job that has not ended, where the vendor still can" if promises.cancels else "not offered"
    yield "delete", "removes it over there, too" if promises.deletes else "only here"
    life = promises.result_life_s
    yield "a result is taken to be there for", "not said" if life is None else _time(life)
    yield "a job refused for its content", "is billed" if promises.moderated_is_billed else "is not billed"
    if promises.poll_least_s:
        yield "looks", f"at least {_time(promises.poll_least_s)} apart"


def _time(seconds: float) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit and seconds % unit == 0 and (unit != 86400 or seconds >= 3 * unit):
            return f"{seconds / unit:.0f} {name}{'' if seconds == unit else 's'}"
    return f"{seconds:g} seconds"


def _webhooks(kind: type[Provider]) -> str:
    """Whether its messages are read, and by what its code makes of them: believed only where a signature is checked."""
    if kind.read_webhook is Provider.read_webhook:
        return "none: rushes looks by itself"
    trusts = [call for path in _files(kind) for call in _hints(path)]
    if any(not (isinstance(trusted, ast.Constant) and trusted.value is False) for trusted in trusts):
        return "read; signed ones are believed, and either way rushes only looks sooner"
    return "read; they are not signed, so they only make rushes look sooner"


def _files(kind: type[Provider]) -> list[Path]:
    """The provider's own files: a module, or a package of its own."""
    file = Path(inspect.getfile(kind))
    return sorted(file.parent.glob("*.py")) if kind.__module__.count(".") > PACKAGE.count(".") + 1 else [file]


def _hints(path: Path) -> Iterator[ast.expr]:
    """What stands behind `trusted=` wherever a hint is made."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Hint":
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "trusted")


# -- servers of one's own ----------------------------------------------------------------------------

TAKEN = (
    Feature.FIRST_FRAME,
    Feature.LAST_FRAME,
    Feature.REFERENCES,
    Feature.SEED,
    Feature.NEGATIVE_PROMPT,
    Feature.AUDIO_SWITCH,
)
LATER = (Feature.REMIX, Feature.EDIT, Feature.EXTEND, Feature.CHARACTERS)


def servers_block() -> str:
    """What the named servers of the OpenAI dialect take, and what can be relied on with them."""
    rows = [
        "| `server` | takes beside a prompt | from earlier videos | cancel | delete | a create whose answer was lost |"
    ]
    rows += ["|---|---|---|---|---|---|"]
    rows += [_server(name, server) for name, server in SERVERS.items()]
    return "\n".join(rows) + "\n"


def _server(name: str, server: Server) -> str:
    def words(features: Sequence[Feature]) -> str:
        return ", ".join(feature.replace("_", " ") for feature in features if feature in server.takes) or "-"

    promises = server.promises
    doubt = {Doubt.KEY: "key", Doubt.LIST: "looked for in its list", Doubt.NONE: "put to you"}[promises.doubt]
    cells = [f"`{name}`", words(TAKEN), words(LATER)]
    return f"| {' | '.join([*cells, _yes(promises.cancels), _yes(promises.deletes), doubt])} |"


def _yes(offered: bool) -> str:
    return "yes" if offered else "-"


# -- code --------------------------------------------------------------------------------------------


def code_block(file: str, start: str) -> str:
    """From the line that begins with `start` to the end of its block: a blank line before an unindented one."""
    text = (ROOT / file).read_text(encoding="utf-8")
    at = next((match.start() for match in re.finditer(rf"^{re.escape(start)}", text, re.MULTILINE)), None)
    if at is None:
        raise LookupError(f"{file} has no line that begins with {start!r}")
    piece = re.split(r"\n\n+(?=\S)", text[at:], maxsplit=1)[0].rstrip()
    return f"```{LANGUAGES.get(Path(file).suffix, '')}\n{piece}\n```\n"
