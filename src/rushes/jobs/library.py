"""The library: finished videos, and the pictures and manifests of them that are made on first need."""

import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa

from rushes.errors import MediaError, NotFound
from rushes.jobs import shelf
from rushes.jobs.ledger import JobState
from rushes.jobs.marks import VARIANT as MANIFEST_VARIANT
from rushes.jobs.marks import Delivered, Marks, claim_for, export_claim, manifest_asset, video_mime
from rushes.jobs.service import Jobs
from rushes.jobs.services import Services
from rushes.jobs.shelf import AssetRow, VideoRow
from rushes.jobs.store import Filter
from rushes.media.disk import digest
from rushes.media.provenance import Claim
from rushes.media.reports import Report, State
from rushes.media.store import MANIFEST, SPRITESHEET, THUMBNAIL, VIDEO, video_key
from rushes.providers.terms import Variant
from rushes.video import Video, ledger_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file of a video where it lies in the media store."""

    key: str
    mime: str
    size_bytes: int
    sha256: str
    modified: datetime


COPY_BYTES = 1 << 20
MANIFEST_SUFFIX = ".c2pa"
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
        wanted = ledger_id(text)
        return next((video for video in videos if video.id == wanted), videos[0])

    async def matching(
        self, *, search: str | None = None, tags: tuple[str, ...] = (), model: str | None = None, limit: int = 50
    ) -> list[Video]:
        """Finished videos, newest first."""
        wanted = Filter(states=frozenset({JobState.COMPLETED}), search=search, tags=tags, model=model, limit=limit)
        snapshots = await self._jobs.matching(wanted)
        return [video for snapshot in snapshots for video in await self._jobs.videos(snapshot.id)]

    async def picture(self, video: Video, variant: Variant) -> Path | None:
        """The thumbnail or spritesheet as a file, made now if the provider gave none; None in a bucket.

        There `picture_url` tells where it lies. Raises MediaError.
        """
        have = video.thumbnail if variant is Variant.THUMBNAIL else video.spritesheet
        if have is not None and have.is_file():
            return have
        name, mime = PICTURES[variant]
        row = await self._row(video.id)
        key = video_key(row.stored_under or row.id, name)
        if self._s.media.folder is None and row.in_library and await self._s.media.head(key) is not None:
            return None
        source = await self._file(video, row)
        with tempfile.TemporaryDirectory(dir=self._s.spool) as folder:
            out = Path(folder) / name
            make = self._s.children.thumbnail if variant is Variant.THUMBNAIL else self._s.children.spritesheet
            await make(source, out)
            sha256, size_bytes = await digest(out)
            await self._s.media.publish(key, out)
        made = AssetRow(
            video_id=video.id, variant=variant.value, sha256=sha256, size_bytes=size_bytes, mime=mime, made_by="us"
        )
        await self._s.db.write(lambda connection: shelf.save_asset(connection, made))
        return self._s.media.local_path(key)

    async def piece(self, video_id: str, variant: str) -> Piece:
        """`video`, `thumbnail`, `spritesheet` or `manifest` of a video; the last three are made now if need be.

        Raises NotFound when the video's files are gone, or its manifest lies inside the file; and MediaError.
        """
        row = await self._row(video_id)
        folder = row.stored_under or row.id
        if not row.in_library or row.sha256 is None or row.size_bytes is None or row.created_at is None:
            raise NotFound(f"The file of {video_id} is no longer in the library.")
        if variant == Variant.VIDEO:
            return Piece(
                key=video_key(folder),
                mime=video_mime(row.format or "mp4"),
                size_bytes=row.size_bytes,
                sha256=row.sha256,
                modified=row.created_at,
            )
        asset = await self._asset(row, variant)
        if asset is None:
            raise NotFound(f"The manifest of {video_id} lies inside its file.")
        name = MANIFEST if variant == MANIFEST_VARIANT else PICTURES[Variant(variant)][0]
        return Piece(
            key=video_key(folder, name),
            mime=asset.mime,
            size_bytes=asset.size_bytes,
            sha256=asset.sha256,
            modified=row.created_at,
        )

    async def _asset(self, row: VideoRow, variant: str) -> AssetRow | None:
        """What is known of a file beside a video, which is made if it is not there yet."""

        def work(connection: sa.Connection) -> AssetRow | None:
            # One that was served from the library shares the files of another.
            known = (
                shelf.assets_of(connection, folder).get(variant) for folder in (row.id, row.stored_under or row.id)
            )
            return next((asset for asset in known if asset is not None), None)

        if (known := await self._s.db.read(work)) is not None:
            return known
        video = next(video for video in await self._jobs.videos(row.job_id) if video.id == row.id)
        if variant == MANIFEST_VARIANT:
            await self.manifest(video)
        else:
            await self.picture(video, Variant(variant))
        return await self._s.db.read(work)

    async def picture_url(self, video: Video, variant: Variant) -> str:
        """The address of a picture that was made: `file://…` or that of the bucket, not signed."""
        row = await self._row(video.id)
        return self._s.media.url(video_key(row.stored_under or row.id, PICTURES[variant][0]))

    async def export(self, video: Video, target: Path, *, embed: bool = False) -> Path:
        """Copy a video out of the library. A folder as target takes it under its id.

        `embed` puts the provenance manifest into the copy. Raises MediaError when that cannot be done.
        """
        source, kept = await self._file(video), str(video.path or video.url)
        path = target / f"{video.id}.{video.format}" if target.is_dir() else target
        if not embed or (await self._look(source)).ours:
            return await anyio.to_thread.run_sync(copy_whole, source, path, kept)
        marks, manifest = self._signing(), await self.manifest(video)
        claim = await self._claim(video, source, carries=False)
        with tempfile.TemporaryDirectory(dir=self._s.spool) as folder:
            out = Path(folder) / VIDEO
            claim = export_claim(claim, source, video.format, manifest)
            await marks.sign(source, claim, inside=out)
            return await anyio.to_thread.run_sync(copy_whole, out, path, kept)

    async def manifest(self, video: Video) -> Path | None:
        """The manifest beside a video, made now if it has none. None: it lies inside the file. Raises MediaError.

        Out of a bucket it is a copy on this machine, only to be read.
        """
        if (have := await self._manifest_there(video)) is not None:
            return have
        row = await self._row(video.id)
        key = video_key(row.stored_under or row.id, MANIFEST)
        source = await self._file(video, row)
        inside = await self._look(source)
        if inside.ours:
            return None
        claim = await self._claim(video, source, carries=inside.state is not State.NONE)
        with tempfile.TemporaryDirectory(dir=self._s.spool) as folder:
            out = Path(folder) / MANIFEST
            await self._signing().sign(source, claim, beside=out)
            made = await manifest_asset(video.id, out)
            await self._s.media.publish(key, out)
        await self._s.db.write(lambda connection: shelf.save_asset(connection, made))
        return await self._s.media.near(key)

    async def _manifest_there(self, video: Video) -> Path | None:
        row = await self._row(video.id)
        key = video_key(row.stored_under or row.id, MANIFEST)
        return await self._s.media.near(key) if await self._s.media.head(key) is not None else None

    async def provenance(self, video: Video) -> Report:
        """What is known of a video's origin; its manifest is made now if it has none. Raises MediaError."""
        source = await self._file(video)
        find = self.manifest if self._s.marks.enabled else self._manifest_there
        return await self._look(source, await find(video))

    async def provenance_of(self, path: Path) -> Report:
        """What is known of any file's origin: by the manifest that lies beside it, else by the one inside."""
        if not path.is_file():
            raise NotFound(f"{path}: no such file.")
        beside = [path.with_suffix(MANIFEST_SUFFIX), path.with_name(path.name + MANIFEST_SUFFIX)]
        return await self._look(path, next((each for each in beside if each != path and each.is_file()), None))

    async def _look(self, path: Path, manifest: Path | None = None) -> Report:
        return await self._s.marks.read(path, manifest)

    def _signing(self) -> Marks:
        if not self._s.marks.enabled:
            raise MediaError("Manifests are switched off: [provenance] enabled = false.")
        return self._s.marks

    async def _claim(self, video: Video, source: Path, *, carries: bool) -> Claim:
        """What is to be said of a video of the library. One that was served from it was made by another job."""
        row = await self._row(video.id)
        case = await self._jobs.case(video.job_id)
        if case.job.cached_from:
            case = await self._jobs.case(case.job.cached_from)
        maker = replace(row, id=row.stored_under or row.id)
        file = Delivered(path=source, format=video.format, carries=carries)
        return await claim_for(self._s, case, maker, file)

    async def _file(self, video: Video, row: VideoRow | None = None) -> Path:
        """Its file on this machine, only to be read; out of a bucket a copy. Raises NotFound when it is gone."""
        row = row or await self._row(video.id)
        key = video_key(row.stored_under or row.id)
        if not row.in_library or await self._s.media.head(key) is None:
            raise NotFound(f"The file of {video.id} is no longer in the library.")
        return await self._s.media.near(key)

    async def _row(self, video_id: str) -> VideoRow:
        def work(connection: sa.Connection) -> VideoRow | None:
            return shelf.video_by_id(connection, video_id)

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


def copy_whole(source: Path, target: Path, kept: str) -> Path:
    """Copy so that the target is either the old file or the whole new one. Raises MediaError.

    That says where the video is `kept`, so that nobody fears for it.
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
            f"{target} cannot be written: {error.strerror}. The video is safe in the library: {kept}"
        ) from error
    return target
