"""Request bodies as real clients send them: multipart with or without a file, JSON, and forms; each ends as a `Form`.

Which of them it is, the content type says, never the presence of a file: the OpenAI SDKs send multipart always. Files
go to disk while they come and are gone when the block ends. Parsing, hashing and writing happen in threads, a piece at
a time, so the event loop only waits. The multipart parser is python-multipart's; Starlette's own form reading has no
cap for a file, and keeps texts of any number in memory.
"""

import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

import anyio
import anyio.to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from rushes.errors import StoreTrouble
from rushes.gateway.brackets import (
    JSON_PARTS,
    FieldLimits,
    check_text,
    digest_of,
    keys_of,
    read_json,
    read_json_object,
    root_of,
    shown,
    unflatten,
)
from rushes.gateway.problems import Problem, bad_request, too_large
from rushes.media.sniff import ENOUGH_BYTES, Look, look
from rushes.video import JSON

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

PIECE_BYTES = 256 * 1024
"""How much is parsed, hashed and written in one go: large enough to be worth a thread, small enough to be cancelled."""
HEADERS_MAX = 16
ESCAPES_MAX = 300_000  # of an urlencoded form: each costs a thousand times a plain letter
FILE_NAME_MAX = 255
"""Names are compared, where a request refers to a file by its name; so they stay whole as far as file systems go."""

FOLDER_PREFIX = "form-"
LEFT_BEHIND_S = 24 * 3600.0  # far longer than a request can take

_EXTENDED_NAME = re.compile(r";\s*filename\*\s*=\s*[\w-]*'[\w-]*'([^;\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """`field_bytes` is for texts; one that may hold a picture or a video as a data URL may be as long as that is."""

    body_bytes: int
    file_bytes: int
    timeout_s: float
    field_bytes: int = 1_000_000
    parts: int = 200
    depth: int = 8

    @property
    def of_fields(self) -> FieldLimits:
        reference_bytes = max(self.field_bytes, self.file_bytes * 4 // 3 + 1024)
        return FieldLimits(field_bytes=self.field_bytes, reference_bytes=reference_bytes, depth=self.depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file part, on disk until the form is closed.

    `field` is the field's name without brackets. `name` and `mime` are what the client says and nothing more: `upload`
    and `application/octet-stream` are usual. `name` is never a path.
    """

    field: str
    name: str | None
    mime: str | None
    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a request says. `fields` are a tree; the texts of forms stay texts. `uploads` are in the order they came."""

    fields: Mapping[str, JSON]
    uploads: tuple[Upload, ...] = ()

    @property
    def digest(self) -> str:
        """What makes two requests "the same", in whichever encoding and with whichever boundary they came."""
        return digest_of(self.fields, [(upload.field, upload.sha256) for upload in self.uploads])


def kind_of(upload: Upload) -> Look:
    """What a file looks like by its first bytes."""
    with upload.path.open("rb") as file:
        return look(file.read(ENOUGH_BYTES))


def discard_left_behind(spool: Path, older_than_s: float = LEFT_BEHIND_S) -> None:
    """Remove what processes that were killed in the middle of a request have left."""
    before = time.time() - older_than_s
    for folder in spool.glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder)


@asynccontextmanager
async def read_form(request: Request, limits: FormLimits, spool: Path) -> AsyncGenerator[Form]:
    """Read the body. Its files are in a folder of their own in `spool` until the block ends, whatever ends it.

    Raises Problem: 400 for a body that cannot be understood, 408 for one that does not come, 413 for one that is too
    large, 415 for one of another kind.
    """
    parts = _Parts(limits, spool)
    try:
        yield await _read(request, limits, parts)
    finally:
        if parts.folder is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(parts.discard)


async def _read(request: Request, limits: FormLimits, parts: "_Parts") -> Form:
    _check_headers(request, limits)
    kind, options = parse_options_header(request.headers.get("content-type"))
    try:
        with anyio.fail_after(limits.timeout_s):
            async with aclosing(_pieces(request, limits)) as pieces:
                if kind == b"multipart/form-data":
                    return await _read_multipart(pieces, options.get(b"boundary", b""), parts)
                body = b"".join([piece async for piece in pieces])
    except TimeoutError:
        message = f"The body did not arrive within {limits.timeout_s:g} seconds."
        raise Problem(message, status=408, error_code="request_timeout") from None
    except ClientDisconnect:
        raise bad_request("The client went away before its request was complete.", error_code="disconnected") from None
    if len(body) < PIECE_BYTES:
        return _whole_form(kind, body, limits)
    return await anyio.to_thread.run_sync(_whole_form, kind, body, limits)


def _check_headers(request: Request, limits: FormLimits) -> None:
    """What can be refused before anything is read."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limits.body_bytes:
        raise _body_too_large(limits)
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise _unsupported(f"Content-Encoding {shown(encoding)!r} is not taken. Send the body as it is.")


async def _pieces(request: Request, limits: FormLimits) -> AsyncGenerator[bytes]:
    """The body in pieces worth a thread. Its size is counted as it comes: a chunked body announces none."""
    total_bytes = 0
    piece = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            total_bytes += len(chunk)
            if total_bytes > limits.body_bytes:
                raise _body_too_large(limits)
            piece += chunk
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
    if piece:
        yield bytes(piece)


def _body_too_large(limits: FormLimits) -> Problem:
    return too_large(f"The request is larger than {limits.body_bytes} bytes.")


def _unsupported(message: str) -> Problem:
    return Problem(message, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, error_code="unsupported_media_type")


# -- JSON and forms without files --------------------------------------------------------------------------------------


def _whole_form(kind: bytes, body: bytes, limits: FormLimits) -> Form:
    if not body.strip():
        return Form(fields={})
    if kind == b"application/x-www-form-urlencoded":
        return Form(fields=_urlencoded(body, limits))
    as_json = kind == b"application/json" or kind.endswith(b"+json")
    if as_json or body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(
        (b"{", b"[")
    ):  # sent without a type, or with a wrong one
        return Form(fields=read_json_object(body, limits.of_fields))
    shown_kind = shown(kind.decode("latin-1")) or "no Content-Type"
    raise _unsupported(f"The body has {shown_kind}. Send multipart/form-data or application/json.")


def _urlencoded(body: bytes, limits: FormLimits) -> dict[str, JSON]:
    if body.count(b"%") > ESCAPES_MAX:
        raise bad_request("The form is mostly written in hexadecimal. Send multipart/form-data.")
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=limits.parts,
        )
    except UnicodeError:
        raise bad_request("The form is not UTF-8.") from None
    except ValueError:
        raise bad_request(f"The form has more than {limits.parts} fields.") from None
    fields = [(name, _field_value(name, value.encode(), limits.of_fields)) for name, value in pairs]
    return unflatten(fields, limits.depth)


