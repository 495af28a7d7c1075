"""The media store: finished videos with what belongs to them, and inputs by their content.

A folder by default, a bucket by URL; obstore speaks to either. Keys are made here and nowhere else, from ids that
are checked, so that no id, whoever sent it, can name a place outside. What is published appears whole or not at all.

In a folder we write by ourselves instead of through obstore: a published video must be on the disk, not only in its
cache, before the database says that it is there, and the finished download is renamed into place, not copied.
"""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import anyio.to_thread
import obstore
import obstore.store
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from rushes.errors import MediaError
from rushes.media.disk import disk_error, make_folder, move_whole, write_whole

VIDEO = "video.mp4"
MANIFEST = "video.c2pa"
THUMBNAIL = "thumbnail.webp"
SPRITESHEET = "spritesheet.jpg"
PIECES = frozenset({VIDEO, MANIFEST, THUMBNAIL, SPRITESHEET})

CHUNK_BYTES = 1 << 20
UPLOAD_PART_BYTES = 8 << 20
RENEW_AFTER = timedelta(minutes=20)  # far less than the age at which an unused input may be collected
UPLOADS_AT_ONCE = 4  # times the part size is the memory that one upload may take


@dataclass(frozen=True, slots=True)
class Stored:
    size_bytes: int
    etag: str | None
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file as a listing tells of it. What a broken write left behind is listed too, under a name with a dot."""

    key: str
    size_bytes: int
    modified: datetime


def video_key(video_id: str, piece: str = VIDEO) -> str:
    """Where a piece of a video lies. Raises ValueError for what is no video id or no piece."""
    if piece not in PIECES:
        raise ValueError(f"{piece!r} is not a piece of a video; there are {', '.join(sorted(PIECES))}.")
    return f"{video_prefix(video_id)}/{piece}"


def video_prefix(video_id: str) -> str:
    """The folder of one video. Raises ValueError for what is no video id."""
    if not re.fullmatch(r"video_[0-9a-f]{32}", video_id):
        raise ValueError(f"{video_id!r} is not a video id.")
    return f"videos/{video_id}"


def input_key(sha256: str) -> str:
    """Where an input lies. Raises ValueError for what is no sha256 in hexadecimal digits."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{sha256!r} is not a sha256.")
    return f"inputs/{sha256}"


