"""Fields of a request, read with the patience that real clients need. Pure.

Numbers come as text and text as numbers, and each fork of an API has names of its own for the same thing. What is meant
is taken; what cannot be meant is refused with the field's name; what is unknown is left aside and told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from rushes.gateway.problems import Problem, bad_request
from rushes.video import JSON, Size

SHOWN = 60
ASPECTS: Mapping[str, tuple[int, int]] = {
    "16:9": (16, 9),
    "9:16": (9, 16),
    "1:1": (1, 1),
    "4:3": (4, 3),
    "3:4": (3, 4),
    "21:9": (21, 9),
    "landscape": (16, 9),
    "portrait": (9, 16),
    "square": (1, 1),
}
SHORT_SIDES = {"480p": 480, "540p": 540, "720p": 720, "768p": 768, "1080p": 1080, "2k": 1440, "4k": 2160}


@dataclass(slots=True)
class Fields:
    """The fields of one request; those that were read are known by it, and the rest is told."""

    given: Mapping[str, JSON]
    read: set[str] = field(default_factory=set[str])

    def first(self, *names: str) -> JSON:
        """The first of these that is given and not empty; all of them count as read."""
        self.read.update(names)
        return next((value for name in names if (value := self.given.get(name)) not in (None, "")), None)

    def name_of(self, *names: str) -> str:
        """Under which of the names it was given; the first, if under none."""
        return next((name for name in names if self.given.get(name) not in (None, "")), names[0])

    @property
    def ignored(self) -> list[str]:
        return sorted(name for name in self.given if name not in self.read)

    # -- kinds -------------------------------------------------------------------------------------

    def text(self, *names: str, most: int = 32_000) -> str | None:
        value = self.first(*names)
        if value is None:
            return None
        if isinstance(value, bool | int | float):
            value = str(value)
        if not isinstance(value, str):
            raise wrong(self.name_of(*names), "is a text", value)
        if len(value) > most:
            raise bad_request(
                f"{self.name_of(*names)} has {len(value)} characters; at most {most} are taken.",
                param=self.name_of(*names),
                error_code="string_above_max_length",
            )
        return value

    def whole(self, *names: str, least: int = 0, most: int = 2**63 - 1) -> int | None:
        value = self.first(*names)
        if value is None:
            return None
        name = self.name_of(*names)
        number = _number(value)
        if number is None:
            raise wrong(name, "is a whole number", value)
        if not least <= number <= most:
            raise wrong(name, f"is a whole number from {least} to {most}", value)
        return number

    def yes(self, *names: str) -> bool | None:
        value = self.first(*names)
        if value is None or isinstance(value, bool):
            return value
        known = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        found = known.get(str(value).strip().lower())
        if found is None:
            raise wrong(self.name_of(*names), "is true or false", value)
        return found

    def size(self) -> Size | None:
        """`size`, else width and height, else a shape and a class of size."""
        text = self.text("size", "resolution_size", most=40)
        width, height = self.whole("width", least=1, most=16384), self.whole("height", least=1, most=16384)
        shape = self.text("aspect_ratio", "aspectRatio", "ratio", most=40)
        grade = self.text("resolution", most=40)
        if text is not None and text.lower() != "auto":
            try:
                return Size.parse(text)
            except ValueError as error:
                raise bad_request(str(error), param="size") from None
        if width and height:
            return Size(width, height)
        if width or height:
            raise bad_request("Give both width and height, or size.", param="height" if width else "width")
        return _shaped(shape, grade)


def _shaped(shape: str | None, grade: str | None) -> Size | None:
    if grade is not None and "x" in grade:
        try:
            return Size.parse(grade)
        except ValueError:
            return None
    if shape is None and grade is None:
        return None
    aspect = ASPECTS.get((shape or "16:9").lower())
    short = SHORT_SIDES.get((grade or "720p").lower())
    if aspect is None or short is None:
        return None
    width, height = aspect
    scale = short / min(aspect)
    return Size(round(width * scale / 2) * 2, round(height * scale / 2) * 2)


def _number(value: Any) -> int | None:
    """A whole number from a number or its text; None for what is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    text = value.strip() if isinstance(value, str) else ""
    head, _, tail = text.partition(".")
    digits = head.removeprefix("-")
    if digits.isascii() and digits.isdigit() and not tail.strip("0") and len(digits) < 20:
        return int(head)
    return None


def wrong(name: str, should: str, value: JSON) -> Problem:
    """The Problem for a value that cannot be meant."""
    shown = repr(value)
    shown = shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 1]}…"
    return bad_request(f"{name} {should}, not {shown}.", param=name)


def as_list(value: JSON) -> list[JSON]:
    """A list as it is, nothing as an empty one, anything else as the only member."""
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(cast(Sequence[JSON], value))
    return [value]


def member(value: JSON, *names: str) -> JSON:
    """The first of these members of an object; None for what is no object or has none of them."""
    if not isinstance(value, Mapping):
        return None
    given = cast(Mapping[str, JSON], value)
    return next((given[name] for name in names if given.get(name) not in (None, "")), None)
