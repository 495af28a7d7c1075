"""Kling's old API, for the models that only it has: a signed token instead of a key, one address for each operation.

No webhook is asked for here, for the old ones are unsigned, and nothing is looked up by our key: neither is worth its
code for models on their way out. Ids are kept with their operation before them, `text2video/8f3a…`, because a look
needs it. Pure.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from rushes.providers.given import without_none
from rushes.providers.incoming import Incoming, Text, read_object, read_objects, read_text
from rushes.providers.kling.wire import Extra, Row, failure_of
from rushes.providers.refusals import without_video
from rushes.providers.shapes import ratio_of, tier_by_area
from rushes.video import JSON, Progress, Status, VideoRequest

ROOT = "/v1/videos"
TEXT, IMAGE = "text2video", "image2video"
MODES: Mapping[str, int] = {"std": 720, "pro": 1080, "4k": 2160}
RATIOS = ("16:9", "9:16", "1:1")
STATES: Mapping[str, Status] = {
    "submitted": Status.QUEUED,
    "processing": Status.IN_PROGRESS,
    "succeed": Status.COMPLETED,
    "failed": Status.FAILED,
}
TOKEN_LIFE_S = 1800
RENEWED_BEFORE_S = 300  # of its end: a create may take its time
CLOCKS_DIFFER_S = 5


@dataclass(frozen=True, slots=True)
class Pair:
    access: str
    secret: str


def token_of(pair: Pair, now: int) -> str:
    """A JSON Web Token, signed with HMAC-SHA256 (RFC 7515, 7519)."""
    claims = {"iss": pair.access, "exp": now + TOKEN_LIFE_S, "nbf": now - CLOCKS_DIFFER_S}
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    digest = hmac.digest(pair.secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_bare64(digest)}"


def _segment(value: Mapping[str, JSON]) -> str:
    return _bare64(json.dumps(value, separators=(",", ":")).encode())


def _bare64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class Token:
    """The token of a pair of keys, made anew before it ends."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._text = ""
        self._renew_at = 0.0

    def at(self, now: float) -> str:
        """The token to send at this Unix time."""
        if now >= self._renew_at or now < self._renew_at - TOKEN_LIFE_S:  # the clock may have been set back
            self._text = token_of(self._pair, int(now))
            self._renew_at = now + TOKEN_LIFE_S - RENEWED_BEFORE_S
        return self._text


def is_legacy_id(remote_id: str) -> bool:
    return remote_id.startswith((f"{TEXT}/", f"{IMAGE}/"))


def operation_of(request: VideoRequest) -> str:
    return TEXT if request.first_frame is None else IMAGE


def to_wire(request: VideoRequest, row: Row, pictures: Mapping[str, str], *, key: str) -> dict[str, JSON]:
    """The body of a create. Pictures are base64 without a prefix, and a length is a text."""
    assert request.size is not None
    first, last = request.first_frame, request.last_frame
    fields: dict[str, JSON] = {
        "model_name": row.v1,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "mode": tier_by_area(request.size, MODES),
        "duration": str(request.seconds),
        "aspect_ratio": ratio_of(request.size, RATIOS) if first is None else None,
        "sound": ("on" if request.audio else "off") if row.v1_sound else None,
        "image": pictures[first.sha256] if first else None,
        "image_tail": pictures[last.sha256] if last else None,
        "cfg_scale": Extra.model_validate(dict(request.extra)).cfg_scale,
        "external_task_id": key,
    }
    return without_none(fields)


class _CreatedTask(Incoming):
    task_id: Annotated[str, BeforeValidator(read_text), Field(min_length=1)]


class Created(Incoming):
    data: _CreatedTask


class _Video(Incoming):
    url: Text = None


class _Result(Incoming):
    videos: Annotated[list[_Video], BeforeValidator(read_objects)] = Field(default=[])


class WireTask(Incoming):
    task_status: Text = None
    task_status_msg: Text = None
    task_result: Annotated[_Result, BeforeValidator(read_object)] = _Result()

    @property
    def video_url(self) -> str | None:
        return next((video.url for video in self.task_result.videos if video.url), None)


class Looked(Incoming):
    data: Annotated[WireTask, BeforeValidator(read_object)] = WireTask()


def from_wire(task: WireTask) -> Progress:
    """A look at a task in our words."""
    status = STATES.get((task.task_status or "").lower(), Status.IN_PROGRESS)
    if status is Status.COMPLETED and task.video_url is None:
        return without_video()
    if status is Status.FAILED:
        return Progress(status=status, failure=failure_of(task.task_status_msg))
    return Progress(status=status, percent=100.0 if status is Status.COMPLETED else None)
