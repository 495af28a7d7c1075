"""What goes over the wire in a live test: calls and their times, words of status, fields that we know and do not know.

A provider is watched as it stands: a subclass of it notes each answer that it parses, with the shape that it parses it
into, and each call that it makes. Names are kept, and words of status; no other value of an answer, no body, no link.
"""

import ast
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast, get_args

from pydantic import AliasChoices, AliasPath, BaseModel

import rushes.testing
from rushes.errors import ProviderError
from rushes.http import Api, Reply
from rushes.providers.base import Provider
from rushes.providers.refusals import redacted
from rushes.providers.terms import Context
from rushes.video import Status

M = TypeVar("M", bound=BaseModel)

STATUS_NAMES = frozenset({"status", "state", "task_status", "taskstatus", "phase"})
LONGEST_WORD = 60


class Call(NamedTuple):
    """One call of the provider's API, and how it went."""

    step: str
    status: int | None  # None: no answer came
    took_s: float


@dataclass
class Record:
    """What was seen of one provider. Filled while it works."""

    calls: list[Call] = field(default_factory=list[Call])
    words: dict[str, Status | None] = field(default_factory=dict[str, Status | None])
    """Words of status in the order in which they came, and what the last look at each was taken for."""
    unknown: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """By the name of a shape: places in answers that it has no field for."""
    seen: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    known: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _fresh: list[str] = field(default_factory=list[str])

    @property
    def absent(self) -> dict[str, list[str]]:
        """By the name of a shape: its fields that no answer held."""
        return {name: sorted(known - self.seen[name]) for name, known in self.known.items()}

    def note_words(self, data: Any, key: str | None) -> None:
        self._fresh = [redacted(word, key) for word in status_words(data)]
        for word in self._fresh:
            self.words.setdefault(word, None)

    def taken_for(self, status: Status) -> None:
        """What the provider made of the words of the last look."""
        self.words |= dict.fromkeys(self._fresh, status)

    def note_shape(self, shape: type[BaseModel], data: Any) -> None:
        name = shape.__name__
        known, unknown = self.known.setdefault(name, set()), self.unknown.setdefault(name, set())
        compare(shape, data, "", known, self.seen.setdefault(name, set()), unknown)


def watched(provider: Provider, record: Record) -> Provider:
    """The same provider, writing down what it does."""
    kind = type(provider)

    def start(self: Provider, context: Context) -> None:
        kind.__init__(self, context)
        self.api = WatchedApi(self, record)

    def parsed(self: Provider, reply: Reply, shape: type[M]) -> M:
        record.note_shape(shape, _data(reply))
        return kind.parsed(self, reply, shape)

    watching: Any = type(kind.__name__, (kind,), {"__init__": start, "parsed": parsed})
    return watching(provider.context)


class WatchedApi(Api):
    """The API of a provider, with each call noted."""

    def __init__(self, provider: Provider, record: Record) -> None:
        context = provider.context
        base_url, headers = provider.api.base_url, context.section.headers
        super().__init__(context.http, base_url, headers, provider.auth_headers, provider.turns)
        self._record = record
        self._provider = provider

    async def send(self, method: str, path: str, *, step: str, **given: Any) -> Reply:
        started = time.monotonic()
        status: int | None = None
        try:
            reply = await super().send(method, path, step=step, **given)
            status = reply.status
        finally:
            self._record.calls.append(Call(step, status, round(time.monotonic() - started, 3)))
        self._record.note_words(_data(reply), self._provider.key)
        return reply


def _data(reply: Reply) -> Any:
    try:
        return json.loads(reply.body)
    except ValueError:
        return None


def status_words(data: Any) -> Iterator[str]:
    """The words under names that tell a status, wherever in an answer they stand."""
    if isinstance(data, Mapping):
        for name, value in cast(Mapping[str, Any], data).items():
            if name.lower() in STATUS_NAMES and isinstance(value, str):
                yield value[:LONGEST_WORD]
            else:
                yield from status_words(value)
    elif isinstance(data, list):
        for value in cast(list[Any], data):
            yield from status_words(value)


# -- fields ------------------------------------------------------------------------------------------


def compare(shape: type[BaseModel], data: Any, place: str, known: set[str], seen: set[str], unknown: set[str]) -> None:
    """Hold an answer beside the shape that it is read into: which fields it has, lacks, and has beyond it."""
    names = {alias: name for name in shape.model_fields for alias in wire_names(shape, name)}
    known |= {f"{place}{alias}" for alias in names}
    if not isinstance(data, Mapping):
        return
    for name, value in cast(Mapping[str, Any], data).items():
        if name not in names:
            unknown.add(f"{place}{name}")
            continue
        seen.add(f"{place}{name}")
        if inner := inner_shape(shape.model_fields[names[name]]):
            for entry in cast(list[Any], value) if isinstance(value, list) else [value]:
                compare(inner, entry, f"{place}{name}.", known, seen, unknown)


def wire_names(shape: type[BaseModel], name: str) -> set[str]:
    """What a field may be called in an answer."""
    alias = shape.model_fields[name].validation_alias or shape.model_fields[name].alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
    return {str(each.path[0]) if isinstance(each, AliasPath) else each for each in choices}


def inner_shape(annotation: Any) -> type[BaseModel] | None:
    """The shape inside a field's type: alone, optional, or in a list."""
    held: Any = getattr(annotation, "annotation", annotation)
    if isinstance(held, type) and issubclass(held, BaseModel):
        return held
    return next((inner for each in get_args(held) if (inner := inner_shape(each))), None)


# -- what our side has words for ---------------------------------------------------------------------


@cache
def known_words(kind: type[Provider]) -> frozenset[str]:
    """Every short text in the provider's file and in its fake's, in lower case: words that we have heard of."""
    texts: set[str] = set()
    for path in _sources(kind):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= LONGEST_WORD:
                texts.add(node.value.lower())
    return frozenset(texts)


def _sources(kind: type[Provider]) -> Iterator[Path]:
    own = next(each for each in kind.__mro__ if each.__name__ == kind.__name__ and each.__module__ != __name__)
    spec = find_spec(own.__module__)
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin)
        package = file.parent if own.__module__.count(".") > 2 else None  # a package of its own below `providers`
        yield from sorted(package.glob("*.py")) if package else [file]
    testing = Path(next(iter(rushes.testing.__path__)))
    yield from (
        path for path in (testing / "fakes" / f"{kind.name}.py", testing / f"fake_{kind.name}.py") if path.is_file()
    )


def trouble_in_words(error: Exception, key: str | None) -> str:
    """An error as it may stand in a report: its kind, what the far side said, no key and no link's secrets."""
    told = redacted(str(error), key)
    status = f" (HTTP {error.http_status})" if isinstance(error, ProviderError) and error.http_status else ""
    return f"{type(error).__name__}: {told}{'' if status.strip(' ()') in told else status}"
