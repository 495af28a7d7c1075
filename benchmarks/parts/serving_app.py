"""A small server of one kind, with a status answer and one file: what `benchmarks/serving.py` compares.

    python benchmarks/parts/serving_app.py KIND FILE

It prints its address. Kinds: `ours` (the gateway's server and its file answers, with nothing around them), `accel` (the
same, behind nginx), `uvicorn` and `granian` (each with Starlette's own file answer, granian's by `pathsend`).
"""

import hashlib
import logging
import os
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from rushes.config import GatewaySettings
from rushes.gateway.files import Served, file_response
from rushes.gateway.listen import Listen, serve
from rushes.media.store import MediaStore

STATUS = {"id": f"video_{'0' * 32}", "object": "video", "status": "in_progress", "progress": 40, "model": "sora-2"}


async def status(_: Request) -> Response:
    return JSONResponse(STATUS)


def ours(file: Path, settings: GatewaySettings) -> ASGIApp:
    store = MediaStore(str(file.parent))
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    served = Served(
        key=file.name,
        mime="video/mp4",
        size_bytes=file.stat().st_size,
        sha256=sha256,
        modified=datetime.now(UTC),
        name="video.mp4",
    )

    async def content(request: Request) -> Response:
        return await file_response(request, store, served, settings)

    return Starlette(routes=[Route("/status", status), Route("/content", content)])


def plain(file: Path) -> ASGIApp:
    async def content(_: Request) -> Response:
        return FileResponse(file, media_type="video/mp4")

    return Starlette(routes=[Route("/status", status), Route("/content", content)])


class PathSend:
    """granian sends a whole file by itself; Starlette's answer asks for that where a server offers it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rest = plain(file)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/content":
            await self._rest(scope, receive, send)
            return
        headers = [(b"content-length", str(self._file.stat().st_size).encode()), (b"content-type", b"video/mp4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.pathsend", "path": str(self._file)})


async def by_granian(application: ASGIApp) -> None:
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    with socket.socket() as probe:  # it does not tell which port it took
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = Server(
        application,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        log_enabled=False,
    )
    logging.disable()
    print(f"http://127.0.0.1:{port}", flush=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                os._exit(0)  # its threads panic when the interpreter ends under readers that stopped


async def by_uvicorn(application: ASGIApp) -> None:
    import uvicorn

    config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", http="h11", ws="none")
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:  # else asyncio leaves Nagle's algorithm on
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        await uvicorn.Server(config).serve([listening])


async def main(kind: str, file: Path) -> None:
    if kind == "granian":
        await by_granian(PathSend(file))
    elif kind == "uvicorn":
        await by_uvicorn(plain(file))
    else:
        settings = GatewaySettings(x_accel_prefix="/files" if kind == "accel" else None)
        await serve(ours(file, settings), Listen(port=0), ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    os.environ.pop("WEB_CONCURRENCY", None)
    anyio.run(main, sys.argv[1], Path(sys.argv[2]))
