"""Noticing that something changed, whichever process changed it.

SQLite keeps a number that grows with every commit of another connection; one task per App reads it while somebody
is interested and wakes all who wait. That is cheap enough to do often, and needs no second channel that could
disagree with the database.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from rushes.jobs.database import Database

LOOK_EVERY_S = 0.05


class Changes:
    """Wakes waiters when the database has changed. Use inside `running`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._changed = anyio.Event()
        self._waiting = 0
        self._wanted = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        failed: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run)
            try:
                yield
            except Exception as error:
                failed = error  # raised below, so that it does not come wrapped into a group
            finally:
                tasks.cancel_scope.cancel()
        if failed is not None:
            raise failed

    async def wait(self, at_most_s: float) -> None:
        """Return when something was committed since the call, or after `at_most_s`."""
        changed = self._changed
        self._waiting += 1
        self._wanted.set()
        try:
            with anyio.move_on_after(at_most_s):
                await changed.wait()
        finally:
            self._waiting -= 1

    def wake(self) -> None:
        """Wake all waiters: for changes that this process knows of anyway."""
        self._changed.set()
        self._changed = anyio.Event()

    async def _run(self) -> None:
        seen = await self._db.data_version()
        while True:
            if not self._waiting:
                self._wanted = anyio.Event()
                await self._wanted.wait()
            version = await self._db.data_version()
            if version != seen:
                seen = version
                self.wake()
            await anyio.sleep(LOOK_EVERY_S)
