"""Azure's video jobs in words: from the fields of a create to what is meant, from a view to a job. Pure.

The API of Azure OpenAI's first video models, which rushes also speaks as a client (`providers/azure/wire.py`). Sizes
and lengths are held to what that API offers, because its clients know no others; what serves them may make more.

An inpaint item puts a picture or a clip at a frame of the video. A whole picture at the first or the last frame is what
our models call a first or last frame; anything else is a reference with a place in time, which few models take.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from rushes.gateway.brackets import shown
from rushes.gateway.fields import Fields, as_list, wrong
from rushes.gateway.openai_wire import prompt_of
from rushes.gateway.problems import Problem, bad_request
from rushes.gateway.views import View
from rushes.jobs.ledger import JobState
from rushes.jobs.shelf import VideoRow
from rushes.planning import INPAINT_ITEMS, Given
from rushes.providers.catalog import Feature
from rushes.providers.refusals import MODERATION_CODES
from rushes.video import JSON, Crop, Failure, MediaRef, Size, Status

DEFAULT_MODEL = "sora"
DEFAULT_SECONDS = 5
MOST_SECONDS = 20
MOST_VARIANTS = 5
FPS = 30
"""What a frame_index counts. (unverified; our client of this API assumes the same)"""
SIZES = tuple(
    Size(width, height)
    for width, height in (
        (480, 480),
        (480, 854),
        (854, 480),
        (720, 720),
        (720, 1280),
        (1280, 720),
        (1080, 1080),
        (1080, 1920),
        (1920, 1080),
    )
)
FILE_NAME_MAX = 255
"""No file system has longer names: a longer text is a picture itself, in base64."""
_LINK_OR_DATA = re.compile(r"\s*(https?://|data:)", re.IGNORECASE)
_SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One inpaint item as it was said. `where` is how messages call it."""

    where: str
    file_name: str
    frame_index: int
    crop: Crop | None

    @property
    def holds_media(self) -> bool:
        """Whether the name is a link or the data themselves, if it is no file's."""
        return _LINK_OR_DATA.match(self.file_name) is not None or len(self.file_name) > FILE_NAME_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A create as it was meant, before its model is looked for."""

    prompt: str
    model: str
    size: Size
    seconds: int
    variants: int
    items: tuple[Item, ...]
    ours: frozenset[str]
    ignored: tuple[str, ...]


def create_of(fields: Fields, deployment: str | None = None) -> Create:
    """A create. `deployment` is the one that its path names, if it does. Raises Problem."""
    prompt = prompt_of(fields)
    said = fields.text("model", most=400)
    seconds = fields.whole("n_seconds", least=1, most=MOST_SECONDS)
    size = size_of(fields)
    return Create(
        prompt=prompt,
        model=deployment or said or DEFAULT_MODEL,
        size=size,
        seconds=seconds or DEFAULT_SECONDS,
        variants=fields.whole("n_variants", least=1, most=MOST_VARIANTS) or 1,
        items=items_of(fields, seconds or DEFAULT_SECONDS),
        ours=frozenset() if seconds else frozenset({"seconds"}),
        ignored=tuple(fields.ignored),
    )


def size_of(fields: Fields) -> Size:
    width, height = fields.whole("width", least=1), fields.whole("height", least=1)
    if width is None or height is None:
        name = "width" if width is None else "height"
        raise bad_request(f"Missing required parameter: {name!r}.", param=name, error_code="missing_required_parameter")
    size = Size(width, height)
    if size not in SIZES:
        wide = any(width == each.width for each in SIZES)
        raise bad_request(
            f"width and height are one of {', '.join(map(str, SIZES))}, not {size}.",
            param="height" if wide else "width",
        )
    return size


# -- inpaint items -----------------------------------------------------------------------------------


def items_of(fields: Fields, seconds: int) -> tuple[Item, ...]:
    given = fields.first(INPAINT_ITEMS)
    return tuple(_item(f"{INPAINT_ITEMS}[{n}]", each, seconds) for n, each in enumerate(as_list(given)))


def _item(where: str, given: JSON, seconds: int) -> Item:
    if not isinstance(given, Mapping):
        raise wrong(where, "is an object with frame_index and file_name", given)
    said = Fields({f"{where}.{name}": value for name, value in given.items()})
    kind = said.text(f"{where}.type", most=20)
    if kind not in (None, "image", "video"):
        raise wrong(f"{where}.type", "is image or video", kind)
    file_name = said.first(f"{where}.file_name")
    if not isinstance(file_name, str):
        raise wrong(f"{where}.file_name", "is the file name of a part 'files'", file_name)
    return Item(
        where=where,
        file_name=file_name,
        frame_index=said.whole(f"{where}.frame_index", most=last_index(seconds)) or 0,
        crop=_crop(f"{where}.crop_bounds", said.first(f"{where}.crop_bounds")),
    )


def _crop(where: str, bounds: JSON) -> Crop | None:
    """The part that is shown; None for the whole."""
    if bounds is None:
        return None
    known = {f"{side}_fraction": side for side in _SIDES}
    if not isinstance(bounds, Mapping) or any(name not in known for name in bounds):
        raise wrong(where, f"takes {', '.join(known)}", bounds)
    given = {known[name]: _fraction(f"{where}.{name}", value) for name, value in bounds.items() if value is not None}
    crop = Crop(**given)
    if crop.left >= crop.right or crop.top >= crop.bottom:
        raise bad_request(f"{where} leaves nothing of the picture.", param=where)
    return None if crop == Crop() else crop


def _fraction(where: str, value: JSON) -> float:
    number = -1.0
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError):
            number = float(value)
    if not 0 <= number <= 1:
        raise wrong(where, "is a fraction from 0 to 1", value)
    return number


def last_index(seconds: int) -> int:
    """The index of the last frame of a video that lasts so long."""
    return seconds * FPS - 1


def files_named(items: Sequence[Item], names: Sequence[str]) -> dict[str, int | None]:
    """Which of the files each file name means; None for a link or data. Raises Problem for any that means nothing.

    A file that no item names is an error, too: without its picture the video would not be the one that was meant.
    """
    found: dict[str, int | None] = {}
    for item in items:
        wanted = shown(item.file_name)  # as the names of parts are kept
        places = [n for n, name in enumerate(names) if name == wanted]
        if len(places) > 1:
            raise bad_request(f"Several files are named {wanted!r}. Give each a name of its own.", param="files")
        if not places and not item.holds_media:
            have = f"The files are: {', '.join(names)}." if names else "No file was sent: send multipart, with files."
            raise bad_request(
                f"{item.where}.file_name: no part 'files' has the file name {wanted!r}. {have}",
                param=f"{item.where}.file_name",
            )
        found[item.file_name] = places[0] if places else None
    if left := [name for n, name in enumerate(names) if n not in found.values()]:
        raise bad_request(
            f"{INPAINT_ITEMS} does not say where {left[0]!r} goes. Name it there: "
            f'[{{"frame_index": 0, "type": "image", "file_name": "{left[0]}"}}]',
            param=INPAINT_ITEMS,
        )
    return found


class Placed(NamedTuple):
    """The items of a create as a model takes them."""

    first_frame: MediaRef | None = None
    last_frame: MediaRef | None = None
    references: tuple[Given, ...] = ()


def placed(items: Sequence[tuple[Item, MediaRef]], seconds: int, features: Collection[Feature], model: str) -> Placed:
    """Where each picture or clip goes. Raises Problem for what a model with these features cannot take."""
    ends: dict[int, MediaRef] = {}
    others: list[Given] = []
    feature_at = {0: Feature.FIRST_FRAME, last_index(seconds): Feature.LAST_FRAME}
    for item, media in items:
        at = item.frame_index
        whole_picture = media.seconds is None and item.crop is None
        if whole_picture and feature_at.get(at) in features and at not in ends:
            ends[at] = media
            continue
        if Feature.REFERENCES not in features:
            raise bad_request(_cannot_take(item, media, features, model, last_index(seconds)), param=item.where)
        others.append(Given(media=media, frame_index=at, crop=item.crop))
    return Placed(ends.get(0), ends.get(last_index(seconds)), tuple(others))


def _cannot_take(item: Item, media: MediaRef, features: Collection[Feature], model: str, last: int) -> str:
    what = "a clip" if media.seconds is not None else "a cropped picture" if item.crop else "a picture"
    takes = [
        f"a whole picture at frame_index {at}"
        for feature, at in ((Feature.FIRST_FRAME, 0), (Feature.LAST_FRAME, last))
        if feature in features
    ]
    can = f"It takes {' and '.join(takes)}." if takes else "It takes no pictures."
    return f"{item.where}: {model} takes no {what.removeprefix('a ')} at frame_index {item.frame_index}. {can}"


# -- answers -----------------------------------------------------------------------------------------


_UNUSED: frozenset[JobState] = frozenset()
STATES: Mapping[str, frozenset[JobState]] = {
    "preprocessing": _UNUSED,
    "queued": frozenset({JobState.QUEUED}),
    "running": frozenset(JobState) - {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED},
    "processing": _UNUSED,
    "succeeded": frozenset({JobState.COMPLETED}),
    "failed": frozenset({JobState.FAILED, JobState.NEEDS_ATTENTION}),
    "cancelled": frozenset({JobState.CANCELLED, JobState.FAILED}),
}
"""The statuses of this API, and the states of the ledger in which a job may have each. `status_of` decides."""

_STATUSES = {
    Status.QUEUED: "queued",
    Status.IN_PROGRESS: "running",
    Status.COMPLETED: "succeeded",
    Status.FAILED: "failed",
}


def status_of(view: View) -> str:
    if view.status is Status.FAILED and view.failure is not None and view.failure.code == "cancelled":
        return "cancelled"
    return _STATUSES[view.status]


def statuses_of(texts: Sequence[str]) -> frozenset[str] | None:
    """Statuses to list, of which each text may hold several; None: all."""
    words = frozenset(word.strip().lower() for text in texts for word in text.split(",") if word.strip())
    if unknown := sorted(words - STATES.keys()):
        raise wrong("statuses", f"are some of {', '.join(STATES)}", unknown[0])
    return words or None


def reason_of(failure: Failure) -> str:
    """Why a job failed, in this API's words where it has one.

    `input_moderation` tells clients that nothing was billed, so it is said only of what was never sent.
    """
    code = failure.code.lower()
    if code == "prompt_blocked":
        return "input_moderation"
    return "output_moderation" if code in MODERATION_CODES else failure.code


def job_object(view: View) -> dict[str, Any]:
    """The job. `error` is more than this API has: its reason is one word, and a person wants the provider's own."""
    failed = view.failure if view.status is Status.FAILED else None
    succeeded = view.status is Status.COMPLETED
    told = {"error": {"code": failed.code, "message": failed.message}} if failed else {}
    return {
        "object": "video.generation.job",
        "id": view.id,
        "status": status_of(view),
        "created_at": _time(view.created_at),
        "finished_at": _time(view.completed_at) if view.final else None,
        "expires_at": None,  # kept until somebody collects it
        "generations": [generation_object(view, row) for row in view.videos] if succeeded else [],
        "prompt": view.prompt,
        "model": view.asked_model,
        "n_variants": variants_of(view),
        "n_seconds": view.seconds,
        "height": view.size.height,
        "width": view.size.width,
        "failure_reason": reason_of(failed) if failed else None,
        **told,
    }


