"""Draft: an animatic of the prompt, rendered on this machine. No key, no network, no cost.

It behaves like any far side: a job is submitted, looked at, and fetched, so whoever tries rushes with it has seen
the whole path. Its "server" is a folder and the render lane of the media children. A render that died with its
process is simply begun again at the next look, and the key names the job, so sending it twice makes one.

It keeps a result only until it is fetched, and promises no more: an earlier video comes along as its file from the
library. Nothing is kept of characters either: the id of one holds its name and the sha256 of its clip.

`extra` makes several videos of one create (`n_variants`), and imitates trouble: `latency_s` delays the result, `fail`
ends it as `moderation` or `error`, or never (`timeout`).
"""

import base64
import binascii
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field

from rushes.config import read_written
from rushes.errors import Gone, InputAway, RushesError, Unsupported
from rushes.media.children import DraftReference, DraftSource
from rushes.providers.base import Provider
from rushes.providers.catalog import Model
from rushes.providers.prepare import IN_WORDS, Prepared
from rushes.providers.terms import Asset, Context, Doubt, Promises, RemoteJob
from rushes.video import (
    JSON,
    Failure,
    MediaRef,
    Progress,
    Reference,
    Size,
    SourceKind,
    SourceVideo,
    Status,
    VideoRequest,
)

log = logging.getLogger(__name__)

RENDER_TRIES = 3
LOOK_AGAIN_S = 0.2
FPS = 24
"""Of what starts from no earlier video: a reference's frame_index counts these."""
MOST_SECONDS = 120
MOST_PIXELS = 3840 * 2160
LONGEST_SIDE, SHORTEST_SIDE = 3840, 16
NAME_MAX = 80
MOST_VARIANTS = 5
SEEDS_APART = 1000
"""Between the variants of one create. The takes of `-n` count the seed up one by one, and must not meet a variant."""
OWN_ID = re.compile(r"draft_[0-9a-f]{24}")
CHARACTER_ID = re.compile(r"draft_char_([0-9a-f]{64})_([A-Za-z0-9_-]+)")


class Extra(BaseModel):
    """What a request's `extra` may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    fail: Literal["moderation", "error", "timeout"] | None = None
    n_variants: Annotated[int, Field(strict=True, ge=1, le=MOST_VARIANTS)] | None = None


class Character(NamedTuple):
    """What the id of a character holds."""

    name: str
    clip_sha256: str


class Order(BaseModel):
    """One job, as it is kept with the remote id: all that a render needs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    prompt: str
    negative_prompt: str | None
    width: int
    height: int
    seconds: int
    seed: int
    audio: bool
    first_frame: MediaRef | str | None  # a path in jobs of the first release
    last_frame: MediaRef | str | None
    submitted_at: float
    latency_s: float
    fail: str | None
    variants: int = 1
    source: SourceVideo | None = None
    references: tuple[Reference, ...] = ()
    characters: tuple[str, ...] = ()

    @property
    def made_seconds(self) -> int:
        extended = self.source is not None and self.source.kind is SourceKind.EXTEND
        return self.seconds + (self.source.seconds if self.source and extended else 0)


@dataclass(slots=True)
class Render:
    """A render under way in this process."""

    percent: float = 0.0
    tries: int = 0
    running: bool = False
    error: str | None = None


