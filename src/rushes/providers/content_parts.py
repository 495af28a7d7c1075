"""What Ark and MiniMax V2 have in common: a create whose prompt and pictures are parts of one `content` list, the look
at such a task, and the numbered pages of a list of tasks.

All pure. What differs (addresses, the words for sizes, codes, prices) is each vendor's own. The list tells no prompts,
so a task in it is at best a candidate for a create in doubt. Never tried live: what the list is called in its answer,
whether `total` comes with it; without a total no search is taken for complete.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast

from pydantic import AliasChoices, BeforeValidator, Field

from rushes.errors import Moderated
from rushes.providers.incoming import (
    ErrorObject,
    Incoming,
    Moment,
    Number,
    Seconds,
    Text,
    WireError,
    read_number,
    read_object,
    read_text,
)
from rushes.providers.openai.wire import Listing
from rushes.providers.refusals import without_video
from rushes.video import JSON, Failure, MediaRef, Progress, Status, VideoRequest

STATES: Mapping[str, Status] = {
    "queued": Status.QUEUED,
    "succeeded": Status.COMPLETED,
    "failed": Status.FAILED,
    "cancelled": Status.FAILED,
    "expired": Status.FAILED,
}
"""Every other word means "still running"."""
ENDED_BY_WORD: Mapping[str, str] = {
    "cancelled": "The task was cancelled over there.",
    "expired": "The task expired before it was done.",
}
LISTS = ("items", "tasks", "data")
"""Unverified: under which of these names the tasks of a page stand."""


# -- the create ------------------------------------------------------------------------------------


def content_of(request: VideoRequest, uris: Mapping[str, str], source_url: str | None) -> list[JSON]:
    """The parts of a create, text first. `uris` are the pictures by their sha256; `source_url` an earlier video's."""
    pictures: list[tuple[str, MediaRef]] = []
    if request.first_frame is not None:
        pictures.append(("first_frame", request.first_frame))
    if request.last_frame is not None:
        pictures.append(("last_frame", request.last_frame))
    pictures += [("reference_image", reference.media) for reference in request.references]
    parts: list[JSON] = [{"type": "text", "text": request.prompt}]
    parts += [{"type": "image_url", "image_url": {"url": uris[media.sha256]}, "role": role} for role, media in pictures]
    if source_url is not None:
        parts.append({"type": "video_url", "video_url": {"url": source_url}, "role": "reference_video"})
    return parts


# -- the look --------------------------------------------------------------------------------------


class Content(Incoming):
    """What was made. Ark says `video_url`, MiniMax `url`."""

    url: Annotated[Text, Field(validation_alias=AliasChoices("video_url", "url"))] = None


class Usage(Incoming):
    completion_tokens: Number = None


class Task(Incoming):
    """A task, as a look tells of it; the message to a callback address has the same shape."""

    id: Text = None
    status: Text = None
    content: Annotated[Content, BeforeValidator(read_object)] = Content()
    error: ErrorObject = None
    usage: Annotated[Usage, BeforeValidator(read_object)] = Usage()
    duration: Seconds = None
    created_at: Moment = None


def progress_of(task: Task, moderated: Callable[[WireError], bool]) -> Progress:
    """A look in our words. No vendor of this kind tells a percentage."""
    word = (task.status or "").lower()
    status = STATES.get(word, Status.IN_PROGRESS)
    if status is Status.COMPLETED and not task.content.url:
        return without_video()
    if status is Status.FAILED:
        return Progress(status=status, failure=_failure(word, task.error or WireError(), moderated))
    percent = 100.0 if status is Status.COMPLETED else None
    return Progress(status=status, percent=percent, seconds=task.duration)


def _failure(word: str, error: WireError, moderated: Callable[[WireError], bool]) -> Failure:
    if word in ENDED_BY_WORD:
        return Failure(word, error.message or ENDED_BY_WORD[word])
    words = error.message or "The server gave no reason."
    return Failure(Moderated.code if moderated(error) else error.code or "internal_error", words)


# -- the list --------------------------------------------------------------------------------------


class Pages:
    """Numbered pages of tasks, told as a list that goes on or ends: by the total that the far side counts.

    It ends when as many different tasks were seen as there are. New ones that push others onto the next page make a
    search incomplete, never wrong.
    """

    def __init__(self) -> None:
        self.number = 1
        self._seen: set[str] = set()

    def read(self, data: Any) -> Listing:
        """Take in the page `number`, and go on to the next."""
        self.number += 1
        sent: Mapping[str, Any] = read_object(data)
        total = read_number(sent.get("total"))
        found = next((sent[name] for name in LISTS if isinstance(sent.get(name), list)), None)
        # An empty list may be told as null. Where no list is told at all, we may have read another kind of answer.
        empty = total == 0 and any(name in sent for name in LISTS)
        entries = cast(list[Any], found) if found is not None else [] if empty else None
        tasks = None if entries is None else [_task_in_list(entry) for entry in entries]
        self._seen |= {task["id"] for task in tasks or () if task is not None}
        more = None if total is None else len(self._seen) < total
        return Listing.model_validate({"data": tasks, "has_more": more})


def _task_in_list(entry: Any) -> dict[str, Any] | None:
    """A task as far as it can be compared: when it was made, and nothing that might be told in another form there."""
    outer = read_object(entry)
    task = read_object(outer.get("task")) or outer
    task_id = next((text for name in ("id", "task_id") if (text := read_text(task.get(name)))), None)
    return None if task_id is None else {"id": task_id, "created_at": task.get("created_at")}
