"""What servers of the OpenAI Videos dialect send, read with patience.

No two agree on types, so the fields are those of `incoming.py`.
The status words and the shapes are those seen in vLLM-Omni, SGLang, TensorRT-LLM, LiteLLM, new-api and relays of
theirs, read 2026-11-20.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, model_validator

from rushes.providers.incoming import (
    Incoming,
    Text,
    WireError,
    read_error_object,
    read_moment,
    read_percent,
    read_seconds,
    read_size,
)
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


class WireVideo(Incoming):
    """A job. Only `id` and `status` can be counted on, and a create's answer may lack even the second."""

    id: Text = None
    object: Text = None
    status: Annotated[Status | None, BeforeValidator(read_status)] = None
    reason: Text = None  # not sent by anybody: what the status word says beyond "failed"
    progress: Annotated[float | None, BeforeValidator(read_percent)] = None
    model: Text = None
    prompt: Text = None
    seconds: Annotated[int | None, BeforeValidator(read_seconds)] = None
    size: Annotated[Size | None, BeforeValidator(read_size)] = None
    created_at: Annotated[datetime | None, BeforeValidator(read_moment)] = None
    expires_at: Annotated[datetime | None, BeforeValidator(read_moment)] = None
    remixed_from_video_id: Text = None
    error: Annotated[WireError | None, BeforeValidator(read_error_object)] = None

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
