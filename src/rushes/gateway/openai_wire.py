"""The OpenAI Videos API in words: from the fields of a create to a wish, from a view to a Video object. Pure.

The API's last form, of March 2026, as its clients know it. Sizes and lengths are not held to what Sora made: what a
model cannot make is refused or met nearly when its prices and limits are known, in the planner.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from rushes.gateway.fields import Fields, as_list, member, wrong
from rushes.gateway.problems import bad_request
from rushes.gateway.views import View
from rushes.planning import Wish
from rushes.providers.prepare import Misfit
from rushes.video import JSON, MediaRef, Size, Status

DEFAULT_SIZE = Size(720, 1280)
DEFAULT_SECONDS = 4
PROMPT_MAX = 32_000
LONGEST_S = 86_400
PICTURE_FIELDS = (
    "input_reference",
    "input_reference[]",
    "image",
    "image[]",
    "images",
    "images[]",
    "first_frame",
    "first_frame_image",
)
LAST_FIELDS = ("last_frame", "last_frame_image", "end_frame", "end_image")
NOT_FOR_US = ("user", "metadata", "quality", "n_variants", "stream", "response_format", "custom_llm_provider")
"""Fields that say nothing about the video. They are taken without a word, as their API takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The pictures of a request, as they were given: bytes that are in the store by now, or text to be fetched."""

    first: MediaRef | str | None = None
    last: MediaRef | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A create as it was meant, before its model is looked for."""

    wish: Wish
    model: str | None
    strict: bool | None
    ours: frozenset[str]
    ignored: tuple[str, ...]


def create_of(fields: Fields, given: Mapping[str, MediaRef]) -> Create:
    """A create. `given` are the files that came with it, by the field that each came in. Raises Problem."""
    remix = fields.text("remix_video_id", "remixed_from_video_id", most=200)
    size, seconds = fields.size(), seconds_of(fields)
    ours = frozenset(name for name, value in (("size", size), ("seconds", seconds)) if value is None)
    if remix is None:  # which takes both from its source; else they are what this API always took when nothing was said
        size, seconds = size or DEFAULT_SIZE, seconds or DEFAULT_SECONDS
    pictures = pictures_of(fields, given)
    if (copies := fields.whole("n", least=1)) not in (None, 1):
        raise bad_request(
            f"One create makes one video, not {copies}. Send as many creates as you want videos.", param="n"
        )
    wish = Wish(
        prompt=prompt_of(fields),
        size=size,
        seconds=seconds,
        seed=fields.whole("seed", least=-(2**63)),
        audio=fields.yes("audio", "generate_audio", "with_audio", "enable_audio"),
        negative_prompt=fields.text("negative_prompt"),
        first_frame=pictures.first,
        last_frame=pictures.last,
        characters=characters_of(fields),
        remix=remix,
        extra=extra_of(fields),
        cache=cache_of(fields),
    )
    model, strict = fields.text("model", most=400), fields.yes("strict")
    fields.read.update(NOT_FOR_US)
    return Create(wish=wish, model=model, strict=strict, ours=ours, ignored=tuple(fields.ignored))


def prompt_of(fields: Fields) -> str:
    prompt = fields.text("prompt", most=PROMPT_MAX)
    if prompt is None or not prompt.strip():
        raise bad_request(
            "Missing required parameter: 'prompt'.", param="prompt", error_code="missing_required_parameter"
        )
    return prompt


def seconds_of(fields: Fields) -> int | None:
    return fields.whole(
        "seconds", "duration", "n_seconds", "duration_seconds", "durationSeconds", least=1, most=LONGEST_S
    )


def extra_of(fields: Fields) -> dict[str, JSON]:
    extra = fields.first("extra")
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise wrong("extra", "is an object of options of the model's provider", extra)
    return dict(cast(Mapping[str, JSON], extra))


def cache_of(fields: Fields) -> str | None:
    cache = fields.text("cache", most=20)
    if cache not in (None, "use", "refresh", "off"):
        raise wrong("cache", "is use, refresh or off", cache)
    return cache


