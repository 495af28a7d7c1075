"""What a live test found, held against what the provider's file and table say: the report, and how it reads. Pure.

A deviation is where the contract was wrong: it wants a change in the provider's file, its table or its fake. What was
only seen, such as a field that nobody reads, is told beside it. Nothing here is a key or a link.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rushes.media.probe import Probe
from rushes.providers.base import Provider
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Promises
from rushes.testing.live.record import Call, Record
from rushes.video import Progress, Size, Status

SECONDS_SLACK = 0.3
"""How far a clip may be from the length that was asked for: encoders round to frames."""
CENT = Decimal("0.005")
NEVER_TRIED = re.compile(r"Never tried live:\s*(.+?)(?=\n\s*\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word of status, what it was taken for, and whether we had heard of it."""

    word: str
    taken_for: str | None
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """The clip as it was measured."""

    size: str
    seconds: float
    fps: float
    has_audio: bool
    video_codec: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where the clip was fetched from. The host alone: what stands behind it may be signed."""

    host: str
    needs_key: bool | None  # None: that was not tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A call that must fail, and how it did."""

    call: str
    expected: str
    seen: str

    @property
    def good(self) -> bool:
        return self.seen.partition(":")[0] == self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    provider: str
    model: str
    size: str
    seconds: int
    audio: bool
    estimate_usd: Decimal | None
    outcome: str
    remote_id: str | None = None
    took_s: float | None = None  # from the create to the end of the job
    told_usd: Decimal | None = None
    tells_percent: bool = False
    calls: tuple[Call, ...] = ()
    words: tuple[Word, ...] = ()
    unknown_fields: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    absent_fields: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    file: File | None = None
    links: tuple[Link, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    deviations: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    never_tried: str | None = None


@dataclass
class Findings:
    """What came of each step, as far as it went. `report` makes sense of it."""

    outcome: str = "nothing was bought"
    remote_id: str | None = None
    took_s: float | None = None
    progress: Progress | None = None
    tells_percent: bool = False
    told_usd: Decimal | None = None
    probe: Probe | None = None
    links: list[Link] = field(default_factory=list[Link])
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    troubles: list[str] = field(default_factory=list[str])


def report(
    provider: Provider, prepared: Prepared, found: Findings, record: Record, known_words: frozenset[str]
) -> Report:
    request, model = prepared.request, provider.context.model(prepared.request.model)
    assert request.size is not None and request.seconds is not None, "a prepared request leaves nothing open"
    words = tuple(
        Word(word=word, taken_for=status.value if status else None, known=word.lower() in known_words)
        for word, status in record.words.items()
    )
    made = Report(
        provider=provider.context.name,
        model=str(request.model),
        size=str(request.size),
        seconds=request.seconds,
        audio=model.has_sound(request.audio),
        estimate_usd=prepared.estimate_usd,
        outcome=found.outcome,
        remote_id=found.remote_id,
        took_s=found.took_s,
        told_usd=found.told_usd,
        tells_percent=found.tells_percent,
        calls=tuple(record.calls),
        words=words,
        unknown_fields={name: sorted(fields) for name, fields in record.unknown.items() if fields},
        absent_fields={name: fields for name, fields in record.absent.items() if fields},
        file=_file(found.probe),
        links=tuple(found.links),
        refusals=tuple(found.refusals),
        unverified=model.unverified,
        never_tried=never_tried(type(provider)),
    )
    return replace(made, deviations=tuple(_deviations(made, found, request.size, provider.promises)))


def _deviations(made: Report, found: Findings, size: Size, promises: Promises) -> Iterator[str]:
    yield from found.troubles
    for word in made.words:
        if not word.known:
            yield f"The status word {word.word!r} is new to us. It was taken for {word.taken_for or 'nothing'}."
    if (probe := found.probe) is not None:
        yield from _of_file(made, probe, size)
    told, expected = made.told_usd, made.estimate_usd
    if told is not None and expected is not None and abs(told - expected) > CENT:
        yield f"It says that it cost ${told}; the table makes it ${expected}."
    if (progress := found.progress) is not None and progress.status is Status.FAILED and progress.failure:
        billed = progress.billed or promises.moderated_is_billed
        paid = "It may be billed." if billed else "It should cost nothing."
        yield f"The job failed ({progress.failure.code}). {paid}"
    yield from (f"{each.call}: {each.expected} was expected; {each.seen}." for each in made.refusals if not each.good)


def _of_file(made: Report, probe: Probe, size: Size) -> Iterator[str]:
    if probe.size != size:
        yield f"The clip is {probe.size}, not {size} as it was asked for and as the table has it."
    if abs(probe.seconds - made.seconds) > SECONDS_SLACK:
        yield f"The clip lasts {probe.seconds:.2f} s, not {made.seconds}."
    if probe.has_audio != made.audio:
        yield f"The clip {'has' if probe.has_audio else 'has no'} sound; the table says otherwise."


def _file(probe: Probe | None) -> File | None:
    if probe is None:
        return None
    return File(
        size=str(probe.size),
        seconds=round(probe.seconds, 3),
        fps=round(float(probe.fps), 3),
        has_audio=probe.has_audio,
        video_codec=probe.video_codec,
        size_bytes=probe.size_bytes,
    )


def never_tried(provider: type[Provider]) -> str | None:
    """What a provider's file, or its package, says of itself that nobody has seen live."""
    for kind in provider.__mro__:
        package = kind.__module__.rpartition(".")[0]
        text = "\n\n".join(
            sys.modules[name].__doc__ or "" for name in (kind.__module__, package) if name in sys.modules
        )
        if match := NEVER_TRIED.search(text):
            return " ".join(match[1].split())
    return None


# -- as text -----------------------------------------------------------------------------------------


def as_text(made: Report) -> str:
    """The report for a person, the deviations last, where a terminal leaves off."""
    sections = [
        ("What was asked", _asked(made)),
        ("Calls", [f"{c.step}: {c.status or 'no answer'} in {c.took_s:.2f} s" for c in _few(made.calls)]),
        ("Words of status", [f"{w.word}: {w.taken_for or '-'}{'' if w.known else ' (new)'}" for w in made.words]),
        ("Fields that nobody reads", _fields(made.unknown_fields)),
        ("Fields that no answer held", _fields(made.absent_fields)),
        ("The file", _clip(made)),
        ("Calls that must fail", [f"{each.call}: {each.seen}" for each in made.refusals]),
        ("Still unverified", [*made.unverified, *([made.never_tried] if made.never_tried else [])]),
        ("Where the contract is wrong", list(made.deviations) or ["nowhere, as far as this shows"]),
    ]
    return "\n\n".join("\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections if lines)


def _asked(made: Report) -> list[str]:
    sound = "with sound" if made.audio else "silent"
    took = "" if made.took_s is None else f", after {made.took_s:.0f} s"
    return [
        f"{made.model}: {made.size}, {made.seconds} s, {sound}",
        f"{made.outcome}{took}{f', as {made.remote_id}' if made.remote_id else ''}",
        f"expected {_usd(made.estimate_usd)}; told {_usd(made.told_usd)}",
        f"progress in percent: {'told' if made.tells_percent else 'not told'}",
    ]


def _usd(amount: Decimal | None) -> str:
    return "nothing" if amount is None else f"${amount}"


def _few(calls: Sequence[Call]) -> Iterable[Call]:
    """Each step with each status once, with its longest call: a job is looked at many times."""
    longest: dict[tuple[str, int | None], Call] = {}
    for call in calls:
        key = call.step, call.status
        longest[key] = max(call, longest.get(key, call), key=lambda each: each.took_s)
    return longest.values()


def _fields(fields: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{shape}: {', '.join(names)}" for shape, names in fields.items()]


def _clip(made: Report) -> list[str]:
    keys = {True: "needs the key", False: "needs no key", None: "whether it needs the key was not tried"}
    lines = [f"from {link.host}, which {keys[link.needs_key]}" for link in made.links]
    if (clip := made.file) is None:
        return lines
    sound = "with sound" if clip.has_audio else "silent"
    facts = f"{clip.size}, {clip.seconds:g} s, {clip.fps:g} fps, {sound}, {clip.video_codec}, {clip.size_bytes:,} bytes"
    return [facts, *lines]
