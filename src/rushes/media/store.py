"""The media store: finished videos with what belongs to them, and inputs by their content.

A folder by default, a bucket by URL; obstore speaks to either. Keys are made here and nowhere else, from ids that
are checked, so that no id, whoever sent it, can name a place outside. What is published appears whole or not at all.

In a folder we write by ourselves instead of through obstore: a published video must be on the disk, not only in its
cache, before the database says that it is there, and the finished download is renamed into place, not copied.

Trouble of the store itself is a `StoreTrouble`: it says nothing about a file, and whoever meets it waits.
"""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import anyio.to_thread
import obstore
import obstore.store
from obstore.exceptions import BaseError

from rushes.config import Settings
from rushes.errors import MediaError
from rushes.media.bucket import RETRIES, bucket_error, check_room, confirm, folder_error, opened, upload
from rushes.media.disk import beside, disk_error, make_folder, move_whole, write_whole
from rushes.media.near import Near

VIDEO = "video.mp4"
MANIFEST = "video.c2pa"
THUMBNAIL = "thumbnail.webp"
SPRITESHEET = "spritesheet.jpg"
PIECES = frozenset({VIDEO, MANIFEST, THUMBNAIL, SPRITESHEET})

CHUNK_BYTES = 1 << 20
FETCH_BYTES = 8 << 20
DELETES_AT_ONCE = 1000  # what S3 takes in one request
RENEW_AFTER = timedelta(minutes=20)  # far less than the age at which an unused input may be collected
UPLOADS_AT_ONCE = 2  # each holds some parts in memory; more would only share the same line
LONGEST_SIGNED_S = 7 * 24 * 3600  # as long as S3 and Google let a signature live
MIMES = {".mp4": "video/mp4", ".webp": "image/webp", ".jpg": "image/jpeg", ".c2pa": "application/c2pa"}


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


@dataclass(frozen=True, slots=True)
class Fetched:
    sha256: str
    size_bytes: int