class Draft(Provider):
    """The embedded default."""

    name = "draft"
    title = "Draft"
    promises = Promises(doubt=Doubt.KEY, keeps_results=False, cancels=True, deletes=True, create_timeout_s=10.0)
    needs_key = False
    extra_shape: ClassVar[type[BaseModel]] = Extra

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._renders: dict[str, Render] = {}
        self._cancelled: set[str] = set()

    @property
    def base_url(self) -> str:
        return "http://draft.invalid"  # never connected to; names the account

    async def ping(self) -> str:
        return "ready, on this machine"

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        for character in request.characters:
            read_character(character)
        if request.source is not None:
            _check_source(request, request.source)
            return
        if request.size is not None and request.size.width * request.size.height > MOST_PIXELS:
            raise Unsupported(f"{request.model} makes at most as many pixels as 3840x2160 has, not {request.size}.")
        last = (request.seconds or 0) * FPS - 1
        for index in (each.frame_index for each in request.references):
            if index is not None and not 0 <= index <= last:
                raise Unsupported(f"{request.model}: frame {index} lies outside of the video, which has 0 to {last}.")

    def count(self, prepared: Prepared) -> int:
        return self._extra(prepared).n_variants or 1

    def _extra(self, prepared: Prepared) -> Extra:
        return read_written(Extra, dict(prepared.request.extra), "extra")

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check(prepared)
        request, extra = prepared.request, self._extra(prepared)
        assert request.size is not None
        assert request.seconds is not None
        remote_id = f"draft_{hashlib.sha256(key.encode()).hexdigest()[:24]}"
        if request.source is not None and request.source.remote_id is not None:
            await self._hold_on_to(request.source.remote_id, remote_id, request.source.kind)
        size = makeable(request.size)
        order = Order(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            width=size.width,
            height=size.height,
            seconds=request.seconds,
            seed=request.seed or 0,
            audio=request.audio is not False,
            first_frame=request.first_frame,
            last_frame=request.last_frame,
            submitted_at=datetime.now(UTC).timestamp(),
            latency_s=extra.latency_s,
            fail=extra.fail,
            variants=extra.n_variants or 1,
            source=request.source,
            references=request.references,
            characters=request.characters,
        )
        data: Mapping[str, JSON] = order.model_dump(mode="json")
        remote = RemoteJob(id=remote_id, data=data)
        if not order.latency_s and order.fail is None:
            self._begin(remote, order, self._render_of(remote))
        return remote

    async def _hold_on_to(self, earlier_id: str, remote_id: str, kind: SourceKind) -> None:
        """Keep a result that is still here, under the name of the job that starts from it."""
        held, earlier = self._source_file(remote_id), self.context.folder / f"{earlier_id}.mp4"

        def link() -> None:
            if held.is_file():  # the same create once more
                return
            if not OWN_ID.fullmatch(earlier_id) or not earlier.is_file():
                raise Gone(
                    f"{self.label} keeps a video only until it is fetched: {earlier_id} would have to come as a file",
                    step=kind.value,
                    proves_refusal=True,
                )
            try:
                os.link(earlier, held)
            except OSError:
                shutil.copyfile(earlier, held)

        await anyio.to_thread.run_sync(link)

    async def poll(self, remote: RemoteJob) -> Progress:
        order = Order.model_validate(remote.data)
        waited_s = datetime.now(UTC).timestamp() - order.submitted_at
        if waited_s < order.latency_s or order.fail == "timeout":
            percent = min(95.0, 100.0 * waited_s / order.latency_s) if order.latency_s else 0.0
            return Progress(status=Status.IN_PROGRESS, percent=percent / 2, poll_after_s=_soon(waited_s))
        if order.fail == "moderation":
            return _failed("moderation_blocked", "Blocked, because extra.fail asked for it.")
        if order.fail == "error":
            return _failed("internal_error", "Failed, because extra.fail asked for it.")
        if not self._missing(remote, order):
            return Progress(
                status=Status.COMPLETED,
                percent=100.0,
                seconds=order.made_seconds,
                size=Size(order.width, order.height),
            )
        render = self._render_of(remote)
        if render.error is not None:
            return _failed("internal_error", render.error)
        self._begin(remote, order, render)
        percent = 50.0 + render.percent / 2 if order.latency_s else render.percent
        return Progress(status=Status.IN_PROGRESS, percent=percent, poll_after_s=LOOK_AGAIN_S)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        order = Order.model_validate(remote.data)
        return tuple(Asset(n=n, file=file) for n, file in enumerate(self._files(remote, order.variants)))

    async def create_character(self, name: str, clip: MediaRef) -> str:
        """As the base class says. Equal names and clips are one character; its clip lies with the inputs."""
        if not 1 <= len(name) <= NAME_MAX or not name.strip() or not name.isprintable():
            raise Unsupported(f"A character's name is one line of 1 to {NAME_MAX} letters, not {name[:NAME_MAX]!r}.")
        if clip.seconds is None:
            raise Unsupported(f"{self.label} makes characters from clips, not from pictures. Give a short video.")
        return character_id(name, clip.sha256)

    async def cancel(self, remote: RemoteJob) -> bool:
        self._cancelled.add(remote.id)  # a render that is under way throws its file away
        self._discard(remote)
        return True

    async def delete(self, remote: RemoteJob) -> bool:
        self._discard(remote)
        return True

    def release(self, remote: RemoteJob) -> None:
        self._discard(remote)
        self._renders.pop(remote.id, None)

    def _discard(self, remote: RemoteJob) -> None:
        for file in (*self._files(remote, MOST_VARIANTS), self._source_file(remote.id)):
            file.unlink(missing_ok=True)

    def cost(self, model: Model, prepared: Prepared, progress: Progress) -> Decimal | None:
        return Decimal(0)

    def _begin(self, remote: RemoteJob, order: Order, render: Render) -> None:
        if not render.running and self._missing(remote, order):
            render.running = True
            self.context.start_soon(self._run, remote, order, render)

    def _render_of(self, remote: RemoteJob) -> Render:
        return self._renders.setdefault(remote.id, Render())

    def _files(self, remote: RemoteJob, count: int) -> list[Path]:
        """Where so many videos are put, the first one under the job's own name."""
        names = [remote.id, *(f"{remote.id}-{n}" for n in range(1, count))]
        return [self.context.folder / f"{name}.mp4" for name in names]

    def _missing(self, remote: RemoteJob, order: Order) -> bool:
        return not all(file.is_file() for file in self._files(remote, order.variants))

    def _source_file(self, remote_id: str) -> Path:
        return self.context.folder / f"{remote_id}.source.mp4"

    async def _path(self, frame: MediaRef | str | None) -> Path | None:
        return await self.context.input_path(frame) if isinstance(frame, MediaRef) else Path(frame) if frame else None

    async def _source(self, remote: RemoteJob, order: Order) -> DraftSource | None:
        if order.source is None:
            return None
        path = await self._path(order.source.media) or self._source_file(remote.id)
        return DraftSource(kind=order.source.kind, path=path)

    async def _references(self, order: Order) -> list[DraftReference]:
        """Characters first: they are what the video is about."""
        shown: list[DraftReference] = []
        for text in order.characters:
            character = read_character(text)
            # Only its sha256 counts where an input lies; the rest of it nobody kept.
            ref = MediaRef(sha256=character.clip_sha256, mime="video/mp4", size_bytes=0, width=0, height=0)
            path = await self.context.input_path(ref)
            shown.append(DraftReference(path=path, clip=True, label=character.name))
        for each in order.references:
            crop = each.crop
            shown.append(
                DraftReference(
                    path=await self.context.input_path(each.media),
                    clip=each.media.seconds is not None,
                    frame_index=each.frame_index,
                    crop=(crop.left, crop.top, crop.right, crop.bottom) if crop else None,
                )
            )
        return shown

    async def _run(self, remote: RemoteJob, order: Order, render: Render) -> None:
        """One render, in the background of the App; its outcome is found by the next look."""
        try:
            for n, file in enumerate(self._files(remote, order.variants)):
                if not file.is_file() and remote.id not in self._cancelled:
                    await self._make(remote, order, render, n, file)
        except InputAway as error:
            log.warning("draft.waits", extra={"remote_id": remote.id, "cause": str(error)})  # until the next look
        except (RushesError, OSError) as error:
            render.tries += 1
            log.warning("draft.render_failed", extra={"remote_id": remote.id, "cause": str(error)})
            if render.tries >= RENDER_TRIES:
                render.error = f"The render failed: {error}"
        finally:
            render.running = False

    async def _make(self, remote: RemoteJob, order: Order, render: Render, n: int, out: Path) -> None:
        """Variant `n`, which appears whole or not at all."""

        def on_progress(fraction: float) -> None:
            render.percent = 100.0 * (n + fraction) / order.variants

        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_suffix(".part.mp4")
        try:
            await self.context.children.animatic(
                part,
                prompt=order.prompt,
                size=Size(order.width, order.height),
                seconds=order.seconds,
                seed=order.seed + n * SEEDS_APART,
                fps=FPS,
                audio=order.audio,
                negative_prompt=order.negative_prompt,
                first_frame=await self._path(order.first_frame),
                last_frame=await self._path(order.last_frame),
                card_model="draft",
                source=await self._source(remote, order),
                references=await self._references(order),
                on_progress=on_progress,
            )
            if remote.id not in self._cancelled:
                part.replace(out)
        finally:
            part.unlink(missing_ok=True)


