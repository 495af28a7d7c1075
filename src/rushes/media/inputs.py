"""Pictures that come in: from bytes, files, links, data URIs or base64, to a `MediaRef`.

Each is copied once to a place of ours, bounded on the way, decoded for real in a media child, and stored under its
sha256. What a name or a header says a picture is does not matter. Messages are for the person who gave the picture:
they name it, say what it is instead, and what to do.
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import anyio.to_thread

from rushes.config import LimitSettings
from rushes.errors import InputAway, InputLost, MediaError, ProviderError, StoreTrouble, Truncated
from rushes.http import Http, redact
from rushes.media.children import Children
from rushes.media.disk import beside, digest, disk_error, make_folder
from rushes.media.download import DownloadPolicy, discard, download
from rushes.media.probe import Probe
from rushes.media.sniff import ENOUGH_BYTES, Kind, look
from rushes.media.store import MediaStore, input_key
from rushes.video import MediaRef, Size

COPY_BYTES = 1 << 20
KNOWN_REFS = 1024
LINK_POLICY = DownloadPolicy(tries=3, max_wait_s=4.0)  # somebody waits for the answer
CLIP_MIMES = {"mov": "video/quicktime", "mkv": "video/x-matroska", "matroska": "video/x-matroska"}
BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "UklGR")  # PNG, JPEG, RIFF
MOST_ESCAPES = 1_000_000  # each costs a thousand times a plain letter
SHOWN_CHARACTERS = 80
SHOWN_START = 20


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes that were given as such. `name` is how messages call them."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class File:
    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Link:
    name: str
    url: str


Source = Data | File | Link


@dataclass(frozen=True, slots=True)
class _Spooled:
    """A private copy that cannot change any more while it is looked at."""

    path: Path
    sha256: str
    size_bytes: int


class Inputs:
    """Takes pictures in. `spool` is a folder for temporary files; best on the disk of the store."""

    def __init__(
        self, store: MediaStore, children: Children, http: Http, limits: LimitSettings, *, spool: Path | None = None
    ) -> None:
        self._store = store
        self._children = children
        self._http = http
        self._max_bytes = int(limits.input_mb * 1_000_000)
        self._spool = spool or store.spool
        self._known: dict[str, MediaRef] = {}

    async def add(
        self,
        source: bytes | str | Path,
        *,
        relative_to: Path | None = None,
        files: bool = True,
        clips: bool = False,
        name: str | None = None,
    ) -> MediaRef:
        """Check a picture, or with `clips` a video too, and store it. Equal bytes are stored once.

        `relative_to` is the file, or its folder, that names a relative path; None: the working folder. `files=False`
        refuses paths: whoever speaks over HTTP must not read our disk. `name` is what messages call it. Raises
        MediaError, and RequestError for a link that leads where it must not.
        """
        read = await anyio.to_thread.run_sync(understand, source, relative_to, files, self._max_bytes)
        read = read if name is None else replace(read, name=name)
        async with self._spooled(read) as spooled:
            known = await self._find(spooled.sha256)
            if known and (clips or known.seconds is None):
                return known
            try:
                if clips and await anyio.to_thread.run_sync(_is_clip, spooled.path):
                    return await self._keep_clip(spooled, await self._children.probe(spooled.path))
                picture = await self._children.image(spooled.path)
            except StoreTrouble:
                raise
            except MediaError as error:
                words = str(error).replace(f"{spooled.path}", "it").replace(spooled.path.name, "it")
                raise MediaError(f"{read.name}: {words}") from error
            return await self._keep(spooled, picture.mime, Size(picture.width, picture.height))

    async def fitted(self, ref: MediaRef, size: Size, *, pad: bool = False) -> MediaRef:
        """The same picture scaled to a size and cut, or padded, as an input of its own. Equal calls: equal refs."""
        if ref.size == size:
            return ref
        out = self._temporary()
        try:
            picture = await self._children.fit_image(await self._near(ref), out, size, pad=pad)
            sha256, size_bytes = await digest(out)
            spooled, made = _Spooled(out, sha256, size_bytes), Size(picture.width, picture.height)
            return await self._find(sha256) or await self._keep(spooled, picture.mime, made)
        finally:
            out.unlink(missing_ok=True)

    async def last_frame(self, clip: MediaRef) -> MediaRef:
        """The last picture of a clip, as an input of its own. Equal calls give an equal ref."""
        out = self._temporary()
        try:
            picture = await self._children.last_frame(await self._near(clip), out)
            sha256, size_bytes = await digest(out)
            spooled, shown = _Spooled(out, sha256, size_bytes), Size(picture.width, picture.height)
            return await self._find(sha256) or await self._keep(spooled, picture.mime, shown)
        finally:
            out.unlink(missing_ok=True)

    async def read(self, ref: MediaRef) -> bytes:
        """Its bytes. Raises InputAway or InputLost, which say for certain that nothing was sent."""
        try:
            return await self._store.read(input_key(ref.sha256))
        except StoreTrouble as error:
            raise InputAway(f"The stored picture cannot be read now: {error}") from error
        except MediaError as error:
            raise InputLost(f"The stored picture cannot be read: {error}") from error

    async def path(self, ref: MediaRef) -> Path:
        """A file on this machine with its bytes, only to be read; out of a bucket a copy, good for ten minutes.

        Raises InputAway or InputLost, like `read`.
        """
        try:
            return await self._store.near(input_key(ref.sha256))
        except StoreTrouble as error:
            raise InputAway(f"The stored picture cannot be read now: {error}") from error
        except MediaError as error:
            raise InputLost(f"The input {ref.sha256[:12]} cannot be read: {error}") from error

    # -- in between -------------------------------------------------------------------------------------------------

    async def _find(self, sha256: str) -> MediaRef | None:
        """What we know of these bytes, if they are still stored: no need to decode them again."""
        known = self._known.get(sha256)
        return known if known and await self._store.renew(input_key(sha256)) else None

    async def _keep_clip(self, spooled: _Spooled, probe: Probe) -> MediaRef:
        mime = CLIP_MIMES.get(probe.format, f"video/{probe.format}")
        return await self._keep(spooled, mime, probe.size, probe.seconds)

    async def _keep(self, spooled: _Spooled, mime: str, size: Size, seconds: float | None = None) -> MediaRef:
        key = input_key(spooled.sha256)
        if not await self._store.renew(key):
            await self._store.publish(key, spooled.path)
        ref = MediaRef(
            sha256=spooled.sha256,
            mime=mime,
            size_bytes=spooled.size_bytes,
            width=size.width,
            height=size.height,
            seconds=seconds,
        )
        if len(self._known) >= KNOWN_REFS:
            self._known.clear()
        self._known[ref.sha256] = ref
        return ref

    @asynccontextmanager
    async def _spooled(self, source: Source) -> AsyncGenerator[_Spooled]:
        path = self._temporary()
        try:
            if isinstance(source, Link):
                yield await self._fetched(source, path)
            else:
                yield await anyio.to_thread.run_sync(_copied, source, path, self._max_bytes)
        finally:
            discard(path)

    async def _fetched(self, link: Link, path: Path) -> _Spooled:
        try:
            got = await download(
                lambda offset, etag: self._http.fetch(link.url, offset=offset, etag=etag),
                path,
                max_bytes=self._max_bytes,
                policy=LINK_POLICY,
            )
        except StoreTrouble:
            raise
        except (ProviderError, Truncated, MediaError) as error:
            raise MediaError(f"{link.name} cannot be fetched: {error}") from error
        return _Spooled(got.path, got.sha256, got.size_bytes)

    async def _near(self, ref: MediaRef) -> Path:
        try:
            return await self._store.near(input_key(ref.sha256))
        except StoreTrouble:
            raise
        except MediaError as error:
            raise MediaError(f"{error} Give the picture {ref.sha256[:12]} again.") from error

    def _temporary(self) -> Path:
        make_folder(self._spool)
        return beside(self._spool / "input")


# -- understanding what was given -------------------------------------------------------------------------------------


def understand(source: bytes | str | Path, relative_to: Path | None, files: bool, max_bytes: int) -> Source:
    """What kind of thing was given. Looks at the disk only to tell a path from base64. Raises MediaError."""
    if isinstance(source, bytes):
        return Data("The picture", _bounded("The picture", source, max_bytes))
    if isinstance(source, Path):
        return _file(str(source), relative_to, files)
    text = source.strip()
    scheme = match[1].lower() if (match := re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)) else ""
    if scheme == "data":
        return _data_uri(text, max_bytes)
    if scheme in ("http", "https"):
        return Link(redact(text), text)
    if scheme == "file":
        return _file(_file_url_path(text), relative_to, files)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        kind = scheme[:20]
        raise MediaError(f"{_shown(text)}: links of the kind {kind}: are not read. Give https://, file:// or a path.")
    if text.startswith(BASE64_STARTS) and (data := _decoded(text, "The base64 picture", max_bytes)):
        return Data("The base64 picture", data)
    if not text:
        raise MediaError("The picture is an empty text. Give a path, an https link, a data URI or base64.")
    if len(text) > 4096:  # no path is this long
        data = _decoded(text, "The base64 picture", max_bytes)
        if data is None:
            raise MediaError("The picture is a long text that is no valid base64. Give a path, a link or a data URI.")
        return Data("The base64 picture", data)
    return _file(text, relative_to, files)


def file_name(source: object) -> str | None:
    """The base name of the file that was given by a path or a link; None for bytes, data URIs and base64. Pure."""
    if isinstance(source, Path):
        return source.name
    if not isinstance(source, str) or len(source) > 4096 or source.startswith(("data:", *BASE64_STARTS)):
        return None
    path = urlsplit(source).path if "://" in source else source
    return Path(unquote(path)).name or None


def _file(text: str, relative_to: Path | None, files: bool) -> File:
    if not files:
        raise MediaError(f"{_shown(text)}: files are not read from here. Send the bytes, a data URI or an https link.")
    base = relative_to or Path()
    if relative_to is not None and not relative_to.is_dir():
        base = relative_to.parent
    path = Path(text).expanduser()
    if not path.exists() and "%" in text and (plain := Path(unquote(text)).expanduser()) and (base / plain).exists():
        path = plain
    return File(_shown(text), base / path)


def _file_url_path(url: str) -> str:
    """`file:///a/b` is absolute, `file://a/b` and `file:a/b` are relative, as suites write them."""
    rest = url[len("file:") :]
    rest = rest.removeprefix("//") if rest.startswith("//") else rest
    return rest.removeprefix("localhost") if rest.startswith("localhost/") else rest


def _data_uri(text: str, max_bytes: int) -> Data:
    head, comma, body = text.partition(",")
    if not comma:
        raise MediaError("The data URI has no comma, so no data. Write data:image/png;base64,…")
    if body.count("%") > MOST_ESCAPES:
        raise MediaError("The data URI is written in hexadecimal. Write data:image/png;base64,…")
    if head.lower().rstrip().endswith(";base64"):
        data = _decoded(unquote(body) if "%" in body[:4096] else body, "The data URI", max_bytes)
        if data is None:
            raise MediaError("The data URI is no valid base64. It may have been cut off on the way.")
        return Data("The data URI", data)
    if len(body) > 3 * max_bytes:
        raise _too_large("The data URI", len(body) // 3, max_bytes)
    return Data("The data URI", _bounded("The data URI", unquote_to_bytes(body), max_bytes))


def _decoded(text: str, name: str, max_bytes: int) -> bytes | None:
    """Base64, plain or URL-safe, with or without padding and line breaks; None when it is none."""
    if len(text) * 3 // 4 > max_bytes + max_bytes // 20 + 1024:  # room for line breaks
        raise _too_large(name, len(text) * 3 // 4, max_bytes)
    compact = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return _bounded(name, data, max_bytes)


def _bounded(name: str, data: bytes, max_bytes: int) -> bytes:
    if not data:
        raise MediaError(f"{name} is empty.")
    if len(data) > max_bytes:
        raise _too_large(name, len(data), max_bytes)
    return data


def _too_large(name: str, size: int, max_bytes: int) -> MediaError:
    return MediaError(f"{name} has {size / 1e6:.1f} MB, over the limit of {max_bytes / 1e6:g} MB ([limits] input_mb).")


def _shown(text: str) -> str:
    """A name cut to length in its middle: how a path ends is what tells files apart."""
    ends = SHOWN_CHARACTERS - SHOWN_START - 1
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_START]}…{text[-ends:]}"


def _is_clip(path: Path) -> bool:
    with path.open("rb") as file:
        return look(file.read(ENOUGH_BYTES)).kind is Kind.VIDEO


# -- copying, in a thread ---------------------------------------------------------------------------------------------


def _copied(source: Data | File, path: Path, max_bytes: int) -> _Spooled:
    if isinstance(source, Data):
        try:
            path.write_bytes(source.data)
        except OSError as error:
            raise disk_error(error, path) from error
        return _Spooled(path, hashlib.sha256(source.data).hexdigest(), len(source.data))
    _check_file(source, max_bytes)
    digest, size = hashlib.sha256(), 0
    try:
        with source.path.open("rb") as read, path.open("wb") as write:
            while data := read.read(COPY_BYTES):
                size += len(data)
                if size > max_bytes:  # it grew since it was checked
                    raise _too_large(source.name, size, max_bytes)
                digest.update(data)
                write.write(data)
    except OSError as error:
        raise disk_error(error, path if error.filename is None else source.path) from error
    return _Spooled(path, digest.hexdigest(), size)


def _check_file(source: File, max_bytes: int) -> None:
    """Say what is wrong with a path before a byte of it is read."""
    path = source.path
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        where = "" if path.is_absolute() and str(path) == source.name else f" (looked for {path.absolute()})"
        raise MediaError(f"{source.name}: no such file{where}.") from None
    except OSError as error:
        raise MediaError(f"{source.name}: cannot be read: {error.strerror}.") from error
    if path.is_dir():
        raise MediaError(f"{source.name} is a folder. Give one picture in it.")
    if not path.is_file():
        raise MediaError(f"{source.name} is not a regular file.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{source.name}: no permission to read it.")
    if size == 0:
        raise MediaError(f"{source.name} is empty.")
    if size > max_bytes:
        raise _too_large(source.name, size, max_bytes)
