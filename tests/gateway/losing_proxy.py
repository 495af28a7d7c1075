"""A proxy on loopback that loses answers: what stands between a client and us, and fails at the worst of times.

It hangs up before an answer is sent. One that was sent and is lost after that looks, from here, just like one that
arrived, and a repetition is a create like any other: who must have one video for certain sends an `Idempotency-Key`.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

import anyio
import anyio.abc

PATIENCE_S = 60.0


class Loss(StrEnum):
    """What somebody between a client and us does to one exchange, after the request was forwarded."""

    NONE = "none"
    HANG_UP = "hangs up on both at once"
    BAD_GATEWAY = "hangs up on us and answers 502"


NEVER_ARRIVED = "closes the connection, and forwards nothing"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"


class Between:
    """A proxy on loopback that loses answers, one exchange after the other as told; the later ones go well."""

    def __init__(self, behind: str, losses: Sequence[str]) -> None:
        self._port = int(behind.rpartition(":")[2])
        self._losses = list(losses)
        self.requests = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Between"]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._one)
            yield self
            tasks.cancel_scope.cancel()

    async def _one(self, client: anyio.abc.SocketStream) -> None:
        async with client:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                request = await whole_message(client)
                self.requests += 1
                loss = self._losses.pop(0) if self._losses else Loss.NONE
                if loss != NEVER_ARRIVED:
                    await self._exchange(client, request, loss)

    async def _exchange(self, client: anyio.abc.SocketStream, request: bytes, loss: str) -> None:
        # It comes up again in a moment, if it has just been killed.
        async with await connected(self._port) as behind:
            await behind.send(request)
            if loss == Loss.HANG_UP:
                return
            if loss == Loss.BAD_GATEWAY:
                await behind.aclose()
                await client.send(BAD_GATEWAY)
                return
            await client.send(await whole_message(behind))


async def connected(port: int) -> anyio.abc.SocketStream:
    with anyio.fail_after(PATIENCE_S):
        while True:
            try:
                return await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                await anyio.sleep(0.05)


async def whole_message(stream: anyio.abc.SocketStream) -> bytes:
    """A request or an answer, with its body. Raises EndOfStream when the other side goes away before."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.lower().split(b"\r\n")[1:]]
    length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
    while len(body) < length:
        body += await stream.receive()
    return head + b"\r\n\r\n" + body
