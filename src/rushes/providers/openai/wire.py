"""What servers of the OpenAI Videos dialect send, read with patience.

No two agree on types: `seconds` comes as text, whole or broken number, `progress` as `"33%"`, `error` as a sentence,
dates as numbers or ISO text. Nothing here refuses an answer for that; a field that cannot be read counts as absent.
The status words and the shapes are those seen in vLLM-Omni, SGLang, TensorRT-LLM, LiteLLM, new-api and relays of
theirs, read 2026-11-20.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rushes.video import Size, Status

WORDS: Mapping[Status, str] = {
    Status.QUEUED: "queued pending submitted created starting not_start notstarted preparing preprocessing in_queue "
    "throttled unknown",
    Status.IN_PROGRESS: "in_progress processing running generating postprocessing rendering working",
    Status.COMPLETED: "completed complete succeeded succeed success done finished ready",
    Status.FAILED: "failed failure fail error rejected cancelled canceled expired timeout deleted blocked",
}
STATUS_OF = {word: status for status, words in WORDS.items() for word in words.split()}
REASONS = {
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "expired": "expired",
    "timeout": "timeout",
    "deleted": "deleted",
    "blocked": "moderation_blocked",
}
"""Failed in a way that the word itself tells."""


def _word(value: Any) -> str:
    return re.sub(r"[-\s]+", "_", value.strip().lower()) if isinstance(value, str) else ""


def read_status(value: Any) -> Status | None:
    """A status word of any server. One that nobody knows means "still running"; None: there is no word at all."""
    word = _word(value)
    return STATUS_OF.get(word, Status.IN_PROGRESS) if word else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value.strip().rstrip("%s").strip())
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _percent(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else min(100.0, max(0.0, number))


def _seconds(value: Any) -> int | None:
    number = _number(value)
    return round(number) if number is not None and number >= 0.5 else None


def _moment(value: Any) -> datetime | None:
    try:
        if (number := _number(value)) is not None:
            return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC) if number > 0 else None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _size(value: Any) -> Size | None:
    try:
        return Size.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _string(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


Text = Annotated[str | None, BeforeValidator(_string)]


class Incoming(BaseModel):
    """Base of what providers send: unknown names are their business."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)


class WireError(Incoming):
    code: Text = None
    message: Text = None
    type: Text = None
    param: Text = None


def _error(value: Any) -> WireError | None:
    if isinstance(value, str):
        return WireError(message=value) if value.strip() else None
    if isinstance(value, Mapping):
        return WireError.model_validate(value) if value else None
    return None


class WireVideo(Incoming):
    """A job. Only `id` and `status` can be counted on, and a create's answer may lack even the second."""

    id: Text = None
    object: Text = None
    status: Annotated[Status | None, BeforeValidator(read_status)] = None
    reason: Text = None  # not sent by anybody: what the status word says beyond "failed"
    progress: Annotated[float | None, BeforeValidator(_percent)] = None
    model: Text = None
    prompt: Text = None
    seconds: Annotated[int | None, BeforeValidator(_seconds)] = None
    size: Annotated[Size | None, BeforeValidator(_size)] = None
    created_at: Annotated[datetime | None, BeforeValidator(_moment)] = None
    expires_at: Annotated[datetime | None, BeforeValidator(_moment)] = None
    remixed_from_video_id: Text = None
    error: Annotated[WireError | None, BeforeValidator(_error)] = None

    @property
    def no_look(self) -> str | None:
        """Why this cannot be taken for a look at a job; None: it can.

        A relay's own trouble may be told in these words too, and a paid job is not failed on hearsay.
        """
        if self.status is None:
            return "The answer has no status"
        if self.status is Status.FAILED and not self.id:
            return "The answer tells of a failure, but not of which job"
        return None

    @model_validator(mode="before")
    @classmethod
    def _other_names(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        sent = cast(Mapping[str, Any], data)
        named = {"reason": REASONS.get(_word(sent.get("status")))}
        for name, other in (("seconds", "duration"), ("created_at", "created")):
            if sent.get(name) is None and other in sent:
                named[name] = sent[other]
        return {**sent, **named}


class WireCharacter(Incoming):
    """A character; the vendor's own description lets its id be null."""

    id: Text = None


class Listing(Incoming):
    """A page of jobs, newest first if the server does as it is asked."""

    data: list[WireVideo] = Field(default_factory=list[WireVideo])
    has_more: bool | None = None
    last_id: Text = None
    well_formed: bool = True  # not sent: every entry is a job with an id

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        sent = cast(Mapping[str, Any], data)
        entries = cast(list[Any], sent["data"]) if isinstance(sent.get("data"), list) else None
        jobs: list[Any] = [entry for entry in entries or () if isinstance(entry, Mapping) and "id" in entry]
        has_more = sent.get("has_more")
        return {
            "data": jobs,
            "has_more": has_more if isinstance(has_more, bool) else None,
            "last_id": sent.get("last_id"),
            "well_formed": entries is not None and len(jobs) == len(entries),
        }


def read_wire_error(body: bytes) -> WireError:
    """The code and words of an error answer: the vendor's envelope, a sentence, FastAPI's `detail`, or plain text."""
    try:
        data = json.loads(body)
    except ValueError:
        return WireError(message=_plain(body))
    if not isinstance(data, Mapping):
        return WireError(message=_plain(body))
    sent = cast(Mapping[str, Any], data)
    if (error := _error(sent.get("error"))) and (error.message or error.code or error.type):
        return error
    detail = sent.get("detail")
    if isinstance(detail, Mapping):
        inside = cast(Mapping[str, Any], detail)
        return _error(inside.get("error")) or _error(inside) or WireError()  # some wrap an envelope in it
    if isinstance(detail, list):
        return WireError(message="; ".join(map(_complaint, cast(list[Any], detail))))
    words = detail if isinstance(detail, str) else sent.get("message")
    return WireError(code=_string(sent.get("code")), message=_string(words) or _plain(body))


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
