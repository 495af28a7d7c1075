"""What the ledger knows of the finished: videos, the files beside them, tags, lineage.

Like `store.py`, one function for each question, and no more than SQL.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

import sqlalchemy as sa

from rushes.jobs.ledger import FINAL_JOB_STATES, JobState
from rushes.jobs.store import row_update
from rushes.jobs.tables import assets, characters, jobs, tags, videos
from rushes.video import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRow:
    """A video as the ledger knows it: fixed ids at admission, facts once the file is in the library."""

    id: str
    job_id: str
    n: int
    stored_under: str | None = None
    format: str | None = None
    size: Size | None = None
    seconds: float | None = None
    fps: Fraction | None = None
    has_audio: bool | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    created_at: datetime | None = None
    gone_at: datetime | None = None

    @property
    def in_library(self) -> bool:
        return self.sha256 is not None and self.gone_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRow:
    video_id: str
    variant: str
    sha256: str
    size_bytes: int
    mime: str
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """A character that a provider keeps. `id` is ours, `remote_id` the provider's."""

    id: str
    owner: str
    provider: str
    account: str
    remote_id: str
    name: str
    clip_sha256: str
    created_at: datetime


class Holder(NamedTuple):
    """A video that was kept in a folder, and its job."""

    video_id: str
    job_id: str


SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
VIDEOS_OF_JOB = sa.select(videos).where(videos.c.job_id == sa.bindparam("job_id")).order_by(videos.c.n)
WRITE_VIDEO = row_update(videos, "id", without={"job_id", "n"})


# -- videos ----------------------------------------------------------------------------------------


def videos_of(connection: sa.Connection, job_id: str) -> list[VideoRow]:
    return [_video(row) for row in connection.execute(VIDEOS_OF_JOB, {"job_id": job_id}).mappings()]


def videos_of_jobs(connection: sa.Connection, job_ids: Sequence[str]) -> dict[str, list[VideoRow]]:
    """The same for many at once; every id is a key."""
    found: dict[str, list[VideoRow]] = {job_id: [] for job_id in job_ids}
    for ids in _batches(job_ids):
        query = sa.select(videos).where(videos.c.job_id.in_(ids)).order_by(videos.c.n)
        for row in connection.execute(query).mappings():
            found[row["job_id"]].append(_video(row))
    return found


def video_by_id(connection: sa.Connection, video_id: str) -> VideoRow | None:
    row = connection.execute(sa.select(videos).where(videos.c.id == video_id)).mappings().first()
    return _video(row) if row else None


def save_video(connection: sa.Connection, row: VideoRow) -> None:
    connection.execute(WRITE_VIDEO, {"key_id": row.id, **_video_values(row)})


def insert_video(connection: sa.Connection, row: VideoRow) -> None:
    connection.execute(videos.insert().values(id=row.id, job_id=row.job_id, n=row.n, **_video_values(row)))


def drop_video(connection: sa.Connection, video_id: str) -> None:
    connection.execute(videos.delete().where(videos.c.id == video_id))


def users_of_files(connection: sa.Connection, stored_under: str) -> int:
    """How many videos of jobs that are not deleted still refer to a folder of files."""
    query = (
        sa.select(sa.func.count())
        .select_from(videos.join(jobs, jobs.c.id == videos.c.job_id))
        .where(videos.c.stored_under == stored_under, jobs.c.deleted_at.is_(None))
    )
    return connection.execute(query).scalar_one()


def save_asset(connection: sa.Connection, row: AssetRow) -> None:
    connection.execute(assets.delete().where((assets.c.video_id == row.video_id) & (assets.c.variant == row.variant)))
    connection.execute(
        assets.insert().values(
            video_id=row.video_id,
            variant=row.variant,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            mime=row.mime,
            made_by=row.made_by,
        )
    )


def assets_of(connection: sa.Connection, video_id: str) -> dict[str, AssetRow]:
    query = sa.select(assets).where(assets.c.video_id == video_id)
    return {row["variant"]: AssetRow(**row) for row in connection.execute(query).mappings()}


# -- what refers to files -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One video of the ledger, as far as its files are concerned."""

    video_id: str
    job_id: str
    model: str
    state: JobState
    deleted: bool
    tagged: bool
    stored_under: str | None
    gone: bool
    made_at: datetime | None
    source_video: str | None


def holdings(connection: sa.Connection) -> list[Holding]:
    """Every video of every owner, the deleted and the collected ones included."""
    tagged = sa.exists().where(tags.c.job_id == jobs.c.id)
    query = sa.select(
        videos.c.id,
        videos.c.job_id,
        videos.c.stored_under,
        videos.c.gone_at,
        videos.c.created_at,
        jobs.c.model,
        jobs.c.state,
        jobs.c.deleted_at,
        jobs.c.source_video,
        tagged.label("tagged"),
    ).select_from(videos.join(jobs, jobs.c.id == videos.c.job_id))
    return [
        Holding(
            video_id=row.id,
            job_id=row.job_id,
            model=row.model,
            state=JobState(row.state),
            deleted=row.deleted_at is not None,
            tagged=bool(row.tagged),
            stored_under=row.stored_under,
            gone=row.gone_at is not None,
            made_at=row.created_at,
            source_video=row.source_video,
        )
        for row in connection.execute(query)
    ]


