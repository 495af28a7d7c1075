"""Request bodies for tests: written as clients write them, and read through `read_form` with no server between."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request

from rushes.gateway.forms import Form, FormLimits, read_form
from rushes.testing import clips

PNG = clips.picture(16, 16, "PNG")
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
BOUNDARY = "boundary-of-the-tests"
MULTIPART_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
LIMITS = FormLimits(body_bytes=2_000_000, file_bytes=100_000, timeout_s=10, field_bytes=10_000, parts=20)

Receive = Callable[[], Awaitable[dict[str, Any]]]


class File(NamedTuple):
    field: str
    content: bytes
    name: str | None = "upload"
    mime: str | None = "application/octet-stream"


class Body(NamedTuple):
    content_type: str | None
    data: bytes


@dataclass(frozen=True)
class Read:
    """A form that was read and closed, with what its files held."""

    form: Form
    contents: tuple[bytes, ...]


def part(name: str, data: bytes, *more: str) -> bytes:
    """A part whose header is as given, sound or not."""
    head = "\r\n".join([f'Content-Disposition: form-data; name="{name}"{more[0] if more else ""}', *more[1:]])
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + data + b"\r\n"


def multipart(fields: Iterable[tuple[str, str]], files: Sequence[File] = (), boundary: str = BOUNDARY) -> Body:
    parts = [part(name, text.encode()) for name, text in fields]
    for file in files:
        name = "" if file.name is None else f'; filename="{file.name}"'
        parts.append(part(file.field, file.content, name, *([f"Content-Type: {file.mime}"] if file.mime else [])))
    whole = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return Body(f"multipart/form-data; boundary={boundary}", whole.replace(BOUNDARY.encode(), boundary.encode()))


def as_json(value: Any) -> Body:
    return Body(JSON_TYPE, json.dumps(value).encode())


def urlencoded(fields: Iterable[tuple[str, str]]) -> Body:
    return Body(FORM_TYPE, urlencode(list(fields)).encode())


def request_of(content_type: str | None, receive: Receive, headers: Mapping[str, str] | None = None) -> Request:
    named = {**({"content-type": content_type} if content_type else {}), **(headers or {})}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def receive_all(chunks: Iterable[bytes], then: Mapping[str, Any] | None = None) -> Receive:
    """What a server hands on: the chunks, and then the end, or something else instead."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append(dict(then) if then else {"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return receive


@asynccontextmanager
async def open_form(body: Body, spool: Path, limits: FormLimits = LIMITS) -> AsyncGenerator[Form]:
    async with read_form(request_of(body.content_type, receive_all([body.data])), limits, spool) as form:
        yield form


async def read(
    body: Body,
    spool: Path,
    *,
    limits: FormLimits = LIMITS,
    chunk_bytes: int = 1 << 20,
    headers: Mapping[str, str] | None = None,
) -> Read:
    chunks = [body.data[at : at + chunk_bytes] for at in range(0, len(body.data), chunk_bytes)]
    async with read_form(request_of(body.content_type, receive_all(chunks), headers), limits, spool) as form:
        return Read(form, tuple(upload.path.read_bytes() for upload in form.uploads))


def left_in(spool: Path) -> list[Path]:
    return sorted(spool.rglob("*")) if spool.exists() else []