def generation_object(view: View, row: VideoRow) -> dict[str, Any]:
    return {
        "object": "video.generation",
        "id": row.id,
        "job_id": view.id,
        "created_at": _time(row.created_at or view.completed_at or view.created_at),
        "width": view.size.width,
        "height": view.size.height,
        "n_seconds": view.seconds,
        "prompt": view.prompt,
    }


def variants_of(view: View) -> int:
    """How many videos its provider was asked for."""
    asked = view.extra.get("n_variants")
    return asked if isinstance(asked, int) else 1


def _time(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None


# -- errors ------------------------------------------------------------------------------------------


_CODES = {"model_not_found": "DeploymentNotFound", "moderation_blocked": "contentFilter"}
_PARAMS = {"seconds": "n_seconds", "size": "width"}
"""What the planner calls otherwise."""


def error_body(problem: Problem, message: str) -> dict[str, Any]:
    """A problem as this API tells it: flat. `message` is the problem's, fit to be shown."""
    moderated = problem.error_code == "moderation_blocked"
    details: dict[str, Any] = {}
    inner = {"code": "ResponsibleAIPolicyViolation", "error_details": details, "revised_prompt": ""}
    told = {
        "code": _CODES.get(problem.error_code, problem.error_code),
        "message": message,
        "param": _PARAMS.get(problem.param, problem.param) if problem.param else None,
        "type": problem.type,
    }
    # Flat as Azure documents it, and wrapped as it also came, which is what promptfoo reads.
    return {**told, "inner_error": inner if moderated else None, "error": told}