def check_key(key: str) -> str:
    """The key itself, if it names a place inside the store. Raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*", key):
        raise ValueError(f"{key!r} is not a key of the media store.")
    return key


class MediaStore:
    """Files by key. `where` is `Settings.media_url`: a folder, which is made, or the URL of a bucket."""

    def __init__(self, where: str) -> None:
        self.folder = _folder_of(where)
        self._where = where.rstrip("/")
        if self.folder is not None:
            make_folder(self.folder)
            self._store: Any = obstore.store.LocalStore(self.folder, automatic_cleanup=True)
            return
        try:
            self._store = obstore.store.from_url(where)
        except (BaseError, ValueError) as error:
            raise MediaError(f"The media store {self._where} cannot be opened: {_words(error)}") from error

    async def publish(self, key: str, path: Path) -> None:
        """Move a local file into the store. Afterwards `path` is gone and the key is there, whole and durable."""
        check_key(key)
        if self.folder is not None:
            await anyio.to_thread.run_sync(move_whole, path, self.folder / key)
            return
        try:
            await obstore.put_async(
                self._store, key, path, chunk_size=UPLOAD_PART_BYTES, max_concurrency=UPLOADS_AT_ONCE
            )
        except OSError as error:
            raise disk_error(error, path) from error
        except BaseError as error:
            raise self._error(error, key) from error
        await anyio.Path(path).unlink(missing_ok=True)

    async def put(self, key: str, data: bytes) -> None:
        check_key(key)
        if self.folder is not None:
            await anyio.to_thread.run_sync(write_whole, self.folder / key, data)
            return
        try:
            await obstore.put_async(self._store, key, data)
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    async def read(self, key: str) -> bytes:
        """All of it, in memory. Raises MediaError when it is not there."""
        try:
            result = await obstore.get_async(self._store, check_key(key))
            return bytes(await result.bytes_async())
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end` (None: to the last), in pieces of about 1 MB."""
        check_key(key)
        if end is not None and end <= start:
            return
        span: Any = {"offset": start} if end is None else (start, end)
        try:
            result = await obstore.get_async(self._store, key, options={"range": span} if start or end else {})
            async for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    async def head(self, key: str) -> Stored | None:
        """What is known of it without reading it; None when it is not there."""
        try:
            meta = await obstore.head_async(self._store, check_key(key))
        except FileNotFoundError:
            return None
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error
        return Stored(meta["size"], meta["e_tag"], meta["last_modified"])

    async def delete(self, key: str) -> None:
        """Remove it. That it is not there any more is no error: deleting may be repeated after a crash."""
        try:
            await obstore.delete_async(self._store, check_key(key))
        except FileNotFoundError:
            return
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    async def delete_all(self, prefix: str) -> None:
        """Remove all below a prefix, which is a whole folder: `a/b` does not touch `a/bc`."""
        check_key(prefix)
        try:
            listed = obstore.list(self._store, prefix)  # pyright: ignore[reportUnknownMemberType]: arrow is optional
            async for batch in listed:
                await obstore.delete_async(self._store, [meta["path"] for meta in batch])
        except FileNotFoundError:
            return  # somebody else deletes it too
        except (OSError, BaseError) as error:
            raise self._error(error, prefix) from error

    async def listing(self, prefix: str | None = None) -> list[Listed]:
        """Every file below a prefix, which is a whole folder, or in all of the store; by key."""
        found: list[Listed] = []
        try:
            batches = obstore.list(self._store, prefix)  # pyright: ignore[reportUnknownMemberType]: arrow is optional
            async for batch in batches:
                found += [
                    Listed(key=meta["path"], size_bytes=meta["size"], modified=meta["last_modified"]) for meta in batch
                ]
        except FileNotFoundError:
            pass  # the folder went while it was listed
        except (OSError, BaseError) as error:
            raise self._error(error, prefix or "") from error
        return sorted(found, key=lambda each: each.key)

    async def remove_listed(self, key: str) -> None:
        """Remove a file by its key in a listing, left-overs of broken writes included. Gone already is no error."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    async def renew(self, key: str) -> bool:
        """Whether it is there; if so it counts as new from now on, so that nobody collects it as long unused."""
        try:
            if self.folder is not None:
                await anyio.to_thread.run_sync(os.utime, self.folder / check_key(key))
                return True
            meta = await obstore.head_async(self._store, check_key(key))
            if datetime.now(UTC) - meta["last_modified"] > RENEW_AFTER:
                await self.put(key, await self.read(key))  # a bucket dates what is written, and nothing else
        except FileNotFoundError:
            return False
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error
        return True

    def local_path(self, key: str) -> Path | None:
        """Where it lies, or would lie, on this machine; None in a bucket."""
        return self.folder / check_key(key) if self.folder is not None else None

    def url(self, key: str) -> str:
        """Its address: `file://…` or that of the bucket. Not signed, so only for who may read the store."""
        return path.as_uri() if (path := self.local_path(key)) else f"{self._where}/{key}"

    def _error(self, error: Exception, key: str) -> MediaError:
        if isinstance(error, FileNotFoundError):
            return MediaError(f"{self.url(key)} is not in the media store.")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError):
            return MediaError(f"The media store refuses {self.url(key)}: {_words(error)} Check its rights and keys.")
        if isinstance(error, OSError):
            return disk_error(error, Path(key))
        return MediaError(f"The media store failed at {self.url(key)}: {_words(error)}")


def _folder_of(where: str) -> Path | None:
    """The folder that a media URL names; None for a bucket."""
    if where.startswith("file://"):
        return Path(url2pathname(urlsplit(where).path))
    return None if "://" in where else Path(where).expanduser().absolute()


def _words(error: Exception) -> str:
    """The first line: obstore adds a page of debugging details."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
