"""Words: what a prompt says, as far as an animatic can show it. Pure; no picture is made here.

It is a reader of keywords, not of grammar: it finds the places, figures, light, weather, colours and camera
moves that `vocabulary.py` knows, drops what is negated ("no rain", or the negative prompt), and gives a colour
to the thing that it stands before ("a red car"). What it does not know it leaves to chance.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

from rushes.media.animatic.camera import Move
from rushes.media.animatic.vocabulary import (
    COLOURS,
    EXTRAS,
    GARMENTS,
    HOURS,
    KINDS,
    PLACES,
    TONES,
    WEARERS,
    WEATHERS,
    Extra,
    Hour,
    Kind,
    Place,
    Tone,
    Weather,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One subject, with the colour that the prompt gives it."""

    kind: Kind
    colour: str | None = None  # a name in vocabulary.COLOURS
    word: str = ""  # the prompt's own word for it, singular or plural as written


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What was understood. Empty or None: the prompt does not say, so the seed decides."""

    places: tuple[Place, ...] = ()
    figures: tuple[Figure, ...] = ()
    hour: Hour | None = None
    weather: frozenset[Weather] = frozenset()
    tones: frozenset[Tone] = frozenset()
    extras: frozenset[Extra] = frozenset()
    colours: tuple[str, ...] = ()
    moves: tuple[Move, ...] = (Move.DRIFT,)
    moving: bool = False  # somebody walks, runs, drives or flies

    def says(self, kind: Kind, *words: str) -> bool:
        """Does the prompt use one of these words for this kind of figure?"""
        return any(figure.kind is kind and figure.word in words for figure in self.figures)

    def shows(self, kind: Kind) -> bool:
        return any(figure.kind is kind for figure in self.figures)


class _Found(NamedTuple):
    at: int
    phrase: str
    meaning: StrEnum | str


_LONGEST_PHRASE = 5
_NEGATIONS = {"no", "not", "without", "never", "zero", "minus"}
_ING_LEFT_RIGHT = r"(?:\s+\w+){0,3}?\s+"
# In the order in which they are tried: the first that matches at a place in the prompt takes it.
_MOVES: tuple[tuple[Move, str], ...] = (
    (Move.PAN_LEFT, rf"(?<!frying )\bpan(?:s|ning)?{_ING_LEFT_RIGHT}left|leftward pan|\bpan-left"),
    (Move.PAN_RIGHT, rf"(?<!frying )\bpan(?:s|ning)?{_ING_LEFT_RIGHT}right|rightward pan|\bpan-right"),
    (Move.TILT_DOWN, rf"\btilt(?:s|ing)?{_ING_LEFT_RIGHT}down(?:wards?)?|\btilt-down"),
    (Move.TILT_UP, r"\btilt(?:s|ing)?\b(?:(?:\s+\w+){0,3}?\s+up(?:wards?)?)?|\blook(?:s|ing)? up"),
    (Move.ZOOM_OUT, r"\bzoom(?:s|ing)?(?:\s+\w+){0,2}?[\s-]+out|crash zoom out"),
    (Move.ZOOM_IN, r"\bzoom(?:s|ing)?\b(?:(?:\s+\w+){0,2}?[\s-]+in\b)?"),
    (
        Move.PULL_OUT,
        r"\bdoll(?:y|ies|ying)(?:\s+\w+){0,2}?[\s-]+(?:out|back)|\bpull(?:s|ing)?(?:[\s-]+\w+)?[\s-]+(?:out|back)|"
        r"\bmov(?:e|es|ing) back",
    ),
    (
        Move.TRUCK_LEFT,
        r"\b(?:truck|track|doll|slid|crab)(?:y|ies|ying|e|s|es|ing)?(?:\s+\w+){0,3}?[\s-]+left",
    ),
    (
        Move.TRUCK_RIGHT,
        r"\b(?:truck|track|doll|slid|crab)(?:y|ies|ying|e|s|es|ing)?(?:\s+\w+){0,3}?[\s-]+right",
    ),
    (
        Move.PUSH_IN,
        r"\bdoll(?:y|ies|ying)(?:[\s-]+(?:zoom|in|forward))?\b|\bpush(?:es|ing)?(?:\s+\w+)?[\s-]+in\b|"
        r"\bmov(?:e|es|ing) (?:forward|closer)|\bapproach(?:es|ing)\b",
    ),
    (
        Move.TRUCK_RIGHT,
        r"\btracking shot|\btrucking shot|\bslider shot|\btracking\b|\bside tracking|\btruck shot",
    ),
    (Move.CRANE_DOWN, r"\b(?:crane|jib|boom|pedestal)s?(?:\s+\w+){0,2}?[\s-]+down|\bcamera descends"),
    (Move.CRANE_UP, r"\b(?:crane|jib|boom|pedestal)s?(?:[\s-]+(?:shot|up))\b|\bcamera rises|\bcamera rising"),
    (
        Move.ORBIT,
        r"\borbit(?:s|ing)?\b(?! around earth)|\barc shot|\bcircl(?:es|ing)\b|\b360\b|\brevolv(?:es|ing) around",
    ),
    (
        Move.AERIAL,
        r"\baerial\b|\bdrone\b|\bbird'?s[\s-]eye|\bfly[\s-]?over\b|\bflying over\b|\bfpv\b|\bhelicopter shot",
    ),
    (Move.HANDHELD, r"\bhand[\s-]?held\b|\bshaky\b|\bshoulder cam"),
    (
        Move.STATIC,
        r"\bstatic\b|\blocked[\s-]?(?:off|down)?\b|\btripod\b|\bfixed (?:camera|shot)|\bstill camera",
    ),
)
_GOING = (
    r"\b(?:walk|run|runn|stroll|jog|gallop|trot|ride|rid|driv|race|rac|wander|hik|march|chas|rush|travel|cross|sprint|"
    r"prowl|roam|sail|head|mov)(?:s|es|ing|e)?\b(?! (?:shot|back|forward|closer))"
)
_Meaning = TypeVar("_Meaning", bound=StrEnum)


def read_prompt(prompt: str, negative: str | None = None) -> Scene:
    """The scene that a prompt asks for, less what `negative` names."""
    words = _words(prompt)
    found = [item for item in _phrases(words) if not _negated(words, item.at)]
    unwanted = {item.meaning for item in _phrases(_words(negative or ""))}
    found = [item for item in found if item.meaning not in unwanted]
    owners = _colour_owners(found)
    worn = _garment_colours(words, found)
    figures: dict[Kind, Figure] = {}
    for item in found:
        if isinstance(item.meaning, Kind):
            colour = owners.get(item.at) or (next(iter(worn.values()), None) if item.meaning in WEARERS else None)
            figures.setdefault(item.meaning, Figure(kind=item.meaning, colour=colour, word=item.phrase))
    hours = _all(found, Hour)
    return Scene(
        places=_all(found, Place),
        figures=tuple(figures.values()),
        # The last hour named wins: "a summer day at dusk" is dusk.
        hour=hours[-1] if hours else None,
        weather=frozenset(_all(found, Weather)),
        tones=frozenset(_all(found, Tone)),
        extras=frozenset(_all(found, Extra)),
        colours=tuple(
            dict.fromkeys(
                item.meaning
                for item in found
                if item.meaning in COLOURS and item.at not in worn and item.meaning not in owners.values()
            )
        ),
        moves=read_moves(prompt),
        moving=bool(re.search(_GOING, _plain(prompt))),
    )


def read_moves(prompt: str) -> tuple[Move, ...]:
    """The camera moves named, in order; a gentle drift where none is."""
    text = _plain(prompt)
    taken = [False] * len(text)
    found: list[tuple[int, Move]] = []
    for move, pattern in _MOVES:
        for match in re.finditer(pattern, text):
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = [True] * (match.end() - match.start())
                found.append((match.start(), move))
    moves = [move for _, move in sorted(found)]
    steady = [move for move in moves if move is not Move.STATIC]
    return tuple(steady or moves or (Move.DRIFT,))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")


def _words(text: str) -> list[str]:
    return re.findall(r"[\w&'-]+|[,.;:!?]", _plain(text))


def _phrases(words: list[str]) -> Iterator[_Found]:
    """Known phrases, longest first, each word used at most once per table and position."""
    at = 0
    while at < len(words):
        for length in range(min(_LONGEST_PHRASE, len(words) - at), 0, -1):
            phrase = " ".join(words[at : at + length])
            meanings = _MEANINGS.get(phrase) or next(
                (_MEANINGS[form] for form in _singulars(phrase) if form in _MEANINGS), None
            )
            if meanings:
                yield from (_Found(at, phrase, meaning) for meaning in meanings)
                at += length
                break
        else:
            at += 1


def _singulars(phrase: str) -> Iterator[str]:
    if phrase.endswith("ies"):
        yield phrase[:-3] + "y"
    if phrase.endswith("es"):
        yield phrase[:-2]
    if phrase.endswith("s"):
        yield phrase[:-1]
    if phrase.endswith("'s"):
        yield phrase[:-2]


def _negated(words: list[str], at: int) -> bool:
    """`no rain`, `without any people`: the negation stands at most two words before."""
    return any(word in _NEGATIONS for word in words[max(0, at - 2) : at] if word not in ",.;:!?")


def _colour_owners(found: list[_Found]) -> dict[int, str]:
    """Position of a figure -> the colour word right before it, or one word further."""
    colours = {item.at: str(item.meaning) for item in found if item.meaning in COLOURS}
    owners: dict[int, str] = {}
    for item in found:
        if isinstance(item.meaning, Kind):
            near = colours.get(item.at - 1) or colours.get(item.at - 2)
            if near:
                owners[item.at] = near
    return owners


def _garment_colours(words: list[str], found: list[_Found]) -> dict[int, str]:
    """Position of a colour word -> its name, where it is the colour of something worn: "a red coat"."""
    return {
        item.at: str(item.meaning)
        for item in found
        if item.meaning in COLOURS and any(word in GARMENTS for word in words[item.at + 1 : item.at + 3])
    }


def _all(found: list[_Found], kind: type[_Meaning]) -> tuple[_Meaning, ...]:
    return tuple(dict.fromkeys(item.meaning for item in found if isinstance(item.meaning, kind)))


def _index() -> dict[str, tuple[StrEnum | str, ...]]:
    index: dict[str, list[StrEnum | str]] = {name: [name] for name in COLOURS}
    tables: tuple[Mapping[StrEnum, str], ...] = (PLACES, KINDS, HOURS, WEATHERS, TONES, EXTRAS)  # type: ignore[assignment]
    for table in tables:
        for meaning, phrases in table.items():
            for phrase in phrases.split(","):
                index.setdefault(phrase.strip(), []).append(meaning)
    return {phrase: tuple(meanings) for phrase, meanings in index.items()}


_MEANINGS = _index()
