"""What the tests of webhooks share: an outbox over a workshop, and jobs that end."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import sqlalchemy as sa
from workshop import PATIENCE_S, Workshop

from rushes.config import NetworkSettings, Settings
from rushes.http import Http
from rushes.jobs import store
from rushes.jobs.ledger import JobState
from rushes.jobs.outbox import Outbox
from rushes.jobs.services import end_job
from rushes.jobs.webhook_store import Delivery
from rushes.jobs.webhooks import Webhooks

ALLOWED = NetworkSettings(allow_hosts=("127.0.0.1",))


@asynccontextmanager
async def loopback() -> AsyncGenerator[Http]:
    """A way out that may lead to this machine."""
    http = Http(Settings(home=Path(), database_url="", media_url="", network=ALLOWED))
    try:
        yield http
    finally:
        await http.aclose()


@asynccontextmanager
async def post_office(shop: Workshop) -> AsyncGenerator[Webhooks]:
    async with loopback() as http:
        yield Webhooks(shop.db, http, now=shop.services.now)


@asynccontextmanager
async def delivering(shop: Workshop, **options: Any) -> AsyncGenerator[Outbox]:
    """An outbox at work for as long as the block lasts."""
    async with loopback() as http:
        outbox = Outbox(shop.db, http, now=shop.services.now, reached=shop.services.reached, **options)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.run)
            yield outbox
            tasks.cancel_scope.cancel()


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not true():
            await anyio.sleep(0.01)


async def told(shop: Workshop, webhooks: Webhooks, endpoint_id: str, count: int) -> list[Delivery]:
    """The deliveries of an endpoint, once so many have ended, well or not; newest first."""
    with anyio.fail_after(PATIENCE_S):
        while True:
            found = list(await webhooks.deliveries(endpoint_id))
            if sum(1 for each in found if each.ended_at is not None) >= count:
                return found
            await anyio.sleep(0.01)


async def cancelled(shop: Workshop, prompt: str = "A cat", owner: str = "local") -> str:
    return await _ended(shop, prompt, owner, JobState.CANCELLED)


async def failed(shop: Workshop, prompt: str = "A cat", owner: str = "local") -> str:
    return await _ended(shop, prompt, owner, JobState.FAILED)


async def completed(shop: Workshop, prompt: str = "A cat", owner: str = "local") -> str:
    """A job whose history says that it was completed: that is all that an outbox looks at."""
    job_id = (await shop.submit(prompt, owner=owner)).job_id
    now = shop.services.now()
    await shop.db.write(lambda connection: store.insert_event(connection, job_id, "completed", now))
    return job_id


async def completed_at_once(shop: Workshop, count: int) -> None:
    """So many jobs that were completed in one moment."""
    ids = [(await shop.submit(f"Cat {n} of many")).job_id for n in range(count)]
    now = shop.services.now()

    def work(connection: sa.Connection) -> None:
        for job_id in ids:
            store.insert_event(connection, job_id, "completed", now)

    await shop.db.write(work)


async def _ended(shop: Workshop, prompt: str, owner: str, state: JobState) -> str:
    job_id = (await shop.submit(prompt, owner=owner)).job_id
    job, now = await shop.job(job_id), datetime.now(UTC)

    def work(connection: sa.Connection) -> None:
        end_job(connection, job, state, Decimal(0), now)

    await shop.db.write(work)
    return job_id