def inputs_in_use(connection: sa.Connection) -> frozenset[str]:
    """The sha256 of every input that a job, unless it is deleted and over, or a character refers to.

    Read out of the requests as text: whatever place of a request comes to name an input, it is found.
    """
    used = set(connection.execute(sa.select(characters.c.clip_sha256)).scalars())
    mentions = jobs.c.prepared_json.contains('"sha256"') | jobs.c.routes_json.contains('"sha256"')
    over = jobs.c.deleted_at.is_not(None) & jobs.c.state.in_([state.value for state in FINAL_JOB_STATES])
    query = sa.select(jobs.c.prepared_json, jobs.c.routes_json).where(mentions, ~over)
    for row in connection.execute(query):
        used.update(SHA256.findall(f"{row.prepared_json} {row.routes_json or ''}"))
    return frozenset(used)


def mark_collected(connection: sa.Connection, folder: str, now: datetime) -> list[Holder]:
    """Say of every video whose files lie in a folder that they were collected, and return these videos.

    They keep their facts and lose their folder: by that they are told from those found missing or damaged.
    """
    ours = videos.c.stored_under == folder
    held = [
        Holder(row.id, row.job_id) for row in connection.execute(sa.select(videos.c.id, videos.c.job_id).where(ours))
    ]
    for ids in _batches([each.video_id for each in held]):
        connection.execute(assets.delete().where(assets.c.video_id.in_(ids)))
    connection.execute(videos.update().where(ours).values(gone_at=now, stored_under=None))
    return held


def videos_gone(connection: sa.Connection, video_ids: Sequence[str]) -> list[VideoRow]:
    """Those of these videos whose files are not in the library any more."""
    found: list[VideoRow] = []
    for ids in _batches(video_ids):
        query = sa.select(videos).where(videos.c.id.in_(ids), videos.c.gone_at.is_not(None))
        found += [_video(row) for row in connection.execute(query).mappings()]
    return found


def may_still_serve(connection: sa.Connection, job_id: str) -> bool:
    """Whether a finished job is shown and the files of all its videos are in the library, as the ledger knows now."""
    shown = connection.execute(sa.select(jobs.c.deleted_at).where(jobs.c.id == job_id)).one()
    return shown.deleted_at is None and all(row.in_library for row in videos_of(connection, job_id))


# -- tags ------------------------------------------------------------------------------------------


def add_tags(connection: sa.Connection, job_id: str, wanted: Iterable[str]) -> None:
    if not (new := set(wanted)):
        return
    for tag in sorted(new - set(tags_of(connection, job_id))):
        connection.execute(tags.insert().values(job_id=job_id, tag=tag))


def tags_of(connection: sa.Connection, job_id: str) -> list[str]:
    return list(connection.execute(sa.select(tags.c.tag).where(tags.c.job_id == job_id).order_by(tags.c.tag)).scalars())


def tags_of_jobs(connection: sa.Connection, job_ids: Sequence[str]) -> dict[str, list[str]]:
    """The same for many at once; every id is a key."""
    found: dict[str, list[str]] = {job_id: [] for job_id in job_ids}
    for ids in _batches(job_ids):
        query = sa.select(tags.c.job_id, tags.c.tag).where(tags.c.job_id.in_(ids)).order_by(tags.c.tag)
        for row in connection.execute(query):
            found[row.job_id].append(row.tag)
    return found


def remove_tags(connection: sa.Connection, job_id: str, unwanted: Iterable[str]) -> None:
    connection.execute(tags.delete().where(tags.c.job_id == job_id, tags.c.tag.in_(list(unwanted))))


# -- characters ------------------------------------------------------------------------------------


def insert_character(connection: sa.Connection, character: Character) -> None:
    connection.execute(characters.insert().values(**asdict(character)))


def characters_of(connection: sa.Connection, owner: str) -> list[Character]:
    """Newest first."""
    query = sa.select(characters).where(characters.c.owner == owner).order_by(characters.c.created_at.desc())
    return [Character(**row) for row in connection.execute(query).mappings()]


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """No more ids at a time than any database takes in one statement."""
    return (ids[start : start + 500] for start in range(0, len(ids), 500))


# -- rows and values -------------------------------------------------------------------------------


def _video_values(row: VideoRow) -> dict[str, Any]:
    return {
        "stored_under": row.stored_under,
        "format": row.format,
        "width": row.size.width if row.size else None,
        "height": row.size.height if row.size else None,
        "seconds": row.seconds,
        "fps": str(row.fps) if row.fps else None,
        "has_audio": row.has_audio,
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "created_at": row.created_at,
        "gone_at": row.gone_at,
    }


def _video(row: sa.RowMapping) -> VideoRow:
    return VideoRow(
        id=row["id"],
        job_id=row["job_id"],
        n=row["n"],
        stored_under=row["stored_under"],
        format=row["format"],
        size=Size(row["width"], row["height"]) if row["width"] else None,
        seconds=row["seconds"],
        fps=Fraction(row["fps"]) if row["fps"] else None,
        has_audio=row["has_audio"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        created_at=row["created_at"],
        gone_at=row["gone_at"],
    )


def mark_gone(connection: sa.Connection, video_ids: Iterable[str], now: datetime) -> None:
    """The file behind these videos is missing or damaged: they can no longer serve as a cache."""
    connection.execute(videos.update().where(videos.c.id.in_(list(video_ids))).values(gone_at=now))
