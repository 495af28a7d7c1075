"""Files: one stored file as an HTTP answer: conditional, in ranges, in constant memory.

Starlette's FileResponse was tried and left: it knows neither 304 nor 412, its ETag changes when a file is copied
elsewhere, it answers a malformed range with 400 where RFC 9110 lets us send the whole, reads in pieces of 64 KB (four
times the CPU for each GB), and a file that shrinks under it is only noticed by who counts. A bucket it does not know.

What is decided (`decide`, pure) follows RFC 9110, sections 13.2.2 and 14.2. Several ranges in one request get the
whole file, as it allows. An answer that breaks off raises: the server then cuts the connection, and since every
answer announces its length, no client takes a part for the whole.

With nginx in front (`x_accel_prefix`) nginx does conditions and ranges itself, with an ETag of its own. It keeps type,
name and cache headers of ours, and drops the others: `add_header` in its location sets those.
"""

import logging
import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rushes.config import GatewaySettings
from rushes.errors import MediaError, Truncated
from rushes.gateway.problems import Problem, not_found
from rushes.media.store import MediaStore

log = logging.getLogger(__name__)

READ_BYTES = 256 * 1024  # less costs more CPU for each GB, more costs memory for each stream
BUCKET_READ_BYTES = 1 << 20  # each is a request


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A stored file, as the database knows it."""

    key: str  # of the media store
    mime: str
    size_bytes: int
    sha256: str
    modified: datetime
    name: str  # what a browser saves it as
    attachment: bool = False
    cache_control: str = "private, no-cache"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'


class Span(NamedTuple):
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int


class Decision(NamedTuple):
    status: int
    span: Span | None = None


async def file_response(request: Request, store: MediaStore, served: Served, settings: GatewaySettings) -> Response:
    """The answer to a GET or HEAD for this file.

    Raises Problem: 404 for what is not in the store any more, 412, 416. StoreTrouble when the store cannot be asked.
    """
    path = store.local_path(served.key)
    if path is not None and settings.x_accel_prefix is not None:
        await _check(store, served)
        return Response(headers={**_described(served), "X-Accel-Redirect": _internal(settings.x_accel_prefix, served)})
    decision = decide(request.method, request.headers, served)
    if decision.status == 412:
        raise Problem("The file is not the one that If-Match names.", status=412, error_code="precondition_failed")
    if decision.status == 416:
        headers = {"content-range": f"bytes */{served.size_bytes}"}
        message = f"The file has {served.size_bytes} bytes: that range is outside."
        raise Problem(message, status=416, error_code="range_not_satisfiable", param="Range", headers=headers)
    if decision.status == 304:
        unchanged = {name: value for name, value in _described(served).items() if name not in _OF_A_BODY}
        return Response(status_code=304, headers={**unchanged, **_validators(served)})
    await _check(store, served)
    # A signed link is for GET alone, so HEAD is answered here.
    signed = settings.redirect and request.method == "GET"
    if signed and (link := await store.signed_url(served.key, settings.redirect_life_s)):
        return RedirectResponse(link, 302, {"Cache-Control": "no-store"})
    span = decision.span or Span(0, served.size_bytes)
    headers = {**_described(served), **_validators(served), "Content-Length": str(span.end - span.start)}
    if decision.span is not None:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{served.size_bytes}"
    if request.method == "HEAD":
        return Response(status_code=decision.status, headers=headers)
    pieces = _of_file(path, span) if path is not None else _of_bucket(store, served.key, span)
    return _FileStream(pieces, served, status_code=decision.status, headers=headers)


# -- what to answer (pure) -------------------------------------------------------------------------------------------

_OF_A_BODY = {"Content-Type", "Content-Disposition"}
_TAG = re.compile(r'(W/)?("[^"]*")')
_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,40})\s*-\s*(\d{0,40})\s*", re.IGNORECASE | re.ASCII)


def decide(method: str, headers: Headers, served: Served) -> Decision:
    """Which status, and which bytes: conditions first, in the order of the RFC, then the range."""
    if (wanted := headers.get("if-match")) is not None:
        if not _names(wanted, served.etag, weakly=False):
            return Decision(412)
    elif (until := _date(headers.get("if-unmodified-since"))) is not None and _second(served.modified) > until:
        return Decision(412)
    if (known := headers.get("if-none-match")) is not None:
        if _names(known, served.etag, weakly=True):
            return Decision(304)
    elif (since := _date(headers.get("if-modified-since"))) is not None and _second(served.modified) <= since:
        return Decision(304)
    asked = headers.get("range")
    if asked is None or method != "GET" or not _still(headers.get("if-range"), served):
        return Decision(200)
    return _ranged(asked, served.size_bytes)


def _ranged(asked: str, size_bytes: int) -> Decision:
    match = _ONE_RANGE.fullmatch(asked)
    if match is None or match.groups() == ("", ""):
        return Decision(200)
    first, last = match.groups()
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return Decision(200)  # not a range at all
    return Decision(206, Span(start, end)) if start < end else Decision(416)


def _names(tags: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags has this one. `*` names any."""
    return tags.strip() == "*" or any(tag == etag and (weakly or not weak) for weak, tag in _TAG.findall(tags))