PROVIDER = Draft


# -- pure --------------------------------------------------------------------------------------------------------


def makeable(size: Size) -> Size:
    """The size itself, or of one that cannot be made, as an uploaded video may have it, the nearest that can. Pure."""
    scale = min(1.0, LONGEST_SIDE / max(size), (MOST_PIXELS / (size.width * size.height)) ** 0.5)
    width, height = (max(SHORTEST_SIDE, int(side * scale) // 2 * 2) for side in size)
    return Size(width, height)


def character_id(name: str, clip_sha256: str) -> str:
    """All there is to know of a character, as an id that may stand in a path. Pure."""
    return f"draft_char_{clip_sha256}_{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}"


def read_character(text: str) -> Character:
    """The way back. Raises Unsupported."""
    if found := CHARACTER_ID.fullmatch(text):
        try:
            name = base64.urlsafe_b64decode(found[2] + "=" * (-len(found[2]) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            name = ""
        if name.isprintable() and 1 <= len(name) <= NAME_MAX:
            return Character(name, found[1])
    raise Unsupported(f"{text[:NAME_MAX]!r} is no character of draft's. See: rushes characters list")


def _check_source(request: VideoRequest, source: SourceVideo) -> None:
    words = IN_WORDS[source.kind]
    if request.first_frame is not None:
        raise Unsupported(f"{words} begins with its source: {request.model} takes no first frame beside it.")
    if source.media is not None and source.media.seconds is None:
        raise Unsupported(f"{words} starts from a video, and this is a picture. Pass it as a first frame instead.")
    if source.seconds > MOST_SECONDS:
        raise Unsupported(
            f"{words} of {source.seconds} seconds is too long: {request.model} makes at most {MOST_SECONDS}. Cut it."
        )


def _soon(waited_s: float) -> float:
    return 0.2 if waited_s < 5 else 1.0


def _failed(code: str, message: str) -> Progress:
    return Progress(status=Status.FAILED, failure=Failure(code, message))
