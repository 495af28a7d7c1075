"""The fields of a request body, whatever they came in: bracket names, form text or JSON, all become one tree.

Pure. Forms know only text and flat names, so clients write `video[id]`, `characters[][id]` or `characters[0][id]`, and
some put JSON text into a part. Nothing here trusts its input: each refusal is a problem that names the part.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from rushes.gateway.problems import Problem, bad_request, too_large
from rushes.video import JSON

NAME_MAX = 300
NODES_MAX = 10_000
DIGITS_MAX = 30
MARKS_MAX = 200_000
"""Commas and brackets, those inside texts too: what can be told before anything is built of them."""
JSON_PARTS: Final = frozenset({"characters", "extra", "input_reference", "video", "inpaint_items", "metadata"})
"""Parts whose text may be JSON: some clients send objects so, having no other way."""
REFERENCES: Final = frozenset(
    {
        "first_frame",
        "image",
        "image_url",
        "images",
        "inpaint_items",
        "input_reference",
        "last_frame",
        "url",
        "video",
        "video_url",
    }
)
"""Fields that may hold a whole file, as a data URL or in base64."""

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldLimits:
    field_bytes: int = 1_000_000
    reference_bytes: int = 30_000_000
    depth: int = 8

    def of(self, *names: str) -> int:
        """How long the text of a field may be, judged by the names that lead to it."""
        return self.reference_bytes if REFERENCES.intersection(names) else self.field_bytes


def root_of(name: str) -> str:
    """`input_reference` for `input_reference[image_url]`. Raises a problem for what is no field name."""
    return keys_of(name)[0]


def keys_of(name: str, depth: int = 8) -> list[str]:
    """The steps of a bracket name; an empty step appends. Raises a problem for what is no field name."""
    match = _NAME.fullmatch(name) if len(name) <= NAME_MAX and "\0" not in name else None
    if match is None:
        raise bad_request(f"{shown(name)!r} is not a field name. Write names like video[id].", param=shown(name))
    if match[2].count("[") >= depth:
        raise bad_request(f"{shown(name)!r} is nested too deeply; {depth} levels are the most.", param=shown(name))
    return [match[1], *(match[2][1:-1].split("][") if match[2] else [])]


def shown(name: str, most: int = 80) -> str:
    """A name that a stranger chose, fit to be repeated."""
    printable = "".join(each if each.isprintable() else "\ufffd" for each in name[: most + 1])
    return printable if len(printable) <= most else printable[: most - 1] + "…"


# -- bracket names -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Leaf:
    values: list[JSON]


@dataclass(slots=True)
class _Branch:
    """An object under its keys, or a list under its positions; the first name decides which."""

    is_list: bool
    children: "dict[str | int, _Branch | _Leaf]" = field(default_factory=lambda: {})


def unflatten(pairs: Iterable[tuple[str, JSON]], depth: int = 8) -> dict[str, JSON]:
    """The tree that flat names describe. A plain name that comes again makes a list.

    Positions order a list and no more: `a[7]` alone is a list of one, so no number can make a large one.
    """
    roots: dict[str, _Branch | _Leaf] = {}
    for name, value in pairs:
        root, *path = keys_of(name, depth)
        found = roots.setdefault(root, _Branch(_is_place(path[0])) if path else _Leaf([]))
        if isinstance(found, _Leaf) == bool(path):
            raise _conflict(name)
        if isinstance(found, _Leaf):
            found.values.append(value)
        else:
            _put(found, path, value, name)
    return {root: _grown(found) for root, found in roots.items()}


def _put(branch: _Branch, path: Sequence[str], value: JSON, name: str) -> None:
    step, *rest = path
    if _is_place(step) != branch.is_list:
        raise _conflict(name)
    key = _place(branch, step, rest) if branch.is_list else step
    if not rest:
        if key in branch.children:
            raise bad_request(f"{shown(name)!r} is given twice.", param=shown(name))
        branch.children[key] = _Leaf([value])
        return
    child = branch.children.setdefault(key, _Branch(_is_place(rest[0])))
    if isinstance(child, _Leaf):
        raise _conflict(name)
    _put(child, rest, value, name)


def _is_place(step: str) -> bool:
    return not step or _INDEX.fullmatch(step) is not None


def _place(branch: _Branch, step: str, rest: Sequence[str]) -> int:
    """Where `[]` or `[2]` points to. `a[][id]` means the last element until that has an id, then a new one."""
    if step:
        return int(step)
    last = max((key for key in branch.children if isinstance(key, int)), default=-1)
    return last if last >= 0 and rest and _has_room(branch.children[last], rest) else last + 1


def _has_room(node: _Branch | _Leaf, path: Sequence[str]) -> bool:
    step, *rest = path
    if isinstance(node, _Leaf) or _is_place(step) != node.is_list:
        return False
    child = node.children.get(int(step) if step and node.is_list else step)
    return child is None or (bool(rest) and _has_room(child, rest))


def _grown(node: _Branch | _Leaf) -> JSON:
    if isinstance(node, _Leaf):
        return node.values[0] if len(node.values) == 1 else node.values
    if node.is_list:
        return [_grown(node.children[place]) for place in sorted(key for key in node.children if isinstance(key, int))]
    return {str(key): _grown(child) for key, child in node.children.items()}


def _conflict(name: str) -> Problem:
    return bad_request(
        f"{shown(name)!r} contradicts an earlier field: one says text, an object or a list, the other something else.",
        param=shown(name),
    )


# -- JSON --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bad:
    """Stands where a value was that cannot be taken, until it is known which field that is."""

    why: str


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found[key] = _Bad("is given twice") if key in found else value
    return found


def _integer(text: str) -> int | _Bad:
    return int(text) if len(text) <= DIGITS_MAX else _Bad("is a number with too many digits")


def _float(text: str) -> float | _Bad:
    number = float(text)
    return number if math.isfinite(number) and len(text) <= 2 * DIGITS_MAX else _Bad("is a number out of range")


def _constant(text: str) -> _Bad:
    return _Bad(f"is {text}, which is no JSON")


def read_json(text: bytes, limits: FieldLimits, *, param: str | None = None) -> JSON:
    """Parse JSON of a stranger. `param` names the part it came in; an object's own fields are named by their path."""
    if text.count(b",") + text.count(b"[") + text.count(b"{") > MARKS_MAX:
        raise bad_request(f"The JSON has more than {NODES_MAX} values.", param=param)
    try:
        value = json.loads(
            text.decode("utf-8-sig"),
            object_pairs_hook=_pairs,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except RecursionError:
        raise _too_deep(param, limits) from None
    except UnicodeDecodeError as error:
        raise bad_request(f"The JSON is not UTF-8 at byte {error.start}.", param=param) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise bad_request(f"The JSON cannot be read: {error.msg} at {where}.", param=param) from None
    _check(value, [param] if param else [], limits, [0])
    return cast(JSON, value)


def read_json_object(text: bytes, limits: FieldLimits) -> dict[str, JSON]:
    value = read_json(text, limits)
    if not isinstance(value, dict):
        raise bad_request("The body is JSON but not an object. Send {...}.")
    return value


def _check(value: object, path: list[str], limits: FieldLimits, count: list[int]) -> None:
    """`count` holds one number: the values seen so far."""
    param = shown(".".join(path)) or None
    count[0] += 1
    if count[0] > NODES_MAX:
        raise bad_request(f"The JSON has more than {NODES_MAX} values.", param=param)
    if len(path) > limits.depth:
        raise _too_deep(param, limits)
    match value:
        case _Bad(why):
            raise bad_request(f"{param or 'The body'} {why}.", param=param)
        case str():
            check_text(value, param, limits.of(*path))
        case dict():
            for key, child in cast(dict[str, object], value).items():
                check_text(key, shown(key), NAME_MAX)
                _check(child, [*path, key], limits, count)
        case list():
            for place, child in enumerate(cast(list[object], value)):
                _check(child, [*path, str(place)], limits, count)
        case _:
            pass


def check_text(text: str, param: str | None, most_bytes: int) -> None:
    """A text that any database can keep and no log chokes on. Raises a problem."""
    if "\0" in text:
        raise bad_request(f"{param} has a NUL character.", param=param)
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        raise bad_request(f"{param} has half a surrogate pair, which is no character.", param=param) from None
    if size_bytes > most_bytes:
        raise too_large(f"{param} is longer than {most_bytes} bytes.", param=param)


def _too_deep(param: str | None, limits: FieldLimits) -> Problem:
    return bad_request(f"The JSON is nested too deeply; {limits.depth} levels are the most.", param=param)


# -- sameness ----------------------------------------------------------------------------------------------------------


def digest_of(fields: Mapping[str, JSON], files: Iterable[tuple[str, str]]) -> str:
    """Equal for equal requests, however encoded. `files` are names of fields and checksums of contents, in order."""
    canonical = json.dumps([_as_text(fields), list(files)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _as_text(value: JSON) -> object:
    """What a form could have carried: scalars as text; nulls and what is empty left out."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case int() | str():
            return str(value)
        case Mapping():
            entries = {key: _as_text(child) for key, child in value.items()}
            return {key: child for key, child in entries.items() if child is not None} or None
        case _:
            return [child for each in value if (child := _as_text(each)) is not None] or None