def _field_value(name: str, text: bytes, limits: FieldLimits) -> JSON:
    """The text of a field; or what it says, where it is JSON and may be."""
    param = shown(name)
    try:
        value = text.decode()
    except UnicodeDecodeError as error:
        raise bad_request(f"{param} is not UTF-8 text at byte {error.start}.", param=param) from None
    check_text(value, param, limits.of(*keys_of(name, limits.depth)))
    if name in JSON_PARTS and value.lstrip().startswith(("{", "[", '"')):
        return read_json(text, limits, param=param)
    return value


# -- multipart ---------------------------------------------------------------------------------------------------------


async def _read_multipart(pieces: AsyncIterator[bytes], boundary: bytes, parts: "_Parts") -> Form:
    if not boundary:
        raise bad_request(
            "The Content-Type multipart/form-data has no boundary. Let the HTTP client write that header itself."
        )
    try:
        parser = MultipartParser(boundary, parts.callbacks(), max_header_count=HEADERS_MAX)
        async for piece in pieces:
            parts.received_bytes += len(piece)
            await anyio.to_thread.run_sync(parser.write, piece)
    except FormParserError:
        raise parts.malformed("is malformed") from None
    except OSError as error:
        raise StoreTrouble(f"An upload cannot be written to disk: {error.strerror}.") from error
    return await anyio.to_thread.run_sync(parts.form)


@dataclass(slots=True)
class _TextPart:
    name: str
    most_bytes: int
    text: bytearray

    def write(self, data: bytes) -> None:
        self.text += data
        if len(self.text) > self.most_bytes:
            param = shown(self.name)
            raise too_large(f"{param} is longer than {self.most_bytes} bytes.", param=param)


