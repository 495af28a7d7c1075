"""The inventory: every file that we keep, in the media store and beside it, and what kind of thing it is.

It looks and sums up; what may go is decided in `retention.py`. Names decide the kind, because they are ours: a file
with a name that we never give is counted as `other` and left alone by everybody.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import anyio.to_thread

from rushes.jobs.services import Services
from rushes.jobs.shelf import Holding
from rushes.media.disk import free_bytes
from rushes.media.store import MANIFEST, SPRITESHEET, THUMBNAIL, VIDEO, Listed


class Kind(StrEnum):
    VIDEO = "videos"
    PICTURE = "thumbnails and spritesheets"
    MANIFEST = "manifests"
    INPUT = "inputs"
    SPOOL = "spool"
    LEFTOVER = "broken writes"
    DATABASE = "database"
    OTHER = "other"


PIECE_KINDS = {VIDEO: Kind.VIDEO, MANIFEST: Kind.MANIFEST, THUMBNAIL: Kind.PICTURE, SPRITESHEET: Kind.PICTURE}
VIDEO_ID = r"video_[0-9a-f]{32}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One file: in the store, where it has a `key`, or on this machine, where it has a `path`."""

    kind: Kind
    size_bytes: int
    modified: datetime
    key: str | None = None
    path: Path | None = None
    folder: str | None = None  # the video whose folder it lies in
    job_id: str | None = None  # the job that it was spooled for
    provider: str | None = None  # the provider whose temporary file it is

    @property
    def name(self) -> str:
        return self.key or str(self.path)


@dataclass(frozen=True, slots=True)
class Amount:
    files: int = 0
    size_bytes: int = 0


def in_store(listed: Listed) -> Found:
    """What a file of the store is, by its key. Pure."""
    kind, folder, job_id = Kind.OTHER, None, None
    top, _, rest = listed.key.partition("/")
    name = rest.rpartition("/")[2]
    if top == "videos" and (match := re.fullmatch(rf"({VIDEO_ID})/([^/]+)", rest)):
        folder = match[1]
        kind = PIECE_KINDS.get(name, Kind.OTHER)
    elif top == "inputs" and re.fullmatch(r"[0-9a-f]{64}", rest):
        kind = Kind.INPUT
    elif top == "spool":
        kind, job_id = Kind.SPOOL, _job_of(name)
    if top in ("videos", "inputs") and name.startswith(".") and name.endswith(".tmp"):
        kind = Kind.LEFTOVER
    return Found(
        kind=kind,
        size_bytes=listed.size_bytes,
        modified=listed.modified,
        key=listed.key,
        folder=folder,
        job_id=job_id,
    )


def _job_of(name: str) -> str | None:
    match = re.match(rf"({VIDEO_ID})-", name)
    return match[1] if match else None


async def inventory(s: Services, home: Path) -> list[Found]:
    """Every file of the store and of the home folder that is ours, and nobody else's."""
    local = await anyio.to_thread.run_sync(_on_this_machine, s, home)
    paths = {each.path for each in local}  # the store's folder may be, or hold, the home
    stored = [in_store(listed) for listed in await s.media.listing()]
    return local + [each for each in stored if s.media.folder is None or s.media.folder / str(each.key) not in paths]


def _on_this_machine(s: Services, home: Path) -> list[Found]:
    found = [_local(path, Kind.SPOOL, job_id=_job_of(path.name)) for path in _files_below(s.spool)]
    for folder in sorted(_folders_in(home / "providers")):
        found += [_local(path, Kind.SPOOL, provider=folder.name) for path in _files_below(folder)]
    if s.db.path is not None:
        found += [_local(path, Kind.DATABASE) for path in sorted(s.db.path.parent.glob(f"{s.db.path.name}*"))]
    return [each for each in found if each is not None]


def _folders_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _local(path: Path, kind: Kind, *, job_id: str | None = None, provider: str | None = None) -> Found | None:
    try:
        facts = path.stat()
    except OSError:
        return None  # it went while we looked
    modified = datetime.fromtimestamp(facts.st_mtime, UTC)
    return Found(kind=kind, size_bytes=facts.st_size, modified=modified, path=path, job_id=job_id, provider=provider)


async def disks(s: Services, home: Path) -> dict[str, int]:
    """Free bytes under the store and under the home, one entry if both lie on the same disk."""

    def look() -> dict[str, int]:
        folders = [home] if s.media.folder is None else [s.media.folder, home]
        devices = {folder.stat().st_dev: folder for folder in reversed(folders)}
        return {str(folder): free_bytes(folder) for folder in reversed(devices.values())}

    return await anyio.to_thread.run_sync(look)


def amounts(found: Iterable[Found]) -> Mapping[Kind, Amount]:
    """How much there is of each kind, in the order of `Kind`; every kind is a key. Pure."""
    files, sizes = Counter[Kind](), Counter[Kind]()
    for each in found:
        files[each.kind] += 1
        sizes[each.kind] += each.size_bytes
    return {kind: Amount(files[kind], sizes[kind]) for kind in Kind}


def amounts_by_model(found: Iterable[Found], held: Sequence[Holding]) -> Mapping[str, Amount]:
    """How much lies in the folders of each model's videos, the largest first. Pure.

    Files that several videos share count once, for the model that made them; those of no known video not at all.
    """
    makers = {each.video_id: each.model for each in held}
    files, sizes = Counter[str](), Counter[str]()
    for each in found:
        if each.folder is not None and (model := makers.get(each.folder)) is not None:
            files[model] += each.kind is Kind.VIDEO
            sizes[model] += each.size_bytes
    return {model: Amount(files[model], size) for model, size in sizes.most_common()}