def _still(if_range: str | None, served: Served) -> bool:
    """Whether If-Range names the file as it is now: by its tag, or by the very date."""
    if if_range is None:
        return True
    if '"' in if_range:
        return if_range.strip() == served.etag
    return _date(if_range) == _second(served.modified)


def _date(text: str | None) -> datetime | None:
    """A date of HTTP; None for what is none, which counts as not said."""
    try:
        found = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=found.tzinfo or UTC) if found else None


def _second(when: datetime) -> datetime:
    """As precise as HTTP tells it."""
    return when.replace(microsecond=0, tzinfo=when.tzinfo or UTC)


def _described(served: Served) -> dict[str, str]:
    """What goes with every answer about the file, whoever sends its bytes."""
    return {
        **served.headers,
        "Content-Type": served.mime,
        "Content-Disposition": disposition(served.name, attachment=served.attachment),
        "Cache-Control": served.cache_control,
    }


def _validators(served: Served) -> dict[str, str]:
    modified = format_datetime(_second(served.modified).astimezone(UTC), usegmt=True)
    return {"ETag": served.etag, "Last-Modified": modified, "Accept-Ranges": "bytes"}


def disposition(name: str, *, attachment: bool) -> str:
    """Content-Disposition (RFC 6266, 8187). Nothing of the name can leave the header, or name a folder. Pure."""
    clean = re.sub(r'[\x00-\x1f\x7f/\\"]', "_", name)
    plain = clean.encode("ascii", "replace").decode().replace("?", "_")
    kind = "attachment" if attachment else "inline"
    extended = f"; filename*=UTF-8''{quote(clean, safe='', errors='replace')}" if plain != clean else ""
    return f'{kind}; filename="{plain}"{extended}'


def _internal(prefix: str, served: Served) -> str:
    return f"/{prefix.strip('/')}/{quote(served.key)}"


# -- bytes -----------------------------------------------------------------------------------------------------------


async def _check(store: MediaStore, served: Served) -> None:
    """Raise 404 when the file is gone, or is another than it was: nothing that looks whole must leave us then."""
    stored = await store.head(served.key)
    if stored is None or stored.size_bytes != served.size_bytes:
        found = stored.size_bytes if stored else None
        log.error("gateway.file_lost", extra={"key": served.key, "size_bytes": found, "expected": served.size_bytes})
        raise not_found("file", served.name)


async def _of_file(path: Path, span: Span) -> AsyncGenerator[bytes]:
    # A system call on a local disk: opening takes less than a thread's turn does.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        at = span.start
        while at < span.end:
            piece = await anyio.to_thread.run_sync(_read, number, min(READ_BYTES, span.end - at), at)
            if not piece:
                raise Truncated(f"{path} ends at byte {at}, {span.end - at} too early.")
            at += len(piece)
            yield piece
    finally:
        os.close(number)


def _read(number: int, size_bytes: int, at: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(number, size_bytes, at)
    os.lseek(number, at, os.SEEK_SET)
    return os.read(number, size_bytes)


async def _of_bucket(store: MediaStore, key: str, span: Span) -> AsyncGenerator[bytes]:
    at = span.start
    async for piece in store.stream(key, span.start, span.end, chunk_bytes=BUCKET_READ_BYTES):
        at += len(piece)
        yield piece
    if at != span.end:
        raise Truncated(f"{store.url(key)} ended at byte {at}, {span.end - at} too early.")


class _FileStream(StreamingResponse):
    """Sends the pieces as the client takes them, and stops when it goes away.

    The first piece is read before anything is sent: what is wrong by then is still an answer of its own.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes], served: Served, *, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(pieces, status_code, headers)
        self._pieces = pieces
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces):
            try:
                first = await anext(self._pieces, b"")
            except (FileNotFoundError, MediaError) as error:
                # A class below MediaError is trouble of the store, and says nothing about the file.
                if isinstance(error, FileNotFoundError) or type(error) is MediaError:
                    raise not_found("file", self._served.name) from error
                raise
            self.body_iterator = _with_first(first, self._pieces)
            await super().__call__(scope, receive, send)


async def _with_first(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    if first:
        yield first
    async for piece in rest:
        yield piece
