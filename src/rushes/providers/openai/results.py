"""Where servers of the OpenAI Videos dialect put their results: links in the job, or the file itself in the answer.

`/content` is asked first wherever there is one. Some servers tell a link instead, under one of a dozen names; some
answer the create itself with the finished video, as a link or as base64. Such an answer is all there will ever be of
it, so it becomes part of the `RemoteJob` that the ledger keeps: links as they are, bytes as a file in the provider's
folder, written before anybody is told. Paths on the server's own disk (SGLang's `file_path`) are not read.

Source: the servers named in `openai/servers.py`, and those relays that tell `videos`, `video`, `output`, `outputs` or
`unsigned_urls` (Bifrost, xAI, Together, OpenRouter), read 2026-11-20.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urljoin

import anyio.to_thread
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from rushes.errors import BadReply
from rushes.http import Body, Reply
from rushes.media.disk import disk_error
from rushes.providers.incoming import Incoming, WireError
from rushes.providers.openai.wire import WireVideo
from rushes.providers.terms import Asset, RemoteJob
from rushes.video import JSON, Failure, Progress, Status

MAY_TELL_ELSEWHERE = frozenset({400, 404, 405, 409, 410, 501})
"""Answers of `/content` after which the job is asked for a link: no such route, or, SGLang's 400, it lies elsewhere."""


# -- a job --------------------------------------------------------------------------------------


def from_wire(video: WireVideo, *, poll_after_s: float | None = None) -> Progress:
    """A job as the server tells it, in our words. Unknown status words were read as still running."""
    status = video.status or Status.IN_PROGRESS
    failure = None
    if status is Status.FAILED:
        error = video.error or WireError()
        failure = Failure(error.code or video.reason or "internal_error", error.message or "The server gave no reason.")
    return Progress(
        status=status,
        percent=100.0 if status is Status.COMPLETED else video.progress,
        failure=failure,
        poll_after_s=None if status.final else poll_after_s,
        expires_at=video.expires_at,
        seconds=video.seconds,
        size=video.size,
    )


def is_failed_job(reply: Reply, remote_id: str | None) -> bool:
    """Whether an error answer is really a failed job: vLLM-Omni serves those with the failure's own status."""
    try:
        video = WireVideo.model_validate_json(reply.body)
    except ValidationError:
        return False
    return video.status is Status.FAILED and (video.object == "video" or video.id == remote_id)


def poll_after_s(headers: Mapping[str, str]) -> float | None:
    text = headers.get("openai-poll-after-ms", "").strip()
    return int(text) / 1000 if text.isdecimal() else None


# -- its videos --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """One video of an answer: a link, or its bytes."""

    url: str | None = field(default=None, repr=False)  # often signed
    data: bytes | None = field(default=None, repr=False)


def _place(value: Any) -> Result | None:
    """A link, or an object that has one or the bytes. Bytes go first: they cannot expire."""
    if isinstance(value, str):
        return _link(value)
    if not isinstance(value, Mapping):
        return None
    said = cast(Mapping[str, Any], value)
    for name in ("b64_json", "base64"):
        if isinstance(said.get(name), str) and (data := _decoded(said[name])):
            return Result(data=data)
    links = (_link(said.get(name)) for name in ("url", "video_url"))
    return next((link for link in links if link), None)


def _link(value: Any) -> Result | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.startswith("data:"):
        data = _decoded(text)
        return Result(data=data) if data else None
    return Result(url=text) if text.startswith(("https://", "http://", "/")) else None


