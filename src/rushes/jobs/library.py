"""The library: finished videos, and the pictures of them that are made on first need."""

import shutil
import tempfile
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa

from rushes.errors import MediaError, NotFound
from rushes.jobs import store
from rushes.jobs.ledger import JobState
from rushes.jobs.service import Jobs
from rushes.jobs.services import Services
from rushes.jobs.store import AssetRow, Filter, VideoRow
from rushes.media.disk import digest
from rushes.media.store import SPRITESHEET, THUMBNAIL, video_key
from rushes.providers.base import Variant
from rushes.video import Video

COPY_BYTES = 1 << 20
PICTURES = {Variant.THUMBNAIL: (THUMBNAIL, "image/webp"), Variant.SPRITESHEET: (SPRITESHEET, "image/jpeg")}


class Library:
    """Look up, picture and export finished videos."""

    def __init__(self, services: Services, jobs: Jobs) -> None:
        self._s = services
        self._jobs = jobs

    async def get(self, text: str) -> Video:
        """A video by its id (either form, or an unambiguous beginning). Raises NotFound."""
        job_id = await self._jobs.find_id(text)
        videos = await self._jobs.videos(job_id)
        if not videos:
            raise NotFound(f"{job_id} has no video yet. See: rushes jobs show {job_id}")
        return next((video for video in videos if video.id == text), videos[0])

    async def matching(self, *, search: str | None = None, limit: int = 50) -> list[Video]:
        """Finished videos, newest first."""
        wanted = Filter(states=frozenset({JobState.COMPLETED}), search=search, limit=limit)
        snapshots = await self._jobs.matching(wanted)
        return [video for snapshot in snapshots for video in await self._jobs.videos(snapshot.id)]

    async def picture(self, video: Video, variant: Variant) -> Path:
        """The thumbnail or spritesheet as a file, made now if the provider gave none. Raises MediaError."""
        have = video.thumbnail if variant is Variant.THUMBNAIL else video.spritesheet
        if have is not None and have.is_file():
            return have
        if video.path is None:
            raise MediaError(f"The file of {video.id} is no longer in the library, so no {variant.value} can be made.")
        name, mime = PICTURES[variant]
        row = await self._row(video.id)
        key = video_key(row.stored_under or row.id, name)
        with tempfile.TemporaryDirectory(dir=self._s.spool) as folder:
            out = Path(folder) / name
            make = self._s.children.thumbnail if variant is Variant.THUMBNAIL else self._s.children.spritesheet
            await make(video.path, out)
            sha256, size_bytes = await digest(out)
            await self._s.media.publish(key, out)
        made = AssetRow(
            video_id=video.id, variant=variant.value, sha256=sha256, size_bytes=size_bytes, mime=mime, made_by="us"
        )
        await self._s.db.write(lambda connection: store.save_asset(connection, made))
        path = self._s.media.local_path(key)
        if path is None:
            raise MediaError(f"{key} lies in a bucket: {self._s.media.url(key)}")
        return path

    async def export(self, video: Video, target: Path) -> Path:
        """Copy a video out of the library. A folder as target takes it under its id."""
        if video.path is None:
            raise NotFound(f"The file of {video.id} is no longer in the library.")
        path = target / f"{video.id}.{video.format}" if target.is_dir() else target
        return await anyio.to_thread.run_sync(copy_whole, video.path, path)

    async def _row(self, video_id: str) -> VideoRow:
        def work(connection: sa.Connection) -> VideoRow | None:
            return store.video_by_id(connection, video_id)

        row = await self._s.db.read(work)
        if row is None:
            raise NotFound(f"There is no video {video_id}.")
        return row


def check_writable(target: Path) -> None:
    """Raise MediaError if a file could not be put there; called before anything is bought."""
    folder = target if target.is_dir() else target.parent
    if not folder.is_dir():
        raise MediaError(f"The folder {folder} does not exist. Make it, or name another --out.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if target.is_file():
            with target.open("ab"):
                pass
    except OSError as error:
        raise MediaError(f"{target} cannot be written: {error.strerror}. Name another --out.") from error


def copy_whole(source: Path, target: Path) -> Path:
    """Copy so that the target is either the old file or the whole new one. Raises MediaError.

    What is no ordinary file, such as a pipe or a device, is written into, never replaced.
    """
    special = target.exists() and not target.is_file()
    part = target if special else target.with_name(f".{target.name}.part")
    try:
        with source.open("rb") as reader, part.open("wb") as writer:
            shutil.copyfileobj(reader, writer, COPY_BYTES)
        if not special:
            part.replace(target)
    except OSError as error:
        if not special:
            part.unlink(missing_ok=True)
        raise MediaError(
            f"{target} cannot be written: {error.strerror}. The video is safe in the library: {source}"
        ) from error
    return target
