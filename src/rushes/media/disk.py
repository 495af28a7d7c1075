"""The local disk: files that appear whole or not at all, and its troubles in our words.

Trouble of the disk must be told from a bad file, because it heals: the bytes that came are kept, and the job goes on
when there is room, when the rights are given, when the disk is back.
"""

import errno
import hashlib
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from rushes.errors import MediaError, StoreAway, StoreFull, StoreRefused, StoreTrouble

FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC})
"""EFBIG too: a file system or a limit that takes no file of this size is full for this file."""

REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
AWAY = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT, getattr(errno, "ESTALE", errno.EIO)})
"""What a disk says that fails, or a network folder whose server is away."""

COPY_BYTES = 1 << 20


def disk_error(error: OSError, path: Path) -> MediaError:
    """What the system said about a path, as a MediaError that says what to do. Pure."""
    words = error.strerror or str(error)
    if error.errno in FULL:
        return StoreFull(
            f"No room to write {path}: {words}. Free some space (rushes videos gc shows what can go), "
            f"or set RUSHES_HOME or RUSHES_MEDIA_URL to a larger disk."
        )
    if isinstance(error, PermissionError) or error.errno in REFUSED:
        return StoreRefused(
            f"No permission for {path}: {words}. Give this user the right to it, or choose another folder."
        )
    if error.errno in AWAY:
        return StoreAway(f"The disk under {path} does not answer: {words}. See that it is well, and mounted.")
    return MediaError(f"{path}: {words}.")


def store_error(error: OSError, place: Path) -> StoreTrouble:
    """The same for a place of ours in the store: whatever it is, it says nothing against what should lie there."""
    told = disk_error(error, place)
    return told if isinstance(told, StoreTrouble) else StoreRefused(f"The media store fails at {told}")


def make_folder(folder: Path) -> None:
    """Create it with its parents. Raises MediaError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either all there or not there, also after a power cut. Raises MediaError."""
    temporary = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        _drop(temporary)
        raise store_error(error, path) from error


def move_whole(source: Path, target: Path) -> None:
    """Move a file so that it appears under its new name whole, and stays there after a power cut.

    A rename where both lie on one file system; else a copy under a temporary name, then a rename. Raises MediaError.
    """
    temporary = beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as file:
            os.fsync(file.fileno())
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_synced(source, temporary)
            temporary.replace(target)
            source.unlink()
        sync_folder(target.parent)
    except OSError as error:
        _drop(temporary)
        if not source.exists():
            raise disk_error(error, source) from error
        raise store_error(error, target) from error


def _drop(temporary: Path) -> None:
    """Where a write failed, the removal of what is left of it may fail as well, and has nothing to add."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """A temporary name in the same folder, so that a rename is all that is left to do."""
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows has no such thing to ask for."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy_synced(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        shutil.copyfileobj(read, write, COPY_BYTES)
        write.flush()
        os.fsync(write.fileno())


async def digest(path: Path) -> tuple[str, int]:
    """The sha256 of a file in hexadecimal digits, and its size, read on a thread."""
    import anyio.to_thread  # here, because media children use this module too, and must start fast

    return await anyio.to_thread.run_sync(digest_now, path)


def digest_now(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return sha256, file.tell()
    except OSError as error:
        raise disk_error(error, path) from error


def free_bytes(path: Path) -> int:
    """How much the disk under `path` still takes."""
    return shutil.disk_usage(path).free