def characters_of(fields: Fields) -> tuple[str, ...]:
    found: list[str] = []
    for each in as_list(fields.first("characters", "character_ids")):
        name = each if isinstance(each, str) else member(each, "id", "character_id")
        if not isinstance(name, str):
            raise bad_request('Each of characters is an object with an id: {"id": "char_…"}.', param="characters")
        found.append(name)
    return tuple(found)


def pictures_of(fields: Fields, given: Mapping[str, MediaRef]) -> Pictures:
    """First and last frame. Several in one field are taken in order, as some clients send them. Raises Problem."""
    found: list[MediaRef | str] = [ref for name, ref in given.items() if name.split("#")[0] in PICTURE_FIELDS]
    last: MediaRef | str | None = next((ref for name, ref in given.items() if name.split("#")[0] in LAST_FIELDS), None)
    for name in PICTURE_FIELDS:
        found += [_picture(name, each) for each in as_list(fields.first(name))]
    for each in as_list(fields.first(*LAST_FIELDS)):
        last = _picture(fields.name_of(*LAST_FIELDS), each)
    if len(found) > 2 or (len(found) == 2 and last is not None):
        raise bad_request("At most a first and a last frame are taken.", param="input_reference")
    if len(found) == 2:
        last = found[1]
    return Pictures(first=found[0] if found else None, last=last)


def _picture(name: str, value: JSON) -> str:
    """Where a picture is to be had: an https link, a data URI or base64."""
    where = value if isinstance(value, str) else member(value, "image_url", "url", "data", "b64_json")
    if isinstance(where, Mapping):  # as chat clients nest it
        where = member(where, "url")
    if isinstance(where, str) and where:
        return where
    if member(value, "file_id") is not None:
        raise bad_request("file_id: there is no Files API here. Send the file itself, or image_url.", param=name)
    raise bad_request(f"{name} is a file, or an object with image_url.", param=name, error_code="invalid_type")


def source_of(fields: Fields, given: Mapping[str, MediaRef], *names: str) -> str | MediaRef:
    """The video of an edit or an extension: its id, or the file. Raises Problem."""
    if (clip := given.get("video")) is not None:
        fields.read.update(names)
        return clip
    value = fields.first(*names)
    found = value if isinstance(value, str) else member(value, "id", "video_id")
    if isinstance(found, str) and found:
        return found
    raise bad_request(
        'video is the file of a video, or an object with its id: {"id": "video_…"}.',
        param="video",
        error_code="missing_required_parameter" if value is None else "invalid_type",
    )


def misfit_of(strict: bool | None, otherwise: Misfit | None) -> Misfit | None:
    if strict is None:
        return otherwise
    return Misfit.STRICT if strict else Misfit.NEAREST


# -- answers ---------------------------------------------------------------------------------------


def video_object(view: View, video_id: str | None = None) -> dict[str, Any]:
    """The Video object. A failed job is one, too: clients read its `error`."""
    failed = view.status is Status.FAILED
    done = view.completed_at if view.status is Status.COMPLETED else None
    return {
        "id": video_id or view.id,
        "object": "video",
        "created_at": int(view.created_at.timestamp()),
        "completed_at": int(done.timestamp()) if done else None,
        "expires_at": None,  # kept until somebody collects it
        "status": view.status.value,
        "progress": view.percent,
        "model": view.asked_model,
        "prompt": view.prompt,
        "seconds": str(view.seconds),
        "size": str(view.size),
        "remixed_from_video_id": view.source_video if view.source_kind == "remix" else None,
        "error": {"code": view.failure.code, "message": view.failure.message} if failed and view.failure else None,
    }


def served_headers(view: View, ignored: tuple[str, ...] = ()) -> dict[str, str]:
    """Which model really serves, what was made otherwise than asked, and what nobody understood."""
    headers = {"x-rushes-model": _header(view.model)}
    if view.adjustments:
        told = [{"field": a.field, "asked": a.asked, "given": a.given, "why": a.why} for a in view.adjustments]
        headers["x-rushes-adjustments"] = json.dumps(told)  # ASCII, as a header must be
    if ignored:
        headers["x-rushes-ignored"] = _header(", ".join(ignored)[:500])
    return headers


def _header(text: str) -> str:
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in text)
