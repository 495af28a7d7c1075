"""Videos that came inside an answer: as files in the provider's folder, on the disk for good before anybody is told.

Google tells a link when a create waits for its video, and the bytes themselves when somebody looks later. A link is
promised only once, so it becomes part of the `RemoteJob` that the ledger keeps; so do the bytes of a create, as the
name of their file.
"""

import hashlib
import os
from pathlib import Path

import anyio.to_thread
from pydantic import BaseModel, ConfigDict

from rushes.media.disk import disk_error
from rushes.providers.terms import Asset, RemoteJob

INLINE_ANSWER_S = 180.0  # for an answer that may hold a whole video


class Kept(BaseModel):
    """What `RemoteJob.data` holds of an answer that was the result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    uri: str | None = None
    file: str | None = None


def kept_in(remote: RemoteJob) -> Kept:
    return Kept.model_validate(dict(remote.data))


def name_for(text: str) -> str:
    """A file's name for a job or a key, whatever characters that has."""
    return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.mp4"


async def write(path: Path, data: bytes) -> None:
    """Raises MediaError for trouble with our own disk."""
    await anyio.to_thread.run_sync(_write, path, data)


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


def asset(path: Path) -> Asset:
    return Asset(file=path, received=True)


def discard(folder: Path, remote: RemoteJob) -> None:
    names = {name_for(remote.id), kept_in(remote).file}
    for name in names:
        if name:
            (folder / Path(name).name).unlink(missing_ok=True)
