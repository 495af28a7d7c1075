"""Draft: an animatic of the prompt, rendered on this machine. No key, no network, no cost.

It behaves like any far side: a job is submitted, looked at, and fetched, so whoever tries rushes with it has seen
the whole path. Its "server" is a folder and the render lane of the media children. A render that died with its
process is simply begun again at the next look, and the key names the job, so sending it twice makes one.

`extra` imitates trouble: `latency_s` delays the result, `fail` ends it as `moderation` or `error`, or never
(`timeout`).
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rushes.config import read_written
from rushes.errors import InputAway, RushesError
from rushes.providers.base import Asset, Context, Doubt, Promises, Provider, RemoteJob
from rushes.providers.catalog import Model
from rushes.providers.prepare import Prepared
from rushes.video import JSON, Failure, MediaRef, Progress, Size, Status

log = logging.getLogger(__name__)

RENDER_TRIES = 3
LOOK_AGAIN_S = 0.2


class Extra(BaseModel):
    """What a request's `extra` may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    fail: Literal["moderation", "error", "timeout"] | None = None


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
    promises = Promises(doubt=Doubt.KEY, cancels=True, deletes=True, create_timeout_s=10.0)
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

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        request = prepared.request
        assert request.size is not None
        assert request.seconds is not None
        extra = read_written(Extra, dict(request.extra), "extra")
        order = Order(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            width=request.size.width,
            height=request.size.height,
            seconds=request.seconds,
            seed=request.seed or 0,
            audio=request.audio is not False,
            first_frame=request.first_frame,
            last_frame=request.last_frame,
            submitted_at=datetime.now(UTC).timestamp(),
            latency_s=extra.latency_s,
            fail=extra.fail,
        )
        data: Mapping[str, JSON] = order.model_dump()
        remote = RemoteJob(id=f"draft_{hashlib.sha256(key.encode()).hexdigest()[:24]}", data=data)
        if not order.latency_s and order.fail is None:
            self._begin(remote, order, self._render_of(remote))
        return remote

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
        if self._file(remote).is_file():
            size = Size(order.width, order.height)
            return Progress(status=Status.COMPLETED, percent=100.0, seconds=order.seconds, size=size)
        render = self._render_of(remote)
        if render.error is not None:
            return _failed("internal_error", render.error)
        self._begin(remote, order, render)
        percent = 50.0 + render.percent / 2 if order.latency_s else render.percent
        return Progress(status=Status.IN_PROGRESS, percent=percent, poll_after_s=LOOK_AGAIN_S)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        return (Asset(file=self._file(remote)),)

    async def cancel(self, remote: RemoteJob) -> bool:
        self._cancelled.add(remote.id)  # a render that is under way throws its file away
        self._file(remote).unlink(missing_ok=True)
        return True

    async def delete(self, remote: RemoteJob) -> bool:
        self._file(remote).unlink(missing_ok=True)
        return True

    def release(self, remote: RemoteJob) -> None:
        self._file(remote).unlink(missing_ok=True)
        self._renders.pop(remote.id, None)

    def cost(self, model: Model, prepared: Prepared, progress: Progress) -> Decimal | None:
        return Decimal(0)

    def _begin(self, remote: RemoteJob, order: Order, render: Render) -> None:
        if not render.running and not self._file(remote).is_file():
            render.running = True
            self.context.start_soon(self._run, remote, order, render)

    def _render_of(self, remote: RemoteJob) -> Render:
        return self._renders.setdefault(remote.id, Render())

    async def _path(self, frame: MediaRef | str | None) -> Path | None:
        return await self.context.input_path(frame) if isinstance(frame, MediaRef) else Path(frame) if frame else None

    def _file(self, remote: RemoteJob) -> Path:
        return self.context.folder / f"{remote.id}.mp4"

    async def _run(self, remote: RemoteJob, order: Order, render: Render) -> None:
        """One render, in the background of the App; its outcome is found by the next look."""

        def on_progress(fraction: float) -> None:
            render.percent = 100.0 * fraction

        out = self._file(remote)
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_suffix(".part.mp4")
        try:
            await self.context.children.animatic(
                part,
                prompt=order.prompt,
                size=Size(order.width, order.height),
                seconds=order.seconds,
                seed=order.seed,
                audio=order.audio,
                negative_prompt=order.negative_prompt,
                first_frame=await self._path(order.first_frame),
                last_frame=await self._path(order.last_frame),
                card_model="draft",
                on_progress=on_progress,
            )
            if remote.id not in self._cancelled:
                part.replace(out)
        except InputAway as error:
            log.warning("draft.waits", extra={"remote_id": remote.id, "cause": str(error)})  # until the next look
        except (RushesError, OSError) as error:
            render.tries += 1
            log.warning("draft.render_failed", extra={"remote_id": remote.id, "cause": str(error)})
            if render.tries >= RENDER_TRIES:
                render.error = f"The render failed: {error}"
        finally:
            part.unlink(missing_ok=True)
            render.running = False


def _soon(waited_s: float) -> float:
    return 0.2 if waited_s < 5 else 1.0


def _failed(code: str, message: str) -> Progress:
    return Progress(status=Status.FAILED, failure=Failure(code, message))


PROVIDER = Draft
