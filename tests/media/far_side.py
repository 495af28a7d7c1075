"""A far side on loopback that serves one file, well or badly, as each test says."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.abc

PIECE_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How one request is answered. The default is a correct server that knows Range."""

    body: bytes | None = None  # None: the file
    status: int | None = None
    etag: str | None = '"one"'
    mime: str = "video/mp4"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut_after: int | None = None  # drop the connection after that many bytes of the body
    more: bytes = b""  # sent behind the body, and counted in the promised length
    lie: int = 0  # added to the promised length
    no_length: bool = False
    ignore_range: bool = False
    wrong_start: int = 0  # added to the start that Content-Range names
    pace_s: float = 0.0  # between pieces


class FarSide:
    """`answers` are used up in turn; the last one stays. `requests` are the headers that came."""

    def __init__(self, data: bytes, *answers: Answer) -> None:
        self.data = data
        self.answers = list(answers) or [Answer()]
        self.requests: list[dict[str, str]] = []
        self.port = 0

    @property
    def origin(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.origin}/video.mp4"

    @property
    def ranges(self) -> list[str | None]:
        return [request.get("range") for request in self.requests]

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator["FarSide"]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._connection)
            try:
                yield self
            finally:
                tasks.cancel_scope.cancel()

    async def _connection(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                try:
                    head += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
            lines = head.decode().split("\r\n")[1:]
            request = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            try:
                await self._answer(stream, request, answer)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def _answer(self, stream: anyio.abc.SocketStream, request: dict[str, str], answer: Answer) -> None:
        whole = self.data if answer.body is None else answer.body
        start = 0 if answer.ignore_range or answer.status else _start(request, answer.etag)
        status = answer.status or (206 if start else 200)
        if start and start >= len(whole):
            status, whole, start = 416, b"", 0
        body = whole[start:] + answer.more
        headers = {"content-type": answer.mime, "connection": "close", **answer.headers}
        if answer.etag:
            headers["etag"] = answer.etag
        if not answer.no_length:
            headers["content-length"] = str(len(body) + answer.lie)
        if status == 206:
            total = len(whole) + len(answer.more) + answer.lie
            headers["content-range"] = f"bytes {start + answer.wrong_start}-{total - 1}/{total}"
        head = f"HTTP/1.1 {status} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await stream.send(head.encode() + b"\r\n")
        body = body if answer.cut_after is None else body[: answer.cut_after]
        for place in range(0, len(body), PIECE_BYTES):
            await stream.send(body[place : place + PIECE_BYTES])
            if answer.pace_s:
                await anyio.sleep(answer.pace_s)


def _start(request: dict[str, str], etag: str | None) -> int:
    if "range" not in request or request.get("if-range", etag) != etag:
        return 0
    return int(request["range"].removeprefix("bytes=").rstrip("-"))
