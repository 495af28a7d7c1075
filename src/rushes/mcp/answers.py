"""What the tools answer, and how the core's words become those. Pure, but for the models' checks.

Amounts are JSON numbers in US dollars; `null` is unknown, never free. Paths are those of the machine that rushes runs
on.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from rushes.jobs.service import Snapshot
from rushes.planning import Plan
from rushes.providers.catalog import Model
from rushes.providers.prepare import seconds_in_words
from rushes.providers.terms import Availability
from rushes.video import Adjustment, Status, Video

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float), WithJsonSchema({"type": "number"})]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class VideoAnswer(_Answer):
    """A finished video in the library."""

    id: str
    job_id: str
    path: str | None = Field(description="Where the file lies; null if it is gone, or in a bucket.")
    url: str
    model: str
    prompt: str
    size: str
    seconds: float
    cost_usd: Usd | None = Field(description="null: unknown, never free.")
    cached: bool = Field(description="Served from the library, for nothing.")
    created_at: datetime


class FailureAnswer(_Answer):
    code: str
    message: str


class JobAnswer(_Answer):
    """A job at one moment."""

    id: str
    status: Status = Field(description="queued, in_progress, completed or failed.")
    state: str = Field(description="The same, finer: also downloading, needs_attention, cancelled …")
    percent: float
    model: str
    prompt: str
    estimate_usd: Usd | None = Field(description="What it costs at most; null: unknown, never free.")
    cost_usd: Usd | None = Field(description="What it cost; null: not known yet, or unknown.")
    created_at: datetime
    changes: tuple[str, ...] = Field(description="What is made otherwise than asked, and why.")
    trouble: str | None = Field(description="What it waits for, or what a person has to decide.")
    failure: FailureAnswer | None
    videos: tuple[VideoAnswer, ...] = ()


class QuoteAnswer(_Answer):
    """What a request comes to, and what it costs."""

    model: str
    size: str
    seconds: int
    n: int
    price_usd: Usd | None = Field(
        description="For all of it, at most; 0 where an equal video is in the library. null: unknown, never free."
    )
    fallbacks: tuple[str, ...] = Field(description="Models that are tried in order if the first refuses.")
    changes: tuple[str, ...] = Field(description="What would be made otherwise than asked, and why.")
    notes: tuple[str, ...]
    session_free_usd: Usd | None = Field(description="What this session may still spend; null: no such limit.")


class GenerateAnswer(_Answer):
    """What was ordered, at which price, and how far it is."""

    quote: QuoteAnswer
    jobs: tuple[JobAnswer, ...]
    done: bool = Field(description="Whether all jobs have ended. If not, ask for their status later.")


class ListAnswer(_Answer):
    """Newest first; one of both is empty, by what was asked for."""

    jobs: tuple[JobAnswer, ...] = ()
    videos: tuple[VideoAnswer, ...] = ()


class DownloadAnswer(_Answer):
    variant: str
    path: str | None = Field(description="null: it lies in a bucket, at url.")
    url: str
    size_bytes: int | None
    copied: bool = Field(description="A copy of its own; false: the library's file, which must not be changed.")


class PriceAnswer(_Answer):
    """One line of a price list; the first that fits counts."""

    sizes: tuple[str, ...] = Field(description="Empty: all sizes.")
    usd_per_second: Usd | None
    usd_per_video: Usd | None


class ModelAnswer(_Answer):
    """What one model can do, and what it costs."""

    id: str
    title: str
    usable: bool
    why_not: str | None
    sizes: tuple[str, ...] = Field(description="Empty: any even size up to max_side.")
    max_side: int
    seconds: str
    default_size: str
    default_seconds: int
    features: tuple[str, ...] = Field(description="What it can be given beside a prompt.")
    requires: tuple[str, ...] = Field(description="What it cannot do without.")
    sound: str
    prices: tuple[PriceAnswer, ...] = Field(description="Empty: unknown, never free.")
    note: str | None


class ModelsAnswer(_Answer):
    models: tuple[ModelAnswer, ...]


def video_answer(video: Video) -> VideoAnswer:
    return VideoAnswer(
        id=video.id,
        job_id=video.job_id,
        path=str(video.path) if video.path else None,
        url=video.url,
        model=str(video.model),
        prompt=video.prompt,
        size=str(video.size),
        seconds=round(video.seconds, 3),
        cost_usd=video.cost_usd,
        cached=video.cached,
        created_at=video.created_at,
    )


def job_answer(snapshot: Snapshot, videos: Iterable[Video] = ()) -> JobAnswer:
    return JobAnswer(
        id=snapshot.id,
        status=snapshot.status,
        state=snapshot.state.value,
        percent=round(snapshot.percent, 1),
        model=str(snapshot.model),
        prompt=snapshot.prompt,
        estimate_usd=snapshot.estimate_usd,
        cost_usd=snapshot.cost_usd,
        created_at=snapshot.created_at,
        changes=changes_in_words(snapshot.adjustments),
        trouble=None if snapshot.state.final else snapshot.trouble,
        failure=FailureAnswer(**snapshot.failure._asdict()) if snapshot.failure else None,
        videos=tuple(map(video_answer, videos)),
    )


def quote_answer(plan: Plan, price_usd: Decimal | None, free_usd: Decimal | None) -> QuoteAnswer:
    first, *others = plan.takes[0]
    request = first.request
    return QuoteAnswer(
        model=str(request.model),
        size=str(request.size),
        seconds=request.seconds or 0,
        n=len(plan.takes),
        price_usd=price_usd,
        fallbacks=tuple(str(other.request.model) for other in others),
        changes=changes_in_words(first.adjustments),
        notes=plan.notes,
        session_free_usd=free_usd,
    )


def model_answer(model: Model, can: Availability) -> ModelAnswer:
    return ModelAnswer(
        id=str(model.id),
        title=model.title,
        usable=can.usable,
        why_not=None if can.usable else can.reason,
        sizes=tuple(map(str, model.sizes)),
        max_side=model.max_side,
        seconds=seconds_in_words(model.seconds),
        default_size=str(model.default_size),
        default_seconds=model.default_seconds,
        features=tuple(sorted(model.features)),
        requires=tuple(model.requires),
        sound=model.sound,
        prices=tuple(
            PriceAnswer(
                sizes=tuple(map(str, line.sizes)), usd_per_second=line.usd_per_second, usd_per_video=line.usd_per_video
            )
            for line in model.prices
        ),
        note=model.note,
    )


def changes_in_words(adjustments: Sequence[Adjustment]) -> tuple[str, ...]:
    return tuple(
        f"{change.field}: {f'{change.asked} -> ' if change.asked is not None else ''}{change.given} ({change.why})"
        for change in adjustments
    )
