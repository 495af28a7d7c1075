"""Views: what the world is told of a job, before a dialect puts it into its own words. Pure."""

from dataclasses import dataclass
from datetime import datetime

from rushes.jobs.codec import prepared_from_json
from rushes.jobs.ledger import Job
from rushes.jobs.polling import bar_percent
from rushes.jobs.shelf import VideoRow
from rushes.video import JSON, Adjustment, Failure, Size, Status, made_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A job as it is shown. Size and seconds are those of the file that is, or will be, delivered."""

    id: str
    owner: str
    status: Status
    percent: int
    model: str  # what serves
    asked_model: str
    prompt: str
    size: Size
    seconds: int
    created_at: datetime
    completed_at: datetime | None
    source_video: str | None
    source_kind: str | None
    failure: Failure | None
    adjustments: tuple[Adjustment, ...]
    videos: tuple[VideoRow, ...]
    cached: bool
    extra: dict[str, JSON]
    deadline: datetime  # what is undecided by then has failed

    @property
    def final(self) -> bool:
        return self.status.final

    def row(self, video_id: str) -> VideoRow:
        """The video of that id, else the first."""
        return next((row for row in self.videos if row.id == video_id), self.videos[0])


def view_of(job: Job, rows: list[VideoRow], now: datetime) -> View:
    prepared = prepared_from_json(job.prepared_json)
    request, fit = prepared.request, prepared.fit
    made = next((row for row in rows if row.sha256 is not None), None)
    ordered = fit.size or request.size
    size = made.size if made and made.size else ordered
    seconds = fit.seconds or made_seconds(request)
    assert size is not None
    assert seconds is not None
    status = job.public_status(now)
    return View(
        id=job.id,
        owner=job.owner,
        status=status,
        percent=_percent(status, bar_percent(job.state.value, job.percent)),
        model=job.model,
        asked_model=job.asked_model,
        prompt=job.prompt,
        size=size,
        seconds=seconds,
        created_at=job.created_at,
        completed_at=job.completed_at,
        source_video=job.source_video,
        source_kind=job.source_kind,
        failure=job.public_failure(now),
        adjustments=prepared.adjustments,
        videos=tuple(rows),
        cached=job.cached_from is not None,
        extra=dict(request.extra),
        deadline=job.deadline,
    )


def _percent(status: Status, percent: float) -> int:
    """Whole, and 100 for what is done alone."""
    if status is Status.COMPLETED:
        return 100
    return min(99, int(percent)) if status is Status.IN_PROGRESS else int(percent) * (status is Status.FAILED)
