"""Where videos come from: what a remix, an edit or an extension starts from, and the family of a video."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from rushes.errors import Conflict, NotFound
from rushes.jobs import shelf, store
from rushes.jobs.codec import prepared_from_json
from rushes.jobs.ledger import Attempt, Job, JobState
from rushes.jobs.service import Jobs
from rushes.jobs.services import Services
from rushes.media.store import video_key
from rushes.video import ModelId, Size, SourceKind, Video, ledger_id, made_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """An earlier video as the start of a new one: who made it, and how the provider knows it.

    Size and seconds are those on the provider's side: a file that was cut here is longer over there.
    """

    video: Video
    model: ModelId
    prompt: str
    size: Size
    seconds: int
    extensions: int
    account: str | None
    remote_id: str | None
    expires_at: datetime | None

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def notes(self, now: datetime) -> list[str]:
        if not self.expired(now) or self.expires_at is None:
            return []
        at = self.expires_at.strftime("%Y-%m-%d %H:%M UTC")
        return [f"{self.video.id} was kept by its provider until {at}, so the provider may refuse this."]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One job of a family. `depth` counts the steps from the oldest ancestor."""

    job_id: str
    kind: SourceKind | None  # how it came from the one before; None: it began the family
    prompt: str
    state: JobState
    model: str
    depth: int
    deleted: bool = False


class Lineage:
    """Questions about descent."""

    def __init__(self, services: Services, jobs: Jobs) -> None:
        self._s = services
        self._jobs = jobs

    async def origin(self, text: str, *, owner: str | None = None) -> Origin:
        """An earlier video by its id, as a source. Raises NotFound, and Conflict while it is not finished.

        With an `owner` by its whole id, and only if it is his.
        """
        found = self._jobs.find_id(text) if owner is None else self._jobs.own(text, owner)
        shown = await self._jobs.case(await found)
        if shown.job.deleted_at is not None:
            raise NotFound(f"{shown.job.id} is deleted.")
        if shown.job.state is not JobState.COMPLETED:
            raise Conflict(f"{shown.job.id} is {shown.job.state}; only a finished video can be started from.")
        videos = await self._jobs.videos(shown.job.id)
        if not videos:
            raise NotFound(f"{shown.job.id} has no video any more.")
        wanted = ledger_id(text)
        n = next((n for n, each in enumerate(videos) if each.id == wanted), 0)
        video = videos[n]
        # A video served from the library was made by another job: only that one's provider knows it.
        case = await self._jobs.case(shown.job.cached_from) if shown.job.cached_from else shown
        attempt = _maker(case.attempts)
        # Where one create made several, its id over there stands for the first, or for nothing that can be named.
        remote = attempt.remote if attempt and n == 0 else None
        prepared = prepared_from_json(case.job.prepared_json)
        request, source = prepared.request, prepared.source
        extended = source is not None and source.kind is SourceKind.EXTEND
        joined = prepared.fit.joined is not None  # here: over there lies only what was added
        return Origin(
            video=video,
            model=ModelId.parse(case.job.model),
            prompt=request.prompt,
            size=video.size if joined else request.size or video.size,
            seconds=max(1, round(video.seconds)) if joined else made_seconds(request) or round(video.seconds),
            extensions=(source.extensions + extended) if source else 0,
            account=attempt.account if attempt else None,
            remote_id=remote.id if remote and not joined else None,
            expires_at=remote.expires_at if remote else None,
        )

    async def file(self, origin: Origin) -> Path | None:
        """The stored video as a file on this machine; None when it is no longer in the library."""
        row = await self._s.db.read(lambda connection: shelf.video_by_id(connection, origin.video.id))
        if row is None or not row.in_library or row.stored_under is None:
            return None
        key = video_key(row.stored_under)
        return await self._s.media.near(key) if await self._s.media.head(key) is not None else None

    async def family(self, job_id: str) -> list[Member]:
        """Every job that this one descends from, and all their descendants, each after the one it came from."""

        def work(connection: sa.Connection) -> list[Member]:
            oldest, seen = store.job_by_id(connection, job_id), {job_id}
            while oldest is not None and (parent := _parent(connection, oldest)) is not None and parent.id not in seen:
                oldest = parent
                seen.add(parent.id)
            return [] if oldest is None else _descendants(connection, oldest)

        return await self._s.db.read(work)


def _maker(attempts: list[Attempt]) -> Attempt | None:
    """The attempt that made the video, whose provider knows it by its remote id."""
    return next((attempt for attempt in reversed(attempts) if attempt.remote is not None), None)


def _parent(connection: sa.Connection, job: Job) -> Job | None:
    row = shelf.video_by_id(connection, job.source_video) if job.source_video else None
    return store.job_by_id(connection, row.job_id) if row else None


def _descendants(connection: sa.Connection, oldest: Job) -> list[Member]:
    """A job and all that came from it. Not by calling itself: a chain of extensions may be long."""
    found: dict[str, Member] = {}
    ahead = [(oldest, 0)]
    while ahead:
        job, depth = ahead.pop()
        if job.id in found:
            continue
        found[job.id] = Member(
            job_id=job.id,
            kind=SourceKind(job.source_kind) if job.source_kind else None,
            prompt=job.prompt,
            state=job.state,
            model=job.model,
            depth=depth,
            deleted=job.deleted_at is not None,
        )
        ahead += [(child, depth + 1) for child in reversed(store.jobs_from(connection, job.id))]
    return list(found.values())
