"""What providers send, read with patience: kinds of fields, and errors in whatever envelope.

No two agree on types: numbers come as text, dates as seconds, milliseconds or ISO text, errors as a sentence or an
object. Nothing here refuses an answer for that; a field that cannot be read counts as absent.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict

from rushes.video import Size


def read_number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value.strip().rstrip("%s").strip())
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def read_percent(value: Any) -> float | None:
    number = read_number(value)
    return None if number is None else min(100.0, max(0.0, number))


def read_seconds(value: Any) -> int | None:
    number = read_number(value)
    return round(number) if number is not None and number >= 0.5 else None


def read_moment(value: Any) -> datetime | None:
    try:
        if (number := read_number(value)) is not None:
            return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC) if number > 0 else None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def read_size(value: Any) -> Size | None:
    try:
        return Size.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None


def read_text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


Text = Annotated[str | None, BeforeValidator(read_text)]


class Incoming(BaseModel):
    """Base of what providers send: unknown names are their business."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)


class WireError(Incoming):
    code: Text = None
    message: Text = None
    type: Text = None
    param: Text = None


def read_error_object(value: Any) -> WireError | None:
    if isinstance(value, str):
        return WireError(message=value) if value.strip() else None
    if isinstance(value, Mapping):
        return WireError.model_validate(value) if value else None
    return None


def read_object(value: Any) -> Any:
    """An object, or an empty one for anything else that may stand in its place."""
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def read_objects(value: Any) -> list[Any]:
    """The objects of a list, and nothing else that may stand in its place."""
    if not isinstance(value, list):
        return []
    return [entry for entry in cast(list[Any], value) if isinstance(entry, Mapping)]


def read_texts(value: Any) -> tuple[str, ...]:
    """The texts of a list; of a text alone, that one."""
    entries = cast(list[Any], value) if isinstance(value, list) else [value]
    return tuple(entry for entry in entries if isinstance(entry, str) and entry)


Number = Annotated[float | None, BeforeValidator(read_number)]
Percent = Annotated[float | None, BeforeValidator(read_percent)]
Seconds = Annotated[int | None, BeforeValidator(read_seconds)]
Moment = Annotated[datetime | None, BeforeValidator(read_moment)]
Texts = Annotated[tuple[str, ...], BeforeValidator(read_texts)]
ErrorObject = Annotated[WireError | None, BeforeValidator(read_error_object)]


def read_wire_error(body: bytes) -> WireError:
    """The code and words of an error answer: an envelope, a sentence, FastAPI's `detail`, or plain text."""
    try:
        data = json.loads(body)
    except ValueError:
        return WireError(message=_plain(body))
    if not isinstance(data, Mapping):
        return WireError(message=_plain(body))
    sent = cast(Mapping[str, Any], data)
    if (error := read_error_object(sent.get("error"))) and (error.message or error.code or error.type):
        return error
    detail = sent.get("detail")
    if isinstance(detail, Mapping):
        inside = cast(Mapping[str, Any], detail)
        return (
            read_error_object(inside.get("error")) or read_error_object(inside) or WireError()
        )  # some wrap an envelope in it
    if isinstance(detail, list):
        return WireError(message="; ".join(map(_complaint, cast(list[Any], detail))))
    words = detail if isinstance(detail, str) else sent.get("message")
    return WireError(code=read_text(sent.get("code")), message=read_text(words) or _plain(body))


def _complaint(entry: Any) -> str:
    """One of FastAPI's validation errors: where and what."""
    if not isinstance(entry, Mapping):
        return str(entry)
    sent = cast(Mapping[str, Any], entry)
    place = cast(list[Any], sent.get("loc")) if isinstance(sent.get("loc"), list) else []
    return f"{'.'.join(map(str, place))}: {sent.get('msg', '')}"


def _plain(body: bytes) -> str:
    """The words of an answer that is no JSON; of a web page, its text without the markup."""
    text = body[:2000].decode("utf-8", "replace")
    if "<" in text:
        text = re.sub(r"(?is)<(style|script)\b.*?</\1>|<[^>]*>", " ", text)
    return " ".join(text.split())[:200]
