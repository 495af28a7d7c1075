"""A small strict HTTP/1.1 server on loopback, in threads, that can also misbehave on purpose.

The protocol fakes are built on it. It works beside any event loop, and for synchronous tests; it reads multipart
strictly (a sloppy reader would hide our mistakes), speaks keep-alive and chunked bodies, and serves ranges.
"""

import functools
import hashlib
import json
import select
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.message import Message
from enum import StrEnum
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from rushes.testing.account_book import AccountBook
from rushes.testing.faults import Fault, Faults, Trouble

ON_PURPOSE = "This is a fault made on purpose."
WEB_PAGE = b"<!doctype html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body. `filename` None: a plain field."""

    name: str
    data: bytes
    filename: str | None = None
    mime: str | None = None

    @property
    def text(self) -> str:
        return self.data.decode()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in. `path` is decoded; `raw_path` is as sent."""

    method: str
    raw_path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes = field(repr=False)

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.raw_path).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.raw_path).query))

    @property
    def mime(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def parts(self) -> list[Part]:
        """The parts of a multipart body. Raises ValueError for a malformed one."""
        return parse_multipart(self.body, self.headers.get("content-type", ""))

    def fields(self) -> dict[str, str]:
        return {part.name: part.text for part in self.parts if part.filename is None}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def json(cls, data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> "Answer":
        return cls(status, json.dumps(data).encode(), {"content-type": "application/json", **(headers or {})})


def parse_multipart(body: bytes, content_type: str) -> list[Part]:
    """Read multipart/form-data, to the letter. Raises ValueError."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise ValueError("the body is not multipart/form-data with a boundary")
    mark = b"--" + boundary.encode()
    if not body.startswith(mark + b"\r\n"):
        raise ValueError("the body does not begin with its boundary")
    first, *rest = (b"\r\n" + body).split(b"\r\n" + mark)
    if first or not rest or rest[-1].strip(b"\r\n") != b"--":
        raise ValueError("the body does not end with its boundary")
    return [_parse_part(section) for section in rest[:-1]]


def _parse_part(section: bytes) -> Part:
    if not section.startswith(b"\r\n"):
        raise ValueError("a boundary is not followed by a line break")
    head, separator, data = section[2:].partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("a part has no end of its header")
    header = Message()
    for line in head.decode().split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"a part has the header line {line!r}")
        header[name.strip()] = value.strip()
    disposition = "content-disposition"
    name = header.get_param("name", header=disposition)
    if header.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise ValueError("a part has no name")
    filename = header.get_param("filename", header=disposition)
    mime = header.get("content-type")
    return Part(name, data, filename if isinstance(filename, str) else None, mime)


