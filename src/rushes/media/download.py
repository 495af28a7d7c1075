"""Downloads in constant memory that survive everything but a wrong file.

The bytes go to a `.part` file, and beside it a small `.part.json` says which file they are the beginning of. After a
broken connection, or `kill -9` and a new process, the rest is asked for by Range; if the far side has another file by
then, or knows no Range, it begins again. Links that expired are not our business: whoever called asks the provider
for a new one and calls again, and what was fetched until then is kept.
"""

import hashlib
import json
import logging
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from rushes.errors import (
    BadReply,
    MediaError,
    RateLimited,
    Rejected,
    RushesError,
    StoreAway,
    StoreFull,
    Truncated,
    Unavailable,
    Unreachable,
)
from rushes.http import Body
from rushes.media.disk import beside, disk_error, make_folder
from rushes.media.sniff import ENOUGH_BYTES, Kind, first_words, look

log = logging.getLogger(__name__)

OpenAt = Callable[[int, str | None], AbstractAsyncContextManager[Body]]
"""Opens the file from an offset on; the etag is that of what we have the beginning of."""
OnBytes = Callable[[int, int | None], None]
"""Told how many bytes there are, and of how many (None: not said)."""

TRANSIENT = (Unavailable, Unreachable, RateLimited, Truncated, BadReply)
BATCH_BYTES = 512 << 10  # what is hashed and written at one go; times the downloads at once, it is our memory
WRITERS = 4  # threads for all downloads together


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadPolicy:
    """`tries` in a row without progress are allowed; a try that brought `progress_bytes` starts the count anew."""

    tries: int = 6
    first_wait_s: float = 0.5
    max_wait_s: float = 30.0
    progress_bytes: int = 64 << 10

    def wait_s(self, failures: int, error: RushesError, luck: float) -> float:
        """How long to wait after that many failures in a row. `luck`, 0 to 1, spreads those who fail together. Pure."""
        asked = error.retry_after_s if isinstance(error, RateLimited | Unavailable) else None
        wait_s = min(self.max_wait_s, self.first_wait_s * 2 ** (failures - 1)) * (0.75 + luck / 2)
        return max(wait_s, asked or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """A whole file at `path`, on the disk for good. `resumed`: put together from more than one answer."""

    path: Path
    sha256: str
    size_bytes: int
    mime: str
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """What the sidecar keeps: which file the part is of."""

    etag: str | None
    total_bytes: int | None
    mime: str
    resumed: bool = False


async def download(
    open_at: OpenAt,
    part: Path,
    *,
    max_bytes: int,
    on_progress: OnBytes | None = None,
    policy: DownloadPolicy | None = None,
) -> Downloaded:
    """Fetch a file into `part`, going on from what is there.

    Raises StoreFull with the part kept, and StoreAway while another process writes it; MediaError for a file that is
    too large, longer than promised, or an error page; the last ProviderError or Truncated when nothing more came;
    AccessDenied, Vanished, Gone and Rejected at once.
    When all is there, `part` is the finished file; call `discard` when it was moved away or is not wanted.
    """
    with _alone_with(part):
        return await _download(open_at, part, max_bytes, on_progress, policy or DownloadPolicy())


@contextmanager
def _alone_with(part: Path) -> Generator[None]:
    """No two processes write one part: one that was taken for dead, and is not, would write into a published file."""
    make_folder(part.parent)
    lock = FileLock(_lock_of(part), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreAway(f"Another process is still writing {part}.") from None
    except OSError as error:
        raise disk_error(error, part) from error
    try:
        yield
    finally:
        lock.release()


async def _download(
    open_at: OpenAt, part: Path, max_bytes: int, on_progress: OnBytes | None, policy: DownloadPolicy
) -> Downloaded:
    work = await _Part.open(part, max_bytes)
    failures, best = 0, work.size
    try:
        while not work.complete:
            try:
                await _fetch_once(open_at, work, on_progress)
            except TRANSIENT as error:
                failures = 1 if work.size >= best + policy.progress_bytes else failures + 1
                best = max(best, work.size)
                if failures >= policy.tries:
                    raise
                await work.flush()
                wait_s = policy.wait_s(failures, error, random.random())
                log.info("download.retry", extra={"cause": error.code, "wait_s": round(wait_s, 2), "have": work.size})
                await anyio.sleep(wait_s)
        return await work.finish()
    finally:
        with anyio.CancelScope(shield=True):
            await work.close()


def discard(part: Path) -> None:
    """Remove a part and its sidecar, or the sidecar that is left when the part was moved away."""
    for path in (part, _sidecar(part), _lock_of(part)):
        path.unlink(missing_ok=True)


async def _fetch_once(open_at: OpenAt, work: "_Part", on_progress: OnBytes | None) -> None:
    """One answer, from where we are up to where it breaks. Raises what ended it; returns when all is there."""
    try:
        async with open_at(work.size, work.etag) as body:
            await work.accept(body)
            async for chunk in _within(body.chunks, work, body.total_bytes):
                await work.write(chunk)
                if on_progress:
                    on_progress(work.size, body.total_bytes)
            await work.flush()
            await work.ended(body.total_bytes)
    except Rejected as error:
        if error.http_status != 416 or work.size == 0:
            raise
        await work.restart()  # nothing behind what we have: another file by now, or its end without a length
        raise Truncated("The file changed while it was fetched; it is fetched anew.") from error
    except BadReply:
        await work.restart()  # a Range that cannot be read cannot be trusted either
        raise
    except Unavailable as error:
        total = work.total_bytes
        if total is not None and 0 < work.size < total:
            raise Truncated(f"Only {work.size} of {total} bytes came: {error.message}") from error
        raise


async def _within(chunks: AsyncIterator[bytes], work: "_Part", total: int | None) -> AsyncIterator[bytes]:
    """The chunks, as long as they keep to what was promised and allowed."""
    async for chunk in chunks:
        size = work.size + len(chunk)
        if total is not None and size > total:
            await work.restart()
            raise MediaError(f"The far side sent more than the {total} bytes that it promised. Nothing is kept.")
        if size > work.max_bytes:
            await work.restart()
            raise _too_large(size, work.max_bytes)
        yield chunk


class _Part:
    """The file on the disk and its hash, always in step. All slow work is done in threads, in batches."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.size = 0  # with what waits in the batch
        self.complete = False
        self._origin: _Origin | None = None
        self._hash = hashlib.sha256()
        self._batch: list[bytes] = []
        self._batched = 0
        self._file: Any = None

    @classmethod
    async def open(cls, path: Path, max_bytes: int) -> "_Part":
        part = cls(path, max_bytes)
        await _in_thread(part._open)
        return part

    @property
    def etag(self) -> str | None:
        return self._origin.etag if self._origin and self.size else None

    @property
    def total_bytes(self) -> int | None:
        return self._origin.total_bytes if self._origin else None

    async def accept(self, body: Body) -> None:
        """Decide whether an answer goes on from here; begin again where it does not."""
        now = _Origin(etag=body.etag, total_bytes=body.total_bytes, mime=body.mime, resumed=self.size > 0)
        if self.size and not continues(self._origin, now, self.size, body.offset):
            await self.restart()
            if body.offset:
                raise Truncated("The file changed while it was fetched; it is fetched anew.")
            now = replace(now, resumed=False)
        if body.total_bytes is not None and body.total_bytes > self.max_bytes:
            raise _too_large(body.total_bytes, self.max_bytes)
        if self._origin != now:
            self._origin = now
            await _in_thread(self._remember, now)
        if body.total_bytes is not None:
            await _in_thread(_check_room, self.path, body.total_bytes - self.size)

    async def write(self, chunk: bytes) -> None:
        self._batch.append(chunk)
        self._batched += len(chunk)
        self.size += len(chunk)
        if self._batched >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        batch, self._batch, self._batched = self._batch, [], 0
        if batch:
            await _in_thread(self._write, batch)

    async def ended(self, total: int | None) -> None:
        if total is not None and self.size < total:
            raise Truncated(f"Only {self.size} of {total} bytes came.")
        if self._origin and total is None:  # for a later process: this is all of it
            self._origin = replace(self._origin, total_bytes=self.size)
            await _in_thread(self._remember, self._origin)
        self.complete = True

    async def restart(self) -> None:
        self._batch, self._batched = [], 0
        await _in_thread(self._empty)

    async def finish(self) -> Downloaded:
        return await _in_thread(self._finish)

    async def close(self) -> None:
        if self._file is not None:
            await _in_thread(self._close)

    # -- in a thread ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        make_folder(self.path.parent)
        self._origin = _read_origin(self.path)
        try:
            self._file = self.path.open("r+b" if self._origin and self.path.is_file() else "w+b", buffering=0)
            while data := self._file.read(BATCH_BYTES):
                self._hash.update(data)
                self.size += len(data)
        except OSError as error:
            raise disk_error(error, self.path) from error
        total = self._origin.total_bytes if self._origin else None
        if self.size > self.max_bytes or (total is not None and self.size > total):
            self._empty()
        elif self.size:
            self.complete = self.size == total
            if not self.complete and self._origin:
                self._origin = replace(self._origin, resumed=True)

    def _write(self, batch: list[bytes]) -> None:
        data = batch[0] if len(batch) == 1 else b"".join(batch)
        at_start = self.size - len(data) < ENOUGH_BYTES
        rest = memoryview(data)
        try:
            while rest:  # unbuffered, so that a full disk is noticed here and the hash covers just what is written
                written = self._file.write(rest)
                self._hash.update(rest[:written])
                rest = rest[written:]
        except OSError as error:
            self.size -= len(rest)
            raise disk_error(error, self.path) from error
        if at_start:
            self._refuse_error_page()

    def _refuse_error_page(self) -> None:
        self._file.seek(0)
        start = self._file.read(ENOUGH_BYTES)
        self._file.seek(0, 2)
        found = look(start)
        if found.kind is Kind.TEXT:
            self._empty()
            raise MediaError(
                f"The far side sent {found.words} instead of a media file. It begins: {first_words(start)}"
            )

    def _empty(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0
        self.complete = False
        self._origin = None
        self._file.seek(0)
        self._file.truncate()
        _sidecar(self.path).unlink(missing_ok=True)

    def _remember(self, origin: _Origin) -> None:
        temporary = beside(_sidecar(self.path))
        try:  # not synced: after a power cut without it we begin anew, which is right
            temporary.write_text(json.dumps(asdict(origin)))
            temporary.replace(_sidecar(self.path))
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise disk_error(error, self.path) from error

    def _finish(self) -> Downloaded:
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(error, self.path) from error
        if self.size == 0:
            raise MediaError("The far side sent an empty file.")
        self._file.seek(0)
        found = look(self._file.read(ENOUGH_BYTES))
        origin = self._origin
        declared = origin.mime if origin else "application/octet-stream"
        return Downloaded(
            path=self.path,
            sha256=self._hash.hexdigest(),
            size_bytes=self.size,
            mime=declared if found.kind is Kind.OTHER else found.mime,
            resumed=bool(origin and origin.resumed),
        )

    def _close(self) -> None:
        batch, self._batch = self._batch, []
        with suppress(MediaError), self._file:  # whatever ended us is already on its way to the caller
            if batch:
                self._write(batch)


def continues(before: _Origin | None, now: _Origin, have: int, offset: int) -> bool:
    """Whether an answer that starts at `offset` goes on with the file of which we have the beginning. Pure."""
    if before is None or offset != have:
        return False
    if before.etag and now.etag and before.etag != now.etag:
        return False
    return before.total_bytes is None or now.total_bytes is None or before.total_bytes == now.total_bytes


def _check_room(path: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return  # a file system that does not tell; writing will
    if needed > free:
        raise StoreFull(
            f"The download needs {needed >> 20} MB more, but {path.parent} has {free >> 20} MB free. Free some space "
            f"(rushes videos gc shows what can go), or set RUSHES_HOME to a larger disk."
        )


def _too_large(size: int, limit: int) -> MediaError:
    return MediaError(
        f"The file has {size / 1e6:.1f} MB or more, over the limit of {limit / 1e6:g} MB. "
        f"[limits] in rushes.toml sets it (video_mb, input_mb)."
    )


def _sidecar(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _lock_of(part: Path) -> Path:
    return part.with_name(part.name + ".lock")


def _read_origin(part: Path) -> _Origin | None:
    """What the sidecar says; None when there is none that can be read, and so nothing to go on from."""
    try:
        return TypeAdapter(_Origin).validate_json(_sidecar(part).read_bytes())
    except (OSError, ValidationError):
        return None


_writers = anyio.lowlevel.RunVar[anyio.CapacityLimiter]("rushes_download_writers")


async def _in_thread(work: Callable[..., Any], *args: Any) -> Any:
    """Few threads for all downloads: hashing is bound by the cores, and each thread keeps memory of its own."""
    try:
        limiter = _writers.get()
    except LookupError:
        _writers.set(limiter := anyio.CapacityLimiter(WRITERS))
    return await anyio.to_thread.run_sync(work, *args, limiter=limiter)