class MediaStore:
    """Files by key. `where` is `Settings.media_url`: a folder, which is made, or the URL of a bucket.

    `settings` know a bucket's keys; `spool` is where copies out of it are put, see `near`; `retries` is how often a
    request is repeated that got no answer, or one that passes.
    """

    def __init__(
        self, where: str, settings: Settings | None = None, *, spool: Path | None = None, retries: int = RETRIES
    ) -> None:
        self.folder = _folder_of(where)
        self._where = where.rstrip("/")
        self._given_spool = spool
        self._bucket_seen = False
        if self.folder is not None:
            make_folder(self.folder)
            self._store: Any = obstore.store.LocalStore(self.folder, automatic_cleanup=True)
        else:
            self._store = opened(where, settings, retries)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The store that the settings name, with its copies in the home's spool."""
        return cls(settings.media_url, settings, spool=settings.home / "spool")

    @cached_property
    def spool(self) -> Path:
        """A folder for temporary files on this machine; on the disk of the store, if it has one."""
        if self.folder is not None:
            return self.folder / "spool"
        return self._given_spool or Path(tempfile.mkdtemp(prefix="rushes-"))

    # -- write ------------------------------------------------------------------------------------------------------

    async def publish(self, key: str, path: Path) -> None:
        """Move a local file into the store. Afterwards `path` is gone and the key is there, whole and durable.

        What is killed in the middle leaves nothing to see under the key, and may be repeated.
        """
        check_key(key)
        if self.folder is not None:
            await anyio.to_thread.run_sync(move_whole, path, self.folder / key)
            return
        try:
            async with self._turns:
                await upload(self._store, key, path, MIMES.get(Path(key).suffix))
        except OSError as error:
            if isinstance(error, FileNotFoundError) and path.exists():  # it is the bucket that is not found
                raise self._error(error, key) from error
            raise disk_error(error, path) from error
        except BaseError as error:
            raise self._error(error, key) from error
        await anyio.Path(path).unlink(missing_ok=True)

    async def put(self, key: str, data: bytes) -> None:
        check_key(key)
        if self.folder is not None:
            await anyio.to_thread.run_sync(write_whole, self.folder / key, data)
            return
        mime = MIMES.get(Path(key).suffix)
        try:
            await obstore.put_async(self._store, key, data, attributes={"Content-Type": mime} if mime else None)
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    async def renew(self, key: str) -> bool:
        """Whether it is there; if so it counts as new from now on, so that nobody collects it as long unused."""
        try:
            if self.folder is not None:
                await anyio.to_thread.run_sync(os.utime, self.folder / check_key(key))
                return True
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._error(error, key) from error
        stored = await self.head(key)
        if stored is not None and datetime.now(UTC) - stored.modified > RENEW_AFTER:
            await self.put(key, await self.read(key))  # a bucket dates what is written, and nothing else
        return stored is not None

    async def check(self) -> None:
        """Write, read and remove a small file. Raises MediaError that says what cannot be done."""
        key, data = f"checks/{os.getpid()}-{os.urandom(4).hex()}", b"rushes doctor\n"
        await self.put(key, data)
        try:
            if await self.read(key) != data:
                raise MediaError(f"{self.url(key)} reads otherwise than it was written.")
        finally:
            await self.delete(key)

    # -- read -------------------------------------------------------------------------------------------------------

    async def read(self, key: str) -> bytes:
        """All of it, in memory. Raises MediaError when it is not there."""
        try:
            result = await obstore.get_async(self._store, check_key(key))
            return bytes(await result.bytes_async())
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    async def stream(
        self, key: str, start: int = 0, end: int | None = None, *, chunk_bytes: int = CHUNK_BYTES
    ) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end` (None: to the last), in pieces of about 1 MB.

        Out of a bucket each piece is a request of its own: a reader may take all the time in the world between two.
        """
        check_key(key)
        if end is not None and end <= start:
            return
        if self.folder is None:
            async for chunk in self._pieces(key, start, end, chunk_bytes):
                yield chunk
            return
        span: Any = {"offset": start} if end is None else (start, end)
        try:
            result = await obstore.get_async(self._store, key, options={"range": span} if start or end else {})
            async for chunk in result.stream(min_chunk_size=chunk_bytes):
                yield bytes(chunk)
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    async def _pieces(self, key: str, start: int, end: int | None, chunk_bytes: int) -> AsyncIterator[bytes]:
        stored = await self.head(key)
        if stored is None:
            raise self._error(FileNotFoundError(), key)
        end = stored.size_bytes if end is None else min(end, stored.size_bytes)
        for at in range(start, end, chunk_bytes):
            options: Any = {"range": (at, min(at + chunk_bytes, end)), "if_match": stored.etag}
            try:
                result = await obstore.get_async(self._store, key, options=options)
                data = bytes(await result.bytes_async())
            except (OSError, BaseError) as error:
                raise self._error(error, key) from error
            yield data

    async def head(self, key: str) -> Stored | None:
        """What is known of it without reading it; None when it is not there."""
        try:
            meta = await obstore.head_async(self._store, check_key(key))
        except FileNotFoundError:
            await self._see_bucket()
            return None
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error
        self._bucket_seen = True
        return Stored(meta["size"], meta["e_tag"], meta["last_modified"])

    async def _see_bucket(self) -> None:
        """Raise StoreTrouble when there is no bucket: a look at a file cannot tell that from a file that is missing.

        Else a bucket's name that is wrong today would look like a library that was lost.
        """
        if self.folder is not None or self._bucket_seen:
            return
        await confirm(self._store, self._where)
        self._bucket_seen = True

    async def fetch(self, key: str, path: Path) -> Fetched:
        """Copy it to a local path, hashed on the way. Raises MediaError, and leaves nothing half behind."""
        stored = await self.head(key)
        if stored is None:
            raise self._error(FileNotFoundError(), key)
        check_room(path, stored.size_bytes)
        sha256, size_bytes = hashlib.sha256(), 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                async for chunk in self.stream(key, chunk_bytes=FETCH_BYTES):
                    await anyio.to_thread.run_sync(file.write, chunk)
                    await anyio.to_thread.run_sync(sha256.update, chunk)
                    size_bytes += len(chunk)
        except BaseException as error:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise disk_error(error, path) from error
            raise
        return Fetched(sha256.hexdigest(), size_bytes)

    async def near(self, key: str) -> Path:
        """A file on this machine with its bytes: itself in a folder, a copy out of a bucket. Only to be read.

        The copy stays for at least ten minutes. Raises MediaError when it is not there.
        """
        if (path := self.local_path(key)) is not None:
            if not path.is_file():
                raise self._error(FileNotFoundError(), key)
            return path
        stored = await self.head(key)
        if stored is None:
            raise self._error(FileNotFoundError(), key)
        place = self._near.place(key, stored.etag or str(stored.modified))
        if not await anyio.to_thread.run_sync(self._near.take, place, stored.size_bytes):
            await anyio.to_thread.run_sync(self._near.make_room, time.time())
            temporary = beside(place)
            await self.fetch(key, temporary)
            await anyio.to_thread.run_sync(temporary.replace, place)
        return place

    @cached_property
    def _near(self) -> Near:
        return Near(self.spool / "near")

    @cached_property
    def _turns(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(UPLOADS_AT_ONCE)

    # -- list and delete --------------------------------------------------------------------------------------------

    async def delete(self, key: str) -> None:
        """Remove it. That it is not there any more is no error: deleting may be repeated after a crash."""
        await self.remove_listed(check_key(key))

    async def delete_all(self, prefix: str) -> None:
        """Remove all below a prefix, which is a whole folder: `a/b` does not touch `a/bc`."""
        await self.remove_all_listed([each.key for each in await self.listing(check_key(prefix))])

    async def listing(self, prefix: str | None = None) -> list[Listed]:
        """Every file below a prefix, which is a whole folder, or in all of the store; by key."""
        found: list[Listed] = []
        try:
            batches = obstore.list(self._store, prefix, chunk_size=1000)  # pyright: ignore[reportUnknownMemberType]: arrow is optional
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

    async def remove_all_listed(self, keys: Sequence[str]) -> None:
        """The same for many; out of a bucket, a thousand by each request."""
        if self.folder is not None:
            for key in keys:
                await self.remove_listed(key)
            return
        for start in range(0, len(keys), DELETES_AT_ONCE):
            batch = list(keys[start : start + DELETES_AT_ONCE])
            try:
                await obstore.delete_async(self._store, batch)
            except FileNotFoundError:
                continue
            except (OSError, BaseError) as error:
                raise self._error(error, batch[0]) from error

    # -- addresses --------------------------------------------------------------------------------------------------

    def local_path(self, key: str) -> Path | None:
        """Where it lies, or would lie, on this machine; None in a bucket."""
        return self.folder / check_key(key) if self.folder is not None else None

    def url(self, key: str) -> str:
        """Its address: `file://…` or that of the bucket. Not signed, so only for who may read the store."""
        return path.as_uri() if (path := self.local_path(key)) else f"{self._where}/{key}"

    async def signed_url(self, key: str, expires_s: int) -> str | None:
        """An address by which anybody may GET it for so many seconds, a week at most; None for a folder.

        It is a secret: it belongs into an answer, never into a log, an error or the database.
        """
        check_key(key)
        if not 1 <= expires_s <= LONGEST_SIGNED_S:
            raise ValueError(f"A signed address lives for 1 to {LONGEST_SIGNED_S} seconds, not {expires_s}.")
        if not isinstance(self._store, obstore.store.S3Store | obstore.store.GCSStore | obstore.store.AzureStore):
            return None
        try:
            return await obstore.sign_async(self._store, "GET", key, timedelta(seconds=expires_s))
        except (OSError, BaseError) as error:
            raise self._error(error, key) from error

    def _error(self, error: Exception, key: str) -> MediaError:
        address = self.url(key) if key else self._where
        if self.folder is None:
            return bucket_error(error, address)
        if isinstance(error, FileNotFoundError):
            return MediaError(f"{address} is not in the media store.")
        return folder_error(error, self.folder / key, address)


def _folder_of(where: str) -> Path | None:
    """The folder that a media URL names; None for a bucket."""
    if where.startswith("file://"):
        return Path(url2pathname(urlsplit(where).path))
    return None if "://" in where else Path(where).expanduser().absolute()