class _FilePart:
    def __init__(self, name: str, client_name: str | None, mime: str | None, path: Path, most_bytes: int) -> None:
        self.name = name
        self.client_name = client_name
        self.size_bytes = 0
        self.file = path.open("xb")
        self._mime = mime
        self._path = path
        self._most_bytes = most_bytes
        self._checksum = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if self.size_bytes > self._most_bytes:
            param = shown(self.name)
            raise too_large(f"The file in {param} is larger than {self._most_bytes} bytes.", param=param)
        self.file.write(data)
        self._checksum.update(data)

    def upload(self) -> Upload:
        return Upload(
            field=root_of(self.name),
            name=self.client_name,
            mime=self._mime,
            path=self._path,
            size_bytes=self.size_bytes,
            sha256=self._checksum.hexdigest(),
        )


class _Parts:
    """What a multipart body has said so far. The parser calls it, in a thread, never in two at once."""

    def __init__(self, limits: FormLimits, spool: Path) -> None:
        self.limits = limits
        self.fields: list[tuple[str, JSON]] = []
        self.uploads: list[Upload] = []
        self.received_bytes = 0
        self._spool = spool
        self.folder: Path | None = None
        self._complete = False
        self._count = 0
        self._headers: dict[bytes, bytes] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._part: _TextPart | _FilePart | None = None
        self._last_name = ""

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    @property
    def param(self) -> str | None:
        return shown(self._last_name) or None

    def malformed(self, what: str) -> Problem:
        where = f", in {self.param}" if self._part else f", after {self.param}" if self.param else ""
        return bad_request(f"The multipart body {what}{where}.", param=self.param)

    def form(self) -> Form:
        if not self._complete and self.received_bytes:
            raise self.malformed("ends before its closing boundary")
        return Form(fields=unflatten(self.fields, self.limits.depth), uploads=tuple(self.uploads))

    def discard(self) -> None:
        """Remove everything from disk."""
        if isinstance(self._part, _FilePart):
            self._part.file.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self) -> None:
        self._count += 1
        if self._count > self.limits.parts:
            raise bad_request(f"The multipart body has more than {self.limits.parts} parts.", param=self.param)
        self._headers.clear()

    def _header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value).strip()
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        _, options = parse_options_header(disposition)
        try:
            name = options[b"name"].decode()
        except KeyError:
            raise self.malformed("has a part without a name") from None
        except UnicodeDecodeError:
            raise self.malformed("has a part whose name is not UTF-8") from None
        steps = keys_of(name, self.limits.depth)
        self._last_name = name
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").lower()
        if encoding not in (b"binary", b"8bit", b"7bit"):
            message = f"{self.param} is encoded as {shown(encoding.decode('latin-1'))}. Send it as it is."
            raise bad_request(message, param=self.param)
        mime = self._headers.get(b"content-type", b"").decode("latin-1") or None
        client_name = _client_name(disposition, options)
        if _is_file(client_name, mime):
            self._part = self._new_file(name, client_name, mime)
        else:
            self._part = _TextPart(name, self.limits.of_fields.of(*steps), bytearray())

    def _new_file(self, name: str, client_name: str | None, mime: str | None) -> _FilePart:
        if self.folder is None:
            self._spool.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=self._spool))
        path = self.folder / str(self._count)  # never the client's name
        return _FilePart(name, client_name, mime, path, self.limits.file_bytes)

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        self._part.write(data[start:end])

    def _end(self) -> None:
        part, self._part = self._part, None
        if isinstance(part, _TextPart):
            self.fields.append((part.name, _field_value(part.name, bytes(part.text), self.limits.of_fields)))
        elif part is not None:
            part.file.close()
            # A web page's form sends an empty part without a file name where no file was chosen.
            if part.client_name or part.size_bytes:
                self.uploads.append(part.upload())

    def _finish(self) -> None:
        self._complete = True


def _client_name(disposition: str, options: Mapping[bytes, bytes]) -> str | None:
    """The file name a client tells, for showing. Some write it in the extended notation alone, which forms forbid."""
    if extended := _EXTENDED_NAME.search(disposition):
        return shown(unquote(extended[1]), FILE_NAME_MAX)
    name = options.get(b"filename")
    return None if name is None else shown(name.decode(errors="replace"), FILE_NAME_MAX)


def _is_file(client_name: str | None, mime: str | None) -> bool:
    """Whether a part is a file: by its name, or by a type that is no text's. JSON is always a text."""
    kind = parse_options_header(mime)[0]
    if kind == b"application/json":
        return False
    return client_name is not None or not (kind == b"" or kind.startswith(b"text/"))