def _decoded(text: str) -> bytes | None:
    head, _, rest = text.partition(";base64,")
    try:
        return base64.b64decode(rest if rest and head.startswith("data:") else text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _places(value: Any) -> tuple[Result, ...]:
    entries: Sequence[Any] = cast(Sequence[Any], value) if isinstance(value, list) else (value,)
    return tuple(place for place in map(_place, entries) if place)


Places = Annotated[tuple[Result, ...], BeforeValidator(_places)]


class WireResults(Incoming):
    """The names, in the order in which they are believed."""

    data: Places = ()
    urls: Places = ()
    url: Places = ()
    video_url: Places = ()
    output: Places = ()
    outputs: Places = ()
    videos: Places = ()
    video: Places = ()
    metadata: Places = ()
    unsigned_urls: Places = ()

    @property
    def first(self) -> tuple[Result, ...]:
        return next((places for name in type(self).model_fields if (places := getattr(self, name))), ())


def _outputs(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100 else 1


class WireCount(Incoming):
    """How many videos a job made, where they are numbered."""

    num_outputs: Annotated[int, BeforeValidator(_outputs)] = 1


def results_of(body: Any) -> tuple[Result, ...]:
    """The videos that an answer tells of; none if it is no object, or tells of none. Pure."""
    try:
        return WireResults.model_validate(body).first
    except ValidationError:
        return ()


def as_assets(body: Any, base_url: str) -> tuple[Asset, ...]:
    """The videos that an answer tells of, as assets; relative links are joined to the server's address. Pure."""
    return tuple(
        Asset(n=n, inline=result.data)
        if result.data is not None
        else Asset(n=n, url=urljoin(base_url, result.url or ""))
        for n, result in enumerate(results_of(body))
    )


def numbered_assets(body: Any, path: str) -> tuple[Asset, ...]:
    """The videos of a job behind one path, by number; the first needs none. Pure."""
    try:
        count = WireCount.model_validate(body).num_outputs
    except ValidationError:
        count = 1
    return tuple(Asset(n=n, path=path, params={"variant": str(n)} if n else {}) for n in range(count))


async def no_error_page(body: Body, label: str) -> AsyncGenerator[bytes]:
    """The bytes of a file, unless they are an error in a file's clothes.

    LiteLLM may relay its upstream's 404 as `200 video/mp4`. That says "not yet", and is no reason to give up what is
    paid for; no video and no picture begins with these characters.
    """
    at_start = body.offset == 0
    async for chunk in body.chunks:
        if at_start and chunk:
            at_start = False
            if chunk.startswith((b"{", b"[", b"<")):
                raise BadReply(f"{label} sent JSON text or a page instead of a media file", step="download")
        yield chunk


# -- keeping ---------------------------------------------------------------------------------------


class KeptResult(BaseModel):
    """One video as the ledger knows it: its link, or the name of its file in the provider's folder."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str | None = None
    file: str | None = None


class Kept(BaseModel):
    """What `RemoteJob.data` holds of an answer that was the result. Empty: the job must be polled."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    results: tuple[KeptResult, ...] = ()
    failure: tuple[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.results or self.failure)


def kept_in(remote: RemoteJob) -> Kept:
    return Kept.model_validate(dict(remote.data))


async def keep(reply: Reply, video: WireVideo, folder: Path, key: str, *, blocking: bool) -> dict[str, JSON]:
    """The `data` of the job whose create was answered like this; empty if it is still to be made.

    `blocking`: the server has nothing but answers, so a failure too is known by this one only. Bytes are on the disk
    for good when this returns. `key` names their file: it is the one name that is surely ours alone.
    """
    if blocking and video.status is Status.FAILED:
        return {"failure": from_wire(video).failure}
    answer = reply.json()
    if video.status not in (None, Status.COMPLETED) or not isinstance(answer, Mapping):
        return {}
    # Only `data`: a job that is queued may tell the `url` at which its result will be.
    results = results_of({"data": cast(Mapping[str, Any], answer).get("data")})
    if not results and blocking and video.status is Status.COMPLETED:
        return {"failure": ("no_result", "The server says that it is done, but tells of no video.")}
    kept: list[JSON] = []
    for n, result in enumerate(results):
        if result.data is None:
            kept.append({"url": result.url})
            continue
        name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}-{n}.mp4"
        await anyio.to_thread.run_sync(_write, folder / name, result.data)
        kept.append({"file": name})
    return {"results": kept} if kept else {}


def _write(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error


def kept_progress(kept: Kept) -> Progress:
    if kept.failure is not None:
        return Progress(status=Status.FAILED, failure=Failure(*kept.failure))
    return Progress(status=Status.COMPLETED, percent=100.0)


def kept_assets(kept: Kept, folder: Path, base_url: str) -> tuple[Asset, ...]:
    return tuple(
        Asset(n=n, file=folder / Path(result.file).name, received=True)
        if result.file
        else Asset(n=n, url=urljoin(base_url, result.url or ""))
        for n, result in enumerate(kept.results)
    )


def discard(kept: Kept, folder: Path) -> None:
    for result in kept.results:
        if result.file:
            (folder / Path(result.file).name).unlink(missing_ok=True)