class Exchange(BaseHTTPRequestHandler):
    """One connection: reads requests, hands them to the fake, and carries out what it decides."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def listener(self) -> "_Listener":
        assert isinstance(self.server, _Listener)
        return self.server

    def handle_one_request(self) -> None:
        with suppress(ConnectionError, TimeoutError, ValueError):
            super().handle_one_request()
            return
        self.close_connection = True

    def _serve(self) -> None:
        body = self._chunked() if "chunked" in self.headers.get("transfer-encoding", "") else self._sized()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.listener.fake.serve(Received(self.command, self.path, headers, body), self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

    def _sized(self) -> bytes:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError
        return body

    def _chunked(self) -> bytes:
        body = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Silent: tests read `fake.requests`."""

    def send(self, answer: Answer, *, announce: int | None = None) -> None:
        """Write an answer in one go. `announce` lies about its length."""
        bodiless = answer.status in (204, 304)
        length = len(answer.body) if announce is None else announce
        lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('Status',))[0]}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if not bodiless:
            lines.append(f"content-length: {length}")
        body = b"" if bodiless or self.command == "HEAD" else answer.body
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def cut(self, *, reset: bool) -> None:
        """End the connection, with a reset or in an orderly way."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True

    def hang(self) -> None:
        """Say nothing until the other side goes away or the fake is closed."""
        while not self.listener.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                break
        self.close_connection = True

    def misbehave(self, fault: Fault, answer: Answer) -> None:
        """Carry out a fault that needs no knowledge of the dialect."""
        body = answer.body
        match fault.trouble:
            case Trouble.HANG:
                self.hang()
            case Trouble.RESET:
                self.cut(reset=True)
            case Trouble.CUT:
                self.send(Answer(answer.status, body[: len(body) // 2], answer.headers), announce=len(body))
                self.cut(reset=True)
            case Trouble.SLOW:
                self.listener.stopping.wait(float(fault.value))
                self.send(answer)
            case Trouble.HTML:
                self.send(Answer(200, WEB_PAGE, {"content-type": "text/html"}))
            case Trouble.HALF_JSON:
                self.send(Answer(answer.status, body[: len(body) // 2], answer.headers))
            case Trouble.TRUNCATED | Trouble.RESET_AFTER:
                self.send(Answer(answer.status, body[: fault.number], answer.headers), announce=len(body))
                self.cut(reset=fault.trouble is Trouble.RESET_AFTER)
            case Trouble.SHORT:
                self.send(Answer(answer.status, body[: fault.number], answer.headers))
            case Trouble.REDIRECT:
                self.send(Answer(302, b"", {"location": fault.value}))
            case Trouble.NOT_A_VIDEO:
                self.send(Answer(200, b"this is not a video" * 100, {"content-type": "video/mp4"}))
            case Trouble.JSON_AS_VIDEO:
                self.send(Answer(200, b'{"error":{"message":"not ready yet"}}', {"content-type": "video/mp4"}))
            case _:
                self.send(answer)


class _Listener(TCPServer):
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, fake: "FakeServer") -> None:
        super().__init__(("127.0.0.1", port), Exchange)
        self.fake = fake
        self.stopping = threading.Event()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True, name="fake-listener")
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self._one, args=(request, client_address), daemon=True, name="fake-exchange")
        self._open[request] = thread
        thread.start()

    def _one(self, request: socket.socket, client_address: Any) -> None:
        try:
            with suppress(ConnectionError):
                self.finish_request(request, client_address)
        finally:
            self._open.pop(request, None)
            self.shutdown_request(request)

    def stop(self) -> None:
        """Close the port and every connection, and wait for the threads."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection, thread in list(self._open.items()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)


class FakeServer(ABC):
    """A protocol fake: use it with `with` or `async with`. `port` 0 takes a free one."""

    def __init__(self, *, port: int = 0) -> None:
        self.port = port
        self.requests: list[Received] = []
        self._listener: _Listener | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._listener = _Listener(self.port, self)
        self.port = int(self._listener.server_address[1])
        return self

    def stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener:
            listener.stop()

    def refuse(self) -> None:
        """Close the port: from now on no connection can be made. `start` opens the same port again."""
        self.stop()

    @abstractmethod
    def serve(self, received: Received, exchange: Exchange) -> None:
        """Answer one request, or fail to."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import anyio.to_thread

        # Open exchanges may wait for a client in this very loop.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.stop)


class Refused(Exception):
    """The request is answered with this. Fakes raise it wherever they find that something is wrong."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True, kw_only=True)
class TimedJob:
    """What was accepted and takes its time. Fakes add what they must show of it."""

    job_s: float
    started: float = field(default_factory=time.monotonic)

    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return 1.0 if self.job_s <= 0 else min(1.0, (time.monotonic() - self.started) / self.job_s)

    @property
    def done(self) -> bool:
        return self.share() >= 1.0


class Moment(StrEnum):
    """Where an exchange has come to: what a far side knows and the caller does not, or not yet."""

    RECEIVED = "received"  # nothing was done for it yet
    CARRIED_OUT = "carried_out"  # a create is charged by now, unless a fault refused it
    ANSWERED = "answered"  # the answer was sent, or the connection was ended as a fault wanted it


AnyJob = TypeVar("AnyJob", bound=TimedJob)


