"""`GET /api/events`: the ledger's events as a stream, each caller seeing what happens to his own jobs.

There is one reader for each process, whoever listens: what it read last lies in a short memory, and each listener is
no more than a place in the sequence. Who comes back from further away than that memory reaches is served from the
database, a page at a time. So memory does not grow with listeners that are slow; who takes nothing at all is cut off,
and comes back with the number of the last event that he saw.
"""

import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Generator
from contextlib import ExitStack, aclosing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import anyio
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rushes.errors import RushesError
from rushes.gateway.board import Board
from rushes.gateway.gateway import Gateway, gateway_of, kept
from rushes.gateway.native_shapes import SECURED, errors
from rushes.gateway.problems import Problem
from rushes.gateway.views import View
from rushes.jobs import feed, store
from rushes.jobs.database import Database
from rushes.jobs.events import Changes
from rushes.jobs.feed import Happening
from rushes.video import JSON, Status, video_uuid

log = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
RETRY_MS = 2000
SLOW_S = 30.0
"""A listener that takes nothing for so long is cut off."""
MEMORY = 2000
PAGE = 200
MOST_LISTENERS = 2000
DELETED = "deleted"
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would collect them
}

router = APIRouter(prefix="/api", tags=["Events"], dependencies=[SECURED])


@router.get(
    "/events",
    operation_id="streamEvents",
    response_class=Response,
    responses={
        **errors(),
        200: {
            "description": "Events without an end: `id`, `event` and `data`, which tells job_id, status and percent as "
            "they are now. After 15 s without one comes a comment.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
async def stream_events(
    request: Request,
    after: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="Begin after the event of this number")] = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=2**63 - 1, description="What a browser sends when it comes back; it wins")
    ] = None,
) -> Response:
    """What happens to your jobs, from now on or from where you were."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    begin = after if last_event_id is None else last_event_id
    refused = partial(gateway.doorkeeper.until_refused, request)
    return EventStream(kept(request, Feed, _feed), caller.owner, begin, gateway.stopping, refused)


def _feed(gateway: Gateway) -> "Feed":
    return Feed(gateway.app.db, gateway.app.changes, gateway.board)


# -- the reader --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Item:
    happening: Happening
    frame: bytes | None = None  # written when the first listener needs it


class _Read(NamedTuple):
    """What happened after a place, the place that this leads to, and whether there is more at once."""

    items: list[_Item]
    upto: int
    more: bool


class Feed:
    """Reads the events of all jobs once, for everybody who listens in this process."""

    def __init__(
        self, db: Database, changes: Changes, board: Board, *, memory: int = MEMORY, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._db = db
        self._changes = changes
        self._board = board
        self._memory = memory
        self._heartbeat_s = heartbeat_s
        self._items: deque[_Item] = deque()
        self._since = 0  # in memory is everything after this one,
        self._upto = 0  # up to this one
        self._told = 0  # how often there was news,
        self._seen = -1  # and up to which of them was read; less than nothing: begin anew
        self._read_at = 0.0
        self._news = anyio.Event()
        self._turn = anyio.Lock()
        self._ear = ExitStack()
        self.listeners = 0
        self.reads = 0

    @contextmanager
    def listening(self) -> Generator[None]:
        """Be one of those who are told. Raises Problem when there are too many."""
        if self.listeners >= MOST_LISTENERS:
            words = f"{MOST_LISTENERS} clients listen already. Ask for the status of a job instead."
            raise Problem(words, status=503, error_code="too_many_listeners", headers={"retry-after": "30"})
        if not self.listeners:
            self._ear.enter_context(self._changes.listening(self._tell))
            self._seen = -1  # while nobody listened, nothing was read
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1
            if not self.listeners:
                self._ear.close()

    async def begin(self, after: int | None) -> int:
        """The place at which a listener begins: where he was, else now. Raises RushesError."""
        await self._read()
        # A ledger that was restored may be behind him.
        return self._upto if after is None else min(after, self._upto)

    async def frames(self, owner: str, at: int) -> AsyncGenerator[bytes]:
        """What is to be sent from a place on; a comment when nothing was for long. Use inside `listening`."""
        while True:
            news = self._news
            frames, more = b"", False
            with suppress(RushesError):  # `Changes` tells of it; what happened is read when the database is back
                read = await self._after(owner, at)
                frames = b"".join([await self._frame(item) for item in read.items])
                at, more = read.upto, read.more
            if frames:
                yield frames
            if more:
                continue
            with anyio.move_on_after(self._heartbeat_s) as waited:
                await news.wait()
            if waited.cancelled_caught:
                if anyio.current_time() - self._read_at >= self._heartbeat_s:
                    self._told += 1  # a net: whatever nobody told of is read all the same
                yield b": still here\n\n"

    async def _after(self, owner: str, at: int) -> _Read:
        await self._read()
        if at >= self._since:
            found: list[_Item] = []
            for item in reversed(self._items):
                if item.happening.id <= at:
                    break
                if item.happening.owner == owner:
                    found.append(item)
            return _Read(found[::-1], self._upto, False)
        page = await self._db.read(lambda connection: feed.happenings_of_owner_after(connection, owner, at, PAGE))
        return _Read([_Item(happening) for happening in page.found], page.upto, True)

    async def _read(self) -> None:
        """Read what is new, unless somebody else has done so since the news came."""
        wanted = self._told
        async with self._turn:
            if self._seen >= wanted:
                return
            told, more = self._told, True
            if self._seen < 0:
                self._items.clear()
                self._since = self._upto = await self._db.read(store.last_event)
            while more:
                after = self._upto
                page = await self._db.read(
                    lambda connection, after=after: feed.happenings_after(connection, after, PAGE)
                )
                self.reads += 1
                self._items.extend(_Item(happening) for happening in page.found)
                self._upto, more = page.upto, page.more
                while len(self._items) > self._memory:
                    self._since = self._items.popleft().happening.id
            self._seen, self._read_at = told, anyio.current_time()

    def _tell(self, _: Collection[str]) -> None:
        self._told += 1
        self._news.set()
        self._news = anyio.Event()

    async def _frame(self, item: _Item) -> bytes:
        """An event as it is sent; nothing, of a job that is deleted by now."""
        if item.frame is None:
            happening = item.happening
            try:
                view = (await self._board.look(happening.job_id, happening.owner)).view
            except Problem:
                view = None
            item.frame = frame_of(happening, view)
        return item.frame


def frame_of(happening: Happening, view: View | None) -> bytes:
    """An event in the form of an event stream, without the prompt. `view` is None for a job that is deleted. Pure."""
    if view is None and happening.kind != DELETED:
        return b""
    job_id = video_uuid(happening.job_id)
    data: dict[str, JSON] = {"job_id": str(job_id), "id": happening.job_id, "at": happening.ts.isoformat()}
    if view is None:
        data["deleted"] = True
    else:
        failed, done = view.status is Status.FAILED, view.status is Status.COMPLETED
        data |= {
            "status": view.status.value,
            "percent": view.percent,
            "model": view.model,
            "video_url": f"/api/output/video/{job_id}/video.mp4" if done else None,
            "error": view.failure.message if failed and view.failure else None,
        }
    return f"id: {happening.id}\nevent: {happening.kind}\ndata: {json.dumps(data)}\n\n".encode()


# -- the stream --------------------------------------------------------------------------------------


class EventStream(Response):
    """Sends the frames as the client takes them, until it goes, is too slow, or the server stops."""

    def __init__(
        self,
        source: Feed,
        owner: str,
        after: int | None,
        stopping: anyio.Event,
        refused: Callable[[], Awaitable[None]] = anyio.sleep_forever,
        *,
        slow_s: float = SLOW_S,
    ) -> None:
        super().__init__()
        self._source = source
        self._owner = owner
        self._after = after
        self._stopping = stopping
        self._refused = refused
        self._over = False  # we end it, and not the client
        self._slow_s = slow_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._source.listening():
            at = await self._source.begin(self._after)  # raises while an error can still be answered
            headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async with anyio.create_task_group() as tasks:

                async def until(over: Callable[[], Awaitable[object]]) -> None:
                    await over()
                    tasks.cancel_scope.cancel()

                tasks.start_soon(until, partial(self._ended, self._stopping.wait))
                tasks.start_soon(until, partial(self._ended, self._refused))
                tasks.start_soon(until, lambda: _gone(receive))
                await self._send_all(send, at)
                tasks.cancel_scope.cancel()
            if self._over:
                with anyio.move_on_after(1):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _ended(self, over: Callable[[], Awaitable[object]]) -> None:
        await over()
        self._over = True

    async def _send_all(self, send: Send, at: int) -> None:
        async with aclosing(self._frames(at)) as frames:
            async for frame in frames:
                with anyio.move_on_after(self._slow_s) as taken:
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
                if taken.cancelled_caught:
                    log.info("events.slow_listener", extra={"after_s": self._slow_s})
                    return

    async def _frames(self, at: int) -> AsyncGenerator[bytes]:
        yield b": listening\nretry: %d\n\n" % RETRY_MS
        async with aclosing(self._source.frames(self._owner, at)) as frames:
            async for frame in frames:
                yield frame


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
