"""Noticing that something changed, whichever process changed it.

The database tells of commits in its own way (`Database.watch`); one task per App listens and wakes all who wait. There
is no second channel that could disagree with the database. Whoever follows one job among many is woken for that one:
each commit would otherwise make a hundred waiters read a hundred jobs.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.lowlevel

from rushes.errors import RushesError
from rushes.jobs import store
from rushes.jobs.database import Database

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 1.0


class News:
    """Tells one follower that something happened to its job. What came before a wait is not missed by it."""

    def __init__(self) -> None:
        self._told = anyio.Event()

    def tell(self) -> None:
        self._told.set()

    async def wait(self, at_most_s: float) -> None:
        with anyio.move_on_after(at_most_s):
            await self._told.wait()
        self._told = anyio.Event()


class Changes:
    """Wakes waiters when the database has changed. Use inside `running`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._changed = anyio.Event()
        self._waiting = 0
        self._wanted = anyio.Event()
        self._missed = False
        self._followers: dict[str, set[News]] = {}
        self._listeners: list[Callable[[Collection[str]], None]] = []
        self._followed = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        failed: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._db.watch, self._committed, self._somebody_waits)
            tasks.start_soon(self._spread_the_news)
            try:
                yield
            except Exception as error:
                failed = error  # raised below, so that it does not come wrapped into a group
            finally:
                tasks.cancel_scope.cancel()
        if failed is not None:
            raise failed

    async def wait(self, at_most_s: float) -> None:
        """Return when something was committed since the call, or while nobody waited, or after `at_most_s`."""
        if self._missed:
            # It may have come between the caller's last look and this call.
            self._missed = False
            await anyio.lowlevel.checkpoint()
            return
        changed = self._changed
        self._waiting += 1
        self._wanted.set()
        try:
            with anyio.move_on_after(at_most_s):
                await changed.wait()
        finally:
            self._waiting -= 1

    @contextmanager
    def following(self, job_id: str) -> Generator[News]:
        """News of one job. Begin to follow before the first look, and nothing is missed for longer than a second."""
        news = News()
        self._followers.setdefault(job_id, set()).add(news)
        self._followed.set()
        try:
            yield news
        finally:
            self._followers[job_id].discard(news)
            if not self._followers[job_id]:
                del self._followers[job_id]

    @contextmanager
    def listening(self, tell: Callable[[Collection[str]], None]) -> Generator[None]:
        """Be told of every job to which something happened, soon after it did. `tell` must not raise, nor take long."""
        self._listeners.append(tell)
        self._followed.set()
        try:
            yield
        finally:
            self._listeners.remove(tell)

    async def _spread_the_news(self) -> None:
        last: int | None = None
        told_of_trouble = False
        while True:
            if not (self._followers or self._listeners):
                self._followed, last = anyio.Event(), None
                await self._followed.wait()
            try:
                if last is None:
                    last = await self._db.read(store.last_event)
                await self.wait(LONGEST_WAIT_S)
                after = last
                last, told = await self._db.read(lambda connection, after=after: store.news_after(connection, after))
                told_of_trouble = False
            except RushesError as error:
                if not told_of_trouble:
                    log.warning("events.trouble", extra={"cause": str(error)})
                told_of_trouble = True
                await anyio.sleep(LONGEST_WAIT_S)
                continue
            for listener in self._listeners if told else ():
                listener(told)
            for job_id in told & self._followers.keys():
                for news in self._followers[job_id]:
                    news.tell()

    def wake(self) -> None:
        """Wake all waiters: for changes that this process knows of anyway."""
        self._changed.set()
        self._changed = anyio.Event()

    def _committed(self) -> None:
        if self._waiting:
            self.wake()
        else:
            self._missed = True

    async def _somebody_waits(self) -> None:
        if not self._waiting:
            self._wanted = anyio.Event()
            await self._wanted.wait()