class BookedServer(FakeServer, Generic[AnyJob]):
    """A fake that misbehaves as its faults say, and counts every create: what the protocol fakes are built on.

    Subclasses say which operation a request is, carry it out or raise `Refused`, put what they accept into `jobs`, and
    charge the book for it.
    """

    def __init__(self, *, port: int = 0, book: AccountBook | Path | None = None) -> None:
        super().__init__(port=port)
        self.book = book if isinstance(book, AccountBook) else AccountBook(book)
        self.faults = Faults()
        self.jobs: dict[str, AnyJob] = {}
        self.lock = threading.Lock()  # around a look at `jobs` and the charge that follows from it
        self.looking_on: Callable[[Moment, str | None, Received], None] | None = None
        """Told of every exchange, three times, with its operation: a crash test ends the caller in the midst of it."""

    @abstractmethod
    def operation_of(self, received: Received) -> str | None:
        """One of `Faults.OPERATIONS`, a word of the fake's own, or None: no such route."""

    @abstractmethod
    def check_key(self, received: Received, operation: str | None) -> None:
        """Raise Refused for a request that shows no key, or a wrong one. It comes before any fault."""

    @abstractmethod
    def answer(self, received: Received, operation: str, fault: Fault | None) -> Answer:
        """Do as asked, or raise Refused. `fault` matters only where it is one of the dialect: `no_id`, `word`, ..."""

    @abstractmethod
    def refused_by(self, fault: Fault) -> Refused:
        """The error of a fault of status, in the dialect's own shape."""

    @abstractmethod
    def moderated(self) -> Refused:
        """A create that is refused for its content."""

    def no_route(self, received: Received) -> Refused:
        """What an unknown address is answered with."""
        return Refused(Answer(404))

    def shared_headers(self) -> Mapping[str, str]:
        """What is in the head of every answer."""
        return {}

    def finish(self) -> None:
        """Let every running job be done now."""
        for job in list(self.jobs.values()):
            job.job_s = 0.0

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        operation = self.operation_of(received)
        self._tell(Moment.RECEIVED, operation, received)
        fault = self.faults.take(operation) if operation in Faults.OPERATIONS else None
        if operation == "create":
            self.book.arrived()
        try:
            answer = self._carried_out(received, operation, fault)
        except Refused as refused:
            answer = refused.answer
        answer = replace(answer, headers={**self.shared_headers(), **answer.headers})
        self._tell(Moment.CARRIED_OUT, operation, received)
        if fault is None:
            exchange.send(answer)
        else:
            exchange.misbehave(fault, answer)
        self._tell(Moment.ANSWERED, operation, received)

    def _tell(self, moment: Moment, operation: str | None, received: Received) -> None:
        if self.looking_on is not None:
            self.looking_on(moment, operation, received)

    def _carried_out(self, received: Received, operation: str | None, fault: Fault | None) -> Answer:
        """A create whose fault does not say `accepted` is never carried out; other calls with a status neither."""
        self.check_key(received, operation)
        if operation is None:
            raise self.no_route(received)
        if fault is None:
            return self.answer(received, operation, None)
        creating, by_status = operation == "create", fault.trouble is Trouble.STATUS
        if by_status and not (creating and fault.accepted):
            raise self._delayed(fault)
        if creating and not fault.accepted:
            if fault.trouble is Trouble.MODERATED:
                raise self.moderated()
            return Answer(200)  # never sent: the connection ends before it
        answer = self.answer(received, operation, fault)
        if by_status:
            raise self._delayed(fault)
        return answer

    def _delayed(self, fault: Fault) -> Refused:
        answer = self.refused_by(fault).answer
        later = {"retry-after": fault.retry_after} if fault.retry_after is not None else {}
        return Refused(replace(answer, headers={**answer.headers, **later}))


def account_of(secret: str) -> str:
    """Whom the book names as the payer: the key cannot be read from it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


@functools.lru_cache(maxsize=32)
def etag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def ranged(received: Received, body: bytes, etag: str, headers: Mapping[str, str]) -> Answer:
    """A file, or the part of it that was asked for. Pure."""
    shared = {**headers, "etag": etag, "accept-ranges": "bytes"}
    if received.headers.get("if-none-match") == etag:
        return Answer(304, b"", shared)
    asked = received.headers.get("range")
    if_range = received.headers.get("if-range")
    if asked is None or (if_range is not None and if_range != etag):
        return Answer(200, body, shared)
    start_text, _, end_text = asked.removeprefix("bytes=").partition("-")
    if not start_text:
        start, end = max(0, len(body) - int(end_text)), len(body) - 1
    else:
        start, end = int(start_text), min(int(end_text or len(body)), len(body) - 1)
    if start > end:
        return Answer(416, b"", {"content-range": f"bytes */{len(body)}"})
    return Answer(206, body[start : end + 1], {**shared, "content-range": f"bytes {start}-{end}/{len(body)}"})
